//! Every finding of the registry, met at least once, and how it reads.

use std::{collections::BTreeSet, fmt::Write, fs::File, time::Duration};

use tiff::{
    encoder::{TiffEncoder, colortype},
    tags::Tag,
};

use super::{tests::*, *};
use crate::{
    Finding, PATCH_SIZE,
    progress::Silent,
    raster::{Raster, encode},
    score::{
        evaluate::{EvaluateError, Options, evaluate},
        pairing::Masks,
    },
    source::Source,
    source::crafted::{self, Part},
};

/// A small set of files that share a mistake, and what is found.
type Case = (&'static str, Vec<Finding>);

/// An uncompressed image of one band with tags about the ground, or with another image behind it.
fn tagged(tags: &[(u16, &str)], images: usize) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let size = u32::try_from(PATCH_SIZE).unwrap();
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    for _ in 0..images {
        let mut image = encoder.new_image::<colortype::Gray8>(size, size).unwrap();
        for (tag, text) in tags {
            image.encoder().write_tag(Tag::from_u16_exhaustive(*tag), *text).unwrap();
        }
        let samples: Vec<u8> = (0..12).cycle().take(PIXELS).collect();
        image.write_data(&samples).unwrap();
    }
    file.into_inner()
}

fn bands(bands: &[&[u8]]) -> Vec<u8> {
    let samples = bands.iter().flat_map(|values| values.iter().copied().cycle().take(PIXELS)).collect();
    encode(&Raster::new(bands.len(), PATCH_SIZE, PATCH_SIZE, samples).unwrap())
}

fn of_folder(files: &[(&str, &[u8])], expected: Option<&str>) -> Vec<Finding> {
    report(folder(files).path(), expected).findings
}

fn of_values(values: &[u8]) -> Vec<Finding> {
    of_folder(&[("PRED_077413.tif", &prediction(values))], Some("077413"))
}

fn archives() -> Vec<Case> {
    let (good, none) = (prediction(&[0, 5]), Part::new(b"", b""));
    let part = |name| Part::new(name, &good);
    let parts = [
        part(b"PRED_077413.tif"),
        part(b"PRED_077413.tif"),
        part(b"../PRED_077414.tif"),
        part(b"/etc/PRED_077415.tif"),
        part(b"a\\PRED_077416.tif"),
        Part { attributes: 0o120_777 << 16, ..part(b"PRED_077417.tif") },
        Part { flags: 1, ..part(b"PRED_077418.tif") },
        Part { method: 14, ..part(b"PRED_077419.tif") },
        Part { crc: Some(0), ..part(b"PRED_077420.tif") },
        Part { size: Some(u32::MAX - 1), ..part(b"PRED_077421.tif") },
        Part { name: b"\x1b]0;PRED_077422.tif", ..none },
        Part { name: b"\xff.txt", ..none },
        Part { offset: Some(40), ..part(b"PRED_077423.tif") },
    ];
    let dir = folder(&[("run_5-57_20-0.zip", &crafted::zip(&parts)), ("x.zip", b"7z\xbc\xaf\x27\x1c and so on")]);
    let free = folder(&[("my run.zip", &crafted::zip(&[part(b"PRED_077413.tif")]))]);
    let misspelt = folder(&[("run_5-57_14-60.zip", &crafted::zip(&[part(b"PRED_077413.tif")]))]);
    let one = crafted::zip(&[part(b"PRED_077413.tif")]);
    let joined = folder(&[("a.zip", &[one.as_slice(), &one].concat())]);
    vec![
        ("two archives in one file", report(&joined.path().join("a.zip"), Some("077413")).findings),
        ("a hostile archive", report(&dir.path().join("run_5-57_20-0.zip"), Some("077413-077423")).findings),
        ("an archive of another kind", report(&dir.path().join("x.zip"), Some("077413")).findings),
        (
            "an archive with a misspelt time",
            report(&misspelt.path().join("run_5-57_14-60.zip"), Some("077413")).findings,
        ),
        ("an archive under a free name", report(&free.path().join("my run.zip"), Some("077413")).findings),
    ]
}

fn names() -> Vec<Case> {
    let good = prediction(&[0, 5]);
    let files: Vec<(&str, &[u8])> = vec![
        ("PRED_077413.tif", &good),
        ("again/PRED_077413.tif", &good),
        ("PRED_000007.tif", &good),
        ("PRED_061713.tif", &good),
        ("IMG_077414.tif", &good),
        ("MSK_077414.tif", &good),
        ("PRED_IMG_077414.tif", &good),
        ("pred_077414.tif", &good),
        (".PRED_077415.tif.17-0.part", b""),
        ("__MACOSX/._PRED_077413.tif", b""),
        ("preds.zip", b""),
        ("metadata", b"exitCode: 0"),
        ("notes.txt", b""),
    ];
    let mut few = folder(&[("a", b""), ("b", b""), ("c", b"")]);
    let limited = Source::open_limited(few.path(), 2).unwrap();
    let too_many = check(&limited, None, &CheckOptions::default(), &Silent).findings;
    few = folder(&[("PRED_077413.tif", &good), ("PRED_077414.tif", &good), ("PRED_077415.tif", &good)]);
    let old = File::options().write(true).open(few.path().join("PRED_077414.tif")).unwrap();
    old.set_modified(std::time::SystemTime::now() - Duration::from_mins(30 * 60 + 30)).unwrap();
    vec![
        ("names", of_folder(&files, Some("077413-077414"))),
        ("too many entries", too_many),
        ("stale files", report(few.path(), Some("077413-077415")).findings),
        ("nothing", of_folder(&[], Some("077413"))),
        ("a last batch", of_folder(&[("PRED_077413.tif", &good)], Some("077413-077414"))),
        ("no list", of_folder(&[("PRED_077413.tif", &good)], None)),
    ]
}

fn contents() -> Vec<Case> {
    let colours: [&[u8]; 3] = [&[0xdb, 0x93], &[0x0e, 0x8e], &[0x9a, 0x7b]];
    let scores: Vec<&[u8]> = vec![&[20, 3]; 13];
    let halves: Vec<f32> = (0..PIXELS).map(|i| (i % 3) as f32 / 2.0).collect();
    let white = white_is_zero(prediction(&[0, 1]));
    let palette = photometric(prediction(&[0, 1]), 3);
    let (ground, pages) = (tagged(&[(34_735, "keys"), (42_113, "255")], 1), tagged(&[], 2));
    let files: Vec<(&str, &[u8])> = vec![
        ("PRED_077413.tif", b""),
        ("PRED_077414.tif", b"\x89PNG\r\n\x1a\n"),
        ("PRED_077415.tif", b"\x93NUMPY"),
        ("PRED_077416.tif", b"II*"),
        ("PRED_077417.tif", b"no image"),
        ("PRED_077428.tif", b"PK\x03\x04"),
        ("PRED_077429.tif", b"\xff\xd8\xff\xe0"),
    ];
    let images = [
        ("PRED_077418.tif", image(256, &[0, 1])),
        ("PRED_077419.tif", bands(&colours)),
        ("PRED_077420.tif", bands(&[colours[0], colours[1], colours[2], &[255]])),
        ("PRED_077421.tif", bands(&scores)),
        ("PRED_077422.tif", other::<colortype::Gray32Float>(&halves)),
        ("PRED_077423.tif", other::<colortype::Gray16>(&vec![7; PIXELS])),
        ("PRED_077424.tif", white),
        ("PRED_077425.tif", palette),
        ("PRED_077426.tif", ground),
        ("PRED_077427.tif", pages),
        ("PRED_077430.tif", prediction(&[4])),
    ];
    let files: Vec<_> = files.into_iter().chain(images.iter().map(|(name, bytes)| (*name, bytes.as_slice()))).collect();
    let good = prediction(&[3]);
    let same: Vec<(&str, &[u8])> = vec![("PRED_077413.tif", &good), ("PRED_077414.tif", &good)];
    let scaled: Vec<u8> = (0..13).map(|class| class * 20).collect();
    vec![
        ("contents", of_folder(&files, Some("077413-077430"))),
        ("labels from 1", of_values(&[1, 5, 13])),
        ("labels of the masks", of_values(&[1, 5, 19])),
        ("a class of -1", of_values(&[0, 5, 255])),
        ("a picture", of_values(&scaled)),
        ("one class", of_folder(&same, Some("077413-077414"))),
    ]
}

/// What the file system can do to a submission.
fn files() -> Vec<Case> {
    let dir = folder(&[("PRED_077413.tif", &prediction(&[0, 1]))]);
    let source = Source::open(dir.path()).unwrap();
    std::fs::remove_file(dir.path().join("PRED_077413.tif")).unwrap();
    let gone = check(&source, None, &CheckOptions::default(), &Silent).findings;
    let dir = folder(&[]);
    std::os::unix::fs::symlink("nowhere", dir.path().join("PRED_077413.tif")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("PRED_077414.tif")).unwrap();
    vec![("a file that is gone", gone), ("links and sockets", report(dir.path(), Some("077413-077414")).findings)]
}

/// What scoring finds in masks.
fn masks() -> Vec<Case> {
    let (good, labels) = (prediction(&[0, 1]), image(PATCH_SIZE, &[1, 0, 20]));
    let dir = folder(&[
        ("truth/MSK_77413.tif", b""),
        ("truth/MSK_077413.tif", &labels),
        ("truth/again/MSK_077413.tif", &labels),
        ("truth/MSK_077414.tif", b"no image"),
        ("truth/MSK_077415.tif", &bands(&[&[1], &[2], &[3]])),
        ("pred/PRED_077413.tif", &good),
        ("pred/PRED_077414.tif", &good),
        ("pred/PRED_077415.tif", &good),
    ]);
    let masks = Masks::find(&dir.path().join("truth")).unwrap();
    let source = Source::open(&dir.path().join("pred")).unwrap();
    let Err(EvaluateError::NotScorable(mut findings)) = evaluate(&masks, &source, &Options::default(), &Silent) else {
        panic!("was scored");
    };
    let root = format!("{}/", dir.path().display());
    for finding in &mut findings {
        for text in [&mut finding.subject, &mut finding.message] {
            *text = text.replace(&root, "");
        }
    }
    vec![("masks", findings)]
}

/// What scoring finds in predictions that it scores.
fn scored() -> Vec<Case> {
    let labels: Vec<u8> = (1..=13).collect();
    let less_1: Vec<u8> = labels.iter().map(|label| label.wrapping_sub(2).min(12)).collect();
    let dir = folder(&[("truth/MSK_077413.tif", &prediction(&labels)), ("pred/PRED_077413.tif", &prediction(&less_1))]);
    let masks = Masks::find(&dir.path().join("truth")).unwrap();
    let source = Source::open(&dir.path().join("pred")).unwrap();
    let found = evaluate(&masks, &source, &Options::default(), &Silent).unwrap();
    vec![("a class of -1, scored", found.findings)]
}

#[cfg(unix)]
#[test]
fn every_finding_is_met_and_reads_well() {
    let cases: Vec<Case> =
        [archives(), names(), contents(), files(), masks(), scored()].into_iter().flatten().collect();
    let met: BTreeSet<_> = cases.iter().flat_map(|(_, findings)| findings).map(|f| f.code.clone()).collect();
    let unmet: Vec<_> = Code::KINDS.iter().map(|kind| kind.code).filter(|code| !met.contains(*code)).collect();
    assert!(unmet.is_empty(), "no case meets {unmet:?}");
    let mut text = String::new();
    for (case, findings) in cases {
        writeln!(text, "== {case}").unwrap();
        for finding in findings {
            let (severity, Finding { code, subject, message, .. }) = (finding.severity.name(), &finding);
            writeln!(text, "{severity:7} [{code}] {subject}: {message}").unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

/// A million bytes that claim half a million faults are checked in bounded memory: see also `Remarks`.
#[test]
fn a_report_is_short_however_long_the_list_of_faults() {
    let names: Vec<_> = (0..3000).map(|i| format!("PRED_{i:06}.tif")).collect();
    let texts: Vec<_> = (0..3000).map(|i| format!("II*\0{i:04}")).collect();
    let mut parts: Vec<_> = names.iter().zip(&texts).map(|(n, t)| Part::new(n.as_bytes(), t.as_bytes())).collect();
    parts.extend(names.iter().zip(&texts).map(|(n, t)| Part { name: n.as_bytes(), ..Part::new(b"", t.as_bytes()) }));
    let others: Vec<_> = names.iter().map(|name| format!("again/{name}")).collect();
    parts.extend(others.iter().map(|n| Part::new(n.as_bytes(), b"")));
    let dir = folder(&[("a.zip", &crafted::zip(&parts))]);
    let mut report = report(&dir.path().join("a.zip"), None);
    assert_eq!(report.counts.files, 9000);
    assert!(report.findings.len() < 3000, "{}", report.findings.len());
    let (all, errors) = (report.findings.len(), report.counts.errors);
    report.truncate(10);
    assert_eq!((report.findings.len(), report.truncated, report.counts.errors), (10, all - 10, errors));
}
