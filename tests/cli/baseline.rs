//! `flair-bench run baseline`, from data to archive.

use std::{fs, path::Path};

use predicates::{
    prelude::PredicateBooleanExt,
    str::{contains, starts_with},
};
use serde_json::Value;

use crate::fixture::flair_bench;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_leaves_everything_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let toy = ["data", "toy", "toy", "--patches", "3"];
    flair_bench(dir.path()).args(toy).assert().success().stdout(contains("synthetic dataset of 3 patches made"));
    flair_bench(dir.path()).args(toy).assert().success().stdout(contains("is there already"));

    let run = ["run", "baseline", "--data", "toy", "--out", "out", "--baseline-time", "59-0", "--seed", "7"];
    flair_bench(dir.path())
        .args(run)
        .assert()
        .success()
        .stdout(contains("mIoU").and(contains("the model is untrained")).and(contains("within")));
    let out = dir.path().join("out");
    let record = json(&out.join("run.json"));
    let expected = ["unet", "test", "toy"].map(Value::from);
    assert_eq!([&record["preset"], &record["split"], &record["data_kind"]], expected.each_ref());
    assert_eq!((&record["untrained"], &record["seed"]), (&true.into(), &7.into()));
    assert!(record["finished"].is_string() && record["environment"]["processor"].is_string());
    let timing = json(&out.join("timing.json"));
    assert_eq!((&timing["nodes"], &timing["device"]), (&1.into(), &"cpu".into()));
    assert!(timing["seconds"].as_f64().unwrap() > 0.0);
    let patches = record["patches"].as_u64().unwrap();
    assert_eq!(timing["patches"], patches);
    for text in ["score.json", "score.csv", "confusion.svg", "timing.json", "run.json"] {
        assert!(fs::read_to_string(out.join(text)).unwrap().contains("untrained"), "{text} does not say it");
    }
    assert!(fs::read(out.join("confusion.png")).unwrap().starts_with(b"\x89PNG"));
    let entry = json(&out.join("leaderboard.json"));
    assert_eq!((&entry["benchmark"], &entry["untrained"]), (&"toy".into(), &true.into()));
    let archives: Vec<_> = fs::read_dir(out.join("submission")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(archives.len(), 1);
    assert!(archives[0].to_string_lossy().starts_with("unet-untrained_59-0_"));

    // Again: everything is kept, the time with it.
    flair_bench(dir.path())
        .args(run)
        .assert()
        .success()
        .stderr(contains("predictions of an earlier, stopped run were kept"));
    assert_eq!(json(&out.join("timing.json")), timing);
    // With other settings it is another run.
    flair_bench(dir.path())
        .args(run)
        .args(["--set", "lr=0.5"])
        .assert()
        .code(2)
        .stderr(contains("`out` holds a run with other settings"));
    flair_bench(dir.path())
        .args(["leaderboard", "add", "out", "--name", "x"])
        .assert()
        .success()
        .stdout(contains("on toy"));
}

#[test]
fn a_run_over_time_is_negative() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let run = ["run", "baseline", "--data", "toy", "--out", "out", "--time-limit", "0.001", "--split", "test"];
    flair_bench(dir.path()).args(run).assert().code(1).stdout(contains("TOO LONG"));
}

#[test]
fn wrong_settings_show_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| flair_bench(dir.path()).args(["run", "baseline"]).args(arguments).assert();
    run(&["--set", "aerial_metdata=true"])
        .code(2)
        .stderr(contains("`aerial_metdata`").and(contains("aerial_metadata")));
    run(&["--set", "lr=fast"]).code(2).stderr(contains("lr").and(contains("fast")));
    run(&["--preset", "segformer"]).code(2).stderr(contains("utt-filt-avg-aug"));
    run(&["--device", "tpu"]).code(2).stderr(contains("cuda:N"));
    run(&["--time-limit", "0"]).code(2);
    run(&["--data", "nowhere"]).code(3).stderr(contains("nowhere"));
    fs::write(dir.path().join("c.yml"), "lr: 0.1\nlearning: fast\n").unwrap();
    run(&["--config", "c.yml"]).code(2).stderr(starts_with("error: ").and(contains("c.yml")).and(contains("2")));
    fs::create_dir(dir.path().join("empty")).unwrap();
    run(&["--data", "empty"]).code(3).stderr(contains("flair_aerial_train"));
    assert!(!dir.path().join("runs").join("unet-1").exists());
}
