//! Archives that are made to harm whoever reads them: each ends in a finding or an error, soon, in little memory.

use std::{collections::BTreeMap, io::Write};

use super::*;
use crate::{
    progress::Silent,
    raster::{Raster, encode},
    source::Source,
    source::{
        ReadError,
        crafted::{Part, zip},
    },
};

/// Longest that a test's archive may take, in seconds: thousands of times what it takes.
const SOON: u64 = 20;

/// An extra field of the directory that replaces sizes and offset by 64-bit ones.
fn zip64(numbers: &[u64]) -> Vec<u8> {
    let len = u16::try_from(8 * numbers.len()).unwrap();
    [&[1, 0][..], &len.to_le_bytes(), &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>()].concat()
}

/// The archive with an end of directory in 64 bits before its own, which then refers to it.
fn with_end64(mut archive: Vec<u8>, entries: u64, size: u64, start: u64, at: Option<u64>) -> Vec<u8> {
    let end = archive.split_off(archive.len() - 22);
    let here = archive.len() as u64;
    archive.extend(b"PK\x06\x06");
    archive.extend(44_u64.to_le_bytes());
    archive.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    archive.extend([entries, entries, size, start].into_iter().flat_map(u64::to_le_bytes));
    archive.extend(b"PK\x06\x07\0\0\0\0");
    archive.extend(at.unwrap_or(here).to_le_bytes());
    archive.extend([1, 0, 0, 0]);
    archive.extend(&end[..8]);
    archive.extend([0xff; 12]);
    archive.extend(&end[20..]);
    archive
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// What every fuzzer's archive begins from, and what the tests below look at.
fn archives() -> BTreeMap<&'static str, Vec<u8>> {
    let image = encode(&Raster::new(1, 6, 7, (0..42).map(|i| i % 13).collect()).unwrap());
    let squeezed = deflated(&image);
    let part = Part::new(b"PRED_000001.tif", &image);
    let other = Part { name: b"PRED_000002.tif", ..part };
    let size = u32::try_from(image.len()).ok();
    let deflate = Part { data: &squeezed, method: 8, size, crc: Some(crc(&image)), ..part };
    let bomb = deflated(&vec![0; 1 << 20]);
    let unfolds = Part { data: &bomb, method: 8, size: Some(1 << 20), crc: Some(crc(&vec![0; 1 << 20])), ..part };
    let one = |part| zip(&[part]);
    let named = |name| one(Part { name, ..part });
    let plain = one(part);
    let directory = (plain.len() - 22 - 46 - part.name.len()) as u64;
    let length = 46 + part.name.len() as u64;
    let wide = |numbers: &[u64]| {
        let extra = zip64(numbers);
        let all = Some(u32::MAX);
        zip(&[Part { size: all, stored_size: all, offset: all, extra: &extra, ..part }])
    };
    let stored = image.len() as u64;
    BTreeMap::from([
        ("plain", plain.clone()),
        ("empty", zip(&[])),
        ("deflated", one(deflate)),
        ("nested", zip(&[Part::new(b"a/", b""), Part { name: b"a/b/PRED_000001.tif", ..part }, other])),
        ("macosx", zip(&[part, Part::new(b"__MACOSX/._PRED_000001.tif", b"x"), Part::new(b".DS_Store", b"")])),
        ("traversal", named(b"../../PRED_000001.tif")),
        ("absolute", named(b"/etc/PRED_000001.tif")),
        ("drive", named(b"C:\\PRED_000001.tif")),
        ("control", named(b"\x1b[2J\xe2\x80\xaePRED_000001.tif")),
        ("not-utf8", named(b"\xff\xfePRED_000001.tif")),
        ("no-name", named(b"")),
        ("symlink", one(Part { attributes: 0o120_777 << 16, data: b"/etc/passwd", ..part })),
        ("folder-with-data", named(b"PRED_000001.tif/")),
        ("duplicate", zip(&[part, part])),
        ("overlap", zip(&[part, Part { offset: Some(0), ..other }])),
        ("overlap-within", zip(&[part, Part { offset: Some(9), ..other }])),
        ("encrypted", one(Part { flags: 1, ..part })),
        ("strongly-encrypted", one(Part { flags: 0x41, ..part })),
        ("data-descriptor", one(Part { flags: 8, ..part })),
        ("method-bzip2", one(Part { method: 12, ..part })),
        ("method-lzma", one(Part { method: 14, ..part })),
        ("method-zstd", one(Part { method: 93, ..part })),
        ("method-aes", one(Part { method: 99, extra: b"\x01\x99\x07\0\x02\0AE\x03\0\0", ..part })),
        ("bomb-claimed", one(Part { size: Some(u32::MAX - 1), ..deflate })),
        ("bomb-hidden", one(Part { size: Some(99), ..unfolds })),
        ("bomb-real", one(unfolds)),
        ("wrong-crc", one(Part { crc: Some(7), ..part })),
        ("wrong-size", one(Part { size: Some(7), ..part })),
        ("wrong-local-name", one(Part { local_name: Some(b"PRED_000009.tif"), ..part })),
        ("zip64", wide(&[stored, stored, 0])),
        ("zip64-huge", wide(&[10 << 30, stored, 0])),
        ("zip64-beyond", wide(&[u64::MAX, u64::MAX, u64::MAX])),
        ("zip64-short", wide(&[stored])),
        ("zip64-end", with_end64(plain.clone(), 1, length, directory, None)),
        ("zip64-end-many", with_end64(plain.clone(), u64::MAX, length, directory, None)),
        ("zip64-end-beyond", with_end64(plain.clone(), 1 << 40, u64::MAX, u64::MAX, None)),
        ("zip64-end-nowhere", with_end64(plain, 1, length, directory, Some(u64::MAX))),
    ])
}

#[test]
fn the_fuzzers_inputs_are_there() {
    crate::seeds::keep(
        "archive",
        &archives().into_iter().map(|(name, bytes)| (format!("{name}.zip"), bytes)).collect(),
    );
}

fn written(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// The codes that a check finds, once each.
fn codes(bytes: &[u8]) -> Vec<String> {
    let (dir, path) = written(bytes);
    let report = check_path(&path, None, &CheckOptions::default(), &Silent).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is unpacked");
    let mut codes: Vec<_> = report.findings.into_iter().map(|finding| finding.code).collect();
    codes.dedup();
    codes.retain(|code| !["ids-not-checked", "wrong-size", "not-lzw"].contains(&code.as_str()));
    codes
}

#[test]
fn every_trick_has_its_finding() {
    let found = |bytes: &[u8]| match codes(bytes) {
        codes if codes.is_empty() => "nothing".to_owned(),
        codes => codes.join(", "),
    };
    let lines = archives().into_iter().map(|(name, bytes)| format!("{name}: {}", found(&bytes)));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    absolute: absolute-path, other-part, archive-name
    bomb-claimed: file-too-large, other-part, archive-name
    bomb-hidden: damaged-entry, other-part, archive-name
    bomb-real: unreadable-image, other-part, archive-name
    control: control-character, no-predictions, wrong-name, archive-name
    data-descriptor: other-part, archive-name
    deflated: other-part, archive-name
    drive: absolute-path, backslash-path, no-predictions, wrong-name, archive-name
    duplicate: duplicate-entry, other-part, archive-name
    empty: no-predictions, archive-name
    encrypted: encrypted-entry, other-part, archive-name
    folder-with-data: no-predictions, archive-name
    macosx: other-part, junk-file, archive-name
    method-aes: unsupported-method, other-part, archive-name
    method-bzip2: unsupported-method, other-part, archive-name
    method-lzma: unsupported-method, other-part, archive-name
    method-zstd: unsupported-method, other-part, archive-name
    nested: other-part, archive-name
    no-name: path-traversal, no-predictions, unexpected-file, archive-name
    not-utf8: name-not-utf8, no-predictions, wrong-name, archive-name
    overlap: overlapping-entries, other-part, archive-name
    overlap-within: overlapping-entries, other-part, archive-name
    plain: other-part, archive-name
    strongly-encrypted: encrypted-entry, other-part, archive-name
    symlink: symbolic-link, other-part, archive-name
    traversal: path-traversal, other-part, archive-name
    wrong-crc: damaged-entry, other-part, archive-name
    wrong-local-name: damaged-entry, other-part, archive-name
    wrong-size: damaged-entry, other-part, archive-name
    zip64: other-part, archive-name
    zip64-beyond: overlapping-entries, other-part, ambiguous-archive, archive-name
    zip64-end: other-part, archive-name
    zip64-end-beyond: unreadable-archive
    zip64-end-many: unreadable-archive
    zip64-end-nowhere: unreadable-archive
    zip64-huge: file-too-large, other-part, archive-name
    zip64-short: unreadable-archive
    ");
}

#[test]
fn a_megabyte_that_expands_to_gigabytes_is_checked_fast_and_in_little_memory() {
    // 1032 times is the most that deflate squeezes: a thousand entries of 8 MiB in 8 KiB each.
    let zeros = vec![0; 8 << 20];
    let (squeezed, sum) = (deflated(&zeros), crc(&zeros));
    drop(zeros);
    let names: Vec<_> = (0..1000).map(|number| format!("PRED_{number:06}.tif")).collect();
    let entry = |name| Part { data: &squeezed, method: 8, size: Some(8 << 20), crc: Some(sum), ..Part::new(name, b"") };
    let parts: Vec<_> = names.iter().map(|name| entry(name.as_bytes())).collect();
    let (_dir, path) = written(&zip(&parts[..60]));
    let start = std::time::Instant::now();
    let report = check_path(&path, None, &CheckOptions::default(), &Silent).unwrap();
    assert!(report.findings.iter().any(|finding| finding.code == "unreadable-image"), "{report:?}");
    assert!(start.elapsed().as_secs() < SOON, "{:?}", start.elapsed());

    // All of them in the bytes of one: 8 GiB out of a file of 150 KB. Overlapping entries are never decompressed.
    let first = Part { offset: Some(0), ..parts[0] };
    let shared: Vec<_> = std::iter::once(first)
        .chain(parts[1..].iter().map(|part| Part {
            offset: Some(0),
            data: b"",
            stored_size: u32::try_from(squeezed.len()).ok(),
            ..*part
        }))
        .collect();
    let bytes = zip(&shared);
    assert!(bytes.len() < 200_000);
    let start = std::time::Instant::now();
    assert!(codes(&bytes).contains(&"overlapping-entries".to_owned()));
    assert!(start.elapsed().as_secs() < SOON, "{:?}", start.elapsed());
}

#[test]
fn ten_claimed_gigabytes_are_not_allocated() {
    // 64 bits let a directory claim anything; nothing of it is reserved ahead.
    let image = encode(&Raster::new(1, 6, 7, vec![1; 42]).unwrap());
    let extra = zip64(&[1 << 62, image.len() as u64, 0]);
    let all = Some(u32::MAX);
    let part =
        Part { size: all, stored_size: all, offset: all, extra: &extra, ..Part::new(b"PRED_000001.tif", &image) };
    let (_dir, path) = written(&zip(&[part]));
    let source = Source::open(&path).unwrap();
    assert_eq!(source.entries()[0].size, 1 << 62);
    assert!(matches!(source.read(&source.entries()[0], 8 << 20), Err(ReadError::TooLarge { .. })));
    // Even a caller without a limit gets an error, and no more memory than there are bytes.
    assert!(source.read(&source.entries()[0], u64::MAX).is_err());
}

#[test]
fn whatever_is_packed_lands_in_the_output_alone() {
    let name: ArchiveName = "team.zip".parse().unwrap();
    let image = encode(&Raster::new(1, crate::PATCH_SIZE, crate::PATCH_SIZE, vec![5; 1 << 18]).unwrap());
    let part = Part::new(b"a/b/PRED_000001.tif", &image);
    let more = [
        zip(&[part]),
        zip(&[part, Part { name: b"../PRED_000002.tif", ..part }]),
        zip(&[part, Part { name: b"/tmp/x/PRED_000002.tif", ..part }]),
        zip(&[Part { local_name: Some(b"../PRED_000001.tif"), ..part }]),
    ];
    let mut packed = 0;
    for bytes in archives().into_values().chain(more) {
        let (dir, path) = written(&bytes);
        let out = dir.path().join("deep/out");
        let Ok(source) = Source::open(&path) else { continue };
        let is_packed = pack(&source, None, &CheckOptions::default(), Doubtful::Accept, &out, &name, &Silent).is_ok();
        packed += usize::from(is_packed);
        let files: Vec<_> = walkdir::WalkDir::new(dir.path())
            .into_iter()
            .map(Result::unwrap)
            .filter(|found| !found.file_type().is_dir() && found.path() != path)
            .map(walkdir::DirEntry::into_path)
            .collect();
        assert_eq!(files, if is_packed { vec![out.join("team.zip")] } else { vec![] });
        if is_packed {
            let names: Vec<_> = Source::open(&files[0]).unwrap().entries().iter().map(|e| e.name.clone()).collect();
            assert_eq!(names, ["PRED_000001.tif"]);
        }
    }
    assert_eq!(packed, 1, "the first of ours is a good one");
}
