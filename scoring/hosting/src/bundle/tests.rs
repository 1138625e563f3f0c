use std::io::Read;

use super::*;
use crate::rules::FLAIR2;
use crate::{Challenge, Phase};
use flair_scoring::progress::Silent;

/// Masks of 16 × 16 pixels, in official folders.
fn masks(root: &Path, patches: u32) {
    for number in 1..=patches {
        let labels = (0..256u32).map(|i| 1 + u8::try_from((i + number) % 19).unwrap()).collect();
        let path = format!("D015_2020/Z{number}_AA/msk/MSK_{number:06}.tif");
        raster::write(&root.join(path), &Raster::new(1, 16, 16, labels).unwrap()).unwrap();
    }
    fs::write(root.join("secret.txt"), "not a mask").unwrap();
}

fn plan(challenge: &Challenge) -> Plan<'_> {
    let platforms = &Platform::ALL;
    Plan { challenge, protocol: &FLAIR2, program: b"program", platforms, pages: None, logo: None }
}

fn made(dir: &Path, plan: &Plan<'_>) -> Result<Vec<Made>, BundleError> {
    let truth = dir.join("truth");
    make(plan, &truth, &Masks::find(&truth).unwrap(), &dir.join("out"), &Silent)
}

fn files(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ::zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
    let count = archive.len();
    let read = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.name().unwrap().into_owned(), bytes)
    };
    (0..count).map(read).collect()
}

fn names(files: &[(String, Vec<u8>)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn the_kit_brings_the_protocol_of_a_file() {
    let (challenge, ids) = (Challenge::default(), [PatchId::new(77_413).unwrap()]);
    let own = Protocol::from_yaml("{name: own, nomenclature: flair-19}", "a test").unwrap();
    for (protocol, is_there) in [(&own, true), (&*FLAIR2, false)] {
        let parts = parts(&Plan { protocol, ..plan(&challenge) }, &ids, b"sample").unwrap();
        let (_, kit, _) = parts.into_iter().find(|(name, ..)| *name == super::files::KIT).unwrap();
        let kit = files(&kit);
        let brought = kit.iter().find(|(name, _)| name == super::files::PROTOCOL);
        assert_eq!(brought.is_some(), is_there);
        let known = |(_, text): &(String, Vec<u8>)| Protocol::from_yaml(std::str::from_utf8(text).unwrap(), "kit");
        assert!(brought.is_none_or(|file| known(file).unwrap() == own));
    }
}

#[test]
fn bundles_hold_what_their_platforms_ask_for_and_no_more_of_the_truth_than_masks() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("truth"), 3);
    let challenge = Challenge::default();
    let made_once = made(dir.path(), &plan(&challenge)).unwrap();
    assert_eq!(made_once.iter().map(|made| made.platform).collect::<Vec<_>>(), Platform::ALL);
    for bundle in &made_once {
        let bytes = fs::read(&bundle.path).unwrap();
        let parts = files(&bytes);
        assert_eq!(
            names(&parts),
            [
                "competition.yaml",
                "overview.html",
                "evaluation.html",
                "terms.html",
                "data.html",
                "logo.png",
                "scoring_program.zip",
                "starting_kit.zip",
                "sample_submission.zip",
                "reference_data.zip"
            ]
        );
        let part = |name: &str| &parts.iter().find(|(n, _)| n == name).unwrap().1;
        let zone = |n| format!("D015_2020/Z{n}_AA/msk/MSK_00000{n}.tif");
        assert_eq!(names(&files(part("reference_data.zip"))), [zone(1), zone(2), zone(3)]);
        assert_eq!(
            names(&files(part("scoring_program.zip"))),
            ["metadata", "metadata.yaml", "score.sh", "protocol.yml", "flair-bench"]
        );
        assert_eq!(
            names(&files(part("starting_kit.zip"))),
            ["README.md", "ids.txt", "sample_submission.zip", "flair-bench"]
        );
        insta::assert_snapshot!(bundle.platform.name(), String::from_utf8_lossy(part("competition.yaml")));
    }
    // Nothing else is left, and the same plan gives the same bytes.
    let first = made_once.iter().map(|made| fs::read(&made.path).unwrap()).collect::<Vec<_>>();
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 2);
    let second = made(dir.path(), &plan(&challenge)).unwrap();
    assert!(second.iter().zip(first).all(|(made, first)| fs::read(&made.path).unwrap() == first));
}

#[test]
fn texts_with_marks_of_yaml_and_html_stay_texts() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("truth"), 1);
    let phase = |name: &str, start: &str, end: &str| Phase {
        name: name.to_owned(),
        start: start.to_owned(),
        end: end.to_owned(),
        ..Phase::default()
    };
    let challenge = Challenge {
        title: "A \"title\": with # & *marks* \\ {of} [YAML], × 🌍".to_owned(),
        description: "- no: list".to_owned(),
        organiser: "<i>".to_owned(),
        contact: "a@b.org".to_owned(),
        phases: vec![phase("yes", "2026-01-01", "2026-02-01"), phase("null", "2026-02-01 12:30:00", "2026-03-01")],
        ..Challenge::default()
    };
    challenge.check(&Platform::ALL).unwrap();
    for bundle in made(dir.path(), &plan(&challenge)).unwrap() {
        let parts = files(&fs::read(bundle.path).unwrap());
        let yaml = String::from_utf8_lossy(&parts[0].1);
        assert!(yaml.is_ascii());
        let value: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(value["title"], challenge.title.as_str());
        assert_eq!(value["description"], "- no: list");
        let second = if value["version"] == 2 { &value["phases"][1] } else { &value["phases"]["2"] };
        assert!(second.to_string().contains("2026-02-01 12:30:00") && second.to_string().contains("\"null\""));
    }
}

/// The guide for organisers.
const GUIDE: &str = include_str!("../../../../docs/hosting.md");

/// The first block of that language below a heading of the guide.
fn example(heading: &str, language: &str) -> &'static str {
    let below = GUIDE.split_once(&format!("\n{heading}\n")).expect(heading).1;
    let block = below.split_once(&format!("```{language}\n")).expect(language).1;
    block.split_once("```").unwrap().0
}

#[test]
fn the_guides_settings_make_bundles_that_the_platforms_take() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("truth"), 1);
    let challenge = Challenge::from_yaml(example("### What to edit", "yaml")).unwrap();
    assert!(challenge.phases.len() > 1);
    challenge.check(&Platform::ALL).unwrap();
    // A bundle that breaks a rule of its platform is an error.
    assert_eq!(made(dir.path(), &plan(&challenge)).unwrap().len(), 2);
}

#[test]
fn the_guides_leaderboard_takes_every_result_on_evalai() {
    let schema: serde_json::Value = serde_json::from_str(example("## EvalAI", "json")).unwrap();
    let report = crate::leaderboard::tests::report();
    let known = "unet_5-57_14-40.zip".parse::<flair_scoring::submission::ArchiveName>().unwrap().times();
    for name in [None, known] {
        let declared = crate::Declared { name, ..crate::Declared::default() };
        let result = crate::evalai::result(&report, &declared, "test_split");
        assert_eq!(schema::evalai::leaderboard(&schema, &result), []);
    }
    // All labels of the schema are used.
    let over = flair_scoring::timing::judge(
        &flair_scoring::timing::Timing::new(
            std::time::Duration::from_secs(9),
            1,
            flair_scoring::timing::Devices { nodes: 1, per_node: 1 },
        ),
        &flair_scoring::timing::Limits { device_seconds: 1.0, ..<_>::default() },
    );
    let declared = crate::Declared { name: known, verdicts: vec![over], ..crate::Declared::default() };
    let result = crate::evalai::result(&report, &declared, "test_split");
    let values = result["result"][0]["test_split"].as_object().unwrap();
    assert_eq!(values.len(), schema["labels"].as_array().unwrap().len(), "{values:?}");
}

#[test]
fn a_bundle_that_its_platform_would_refuse_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("truth"), 1);
    let bad = Challenge { title: String::new(), ..Challenge::default() };
    let refused = made(dir.path(), &plan(&bad));
    assert!(matches!(refused, Err(BundleError::Schema { .. })), "{refused:?}");
    let out = dir.path().join("out");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    // A valid bundle of an earlier run is kept.
    let sound = fs::read(&made(dir.path(), &plan(&Challenge::default())).unwrap()[0].path).unwrap();
    made(dir.path(), &plan(&bad)).unwrap_err();
    assert_eq!(fs::read(out.join("codabench.zip")).unwrap(), sound);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn masks_that_cannot_be_scored_against_stop_it() {
    let dir = tempfile::tempdir().unwrap();
    let truth = dir.path().join("truth");
    fs::create_dir(&truth).unwrap();
    let challenge = Challenge::default();
    let codes = || match made(dir.path(), &plan(&challenge)).unwrap_err() {
        BundleError::Masks(findings) => findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    assert!(matches!(made(dir.path(), &plan(&challenge)), Err(BundleError::NoMasks)));
    masks(&truth, 2);
    raster::write(&truth.join("MSK_000009.tif"), &Raster::new(1, 2, 2, vec![0, 1, 2, 3]).unwrap()).unwrap();
    assert_eq!(codes(), ["label-out-of-range"]);
    fs::write(truth.join("MSK_000009.tif"), "no picture").unwrap();
    assert_eq!(codes(), ["unreadable-mask"]);
    fs::rename(truth.join("MSK_000009.tif"), truth.join("MSK_9.tif")).unwrap();
    assert_eq!(codes(), ["wrong-mask-name"]);
    fs::remove_file(truth.join("MSK_9.tif")).unwrap();
    let logo = Plan { logo: Some(b"GIF89a"), ..plan(&challenge) };
    assert!(matches!(made(dir.path(), &logo), Err(BundleError::Logo)));
    // The failed run left nothing behind.
    let left = fs::read_dir(dir.path().join("out")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

/// The bundle with one of its parts changed, or removed where there are no new bytes.
#[test]
fn masks_without_a_class_of_the_mean_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truth/D015_2020/Z1_AA/msk/MSK_000001.tif");
    raster::write(&path, &Raster::new(1, 16, 16, vec![19; 256]).unwrap()).unwrap();
    assert!(matches!(made(dir.path(), &plan(&Challenge::default())), Err(BundleError::NoMean)));
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 0);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("truth"), 1);
    let out = dir.path().join("out");
    for left in [".bundle.1.part", ".bundle.x.part", ".bundle.2.part"] {
        fs::create_dir_all(out.join(left)).unwrap();
    }
    let _used = FolderLock::take(&out.join(".bundle.2.part"), "a process that makes bundles").unwrap();
    made(dir.path(), &plan(&Challenge::default())).unwrap();
    let mut names: Vec<_> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".bundle.2.part", ".bundle.x.part", "codabench.zip", "codalab.zip"]);
}

fn tampered(bundle: &Path, name: &str, change: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let parts = files(&fs::read(bundle).unwrap());
    let path = bundle.with_extension("changed.zip");
    let mut archive = Archive::new(File::create(&path).unwrap());
    for (part, bytes) in &parts {
        let changed = if part == name {
            change(&String::from_utf8_lossy(bytes)).map(String::into_bytes)
        } else {
            Some(bytes.clone())
        };
        if let Some(bytes) = changed {
            archive.add(part, &bytes, Keep::Stored).unwrap();
        }
    }
    archive.finish().unwrap();
    let platform = if bundle.ends_with("codalab.zip") { Platform::Codalab } else { Platform::Codabench };
    schema::check(platform, &Source::open(&path).unwrap())
}

#[test]
fn what_a_platform_would_refuse_is_found() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("truth"), 1);
    let challenge = Challenge::default();
    let bundles = made(dir.path(), &plan(&challenge)).unwrap();
    let (bench, lab) = (&bundles[0].path, &bundles[1].path);
    let yaml = |bundle: &Path, from: &'static str, to: &'static str| {
        let findings = tampered(bundle, "competition.yaml", |text| {
            assert!(text.contains(from), "{from}");
            Some(text.replacen(from, to, 1))
        });
        findings.first().map_or_else(|| "nothing".to_owned(), |f| format!("{}: {}", f.subject, f.message))
    };
    let gone = |bundle: &Path, name: &str| {
        let findings = tampered(bundle, name, |_| None);
        findings.first().map_or_else(|| "nothing".to_owned(), |f| format!("{}: {}", f.subject, f.message))
    };
    let messages = [
        yaml(bench, "title: ", "title: "),
        yaml(bench, "version: 2", "version: 1"),
        yaml(bench, "image: logo.png", "image: terms.html"),
        yaml(bench, "terms: terms.html\n", ""),
        yaml(bench, "tasks: [0]", "tasks: [7]"),
        yaml(bench, "start: \"2026", "start: \"soon 2026"),
        yaml(bench, "precision: 5", "precision: five"),
        yaml(bench, "sorting: desc", "sorting: down"),
        yaml(bench, "key: miou", "key: iou_building"),
        yaml(bench, "key: miou", "key: miou\n        computation: avg"),
        yaml(bench, "key: miou", "key: miou\n        computation: avg\n        computation_indexes: [0, 1]"),
        yaml(bench, "index: 2\n        title: \"building\"", "index: 0\n        title: \"building\""),
        yaml(bench, "submission_rule: Force_Best", "submission_rule: Best"),
        yaml(bench, "forum_enabled", "forum_is_enabled"),
        gone(bench, "starting_kit.zip"),
        gone(bench, "reference_data.zip"),
        gone(bench, "competition.yaml"),
        yaml(lab, "title: ", "title: "),
        yaml(lab, "title: ", "version: 1.5\ntitle: "),
        yaml(lab, "  data: data.html\n", ""),
        yaml(lab, "phasenumber: 1", "phasenumber: 2"),
        yaml(lab, "leaderboard: *RESULTS", "leaderboard: {label: Others, rank: 1}"),
        yaml(lab, "numeric_format: 5", "numeric_format: 0"),
        yaml(lab, "      selection_default: 1\n", ""),
        gone(lab, "evaluation.html"),
        gone(lab, "scoring_program.zip"),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn phases_that_touch_are_refused_by_codabench_alone() {
    let dir = tempfile::tempdir().unwrap();
    masks(&dir.path().join("truth"), 1);
    let phase = |start: &str, end: &str| Phase { start: start.to_owned(), end: end.to_owned(), ..Phase::default() };
    let challenge =
        Challenge { phases: vec![phase("2026-01-01", "2026-02-01"), phase("2026-02-01", "")], ..Challenge::default() };
    let codes = |platforms: &[Platform]| match made(dir.path(), &Plan { platforms, ..plan(&challenge) }) {
        Ok(_) => Vec::new(),
        Err(BundleError::Schema { findings, .. }) => {
            findings.into_iter().map(|f| format!("{}: {}", f.subject, f.message)).collect()
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(codes(&[Platform::Codabench]), ["phases.start: is not after the end of the previous phase (Codabench)"]);
    assert_eq!(codes(&[Platform::Codalab]), [""; 0]);
}

#[test]
fn a_program_that_would_not_start_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("x.zip");
    masks(&dir.path().join("truth"), 1);
    let challenge = Challenge::default();
    let whole = files(&fs::read(&made(dir.path(), &plan(&challenge)).unwrap()[0].path).unwrap());
    let with = |metadata: &str| {
        let program = archive(&[("metadata.yaml", metadata.as_bytes(), Keep::Stored), ("score.sh", b"", Keep::Stored)]);
        let program = program.unwrap();
        let mut archive = Archive::new(File::create(&bundle).unwrap());
        for (name, bytes) in &whole {
            let bytes = if name == files::PROGRAM { &program } else { bytes };
            archive.add(name, bytes, Keep::Stored).unwrap();
        }
        archive.finish().unwrap();
        schema::check(Platform::Codabench, &Source::open(&bundle).unwrap()).len()
    };
    assert_eq!(with(files::METADATA), 0);
    assert_eq!(with("command: sh $program/other.sh $input $output"), 1);
    assert_eq!(with("command: sh -c '$program/score.sh $input $output'"), 2);
    assert_eq!(with("command: sh $program/score.sh"), 1);
    assert_eq!(with("description: x"), 2);
}
