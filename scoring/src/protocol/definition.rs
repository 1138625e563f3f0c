//! The definition of a protocol, as data.

use serde::{Deserialize, Serialize};

use super::{file::labels, nomenclature::Nomenclature};

/// The treatment of pixels whose truth or prediction is a class outside the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExcludedPixels {
    /// They stay in the sums: confusing such a class with another lowers the other's score.
    #[default]
    Kept,
    /// Their rows and columns are removed from the confusion matrix before any metric is computed.
    Removed,
}

/// The score of a class that occurs neither in masks nor in predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absent {
    /// It is left out of the mean.
    #[default]
    Skipped,
    /// It counts as 0.
    Zero,
}

/// The definition of a protocol; a score record contains it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its classes; [`averaged`](super::NomenclatureClass::averaged) marks those in the mean.
    pub nomenclature: Nomenclature,
    /// The treatment of pixels of classes outside the mean.
    pub excluded_pixels: ExcludedPixels,
    /// The score of an absent class.
    pub absent: Absent,
    /// Mask values whose pixels are not scored.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "labels")]
    pub ignored_labels: Vec<u8>,
}
