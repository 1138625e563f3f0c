//! `flair-bench leaderboard`, and the README's table.

use std::{fs, path::Path};

use predicates::{prelude::PredicateBooleanExt, str::contains};

use crate::fixture::{flair_bench, pairs};

#[test]
fn each_benchmark_has_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let output = flair_bench(dir.path()).args(["leaderboard", "--benchmark", "FLAIR#2 test"]).assert().success();
    insta::assert_snapshot!(String::from_utf8(output.get_output().stdout.clone()).unwrap());
    flair_bench(dir.path())
        .args(["leaderboard", "--benchmark", "FLAIR#9"])
        .assert()
        .code(2)
        .stderr(contains("`FLAIR#2 test`"));
    for (format, part) in [("csv", "benchmark,"), ("json", "\"benchmark\""), ("markdown", "### FLAIR")] {
        flair_bench(dir.path()).args(["leaderboard", "--format", format]).assert().success().stdout(contains(part));
    }
}

#[test]
fn a_run_becomes_a_row() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    let score = ["score", "--truth", "truth", "--pred", "pred", "--out", "run"];
    flair_bench(dir.path()).args(score).assert().success();
    let add = ["leaderboard", "add", "run", "--name", "ours | <b>", "--input", "aerial"];
    flair_bench(dir.path()).args(add).assert().success().stdout(contains("leaderboard/entries"));
    flair_bench(dir.path()).args(add).assert().code(2).stderr(contains("--replace").or(contains("already")));
    flair_bench(dir.path()).args(add).arg("--replace").assert().success();

    fs::write(dir.path().join("page.md"), "# Page\n<!-- leaderboard:begin -->\nold\n<!-- leaderboard:end -->\n")
        .unwrap();
    let write = ["leaderboard", "--write", "page.md"];
    flair_bench(dir.path()).args(write).assert().success().stdout(contains("written"));
    flair_bench(dir.path()).args(write).assert().success().stdout(contains("is current"));
    let page = fs::read_to_string(dir.path().join("page.md")).unwrap();
    assert!(page.contains("(2 patches)") && page.contains("ours") && !page.contains("old") && !page.contains("<b>"));
    fs::write(dir.path().join("page.md"), "no markers\n").unwrap();
    flair_bench(dir.path()).args(write).assert().code(3).stderr(contains("page.md").and(contains("marker")));
    flair_bench(dir.path()).args(["leaderboard", "add", "pred", "--name", "x"]).assert().code(3);
}

#[test]
fn the_readmes_table_is_current() {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(root.join("README.md"), dir.path().join("README.md")).unwrap();
    let entries = root.join("leaderboard/entries");
    flair_bench(dir.path())
        .args(["leaderboard", "--write", "README.md", "--benchmark", "FLAIR#2 test", "--entries"])
        .arg(entries)
        .assert()
        .success()
        .stdout(contains("is current"));
}
