//! `flair-bench score`, beyond one number.

use std::{fs, path::Path};

use flair_scoring::{PatchId, raster};
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

use crate::fixture::{flair_bench, square};

const SCORE: [&str; 5] = ["score", "--truth", "truth", "--pred", "pred"];

/// Eight patches of 32 × 32 pixels: blocks of water, buildings and woods, in two domains of two zones each;
/// predictions in `pred`, shifted by a pixel or two, and better ones in `better`.
fn patches(root: &Path) {
    for number in 1..=8_usize {
        let id = PatchId::new(u32::try_from(number).unwrap()).unwrap();
        let class = |x: usize, y: usize| [0, 4, 6][(x / (7 + number) + y / 9) % 3];
        let shifted = |by: usize| square(32, |i| class(i % 32 + by, i / 32));
        let zone = format!("truth/D00{}_2020/Z{}_UA/msk", 1 + (number - 1) / 4, 1 + (number - 1) / 2 % 2);
        let mask = square(32, |i| class(i % 32, i / 32) + 1);
        raster::write(&root.join(zone).join(id.file_name("MSK")), &mask).unwrap();
        raster::write(&root.join("pred").join(id.file_name("PRED")), &shifted(1 + number % 2)).unwrap();
        raster::write(&root.join("better").join(id.file_name("PRED")), &shifted(number % 2)).unwrap();
    }
}

fn output(root: &Path, arguments: &[&str]) -> String {
    let output = flair_bench(root).args(SCORE).args(arguments).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn record(root: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&output(root, &[arguments, &["--json", "-"]].concat())).unwrap()
}

#[test]
fn all_requested_parts_are_shown_and_written() {
    let dir = tempfile::tempdir().unwrap();
    patches(dir.path());
    let arguments = ["--by", "zone", "--worst", "3", "--bootstrap", "--boundary", "--out", "out"];
    insta::assert_snapshot!(output(dir.path(), &arguments));
    let out = dir.path().join("out");
    assert_eq!(fs::read_to_string(out.join("score-by-zone.csv")).unwrap().lines().count(), 5);

    let report: Value = serde_json::from_slice(&fs::read(out.join("score.json")).unwrap()).unwrap();
    let drawn = serde_json::json!({
        "unit": "zone", "units": 4, "bootstrap": {"replicates": 2000, "level": 0.95, "seed": 2022}
    });
    assert_eq!(report["uncertainty"]["drawn"], drawn);
    let [low, high] = ["low", "high"].map(|end| report["uncertainty"]["miou"][end].as_f64().unwrap());
    assert!((low..=high).contains(&report["miou"].as_f64().unwrap()), "{low} {high}");
    assert_eq!(report["boundary"]["width"], "relative");
    assert_eq!(report["worst_patches"].as_array().unwrap().len(), 3);
    // The zones' matrices add up to the overall matrix.
    let groups = report["groups"]["groups"].as_array().unwrap();
    let count = |matrix: &Value| matrix[4][0].as_u64().unwrap();
    assert_eq!(groups.iter().map(|group| count(&group["confusion"])).sum::<u64>(), count(&report["confusion"]));
}

#[test]
fn two_sets_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    patches(dir.path());
    let arguments = ["--against", "better", "--bootstrap", "patch", "--replicates", "500", "--out", "out"];
    insta::assert_snapshot!(output(dir.path(), &arguments));
    let report: Value = serde_json::from_slice(&fs::read(dir.path().join("out/score.json")).unwrap()).unwrap();
    assert_eq!(report["comparison"]["miou"]["better"], 0.0);
    assert!(fs::read_to_string(dir.path().join("out/comparison.csv")).unwrap().contains("domain D002_2020"));

    // A record has the overall score, and no patches to draw.
    flair_bench(dir.path())
        .args(["score", "--truth", "truth", "--pred", "better", "--json", "b.json"])
        .assert()
        .success();
    let with_record = record(dir.path(), &["--against", "b.json"]);
    assert_eq!(with_record["comparison"]["miou"]["difference"], report["comparison"]["miou"]["difference"]);
    assert_eq!(with_record["comparison"]["drawn"], Value::Null);
}

#[test]
fn a_note_is_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    patches(dir.path());
    let arguments = ["--bootstrap", "patch", "--against", "better", "--replicates", "100"];
    let text = output(dir.path(), &arguments);
    let notes: Vec<_> = text.lines().filter(|line| line.starts_with("note: ")).collect();
    let few = "note: the intervals are rough: there are only 8 patches to draw from";
    let ends = "note: the intervals' ends are rough: few of 100 replicates lie beyond them, 400 would be enough";
    let domains = "note: the intervals of 2 domains draw fewer than 10 units, and are rough";
    assert_eq!(notes, [few, ends, domains]);
}

#[test]
fn draws_follow_from_the_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    patches(dir.path());
    let interval = |seed: &str, threads: &str| {
        let arguments = ["--bootstrap", "patch", "--seed", seed, "--json", "-"];
        let mut command = flair_bench(dir.path());
        let output = command.env("RAYON_NUM_THREADS", threads).args(SCORE).args(arguments).assert().success();
        let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        report["uncertainty"].clone()
    };
    assert_eq!(interval("1", "1"), interval("1", "3"));
    assert_ne!(interval("1", "1")["miou"], interval("2", "1")["miou"]);
}

#[test]
fn different_protocols_or_patches_are_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    patches(dir.path());
    let record = ["score", "--truth", "truth", "--pred", "better", "--protocol", "flair-hub", "--json", "hub.json"];
    flair_bench(dir.path()).args(record).assert().success();
    let compared = |other: &str| flair_bench(dir.path()).args(SCORE).args(["--against", other]).assert().code(3);
    compared("hub.json").stderr(contains("cannot compare with `hub.json`").and(contains("`flair2` and `flair-hub`")));
    compared("none.json").stderr(contains("cannot read `none.json`"));
    compared("none").stderr(contains("none"));
    // Findings about the other predictions are reported like those about the scored ones.
    fs::remove_file(dir.path().join("better/PRED_000003.tif")).unwrap();
    compared("better")
        .stdout(contains("of `better`:\nerror   [missing-prediction] 000003"))
        .stderr(contains("`better`"));
}

#[test]
fn locations_come_from_folders_or_metadata() {
    let dir = tempfile::tempdir().unwrap();
    patches(dir.path());
    let by_folders = record(dir.path(), &["--by", "domain"]);
    let flat = dir.path().join("flat");
    fs::create_dir(&flat).unwrap();
    let mut metadata = serde_json::Map::new();
    for number in 1..=8_u32 {
        let id = PatchId::new(number).unwrap();
        let (domain, zone) = (format!("D00{}_2020", 1 + (number - 1) / 4), format!("Z{}_UA", 1 + (number - 1) / 2 % 2));
        let mask = dir.path().join("truth").join(&domain).join(&zone).join("msk").join(id.file_name("MSK"));
        fs::copy(mask, flat.join(id.file_name("MSK"))).unwrap();
        metadata.insert(format!("IMG_{id}"), serde_json::json!({"domain": domain, "zone": zone, "camera": "x"}));
    }
    fs::write(dir.path().join("metadata.json"), Value::Object(metadata).to_string()).unwrap();
    let score = ["score", "--truth", "flat", "--pred", "pred"];
    flair_bench(dir.path())
        .args(score)
        .args(["--by", "domain"])
        .assert()
        .code(3)
        .stderr(contains("the domain of patch 000001 is not known").and(contains("--metadata")));
    let arguments = ["--by", "domain", "--metadata", "metadata.json", "--json", "-"];
    let output = flair_bench(dir.path()).args(score).args(arguments).assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["groups"], by_folders["groups"]);
    // Without locations, patches are drawn.
    let arguments = ["--bootstrap", "--json", "-"];
    let output = flair_bench(dir.path()).args(score).args(arguments).assert().success();
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(report["uncertainty"]["drawn"]["unit"], "patch");
}

#[test]
fn invalid_settings_are_usage_errors() {
    let dir = tempfile::tempdir().unwrap();
    patches(dir.path());
    let refused = |arguments: &[&str]| flair_bench(dir.path()).args(SCORE).args(arguments).assert().code(2);
    refused(&["--bootstrap", "--level", "95"]).stderr(contains("the level 95 is not between 0 and 1"));
    refused(&["--bootstrap", "--replicates", "9"]).stderr(contains("9 replicates: expected 10 to 100000"));
    refused(&["--bootstrap", "region"]).stderr(contains("domain, zone, patch"));
    refused(&["--boundary", "0"]).stderr(contains("a whole number of pixels, 1 or more"));
    refused(&["--boundary", "3.5"]).stderr(contains("a whole number of pixels, 1 or more"));
}
