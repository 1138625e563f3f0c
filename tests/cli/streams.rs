//! Pipes and devices: commands never block on them as inputs, and never replace them as outputs.

use std::{fs, os::unix::fs::symlink, path::Path, process, time::Duration};

use predicates::str::contains;

use crate::fixture::{flair_bench, pairs, submission};

fn fifo(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn no_command_waits_for_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    pairs(root, 2);
    submission(&root.join("full/pred"), 1);
    for name in
        ["pipe", "pipe.yml", "pipe.json", "pipe.zip", "pages/overview.html", "run/score.json", "entries/a/b.json"]
    {
        fifo(&root.join(name));
    }
    let program = assert_cmd::cargo::cargo_bin!("flair-bench").to_str().unwrap();
    let score = ["score", "--truth", "truth", "--pred", "pred"];
    let bundle = ["bundle", "out", "--truth", "truth"];
    let with_program = ["bundle", "out", "--truth", "truth", "--program", program];
    let package = ["package", "full/pred", "--name", "a"];
    let cases: &[(&[&str], &[&str], i32)] = &[
        (&score, &["--protocol", "pipe.yml"], 2),
        (&score, &["--nomenclature", "pipe.yml"], 2),
        (&score, &["--by", "zone", "--metadata", "pipe"], 3),
        (&score, &["--against", "pipe.json"], 3),
        (&score, &["--against", "pipe.zip"], 3),
        (&["score", "--truth", "truth", "--pred", "pipe.zip"], &[], 3),
        (&["check", "pipe.zip"], &[], 3),
        (&["check", "full/pred"], &["--ids", "pipe"], 3),
        (&package, &["--ids", "pipe"], 3),
        (&package, &["--ids", "full/ids.txt", "--baseline-time", "1-0", "--timing", "pipe"], 3),
        (&bundle, &["--program", "pipe"], 3),
        (&with_program, &["--settings", "pipe"], 3),
        (&with_program, &["--logo", "pipe"], 3),
        (&with_program, &["--pages", "pages"], 4),
        (&["leaderboard"], &["--entries", "entries"], 3),
        (&["leaderboard"], &["--write", "pipe"], 3),
        (&["leaderboard", "add", "run", "--name", "a"], &["--input", "aerial"], 3),
    ];
    for (command, more, code) in cases {
        let output = flair_bench(root).args(*command).args(*more).timeout(Duration::from_mins(1)).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{command:?} {more:?}: {message}");
        assert!(message.contains("it is a pipe, not a regular file"), "{command:?} {more:?}: {message}");
    }
    // A mask, and a prediction.
    fs::remove_file(root.join("pred/PRED_077413.tif")).unwrap();
    fifo(&root.join("pred/PRED_077413.tif"));
    flair_bench(root).args(score).timeout(Duration::from_mins(1)).assert().code(3).stdout(contains("[not-a-file]"));
    let mask = root.join("truth/flair_2_labels_test/D015_2020/Z1_AA/msk/MSK_077414.tif");
    fs::remove_file(&mask).unwrap();
    fifo(&mask);
    flair_bench(root)
        .args(score)
        .timeout(Duration::from_mins(1))
        .assert()
        .code(3)
        .stdout(contains("[unreadable-mask]"));
}

#[test]
fn an_existing_pipe_or_device_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    pairs(root, 1);
    let score = ["score", "--truth", "truth", "--pred", "pred", "--json"];
    fifo(&root.join("pipe"));
    let reader = std::thread::spawn({
        let pipe = root.join("pipe");
        move || fs::read(pipe).unwrap()
    });
    flair_bench(root).args(score).arg("pipe").assert().success();
    assert!(String::from_utf8(reader.join().unwrap()).unwrap().contains("flair-bench/score/2"));
    assert!(!fs::metadata(root.join("pipe")).unwrap().is_file());
    #[cfg(target_os = "linux")]
    {
        symlink("/dev/full", root.join("full")).unwrap();
        flair_bench(root).args(score).arg("full").assert().code(4).stderr(contains("full"));
        assert!(root.join("full").is_symlink());
    }
    symlink("/dev/null", root.join("null")).unwrap();
    flair_bench(root).args(score).arg("null").assert().success();
    assert!(root.join("null").is_symlink());
    flair_bench(root).args(score).arg("truth").assert().failure().stderr(contains("`truth` is a folder"));
}
