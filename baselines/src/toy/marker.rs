//! The file that marks a dataset as synthetic and records its options.

use serde::{Deserialize, Serialize};

use super::plan::ToySplit;

/// Name of the file that marks a dataset as synthetic.
pub const MARKER: &str = "TOY.json";
/// Value of [`ToyMarker::schema`].
pub const SCHEMA: &str = "flair-bench/toy-dataset/1";
/// Version of the generator: the same version, options and machine give the same bytes.
pub const VERSION: u32 = 1;
/// Value of [`ToyMarker::generator`].
pub(super) const GENERATOR: &str =
    "flair-bench data toy: synthetic landscapes; no data of IGN, Copernicus or anybody else";

/// Options of a toy dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToyOptions {
    /// Seed of everything in it.
    pub seed: u64,
    /// Number of patches, a third of them for the test: [`ToyOptions::PATCHES`].
    pub patches: usize,
}

impl ToyOptions {
    /// Range of [`ToyOptions::patches`]: at most as many as the official test set has numbers for.
    pub const PATCHES: std::ops::RangeInclusive<usize> = 3..=48_150;
}

impl Default for ToyOptions {
    /// 48 patches: all classes in each domain, some 80 MB, made in seconds.
    fn default() -> Self {
        Self { seed: 1, patches: 48 }
    }
}

/// Content of [`MARKER`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToyMarker {
    /// [`SCHEMA`].
    pub schema: String,
    /// Always true.
    pub synthetic: bool,
    /// The generator, in words.
    pub generator: String,
    /// [`VERSION`] of the generator that made it.
    pub version: u32,
    /// Its options.
    pub options: ToyOptions,
    /// Its domains, in the order of the patches' numbers.
    pub domains: Vec<ToyDomain>,
}

/// One domain of a toy dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToyDomain {
    /// Its official name, such as `D004_2021`; its content is unrelated to the real domain.
    pub name: String,
    /// Its part of the dataset.
    pub split: ToySplit,
    /// Its zones, such as `Z1_UA`.
    pub zones: Vec<String>,
    /// Number of its patches.
    pub patches: usize,
}
