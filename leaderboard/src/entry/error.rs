//! What can go wrong with entries.

use std::{io, path::PathBuf};

/// Why a leaderboard could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaderboardError {
    /// A file cannot be read or written.
    #[error("cannot access `{path}`: {error}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not what it should be: no JSON, an unknown or a missing field, a value out of range.
    #[error("`{path}`: {reason}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry makes no sense.
    #[error("the entry `{name}` is not valid: {reason}")]
    Entry {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is such an entry already.
    #[error("there is an entry at `{path}` already: choose another name, or replace it")]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// A run was given a benchmark that it didn't run on.
    #[error("the run `{run}` cannot be an entry of `{benchmark}`: {reason}")]
    Benchmark {
        /// Its folder.
        run: PathBuf,
        /// What was asked for.
        benchmark: String,
        /// Why not.
        reason: String,
    },
    /// A text has not one pair of markers.
    #[error("{0}")]
    Markers(String),
}

impl LeaderboardError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::Io { path, error }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::File { path: path.into(), reason: reason.into() }
    }
}
