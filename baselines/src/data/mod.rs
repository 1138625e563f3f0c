//! FLAIR #2 data: files become arrays. Nothing here knows tensors.
//!
//! [`layout`] finds a dataset's files, [`splits`] chooses patches, [`shard`] deals them, [`sample`] makes a network's inputs of one of them.

pub mod aerial;
pub mod augment;
mod clouds;
mod codes;
pub mod dates;
pub mod domains;
mod error;
mod fidelity;
mod fingerprint;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod json;
pub mod layout;
pub mod metadata;
mod months;
pub mod npy;
pub mod prefetch;
pub mod sample;
pub mod sentinel;
pub mod shard;
pub mod splits;

pub use augment::Augmentation;
pub use codes::DataCode;
pub use domains::Part;
pub use error::DataError;
pub use fidelity::Fidelity;
pub use layout::{DataPaths, Dataset, PatchRecord, SuperAreaPaths};
pub use metadata::MetadataSettings;
pub use sample::{Files, InputSettings, Preprocessor, Sample};
pub use sentinel::{SeriesSettings, SuperPatch};
pub use shard::{InvalidShard, Shard};
pub use splits::{Split, SplitSettings, Validation};
