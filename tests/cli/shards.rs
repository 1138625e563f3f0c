//! `predict --shard` and `finish`: several processes predict one run.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use assert_cmd::assert::Assert;
use flair_scoring::lock::FolderLock;
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::{Value, json};

use crate::fixture::{files_below, flair_bench};

/// A prediction of the dataset `toy` with a thin network, patch by patch.
const PREDICT: [&str; 7] = ["predict", "--data", "toy", "--batch-size", "1", "--set", "flair_bench.unet_width=16"];

fn shard(dir: &Path, out: &str, shard: &str) -> Assert {
    flair_bench(dir).args(PREDICT).args(["--out", out, "--shard", shard]).assert()
}

fn finish(dir: &Path, arguments: &[&str]) -> Assert {
    flair_bench(dir).arg("finish").args(arguments).assert()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Changes a record.
fn edit(path: &Path, pointer: &str, value: Value) {
    let mut record = read(path);
    *record.pointer_mut(pointer).unwrap() = value;
    fs::write(path, serde_json::to_string_pretty(&record).unwrap()).unwrap();
}

/// The files below a folder with their bytes, by their paths in it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let relative = |path: PathBuf| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
    files_below(folder).into_iter().map(relative).collect()
}

/// Numbers that look random (the middle bits of a linear congruential generator).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Starts a shard, and kills it with SIGKILL: at a random moment of its first 400 ms, or as soon as it has written
/// `least` predictions of its own.
fn start_and_kill(dir: &Path, out: &str, (index, count): (usize, usize), least: usize, random: &mut Random) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("flair-bench"));
    command.args(PREDICT).args(["--out", out, "--shard", &format!("{index}/{count}")]).current_dir(dir);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let own = 8 * index / count..8 * (index + 1) / count;
    let predictions = dir.join(out).join("predictions");
    let is_there = |patch: &usize| predictions.join(format!("PRED_{:06}.tif", 77_413 + patch)).exists();
    while own.clone().filter(is_there).count() < least && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(2));
    }
    if least == 0 {
        thread::sleep(Duration::from_millis(random.below(400)));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn shards_that_are_killed_and_restarted_give_the_bytes_of_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    flair_bench(dir).args(["data", "toy", "toy", "--patches", "24"]).assert().success();
    flair_bench(dir).args(PREDICT).args(["--out", "whole"]).assert().success();
    let whole = contents(&dir.join("whole"));
    let is_result =
        |path: &Path| !["run.json", "timing.json", "leaderboard.json"].iter().any(|name| path.ends_with(name));
    let expected: BTreeMap<_, _> = whole.into_iter().filter(|(path, _)| is_result(path)).collect();
    assert!(expected.contains_key(Path::new("submission/unet-untrained.zip")) && expected.len() > 10);
    for count in [1, 3, 7] {
        let out = format!("in-{count}");
        let is_killed = |index: usize| index.is_multiple_of(2);
        thread::scope(|scope| {
            for index in 0..count {
                let (dir, out) = (dir, &out);
                scope.spawn(move || {
                    let mut random = Random((10 * count + index) as u64);
                    // Killed while it begins, then after some patches.
                    for least in [0, 1].into_iter().filter(|_| is_killed(index)) {
                        start_and_kill(dir, out, (index, count), least, &mut random);
                    }
                    shard(dir, out, &format!("{index}/{count}"))
                        .success()
                        .stdout(contains(format!("next        flair-bench finish {out}")));
                });
            }
        });
        let records: Vec<_> =
            (0..count).map(|index| read(&dir.join(format!("{out}/shards/{index}-of-{count}/shard.json")))).collect();
        let sum = |pointer: &str| records.iter().map(|record| record.pointer(pointer).unwrap().as_f64().unwrap()).sum();
        let kept: f64 = sum("/timing/kept_patches");
        // A shard of one patch may have ended before it was killed.
        assert!(kept > 0.0 || count > 1, "not killed: {records:?}");
        // A shard that was restarted cannot pass the time rule.
        let verdict = if kept > 0.0 { "absolute  no judgement" } else { "absolute  within" };
        finish(dir, &[&out]).success().stdout(contains("mIoU").and(contains(verdict)));
        let timing = read(&dir.join(&out).join("timing.json"));
        assert_eq!(timing["kept_patches"].as_f64(), Some(kept));
        assert_eq!(timing["patches"].as_f64(), Some(8.0 - kept));
        let seconds: f64 = sum("/timing/device_seconds");
        assert!((timing["device_seconds"].as_f64().unwrap() - seconds).abs() < 1e-9);
        finish(dir, &[&out]).success();
        let is_shard = |path: &Path| path.starts_with("shards");
        let mut found = contents(&dir.join(&out));
        found.retain(|path, _| is_result(path) && !is_shard(path));
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected));
        for (path, bytes) in &expected {
            assert!(found[path] == *bytes, "{count}: {}", path.display());
        }
    }
}

#[test]
fn what_does_not_belong_together_is_refused_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let file = |name: &str| dir.join(name);
    flair_bench(dir).args(["data", "toy", "toy", "--patches", "6"]).assert().success();
    flair_bench(dir).args(PREDICT).args(["--shard", "0/2"]).assert().code(2).stderr(contains("--out"));
    shard(dir, "out", "2/2").code(2).stderr(contains("is not a shard: expected I/N"));
    finish(dir, &["out"]).code(3).stderr(contains("`out` holds no run"));
    assert!(!file("out").exists());
    shard(dir, "out", "0/2").success().stdout(contains("shard       0/2"));
    assert!(!file("out/.flair-bench.lock").exists() && !file("out/shards/.flair-bench.lock").exists());

    let before = contents(&file("out"));
    finish(dir, &["out"]).code(3).stderr(contains("1 of 2 shards are not done: 1/2 (there is no `out/shards/1-of-2/"));
    shard(dir, "out", "0/3").code(2).stderr(contains("`out` is predicted in 2 shards, and 0/3 is none of them"));
    let other = [&PREDICT[..], &["--out", "out", "--shard", "1/2", "--seed", "7"]].concat();
    flair_bench(dir)
        .args(other)
        .assert()
        .code(2)
        .stderr(contains("shards of a run with other settings, weights, data or device"));
    flair_bench(dir)
        .args(PREDICT)
        .args(["--out", "out"])
        .assert()
        .code(2)
        .stderr(contains("`out` is predicted in shards, such as 0/2").and(contains("`flair-bench finish`")));
    let lock = FolderLock::share(&file("out"), "shards (process 7)").unwrap();
    finish(dir, &["out"]).code(2).stderr(contains("`out` is in use by shards (process 7): wait for its end"));
    flair_bench(dir)
        .args(PREDICT)
        .args(["--out", "out"])
        .assert()
        .code(2)
        .stderr(contains("`out` is in use by shards"));
    drop(lock);
    let lock = FolderLock::take(&file("out"), "a process").unwrap();
    shard(dir, "out", "1/2").code(2).stderr(contains("`out` is in use by a process"));
    drop(lock);
    let lock = FolderLock::take(&file("out/shards/1-of-2"), "process 7").unwrap();
    shard(dir, "out", "1/2").code(2).stderr(contains("shard 1/2 is being predicted already"));
    drop(lock);
    assert!(contents(&file("out")) == before);

    // The second shard is a task of a Slurm array.
    let slurm = |command: &mut assert_cmd::Command, id: &str| {
        let variables = [("ID", id), ("MIN", "10"), ("MAX", "15"), ("STEP", "5"), ("COUNT", "2")];
        command.envs(variables.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value.to_owned())));
        command.assert()
    };
    let command = || {
        let mut command = flair_bench(dir);
        command.args(PREDICT).args(["--out", "out"]);
        command
    };
    slurm(&mut command(), "12").code(2).stderr(contains("is no task of an array of 2 from 10 by 5"));
    slurm(flair_bench(dir).args(PREDICT), "15").code(2).stderr(contains("needs --out"));
    slurm(&mut command(), "15").success().stderr(contains("predicting shard 1/2, chosen by SLURM_ARRAY_TASK_ID=15"));

    // Every refusal of `finish`, and that it changes nothing.
    let refused = |code: i32, text: &str, break_it: &dyn Fn()| {
        let whole = contents(&file("out"));
        break_it();
        let broken = contents(&file("out"));
        finish(dir, &["out"]).code(code).stderr(contains(text));
        assert!(contents(&file("out")) == broken, "{text}");
        for (path, bytes) in whole {
            fs::write(file("out").join(path), bytes).unwrap();
        }
    };
    let record = file("out/shards/1-of-2/shard.json");
    refused(3, "1/2 (stopped: `out/shards/1-of-2/shard.json`)", &|| edit(&record, "/finished", Value::Null));
    refused(3, "no valid time", &|| edit(&record, "/timing/seconds", json!(-1.0)));
    refused(3, "the time of shard 1/2 is of other patches", &|| edit(&record, "/timing/patches", json!(2)));
    refused(3, "is not the record of shard 1/2", &|| fs::write(&record, "{}").unwrap());
    refused(3, "is not the record of shard 1/2", &|| edit(&record, "/shard", json!("0/2")));
    refused(2, "other settings, weights, data or device than `run.json`", &|| edit(&record, "/identity", json!("0")));
    refused(3, "`out/run.json` is not a record of a run", &|| fs::write(file("out/run.json"), "{}").unwrap());
    refused(3, "the data have other patches", &|| edit(&file("out/run.json"), "/patch_ranges/0", json!("000001")));
    refused(3, "077414; repeat the `predict` command with --shard 1/2", &|| {
        fs::remove_file(file("out/predictions/PRED_077414.tif")).unwrap();
    });
    let stray = file("out/predictions/PRED_000999.tif");
    refused(2, "PRED_000999.tif", &|| fs::write(&stray, "").unwrap());
    fs::remove_file(stray).unwrap();

    // The dataset elsewhere, and another one.
    fs::rename(file("toy"), file("moved")).unwrap();
    finish(dir, &["out"]).code(3);
    finish(dir, &["out", "--data", "moved", "--baseline-time", "59-0"])
        .success()
        .stdout(contains("absolute  within").and(contains("relative  within")).and(contains("_59-0_0-")));
    fs::rename(file("moved"), file("toy")).unwrap();
    finish(dir, &["out", "--data", "toy", "--time-limit", "0.001"]).code(1).stdout(contains("TOO LONG"));
    assert_eq!(fs::read_dir(file("out/submission")).unwrap().count(), 0);
    // A shard that is repeated, and has nothing to do, keeps its time.
    shard(dir, "out", "1/2").success().stderr(contains("1 predictions were there already"));
    assert!(!file("out/score.json").exists());
    finish(dir, &["out"]).success().stdout(contains("absolute  within"));
    let image = files_below(&file("toy/flair_2_aerial_test")).remove(0);
    fs::write(&image, fs::read(&image).unwrap()).unwrap();
    finish(dir, &["out"]).code(3).stderr(contains("the data are not those that `out/shards/0-of-2/shard.json`"));
    assert!(file("out/score.json").exists());
}

#[test]
fn a_shard_continues_what_one_process_left_but_not_what_it_finished() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    flair_bench(dir).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    flair_bench(dir).args(PREDICT).args(["--out", "out"]).assert().success();
    let whole = contents(&dir.join("out"));
    shard(dir, "out", "0/2").code(2).stderr(contains("`out` holds a finished run, predicted without shards"));
    finish(dir, &["out"]).code(2).stderr(contains("`out` has no shards"));
    assert!(contents(&dir.join("out")) == whole);
    edit(&dir.join("out/run.json"), "/finished", Value::Null);
    // Of one patch, the first of two shards has none.
    for index in ["0/2", "1/2"] {
        shard(dir, "out", index).success();
    }
    finish(dir, &["out"]).success().stdout(contains("absolute  no judgement"));
    let score = Path::new("score.json");
    assert!(contents(&dir.join("out"))[score] == whole[score]);
}
