//! Patches, the units of the dataset, and their numbers.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::files::sha256_of;

/// Side of an aerial patch, its mask and its prediction, in pixels (0.2 m each).
pub const PATCH_SIZE: usize = 512;

/// Number of a patch: six digits, unique over the whole dataset.
///
/// File names contain it after a prefix: `IMG_000826.tif` (aerial image), `MSK_000826.tif` (mask),
/// `PRED_000826.tif` (prediction).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PatchId(u32);

/// Error of parsing a patch number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a patch number: expected six digits, such as 077413")]
pub struct InvalidPatchId(String);

impl PatchId {
    /// The patch with this number; `None` if it has more than six digits.
    pub const fn new(number: u32) -> Option<Self> {
        if number <= 999_999 { Some(Self(number)) } else { None }
    }

    /// The number itself, `0..=999_999`.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Parses the number in a file name of the dataset, such as `MSK_000826.tif` for the prefix `MSK`.
    ///
    /// The form is strict: the prefix, an underscore, six digits, `.tif`. Anything else is `None`.
    pub fn from_file_name(name: &str, prefix: &str) -> Option<Self> {
        name.strip_prefix(prefix)?.strip_prefix('_')?.strip_suffix(".tif")?.parse().ok()
    }

    /// Name of this patch's file with the given prefix: `PRED` gives `PRED_000826.tif`.
    pub fn file_name(self, prefix: &str) -> String {
        format!("{prefix}_{self}.tif")
    }
}

impl fmt::Display for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl FromStr for PatchId {
    type Err = InvalidPatchId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_number => Ok(Self(number)),
            _ => Err(InvalidPatchId(text.to_owned())),
        }
    }
}

impl TryFrom<String> for PatchId {
    type Error = InvalidPatchId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PatchId> for String {
    fn from(id: PatchId) -> Self {
        id.to_string()
    }
}

/// Merges IDs into ranges of consecutive numbers: `077413-077420`, or `077413` alone.
pub fn fold_ranges(ids: impl IntoIterator<Item = PatchId>) -> Vec<String> {
    let ids: BTreeSet<_> = ids.into_iter().collect();
    let mut ranges: Vec<(PatchId, PatchId)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if last.number() + 1 == id.number() => *last = id,
            _ => ranges.push((id, id)),
        }
    }
    let show = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    ranges.into_iter().map(show).collect()
}

/// The first `most` ranges of [`fold_ranges`] as text, and the number of all where there are more:
/// `077413-077420, 077430, … (7 ranges)`.
pub fn list_ranges(ids: impl IntoIterator<Item = PatchId>, most: usize) -> String {
    let ranges = fold_ranges(ids);
    let more = if ranges.len() > most { format!(", … ({} ranges)", ranges.len()) } else { String::new() };
    ranges[..ranges.len().min(most)].join(", ") + &more
}

/// Identifies a set of patches: SHA-256, in hex, of its IDs in ascending order, six digits each, joined by line feeds.
/// Neither the order of the IDs nor repeated ones matter.
pub fn patch_set(ids: impl IntoIterator<Item = PatchId>) -> String {
    let ids: BTreeSet<_> = ids.into_iter().collect();
    let lines: Vec<_> = ids.iter().map(PatchId::to_string).collect();
    sha256_of(lines.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_patches_is_identified_by_its_numbers() {
        let of = |numbers: &[u32]| patch_set(numbers.iter().filter_map(|number| PatchId::new(*number)));
        // `printf '000007\n077413' | sha256sum`
        assert_eq!(of(&[7, 77_413]), "d05703faebdc4f77422545cc6606fd6ca19f9e14a528e91f3117fe2f553fea47");
        assert_eq!(of(&[77_413, 7, 7]), of(&[7, 77_413]));
        assert_ne!(of(&[7, 77_414]), of(&[7, 77_413]));
    }

    #[test]
    fn names_are_read_strictly() {
        assert_eq!(PatchId::from_file_name("MSK_000826.tif", "MSK"), PatchId::new(826));
        for wrong in [
            "MSK_826.tif",
            "MSK_0000826.tif",
            "MSK_00082x.tif",
            "MSK_+00826.tif",
            "PRED_000826.tif",
            "MSK_000826.tiff",
            "MSK000826.tif",
        ] {
            assert_eq!(PatchId::from_file_name(wrong, "MSK"), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_survives_its_file_name() {
        let id = PatchId::new(77_413).unwrap();
        assert_eq!(id.file_name("PRED"), "PRED_077413.tif");
        assert_eq!(PatchId::from_file_name(&id.file_name("PRED"), "PRED"), Some(id));
        assert_eq!(PatchId::new(1_000_000), None);
    }
}
