//! Why a source cannot be listed, or an entry cannot be read.

use std::{io, path::PathBuf};

use super::entry::Defect;

/// Why a source could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path, or a folder below it, cannot be read.
    #[error("cannot read `{path}`: {error}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that is no zip archive, or a broken one.
    #[error("`{path}` is not a readable zip archive: {reason}")]
    Archive {
        /// Which one.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Why an entry could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file system failed.
    #[error("cannot read `{name}`: {error}")]
    Io {
        /// The entry's path.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// More bytes than the caller allows.
    #[error("`{name}` is larger than {limit} bytes")]
    TooLarge {
        /// The entry's path.
        name: String,
        /// What the caller allows.
        limit: u64,
    },
    /// The entry has a [`Defect`] that hides its bytes.
    #[error("`{name}` {}", .defect.reason())]
    Refused {
        /// The entry's path.
        name: String,
        /// The defect.
        defect: Defect,
    },
    /// The archive's data of this entry are damaged, or contradict its directory.
    #[error("`{name}` is damaged in the archive: {reason}")]
    Damaged {
        /// The entry's path.
        name: String,
        /// How.
        reason: String,
    },
}
