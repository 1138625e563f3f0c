//! Help, completions, manual pages, and what the command line refuses.

use std::fs;

use predicates::str::contains;

use crate::fixture::flair_bench;

#[test]
#[cfg(feature = "baselines")]
fn help_teaches_the_commands_and_the_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let output = flair_bench(dir.path()).arg("--help").assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let name = if cfg!(feature = "baselines") {
        "help_teaches_the_commands_and_the_exit_codes"
    } else {
        "help_without_the_networks"
    };
    insta::assert_snapshot!(name, text);
}

#[cfg(feature = "baselines")]
#[test]
fn help_of_run_baseline() {
    let dir = tempfile::tempdir().unwrap();
    let output = flair_bench(dir.path()).args(["run", "baseline", "--help"]).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    insta::assert_snapshot!(text);
}

#[cfg(feature = "baselines")]
#[test]
fn help_of_finish() {
    let dir = tempfile::tempdir().unwrap();
    let output = flair_bench(dir.path()).args(["finish", "--help"]).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["completions", "bash"]).assert().success().stdout(contains("complete -F"));
    flair_bench(dir.path()).arg("man").assert().success().stdout(contains(".TH flair-bench"));
    flair_bench(dir.path()).args(["man", "--out", "pages"]).assert().success();
    let page = fs::read_to_string(dir.path().join("pages/flair-bench-score.1")).unwrap();
    assert!(page.contains("out\\-of\\-range"));
}

#[test]
fn a_wrong_command_line_is_usage() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).arg("scoer").assert().code(2).stderr(contains("score"));
    flair_bench(dir.path()).args(["package", ".", "--name", "x", "--baseline-time", "5:57"]).assert().code(2);
}
