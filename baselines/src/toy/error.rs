//! Errors when making or finding a toy dataset.

use std::{
    io,
    path::{Path, PathBuf},
};

use flair_scoring::lock::LockError;

use super::marker::{ToyMarker, ToyOptions};

/// Errors when making or finding a toy dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToyError {
    /// The number of patches is out of range.
    #[error("`patches` is {0}, expected {min} to {max}", min = ToyOptions::PATCHES.start(), max = ToyOptions::PATCHES.end())]
    Patches(usize),
    /// The folder holds something else, which is never touched.
    #[error("`{}` is not empty and not a toy dataset: name another folder", .0.display())]
    Occupied(PathBuf),
    /// The folder holds a toy dataset made with other options, or by another version.
    #[error(
        "`{}` holds a toy dataset of seed {}, {} patches, version {}: remove it or name another folder",
        path.display(), found.options.seed, found.options.patches, found.version
    )]
    Other {
        /// The folder.
        path: PathBuf,
        /// Its content.
        found: Box<ToyMarker>,
    },
    /// The marker is not one.
    #[error("`{}` does not mark a toy dataset: {reason}", path.display())]
    Marker {
        /// The marker's file.
        path: PathBuf,
        /// Why it is invalid.
        reason: String,
    },
    /// The temporary folder cannot be locked.
    #[error(transparent)]
    Lock(LockError),
    /// A file or folder cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
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
