//! The dataset's two JSON files.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
    path::Path,
};

use flair_scoring::{PatchId, dataset::image_key, files::open_regular};
use serde::de::DeserializeOwned;

use super::DataError;

/// Largest JSON file that is read, in bytes: the dataset's are 3 and 21 MB.
const MAX_JSON: u64 = 512 << 20;

/// Reads an object whose keys name aerial images, `IMG_000826` or `IMG_000826.tif`, and keeps the entries of patches
/// that are wanted.
///
/// # Errors
/// If the file cannot be read, is too large, is not such an object, or has a key that is not an image's name.
pub(crate) fn read_by_patch<T: DeserializeOwned>(
    path: &Path,
    is_wanted: impl Fn(PatchId) -> bool,
) -> Result<BTreeMap<PatchId, T>, DataError> {
    let file = open_regular(path).map_err(DataError::io(path))?;
    let size = file.metadata().map_err(DataError::io(path))?.len();
    if size > MAX_JSON {
        return Err(DataError::TooLarge { path: path.to_owned(), size, limit: MAX_JSON });
    }
    // The file may grow meanwhile.
    let reader = BufReader::new(file.take(MAX_JSON));
    let entries: BTreeMap<String, T> =
        serde_json::from_reader(reader).map_err(|error| DataError::format(path, error.to_string()))?;
    let mut kept = BTreeMap::new();
    for (key, entry) in entries {
        let id = image_key(&key)
            .ok_or_else(|| DataError::format(path, format!("`{key:.80}` names no image: expected IMG_000826")))?;
        if is_wanted(id) {
            kept.insert(id, entry);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fixture::{Fixture, id};

    fn read(text: &str) -> Result<BTreeMap<PatchId, [i64; 2]>, DataError> {
        read_by_patch(&Fixture::new().file("a.json", text.as_bytes()), |patch| patch.number() < 10)
    }

    fn reason(text: &str) -> String {
        match read(text).unwrap_err() {
            DataError::Format { reason, .. } => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn entries_of_wanted_patches_are_kept() {
        let entries = read(r#"{"IMG_000007.tif": [1, -2], "IMG_000003": [3, 4], "IMG_000010.tif": [5, 6]}"#).unwrap();
        assert_eq!(entries, BTreeMap::from([(id(3), [3, 4]), (id(7), [1, -2])]));
    }

    #[test]
    fn other_files_are_refused() {
        insta::assert_snapshot!(reason(r#"{"MSK_000007.tif": [1, 2]}"#), @"`MSK_000007.tif` names no image: expected IMG_000826");
        insta::assert_snapshot!(reason(r#"{"IMG_000007.tif": [1]}"#), @"invalid length 1, expected an array of length 2 at line 1 column 22");
        insta::assert_snapshot!(reason(r#"{"IMG_000007.tif": [1, 2]"#), @"EOF while parsing an object at line 1 column 25");
    }
}
