//! Signals, and an abort for lack of memory.
#![cfg(unix)]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::fixture::flair_bench;

fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("flair-bench"));
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn signals_remove_what_is_unfinished() {
    for signal in ["INT", "TERM", "HUP"] {
        let dir = tempfile::tempdir().unwrap();
        let child = spawn(dir.path(), &["data", "toy", "toy", "--patches", "3000"]);
        let part = dir.path().join(format!(".toy.{}.part", child.id()));
        while !part.join("flair_aerial_train").exists() {
            thread::sleep(Duration::from_millis(5));
        }
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{signal}: {text}");
        assert!(text.ends_with("interrupted\n"), "{signal}: {text}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{signal}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn lack_of_memory_is_a_fault_of_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let program = assert_cmd::cargo::cargo_bin!("flair-bench").display().to_string();
    // The network needs more than 300 MB of address space.
    let script = format!("ulimit -v 300000; exec '{program}' predict --preset utt --data toy --out out");
    let mut command = Command::new("sh");
    let output = command.args(["-c", &script]).env_remove("RUST_BACKTRACE").current_dir(dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("memory allocation of"), "{text}");
}
