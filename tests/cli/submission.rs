//! `flair-bench check` and `flair-bench package`.

use std::fs;

use flair_scoring::{
    PatchId, raster,
    timing::{Devices, Timing},
};
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

use crate::fixture::{flair_bench, square, submission};

#[test]
fn a_good_submission_is_checked_and_packed() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 3);
    let check = ["check", "pred", "--ids", "ids.txt"];
    flair_bench(dir.path()).args(check).assert().success().stdout(contains("valid: 3 of 3 expected predictions"));

    let timing = Timing::new(std::time::Duration::from_secs(880), 3, Devices { nodes: 1, per_node: 1 });
    fs::write(dir.path().join("timing.json"), serde_json::to_string(&timing).unwrap()).unwrap();
    let package = ["package", "pred", "--name", "run", "--ids", "ids.txt", "--timing", "timing.json"];
    let timed = |out: &str| {
        flair_bench(dir.path()).args(package).args(["--baseline-time", "5-57", "--out", out]).assert().success();
        fs::read(dir.path().join(out).join("run_5-57_14-40.zip")).unwrap()
    };
    assert_eq!(timed("a"), timed("b"), "the same predictions give the same bytes");
    let check = ["check", "a/run_5-57_14-40.zip", "--ids", "ids.txt"];
    flair_bench(dir.path()).args(check).assert().success();
    flair_bench(dir.path()).args(["package", "pred", "--name", "run"]).assert().success();
    assert!(dir.path().join("run.zip").exists());
}

#[test]
fn times_that_do_not_count_are_told() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 1);
    let package = |seconds, kept_patches| {
        let elapsed = std::time::Duration::from_secs(seconds);
        let timing = Timing { kept_patches, ..Timing::new(elapsed, 1, Devices { nodes: 1, per_node: 1 }) };
        fs::write(dir.path().join("timing.json"), serde_json::to_string(&timing).unwrap()).unwrap();
        let arguments = ["package", "pred", "--name", "x", "--timing", "timing.json", "--baseline-time", "5-57"];
        flair_bench(dir.path()).args(arguments).assert()
    };
    package(893, 0).code(1).stderr(contains("longer than the rules allow"));
    package(800, 0).code(0);
    flair_bench(dir.path())
        .args(["package", "pred", "--name", "x", "--timing", "timing.json", "--baseline-time", "0-0"])
        .assert()
        .code(2);
    package(800, 4).code(3).stderr(contains("does not cover 4 patches"));
}

#[test]
fn a_bad_submission_is_told_whole_and_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let pred = dir.path().join("pred");
    submission(&pred, 4);
    let file = |number: u32| pred.join(PatchId::new(77_412 + number).unwrap().file_name("PRED"));
    fs::remove_file(file(1)).unwrap();
    raster::write(&file(2), &square(512, |i| (1 + i % 13) as u8)).unwrap();
    raster::write(&file(3), &square(256, |i| (i % 12) as u8)).unwrap();
    fs::write(pred.join("IMG_077413.tif"), b"").unwrap();
    fs::write(pred.join(".DS_Store"), b"").unwrap();

    let output = flair_bench(dir.path()).args(["check", "pred", "--ids", "ids.txt"]).assert().code(1);
    insta::assert_snapshot!(String::from_utf8(output.get_output().stdout.clone()).unwrap());
    let output = flair_bench(dir.path()).args(["check", "pred", "--ids", "ids.txt", "--json"]).assert().code(1);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!((&report["valid"], &report["schema"]), (&false.into(), &"flair-bench/check/1".into()));

    let package = ["package", "pred", "--name", "x", "--ids", "ids.txt"];
    flair_bench(dir.path()).args(package).assert().code(1).stdout(contains("nothing was packed"));
    assert!(!dir.path().join("x.zip").exists());
}

#[test]
fn what_is_no_submission_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["check", "none.zip"]).assert().code(3);
    fs::write(dir.path().join("x.zip"), b"PK no archive").unwrap();
    flair_bench(dir.path()).args(["check", "x.zip"]).assert().code(1).stdout(contains("unreadable-archive"));
    submission(&dir.path().join("pred"), 1);
    fs::write(dir.path().join("ids.txt"), "077413\nseven\n").unwrap();
    flair_bench(dir.path())
        .args(["check", "pred", "--ids", "ids.txt"])
        .assert()
        .code(3)
        .stderr(contains("ids.txt").and(contains("2")));
    flair_bench(dir.path()).args(["package", "pred", "--name", "../x"]).assert().code(2);
}
