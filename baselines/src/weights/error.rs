//! Errors when loading or saving weights.

use std::{io, path::PathBuf};

use crate::{nn::Mismatch, runtime::TensorError};

/// Errors when loading or saving weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file cannot be read or written.
    #[error("`{path}` cannot be read or written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not a checkpoint, or damaged.
    #[error("`{path}` is not a readable checkpoint: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        why: String,
    },
    /// The checkpoint belongs to another network.
    #[error("the weights in `{path}` do not fit the network: {mismatch}{}", advice.as_ref().map_or_else(String::new, |advice| format!("\n{advice}")))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Every difference.
        mismatch: Mismatch,
        /// What the weights are, and what to do with them.
        advice: Option<String>,
    },
    /// The device failed.
    #[error("cannot copy the weights in `{path}` to the device: {source}")]
    Device {
        /// The file.
        path: PathBuf,
        /// Candle's error.
        source: TensorError,
    },
}
