use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
    sync::atomic::Ordering,
};

use super::*;
use crate::{PatchId, ScoreReport, progress::Silent, raster::Raster};

/// A folder with masks and one with predictions.
struct Case(tempfile::TempDir);

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["truth/D001_2020/Z1_AA/msk", "pred"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mask(&self, number: u32, labels: &[u8]) {
        let name = PatchId::new(number).unwrap().file_name("MSK");
        write(&self.path("truth/D001_2020/Z1_AA/msk").join(name), 1, 2, labels);
    }

    fn prediction(&self, number: u32, classes: &[u8]) {
        let name = PatchId::new(number).unwrap().file_name("PRED");
        write(&self.path("pred").join(name), 1, 2, classes);
    }

    fn score(&self, out_of_range: OutOfRange) -> Result<Evaluation, EvaluateError> {
        let masks = Masks::find(&self.path("truth")).unwrap();
        let source = Source::open(&self.path("pred")).unwrap();
        evaluate(&masks, &source, &Options { out_of_range, ..Options::default() }, &Silent)
    }

    fn findings(&self, out_of_range: OutOfRange) -> String {
        let Err(EvaluateError::NotScorable(findings)) = self.score(out_of_range) else { panic!("was scored") };
        let root = self.path("truth/D001_2020/Z1_AA/msk").display().to_string();
        let lines = findings.iter().map(|f| format!("{}: {}: {}", f.code, f.subject.replace(&root, "…"), f.message));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn write(path: &Path, bands: usize, width: usize, samples: &[u8]) {
    let height = samples.len() / bands / width;
    raster::write(path, &Raster::new(bands, height, width, samples.to_vec()).unwrap()).unwrap();
}

#[test]
fn all_pairs_make_one_matrix() {
    struct Count(AtomicU64);
    impl Progress for Count {
        fn event(&self, event: Event<'_>) {
            if let Event::Step { patch: Some(patch) } = event {
                self.0.fetch_add(u64::from(patch.number()), Ordering::Relaxed);
            }
        }
    }
    let case = Case::new();
    for number in 1..=40 {
        case.mask(number, &[1, 2, 19, 13]);
        case.prediction(number, &[0, 2, 12, 4]);
    }
    fs::write(case.path("pred/timing.json"), "{}").unwrap();
    let (masks, source) = (Masks::find(&case.path("truth")).unwrap(), Source::open(&case.path("pred")).unwrap());
    let steps = Count(AtomicU64::new(0));
    let found = evaluate(&masks, &source, &Options::default(), &steps).unwrap();
    assert_eq!(steps.0.into_inner(), (1..=40).sum::<u64>());
    let cells = [(0, 0), (1, 2), (12, 12), (12, 4)].map(|(truth, class)| (truth, class, 40));
    assert_eq!(found.matrix, Evaluation::of_cells(&cells).matrix);
    assert_eq!(found.patches, 40);
}

#[test]
fn patches_and_outlines_are_kept_on_request() {
    let case = Case::new();
    for number in 1..=40 {
        case.mask(number, &[1, 1, 19, 13]);
        case.prediction(number, &[0, 12, 12, 4]);
    }
    let (masks, source) = (Masks::find(&case.path("truth")).unwrap(), Source::open(&case.path("pred")).unwrap());
    let scored =
        |keep, boundary| evaluate(&masks, &source, &Options { keep, boundary, ..Options::default() }, &Silent).unwrap();
    let plain = scored(Keep::Sum, None);
    assert_eq!((plain.by_patch.len(), &plain.boundary), (0, &None));
    let found = scored(Keep::Patches, Some(BoundaryWidth::Relative));
    assert_eq!(found.matrix, plain.matrix);
    let mut sum = ConfusionMatrix::empty(13);
    found.by_patch.iter().for_each(|patch| patch.add_to(&mut sum));
    assert_eq!(sum, plain.matrix);
    assert!(found.by_patch.iter().map(|patch| patch.id.number()).eq(1..=40));
    // In so small a map all is outline: the scores are those of the areas.
    let report = ScoreReport::new(&found);
    let boundary = report.boundary.unwrap();
    assert!(boundary.iou.iter().eq(report.classes.iter().map(|class| &class.scores.iou)));
    assert_eq!((boundary.width, boundary.miou), (BoundaryWidth::Relative, report.means.miou));
}

#[test]
fn every_problem_is_reported_at_once() {
    let case = Case::new();
    for number in 1..=9 {
        case.mask(number, &[1, 2, 3, 4]);
    }
    case.mask(10, &[1, 0, 20, 0]);
    for number in [2, 5, 10, 11] {
        case.prediction(number, &[0, 1, 2, 3]);
    }
    let pred = |number: u32| case.path("pred").join(PatchId::new(number).unwrap().file_name("PRED"));
    case.prediction(1, &[0, 13, 255, 255]);
    fs::write(pred(3), b"II*").unwrap();
    write(&pred(4), 3, 3, &[0; 18]);
    let whole = fs::read(pred(2)).unwrap();
    // The strip's data begin behind 8 bytes of header: the directory stays right, the pixels do not.
    fs::write(pred(6), [&whole[..8], &[0xff; 4], &whole[12..]].concat()).unwrap();
    case.prediction(7, &[1, 2, 3, 13]);
    fs::create_dir(case.path("pred/again")).unwrap();
    fs::copy(pred(5), case.path("pred/again/PRED_000005.tif")).unwrap();
    insta::assert_snapshot!(case.findings(OutOfRange::Reject), @r"
    missing-prediction: 000008-000009: 2 of 10 masks have no prediction: every mask needs one
    extra-prediction: 000011: a prediction, but no mask to score it against
    duplicate-prediction: 000005: 2 predictions for one patch: `PRED_000005.tif`, `again/PRED_000005.tif`
    unreadable-image: PRED_000003.tif: not a valid TIFF: it is truncated: expected 2 bytes at offset 2, the file has 3 bytes
    unreadable-image: PRED_000006.tif: not a valid TIFF: its LZW data are invalid: invalid code in LZW stream
    wrong-size: PRED_000004.tif: 3 × 2 pixels, its mask has 2 × 2
    wrong-bands: PRED_000004.tif: 3 bands, expected 1
    value-out-of-range: PRED_000001.tif: 3 pixels out of range: 13 (1), 255 (2); classes are 0..=12
    value-out-of-range: PRED_000007.tif: 1 pixel out of range: 13 (1); classes are 0..=12 (13, nothing above and no 0: counted from 1? subtract 1)
    label-out-of-range: …/MSK_000010.tif: 3 pixels out of range: 0 (2), 20 (1); labels are 1..=19
    ");
}

#[test]
fn a_problem_of_many_files_is_reported_once() {
    let case = Case::new();
    for number in 1..=200 {
        case.mask(number, &[1, 2, 3, if number > 190 { 77 } else { 4 }]);
        let classes = match number {
            1..=100 => [0, 1, 255, 254 - (number % 4) as u8],
            101..=150 => [1, 2, 3, 13],
            // The maximum is 13, but there is a 0: the values were not counted from 1.
            151 => [0, 1, 2, 13],
            _ => [0, 1, 2, 3],
        };
        case.prediction(number, &classes);
    }
    for number in 152..=160 {
        let name = PatchId::new(number).unwrap().file_name("PRED");
        write(&case.path("pred").join(name), 1, 3, &[0; 9]);
    }
    insta::assert_snapshot!(case.findings(OutOfRange::Reject), @r"
    wrong-size: 000152-000160: 3 × 3 pixels, its mask has 2 × 2 (9 files)
    value-out-of-range: 000001-000100, 000151: 201 pixels out of range: 13 (1), 251 (25), 252 (25), 253 (25), 254 (25), 255 (100); classes are 0..=12 (101 files)
    value-out-of-range: 000101-000150: 50 pixels out of range: 13 (50); classes are 0..=12 (13, nothing above and no 0: counted from 1? subtract 1) (50 files)
    label-out-of-range: 000191-000200: 10 pixels out of range: 77 (10); labels are 1..=19 (10 files)
    ");
}

#[test]
fn dropping_gives_upstreams_number_and_says_so() {
    let case = Case::new();
    case.mask(1, &[1, 1, 2, 2]);
    case.prediction(1, &[0, 255, 1, 255]);
    insta::assert_snapshot!(case.findings(OutOfRange::Reject), @"value-out-of-range: PRED_000001.tif: 2 pixels out of range: 255 (2); classes are 0..=12");
    let report = ScoreReport::new(&case.score(OutOfRange::Drop).unwrap());
    assert_eq!((report.means.miou, report.pixels, report.dropped_pixels), (Some(1.0), 4, 2));
    assert!(report.notes[0].starts_with("2 pixels"), "{:?}", report.notes);
    // A mask's faults are never dropped.
    case.mask(1, &[0, 1, 2, 2]);
    insta::assert_snapshot!(case.findings(OutOfRange::Drop), @"label-out-of-range: …/MSK_000001.tif: 1 pixel out of range: 0 (1); labels are 1..=19");
}

#[test]
fn classes_counted_from_1_are_recognised_scored_or_not() {
    let message = |other: u8, out_of_range| {
        let case = Case::new();
        for label in 1..=6 {
            let number = u32::from(label);
            case.mask(number, &[label, label, label, 13]);
            case.prediction(number, &[label, label, label, other]);
        }
        let findings = match case.score(out_of_range) {
            Ok(evaluation) => evaluation.findings,
            Err(EvaluateError::NotScorable(findings)) => findings,
            Err(error) => panic!("{error}"),
        };
        let lines = findings.iter().map(|f| format!("{}: {}: {}", f.code, f.subject, f.message));
        lines.collect::<Vec<_>>().join("\n")
    };
    // A network that never predicts "other"; one that does, refused; dropped as upstream's scorer does.
    insta::assert_snapshot!(message(1, OutOfRange::Reject), @"one-based: all predictions: labels seem counted from 1: shifted, the mIoU would be 0.8889 instead of 0.0000");
    insta::assert_snapshot!(message(13, OutOfRange::Reject), @r"
    value-out-of-range: 000001-000006: 6 pixels out of range: 13 (6); classes are 0..=12 (13, nothing above and no 0: counted from 1? subtract 1) (6 files)
    one-based: all predictions: labels seem counted from 1: shifted, the mIoU would be 1.0000
    ");
    insta::assert_snapshot!(message(13, OutOfRange::Drop), @"one-based: all predictions: labels seem counted from 1: shifted, the mIoU would be 1.0000 instead of 0.0000");
    // With a value that no mistake leads to, nothing is claimed.
    assert_eq!(message(77, OutOfRange::Drop), "");
}

#[test]
fn images_of_colours_and_scores_are_recognised() {
    let case = Case::new();
    for number in 1..=3 {
        case.mask(number, &[1, 2, 3, 4]);
    }
    let pred = |number: u32| case.path("pred").join(PatchId::new(number).unwrap().file_name("PRED"));
    let colours = [[0xdb, 0x93, 0xdb, 0xdb], [0x0e, 0x8e, 0x0e, 0x0e], [0x9a, 0x7b, 0x9a, 0x9a]].concat();
    write(&pred(1), 3, 2, &colours);
    write(&pred(2), 13, 2, &[7; 13 * 4]);
    // Of another size: it is not decoded for its colours.
    write(&pred(3), 3, 4, &[colours.clone(), colours].concat());
    insta::assert_snapshot!(case.findings(OutOfRange::Reject), @r"
    wrong-size: PRED_000003.tif: 4 × 2 pixels, its mask has 2 × 2
    wrong-bands: PRED_000002.tif: 13 bands, expected 1
    wrong-bands: 000001, 000003: 3 bands, expected 1 (2 files)
    class-colours: PRED_000001.tif: its pixels have the colours of the classes: write the classes, 0 to 12
    class-scores: PRED_000002.tif: 13 bands, one per class: class scores? Write the class with the highest score
    ");
}

#[test]
fn a_set_is_scored_only_if_every_pair_was_counted() {
    let case = Case::new();
    case.mask(1, &[1, 2, 3, 4]);
    case.prediction(1, &[0, 1, 2, 3]);
    let (masks, source) = (Masks::find(&case.path("truth")).unwrap(), Source::open(&case.path("pred")).unwrap());
    let (pairing, options) = (Pairing::of(&masks, &source), Options::default());
    let sum = |counted: Result<Counted, Faults>| Sum::empty(13).add(&pairing.pairs[0], &options, counted);
    // The pair was refused for something that is no error.
    let mut faults = Faults::default();
    faults.add(About::Prediction, Code::ClassColours, "colours");
    let result = sum(Err(faults)).into_evaluation(1, Vec::new(), &options);
    assert!(matches!(result, Err(EvaluateError::NotScorable(findings)) if findings.len() == 1));
    let counted = compare(&pairing.pairs[0], &source, &options);
    assert_eq!(sum(counted).into_evaluation(1, Vec::new(), &options).unwrap().patches, 1);
    let counted = compare(&pairing.pairs[0], &source, &options);
    assert!(sum(counted).into_evaluation(2, Vec::new(), &options).is_err(), "a second pair was not counted");
}

#[test]
fn nothing_to_score_is_an_error_of_its_own() {
    let case = Case::new();
    case.prediction(1, &[0, 1, 2, 3]);
    assert!(matches!(case.score(OutOfRange::Reject), Err(EvaluateError::NoMasks)));
    // Masks under other names are no lack of masks.
    write(&case.path("truth/D001_2020/Z1_AA/msk/msk_000001.tif"), 1, 2, &[1; 4]);
    insta::assert_snapshot!(case.findings(OutOfRange::Reject), @r"
    wrong-mask-name: …/msk_000001.tif: wrong upper or lower case: expected `MSK_` and `.tif`
    extra-prediction: 000001: a prediction, but no mask to score it against
    ");
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_scores_are_upstreams() {
    let [sample, golden] =
        ["FLAIR_BENCH_SAMPLE", "FLAIR_BENCH_GOLDEN"].map(|name| PathBuf::from(std::env::var(name).unwrap()));
    let expected = fs::read_to_string(golden.join("scoring/expected.json")).unwrap();
    let expected: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_str(&expected).unwrap();
    assert!(!expected.is_empty());
    let all = Masks::find(&sample).unwrap();
    for (name, case) in expected {
        let patches: Vec<PatchId> = serde_json::from_value(case["patches"].clone()).unwrap();
        let masks: Masks =
            all.iter().filter(|(id, _)| patches.contains(id)).map(|(id, path)| (id, path.to_owned())).collect();
        assert_eq!(masks.len(), patches.len(), "{name}");
        let source = Source::open(&golden.join("scoring").join(&name)).unwrap();
        let run = |out_of_range| evaluate(&masks, &source, &Options { out_of_range, ..Options::default() }, &Silent);
        let number = |key: &str| case[key].as_u64().unwrap();
        let dropped = number("pixels") - number("pixels_in_matrix");
        match run(OutOfRange::Reject) {
            Ok(_) => assert_eq!(dropped, 0, "{name}"),
            Err(EvaluateError::NotScorable(findings)) => {
                assert!(dropped > 0 && findings.iter().all(|f| f.code == "value-out-of-range"), "{name} {findings:?}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
        let report = ScoreReport::new(&run(OutOfRange::Drop).unwrap());
        assert_eq!((report.pixels, report.dropped_pixels), (number("pixels"), dropped), "{name}");
        assert_eq!(serde_json::to_value(&report.confusion).unwrap(), case["confusion"], "{name}");
        let close = |ours: Option<f64>, theirs: &serde_json::Value| match (ours, theirs.as_f64()) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-12,
            (ours, theirs) => ours == theirs,
        };
        assert!(close(report.means.miou, &case["miou"]), "{name}: {:?}", report.means.miou);
        let ious = case["iou"].as_array().unwrap();
        assert!(ious.iter().zip(&report.classes).all(|(theirs, ours)| close(ours.scores.iou, theirs)), "{name}");
        assert_eq!(ScoreReport::from_json(&report.to_json()).unwrap(), report, "{name}");
    }
}

#[test]
fn checking_and_scoring_have_the_same_limits() {
    use crate::submission::{CheckOptions, check_path};

    let side = crate::PATCH_SIZE;
    let case = Case::new();
    write(&case.path("truth/D001_2020/Z1_AA/msk/MSK_000001.tif"), 1, side, &vec![4; side * side]);
    fs::write(case.path("pred/PRED_000001.tif"), tiny_tiles()).unwrap();
    let checked = check_path(&case.path("pred"), None, &CheckOptions::default(), &Silent).unwrap();
    let message = "too large: it has 131072 tiles, at most 4096";
    assert_eq!(checked.findings[0].message, message);
    assert_eq!(case.findings(OutOfRange::Reject), format!("unreadable-image: PRED_000001.tif: {message}"));
    assert_eq!(CheckOptions::default().limits, Options::default().limits);
}

/// A prediction in tiles of 2 × 1 samples, all of the same bytes.
fn tiny_tiles() -> Vec<u8> {
    let side = u32::try_from(crate::PATCH_SIZE).unwrap();
    let count = side * side / 2;
    let mut file = b"II\x2a\0".to_vec();
    let (data, lists) = (8_u32, 12_u32);
    file.extend((lists + 8 * count).to_le_bytes());
    // LZW's codes of nine bits: clear, 3, 3, end.
    file.extend([0x80, 0x00, 0xc0, 0x18]);
    file.extend(data.to_le_bytes().repeat(count as usize));
    file.extend(4_u32.to_le_bytes().repeat(count as usize));
    let tags = [
        (256, side, 1),
        (257, side, 1),
        (258, 8, 1),
        (259, 5, 1),
        (262, 1, 1),
        (277, 1, 1),
        (322, 2, 1),
        (323, 1, 1),
        (324, lists, count),
        (325, lists + 4 * count, count),
    ];
    file.extend(10_u16.to_le_bytes());
    for (tag, value, count) in tags {
        file.extend([u16::to_le_bytes(tag), 4_u16.to_le_bytes()].concat());
        file.extend([count, value].map(u32::to_le_bytes).concat());
    }
    file.extend([0; 4]);
    file
}
