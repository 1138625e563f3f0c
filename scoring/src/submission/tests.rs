//! Checking and packing whole submissions.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use proptest::prelude::*;
use tiff::encoder::{TiffEncoder, colortype};

use super::*;
use crate::{
    Event, PATCH_SIZE, PatchId, Progress, Protocol, Severity,
    progress::Silent,
    raster::{self, Raster, encode},
    source::Source,
    source::crafted::{self, Part},
};

pub(super) const PIXELS: usize = PATCH_SIZE * PATCH_SIZE;

/// A prediction's file in which those values alternate.
pub(super) fn prediction(values: &[u8]) -> Vec<u8> {
    image(PATCH_SIZE, values)
}

pub(super) fn image(size: usize, values: &[u8]) -> Vec<u8> {
    let samples = values.iter().copied().cycle().take(size * size).collect();
    encode(&Raster::new(1, size, size, samples).unwrap())
}

/// An uncompressed image of another type.
pub(super) fn other<C: colortype::ColorType>(samples: &[C::Inner]) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut file = std::io::Cursor::new(Vec::new());
    let size = u32::try_from(PATCH_SIZE).unwrap();
    TiffEncoder::new(&mut file).unwrap().write_image::<C>(size, size, samples).unwrap();
    file.into_inner()
}

pub(super) fn white_is_zero(file: Vec<u8>) -> Vec<u8> {
    photometric(file, 0)
}

/// A file of ours with another photometric interpretation.
pub(super) fn photometric(mut file: Vec<u8>, number: u8) -> Vec<u8> {
    let tag: [u8; 10] = [6, 1, 3, 0, 1, 0, 0, 0, 1, 0];
    let offset = file.windows(10).position(|window| window == tag).unwrap();
    file[offset + 8] = number;
    file
}

pub(super) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

pub(super) fn ids(text: &str) -> BTreeSet<PatchId> {
    let dir = folder(&[("ids", text.as_bytes())]);
    read_ids(&dir.path().join("ids")).unwrap()
}

pub(super) fn report(path: &Path, expected: Option<&str>) -> CheckReport {
    check_path(path, expected.map(ids).as_ref(), &CheckOptions::default(), &Silent).unwrap()
}

pub(super) fn lines(report: &CheckReport) -> String {
    let line = |f: &crate::Finding| format!("{:?} {} [{}] {}", f.severity, f.code, f.subject, f.message);
    report.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_good_folder_has_no_findings() {
    let good = prediction(&[0, 5, 12]);
    let dir = folder(&[("PRED_000001.tif", &good), ("deep/er/PRED_000002.tif", &good)]);
    let report = report(dir.path(), Some("000001-000002"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
    {
      "schema": "flair-bench/check/1",
      "valid": true,
      "counts": {
        "files": 2,
        "predictions": 2,
        "expected": 2,
        "missing": 0,
        "extra": 0,
        "errors": 0,
        "warnings": 0,
        "notes": 0
      },
      "missing": [],
      "extra": [],
      "truncated": 0,
      "findings": []
    }
    "#);
}

#[test]
fn problems_of_names_and_patches_are_reported_at_once() {
    let good = prediction(&[0, 5]);
    let dir = folder(&[
        ("PRED_000001.tif", &good),
        ("again/PRED_000001.tif", &good),
        ("PRED_000002.tif", &good),
        ("PRED_000003.tif", &good),
        ("IMG_000010.tif", &good),
        ("IMG_000011.tif", &good),
        ("MSK_000010.tif", &good),
        ("PRED_000012.tiff", &good),
        ("__MACOSX/._PRED_000001.tif", b""),
        (".DS_Store", b""),
        ("Thumbs.db", b""),
        ("notes.txt", b"hello"),
        (".PRED_000020.tif.17-0.part", b""),
    ]);
    let report = report(dir.path(), Some("000001\n000004-000012\n000020"));
    assert!(!report.valid);
    assert_eq!(
        (report.missing.join(" "), report.extra.join(" ")),
        ("000004-000012 000020".into(), "000002-000003".into())
    );
    insta::assert_snapshot!(lines(&report), @r"
    Error wrong-name [IMG_000010.tif] the name of an aerial image: a prediction's begins with `PRED_` (2 files)
    Error wrong-name [MSK_000010.tif] the name of a mask: a prediction's begins with `PRED_`
    Error wrong-name [PRED_000012.tiff] wrong extension: expected `.tif`
    Error duplicate-prediction [000001] several predictions of this patch: `PRED_000001.tif`, `again/PRED_000001.tif`
    Error missing-prediction [000004-000012, 000020] 10 of 11 expected predictions are missing
    Error extra-prediction [000002-000003] 2 predictions belong to patches that are not expected
    Warning other-part [000002-000003] of the training set: the challenge's test set is 077413-093462 (2 files)
    Warning unfinished-file [.PRED_000020.tif.17-0.part] partially written: the program was stopped; remove it
    Warning unexpected-file [notes.txt] not a prediction; scorers ignore it
    Warning junk-file [.DS_Store] left behind by an operating system; remove it (2 files)
    Warning junk-file [__MACOSX/._PRED_000001.tif] in `__MACOSX`, a folder that macOS adds to archives; remove it
    Note last-batch-missing [000004-000012, 000020] only the last ones are missing: does a data loader drop an incomplete last batch?
    ");
}

#[test]
fn only_the_first_file_of_an_expected_patch_is_decoded() {
    let (sound, out_of_range) = (prediction(&[3, 4]), prediction(&[77, 4]));
    let files = [("PRED_000001.tif", &sound), ("b/PRED_000001.tif", &out_of_range), ("PRED_000002.tif", &out_of_range)];
    let dir = folder(&files.map(|(name, bytes)| (name, bytes.as_slice())));
    let codes = |expected: Option<&str>| {
        let report = report(dir.path(), expected);
        report.findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    let decoded = codes(Some("000001"));
    assert!(decoded.contains(&"duplicate-prediction".to_owned()) && decoded.contains(&"extra-prediction".to_owned()));
    assert!(!decoded.contains(&"value-out-of-range".to_owned()), "{decoded:?}");
    assert!(codes(Some("000001-000002")).contains(&"value-out-of-range".to_owned()));
    assert!(codes(None).contains(&"value-out-of-range".to_owned()));
}

#[test]
fn problems_of_contents_are_reported_at_once() {
    let ramp: Vec<u8> = (0..=255).cycle().take(PIXELS * 3).collect();
    let dir = folder(&[
        ("PRED_000001.tif", &image(256, &[0, 1])),
        ("PRED_000002.tif", &image(256, &[0, 1])),
        ("PRED_000003.tif", &other::<colortype::RGB8>(&ramp)),
        ("PRED_000004.tif", &other::<colortype::Gray32Float>(&vec![0.5; PIXELS])),
        ("PRED_000005.tif", &other::<colortype::Gray16>(&vec![7; PIXELS])),
        ("PRED_000006.tif", &other::<colortype::Gray8>(&ramp[..PIXELS].iter().map(|v| v % 13).collect::<Vec<_>>())),
        ("PRED_000007.tif", &prediction(&[4])),
        ("PRED_000008.tif", b"not a tiff"),
        ("PRED_000009.tif", &prediction(&[0, 1])[..2000]),
        ("PRED_000010.tif", b""),
        ("PRED_000011.tif", &vec![0; 17 << 20]),
        ("PRED_000012.tif", &white_is_zero(prediction(&[0, 1]))),
    ]);
    insta::assert_snapshot!(lines(&report(dir.path(), Some("000001-000012"))), @r"
    Error empty-file [PRED_000010.tif] the file is empty
    Error file-too-large [PRED_000011.tif] more than 16777216 bytes; a prediction has some thousands, floating-point scores of all classes have millions: write the class with the highest score, as uint8
    Error unreadable-image [PRED_000008.tif] not a valid TIFF: it does not start with a TIFF signature
    Error unreadable-image [PRED_000009.tif] not a valid TIFF: it is truncated: expected 2 bytes at offset 2480, the file has 2000 bytes
    Error wrong-size [000001-000002] 256 × 256 pixels, expected 512 × 512 (2 files)
    Error wrong-bands [PRED_000003.tif] 3 bands, expected 1
    Error wrong-sample-type [PRED_000004.tif] samples are float32, expected uint8
    Error wrong-sample-type [PRED_000005.tif] samples are uint16, expected uint8
    Error inverted-grey [PRED_000012.tif] 0 means white (photometric MinIsWhite), which some readers invert: write MinIsBlack
    Warning class-scores [PRED_000004.tif] fractions between 0 and 1: class scores? Write the class with the highest score
    Warning constant-prediction [PRED_000007.tif] all pixels have the same value
    Warning not-lzw [000003-000006] not compressed by LZW, which the challenge asks for (4 files)
    ");
}

#[test]
fn values_out_of_range_are_counted_and_explained() {
    let dir = folder(&[
        ("PRED_000001.tif", &prediction(&[1, 13])),
        ("PRED_000002.tif", &prediction(&[2, 3, 4, 255])),
        ("PRED_000003.tif", &prediction(&[5, 6])),
    ]);
    insta::assert_snapshot!(lines(&report(dir.path(), Some("000001-000003"))), @r"
    Error value-out-of-range [000001-000002] 196608 pixels are above 12, the last class: 13, 255 (2 files)
    Warning one-based [all predictions] 13 occurs and no pixel is 0 (building): counted from 1? Classes are counted from 0 here
    Warning wraparound-255 [all predictions] 255 occurs: `argmax - 1` gives it where the class is 0, or it is a remaining fill value; upstream's scorer drops such pixels, this scorer rejects them
    ");
}

#[test]
fn a_dropped_last_batch_is_recognised() {
    let good = prediction(&[0, 5]);
    let dir = folder(&[("PRED_000001.tif", &good), ("PRED_000002.tif", &good)]);
    insta::assert_snapshot!(lines(&report(dir.path(), Some("000001-000004"))), @r"
    Error missing-prediction [000003-000004] 2 of 4 expected predictions are missing
    Note last-batch-missing [000003-000004] only the last ones are missing: does a data loader drop an incomplete last batch?
    ");
    insta::assert_snapshot!(lines(&report(dir.path(), None)), @r"
    Warning other-part [000001-000002] of the training set: the challenge's test set is 077413-093462 (2 files)
    Note ids-not-checked [folder] no list of expected patches is given, so missing and extra predictions are not detected (--official checks the challenge's list)
    ");
    insta::assert_snapshot!(lines(&report(folder(&[]).path(), Some("000001-000004"))), @r"
    Error no-predictions [folder] no file has a prediction's name, such as PRED_077413.tif
    Error missing-prediction [000001-000004] 4 of 4 expected predictions are missing
    ");
}

#[test]
fn hostile_archives_are_described() {
    let (good, none) = (prediction(&[0, 5]), Part::new(b"", b""));
    let part = |name| Part::new(name, &good);
    let parts = [
        part(b"PRED_000001.tif"),
        part(b"PRED_000001.tif"),
        part(b"../PRED_000002.tif"),
        part(b"/etc/PRED_000003.tif"),
        part(b"a\\PRED_000004.tif"),
        Part { attributes: 0o120_777 << 16, ..part(b"PRED_000005.tif") },
        Part { flags: 1, ..part(b"PRED_000006.tif") },
        Part { method: 14, ..part(b"PRED_000007.tif") },
        Part { crc: Some(0), ..part(b"PRED_000008.tif") },
        Part { size: Some(u32::MAX - 1), ..part(b"PRED_000009.tif") },
        Part { name: b"\x1b]0;PRED_000010.tif", ..none },
        Part { local_name: Some(b"PRED_000012.tif"), ..part(b"PRED_000011.tif") },
    ];
    let dir = folder(&[("a.zip", &crafted::zip(&parts)), ("b.zip", b"PK but no archive")]);
    insta::assert_snapshot!(lines(&report(&dir.path().join("a.zip"), Some("000001-000012"))), @r"
    Error path-traversal [../PRED_000002.tif] this entry has `..`, `.` or empty parts in its path
    Error absolute-path [/etc/PRED_000003.tif] this entry has an absolute path
    Error backslash-path [a\PRED_000004.tif] this entry has a backslash in its path
    Error control-character [\u{1b}]0;PRED_000010.tif] this entry has a control character in its path
    Error symbolic-link [PRED_000005.tif] this entry is a symbolic link
    Error encrypted-entry [PRED_000006.tif] this entry is encrypted
    Error unsupported-method [PRED_000007.tif] this entry is compressed by a method other than stored and deflate
    Error duplicate-entry [PRED_000001.tif] this entry is in the archive several times (2 files)
    Error damaged-entry [PRED_000008.tif] damaged in the archive: its checksum is wrong
    Error damaged-entry [PRED_000011.tif] damaged in the archive: its header calls it `PRED_000012.tif`
    Error wrong-name [\u{1b}]0;PRED_000010.tif] not a prediction's name: expected one such as PRED_077413.tif (2 files)
    Error missing-prediction [000004, 000010, 000012] 3 of 12 expected predictions are missing
    Error file-too-large [PRED_000009.tif] more than 16777216 bytes; a prediction has some thousands, floating-point scores of all classes have millions: write the class with the highest score, as uint8
    Note archive-name [a.zip] no times are declared: the challenge's form is NAME_{baseline M-S}_{submission M-S}.zip, such as unet_5-57_14-40.zip
    ");
    let unreadable = report(&dir.path().join("b.zip"), Some("000001"));
    assert!(!unreadable.valid);
    insta::assert_snapshot!(lines(&unreadable), @"Error unreadable-archive [b.zip] not a readable zip archive: it has no end record: it is truncated, or not a zip archive");
}

#[derive(Default)]
struct Steps(AtomicU64, AtomicU64);

impl Progress for Steps {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { steps, .. } => self.0.fetch_add(steps, Ordering::Relaxed),
            Event::Step { .. } => self.1.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

pub(super) fn name(text: &str) -> ArchiveName {
    text.parse().unwrap()
}

#[test]
fn what_is_packed_is_flat_sorted_checked_and_the_same_every_time() {
    let predictions = [prediction(&[0, 5]), prediction(&[1, 7, 12]), other::<colortype::Gray8>(&vec![3; PIXELS])];
    let dir = folder(&[
        ("z/PRED_000001.tif", &predictions[0]),
        ("a/PRED_000003.tif", &predictions[2]),
        ("PRED_000002.tif", &predictions[1]),
        (".DS_Store", b""),
        ("timing.json", b"{}"),
    ]);
    let (out, steps) = (tempfile::tempdir().unwrap(), Steps::default());
    let source = Source::open(dir.path()).unwrap();
    let (ids, options) = (ids("000001-000003"), CheckOptions::default());
    let packed =
        pack(&source, Some(&ids), &options, Doubtful::Refuse, out.path(), &name("x_5-57_14-40.zip"), &steps).unwrap();
    assert_eq!(packed.path, out.path().join("x_5-57_14-40.zip"));
    assert_eq!((packed.entries, packed.report.counts.warnings, packed.report.counts.notes), (3, 3, 1));
    assert_eq!((steps.0.into_inner(), steps.1.into_inner()), (6, 6));

    let archive = Source::open(&packed.path).unwrap();
    let names: Vec<_> = archive.entries().iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["PRED_000001.tif", "PRED_000002.tif", "PRED_000003.tif"]);
    let bytes: Vec<_> = archive.entries().iter().map(|entry| archive.read(entry, 1 << 20).unwrap()).collect();
    assert_eq!(bytes[..2], predictions[..2]);
    // The third one was not compressed: it has the same pixels, and LZW as the challenge asks.
    let header = raster::header(&bytes[2], &options.limits).unwrap();
    let pixels = [&bytes[2], &predictions[2]].map(|bytes| raster::decode(bytes, &options.limits).unwrap());
    assert_eq!((header.compression, &pixels[0]), (raster::Compression::Lzw, &pixels[1]));
    let about: Vec<_> = packed.report.findings.iter().filter(|f| f.code == "not-lzw").collect();
    assert_eq!((packed.recompressed, about.len(), about[0].severity), (1, 1, Severity::Note));
    insta::assert_snapshot!(about[0].message, @"not compressed by LZW, which the challenge asks for: compressed again by LZW in the archive, pixel for pixel");
    assert!(report(&packed.path, Some("000001-000003")).valid);

    // The same predictions from elsewhere, and packed again from the archive itself.
    let again = pack(&archive, Some(&ids), &options, Doubtful::Refuse, out.path(), &name("y.zip"), &Silent).unwrap();
    assert_eq!(std::fs::read(&packed.path).unwrap(), std::fs::read(&again.path).unwrap());
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&again.path).unwrap()).unwrap();
    let entry = zip.by_index(0).unwrap();
    assert_eq!(entry.unix_mode(), Some(0o100_644));
    assert_eq!(entry.last_modified().map(|t| (t.year(), t.month(), t.day(), t.hour())), Some((1980, 1, 1, 0)));
}

#[test]
fn what_the_check_rejects_is_not_packed() {
    let dir = folder(&[("PRED_000001.tif", &prediction(&[0, 13]))]);
    let out = tempfile::tempdir().unwrap();
    let source = Source::open(dir.path()).unwrap();
    let (due, options) = (ids("000001-000002"), CheckOptions::default());
    let refused = pack(&source, Some(&due), &options, Doubtful::Accept, out.path(), &name("x.zip"), &Silent);
    let error = refused.unwrap_err();
    let PackError::Refused(report) = &error else { panic!("{error}") };
    let errors = report.findings.iter().filter(|f| f.severity == Severity::Error);
    let codes: Vec<_> = errors.map(|f| f.code.as_str()).collect();
    assert_eq!(codes, ["missing-prediction", "value-out-of-range"]);
    insta::assert_snapshot!(error, @"the submission is not valid: 2 errors found");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn what_changed_since_the_check_is_not_packed() {
    /// Exchanges a file when the packing begins.
    struct Exchange<'a>(&'a Path, Vec<u8>);
    impl Progress for Exchange<'_> {
        fn event(&self, event: Event<'_>) {
            if matches!(event, Event::Started { stage: "packing", .. }) {
                std::fs::write(self.0.join("PRED_000002.tif"), &self.1).unwrap();
            }
        }
    }
    let out = tempfile::tempdir().unwrap();
    for other in [prediction(&[0, 13]), prediction(&[0, 2])] {
        let dir = folder(&[("PRED_000001.tif", &prediction(&[0, 1])), ("PRED_000002.tif", &prediction(&[0, 1]))]);
        let (source, options) = (Source::open(dir.path()).unwrap(), CheckOptions::default());
        let exchange = Exchange(dir.path(), other);
        let packed = pack(&source, None, &options, Doubtful::Refuse, out.path(), &name("x.zip"), &exchange);
        insta::allow_duplicates! {
            insta::assert_snapshot!(packed.unwrap_err(), @"a prediction changed while it was packed: `PRED_000002.tif` has other bytes than when it was checked");
        }
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "nothing is left");
    }
}

#[test]
fn classes_counted_from_1_are_packed_only_on_demand() {
    // A network that never predicts "other" leaves no value out of range.
    let dir = folder(&[("PRED_000001.tif", &prediction(&[1, 2, 3, 4, 5, 6, 7]))]);
    let (source, ids, options) = (Source::open(dir.path()).unwrap(), ids("000001"), CheckOptions::default());
    let out = tempfile::tempdir().unwrap();
    let packed = |doubtful| pack(&source, Some(&ids), &options, doubtful, out.path(), &name("x.zip"), &Silent);
    let Err(PackError::Doubtful(report)) = packed(Doubtful::Refuse) else { panic!("was packed") };
    assert!(report.valid && report.findings.iter().any(|finding| finding.code == "one-based"));
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
    assert_eq!(packed(Doubtful::Accept).unwrap().entries, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn packing_keeps_every_prediction(contents in prop::collection::btree_map(0u32..1_000_000, prop::collection::vec(0u8..13, 1..9), 1..6)) {
        let ids: BTreeSet<_> = contents.keys().filter_map(|&n| PatchId::new(n)).collect();
        let files: Vec<_> = contents.iter().map(|(&n, v)| (PatchId::new(n).unwrap().file_name("PRED"), prediction(v))).collect();
        let dir = folder(&files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect::<Vec<_>>());
        let out = tempfile::tempdir().unwrap();
        let options = CheckOptions::default();
        let packed = pack(&Source::open(dir.path()).unwrap(), Some(&ids), &options, Doubtful::Accept, out.path(), &name("p.zip"), &Silent).unwrap();
        let archive = Source::open(&packed.path).unwrap();
        let read: Vec<_> = archive.entries().iter().map(|e| (e.name.clone(), archive.read(e, 1 << 20).unwrap())).collect();
        prop_assert_eq!(read, files);
    }
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_predictions_are_checked_as_the_scorer_would() {
    let folder = |name| std::path::PathBuf::from(std::env::var_os(name).unwrap());
    let (sample, golden) = (folder("FLAIR_BENCH_SAMPLE"), folder("FLAIR_BENCH_GOLDEN"));
    let sample = Source::open(&sample).unwrap();
    let ids = sample.entries().iter().filter_map(|e| PatchId::from_file_name(&e.file_name, "MSK")).collect();
    for case in std::fs::read_dir(golden.join("scoring")).unwrap().filter_map(Result::ok).filter(|c| c.path().is_dir())
    {
        let report = check_path(&case.path(), Some(&ids), &CheckOptions::default(), &Silent).unwrap();
        let is_in_range = case.file_name() != "out-of-range";
        assert_eq!(report.valid, is_in_range, "{case:?}: {report:#?}");
        let out = tempfile::tempdir().unwrap();
        let source = Source::open(&case.path()).unwrap();
        let packed = pack(
            &source,
            Some(&ids),
            &CheckOptions::default(),
            Doubtful::Accept,
            out.path(),
            &name("golden.zip"),
            &Silent,
        );
        assert_eq!(packed.is_ok(), is_in_range);
    }
}

#[test]
fn predictions_that_are_expected_are_counted_apart_from_others() {
    let good = prediction(&[0, 5]);
    let dir = folder(&[("PRED_000001.tif", &good), ("PRED_000007.tif", &good), ("PRED_000008.tif", &good)]);
    let counts = |expected| {
        let report = report(dir.path(), expected);
        (report.counts.predictions, report.counts.missing, report.counts.extra, report.verdict())
    };
    let verdict = "not valid: 1 of 4 expected predictions, 2 extra; 2 errors, 1 warning, 1 note";
    assert_eq!(counts(Some("000001-000004")), (1, 3, 2, verdict.to_owned()));
    assert_eq!(counts(None), (3, 0, 0, "valid: 3 predictions; 0 errors, 1 warning, 1 note".to_owned()));
}

#[test]
fn truncated_images_are_one_finding_however_long_they_are() {
    let whole = other::<colortype::Gray8>(&vec![3; PIXELS]);
    let files: Vec<_> = (1..=40).map(|i| (format!("PRED_{i:06}.tif"), &whole[..1000 + i])).collect();
    let dir = folder(&files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect::<Vec<_>>());
    let report = report(dir.path(), Some("000001-000040"));
    insta::assert_snapshot!(lines(&report));
}

#[test]
fn classes_and_the_factor_of_another_challenge_are_taken() {
    let files = [("PRED_000001.tif", prediction(&[0, 13, 18]))];
    let parts = files.each_ref().map(|(name, bytes)| Part::new(name.as_bytes(), bytes));
    let dir = folder(&[("run_5-57_15-0.zip", &crafted::zip(&parts))]);
    let codes = |nomenclature, factor| {
        let protocol = Protocol::flair2().with_nomenclature(nomenclature).unwrap();
        let options = CheckOptions { protocol, factor, ..CheckOptions::default() };
        let path = dir.path().join("run_5-57_15-0.zip");
        let report = check_path(&path, Some(&ids("000001")), &options, &Silent).unwrap();
        report.findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("flair-19", 3.0), [""; 0]);
    assert_eq!(codes("flair-19", 2.5), ["over-time"]);
    assert_eq!(codes("flair2-13", 3.0), ["value-out-of-range"]);
}

#[test]
fn scores_of_classes_are_known_whatever_their_type_and_layout() {
    let scores_message = |bands: usize, size: usize| {
        let bytes = [0u8, 200].into_iter().cycle().take(bands * size).collect();
        let file = encode(&Raster::new(bands, PATCH_SIZE, PATCH_SIZE, bytes).unwrap());
        let report = report(folder(&[("PRED_000001.tif", &file)]).path(), None);
        report.findings.into_iter().find(|f| f.code == "class-scores").map(|finding| finding.message)
    };
    assert!(
        scores_message(12, PIXELS)
            .is_some_and(|message| message.starts_with("12 bands, far more than a colour image has"))
    );
    assert!(scores_message(13, PIXELS).is_some_and(|message| message.starts_with("13 bands, one per class")));
    assert_eq!(scores_message(4, PIXELS), None);
    // Twelve scores a pixel in one strip of 12 MiB, laid side by side.
    let wide: Vec<f32> = (0..PIXELS * 12).map(|i| (i % 7) as f32 / 7.0).collect();
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder.new_image::<colortype::Gray32Float>(512 * 12, 512).unwrap();
    image.rows_per_strip(512).unwrap();
    image.write_data(&wide).unwrap();
    let report = report(folder(&[("PRED_000001.tif", &file.into_inner())]).path(), None);
    assert!(report.findings.iter().any(|f| f.code == "class-scores" && f.message.contains("between 0 and 1")));
}

#[test]
fn a_file_that_names_a_program_is_an_error_of_a_check_and_is_not_packed() {
    let good = prediction(&[0, 5]);
    for name in ["metadata", "metadata.yaml", "preds/metadata"] {
        let dir = folder(&[("preds/PRED_077413.tif", &good), (name, b"exitCode: 0")]);
        let report = report(dir.path(), Some("077413"));
        assert!(!report.valid);
        let named: Vec<_> = report.findings.iter().filter(|f| f.code == "program-metadata").collect();
        assert_eq!((named.len(), named[0].subject.as_str(), named[0].severity), (1, name, Severity::Error));

        let (source, out) = (Source::open(dir.path()).unwrap(), tempfile::tempdir().unwrap());
        let expected = ids("077413");
        let options = CheckOptions::default();
        let packed = pack(
            &source,
            Some(&expected),
            &options,
            Doubtful::Refuse,
            out.path(),
            &super::tests::name("run.zip"),
            &Silent,
        )
        .unwrap();
        assert_eq!((packed.entries, packed.report.valid, packed.report.counts.errors), (1, true, 0));
        assert!(packed.report.findings.iter().any(|f| f.code == "program-metadata" && f.severity == Severity::Warning));
    }
}

#[test]
fn an_image_that_the_header_rules_out_is_not_decoded() {
    // Whether it is, shows in its pixels: these are cut off, so that decoding would be an error.
    let cut = |bands: usize, size: usize| {
        let file = encode(&Raster::new(bands, size, size, vec![3; bands * size * size]).unwrap());
        // The first strip begins after the 8 bytes of the file's header: codes that LZW does not have.
        [&file[..8], &[0x80, 0x7f, 0xff, 0xff], &file[12..]].concat()
    };
    let codes = |bands, size| {
        let dir = folder(&[("PRED_000001.tif", &cut(bands, size))]);
        let report = report(dir.path(), Some("000001"));
        report.findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(1, PATCH_SIZE), ["unreadable-image"]);
    assert_eq!(codes(1, 4096), ["wrong-size"]);
    assert_eq!(codes(13, PATCH_SIZE), ["wrong-bands", "class-scores"]);
}
