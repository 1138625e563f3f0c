//! The folder of a run: one process, results of its own, data that change or cannot be used.

use std::fs;

use flair_scoring::lock::FolderLock;
use predicates::{prelude::PredicateBooleanExt, str::contains};

use crate::fixture::{files_below, flair_bench, pairs, submission};

const THIN: [&str; 2] = ["--set", "flair_bench.unet_width=16"];

#[test]
fn a_folder_in_use_is_refused_with_its_user() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let lock = FolderLock::take(&dir.path().join("out"), "`flair-bench train` (process 7 on `a`)").unwrap();
    for command in [&["predict"][..], &["train"], &["run", "baseline"]] {
        flair_bench(dir.path())
            .args(command)
            .args(["--data", "toy", "--out", "out"])
            .args(THIN)
            .assert()
            .code(2)
            .stderr(contains("`out` is in use by `flair-bench train` (process 7 on `a`)"));
    }
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 1, "the lock file alone");
    pairs(dir.path(), 1);
    let score = ["score", "--truth", "truth", "--pred", "pred", "--out", "out"];
    flair_bench(dir.path()).args(score).assert().code(2).stderr(contains("`out` is in use by"));
    drop(lock);
    let predict = ["predict", "--data", "toy", "--out", "out"];
    flair_bench(dir.path()).args(predict).args(THIN).assert().success();
    assert!(!dir.path().join("out/.flair-bench.lock").exists());
}

#[test]
fn leftovers_of_killed_processes_are_removed_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let leftovers = [
        "out/.score.json.77-0.part",
        "out/checkpoints/.last.state.safetensors.77-1.part",
        "out/submission/.unet.zip.77-2.part",
        "packed/.n.zip.77-3.part",
        ".toy.77.part/flair_aerial_train/IMG_000001.tif",
    ];
    for path in leftovers {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half").unwrap();
    }
    fs::write(dir.path().join("out/.mine.part"), "").unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let predict = ["predict", "--data", "toy", "--out", "out"];
    flair_bench(dir.path()).args(predict).args(THIN).assert().success();
    submission(&dir.path().join("pred"), 1);
    let package = ["package", "pred", "--ids", "ids.txt", "--name", "n", "--out", "packed"];
    flair_bench(dir.path()).args(package).assert().success();
    let parts = files_below(dir.path()).into_iter().filter(|path| path.to_string_lossy().contains(".part"));
    assert_eq!(parts.collect::<Vec<_>>(), [dir.path().join("out/.mine.part")]);
}

#[test]
fn results_of_others_stay_in_a_training_folder() {
    let dir = tempfile::tempdir().unwrap();
    let score = dir.path().join("out/score.json");
    fs::create_dir(dir.path().join("out")).unwrap();
    fs::write(&score, "mine").unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let train = |epochs: &str| {
        let train = ["train", "--data", "toy", "--out", "out", "--resume", "--set", epochs];
        flair_bench(dir.path()).args(train).args(THIN).args(["--set", "flair_bench.schedule=constant"]).assert()
    };
    train("num_epochs=1").code(2).stderr(contains("`out` holds `score.json`, which no run made"));
    fs::remove_file(&score).unwrap();
    train("num_epochs=1").success();
    // A score beside a training that has predicted nothing.
    fs::write(&score, "mine").unwrap();
    train("num_epochs=2").code(2).stderr(contains("which its run did not make"));
    assert_eq!(fs::read(&score).unwrap(), b"mine");
}

#[test]
fn weights_or_a_configuration_without_data_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = include_str!("../../baselines/presets/unet.yml");
    fs::write(dir.path().join("up.yml"), upstream).unwrap();
    for command in [&["predict"][..], &["train"], &["run", "baseline"]] {
        let assert = flair_bench(dir.path()).args(command).args(["--config", "up.yml"]).assert();
        assert.code(2).stderr(contains("of `up.yml` are empty: name the dataset's folder with --data DIR"));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "neither a dataset nor a run");
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let train = ["train", "--data", "toy", "--out", "out", "--set", "num_epochs=1"];
    flair_bench(dir.path()).args(train).args(THIN).assert().success();
    let weights = ["--weights", "out/checkpoints/best.safetensors"];
    for command in [&["predict"][..], &["run", "baseline"]] {
        let assert = flair_bench(dir.path()).args(command).args(weights).assert();
        assert.code(2).stderr(contains("no data named, though there are weights"));
    }
}

#[test]
fn upstreams_keys_are_used_or_reported() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let upstream = include_str!("../../baselines/presets/unet.yml");
    fs::write(dir.path().join("up.yml"), upstream.replace("gpus_per_node: 1", "gpus_per_node: 4")).unwrap();
    let predict = ["predict", "--data", "toy", "--device", "cpu", "--config", "up.yml"];
    flair_bench(dir.path()).args(predict).args(THIN).assert().success().stderr(
        contains("`accelerator: gpu` has no effect: computing on the CPU")
            .and(contains("`gpus_per_node` × `num_nodes` is 4, without effect")),
    );
    assert!(dir.path().join("flair2/flair-2-baseline-1/run.json").is_file());
}

#[test]
fn other_splits_make_no_submission() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    let predict = ["predict", "--data", "toy", "--out", "out", "--split", "val"];
    flair_bench(dir.path())
        .args(predict)
        .args(THIN)
        .assert()
        .success()
        .stdout(contains("mIoU").and(contains("submission  none")).and(contains("leaderboard add").not()));
    assert!(!dir.path().join("out/submission").exists());
}

#[test]
fn a_patch_whose_data_are_damaged_is_named_and_the_others_are_predicted() {
    let dir = tempfile::tempdir().unwrap();
    flair_bench(dir.path()).args(["data", "toy", "toy", "--patches", "6"]).assert().success();
    let image = files_below(&dir.path().join("toy/flair_2_aerial_test")).remove(0);
    fs::write(&image, &fs::read(&image).unwrap()[..1000]).unwrap();
    let predict = ["predict", "--data", "toy", "--out", "out"];
    flair_bench(dir.path()).args(predict).args(THIN).assert().code(3).stderr(
        contains("[unusable-patch]").and(contains("077413")).and(contains("1 of 2 patches cannot be predicted")),
    );
    let left = files_below(&dir.path().join("out"));
    let names: Vec<_> = left.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"PRED_077414.tif") && names.contains(&"run.json"), "{names:?}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_one_error() {
    let dir = tempfile::tempdir().unwrap();
    submission(&dir.path().join("pred"), 3);
    let program = assert_cmd::cargo::cargo_bin!("flair-bench").display().to_string();
    // Files may have 8 blocks of 512 or 1024 bytes.
    let command = "package pred --ids ids.txt --name n --out packed";
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{program}' {command}");
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("n.zip") && !text.contains("ZipWriter"), "{text}");
    assert_eq!(fs::read_dir(dir.path().join("packed")).unwrap().count(), 0);
}
