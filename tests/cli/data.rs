//! `flair-bench data`.

use std::fs;

use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

use crate::fixture::{files_below, flair_bench};

#[test]
fn a_dataset_is_audited() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let audit = ["data", "audit", "toy"];
    flair_bench(dir.path())
        .args(audit)
        .assert()
        .success()
        .stdout(contains("2 of 40 domains").and(contains("0 errors, 0 warnings, ")).and(contains("of 61712")));
    let zones = flair_bench(dir.path()).args(audit).arg("--zones").assert().success();
    assert!(String::from_utf8_lossy(&zones.get_output().stdout).contains("/Z1_"));

    let tree = dir.path().join("toy/flair_labels_train");
    let mask = files_below(&tree).into_iter().find(|path| path.extension().is_some_and(|e| e == "tif")).unwrap();
    fs::write(mask, b"no image").unwrap();
    flair_bench(dir.path())
        .args(audit)
        .args(["--max-findings", "1"])
        .assert()
        .code(1)
        .stdout(contains("error   [unusable-raster]").and(contains("more (--max-findings 0 shows all)")));
    let output = flair_bench(dir.path()).args(audit).arg("--json").assert().code(1);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!((&report["schema"], &report["errors"]), (&"flair-bench/audit/1".into(), &1.into()));
    assert_eq!((&report["truncated"], &report["parts"][0]["zones"]["published"]), (&0.into(), &757.into()));
    flair_bench(dir.path())
        .args(["check", "--explain", "unusable-raster"])
        .assert()
        .success()
        .stdout(contains("an image or a mask cannot be read"));
}
