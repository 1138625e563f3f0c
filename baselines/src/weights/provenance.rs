//! Provenance of weights: how they were trained, stored in the checkpoint's metadata.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
    path::Path,
};

use flair_scoring::files::open_regular;
use serde::{Deserialize, Serialize};

use super::{WeightsError, checkpoint::MAX_HEADER};

/// Keys of a configuration, as `--set` takes them, and their values as JSON.
pub type Settings = BTreeMap<String, String>;

/// Its metadata key. A file has only this key: the order of several is not fixed, so equal files could differ.
const KEY: &str = "flair-bench";

/// Information about the training, saved with the weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The length of the training, in words.
    pub trained: String,
    /// The settings that a prediction should share: other settings work, but give worse predictions.
    pub settings: Settings,
}

impl Provenance {
    /// Serialises to the metadata of a `.safetensors` file.
    #[must_use]
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let text = serde_json::json!(self).to_string();
        BTreeMap::from([(KEY.to_owned(), text)])
    }

    /// Parses that metadata; `None` if it is missing or unknown.
    #[must_use]
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Option<Self> {
        metadata.get(KEY).and_then(|text| serde_json::from_str(text).ok())
    }

    /// Reads a file's provenance without reading its weights. `None` if it has none, or is of another format.
    ///
    /// # Errors
    /// [`WeightsError::Io`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, WeightsError> {
        /// A header without the tensors.
        #[derive(Deserialize)]
        struct Header {
            #[serde(rename = "__metadata__", default)]
            metadata: BTreeMap<String, String>,
        }
        let header = || {
            if !std::fs::metadata(path)?.is_file() {
                return Ok(None);
            }
            let mut file = open_regular(path)?;
            let mut length = Vec::new();
            file.by_ref().take(8).read_to_end(&mut length)?;
            let Ok(length) = length.try_into().map(u64::from_le_bytes) else { return Ok(None) };
            let header = BufReader::new(file.take(length));
            // A file that is not a checkpoint is reported when its weights are read.
            Ok((length <= MAX_HEADER).then(|| serde_json::from_reader::<_, Header>(header).ok()).flatten())
        };
        let header = header().map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
        Ok(header.and_then(|header| Self::from_metadata(&header.metadata)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::weights;

    #[test]
    fn a_file_has_its_provenance_and_others_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let tensors = BTreeMap::from([("a".to_owned(), Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap())]);
        let settings = BTreeMap::from([("average_month".to_owned(), "true".to_owned())]);
        let provenance = Provenance { trained: "2 epochs".to_owned(), settings };
        weights::save(&path, &tensors, &provenance.to_metadata()).unwrap();
        assert_eq!(Provenance::read(&path).unwrap(), Some(provenance.clone()));
        assert_eq!(Provenance::from_metadata(&weights::read(&path).unwrap().metadata), Some(provenance));

        weights::save(&path, &tensors, &BTreeMap::new()).unwrap();
        assert_eq!(Provenance::read(&path).unwrap(), None);
        // Short, no header, a header beyond the file, one beyond all limits, a key that means something else.
        let other = br#"{"__metadata__":{"flair-bench":"[]"}}"#;
        let files: [&[u8]; 5] = [
            b"PK",
            b"\x08\0\0\0\0\0\0\0no  json",
            b"\xff\0\0\0\0\0\0\0{",
            b"\xff\xff\xff\xff\xff\xff\xff\xff{",
            &[&(other.len() as u64).to_le_bytes()[..], other].concat(),
        ];
        for bytes in files {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Provenance::read(&path).unwrap(), None, "{bytes:?}");
        }
        assert!(Provenance::read(&folder.path().join("none")).is_err());
    }
}
