//! The tags of a TIFF's first image, the only image that is parsed.

use std::collections::{BTreeMap, btree_map};

use super::RasterError;

pub(super) const WIDTH: u16 = 256;
pub(super) const HEIGHT: u16 = 257;
pub(super) const BITS_PER_SAMPLE: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
pub(super) const FILL_ORDER: u16 = 266;
pub(super) const STRIP_OFFSETS: u16 = 273;
pub(super) const ORIENTATION: u16 = 274;
pub(super) const SAMPLES_PER_PIXEL: u16 = 277;
pub(super) const ROWS_PER_STRIP: u16 = 278;
pub(super) const STRIP_BYTE_COUNTS: u16 = 279;
pub(super) const PLANAR_CONFIGURATION: u16 = 284;
pub(super) const PREDICTOR: u16 = 317;
pub(super) const TILE_WIDTH: u16 = 322;
pub(super) const TILE_LENGTH: u16 = 323;
pub(super) const TILE_OFFSETS: u16 = 324;
pub(super) const TILE_BYTE_COUNTS: u16 = 325;
pub(super) const EXTRA_SAMPLES: u16 = 338;
pub(super) const SAMPLE_FORMAT: u16 = 339;
pub(super) const GDAL_NODATA: u16 = 42_113;
/// Scale, tie points, transformation, keys: any of them georeferences an image.
pub(super) const GEOREFERENCE: [u16; 4] = [33_550, 33_922, 34_264, 34_735];

/// Maximum length of a tag's text, in bytes.
const MAX_TEXT: u64 = 64;

#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The unsigned number in up to eight bytes.
    fn number(self, bytes: &[u8]) -> u64 {
        let join = |number, byte: &u8| (number << 8) | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, join),
            Self::Big => bytes.iter().fold(0, join),
        }
    }
}

/// A directory entry. The value itself is read only on request, so a damaged tag that is not needed is harmless.
struct Entry {
    kind: u16,
    count: u64,
    field: u64,
}

/// The unsigned numbers of one tag, read in place, so that a claimed count allocates nothing.
pub(super) struct Numbers<'a> {
    bytes: &'a [u8],
    size: usize,
    order: ByteOrder,
}

impl Numbers<'_> {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.bytes.chunks_exact(self.size).map(|number| self.order.number(number))
    }
}

/// The tags of the first image.
pub(super) struct Tags<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    /// Bytes of an offset and of a count: 4, or 8 in BigTIFF.
    word: usize,
    entries: BTreeMap<u16, Entry>,
    /// The first tag that occurs twice.
    repeated: Option<u16>,
    /// Offset of the next image's tags; 0 if there is none.
    next: u64,
}

impl<'a> Tags<'a> {
    /// Reads the list of tags, not yet their values.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, RasterError> {
        let order = match bytes.get(..2) {
            Some(b"II") => ByteOrder::Little,
            Some(b"MM") => ByteOrder::Big,
            _ => return Err(RasterError::Format("it does not start with a TIFF signature".to_owned())),
        };
        let mut tags = Self { bytes, order, word: 4, entries: BTreeMap::new(), repeated: None, next: 0 };
        let directory = match tags.number(2, 2)? {
            42 => tags.number(4, 4)?,
            43 if tags.number(4, 2)? == 8 => {
                tags.word = 8;
                tags.number(8, 8)?
            }
            version => return Err(RasterError::Format(format!("its version is {version}, expected 42 or 43"))),
        };
        let counter = if tags.word == 8 { 8 } else { 2 };
        let count = tags.number(directory, counter)?;
        let entry_bytes = 4 + 2 * tags.word as u64;
        let first = directory.saturating_add(counter as u64);
        // Checks once that the whole list is in the file, which rejects a huge count.
        tags.slice(first, count.saturating_mul(entry_bytes))?;
        for entry in 0..count {
            let at = first + entry * entry_bytes;
            let tag = u16::try_from(tags.number(at, 2)?).unwrap_or_default();
            let kind = u16::try_from(tags.number(at + 2, 2)?).unwrap_or_default();
            let count = tags.number(at + 4, tags.word)?;
            // The first value of a repeated tag counts, as in libtiff; Pillow takes the last.
            match tags.entries.entry(tag) {
                btree_map::Entry::Vacant(free) => {
                    free.insert(Entry { kind, count, field: at + 4 + tags.word as u64 });
                }
                btree_map::Entry::Occupied(_) => tags.repeated = tags.repeated.or(Some(tag)),
            }
        }
        // Some writers omit the end of the list.
        tags.next = tags.number(first + count * entry_bytes, tags.word).unwrap_or(0);
        Ok(tags)
    }

    /// Claimed offset of the next image's tags, not validated; 0 if there is none.
    pub(super) fn next_image(&self) -> u64 {
        self.next
    }

    /// The first tag that occurs twice, if any.
    pub(super) fn repeated(&self) -> Option<u16> {
        self.repeated
    }

    /// Whether the file has a tag.
    pub(super) fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    /// The text of a tag, truncated if it is long; `None` if it is missing or unreadable.
    pub(super) fn text(&self, tag: u16) -> Option<String> {
        let entry = self.entries.get(&tag).filter(|entry| entry.kind == 2)?;
        let at =
            if entry.count <= self.word as u64 { entry.field } else { self.number(entry.field, self.word).ok()? };
        let bytes = self.slice(at, entry.count.min(MAX_TEXT)).ok()?;
        let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).trim().to_owned())
    }

    /// The unsigned number in up to eight bytes of the file.
    pub(super) fn unsigned(&self, bytes: &[u8]) -> u64 {
        self.order.number(bytes)
    }

    /// The bytes at an offset.
    pub(super) fn slice(&self, at: u64, len: u64) -> Result<&'a [u8], RasterError> {
        let range = usize::try_from(at).ok().zip(at.checked_add(len).and_then(|end| usize::try_from(end).ok()));
        range.and_then(|(start, end)| self.bytes.get(start..end)).ok_or_else(|| {
            let size = self.bytes.len();
            RasterError::Format(format!(
                "it is truncated: expected {len} bytes at offset {at}, the file has {size} bytes"
            ))
        })
    }

    fn number(&self, at: u64, size: usize) -> Result<u64, RasterError> {
        Ok(self.order.number(self.slice(at, size as u64)?))
    }

    /// The numbers of a tag; `None` if the file does not have it.
    pub(super) fn numbers(&self, tag: u16) -> Result<Option<Numbers<'a>>, RasterError> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(None) };
        let size = match entry.kind {
            1 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            kind => return Err(RasterError::Format(format!("tag {tag} has type {kind}, expected unsigned numbers"))),
        };
        let len = entry.count.saturating_mul(size as u64);
        let at = if len <= self.word as u64 { entry.field } else { self.number(entry.field, self.word)? };
        Ok(Some(Numbers { bytes: self.slice(at, len)?, size, order: self.order }))
    }

    /// The `count` numbers of a required tag.
    pub(super) fn required(&self, tag: u16, count: u64) -> Result<Numbers<'a>, RasterError> {
        let numbers = self.numbers(tag)?.ok_or_else(|| RasterError::Format(format!("tag {tag} is missing")))?;
        if numbers.len() as u64 != count {
            let found = numbers.len();
            return Err(RasterError::Format(format!("tag {tag} has {found} values, expected {count}")));
        }
        Ok(numbers)
    }

    /// The single number of a tag, which may repeat it (some tags have one value per band); `None` if the file does not
    /// have the tag.
    pub(super) fn single(&self, tag: u16) -> Result<Option<u64>, RasterError> {
        let Some(numbers) = self.numbers(tag)? else { return Ok(None) };
        let mut values = numbers.iter();
        let first = values.next().ok_or_else(|| RasterError::Format(format!("tag {tag} is empty")))?;
        match values.find(|value| *value != first) {
            None => Ok(Some(first)),
            Some(other) => Err(RasterError::Unsupported(format!("tag {tag} differs between bands: {first}, {other}"))),
        }
    }
}
