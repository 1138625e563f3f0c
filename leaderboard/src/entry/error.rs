//! The errors of leaderboards.

use std::{io, path::PathBuf};

/// Errors when reading or changing a leaderboard.
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
    /// A file has wrong content: not JSON, an unknown or missing field, a value out of range.
    #[error("`{path}`: {reason}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry is not valid; see [`Entry::validate`](crate::Entry::validate).
    #[error("the entry `{name}` is not valid: {reason}")]
    Entry {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The entry exists already.
    #[error("there is an entry at `{path}` already: choose another name, or replace it")]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// A published entry of the benchmark has this name.
    #[error("`{name}` is a published entry of `{benchmark}`: choose another name")]
    Published {
        /// The name.
        name: String,
        /// The benchmark.
        benchmark: String,
    },
    /// The file for a new entry holds another one.
    #[error("cannot add `{name}`: `{path}` is the file of another entry; choose another name")]
    Taken {
        /// The name of the new entry.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The benchmark's entries were scored on something else.
    #[error("cannot add `{name}` to `{benchmark}`: {reason}")]
    TestSet {
        /// The name of the new entry.
        name: String,
        /// The benchmark.
        benchmark: String,
        /// What differs, and what helps.
        reason: String,
    },
    /// The requested benchmark is not the one that the run was scored on.
    #[error("the run `{run}` cannot be an entry of `{benchmark}`: {reason}")]
    Benchmark {
        /// Its folder.
        run: PathBuf,
        /// The requested benchmark.
        benchmark: String,
        /// Why not.
        reason: String,
    },
    /// The markers of a text are not pairs, or not of the requested benchmark.
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
