//! `flair-bench run baseline`, `train` and `predict`, from data to archive.

use std::{fs, path::Path};

use predicates::{
    prelude::PredicateBooleanExt,
    str::{contains, starts_with},
};
use serde_json::Value;

use crate::fixture::{files_below, flair_bench};

/// A thin network: the tests that are about runs and not about what they learn take it.
const THIN: [&str; 2] = ["--set", "flair_bench.unet_width=16"];

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_writes_everything_and_resumes_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let toy = ["data", "toy", "toy", "--patches", "3"];
    flair_bench(dir.path()).args(toy).assert().success().stdout(contains("synthetic dataset of 3 patches made"));
    flair_bench(dir.path()).args(toy).assert().success().stdout(contains("is there already"));

    let run = ["predict", "--data", "toy", "--out", "out", "--baseline-time", "59-0", "--seed", "7"];
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
    let benchmark = entry["benchmark"].as_str().unwrap();
    assert!(benchmark.starts_with("toy (") && entry["untrained"] == true, "{entry}");
    let archives: Vec<_> = fs::read_dir(out.join("submission")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(archives.len(), 1);
    assert!(archives[0].to_string_lossy().starts_with("unet-untrained_59-0_"));

    // A second run keeps everything, including the time.
    flair_bench(dir.path())
        .args(run)
        .assert()
        .success()
        .stderr(contains("predictions were there already, and are kept"));
    assert_eq!(json(&out.join("timing.json")), timing);
    // Other settings make it another run.
    flair_bench(dir.path())
        .args(run)
        .args(["--set", "aerial_metadata=true"])
        .assert()
        .code(2)
        .stderr(contains("`out` holds a run with other settings"));
    // Settings that do not affect predictions may change.
    let other = [&run[..], &["--set", "num_workers=1", "--batch-size", "2"]].concat();
    flair_bench(dir.path()).args(other).assert().success();
    // Another image makes it another run (of a large file, the time of writing counts), and so does an unrelated file in the folder.
    let images = dir.path().join("toy/flair_2_aerial_test");
    let image = files_below(&images).into_iter().find(|path| path.extension().is_some_and(|e| e == "tif")).unwrap();
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes).unwrap();
    flair_bench(dir.path()).args(run).assert().code(2).stderr(contains("weights or data"));
    fs::copy(out.join("run.json"), out.join("predictions/PRED_000999.tif")).unwrap();
    flair_bench(dir.path()).args(run).assert().code(2).stderr(contains("PRED_000999.tif"));
    flair_bench(dir.path())
        .args(["leaderboard", "add", "out", "--name", "x"])
        .assert()
        .success()
        .stdout(contains("on toy"));
}

#[test]
fn a_run_over_time_fails_and_so_does_its_repetition() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "6"]).assert().success();
    let run = ["predict", "--data", "toy", "--out", "out", "--split", "test"];
    let archives = || fs::read_dir(dir.path().join("out/submission")).unwrap().count();
    flair_bench(dir.path()).args(run).assert().success();
    assert_eq!(archives(), 1);
    // An archive's name contains the times: the archive without them is removed.
    flair_bench(dir.path()).args(run).args(["--baseline-time", "59-0"]).assert().success();
    assert_eq!(archives(), 1);
    let over = ["--time-limit", "0.001"];
    flair_bench(dir.path())
        .args(run)
        .args(over)
        .assert()
        .code(1)
        .stdout(contains("TOO LONG").and(contains("submission  none: longer")));
    assert!(dir.path().join("out/score.json").exists());
    assert_eq!(archives(), 0);
    // Repeating a part does not shorten the measured time.
    let timing = fs::read(dir.path().join("out/timing.json")).unwrap();
    let prediction = files_below(&dir.path().join("out/predictions")).remove(0);
    fs::remove_file(&prediction).unwrap();
    flair_bench(dir.path()).args(run).args(over).assert().code(1).stdout(contains("TOO LONG"));
    assert_eq!(fs::read(dir.path().join("out/timing.json")).unwrap(), timing);
    assert!(prediction.is_file());
}

#[test]
fn all_problems_are_reported_before_anything_is_computed() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "6"]).assert().success();
    for path in files_below(&dir.path().join("toy/flair_2_sen_test")) {
        if path.to_string_lossy().ends_with("masks.npy") {
            fs::write(path, b"cut").unwrap();
        }
    }
    let assert = flair_bench(dir.path())
        .args(["predict", "--preset", "utt", "--data", "toy", "--out", "out"])
        .assert()
        .code(3)
        .stderr(contains("cannot be used; nothing was computed"));
    let talk = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(talk.matches("[unusable-patch]").count() > 1, "{talk}");
    assert!(!dir.path().join("out").exists());
}

#[test]
fn a_baseline_trains_predicts_and_names_the_next_command() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let run = ["run", "baseline", "--data", "toy", "--out", "out", "--set", "num_epochs=1"];
    flair_bench(dir.path())
        .args(run)
        .assert()
        .success()
        .stdout(contains("mIoU").and(contains("untrained").not()))
        .stderr(contains("random weights"));
    let out = dir.path().join("out");
    for file in ["checkpoints/best.safetensors", "metrics.csv", "training.svg", "training.png", "score.json"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let record = json(&out.join("run.json"));
    assert_eq!((&record["untrained"], &record["weights"]["trained_here"]), (&false.into(), &true.into()));
    assert!(record["encoder_weights"].is_null() && record["archive"] == "unet.zip");
    flair_bench(dir.path()).args(run).assert().code(2).stderr(contains("--resume"));
    flair_bench(dir.path()).args(run).arg("--resume").assert().success().stderr(contains("are kept"));
    // The weights contain their settings: none have to be given, and deviating ones are reported.
    let predict = |out: &str, more: &[&str]| {
        let weights = ["--weights", "out/checkpoints/last.safetensors"];
        let predict = ["predict", "--data", "toy", "--out", out];
        flair_bench(dir.path()).args(predict).args(weights).args(more).assert().success()
    };
    predict("again", &[]).stdout(contains("untrained").not()).stderr(
        contains("trained with: unet, flair_bench.fidelity=\"corrected\"").and(contains("another value").not()),
    );
    assert_eq!(json(&dir.path().join("again/run.json"))["config"]["flair_bench"]["fidelity"], "corrected");
    // Converted weights contain them, too, and each conversion gives the same bytes.
    for converted in ["1.safetensors", "2.safetensors"] {
        let convert = ["weights", "convert", "out/checkpoints/last.safetensors", converted];
        flair_bench(dir.path()).args(convert).assert().success();
    }
    let bytes = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert!(bytes("1.safetensors") == bytes("2.safetensors"));
    flair_bench(dir.path())
        .args(["predict", "--data", "toy", "--out", "converted", "--weights", "1.safetensors"])
        .assert()
        .success()
        .stderr(contains("trained with: unet"));
    // Settings of months and metadata do not affect this network; the training patches do.
    predict("same", &["--preset", "unet"]).stderr(contains("another value").not());
    let split = ["--split", "val", "--set", "flair_bench.validation=flair1"];
    predict("other", &split).stderr(contains("flair_bench.validation=\"hf\", and predict with another value"));
    assert!(fs::read_to_string(dir.path().join("other/score.json")).unwrap().contains("another value"));
}

#[test]
fn one_folder_holds_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = |command: &[&str], more: &[&str]| flair_bench(dir.path()).args(command).args(more).assert();
    let file = |name: &str| dir.path().join(name);
    run(&["data", "toy", "toy", "--patches", "3"], &[]).success();
    let settings = ["--data", "toy", "--out", "a", "--set", "flair_bench.schedule=constant"];
    let baseline = [&["run", "baseline"], &settings[..], &THIN].concat();
    let train = [&["train"], &settings[..], &["--resume"], &THIN].concat();
    run(&baseline, &["--set", "num_epochs=1"]).success();
    let whole = json(&file("a/run.json"));
    assert_eq!(whole["archive"], "unet.zip");
    // If the training is finished, nothing changes.
    run(&train, &["--set", "num_epochs=1"]).success();
    assert_eq!(json(&file("a/run.json")), whole);
    let weights = ["--weights", "a/checkpoints/best.safetensors", "--data", "toy"];
    run(&["predict", "--out", "a"], &weights).code(2).stderr(contains("`a` holds a training"));
    assert_eq!(json(&file("a/run.json")), whole);
    // If the weights change, the results of the old weights are removed.
    run(&train, &["--set", "num_epochs=2"]).success();
    let record = json(&file("a/run.json"));
    assert!(record["archive"].is_null() && record["finished"].is_string() && record["config"]["num_epochs"] == 2);
    for gone in ["a/score.json", "a/leaderboard.json", "a/submission/unet.zip"] {
        assert!(!file(gone).exists(), "{gone}");
    }
    let last = ["--set", "num_epochs=2", "--resume", "--use", "last"];
    run(&baseline, &last).success().stderr(contains("are made again"));
    assert!(file("a/submission/unet.zip").exists() && file("a/score.json").exists());

    run(&["predict", "--out", "b"], &weights).success();
    let score = fs::read(file("b/score.json")).unwrap();
    run(&["train", "--data", "toy", "--out", "b", "--resume"], &[]).code(2).stderr(contains("choose another --out"));
    assert_eq!(fs::read(file("b/score.json")).unwrap(), score);
    fs::create_dir(file("c")).unwrap();
    fs::write(file("c/score.json"), "mine").unwrap();
    run(&["predict", "--out", "c"], &weights).code(2).stderr(contains("`score.json`, which no run made"));
    assert_eq!(fs::read(file("c/score.json")).unwrap(), b"mine");
}

#[test]
fn a_training_that_failed_does_not_block_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "6"]).assert().success();
    let train = [&["train", "--data", "toy", "--out", "my run", "--set", "num_epochs=1"], &THIN[..]].concat();
    let wrong = ["--encoder-weights", "none.pth"];
    flair_bench(dir.path()).args(&train).args(wrong).assert().code(3).stderr(contains("none.pth"));
    let steep = ["--set", "lr=1e30", "--set", "batch_size=1", "--set", "num_epochs=8"];
    flair_bench(dir.path()).args(&train).args(steep).assert().code(3).stderr(contains("not finite"));
    // The record is of the run that trained; `--resume` reports that there is nothing to resume.
    flair_bench(dir.path())
        .args(&train)
        .arg("--resume")
        .assert()
        .success()
        .stderr(contains("nothing to resume"))
        .stdout(contains("next        flair-bench predict --weights 'my run/checkpoints/best.safetensors' --data toy"));
    let record = json(&dir.path().join("my run/run.json"));
    assert!(record["finished"].is_string() && record["config"]["num_epochs"] == 1, "{record}");
    flair_bench(dir.path())
        .args(&train)
        .arg("--resume")
        .assert()
        .success()
        .stderr(contains("continuing the training in"));
}

#[cfg(unix)]
#[test]
fn a_signal_finishes_the_step_and_the_run_can_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let train = ["train", "--data", "toy", "--set", "num_epochs=3", "--set", "batch_size=1"];
    let train = [&train[..], &THIN, &["--out"]].concat();
    for (signal, out) in [("INT", "interrupted"), ("TERM", "terminated")] {
        let child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("flair-bench"))
            .args(&train)
            .arg(out)
            .current_dir(dir.path())
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Once its record exists, it handles signals; no epoch has a checkpoint yet.
        let (run, state) = (dir.path().join(out), dir.path().join(out).join("checkpoints"));
        while !run.join("tensorboard").exists() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
        let kill = std::process::Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{talk}");
        assert!(talk.contains("stopping after this step") && talk.contains("--resume"), "{talk}");
        assert!(fs::read_dir(state).unwrap().count() > 0);
        flair_bench(dir.path())
            .args(&train)
            .args([out, "--resume"])
            .assert()
            .success()
            .stdout(contains("epochs      3"));
    }
    flair_bench(dir.path()).args(&train).arg("straight").assert().success();
    // With or without interruption, the bytes are the same.
    for file in ["metrics.csv", "checkpoints/last.safetensors", "checkpoints/best.safetensors"] {
        let bytes = |out: &str| fs::read(dir.path().join(out).join(file)).unwrap();
        assert!(bytes("interrupted") == bytes("straight") && bytes("terminated") == bytes("straight"), "{file}");
    }
}

#[test]
fn a_closed_output_does_not_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("flair-bench"))
        .args(["predict", "--data", "toy", "--out", "out"])
        .current_dir(dir.path())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(json(&dir.path().join("out/run.json"))["finished"].is_string());
}

#[test]
fn messages_name_the_wrong_setting() {
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
    run(&["--config", "none.yml"]).code(2).stderr(contains("none.yml"));
    run(&["--config", "c.yml"]).code(2).stderr(starts_with("error: ").and(contains("c.yml")).and(contains("2")));
    fs::create_dir(dir.path().join("empty")).unwrap();
    run(&["--data", "empty"]).code(3).stderr(contains("flair_aerial_train"));
    assert!(!dir.path().join("runs").join("unet-1").exists());
}
