//! `flair-bench bundle`, and the scoring program of a bundle as the platforms run it.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use flair_hosting::{Platform, schema};
use flair_scoring::source::Source;
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

use crate::{
    fixture::{flair_bench, pairs},
    hosting::{codalab_reads, input, miou, pack, read},
};

/// Unpacks as Python's `ZipFile.extractall` does: no file becomes executable.
fn unpack(archive: &Path, folder: &Path) {
    let source = Source::open(archive).unwrap();
    for entry in source.entries() {
        assert!(entry.defects.is_empty(), "{entry:?}");
        let path = folder.join(&entry.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, source.read(entry, 1 << 30).unwrap()).unwrap();
    }
}

fn bundle(dir: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let program = assert_cmd::cargo::cargo_bin!("flair-bench").to_str().unwrap();
    let arguments = ["bundle", "out", "--truth", "truth", "--program", program];
    flair_bench(dir).args(arguments).args(more).assert()
}

/// The command of a scoring program, as the platform's worker runs it: its words replaced, split at spaces, no shell.
#[cfg(unix)]
fn run_program(program: &Path, metadata: &str, input: &Path, output: &Path) -> Output {
    let metadata = read(program.join(metadata));
    let command = metadata.lines().find_map(|line| line.strip_prefix("command: ")).unwrap();
    let places = [("$program", program), ("$input", input), ("$output", output)];
    let command = places.iter().fold(command.to_owned(), |c, (word, path)| c.replace(word, path.to_str().unwrap()));
    let words: Vec<_> = command.split(' ').collect();
    Command::new(words[0])
        .args(&words[1..])
        .current_dir(program)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap()
}

#[cfg(unix)]
#[test]
fn a_bundles_own_program_scores_its_own_sample_as_the_platform_would() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 3);
    let pred = dir.path().join("pred");
    bundle(dir.path(), &["--title", "A challenge of our own", "--end", "2027-01-01"])
        .success()
        .stdout(contains("out/codabench.zip: for Codabench, 3 patches").and(contains("out/codalab.zip")));
    for (platform, metadata) in [(Platform::Codabench, "metadata.yaml"), (Platform::Codalab, "metadata")] {
        let archive = dir.path().join("out").join(format!("{}.zip", platform.name()));
        assert_eq!(schema::check(platform, &Source::open(&archive).unwrap()), []);
        let root = dir.path().join(platform.name());
        unpack(&archive, &root);
        assert!(read(root.join("competition.yaml")).contains("title: \"A challenge of our own\""));
        unpack(&root.join("scoring_program.zip"), &root.join("run/program"));
        unpack(&root.join("reference_data.zip"), &root.join("run/input/ref"));
        unpack(&root.join("sample_submission.zip"), &root.join("run/input/res"));
        fs::create_dir(root.join("run/output")).unwrap();
        let path = |name: &str| -> PathBuf { root.join("run").join(name) };
        let run = || run_program(&path("program"), metadata, &path("input"), &path("output"));
        let output = run();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // All of one class outside the mean: valid, with a score of 0.
        assert_eq!(codalab_reads(&read(path("output/scores.txt")))[0], ("miou".to_owned(), 0.0));
        // A participant's submission.
        fs::remove_dir_all(path("input/res")).unwrap();
        fs::create_dir(path("input/res")).unwrap();
        pack(&path("input/res/unet_5-57_20-0.zip"), &pred);
        assert!(run().status.success());
        let scores = codalab_reads(&read(path("output/scores.txt")));
        assert!((scores[0].1 - miou(dir.path(), "truth", "pred")).abs() < 1e-10);
        assert!(scores.contains(&("over_time".to_owned(), 1.0)));
        // Invalid submissions are refused.
        fs::write(path("input/res/unet_5-57_20-0.zip"), b"PK").unwrap();
        let output = run();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("not a readable zip archive"));
        assert!(!path("output/scores.txt").exists() && !path("output/scores.json").exists());
    }
}

#[test]
fn every_column_of_a_leaderboard_is_a_key_of_the_scores() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "unet_5-57_14-40");
    flair_bench(dir.path()).args(["codalab", "input", "output"]).assert().success();
    let scores: Value = serde_json::from_str(&read(dir.path().join("output/scores.json"))).unwrap();
    fs::rename(dir.path().join("input/ref"), dir.path().join("truth")).unwrap();
    bundle(dir.path(), &["--platform", "codabench"]).success();
    assert!(!dir.path().join("out/codalab.zip").exists());
    // A bundle is replaced only on demand; the other platform's has a name of its own.
    bundle(dir.path(), &["--platform", "both"])
        .code(2)
        .stderr(contains("codabench.zip` exists").and(contains("--replace")));
    assert!(!dir.path().join("out/codalab.zip").exists());
    bundle(dir.path(), &["--platform", "codalab"]).success();
    bundle(dir.path(), &["--replace"]).success();
    let source = Source::open(&dir.path().join("out/codabench.zip")).unwrap();
    let entry = source.entries().iter().find(|entry| entry.name == "competition.yaml").unwrap();
    let mut yaml = String::new();
    source.read(entry, 1 << 20).unwrap().as_slice().read_to_string(&mut yaml).unwrap();
    let columns = yaml.split("columns:").nth(1).unwrap().split("fact_sheet").next().unwrap();
    let keys: Vec<_> = columns.lines().filter_map(|line| line.trim().strip_prefix("key: ")).collect();
    assert_eq!(keys.len(), 1 + 12 + 1 + 4);
    assert!(keys.iter().all(|key| scores[key].is_number()), "{keys:?} {scores}");
}

#[test]
fn a_program_that_would_not_run_elsewhere_is_refused_or_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    let arguments = ["bundle", "out", "--truth", "truth"];
    let is_static =
        flair_hosting::bundle::program::linkage(&fs::read(assert_cmd::cargo::cargo_bin!("flair-bench")).unwrap())
            == flair_hosting::bundle::program::Linkage::Static;
    if !is_static {
        flair_bench(dir.path()).args(arguments).assert().code(2).stderr(contains("+crt-static"));
        assert!(!dir.path().join("out").exists());
        bundle(dir.path(), &[]).success().stderr(contains("warning").and(contains("+crt-static")));
    }
}

#[cfg(unix)]
#[test]
fn a_program_is_tried_before_it_becomes_the_scorer() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    let with = |program: &str| {
        flair_bench(dir.path()).args(["bundle", "out", "--truth", "truth", "--program", program]).assert()
    };
    let script = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let version = concat!("flair-bench ", env!("CARGO_PKG_VERSION"));
    with("/bin/ls").code(2).stderr(contains(format!("`/bin/ls` is not {version}: `--version` prints `")));
    script("older", "echo flair-bench 0.0.9", 0o755);
    with("older").code(2).stderr(contains("`older` is not").and(contains("prints `flair-bench 0.0.9`")));
    script("silent", "exit 1", 0o755);
    with("silent").code(2).stderr(contains("prints ``"));
    script("endless", "while :; do echo y; done", 0o755);
    with("endless").code(2).stderr(contains("prints `y`"));
    script("right", &format!("echo {version}"), 0o644);
    with("right").code(2).stderr(contains("`right` is not executable"));
    fs::write(dir.path().join("text"), "no program").unwrap();
    with("text").code(2);
    assert!(!dir.path().join("out").exists());
    script("right", &format!("echo {version}"), 0o755);
    with("right").success().stderr(contains("is not a program for Linux on x86-64"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_script_finds_a_folder_where_the_program_starts() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    bundle(dir.path(), &["--platform", "codabench"]).success();
    unpack(&dir.path().join("out/codabench.zip"), &dir.path().join("bundle"));
    let path = |name: &str| dir.path().join(name);
    unpack(&path("bundle/scoring_program.zip"), &path("program"));
    unpack(&path("bundle/reference_data.zip"), &path("input/ref"));
    unpack(&path("bundle/sample_submission.zip"), &path("input/res"));
    for folder in ["output", "tmp", "bin"] {
        fs::create_dir(path(folder)).unwrap();
    }
    // A `noexec` mount, as far as a script can tell: programs below these folders do not become executable.
    let run = |forbidden: &[&str]| {
        let list: Vec<_> = forbidden.iter().map(|folder| format!("{folder}/*) exit 0;;")).collect();
        let chmod = format!("#!/bin/sh\ncase \"$2\" in {} esac\nexec /bin/chmod \"$@\"\n", list.join(" "));
        fs::write(path("bin/chmod"), chmod).unwrap();
        fs::set_permissions(path("bin/chmod"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(path("program/flair-bench"), fs::Permissions::from_mode(0o644)).unwrap();
        let output = Command::new("sh")
            .arg(path("program/score.sh"))
            .args([path("input"), path("output")])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", path("bin").display()))
            .env("TMPDIR", path("tmp"))
            .output()
            .unwrap();
        // No copy of the program is left.
        assert_eq!(fs::read_dir(path("tmp")).unwrap().count(), 0);
        let left: Vec<_> = fs::read_dir(path("output")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("flair-bench")), "{left:?}");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let folders = ["program", "tmp", "output"].map(|name| path(name).display().to_string());
    let [program, tmp, output] = folders.each_ref().map(String::as_str);
    let most = [program, tmp, "/var/tmp", "/dev/shm", output];
    for count in [0, 1, 2, 4] {
        let forbidden = &most[..count];
        let _ = fs::remove_file(path("output/scores.txt"));
        let (code, log) = run(forbidden);
        assert_eq!(code, Some(0), "{forbidden:?}: {log}");
        assert!(path("output/scores.txt").exists());
    }
    let (code, log) = run(&most);
    assert_eq!(code, Some(4));
    assert!(log.contains("flair-bench does not start") && log.contains(tmp), "{log}");
}

#[test]
fn settings_are_checked_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    let settings = |text: &str| {
        fs::write(dir.path().join("challenge.yaml"), text).unwrap();
        bundle(dir.path(), &["--settings", "challenge.yaml"])
    };
    settings("titel: x").code(2).stderr(contains("titel").and(contains("challenge.yaml")));
    settings("title: short").code(2).stderr(contains("`title` has 5 characters, expected 8 to 100"));
    bundle(dir.path(), &["--start", "soon"]).code(2).stderr(contains("`phases[0].start` is not a time"));
    bundle(dir.path(), &["--pages", "none"]).code(3).stderr(contains("none"));
    bundle(dir.path(), &["--logo", "truth"]).code(3);
    assert!(!dir.path().join("out").exists());
    let touching = "title: Two phases of it\nphases: [{name: A, end: 2026-02-01}, {name: B, start: 2026-02-01}]";
    settings(touching).code(2).stderr(contains("`phases[1].start` is the end of the previous phase"));
    bundle(dir.path(), &["--settings", "challenge.yaml", "--platform", "codalab"]).success();
    fs::remove_dir_all(dir.path().join("out")).unwrap();
    settings(&touching.replace("end: 2026-02-01", "end: 2026-01-31 23:59:59")).success();
    fs::write(dir.path().join("MSK_1.tif"), "").unwrap();
    let program = assert_cmd::cargo::cargo_bin!("flair-bench").to_str().unwrap();
    flair_bench(dir.path())
        .args(["bundle", "out", "--truth", ".", "--program", program, "--replace"])
        .assert()
        .code(3)
        .stderr(contains("wrong-mask-name").and(contains("cannot be the reference data")));
}

#[test]
fn the_guides_command_makes_bundles_that_the_platforms_take() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    let guide = include_str!("../../docs/hosting.md");
    let command = guide.lines().find_map(|line| line.strip_prefix("$program bundle out/ --truth ")).unwrap();
    let options: Vec<_> = command.split(' ').skip(1).collect();
    assert!(options.contains(&"--start") && options.contains(&"--end"));
    bundle(dir.path(), &options).success();
    for platform in Platform::ALL {
        let archive = dir.path().join("out").join(format!("{}.zip", platform.name()));
        assert_eq!(schema::check(platform, &Source::open(&archive).unwrap()), []);
    }
}
