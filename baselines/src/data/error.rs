//! Errors when reading data.

use std::{io, path::PathBuf};

use flair_scoring::PatchId;

/// Errors when reading data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The folder holds no dataset.
    #[error("no FLAIR #2 data in `{}`: expected one of {expected}", root.display())]
    NoDataset {
        /// The folder.
        root: PathBuf,
        /// The expected subfolders.
        expected: String,
    },
    /// No dataset was given.
    #[error(
        "no dataset given: name its folder (`--data DIR`), or set the paths in the section `data` of the configuration"
    )]
    NotGiven,
    /// A path in the configuration does not exist.
    #[error("`{}` does not exist: correct `{key}` in the configuration", path.display())]
    NoSuchPath {
        /// The key.
        key: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// The dataset lacks a JSON file that the settings need.
    #[error("the dataset has no file `*{name}*.json`: add it to the dataset's folder, or set `{key}`")]
    NoJson {
        /// Part of the file's name.
        name: &'static str,
        /// The key that may hold its path.
        key: &'static str,
    },
    /// An image or a mask that cannot be read.
    #[error(transparent)]
    Raster(#[from] flair_scoring::raster::ReadError),
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file has the wrong format or content.
    #[error("`{}` is not usable: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// The super-area of several patches cannot be opened: the message of the first try.
    #[error("{0}")]
    SuperArea(String),
    /// A file is larger than any of the dataset.
    #[error("`{}` is too large: {size} bytes, at most {limit} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The largest size that is accepted.
        limit: u64,
    },
    /// A patch lacks an input.
    #[error("patch {patch} has no {what}: {fix}")]
    Missing {
        /// The patch.
        patch: PatchId,
        /// The missing input.
        what: &'static str,
        /// Advice for the user.
        fix: String,
    },
    /// The crop around a patch extends beyond its super-area.
    #[error(
        "patch {patch} is at row {row}, column {column} of `{}`, which has {height} rows and {width} columns: a crop \
         of {size} pixels does not fit; choose a smaller `sat_patch_size`",
        path.display()
    )]
    OutsideSuperArea {
        /// The patch.
        patch: PatchId,
        /// The super-area's file.
        path: PathBuf,
        /// Row of the patch's centre.
        row: i64,
        /// Column of the patch's centre.
        column: i64,
        /// Side of the crop, in pixels.
        size: usize,
        /// Rows of the super-area.
        height: usize,
        /// Columns of the super-area.
        width: usize,
    },
    /// A metadata entry that cannot be encoded.
    #[error("metadata of patch {patch}: `{field}` is `{value}`, expected {expected}")]
    Metadata {
        /// The patch.
        patch: PatchId,
        /// The entry's field.
        field: &'static str,
        /// Its value.
        value: String,
        /// The expected values.
        expected: &'static str,
    },
    /// A split without patches.
    #[error("no patches in the split `{split}`: {reason}")]
    EmptySplit {
        /// The split.
        split: &'static str,
        /// Why, and what to do about it.
        reason: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn format(path: &std::path::Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }

    /// The message below a finding's subject: without the file's name, if `subject` is that file.
    pub(crate) fn about(&self, subject: &std::path::Path) -> String {
        match self {
            Self::Format { path, reason } if path == subject => reason.clone(),
            Self::Io { path, source } if path == subject => format!("it cannot be read: {source}"),
            other => other.to_string(),
        }
    }
}
