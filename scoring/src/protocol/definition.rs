//! All that a protocol says, as data.

use serde::{Deserialize, Serialize};

use super::{file::labels, nomenclature::Nomenclature};

/// What happens to pixels whose truth or prediction is a class outside the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExcludedPixels {
    /// They stay in the sums: confusing such a class with another costs the other.
    #[default]
    Kept,
    /// Their rows and columns are removed from the confusion matrix before anything is computed.
    Removed,
}

/// What a class counts as that neither masks nor predictions have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absent {
    /// It is left out of the mean.
    #[default]
    Skipped,
    /// It counts as 0.
    Zero,
}

/// All that a protocol says; this is what a score's record holds of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its classes; [`NomenclatureClass::averaged`] tells which the mean is over.
    pub nomenclature: Nomenclature,
    /// What happens to the pixels of classes outside the mean.
    pub excluded_pixels: ExcludedPixels,
    /// What an absent class counts as.
    pub absent: Absent,
    /// Values of a mask whose pixels are not scored at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "labels")]
    pub ignored_labels: Vec<u8>,
}
