//! Zip archives from untrusted sources: listed by their directory, read entry by entry, never unpacked.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, SystemTime},
};

// `ZipArchive` keys its entries by name, so a second entry of the same name would hide the first.
use zip::unstable::read::ZipIterable;
use zip::{
    CompressionMethod, DateTime, ZipReadOptions,
    read::{Config, OwnedZipFileEntry},
    result::ZipError,
};

use super::{
    entry::{Defect, Entry},
    error::{ReadError, SourceError},
};
use crate::files::{open_regular, read_up_to};

/// Bytes of a local header before its name.
const LOCAL_HEADER: usize = 30;

/// Bytes of the end record before its comment.
const END_RECORD: usize = 22;

/// The directory of a zip archive, in the order of the file. Every read opens the file again, so that threads
/// do not share a file position.
#[derive(Debug)]
pub(super) struct Archive {
    directory: Vec<OwnedZipFileEntry>,
    /// Why other readers may see another archive in the file, or none.
    pub(super) ambiguity: Option<&'static str>,
}

impl Archive {
    /// Opens an archive. Returns it with its first `most` entries and the number of omitted ones.
    pub(super) fn open(path: &Path, most: usize) -> Result<(Self, Vec<Entry>, usize), SourceError> {
        let io = |error| SourceError::Io { path: path.to_owned(), error };
        let bad = |error: ZipError| match error {
            ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => io(error),
            error => SourceError::Archive { path: path.to_owned(), reason: error.to_string() },
        };
        let mut file = BufReader::new(open_regular(path).map_err(io)?);
        let end = end(&mut file).map_err(io)?;
        let mut archive = ZipIterable::try_new(file, Config::default()).map_err(bad)?;
        let left_out = archive.len().saturating_sub(most);
        let directory = archive.files().map_err(bad)?.take(most);
        let directory =
            directory.map(|e| e.map(OwnedZipFileEntry::from)).collect::<Result<Vec<_>, _>>().map_err(bad)?;
        let starts_at = directory.iter().map(OwnedZipFileEntry::header_start).min().unwrap_or(0);
        let ambiguity = if starts_at > 0 && left_out == 0 { Some("bytes before the first entry") } else { end };
        let overlaps = overlaps(&directory);
        let mut seen = BTreeMap::<&[u8], usize>::new();
        for entry in &directory {
            *seen.entry(entry.name_raw()).or_default() += 1;
        }
        let mut entries = Vec::new();
        for (index, (entry, overlaps)) in directory.iter().zip(overlaps).enumerate() {
            let name = entry.name_raw();
            let mut defects = name_defects(if entry.is_dir() { name.strip_suffix(b"/").unwrap_or(name) } else { name });
            // A folder has no data, so it is listed only for a dangerous path.
            if entry.is_dir() && defects.is_empty() {
                continue;
            }
            let of_archive = [
                (Defect::Symlink, entry.is_symlink()),
                (Defect::Encrypted, entry.encrypted()),
                (Defect::Method, !is_supported(entry.compression())),
                (Defect::Duplicate, seen.get(name).is_some_and(|&times| times > 1)),
                (Defect::Overlap, overlaps),
            ];
            defects.extend(of_archive.into_iter().filter(|(_, is_so)| *is_so).map(|(defect, _)| defect));
            let modified = entry.last_modified().and_then(time);
            let name = String::from_utf8_lossy(name).into_owned();
            entries.push(Entry { modified, ..Entry::new(name, entry.size(), index, defects) });
        }
        Ok((Self { directory, ambiguity }, entries, left_out))
    }

    /// The bytes of one entry, see [`super::Source::read`].
    pub(super) fn read(&self, path: &Path, entry: &Entry, limit: u64) -> Result<Vec<u8>, ReadError> {
        let damaged = |reason: String| ReadError::Damaged { name: entry.name.clone(), reason };
        let stored = self.directory.get(entry.index).ok_or_else(|| damaged("it is not in this archive".to_owned()))?;
        let open = || {
            let mut file = BufReader::new(open_regular(path)?);
            let local = local_name(&mut file, stored.header_start())?;
            io::Result::Ok((file, local))
        };
        let (mut file, local) = open().map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("its header is beyond the end of the file".to_owned()),
            _ => ReadError::Io { name: entry.name.clone(), error },
        })?;
        if local != stored.name_raw() {
            let local = String::from_utf8_lossy(&local).escape_debug().to_string();
            return Err(damaged(format!("its header calls it `{local}`")));
        }
        let reader =
            stored.as_ref().with_reader(&mut file, ZipReadOptions::new()).map_err(|e| damaged(e.to_string()))?;
        let bytes = read_up_to(reader, entry.size, limit).map_err(|e| damaged(e.to_string()))?;
        let bytes = bytes.ok_or_else(|| ReadError::TooLarge { name: entry.name.clone(), limit })?;
        if bytes.len() as u64 != entry.size {
            return Err(damaged(format!("it holds {} bytes, the directory says {}", bytes.len(), entry.size)));
        }
        Ok(bytes)
    }
}

/// Detects data after the archive. Some readers look for the last signature of an end record and expect its comment
/// to reach the end of the file.
fn end(file: &mut (impl Read + Seek)) -> io::Result<Option<&'static str>> {
    const MARK: &[u8] = b"PK\x05\x06";
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub((END_RECORD + usize::from(u16::MAX)) as u64)))?;
    let mut tail = Vec::new();
    file.take((END_RECORD + usize::from(u16::MAX)) as u64).read_to_end(&mut tail)?;
    let last = tail.windows(MARK.len()).rposition(|window| window == MARK);
    let fills = last
        .and_then(|at| tail[at..].split_at_checked(END_RECORD))
        .is_some_and(|(record, comment)| usize::from(u16::from_le_bytes([record[20], record[21]])) == comment.len());
    Ok((!fills).then_some("bytes after its end, or a second end record in its comment"))
}

/// Converts a time of a zip archive, which has no time zone, as if it were UTC. `None` for 1980, which means "unknown".
fn time(time: DateTime) -> Option<SystemTime> {
    if time.year() <= 1980 || !time.is_valid() {
        return None;
    }
    // Days since 1970-01-01 of the Gregorian calendar, with years that begin in March.
    let (year, month) = (u64::from(time.year()), u64::from(time.month()));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + u64::from(time.day()) - 1;
    let hours = (days - 719_468) * 24 + u64::from(time.hour());
    let seconds = (hours * 60 + u64::from(time.minute())) * 60 + u64::from(time.second());
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn is_supported(method: CompressionMethod) -> bool {
    matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated)
}

/// The name in an entry's local header, which sequential unpackers use.
fn local_name(file: &mut (impl Read + Seek), header_start: u64) -> io::Result<Vec<u8>> {
    let mut header = [0; LOCAL_HEADER];
    file.seek(SeekFrom::Start(header_start))?;
    file.read_exact(&mut header)?;
    let mut name = vec![0; usize::from(u16::from_le_bytes([header[26], header[27]]))];
    file.read_exact(&mut name)?;
    Ok(name)
}

fn name_defects(name: &[u8]) -> Vec<Defect> {
    let has_drive = matches!(name, [drive, b':', ..] if drive.is_ascii_alphabetic());
    let mut parts = name.split(|&b| b == b'/' || b == b'\\').skip(usize::from(name.starts_with(b"/")));
    let odd = parts.any(|part| matches!(part, b"" | b"." | b".."));
    let control = String::from_utf8_lossy(name).chars().any(char::is_control);
    [
        odd.then_some(Defect::Traversal),
        (name.starts_with(b"/") || name.starts_with(b"\\") || has_drive).then_some(Defect::Absolute),
        name.contains(&b'\\').then_some(Defect::Backslash),
        control.then_some(Defect::ControlCharacter),
        str::from_utf8(name).is_err().then_some(Defect::NotUtf8),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// For each entry, whether it shares bytes with another entry or the directory. Zip bombs use such overlaps.
fn overlaps(directory: &[OwnedZipFileEntry]) -> Vec<bool> {
    let end = |e: &OwnedZipFileEntry| {
        let fixed = (LOCAL_HEADER + e.name_raw().len()) as u64;
        e.header_start().saturating_add(fixed).saturating_add(e.compressed_size())
    };
    let directory_start = directory.iter().map(OwnedZipFileEntry::central_header_start).min().unwrap_or(0);
    let mut order: Vec<_> = (0..directory.len()).collect();
    order.sort_by_key(|&i| (directory[i].header_start(), end(&directory[i])));
    let mut overlaps: Vec<_> = directory.iter().map(|e| end(e) > directory_start).collect();
    // The entry with the furthest end so far: an entry that starts before this end overlaps it.
    let mut furthest: Option<usize> = None;
    for i in order {
        if let Some(before) = furthest.filter(|&f| end(&directory[f]) > directory[i].header_start()) {
            overlaps[before] = true;
            overlaps[i] = true;
        }
        if furthest.is_none_or(|f| end(&directory[i]) > end(&directory[f])) {
            furthest = Some(i);
        }
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::super::{
        Source,
        crafted::{Part, zip},
    };
    use super::*;

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
            let time = time(DateTime::try_from_msdos(date, time_of_day).ok()?)?;
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
}
