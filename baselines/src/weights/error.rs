//! Errors when loading or saving weights.

use std::{io, path::PathBuf};

use crate::nn::Mismatch;

/// Why weights cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file system said no.
    #[error("`{path}` cannot be read or written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a checkpoint, or a broken one.
    #[error("`{path}` is no checkpoint that can be read: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A checkpoint of another network.
    #[error("the weights in `{path}` do not fit the network{}: {mismatch}", hint.map(|h| format!(" ({h})")).unwrap_or_default())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Every difference.
        mismatch: Mismatch,
        /// What the user may have meant.
        hint: Option<&'static str>,
    },
    /// The device failed.
    #[error("the weights of `{path}` could not be placed on the device: {source}")]
    Device {
        /// The file.
        path: PathBuf,
        /// What candle said.
        source: candle_core::Error,
    },
}
