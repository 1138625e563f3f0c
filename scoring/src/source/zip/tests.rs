use rayon::prelude::*;

use super::*;
use crate::source::{
    Source,
    crafted::{Part, zip},
};

fn open(parts: &[Part<'_>]) -> (tempfile::TempDir, Source) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    std::fs::write(&path, zip(parts)).unwrap();
    let source = Source::open(&path).unwrap();
    (dir, source)
}

fn defects(part: Part<'_>) -> Vec<Defect> {
    open(&[part]).1.entries()[0].defects.clone()
}

#[test]
fn a_plain_archive_is_read_from_many_threads() {
    let names: Vec<_> = (0..50).map(|i| format!("preds/PRED_{i:06}.tif")).collect();
    let mut parts: Vec<_> = names.iter().rev().map(|n| Part::new(n.as_bytes(), n.as_bytes())).collect();
    parts.push(Part::new(b"preds/", b""));
    let (_dir, source) = open(&parts);
    assert_eq!(source.entries().iter().map(|e| &e.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    source.entries().par_iter().for_each(|entry| {
        assert!(entry.defects.is_empty(), "{entry:?}");
        assert_eq!(source.read(entry, 100).unwrap(), entry.name.as_bytes());
    });
}

#[test]
fn times_are_read() {
    let seconds = |date, time_of_day| {
        let time = time(date, time_of_day)?;
        Some(time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    };
    let date = |year: u16, month: u16, day: u16| ((year - 1980) << 9) | (month << 5) | day;
    assert_eq!(seconds(date(1980, 1, 1), 0), None);
    // date -u -d '2024-02-29 13:37:42' +%s
    assert_eq!(seconds(date(2024, 2, 29), (13 << 11) + (37 << 5) + 21), Some(1_709_213_862));
    assert_eq!(seconds(date(2023, 3, 1), 0), Some(1_677_628_800));
}

#[test]
fn dangerous_paths_are_reported_and_kept_as_stored() {
    use Defect::*;
    let cases: &[(&[u8], &[Defect])] = &[
        (b"PRED_000001.tif", &[]),
        (b"a/b/PRED_000001.tif", &[]),
        (b"../evil.tif", &[Traversal]),
        (b"ok/../x.tif", &[Traversal]),
        (b"./x.tif", &[Traversal]),
        (b"a//x.tif", &[Traversal]),
        (b"../", &[Traversal]),
        (b"/abs.tif", &[Absolute]),
        (b"C:\\w.tif", &[Absolute, Backslash]),
        (b"\\w.tif", &[Traversal, Absolute, Backslash]),
        (b"a\\..\\w.tif", &[Traversal, Backslash]),
        (b"a\x1b[2J.tif", &[ControlCharacter]),
        (b"a\0.tif", &[ControlCharacter]),
        (b"\xff.tif", &[NotUtf8]),
    ];
    for (name, expected) in cases {
        let (_dir, source) = open(&[Part::new(name, b"data")]);
        let entry = &source.entries()[0];
        assert_eq!(entry.defects, *expected, "{}", name.escape_ascii());
        assert_eq!(entry.name, String::from_utf8_lossy(name));
    }
}

#[test]
fn unreadable_entries_are_reported_and_refused() {
    let part = Part::new(b"x", b"data");
    for (part, defect) in [
        (Part { attributes: 0o120_777 << 16, ..part }, Defect::Symlink),
        (Part { flags: 1, ..part }, Defect::Encrypted),
        (Part { method: 12, ..part }, Defect::Method),
    ] {
        let (_dir, source) = open(&[part]);
        assert_eq!(source.entries()[0].defects, [defect]);
        let refused = source.read(&source.entries()[0], 100);
        assert!(matches!(refused, Err(ReadError::Refused { defect: d, .. }) if d == defect), "{refused:?}");
    }
}

#[test]
fn an_ambiguous_archive_is_reported() {
    let one = zip(&[Part::new(b"x", b"1234")]);
    let with_comment = |comment: &[u8]| {
        let length = u16::try_from(comment.len()).unwrap().to_le_bytes();
        [&one[..one.len() - 2], &length, comment].concat()
    };
    let many = [&b"MZ"[..], &one].concat();
    let cases = [
        (one.clone(), false),
        (with_comment(b"a comment"), false),
        (with_comment(&vec![b' '; usize::from(u16::MAX)]), false),
        (many, true),
        ([one.clone(), one.clone()].concat(), true),
        ([&one[..], b"more"].concat(), true),
        (with_comment(b"PK\x05\x06 and so on"), true),
        (with_comment(&one), true),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (case, (bytes, is_ambiguous)) in cases.into_iter().enumerate() {
        let path = dir.path().join("a.zip");
        std::fs::write(&path, bytes).unwrap();
        let reported = Source::open(&path).map(|source| source.ambiguity().is_some());
        // An archive that cannot be opened is also reported.
        assert!(reported.map_or(is_ambiguous, |reported| reported == is_ambiguous), "{case}");
    }
}

#[test]
fn duplicates_and_overlaps_are_reported_for_every_entry() {
    let (_dir, source) = open(&[Part::new(b"x", b"1"), Part::new(b"y", b"2"), Part::new(b"x", b"3")]);
    let found: Vec<_> = source.entries().iter().map(|e| (e.name.as_str(), e.defects.as_slice())).collect();
    assert_eq!(found, [("x", &[Defect::Duplicate][..]), ("x", &[Defect::Duplicate]), ("y", &[])]);
    assert_eq!(source.read(&source.entries()[1], 9).unwrap(), b"3");

    // The second entry's header is inside the data of the first: neither is decompressed.
    let parts = [Part::new(b"x", &[0; 99]), Part { offset: Some(40), ..Part::new(b"y", b"2") }];
    let (_dir, source) = open(&parts);
    assert!(source.entries().iter().all(|e| e.defects == [Defect::Overlap]), "{:?}", source.entries());
    assert!(source.entries().iter().all(|e| matches!(source.read(e, 100), Err(ReadError::Refused { .. }))));
    assert_eq!(defects(Part { stored_size: Some(1 << 30), ..Part::new(b"x", b"1") }), [Defect::Overlap]);
}

#[test]
fn data_that_contradict_the_directory_are_damaged() {
    let part = Part::new(b"x", b"data");
    for part in [
        Part { size: Some(3), ..part },
        Part { size: Some(5), ..part },
        Part { crc: Some(1), ..part },
        Part { local_name: Some(b"y"), ..part },
        Part { local_name: Some(b"longer"), ..part },
        Part { offset: Some(5), ..part },
        Part { offset: Some(1_000_000), ..part },
        Part { method: 8, ..part },
    ] {
        let (_dir, source) = open(&[part]);
        let read = source.read(&source.entries()[0], 100);
        let is_refused = matches!(read, Err(ReadError::Refused { defect: Defect::Overlap, .. }));
        assert!(matches!(read, Err(ReadError::Damaged { .. })) || is_refused, "{part:?}: {read:?}");
    }
}

#[test]
fn neither_a_claimed_nor_a_hidden_size_is_allocated() {
    let huge = Part { size: Some(u32::MAX - 1), ..Part::new(b"x", b"data") };
    let (_dir, source) = open(&[huge]);
    assert!(matches!(source.read(&source.entries()[0], 1000), Err(ReadError::TooLarge { limit: 1000, .. })));

    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut deflated, &vec![0; 10_000_000]).unwrap();
    let bomb = deflated.finish().unwrap();
    let (_dir, source) = open(&[Part { method: 8, size: Some(900), ..Part::new(b"x", &bomb) }]);
    assert!(source.read(&source.entries()[0], 1000).is_err());
}

#[test]
fn cut_archives_are_errors_never_panics() {
    let whole = zip(&[Part::new(b"x", b"1234"), Part::new(b"y", b"5678")]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.zip");
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(Source::open(&path).is_err(), "{cut}");
    }
    for flip in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[flip] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        if let Ok(source) = Source::open(&path) {
            for entry in source.entries() {
                let _ = source.read(entry, 100);
            }
        }
    }
}

/// The bytes of an end record: entries on this disk, entries, size and offset of the directory.
fn end_record(count: u16, size: u32, offset: u32) -> Vec<u8> {
    let count = count.to_le_bytes();
    [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size.to_le_bytes(), &offset.to_le_bytes(), &[0, 0]].concat()
}

fn reason(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    std::fs::write(&path, bytes).unwrap();
    match Source::open(&path) {
        Err(SourceError::Archive { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_end_record_that_contradicts_the_directory_is_an_error() {
    let one = zip(&[Part::new(b"x", b"1234")]);
    let (body, size) = (&one[..one.len() - 22], 47);
    let offset = u32::try_from(body.len()).unwrap() - size;
    let with = |end: Vec<u8>| reason(&[body, &end].concat());
    let locator = |at: u64| [&b"PK\x06\x07\0\0\0\0"[..], &at.to_le_bytes(), &[1, 0, 0, 0]].concat();
    let lines = [
        with(end_record(2, size, offset)),
        with(end_record(0, size, offset)),
        with(end_record(1, size - 1, offset + 1)),
        with(end_record(1, size, offset + 1)),
        with(end_record(1, u32::MAX, 0)),
        with([locator(0), end_record(u16::MAX, u32::MAX, u32::MAX)].concat()),
        with([&end_record(1, size, offset)[..20], &[9, 0]].concat()),
        with(end_record(1, size, offset)[..21].to_vec()),
        with(b"PK\x05\x06\x01\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        reason(&zip(&[Part::new(&[b'a'; 4097], b"")])),
        reason(&zip(&[Part { extra: b"\x01\0\xff\0more", ..Part::new(b"x", b"1") }])),
        reason(b"PK\x03\x04 no end"),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    the size of its directory and the number of its entries do not agree
    the size of its directory and the number of its entries do not agree
    its directory is damaged
    its end record states a directory outside the file
    its end record states a directory outside the file
    it has a zip64 locator without a zip64 end record before it
    the comment of its end record is truncated
    its end record is truncated
    it is a part of several files
    a path in it has 4097 bytes, at most 4096
    an entry's extra fields are damaged
    it has no end record: it is truncated, or not a zip archive
    ");
}

#[test]
fn names_that_only_some_readers_use_are_damaged() {
    // Info-ZIP's field of another name: version, CRC-32 of the name in the directory, the other name.
    let other = [&b"up\x06\0\x01"[..], &[0; 4], b"y"].concat();
    let (_dir, source) = open(&[Part { extra: &other, ..Part::new(b"x", b"data") }]);
    let read = source.read(&source.entries()[0], 100).unwrap_err().to_string();
    assert_eq!(
        read,
        "`x` is damaged in the archive: an extra field gives it another name, which only some readers use"
    );
    let same = [&b"up\x06\0\x01"[..], &[0; 4], b"x"].concat();
    let (_dir, source) = open(&[Part { extra: &same, ..Part::new(b"x", b"data") }]);
    assert_eq!(source.read(&source.entries()[0], 100).unwrap(), b"data");
}

#[test]
fn a_nested_archive_at_the_end_is_no_second_end_record() {
    let inner = zip(&[Part::new(b"x", b"1234")]);
    let (_dir, source) = open(&[Part::new(b"inner.zip", &inner)]);
    assert_eq!((source.entries()[0].name.as_str(), source.ambiguity()), ("inner.zip", None));
}
