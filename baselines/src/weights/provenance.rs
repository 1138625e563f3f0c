//! What weights say of their training.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::WeightsError;

/// Keys of a configuration, as `--set` takes them, and their values as JSON.
pub type Settings = BTreeMap<String, String>;

/// The one key of a file's metadata that it stands under: several have no fixed order, and files would differ.
const KEY: &str = "flair-bench";
/// Largest header of a `.safetensors` file that is looked into. U-T&T's has 50 kB.
const MAX_HEADER: u64 = 4 << 20;

/// What a training leaves beside the weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// How long it was, in words.
    pub trained: String,
    /// The settings that a prediction must share: with others it is computed all the same, and worse.
    pub settings: Settings,
}

impl Provenance {
    /// As the text that goes along in a `.safetensors` file.
    #[must_use]
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let text = serde_json::json!(self).to_string();
        BTreeMap::from([(KEY.to_owned(), text)])
    }

    /// From that text; `None` where there is none that is understood.
    #[must_use]
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Option<Self> {
        metadata.get(KEY).and_then(|text| serde_json::from_str(text).ok())
    }

    /// What a file says of the training of its weights, without reading these; `None` where it says nothing, or is of
    /// another format.
    ///
    /// # Errors
    /// [`WeightsError::Io`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, WeightsError> {
        /// A header, but for the tensors.
        #[derive(Deserialize)]
        struct Header {
            #[serde(rename = "__metadata__", default)]
            metadata: BTreeMap<String, String>,
        }
        let header = || {
            let mut file = File::open(path)?;
            if !file.metadata()?.is_file() {
                return Ok(None);
            }
            let mut length = Vec::new();
            file.by_ref().take(8).read_to_end(&mut length)?;
            let Ok(length) = length.try_into().map(u64::from_le_bytes) else { return Ok(None) };
            let header = BufReader::new(file.take(length));
            // A file that is no checkpoint is told of when its weights are read.
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
    fn a_file_tells_its_training_and_others_tell_nothing() {
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
