//! Errors when making or finding a toy dataset.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::marker::{ToyMarker, ToyOptions};

/// Why there is no toy dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToyError {
    /// The number of patches is out of range.
    #[error("`patches` is {0}, expected {min} to {max}", min = ToyOptions::PATCHES.start(), max = ToyOptions::PATCHES.end())]
    Patches(usize),
    /// The folder holds something else, which is never touched.
    #[error("`{}` is no toy dataset and not empty: name another folder", .0.display())]
    Occupied(PathBuf),
    /// The folder holds a toy dataset made with other options, or by another version.
    #[error(
        "`{}` holds a toy dataset of seed {}, {} patches, version {}: remove it or name another folder",
        path.display(), found.options.seed, found.options.patches, found.version
    )]
    Other {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: Box<ToyMarker>,
    },
    /// The marker is not one.
    #[error("`{}` does not mark a toy dataset: {reason}", path.display())]
    Marker {
        /// The marker's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the file system says.
        #[source]
        error: io::Error,
    },
}

impl ToyError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}
