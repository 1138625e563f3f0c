//! What reaches a terminal: no text of a stranger's file is interpreted by it.

use std::{fs, path::Path};

use crate::fixture::{flair_bench, pairs};

/// Clears the screen, sets a title, turns red (C1), writes from right to left.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}y";

fn assert_safe(folder: &Path, arguments: &[&str]) -> String {
    let output = flair_bench(folder).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let is_safe = |c: char| c == '\n' || c == '\t' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    assert!(text.chars().all(is_safe), "{arguments:?}: {text:?}");
    // The text is shown, escaped: the command has met it. clap leaves out what begins with ESC, and parsers quote the
    // first wrong character.
    assert!(text.contains("\\u{9b}") || text.contains("\\u{1b}"), "{arguments:?} does not show the text: {text}");
    text
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn no_text_of_a_file_or_an_argument_is_interpreted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pairs(dir, 1);
    // Arguments, for clap and for us.
    assert_safe(dir, &["score", "--truth", "truth", "--pred", HOSTILE]);
    assert_safe(dir, &["score", "--truth", HOSTILE, "--pred", "pred"]);
    assert_safe(dir, &["score", "--truth", "truth", "--pred", "pred", "--worst", HOSTILE]);
    assert_safe(dir, &["protocol", HOSTILE]);
    assert_safe(dir, &["leaderboard", "--benchmark", HOSTILE]);
    assert_safe(dir, &["package", "pred", "--name", HOSTILE]);
    // Names of files.
    write(dir, &format!("named/{HOSTILE}.tif"), "II*");
    assert_safe(dir, &["check", "named"]);
    // A protocol: its YAML, its classes, its nomenclature.
    let example = flair_bench(dir).args(["protocol", "--example"]).output().unwrap().stdout;
    let example = String::from_utf8(example).unwrap();
    write(dir, "a.yml", &format!("{HOSTILE}: 1\n{example}"));
    assert_safe(dir, &["protocol", "a.yml"]);
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    write(dir, "b.yml", &format!("{example}\n{quoted}: 1\n"));
    assert_safe(dir, &["protocol", "b.yml"]);
    // Records and entries: unknown fields, and values.
    write(dir, "run/score.json", &format!("{{\"schema\": {quoted}}}"));
    assert_safe(dir, &["leaderboard", "add", "run", "--name", "x"]);
    write(dir, "entries/a/x.json", &format!("{{{quoted}: 1}}"));
    assert_safe(dir, &["leaderboard", "--entries", "entries"]);
    write(dir, "entries/a/x.json", &format!("{{\"schema\": {quoted}}}"));
    assert_safe(dir, &["leaderboard", "--entries", "entries"]);
    write(dir, "timing.json", &format!("{{{quoted}: 1}}"));
    assert_safe(dir, &["package", "pred", "--name", "x", "--timing", "timing.json", "--baseline-time", "5-57"]);
    // Settings of a challenge.
    write(dir, "challenge.yml", &format!("{quoted}: 1\n"));
    assert_safe(dir, &["bundle", "out", "--truth", "truth", "--settings", "challenge.yml"]);
    write(dir, "ids.txt", HOSTILE);
    assert_safe(dir, &["check", "pred", "--ids", "ids.txt"]);
}

#[cfg(feature = "baselines")]
#[test]
fn nothing_of_a_dataset_or_a_checkpoint_is_interpreted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    assert_safe(dir, &["predict", "--preset", HOSTILE]);
    assert_safe(dir, &["predict", "--device", HOSTILE]);
    assert_safe(dir, &["predict", "--set", &format!("{HOSTILE}=1")]);
    write(dir, "c.yml", &format!("{quoted}: 1\n"));
    assert_safe(dir, &["predict", "--config", "c.yml"]);
    // A checkpoint: names of tensors, types, settings.
    let checkpoint = |header: &str, data: &[u8]| {
        fs::write(dir.join("w.safetensors"), [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
            .unwrap();
    };
    checkpoint(&format!(r#"{{{quoted}:{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#), &[0; 4]);
    assert_safe(dir, &["weights", "inspect", "w.safetensors"]);
    flair_bench(dir).args(["data", "toy", "toy", "--patches", "3"]).assert().success();
    assert_safe(dir, &["predict", "--preset", "unet", "--weights", "w.safetensors", "--data", "toy", "--out", "out"]);
    checkpoint(&format!(r#"{{"a":{{"dtype":{quoted},"shape":[1],"data_offsets":[0,4]}}}}"#), &[0; 4]);
    assert_safe(dir, &["weights", "inspect", "w.safetensors"]);
    // A dataset: keys of the two JSON files, products, descriptors of arrays.
    let files = crate::fixture::files_below(&dir.join("toy"));
    let named = |part: &str| files.iter().find(|path| path.to_string_lossy().contains(part)).unwrap();
    for (part, text) in [
        ("centroids", format!("{{{quoted}: [1, 2]}}")),
        ("metadata", format!("{{{quoted}: {{}}}}")),
        ("products.txt", HOSTILE.to_owned()),
        ("masks.npy", format!("\u{fffd}NUMPY{HOSTILE}")),
    ] {
        let path = named(part);
        let before = fs::read(path).unwrap();
        fs::write(path, text).unwrap();
        let output = flair_bench(dir).args(["data", "audit", "toy"]).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}']), "{part}: {text:?}");
        fs::write(path, before).unwrap();
    }
}
