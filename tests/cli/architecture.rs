//! The arrows of docs/architecture.md: scoring is the ground floor, and nothing points back.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|d| d["kind"].is_null()).map(|d| d["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_crates_point_one_way() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let ours: BTreeSet<_> = dependencies(&package).into_iter().filter(|d| d.starts_with("flair-")).collect();
        let allowed: &[&str] = match name {
            "flair-scoring" => &[],
            "flair-baselines" | "flair-leaderboard" => &["flair-scoring"],
            "flair-bench" => &["flair-baselines", "flair-leaderboard", "flair-scoring"],
            other => panic!("an unknown crate: {other}"),
        };
        assert_eq!(ours.iter().map(String::as_str).collect::<Vec<_>>(), allowed, "{name}");
    }
}

#[test]
fn the_ground_floor_knows_no_tensors_and_no_terminal() {
    let packages = packages();
    let scoring = packages.iter().find(|package| package["name"] == "flair-scoring").unwrap();
    let banned = ["candle-core", "candle-nn", "clap", "indicatif", "comfy-table", "anyhow"];
    let found: Vec<_> = dependencies(scoring).into_iter().filter(|d| banned.contains(&d.as_str())).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_toolchain_that_is_stated_is_the_one_that_is_tested() {
    let toolchain = std::fs::read_to_string(Path::new(ROOT).join("rust-toolchain.toml")).unwrap();
    for package in packages() {
        let stated = package["rust_version"].as_str().unwrap();
        assert!(toolchain.contains(&format!("channel = \"{stated}")), "{stated}");
    }
}
