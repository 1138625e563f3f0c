//! `run baseline` and `score` on real patches, compared with the results of upstream's code.
//!
//! Variants, patches and expectations come from the folders that `FLAIR_BENCH_SAMPLE` and `FLAIR_BENCH_GOLDEN` name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flair_baselines::weights;
use flair_scoring::raster;
use predicates::str::contains;
use serde_json::Value;

use crate::fixture::flair_bench;

/// Scores are ratios of the same integers: they differ only by printing and parsing.
const TOLERANCE: f64 = 1e-12;

fn folder(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no folder"));
    fs::canonicalize(path).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|_| panic!("{}", path.display()))).unwrap()
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) }
    })
}

/// Upstream's metric (`src/metrics.py:15-47`) of a matrix, implemented independently.
fn miou(confusion: &Value) -> f64 {
    let cell = |row: usize, column: usize| confusion[row][column].as_u64().unwrap() as f64;
    let ious = (0..12).filter_map(|class| {
        let union: f64 = (0..13).map(|other| cell(class, other) + cell(other, class)).sum::<f64>() - cell(class, class);
        (union > 0.0).then(|| cell(class, class) / union)
    });
    let ious: Vec<f64> = ious.collect();
    ious.iter().sum::<f64>() / ious.len() as f64
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_run_baseline_on_real_patches() {
    let (sample, golden) = (folder("FLAIR_BENCH_SAMPLE"), folder("FLAIR_BENCH_GOLDEN"));
    let dir = tempfile::tempdir().unwrap();
    for (variant, expected) in json(&golden.join("golden.json"))["variants"].as_object().unwrap() {
        let settings = expected["config"].as_object().unwrap().iter();
        let set = settings.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
        flair_bench(dir.path())
            .args(["run", "baseline", "--preset", "utt-filt-avg-aug", "--split", "all", "--out", variant])
            .args(set)
            .arg("--weights")
            .arg(golden.join(format!("{variant}.ckpt")))
            .arg("--data")
            .arg(&sample)
            .assert()
            .success()
            .stdout(contains("mIoU"));
        let out = dir.path().join(variant);
        for id in expected["patches"].as_object().unwrap().keys() {
            let path = out.join("predictions").join(format!("PRED_{id}.tif"));
            let predicted = raster::read(&path, &raster::Limits::default()).unwrap();
            let tensors = weights::read(&golden.join(format!("{variant}-{id}.safetensors"))).unwrap().tensors;
            let [argmax, sure] =
                ["argmax", "sure"].map(|name| tensors[name].flatten_all().unwrap().to_vec1::<u8>().unwrap());
            let wrong = predicted.samples().iter().zip(&argmax).zip(&sure).filter(|((p, a), s)| **s == 1 && p != a);
            assert_eq!(wrong.count(), 0, "{variant} {id}");
        }
        // Counts the matrix from the files, to detect a wrong pairing or a shifted label.
        let mut confusion = vec![vec![0u64; 13]; 13];
        for id in expected["patches"].as_object().unwrap().keys() {
            let read = |path: &Path| raster::read(path, &raster::Limits::default()).unwrap().into_samples();
            let mask = read(&find(&sample, &format!("MSK_{id}.tif")).unwrap());
            let predicted = read(&out.join("predictions").join(format!("PRED_{id}.tif")));
            for (&label, &class) in mask.iter().zip(&predicted) {
                confusion[usize::from(label.min(13)) - 1][usize::from(class)] += 1;
            }
        }
        let score = json(&out.join("score.json"));
        let confusion = serde_json::json!(confusion);
        assert_eq!(score["confusion"], confusion, "{variant}");
        assert!((score["miou"].as_f64().unwrap() - miou(&confusion)).abs() <= TOLERANCE, "{variant}");
        let converted = dir.path().join(format!("{variant}.safetensors"));
        flair_bench(dir.path())
            .args(["weights", "convert"])
            .arg(golden.join(format!("{variant}.ckpt")))
            .arg(&converted)
            .assert()
            .success();
        flair_bench(dir.path()).args(["weights", "inspect"]).arg(converted).assert().success();
    }
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_scores_through_the_binary() {
    let (sample, golden) = (folder("FLAIR_BENCH_SAMPLE"), folder("FLAIR_BENCH_GOLDEN"));
    let dir = tempfile::tempdir().unwrap();
    for (case, expected) in json(&golden.join("scoring/expected.json")).as_object().unwrap() {
        let score = || {
            let mut command = flair_bench(dir.path());
            command.arg("score").arg("--truth").arg(&sample).arg("--pred").arg(golden.join("scoring").join(case));
            command.args(["--json", "score.json"]);
            command
        };
        let pixels: u64 = expected["confusion"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|r| r.as_array().unwrap())
            .map(|v| v.as_u64().unwrap())
            .sum();
        let all = 512 * 512 * expected["patches"].as_array().unwrap().len() as u64;
        if pixels == all {
            score().assert().success();
        } else {
            score().assert().code(3).stdout(contains("value-out-of-range"));
            score().args(["--out-of-range", "drop"]).assert().success();
        }
        let found = json(&dir.path().join("score.json"));
        assert_eq!(found["confusion"], expected["confusion"], "{case}");
        assert_eq!(found["dropped_pixels"], all - pixels, "{case}");
        assert!((found["miou"].as_f64().unwrap() - expected["miou"].as_f64().unwrap()).abs() <= TOLERANCE, "{case}");
        for (class, iou) in expected["iou"].as_array().unwrap().iter().enumerate() {
            match (iou.as_f64(), found["classes"][class]["iou"].as_f64()) {
                (None, None) => {}
                (Some(expected), Some(found)) => assert!((expected - found).abs() <= TOLERANCE, "{case} {class}"),
                pair => panic!("{case} {class}: {pair:?}"),
            }
        }
    }
}
