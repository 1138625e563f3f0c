//! `flair-bench check` and `flair-bench package`.

use std::{fs, path::Path};

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
fn times_that_do_not_count_are_reported() {
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
    assert!(!dir.path().join("x_5-57_14-53.zip").exists());
    package(800, 0).code(0);
    // The times in a name have the same effect.
    fs::rename(dir.path().join("x_5-57_13-20.zip"), dir.path().join("x_5-57_14-54.zip")).unwrap();
    let check = ["check", "x_5-57_14-54.zip", "--ids", "ids.txt"];
    flair_bench(dir.path()).args(check).assert().code(1).stdout(contains("error   [over-time]"));
    flair_bench(dir.path()).args(check).args(["--factor", "3"]).assert().code(0);
    flair_bench(dir.path())
        .args(["package", "pred", "--name", "x", "--timing", "timing.json", "--baseline-time", "0-0"])
        .assert()
        .code(2);
    let kept = Timing { patches: 0, kept_patches: 1, ..timing(1) };
    write_timing(dir.path(), &kept);
    let arguments = ["package", "pred", "--name", "x", "--timing", "timing.json", "--baseline-time", "5-57"];
    flair_bench(dir.path()).args(arguments).assert().code(3).stderr(contains("does not cover 1 patches"));
}

fn timing(patches: u64) -> Timing {
    Timing::new(std::time::Duration::from_millis(1_530), patches, Devices { nodes: 1, per_node: 1 })
}

fn write_timing(root: &Path, timing: &Timing) {
    fs::write(root.join("timing.json"), serde_json::to_string(timing).unwrap()).unwrap();
}

#[test]
fn a_timing_record_is_that_of_the_packed_predictions_and_rounded_up() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 3);
    let package = |baseline| {
        let arguments = ["package", "pred", "--name", "x", "--timing", "timing.json", "--baseline-time", baseline];
        flair_bench(dir.path()).args(arguments).assert()
    };
    write_timing(dir.path(), &timing(16));
    package("5-57").code(3).stderr(contains(
        "`timing.json` is not the timing record of `pred`: enclose that of the run that made them: \
         it times 16 patches, not the 3 at hand",
    ));
    write_timing(dir.path(), &timing(3));
    package("5-57").success().stdout(contains("x_5-57_0-2.zip: 3 predictions"));
    for baseline in ["0-0", "-1-0", "1440-1"] {
        package(baseline).code(2);
    }
}

#[test]
fn times_that_misspelling_hides_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 1);
    flair_bench(dir.path()).args(["package", "pred", "--name", "x"]).assert().success();
    let check = |name: &str| {
        fs::copy(dir.path().join("x.zip"), dir.path().join(name)).unwrap();
        flair_bench(dir.path()).args(["check", name, "--ids", "ids.txt"]).assert()
    };
    for name in ["x_4-0_60-0.ZIP", "my run_4-0_60-0.zip"] {
        check(name).code(1).stdout(contains("error   [over-time]"));
    }
    for name in ["x_4-0_14-60.zip", "x_4-0_014-40.zip", "x_4-0 _60-0.zip", "x_4-0_60-0 (1).zip", "x_0-0_1-0.zip"] {
        check(name).code(1).stdout(contains("error   [malformed-times]"));
    }
}

#[test]
fn classes_counted_from_1_are_packed_only_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 2);
    for number in [77_413, 77_414] {
        let name = dir.path().join("pred").join(PatchId::new(number).unwrap().file_name("PRED"));
        raster::write(&name, &square(512, |i| 1 + (i / 64 % 12) as u8)).unwrap();
    }
    let check = flair_bench(dir.path()).args(["check", "pred", "--ids", "ids.txt"]).assert().success();
    check.stdout(contains("valid, but it looks like a mistake: 2 of 2 expected predictions"));
    let package = ["package", "pred", "--name", "x", "--ids", "ids.txt"];
    flair_bench(dir.path())
        .args(package)
        .assert()
        .code(1)
        .stdout(contains("[one-based]").and(contains("nothing was packed (--as-is packs them as they are)")));
    assert!(!dir.path().join("x.zip").exists());
    flair_bench(dir.path()).args(package).arg("--as-is").assert().success();
    assert!(dir.path().join("x.zip").exists());
}

#[test]
fn a_bad_submission_is_reported_and_not_packed() {
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
fn classes_are_those_of_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 1);
    raster::write(&dir.path().join("pred/PRED_077413.tif"), &square(512, |i| (i % 19) as u8)).unwrap();
    fs::write(dir.path().join("own.yml"), "{name: own, nomenclature: flair-19}").unwrap();
    let run = |arguments: &[&str]| flair_bench(dir.path()).args(arguments).args(["--ids", "ids.txt"]).assert();
    let (check, package) = (["check", "pred"], ["package", "pred", "--name", "x"]);
    run(&check).code(1).stdout(contains("above 12, the last class"));
    for rules in [["--protocol", "own.yml"], ["--nomenclature", "flair-19"]] {
        run(&[&check[..], &rules].concat()).code(0);
        run(&[&package[..], &rules].concat()).code(0);
    }
    run(&[&check[..], &["--protocol", "none"]].concat()).code(2);
}

#[test]
fn the_official_test_set_has_a_keyword() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 2);
    let missing = contains("[missing-prediction] 077415-093462: 16048 of 16050 expected predictions are missing");
    flair_bench(dir.path()).args(["check", "pred", "--official"]).assert().code(1).stdout(missing);
    flair_bench(dir.path()).args(["package", "pred", "--name", "x", "--official"]).assert().code(1);
    flair_bench(dir.path()).args(["check", "pred", "--official", "--ids", "ids.txt"]).assert().code(2);
}

#[test]
fn many_findings_are_truncated_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let pred = dir.path().join("pred");
    submission(&pred, 1);
    for number in 0..60 {
        fs::create_dir_all(pred.join("again")).unwrap();
        let name = PatchId::new(number).unwrap().file_name("PRED");
        fs::write(pred.join(&name), b"").unwrap();
        fs::write(pred.join("again").join(&name), b"").unwrap();
    }
    let lines = |arguments: &[&str]| {
        let output = flair_bench(dir.path()).args(["check", "pred"]).args(arguments).assert().code(1);
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    // 60 duplicates, the empty files, the other part of the dataset, no list of patches.
    let text = lines(&[]);
    assert_eq!(text.lines().count(), 52);
    assert!(text.contains("\n… and 13 more (--max-findings 0 shows all)\n"), "{text}");
    assert!(text.ends_with("; 61 errors, 1 warning, 1 note\n"), "{text}");
    assert_eq!(lines(&["--max-findings", "0"]).lines().count(), 64);
    let report =
        |arguments: &[&str]| -> Value { serde_json::from_str(&lines(&[&["--json"], arguments].concat())).unwrap() };
    let (all, cut) = (report(&[]), report(&["--max-findings", "3"]));
    let count = |report: &Value| report["findings"].as_array().unwrap().len();
    assert_eq!((count(&all), &all["truncated"]), (63, &0.into()));
    assert_eq!((count(&cut), &cut["truncated"]), (3, &60.into()));
    assert_eq!(all["counts"], cut["counts"]);
}

#[test]
fn a_code_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let output = flair_bench(dir.path()).args(["check", "--explain", "one-based"]).assert().success();
    insta::assert_snapshot!(String::from_utf8(output.get_output().stdout.clone()).unwrap(), @r#"
    one-based (warning): values look like classes counted from 1
      cause  Classes were trained or written with the masks' numbering, 1 to 13. Reported if 13 occurs and 0 (nearly) never does; also if many patches (20 with 10 different values, or all expected ones with 6) have no pixel of 0, since a network may never predict the last class, "other". Where the masks are known, reported if the mIoU of the shifted predictions is at least twice as high, and most classes gain.
      fix    Subtract 1 from every pixel: classes are counted from 0, and 12 is "other". If the patches really have no building, ignore this.
    "#);
    flair_bench(dir.path()).args(["check", "--explain", "one-basd"]).assert().code(2).stderr(contains("'one-based'"));
    flair_bench(dir.path()).arg("check").assert().code(2);
}

#[test]
fn paths_that_are_not_submissions_have_their_exit_codes() {
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
