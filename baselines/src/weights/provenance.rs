//! Provenance of weights: how they were trained, stored in the checkpoint's metadata.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
        let read = || Provenance::from_metadata(&weights::read(&path).unwrap().metadata);
        assert_eq!(read(), Some(provenance));

        weights::save(&path, &tensors, &BTreeMap::new()).unwrap();
        assert_eq!(read(), None);
        // A key that means something else.
        let other = BTreeMap::from([(KEY.to_owned(), "[]".to_owned())]);
        weights::save(&path, &tensors, &other).unwrap();
        assert_eq!(read(), None);
    }
}
