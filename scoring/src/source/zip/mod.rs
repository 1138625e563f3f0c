//! Zip archives from untrusted sources: listed by their directory, read entry by entry, never unpacked.
//!
//! The reader is this crate's own. General libraries remember every signature and every extra field that they meet, so
//! that a file of them costs thirty times its size in memory.

mod bytes;
mod directory;
mod end;

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, SystemTime},
};

use flate2::{Crc, bufread::DeflateDecoder};

use self::{
    bytes::u16_at,
    directory::{LOCAL_HEADER, Record},
    end::EndError,
};
use super::{
    entry::{Defect, Entry},
    error::{ReadError, SourceError},
};
use crate::files::{open_regular, read_up_to};

const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";

/// Numbers of the compression methods that every reader supports.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Bits of the flags that say that an entry, or the directory, is encrypted.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// The directory of a zip archive, in the order of the file. Every read opens the file again, so that threads
/// do not share a file position.
#[derive(Debug)]
pub(super) struct Archive {
    directory: Vec<Record>,
    /// Why other readers may see another archive in the file, or none.
    pub(super) ambiguity: Option<&'static str>,
}

impl Archive {
    /// Opens an archive. Returns it with its first `most` entries and the number of omitted ones.
    pub(super) fn open(path: &Path, most: usize) -> Result<(Self, Vec<Entry>, usize), SourceError> {
        let io = |error| SourceError::Io { path: path.to_owned(), error };
        let bad = |error| match error {
            EndError::Io(error) => io(error),
            EndError::Invalid(reason) => SourceError::Archive { path: path.to_owned(), reason },
        };
        let mut file = BufReader::new(open_regular(path).map_err(io)?);
        let place = end::find(&mut file).map_err(bad)?;
        file.seek(SeekFrom::Start(place.start)).map_err(io)?;
        let (directory, left_out) = directory::read(&mut file, &place, most).map_err(bad)?;
        let starts_at = directory.iter().map(|record| record.header).min().unwrap_or(place.shift);
        let ambiguity =
            if starts_at > 0 && left_out == 0 { Some("bytes before the first entry") } else { place.ambiguity };
        let overlaps = overlaps(&directory, place.start);
        let mut seen = BTreeMap::<&[u8], usize>::new();
        for record in &directory {
            *seen.entry(&record.name).or_default() += 1;
        }
        let mut entries = Vec::new();
        for (index, (record, overlaps)) in directory.iter().zip(overlaps).enumerate() {
            let name = &*record.name;
            let is_folder = record.is_folder();
            let mut defects = name_defects(if is_folder { name.strip_suffix(b"/").unwrap_or(name) } else { name });
            // A folder has no data, so it is listed only for a dangerous path.
            if is_folder && defects.is_empty() {
                continue;
            }
            let of_archive = [
                // Whichever system the directory names: some readers look at the mode alone.
                (Defect::Symlink, (record.attributes >> 16) & 0o170_000 == 0o120_000),
                (Defect::Encrypted, record.flags & ENCRYPTED != 0),
                (Defect::Method, !matches!(record.method, STORED | DEFLATED)),
                (Defect::Duplicate, seen.get(name).is_some_and(|&times| times > 1)),
                (Defect::Overlap, overlaps),
            ];
            defects.extend(of_archive.into_iter().filter(|(_, is_so)| *is_so).map(|(defect, _)| defect));
            let modified = time(record.date, record.time);
            let name = String::from_utf8_lossy(name).into_owned();
            entries.push(Entry { modified, stored: record.stored, ..Entry::new(name, record.size, index, defects) });
        }
        Ok((Self { directory, ambiguity }, entries, left_out))
    }

    /// The bytes of one entry, see [`super::Source::read`].
    pub(super) fn read(&self, path: &Path, entry: &Entry, limit: u64) -> Result<Vec<u8>, ReadError> {
        let damaged = |reason: String| ReadError::Damaged { name: entry.name.clone(), reason };
        let record = self.directory.get(entry.index).ok_or_else(|| damaged("it is not in this archive".to_owned()))?;
        let open = || {
            let mut file = BufReader::new(open_regular(path)?);
            let local = local_name(&mut file, record.header)?;
            io::Result::Ok((file, local))
        };
        let (file, local) = open().map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("its header is beyond the end of the file".to_owned()),
            _ => ReadError::Io { name: entry.name.clone(), error },
        })?;
        match local {
            None => return Err(damaged("its header is not where the directory says".to_owned())),
            Some(local) if local != *record.name => {
                let local = String::from_utf8_lossy(&local).escape_debug().to_string();
                return Err(damaged(format!("its header calls it `{local}`")));
            }
            Some(_) if record.is_renamed => {
                return Err(damaged("an extra field gives it another name, which only some readers use".to_owned()));
            }
            Some(_) => {}
        }
        let data = file.take(record.stored);
        let bytes = match record.method {
            STORED => read_up_to(data, entry.size, entry.size.min(limit)),
            _ => read_up_to(DeflateDecoder::new(data), entry.size, entry.size.min(limit)),
        };
        let bytes = bytes.map_err(|error| damaged(format!("its data cannot be decompressed: {error}")))?;
        let bytes = match bytes {
            Some(bytes) if bytes.len() as u64 == entry.size => bytes,
            Some(bytes) => {
                return Err(damaged(format!("it holds {} bytes, the directory says {}", bytes.len(), entry.size)));
            }
            None if entry.size > limit => return Err(ReadError::TooLarge { name: entry.name.clone(), limit }),
            None => return Err(damaged(format!("it holds more than {} bytes, the directory says so", entry.size))),
        };
        let mut crc = Crc::new();
        crc.update(&bytes);
        if crc.sum() != record.crc {
            return Err(damaged("its checksum is wrong".to_owned()));
        }
        Ok(bytes)
    }
}

/// Converts a time of a zip archive, which has no time zone, as if it were UTC. `None` for 1980, which means "unknown",
/// and for what is no time.
fn time(date: u16, time: u16) -> Option<SystemTime> {
    let (year, month, day) = (u64::from(date >> 9) + 1980, u64::from(date >> 5 & 15), u64::from(date & 31));
    let (hour, minute, second) = (u64::from(time >> 11), u64::from(time >> 5 & 63), u64::from(time & 31) * 2);
    let is_time = (1..=12).contains(&month) && day >= 1 && hour < 24 && minute < 60 && second < 60;
    if year == 1980 || !is_time {
        return None;
    }
    // Days since 1970-01-01 of the Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let hours = (days - 719_468) * 24 + hour;
    let seconds = (hours * 60 + minute) * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The name in an entry's local header, which sequential unpackers use, `None` if there is no header; leaves the file at the entry's data.
fn local_name(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; LOCAL_HEADER];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut header)?;
    if !header.starts_with(LOCAL_SIGNATURE) {
        return Ok(None);
    }
    let mut name = vec![0; usize::from(u16_at(&header, 26))];
    file.read_exact(&mut name)?;
    file.seek_relative(i64::from(u16_at(&header, 28)))?;
    Ok(Some(name))
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
fn overlaps(directory: &[Record], directory_start: u64) -> Vec<bool> {
    let mut order: Vec<_> = (0..directory.len()).collect();
    order.sort_by_key(|&i| (directory[i].header, directory[i].end()));
    let mut overlaps: Vec<_> = directory.iter().map(|record| record.end() > directory_start).collect();
    // The entry with the furthest end so far: an entry that starts before this end overlaps it.
    let mut furthest: Option<usize> = None;
    for i in order {
        if let Some(before) = furthest.filter(|&f| directory[f].end() > directory[i].header) {
            overlaps[before] = true;
            overlaps[i] = true;
        }
        if furthest.is_none_or(|f| directory[i].end() > directory[f].end()) {
            furthest = Some(i);
        }
    }
    overlaps
}

#[cfg(test)]
mod tests;
