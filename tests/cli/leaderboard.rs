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
    assert!(page.contains("(2 patches, ") && page.contains("ours") && !page.contains("old") && !page.contains("<b>"));
    fs::write(dir.path().join("page.md"), "no markers\n").unwrap();
    flair_bench(dir.path()).args(write).assert().code(3).stderr(contains("page.md").and(contains("marker")));
    flair_bench(dir.path()).args(["leaderboard", "add", "pred", "--name", "x"]).assert().code(3);
}

/// Scores tiny predictions of that many patches into `run`.
fn scored(folder: &Path, patches: u32, run: &str) {
    let _ = fs::remove_dir_all(folder.join("truth")).and_then(|()| fs::remove_dir_all(folder.join("pred")));
    pairs(folder, patches);
    flair_bench(folder).args(["score", "--truth", "truth", "--pred", "pred", "--out", run]).assert().success();
}

#[test]
fn no_entry_replaces_one_of_another_name() {
    let dir = tempfile::tempdir().unwrap();
    scored(dir.path(), 1, "run");
    let add = |name: &str| {
        let mut command = flair_bench(dir.path());
        command.args(["leaderboard", "add", "run", "--benchmark", "my board", "--name", name]);
        command
    };
    for name in ["日本", "中国", "Team", "team", "team!"] {
        add(name).assert().success();
    }
    add("日本").assert().code(2).stderr(contains("already"));
    add("日本").arg("--replace").assert().success();
    let listed = flair_bench(dir.path()).args(["leaderboard", "--format", "csv"]).assert().success();
    let listed = String::from_utf8(listed.get_output().stdout.clone()).unwrap();
    assert_eq!(listed.lines().filter(|line| line.starts_with("my board,")).count(), 5, "{listed}");
}

#[test]
fn a_benchmark_has_one_name_and_one_test_set() {
    let dir = tempfile::tempdir().unwrap();
    scored(dir.path(), 1, "run");
    scored(dir.path(), 2, "other");
    let add = |run: &str, benchmark: &str, name: &str| {
        let mut command = flair_bench(dir.path());
        command.args(["leaderboard", "add", run, "--benchmark", benchmark, "--name", name]);
        command
    };
    let tset = contains("`FLAIR#2 tset` is a new benchmark; the nearest known one is `FLAIR#2 test`");
    add("run", "FLAIR#2 tset", "a").assert().success().stderr(tset);
    add("run", "FLAIR 2-TSET", "b").assert().success().stdout(contains("on FLAIR#2 tset")).stderr("");
    add("run", "FLAIR2 test", "strakajk").assert().code(3).stderr(contains("the test set has 16050 patches"));
    let other_set = contains("it was scored on 2 patches, which are not the 1 of its entry `a`");
    add("other", "FLAIR#2 tset", "c").assert().code(2).stderr(other_set);
}

#[test]
fn a_timing_record_of_other_patches_makes_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    scored(dir.path(), 2, "run");
    let timing = r#"{"schema": "flair-bench/timing/1", "seconds": 1.5, "nodes": 1, "devices_per_node": 1, "device_seconds": 1.5,
        "patches": 16, "patches_per_second": 1.0, "kept_patches": 0, "covers": [], "device": "cpu", "hardware": "",
        "threads": 1, "version": "", "notes": []}"#;
    fs::write(dir.path().join("run/timing.json"), timing).unwrap();
    let add = ["leaderboard", "add", "run", "--name", "x"];
    let names_both = contains("timing.json`: it is of 16 patches, but").and(contains("score.json` is of 2:"));
    flair_bench(dir.path()).args(add).assert().code(3).stderr(names_both);
    fs::write(dir.path().join("run/timing.json"), timing.replace("16", "2")).unwrap();
    flair_bench(dir.path()).args(add).assert().success();
}

#[test]
fn a_page_keeps_the_tables_of_other_benchmarks() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.md");
    let pair = |name: &str| format!("<!-- leaderboard:begin --benchmark \"{name}\" -->\n<!-- leaderboard:end -->\n");
    fs::write(&page, pair("FLAIR#2 test")).unwrap();
    let write = ["leaderboard", "--write", "page.md"];
    let other = [&write[..], &["--benchmark", "FLAIR#1 test"]].concat();
    flair_bench(dir.path()).args(&other).assert().code(3).stderr(contains("they are of `FLAIR#2 test`"));
    fs::write(&page, pair("FLAIR#2 test") + &pair("flair1 test")).unwrap();
    flair_bench(dir.path()).args(&other).assert().success();
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("FLAIR\\#1 test") && !text.contains("strakajk"), "{text}");
    flair_bench(dir.path()).args(write).assert().success();
    assert!(fs::read_to_string(&page).unwrap().contains("strakajk"));
    flair_bench(dir.path()).args(other).assert().success().stdout(contains("is current"));
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
