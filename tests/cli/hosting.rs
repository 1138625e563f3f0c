//! `flair-bench codalab`, `flair-bench bundle` and `flair-bench score --format evalai`.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use flair_hosting::{Platform, schema};
use flair_scoring::{
    PatchId,
    raster::{self, Raster},
    source::Source,
    timing::{Devices, Limits, Timing},
};
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

use crate::fixture::{flair_bench, pairs, square};

/// `input/ref` with the masks of three patches and `input/res` with their predictions, below `folder` of it.
fn input(root: &Path, folder: &str) {
    pairs(root, 3);
    fs::create_dir_all(root.join("input")).unwrap();
    fs::rename(root.join("truth"), root.join("input/ref")).unwrap();
    fs::create_dir_all(root.join("input/res").join(folder).parent().unwrap()).unwrap();
    fs::rename(root.join("pred"), root.join("input/res").join(folder)).unwrap();
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// The same score by `flair-bench score`.
fn miou(root: &Path, truth: &str, pred: &str) -> f64 {
    let arguments = ["score", "--truth", truth, "--pred", pred, "--json", "-"];
    let output = flair_bench(root).args(arguments).assert().success();
    serde_json::from_slice::<Value>(&output.get_output().stdout).unwrap()["miou"].as_f64().unwrap()
}

/// Parses scores.txt as CodaLab's server does: split at every colon, two parts, the second a float.
fn codalab_reads(text: &str) -> Vec<(String, f64)> {
    let line = |line: &str| {
        let parts: Vec<_> = line.split(':').collect();
        let [key, value] = parts.as_slice() else { panic!("{line}") };
        (key.trim().to_owned(), value.trim().parse().unwrap())
    };
    text.split('\n').filter(|line| !line.is_empty()).map(line).collect()
}

#[test]
fn a_submission_is_scored_as_a_platform_asks() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "unet_5-57_14-40");
    let output = flair_bench(dir.path()).args(["codalab", "input", "output"]).assert().success();
    let text = read(dir.path().join("output/scores.txt"));
    assert_eq!(String::from_utf8_lossy(&output.get_output().stdout), text);
    insta::assert_snapshot!(text);

    let scores = codalab_reads(&text);
    let json: Value = serde_json::from_str(&read(dir.path().join("output/scores.json"))).unwrap();
    assert!(scores.iter().all(|(key, value)| json[key].as_f64() == Some(*value)));
    assert_eq!(json.as_object().unwrap().len(), scores.len());
    let due = miou(dir.path(), "input/ref", "input/res");
    assert!((scores[0].1 - due).abs() < 1e-10 && scores[0].0 == "miou");
    let page = read(dir.path().join("output/detailed_results.html"));
    assert!(page.contains("<svg") && page.contains(&format!("{due:.5}")) && page.contains("within the rules"));
}

#[test]
fn a_zip_inside_the_submission_is_read_and_its_record_compared_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "preds");
    let (res, preds) = (dir.path().join("input/res"), dir.path().join("input/res/preds"));
    let due = miou(dir.path(), "input/ref", "input/res");
    pack(&res.join("unet_5-57_14-40.zip"), &preds);
    fs::remove_dir_all(&preds).unwrap();
    let timing = Timing::new(std::time::Duration::from_secs(1400), 3, Devices { nodes: 1, per_node: 1 });
    fs::write(res.join("timing.json"), serde_json::to_string(&timing).unwrap()).unwrap();
    let limits = Limits { baseline_seconds: Some(400.0), ..Limits::default() };
    let run = serde_json::json!({"schema": "flair-bench/run/1", "time_rule": {"limits": limits, "verdict": {}}});
    fs::write(res.join("run.json"), run.to_string()).unwrap();

    flair_bench(dir.path()).args(["codalab", "input", "output"]).assert().success().stderr(
        contains("[time-mismatch] unet_5-57_14-40.zip: the name says that the prediction took 14-40")
            .and(contains("[time-mismatch] unet_5-57_14-40.zip: the name says that the baseline took 5-57"))
            .and(contains("[over-time] submission: 1400.0 s, and the rules allow 1000.0 s: 2.5 times the baseline")),
    );
    let scores = codalab_reads(&read(dir.path().join("output/scores.txt")));
    let value = |key: &str| scores.iter().find(|(k, _)| k == key).unwrap().1;
    assert!((value("miou") - due).abs() < 1e-10);
    assert_eq!((value("over_time"), value("time_submission"), value("time_baseline")), (1.0, 880.0, 357.0));
    assert!(read(dir.path().join("output/detailed_results.html")).contains("over time"));

    // The organiser may allow more.
    let more = ["codalab", "input", "output", "--factor", "4"];
    flair_bench(dir.path()).args(more).assert().success().stderr(contains("over-time").not());
    flair_bench(dir.path()).args(["codalab", "input", "output", "--factor", "0"]).assert().code(2);
}

#[test]
fn an_invalid_submission_has_findings_and_no_score() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "preds");
    flair_bench(dir.path()).args(["codalab", "input", "output"]).assert().success();
    let pred =
        |number: u32| dir.path().join("input/res/preds").join(PatchId::new(77_412 + number).unwrap().file_name("PRED"));
    fs::remove_file(pred(1)).unwrap();
    fs::write(pred(2), b"<script>alert(1)</script>").unwrap();
    raster::write(&pred(3), &square(16, |_| 13)).unwrap();
    fs::write(dir.path().join("input/res/preds/PRED_<b>.tif"), b"").unwrap();
    let output = flair_bench(dir.path()).args(["codalab", "input", "output"]).assert().code(1);
    insta::assert_snapshot!(String::from_utf8_lossy(&output.get_output().stderr));
    // The score of the previous run is removed.
    let left: Vec<_> = fs::read_dir(dir.path().join("output")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["detailed_results.html"]);
    let page = read(dir.path().join("output/detailed_results.html"));
    assert!(page.contains("Not scored") && page.contains("missing-prediction") && page.contains("PRED_&lt;b&gt;.tif"));
    assert!(!page.contains("<b>") && !page.contains("<script"));
}

#[test]
fn faults_of_the_organiser_or_the_platform_are_not_the_participants() {
    let dir = tempfile::tempdir().unwrap();
    let codalab = || flair_bench(dir.path()).args(["codalab", "input", "output"]).assert();
    codalab().code(3).stderr(contains("`input/ref` is not a folder"));
    input(dir.path(), "preds");
    let mask = dir.path().join("input/ref/flair_2_labels_test/D015_2020/Z1_AA/msk/MSK_077413.tif");
    raster::write(&mask, &square(16, |_| 0)).unwrap();
    codalab().code(3).stderr(contains("the reference data of this challenge are broken: 1 problem"));
    // A mask of another form is a fault of the reference data, not of the submission.
    let plain = raster::encode(&square(16, |_| 1));
    let patched = |old: &[u8], new: &[u8]| {
        let at = plain.windows(old.len()).position(|window| window == old).unwrap();
        [&plain[..at], new, &plain[at + old.len()..]].concat()
    };
    let entry = |tag: u16, value: u16| [tag, 3, 1, 0, value].map(u16::to_le_bytes).concat();
    let forms = [
        (patched(&entry(258, 8), &entry(258, 16)), "samples are uint16, expected uint8"),
        (patched(&entry(262, 1), &entry(262, 0)), "0 means white"),
        (raster::encode(&Raster::new(3, 16, 16, vec![1; 768]).unwrap()), "3 bands, expected 1"),
    ];
    for (bytes, message) in forms {
        fs::write(&mask, bytes).unwrap();
        codalab().code(3).stderr(
            contains("the reference data of this challenge are broken: 1 problem")
                .and(contains("[wrong-mask-form]").and(contains(message))),
        );
    }
    assert!(dir.path().join("output/detailed_results.html").exists());
    fs::remove_dir_all(dir.path().join("input/ref/flair_2_labels_test")).unwrap();
    for entry in fs::read_dir(dir.path().join("input/res/preds")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    codalab().code(3).stderr(contains("the reference data are broken: there is no mask"));
    assert_eq!(fs::read_dir(dir.path().join("output")).unwrap().count(), 0, "nothing of the runs before is left");
    fs::write(dir.path().join("input/res/x.zip"), b"PK no archive").unwrap();
    codalab().code(1).stderr(contains("[unreadable-archive] x.zip"));
    assert!(!dir.path().join("output/scores.txt").exists());
}

#[test]
fn evalai_gets_its_result() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 2);
    let evalai = ["score", "--truth", "truth", "--pred", "pred", "--format", "evalai", "--split", "flair2_test"];
    let output = flair_bench(dir.path()).args(evalai).assert().success();
    let result: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let split = &result["result"][0]["flair2_test"];
    assert_eq!(split["mIoU"].as_f64(), Some(miou(dir.path(), "truth", "pred")));
    assert_eq!(split.as_object().unwrap().len(), 2 + 12);
    assert_eq!(result["submission_result"]["schema"], "flair-bench/score/2");
    pack(&dir.path().join("unet_5-57_14-40.zip"), &dir.path().join("pred"));
    let zipped = evalai.map(|argument| if argument == "pred" { "unet_5-57_14-40.zip" } else { argument });
    let output = flair_bench(dir.path()).args(zipped).assert().success();
    let result: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let split = &result["result"][0]["flair2_test"];
    assert_eq!((&split["time (s)"], &split["over time"]), (&880.0.into(), &0.0.into()));
    flair_bench(dir.path()).args(evalai).args(["--json", "-"]).assert().code(2);
    fs::remove_file(dir.path().join("pred/PRED_077413.tif")).unwrap();
    flair_bench(dir.path()).args(evalai).assert().code(3).stdout("").stderr(contains("missing-prediction"));
}

/// A zip of a folder's files.
fn pack(path: &Path, folder: &Path) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        archive.start_file(entry.file_name().to_string_lossy(), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&fs::read(entry.path()).unwrap()).unwrap();
    }
    archive.finish().unwrap();
}

/// Unpacks as Python's `ZipFile.extractall` does: no file becomes executable.
fn unpack(archive: &Path, folder: &Path) {
    let source = Source::open(archive).unwrap();
    for entry in source.entries() {
        assert!(entry.defects.is_empty(), "{entry:?}");
        let path = folder.join(&entry.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, source.read(entry, 1 << 30).unwrap()).unwrap();
    }
}

fn bundle(dir: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let program = assert_cmd::cargo::cargo_bin!("flair-bench").to_str().unwrap();
    let arguments = ["bundle", "out", "--truth", "truth", "--program", program];
    flair_bench(dir).args(arguments).args(more).assert()
}

/// The command of a scoring program, as the platform's worker runs it: its words replaced, split at spaces, no shell.
#[cfg(unix)]
fn run_program(program: &Path, metadata: &str, input: &Path, output: &Path) -> Output {
    let metadata = read(program.join(metadata));
    let command = metadata.lines().find_map(|line| line.strip_prefix("command: ")).unwrap();
    let places = [("$program", program), ("$input", input), ("$output", output)];
    let command = places.iter().fold(command.to_owned(), |c, (word, path)| c.replace(word, path.to_str().unwrap()));
    let words: Vec<_> = command.split(' ').collect();
    Command::new(words[0])
        .args(&words[1..])
        .current_dir(program)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap()
}

#[cfg(unix)]
#[test]
fn a_bundles_own_program_scores_its_own_sample_as_the_platform_would() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 3);
    let pred = dir.path().join("pred");
    bundle(dir.path(), &["--title", "A challenge of our own", "--end", "2027-01-01"])
        .success()
        .stdout(contains("out/codabench.zip: for Codabench, 3 patches").and(contains("out/codalab.zip")));
    for (platform, metadata) in [(Platform::Codabench, "metadata.yaml"), (Platform::Codalab, "metadata")] {
        let archive = dir.path().join("out").join(format!("{}.zip", platform.name()));
        assert_eq!(schema::check(platform, &Source::open(&archive).unwrap()), []);
        let root = dir.path().join(platform.name());
        unpack(&archive, &root);
        assert!(read(root.join("competition.yaml")).contains("title: \"A challenge of our own\""));
        unpack(&root.join("scoring_program.zip"), &root.join("run/program"));
        unpack(&root.join("reference_data.zip"), &root.join("run/input/ref"));
        unpack(&root.join("sample_submission.zip"), &root.join("run/input/res"));
        fs::create_dir(root.join("run/output")).unwrap();
        let path = |name: &str| -> PathBuf { root.join("run").join(name) };
        let run = || run_program(&path("program"), metadata, &path("input"), &path("output"));
        let output = run();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // All of one class outside the mean: valid, with a score of 0.
        assert_eq!(codalab_reads(&read(path("output/scores.txt")))[0], ("miou".to_owned(), 0.0));
        // A participant's submission.
        fs::remove_dir_all(path("input/res")).unwrap();
        fs::create_dir(path("input/res")).unwrap();
        pack(&path("input/res/unet_5-57_20-0.zip"), &pred);
        assert!(run().status.success());
        let scores = codalab_reads(&read(path("output/scores.txt")));
        assert!((scores[0].1 - miou(dir.path(), "truth", "pred")).abs() < 1e-10);
        assert!(scores.contains(&("over_time".to_owned(), 1.0)));
        // Invalid submissions are refused.
        fs::write(path("input/res/unet_5-57_20-0.zip"), b"PK").unwrap();
        let output = run();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("not a readable zip archive"));
        assert!(!path("output/scores.txt").exists() && !path("output/scores.json").exists());
    }
}

#[test]
fn every_column_of_a_leaderboard_is_a_key_of_the_scores() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "unet_5-57_14-40");
    flair_bench(dir.path()).args(["codalab", "input", "output"]).assert().success();
    let scores: Value = serde_json::from_str(&read(dir.path().join("output/scores.json"))).unwrap();
    fs::rename(dir.path().join("input/ref"), dir.path().join("truth")).unwrap();
    bundle(dir.path(), &["--platform", "codabench"]).success();
    assert!(!dir.path().join("out/codalab.zip").exists());
    // A bundle is replaced only on demand; the other platform's has a name of its own.
    bundle(dir.path(), &["--platform", "both"])
        .code(2)
        .stderr(contains("codabench.zip` exists").and(contains("--replace")));
    assert!(!dir.path().join("out/codalab.zip").exists());
    bundle(dir.path(), &["--platform", "codalab"]).success();
    bundle(dir.path(), &["--replace"]).success();
    let source = Source::open(&dir.path().join("out/codabench.zip")).unwrap();
    let entry = source.entries().iter().find(|entry| entry.name == "competition.yaml").unwrap();
    let mut yaml = String::new();
    source.read(entry, 1 << 20).unwrap().as_slice().read_to_string(&mut yaml).unwrap();
    let columns = yaml.split("columns:").nth(1).unwrap().split("fact_sheet").next().unwrap();
    let keys: Vec<_> = columns.lines().filter_map(|line| line.trim().strip_prefix("key: ")).collect();
    assert_eq!(keys.len(), 1 + 12 + 1 + 4);
    assert!(keys.iter().all(|key| scores[key].is_number()), "{keys:?} {scores}");
}

#[test]
fn a_program_that_would_not_run_elsewhere_is_refused_or_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    let arguments = ["bundle", "out", "--truth", "truth"];
    let is_static =
        flair_hosting::bundle::program::linkage(&fs::read(assert_cmd::cargo::cargo_bin!("flair-bench")).unwrap())
            == flair_hosting::bundle::program::Linkage::Static;
    if !is_static {
        flair_bench(dir.path()).args(arguments).assert().code(2).stderr(contains("+crt-static"));
        assert!(!dir.path().join("out").exists());
        bundle(dir.path(), &[]).success().stderr(contains("warning").and(contains("+crt-static")));
    }
    fs::write(dir.path().join("script"), "#!/bin/sh\n").unwrap();
    let script = [&arguments[..], &["--program", "script", "--replace"]].concat();
    flair_bench(dir.path()).args(script).assert().success().stderr(contains("is not a program for Linux on x86-64"));
}

#[test]
fn settings_are_checked_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 1);
    let settings = |text: &str| {
        fs::write(dir.path().join("challenge.yaml"), text).unwrap();
        bundle(dir.path(), &["--settings", "challenge.yaml"])
    };
    settings("titel: x").code(2).stderr(contains("titel").and(contains("challenge.yaml")));
    settings("title: short").code(2).stderr(contains("`title` has 5 characters, expected 8 to 100"));
    bundle(dir.path(), &["--start", "soon"]).code(2).stderr(contains("`phases[0].start` is not a time"));
    bundle(dir.path(), &["--pages", "none"]).code(3).stderr(contains("none"));
    bundle(dir.path(), &["--logo", "truth"]).code(3);
    assert!(!dir.path().join("out").exists());
    settings("title: Two phases of it\nphases: [{name: A, end: 2026-02-01}, {name: B, start: 2026-02-01}]").success();
    fs::write(dir.path().join("MSK_1.tif"), "").unwrap();
    flair_bench(dir.path())
        .args(["bundle", "out", "--truth", ".", "--program", "challenge.yaml", "--replace"])
        .assert()
        .code(3)
        .stderr(contains("wrong-mask-name").and(contains("cannot be the reference data")));
}
