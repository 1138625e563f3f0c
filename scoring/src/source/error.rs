//! Errors of listing a source and of reading an entry.

use std::{io, path::PathBuf};

use super::entry::Defect;

/// Errors of listing a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path or a subfolder cannot be read.
    #[error("cannot read `{path}`: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The file is not a zip archive, or is damaged.
    #[error("`{path}` is not a readable zip archive: {reason}")]
    Archive {
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// Errors of reading an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file system reported an error.
    #[error("cannot read `{name}`: {error}")]
    Io {
        /// The entry's path.
        name: String,
        /// The cause.
        error: io::Error,
    },
    /// The entry has more bytes than the caller allows.
    #[error("`{name}` is larger than {limit} bytes")]
    TooLarge {
        /// The entry's path.
        name: String,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// The entry has a [`Defect`] because of which it is not read.
    #[error("`{name}` {}", .defect.reason())]
    Refused {
        /// The entry's path.
        name: String,
        /// The defect.
        defect: Defect,
    },
    /// The entry's data are damaged, or contradict the archive's directory.
    #[error("`{name}` is damaged in the archive: {reason}")]
    Damaged {
        /// The entry's path.
        name: String,
        /// The reason.
        reason: String,
    },
}
