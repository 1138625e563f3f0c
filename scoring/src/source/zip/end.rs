//! Finds the directory of a zip archive from the end record, the only record that readers search for.
//!
//! The search reads the last 64 KiB once and keeps one candidate: the last signature. An archive in which that
//! candidate is not a valid end record is refused, since readers disagree about which record counts then.

use std::io::{self, Read, Seek, SeekFrom};

use super::bytes::{u16_at, u32_at, u64_at};

/// Bytes of the end record before its comment.
pub(super) const END: usize = 22;

/// Bytes of the zip64 end record without extensible data, which no known tool writes.
const END64: usize = 56;

/// Bytes of the zip64 locator, between the two end records.
const LOCATOR: usize = 20;

/// Maximum size of the directory, in bytes: some ten times that of an archive of the whole dataset.
pub(super) const MAX_DIRECTORY: u64 = 64 << 20;

const SIGNATURE: &[u8] = b"PK\x05\x06";
const SIGNATURE64: &[u8] = b"PK\x06\x06";
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";

/// The location of an archive's directory, which ends where the end record begins.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) size: u64,
    /// Number of entries that the end record states.
    pub(super) count: u64,
    /// Bytes before the archive: the difference between true and stated offsets.
    pub(super) shift: u64,
    /// Why other readers may find another end record, or none.
    pub(super) ambiguity: Option<&'static str>,
}

/// Errors of finding or reading the directory.
#[derive(Debug)]
pub(super) enum EndError {
    Io(io::Error),
    Invalid(String),
}

impl From<io::Error> for EndError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::invalid("it is truncated") } else { Self::Io(error) }
    }
}

impl EndError {
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }
}

/// The counts, sizes and offsets of an end record of either width.
#[derive(Clone, Copy)]
struct Fields {
    count_here: u64,
    count: u64,
    size: u64,
    offset: u64,
}

impl Fields {
    /// Those of the end record; fields of this width may be full, which means "see the zip64 record".
    fn of(record: &[u8]) -> Self {
        Self {
            count_here: u64::from(u16_at(record, 8)),
            count: u64::from(u16_at(record, 10)),
            size: u64::from(u32_at(record, 12)),
            offset: u64::from(u32_at(record, 16)),
        }
    }

    fn of_64(record: &[u8]) -> Self {
        Self {
            count_here: u64_at(record, 24),
            count: u64_at(record, 32),
            size: u64_at(record, 40),
            offset: u64_at(record, 48),
        }
    }

    /// Whether the record of 64 bits repeats every field that is not full in this one.
    fn agrees_with(&self, wide: &Self) -> bool {
        let same = |narrow: u64, wide: u64, full: u64| narrow == full || narrow == wide;
        same(self.count_here, wide.count_here, u64::from(u16::MAX))
            && same(self.count, wide.count, u64::from(u16::MAX))
            && same(self.size, wide.size, u64::from(u32::MAX))
            && same(self.offset, wide.offset, u64::from(u32::MAX))
    }
}

/// Finds the directory. Memory: the file's last 64 KiB.
pub(super) fn find(file: &mut (impl Read + Seek)) -> Result<Directory, EndError> {
    let length = file.seek(SeekFrom::End(0))?;
    let searched = (END + LOCATOR + END64 + usize::from(u16::MAX)) as u64;
    let tail_at = length.saturating_sub(searched);
    file.seek(SeekFrom::Start(tail_at))?;
    let mut tail = Vec::new();
    file.take(searched).read_to_end(&mut tail)?;

    let at = tail.windows(SIGNATURE.len()).rposition(|window| window == SIGNATURE);
    let at = at.ok_or_else(|| EndError::invalid("it has no end record: it is truncated, or not a zip archive"))?;
    let (record, after) =
        tail[at..].split_at_checked(END).ok_or_else(|| EndError::invalid("its end record is truncated"))?;
    let comment = usize::from(u16_at(record, 20));
    if comment > after.len() {
        return Err(EndError::invalid("the comment of its end record is truncated"));
    }
    let ambiguity = (comment < after.len()).then_some("bytes after its end, or a second end record in its comment");
    if u16_at(record, 4) != 0 || u16_at(record, 6) != 0 {
        return Err(EndError::invalid("it is a part of several files"));
    }

    let (fields, end_at, stated_end) = match end64(&tail[..at])? {
        None => (Fields::of(record), at, None),
        Some((wide, stated)) if Fields::of(record).agrees_with(&wide) => (wide, at - LOCATOR - END64, Some(stated)),
        Some(_) => return Err(EndError::invalid("its two end records contradict each other")),
    };
    if fields.count_here != fields.count {
        return Err(EndError::invalid("it is a part of several files"));
    }
    let end = tail_at + end_at as u64;
    let beyond = || EndError::invalid("its end record states a directory outside the file");
    let start = end.checked_sub(fields.size).ok_or_else(beyond)?;
    let shift = start.checked_sub(fields.offset).ok_or_else(beyond)?;
    if stated_end.is_some_and(|stated| stated.checked_add(shift) != Some(end)) {
        return Err(EndError::invalid("its zip64 end record is not where its locator says"));
    }
    if fields.size > MAX_DIRECTORY {
        let size = fields.size;
        return Err(EndError::invalid(format!("its directory has {size} bytes, at most {MAX_DIRECTORY}")));
    }
    Ok(Directory { start, size: fields.size, count: fields.count, shift, ambiguity })
}

/// The zip64 end record and the offset that its locator states for it, if a locator is at the end of `before`.
fn end64(before: &[u8]) -> Result<Option<(Fields, u64)>, EndError> {
    let Some((rest, locator)) = before.len().checked_sub(LOCATOR).map(|at| before.split_at(at)) else {
        return Ok(None);
    };
    if !locator.starts_with(LOCATOR_SIGNATURE) {
        return Ok(None);
    }
    let record = rest.len().checked_sub(END64).map(|at| &rest[at..]);
    let Some(record) = record.filter(|record| record.starts_with(SIGNATURE64)) else {
        return Err(EndError::invalid("it has a zip64 locator without a zip64 end record before it"));
    };
    // Size without signature and size field; disk numbers; disks in all (0 or 1).
    let is_whole = u64_at(record, 4) == (END64 - 12) as u64
        && (u32_at(record, 16), u32_at(record, 20)) == (0, 0)
        && u32_at(locator, 4) == 0
        && u32_at(locator, 16) <= 1;
    if !is_whole {
        return Err(EndError::invalid("its zip64 end record is of a form that this reader does not support"));
    }
    Ok(Some((Fields::of_64(record), u64_at(locator, 8))))
}
