//! The arrows between crates, rooms and files point one way: scoring is the ground floor, and nothing points back.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::imports::{Arrow, Sources, describe, rooms};

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
            "flair-baselines" | "flair-hosting" | "flair-leaderboard" => &["flair-scoring"],
            "flair-bench" => &["flair-baselines", "flair-hosting", "flair-leaderboard", "flair-scoring"],
            other => panic!("an unknown crate: {other}"),
        };
        let beyond: Vec<_> = ours.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert_eq!(beyond, Vec::<&String>::new(), "{name} may not depend on these");
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

/// The roots of the crates, `lib.rs` or `main.rs`, by their names.
fn roots() -> BTreeMap<String, PathBuf> {
    let root = |package: &Value| {
        let targets = package["targets"].as_array().unwrap().iter();
        let is_source = |target: &&Value| {
            target["kind"].as_array().unwrap().iter().any(|kind| kind == "lib" || kind == "rlib" || kind == "bin")
        };
        let target = targets.clone().find(is_source).unwrap();
        (package["name"].as_str().unwrap().to_owned(), PathBuf::from(target["src_path"].as_str().unwrap()))
    };
    packages().iter().map(root).collect()
}

/// The circles of every crate as text; empty if there are none.
fn circles(of: fn(&Sources) -> Vec<Vec<Arrow>>) -> String {
    let mut text = String::new();
    for (name, root) in roots() {
        let found = describe(&of(&Sources::read(&root, Path::new(ROOT))));
        if !found.is_empty() {
            text.extend([name.as_str(), "\n", found.as_str()]);
        }
    }
    text
}

#[test]
fn no_file_needs_one_that_needs_it() {
    let found = circles(Sources::circles_of_files);
    assert!(found.is_empty(), "files in circles; open each by moving what both need one file down\n{found}");
}

#[test]
fn no_room_needs_one_that_needs_it() {
    let found = circles(Sources::circles_of_rooms);
    assert!(found.is_empty(), "rooms in circles; open each by moving what both need one room down\n{found}");
}

/// The rooms that CONTRIBUTING.md lists for each folder of sources. In its fenced blocks a line that begins with the path
/// of such a folder opens a list; each line below that is indented by two spaces begins with a room.
fn listed_rooms() -> Vec<(PathBuf, Vec<String>)> {
    let page = std::fs::read_to_string(Path::new(ROOT).join("CONTRIBUTING.md")).unwrap();
    let mut listed = Vec::<(PathBuf, Vec<String>)>::new();
    for line in page.split("```").skip(1).step_by(2).flat_map(str::lines) {
        let Some(word) = line.split_whitespace().next() else { continue };
        match (line.find(word), listed.last_mut()) {
            (Some(0), _) if word.ends_with("src/") => listed.push((Path::new(ROOT).join(word), Vec::new())),
            (Some(2), Some((_, rooms))) => rooms.push(word.to_owned()),
            _ => {}
        }
    }
    listed
}

#[test]
fn contributing_lists_the_rooms_that_there_are() {
    let folders = roots().into_values().map(|root| root.parent().unwrap().to_owned());
    let rooms_of = |src: PathBuf| (src.clone(), rooms(&src).into_iter().collect::<Vec<_>>());
    let expected: BTreeMap<_, _> = folders.map(rooms_of).collect();
    let mut listed = listed_rooms();
    for (_, rooms) in &mut listed {
        rooms.sort();
    }
    let folders: Vec<_> = listed.iter().map(|(src, _)| src).collect();
    for (src, rooms) in &expected {
        let of_src: Vec<_> = listed.iter().filter(|(listed, _)| listed == src).map(|(_, rooms)| rooms).collect();
        assert_eq!(of_src, [rooms], "CONTRIBUTING.md against {}", src.display());
    }
    assert_eq!(folders.len(), expected.len(), "CONTRIBUTING.md lists {folders:?}");
}
