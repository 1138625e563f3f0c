//! Reads the directory of a zip archive record by record. Nothing but names is kept, so memory follows from the number
//! of entries and the bytes of their names, not from extra fields or comments.

use std::io::Read;

use super::{
    bytes::{u16_at, u32_at, u64_at},
    end::{Directory, EndError},
};

/// Bytes of a directory record before its name.
pub(super) const RECORD: usize = 46;

/// Bytes of a local header before its name.
pub(super) const LOCAL_HEADER: usize = 30;

/// Maximum length of an entry's path, in bytes: Linux's `PATH_MAX`. No folder could hold a longer one.
const MAX_NAME: usize = 4096;

const SIGNATURE: &[u8] = b"PK\x01\x02";

/// Identifier of the extra field with sizes and offset in 64 bits.
const ZIP64: u16 = 1;

/// Identifier of Info-ZIP's extra field with another name, in UTF-8.
const UNICODE_PATH: u16 = 0x7075;

/// One entry, as the directory states it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: Box<[u8]>,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) time: u16,
    pub(super) date: u16,
    pub(super) crc: u32,
    /// Its size in the archive.
    pub(super) stored: u64,
    /// Its size when decompressed.
    pub(super) size: u64,
    /// Offset of its local header in the file.
    pub(super) header: u64,
    /// Attributes of the system that wrote it; on Unix the mode is in the upper half.
    pub(super) attributes: u32,
    /// Whether an extra field gives another name.
    pub(super) is_renamed: bool,
}

impl Record {
    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }

    /// Offset of the end of its data, without the extra fields of its local header.
    pub(super) fn end(&self) -> u64 {
        let fixed = (LOCAL_HEADER + self.name.len()) as u64;
        self.header.saturating_add(fixed).saturating_add(self.stored)
    }
}

/// Reads the directory from `file`, which is at its start. Returns the first `most` records, and the number of others.
///
/// The records must fill the directory exactly, so that readers which count entries and readers which count bytes see
/// the same.
pub(super) fn read(file: &mut impl Read, directory: &Directory, most: usize) -> Result<(Vec<Record>, usize), EndError> {
    let contradiction = || EndError::invalid("the size of its directory and the number of its entries do not agree");
    let mut left = directory.size;
    if directory.count > left / RECORD as u64 {
        return Err(contradiction());
    }
    let (mut records, mut left_out) = (Vec::new(), 0);
    let mut variable = Vec::new();
    for _ in 0..directory.count {
        let mut fixed = [0; RECORD];
        left = left.checked_sub(RECORD as u64).ok_or_else(contradiction)?;
        file.read_exact(&mut fixed)?;
        if !fixed.starts_with(SIGNATURE) {
            return Err(EndError::invalid("its directory is damaged"));
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
        variable.resize(name + extra + comment, 0);
        left = left.checked_sub(variable.len() as u64).ok_or_else(contradiction)?;
        file.read_exact(&mut variable)?;
        if name > MAX_NAME {
            return Err(EndError::invalid(format!("a path in it has {name} bytes, at most {MAX_NAME}")));
        }
        if records.len() == most {
            left_out += 1;
            continue;
        }
        records.push(record(&fixed, &variable[..name], &variable[name..name + extra], directory.shift)?);
    }
    if left > 0 { Err(contradiction()) } else { Ok((records, left_out)) }
}

fn record(fixed: &[u8; RECORD], name: &[u8], extra: &[u8], shift: u64) -> Result<Record, EndError> {
    let damaged = || EndError::invalid("an entry's extra fields are damaged");
    let mut wide = field(extra, ZIP64).map_err(|()| damaged())?.map(|numbers| numbers.chunks_exact(8));
    // The extra field has a number of 64 bits for each one that is full, in this order.
    let mut number = |at: usize| match (u32_at(fixed, at), &mut wide) {
        (u32::MAX, Some(wide)) => wide.next().map(|bytes| u64_at(bytes, 0)).ok_or_else(damaged),
        (number, _) => Ok(u64::from(number)),
    };
    let (size, stored, offset) = (number(24)?, number(20)?, number(42)?);
    let header = offset.checked_add(shift).ok_or_else(|| EndError::invalid("an entry's offset is too large"))?;
    // Version, CRC-32 of the name, and the other name.
    let other = field(extra, UNICODE_PATH).map_err(|()| damaged())?;
    Ok(Record {
        name: name.into(),
        flags: u16_at(fixed, 8),
        method: u16_at(fixed, 10),
        time: u16_at(fixed, 12),
        date: u16_at(fixed, 14),
        crc: u32_at(fixed, 16),
        stored,
        size,
        header,
        attributes: u32_at(fixed, 38),
        is_renamed: other.is_some_and(|other| other.get(5..) != Some(name)),
    })
}

/// The content of the extra field with this identifier, `None` if there is none; an error if the fields do not fit.
fn field(mut extra: &[u8], identifier: u16) -> Result<Option<&[u8]>, ()> {
    // Some writers pad with fewer bytes than a field's header has.
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let (content, rest) = extra[4..].split_at_checked(length).ok_or(())?;
        if id == identifier {
            return Ok(Some(content));
        }
        extra = rest;
    }
    Ok(None)
}
