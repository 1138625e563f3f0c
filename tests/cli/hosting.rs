//! `flair-bench codalab` and `flair-bench score --format evalai`.

use std::{fs, io::Write, path::Path};

use flair_scoring::{
    PatchId,
    raster::{self, Raster},
    timing::{Devices, Limits, Timing},
};
use predicates::{prelude::PredicateBooleanExt, str::contains};
use serde_json::Value;

use crate::fixture::{flair_bench, pairs, square};

/// `input/ref` with the masks of three patches and `input/res` with their predictions, below `folder` of it.
pub(crate) fn input(root: &Path, folder: &str) {
    pairs(root, 3);
    fs::create_dir_all(root.join("input")).unwrap();
    fs::rename(root.join("truth"), root.join("input/ref")).unwrap();
    fs::create_dir_all(root.join("input/res").join(folder).parent().unwrap()).unwrap();
    fs::rename(root.join("pred"), root.join("input/res").join(folder)).unwrap();
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// The same score by `flair-bench score`.
pub(crate) fn miou(root: &Path, truth: &str, pred: &str) -> f64 {
    let arguments = ["score", "--truth", truth, "--pred", pred, "--json", "-"];
    let output = flair_bench(root).args(arguments).assert().success();
    serde_json::from_slice::<Value>(&output.get_output().stdout).unwrap()["miou"].as_f64().unwrap()
}

/// Parses scores.txt as CodaLab's server does: split at every colon, two parts, the second a float.
pub(crate) fn codalab_reads(text: &str) -> Vec<(String, f64)> {
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
    let page = read(dir.path().join("output/results.html"));
    assert!(page.contains("<svg") && page.contains(&format!("{due:.5}")) && page.contains("within the rules"));
}

#[test]
fn the_page_leaves_the_file_of_codalabs_worker_empty() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "preds");
    let (page, reserved) = (dir.path().join("output/results.html"), dir.path().join("output/detailed_results.html"));
    let codalab = || flair_bench(dir.path()).args(["codalab", "input", "output"]).assert();
    // Codabench shows the other page only if there is none of this name.
    codalab().success();
    assert!(page.exists() && !reserved.exists());
    // CodaLab's worker makes it, reads it at the end, and uploads the other page only if it is empty.
    for is_valid in [true, false] {
        fs::write(&reserved, "").unwrap();
        if !is_valid {
            fs::write(dir.path().join("input/res/preds/PRED_077413.tif"), "").unwrap();
        }
        codalab().code(i32::from(!is_valid));
        assert_eq!(fs::metadata(&reserved).unwrap().len(), 0);
        assert_eq!(read(&page).contains("Not scored"), !is_valid);
    }
    // A page of an older version would be taken for this run's.
    fs::write(&reserved, "<p>an earlier run</p>").unwrap();
    codalab().code(1);
    assert!(!reserved.exists());
}

#[test]
fn archives_that_are_not_read_are_named_by_every_command() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "preds");
    let res = dir.path().join("input/res");
    // A zip in a zip.
    fs::create_dir(dir.path().join("inner")).unwrap();
    pack(&dir.path().join("inner/nested.zip"), &res.join("preds"));
    pack(&dir.path().join("outer.zip"), &dir.path().join("inner"));
    let nested =
        |subject: &str| contains(format!("[nested-archive] {subject}: a nested archive: scorers do not open it"));
    let score = |pred: &str| {
        let arguments = ["score", "--truth", "input/ref", "--pred", pred];
        flair_bench(dir.path()).args(arguments).assert()
    };
    flair_bench(dir.path()).args(["check", "outer.zip"]).assert().code(1).stdout(nested("nested.zip"));
    score("outer.zip").code(3).stdout(nested("nested.zip"));
    let codalab = || flair_bench(dir.path()).args(["codalab", "input", "output"]).assert();
    // Beside predictions, or in a folder: there is a score, and a finding.
    for name in ["old.zip", "preds/old.zip"] {
        fs::copy(dir.path().join("inner/nested.zip"), res.join(name)).unwrap();
        score("input/res").success().stderr(nested(name));
        let evalai = ["score", "--truth", "input/ref", "--pred", "input/res", "--format", "evalai"];
        flair_bench(dir.path()).args(evalai).assert().success().stderr(nested(name));
        codalab().success().stderr(nested(name));
        assert!(read(dir.path().join("output/results.html")).contains(&format!("<code>{name}</code>")));
        fs::remove_file(res.join(name)).unwrap();
    }
    // In place of predictions.
    fs::remove_dir_all(&res).unwrap();
    fs::create_dir_all(res.join("sub")).unwrap();
    fs::copy(dir.path().join("outer.zip"), res.join("sub/outer.zip")).unwrap();
    codalab().code(1).stderr(nested("sub/outer.zip"));
    fs::rename(res.join("sub/outer.zip"), res.join("outer.zip")).unwrap();
    codalab().code(1).stderr(nested("nested.zip"));
}

#[test]
fn a_submission_that_codabench_took_for_a_program_says_so() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), "preds");
    fs::remove_dir_all(dir.path().join("input/res/preds")).unwrap();
    fs::write(dir.path().join("input/res/metadata"), "exitCode: null\n").unwrap();
    let codalab = flair_bench(dir.path()).args(["codalab", "input", "output"]).assert().code(1);
    codalab.stderr(
        contains("[missing-prediction]").and(contains("[program-metadata]")).and(contains("takes it for a program")),
    );
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
    assert!(read(dir.path().join("output/results.html")).contains("over time"));

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
    assert_eq!(left, ["results.html"]);
    let page = read(dir.path().join("output/results.html"));
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
    assert!(dir.path().join("output/results.html").exists());
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
    // The folder's name counts as it does on the other platforms.
    fs::create_dir_all(dir.path().join("res/unet_5-57_14-40")).unwrap();
    for entry in fs::read_dir(dir.path().join("pred")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join("res/unet_5-57_14-40").join(path.file_name().unwrap())).unwrap();
    }
    let named = evalai.map(|argument| if argument == "pred" { "res" } else { argument });
    let output = flair_bench(dir.path()).args(named).assert().success();
    let result: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(result["result"][0]["flair2_test"]["time (s)"], 880.0);
    flair_bench(dir.path()).args(evalai).args(["--json", "-"]).assert().code(2);
    fs::remove_file(dir.path().join("pred/PRED_077413.tif")).unwrap();
    flair_bench(dir.path()).args(evalai).assert().code(3).stdout("").stderr(contains("missing-prediction"));
}

/// A zip of a folder's files.
pub(crate) fn pack(path: &Path, folder: &Path) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        archive.start_file(entry.file_name().to_string_lossy(), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&fs::read(entry.path()).unwrap()).unwrap();
    }
    archive.finish().unwrap();
}
