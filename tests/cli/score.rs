//! `flair-bench score`.

use std::{fs, io::Read, process::Stdio};

use flair_scoring::{PatchId, raster};
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

use crate::fixture::{flair_bench, pairs, square};

const SCORE: [&str; 5] = ["score", "--truth", "truth", "--pred", "pred"];

#[test]
fn a_score_is_shown_and_written() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 3);
    let output = flair_bench(dir.path()).args(SCORE).args(["--out", "out"]).assert().success();
    insta::assert_snapshot!(String::from_utf8(output.get_output().stdout.clone()).unwrap());

    let out = dir.path().join("out");
    let report: Value = serde_json::from_slice(&fs::read(out.join("score.json")).unwrap()).unwrap();
    // Computed by hand from the fixture's rule.
    let mut matrix = [[0u64; 13]; 13];
    for number in 1..=3 {
        for i in 0..256usize {
            let truth = (i + number) % 13;
            matrix[truth][if i.is_multiple_of(7) { 0 } else { truth }] += 1;
        }
    }
    assert_eq!(report["confusion"], serde_json::json!(matrix));
    let iou = |c: usize| {
        let row: u64 = matrix[c].iter().sum();
        let column: u64 = matrix.iter().map(|row| row[c]).sum();
        matrix[c][c] as f64 / (row + column - matrix[c][c]) as f64
    };
    let mean = (0..12).map(iou).sum::<f64>() / 12.0;
    assert!((report["miou"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(report["classes"].as_array().unwrap().len(), 13);
    // A header, 13 classes, their means, six overall figures.
    assert_eq!(fs::read_to_string(out.join("score.csv")).unwrap().lines().count(), 1 + 13 + 1 + 6);
    let files = ["score.json", "score.csv", "confusion.csv", "confusion-rows.csv", "confusion-columns.csv"];
    let files: Vec<_> = files.into_iter().chain(["confusion.svg", "confusion.png"]).collect();
    assert_eq!(report["files"], serde_json::json!(files));
    assert!(fs::read_to_string(out.join("confusion.svg")).unwrap().contains("herbaceous"));
    assert!(fs::read(out.join("confusion.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn json_goes_to_a_pipe_alone() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    let output = flair_bench(dir.path()).args(SCORE).args(["--json", "-"]).assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["schema"], "flair-bench/score/2");
}

#[test]
fn a_protocol_is_a_name_or_a_file() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    let score = |arguments: &[&str]| {
        let output = flair_bench(dir.path()).args(SCORE).args(arguments).args(["--json", "-"]).assert().success();
        serde_json::from_slice::<Value>(&output.get_output().stdout).unwrap()
    };
    assert_eq!(score(&[])["protocol"], "flair2");
    let hub = score(&["--protocol", "flair-hub"]);
    assert_eq!((&hub["protocol"], &hub["definition"]["excluded_pixels"]), (&"flair-hub".into(), &"removed".into()));
    assert_eq!(score(&["--nomenclature", "flair-19"])["protocol"], "flair2/flair-19");
    fs::write(dir.path().join("mine.yml"), "{name: mine, nomenclature: flair2-13, excluded: [other, water]}").unwrap();
    let mine = score(&["--protocol", "mine.yml"]);
    assert!(mine["protocol"].as_str().unwrap().starts_with("mine@"));
    assert_eq!(mine["classes_averaged"], 11);

    flair_bench(dir.path()).args(SCORE).args(["--protocol", "nothing"]).assert().code(2).stderr(contains("flair-hub"));
    flair_bench(dir.path())
        .args(SCORE)
        .args(["--protocol", "none.yml"])
        .assert()
        .code(2)
        .stderr(contains("`none.yml`"));
    for (name, text) in flair_scoring::protocol::PROTOCOLS {
        flair_bench(dir.path()).args(["protocol", name]).assert().success().stdout(text);
    }
    flair_bench(dir.path()).arg("protocol").assert().success().stdout(contains("flair-hub-19"));
}

#[test]
fn a_protocols_file_is_begun_and_looked_through() {
    let dir = tempfile::tempdir().unwrap();
    let output = flair_bench(dir.path()).args(["protocol", "--example"]).assert().success();
    let example = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    // The documentation shows the same file.
    assert!(include_str!("../../docs/scoring.md").contains(&format!("```yaml\n{example}```\n")));
    let look = |text: &str| {
        fs::write(dir.path().join("mine.yml"), text).unwrap();
        flair_bench(dir.path()).args(["protocol", "mine.yml"]).assert()
    };
    let output = look(&example).success();
    insta::assert_snapshot!(String::from_utf8(output.get_output().stdout.clone()).unwrap());
    pairs(dir.path(), 2);
    flair_bench(dir.path())
        .args(SCORE)
        .args(["--protocol", "mine.yml", "--out-of-range", "drop"])
        .assert()
        .success()
        .stdout(contains("protocol woods-and-fields@"));

    look(&example.replace("labels: [4]", "labels: [400]")).code(2).stdout("").stderr(contains("from 0 to 255"));
    look(&example.replace("excluded: [", "excluded: [x, ")).code(2).stderr(contains("`mine.yml` is no protocol"));
    let unknown = flair_bench(dir.path()).args(["protocol", "flair3"]).assert().code(2);
    unknown.stderr(contains("flair-hub-19, or a file that ends in .yml"));
}

#[test]
fn an_archive_scores_like_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=2 {
        let id = PatchId::new(77_412 + number).unwrap();
        let name = dir.path().join("truth").join(id.file_name("MSK"));
        raster::write(&name, &square(512, |i| 1 + (i % 13) as u8)).unwrap();
        let name = dir.path().join("pred").join(id.file_name("PRED"));
        raster::write(&name, &square(512, |i| (i / 3 % 13) as u8)).unwrap();
    }
    flair_bench(dir.path()).args(["package", "pred", "--name", "x"]).assert().success();
    let score = |pred: &str| {
        let arguments = ["score", "--truth", "truth", "--pred", pred, "--json", "-"];
        flair_bench(dir.path()).args(arguments).assert().success().get_output().stdout.clone()
    };
    assert_eq!(score("x.zip"), score("pred"));
}

#[test]
fn values_above_12_are_refused_or_dropped_by_option() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    // All predicted classes are right: upstream's scorer gives it the full score.
    let name = PatchId::new(77_413).unwrap().file_name("PRED");
    let gamed = square(16, |i| if i < 10 { 255 } else { ((i + 1) % 13) as u8 });
    raster::write(&dir.path().join("pred").join(&name), &gamed).unwrap();
    flair_bench(dir.path())
        .args(SCORE)
        .assert()
        .code(3)
        .stdout(contains("[value-out-of-range] PRED_077413.tif: 10 pixels").and(contains("255")))
        .stderr(contains("not scored"));
    flair_bench(dir.path())
        .args(SCORE)
        .args(["--out-of-range", "drop", "--json", "score.json"])
        .assert()
        .success()
        .stdout(contains("10 pixels are left out"));
    let report: Value = serde_json::from_slice(&fs::read(dir.path().join("score.json")).unwrap()).unwrap();
    assert_eq!((&report["dropped_pixels"], &report["out_of_range"]), (&10.into(), &"drop".into()));
}

#[test]
fn classes_counted_from_1_are_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    let write = |largest: u8| {
        for number in 1..=2_u32 {
            let label = |i: usize| 1 + ((i + number as usize) % 13) as u8;
            let name = PatchId::new(77_412 + number).unwrap().file_name("PRED");
            let class = |i: usize| if i.is_multiple_of(7) { 1 } else { label(i).min(largest) };
            raster::write(&dir.path().join("pred").join(name), &square(16, class)).unwrap();
        }
    };
    // Without 13 it is scored; the corrected predictions have the stated score.
    write(12);
    let shifted = "labels seem counted from 1: shifted, the mIoU would be 0.";
    let scored = flair_bench(dir.path()).args(SCORE).args(["--json", "score.json"]).assert().success();
    scored.stdout(contains(format!("warning [one-based] all predictions: {shifted}")));
    let report: Value = serde_json::from_slice(&fs::read(dir.path().join("score.json")).unwrap()).unwrap();
    let message = report["findings"][0]["message"].as_str().unwrap().to_owned();
    flair_bench(dir.path()).args(SCORE).args(["--json", "-"]).assert().success().stderr(contains(message.as_str()));
    flair_bench(dir.path()).args(SCORE).args(["--csv", "-"]).assert().success().stdout(contains(message.as_str()));
    let against = flair_bench(dir.path()).args(SCORE).args(["--against", "pred"]).assert().success();
    against.stdout(contains(format!("note: of `pred`: {shifted}")));
    for number in 1..=2_u32 {
        let name = dir.path().join("pred").join(PatchId::new(77_412 + number).unwrap().file_name("PRED"));
        let raster = raster::decode(&fs::read(&name).unwrap(), &raster::Limits::default()).unwrap();
        raster::write(&name, &square(16, |i| raster.samples()[i] - 1)).unwrap();
    }
    let output = flair_bench(dir.path()).args(SCORE).args(["--json", "-"]).assert().success().stderr("");
    let corrected: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert!(message.contains(&format!("would be {:.4} instead of", corrected["miou"].as_f64().unwrap())), "{message}");
    // With 13 it is refused, and the score is stated all the same.
    write(13);
    let refused = flair_bench(dir.path()).args(SCORE).assert().code(3);
    refused.stdout(contains("[value-out-of-range]").and(contains(shifted)));
}

#[test]
fn a_second_score_leaves_nothing_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    let out = dir.path().join("out");
    let first = ["--by", "domain", "--against", "pred", "--out", "out"];
    flair_bench(dir.path()).args(SCORE).args(first).assert().success();
    for name in ["score-by-domain.csv", "classes-by-domain.csv", "confusion-by-domain.csv", "comparison.csv"] {
        assert!(out.join(name).exists(), "{name}");
    }
    // A table of somebody else under one of the names.
    fs::write(out.join("score-by-patch.csv"), "my,own\n").unwrap();
    flair_bench(dir.path()).args(SCORE).args(["--by", "zone", "--out", "out"]).assert().success();
    let report: Value = serde_json::from_slice(&fs::read(out.join("score.json")).unwrap()).unwrap();
    let named = report["files"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let mut named: Vec<_> = named.chain(["score-by-patch.csv".to_owned()]).collect();
    let mut left: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    named.sort();
    left.sort();
    assert_eq!(left, named);
    // A run that stops in between leaves no record: the last file cannot be written.
    fs::remove_file(out.join("confusion.png")).unwrap();
    fs::create_dir(out.join("confusion.png")).unwrap();
    flair_bench(dir.path()).args(SCORE).args(["--out", "out"]).assert().code(4);
    assert!(!out.join("score.json").exists());
}

#[test]
fn all_findings_are_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 5);
    let pred = |number: u32| dir.path().join("pred").join(PatchId::new(77_412 + number).unwrap().file_name("PRED"));
    fs::remove_file(pred(1)).unwrap();
    raster::write(&pred(2), &square(8, |_| 0)).unwrap();
    fs::write(pred(3), b"no picture").unwrap();
    fs::rename(pred(4), pred(9)).unwrap();
    let output = flair_bench(dir.path()).args(SCORE).args(["--json", "score.json"]).assert().code(3);
    insta::assert_snapshot!(String::from_utf8(output.get_output().stdout.clone()).unwrap());
    assert!(!dir.path().join("score.json").exists());
}

#[test]
fn wrong_paths_and_names_have_their_codes() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    flair_bench(dir.path())
        .args(["score", "--truth", "none", "--pred", "pred"])
        .assert()
        .code(3)
        .stderr(contains("none"));
    flair_bench(dir.path()).args(SCORE).args(["--figure", "x.jpg"]).assert().code(2).stderr(contains(".svg or .png"));
    flair_bench(dir.path()).args(SCORE).assert().success().stdout(contains(", 1 patch, protocol flair2"));
    fs::write(dir.path().join("file"), b"").unwrap();
    flair_bench(dir.path()).args(SCORE).args(["--out", "file/below"]).assert().code(4).stderr(contains("file/below"));
    fs::create_dir(dir.path().join("empty")).unwrap();
    flair_bench(dir.path()).args(["score", "--truth", "empty", "--pred", "pred"]).assert().code(3);
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("flair-bench"))
        .args(["leaderboard", "--format", "json"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut talk = String::new();
    child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
    assert_eq!((child.wait().unwrap().code(), talk.as_str()), (Some(0), ""));
}

#[test]
fn a_mistake_of_all_files_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 60);
    for number in 1..=60 {
        let name = PatchId::new(77_412 + number).unwrap().file_name("PRED");
        raster::write(&dir.path().join("pred").join(name), &square(16, |i| if i == 0 { 255 } else { 0 })).unwrap();
    }
    let line =
        "error   [value-out-of-range] 077413-077472: 60 pixels out of range: 255 (60); classes are 0..=12 (60 files)\n";
    flair_bench(dir.path()).args(SCORE).assert().code(3).stdout(line);

    for (number, ending) in [(1, "TIF"), (2, "tiff"), (3, "TIFF")] {
        let id = PatchId::new(77_412 + number).unwrap();
        let path = |end: &str| dir.path().join("pred").join(format!("PRED_{id}.{end}"));
        fs::rename(path("tif"), path(ending)).unwrap();
    }
    let limited = flair_bench(dir.path()).args(SCORE).args(["--max-findings", "2"]).assert().code(3);
    limited.stdout(contains("[wrong-name]").count(2).and(contains("… and 2 more (--max-findings 0 shows all)")));
    // With `--json` there is an object even without a score.
    let output = flair_bench(dir.path()).args(SCORE).args(["--json", "-"]).assert().code(3);
    let refusal: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!((&refusal["schema"], &refusal["pred"]), (&"flair-bench/refusal/1".into(), &"pred".into()));
    let codes: Vec<_> = refusal["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert_eq!(codes, ["wrong-name", "wrong-name", "missing-prediction", "value-out-of-range"]);
    let limited = flair_bench(dir.path()).args(SCORE).args(["--json", "-", "--max-findings", "3"]).assert().code(3);
    let refusal: Value = serde_json::from_slice(&limited.get_output().stdout).unwrap();
    assert_eq!((refusal["findings"].as_array().unwrap().len(), &refusal["truncated"]), (3, &1.into()));
}

#[test]
fn masks_under_other_names_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 3);
    let zone = dir.path().join("truth/flair_2_labels_test/D015_2020/Z1_AA/msk");
    fs::rename(zone.join("MSK_077413.tif"), zone.join("msk_077413.tif")).unwrap();
    fs::rename(zone.join("MSK_077414.tif"), zone.join("MSK_077414.tiff")).unwrap();
    let result = flair_bench(dir.path()).args(SCORE).assert().code(3);
    result.stdout(
        contains("[wrong-mask-name]").count(2).and(contains("[extra-prediction] 077413-077414: 2 predictions")),
    );
}

#[test]
fn csv_goes_to_a_pipe_alone() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    flair_bench(dir.path()).args(SCORE).args(["--csv", "score.csv"]).assert().success();
    let written = fs::read_to_string(dir.path().join("score.csv")).unwrap();
    flair_bench(dir.path()).args(SCORE).args(["--csv", "-"]).assert().success().stdout(written);
    assert!(!dir.path().join("-").exists());
    for other in [["--json", "-"], ["--format", "evalai"]] {
        let refused = flair_bench(dir.path()).args(SCORE).args(["--csv", "-"]).args(other).assert().code(2);
        refused.stderr(contains("standard output cannot hold both").and(contains(other.join(" "))));
    }
    fs::remove_file(dir.path().join("pred/PRED_077413.tif")).unwrap();
    let refused = flair_bench(dir.path()).args(SCORE).args(["--csv", "-"]).assert().code(3);
    refused.stdout("").stderr(contains("[missing-prediction] 077413"));
}
