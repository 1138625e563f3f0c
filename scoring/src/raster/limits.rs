//! Limits of raster files, and errors when reading them.

use std::{io, path::PathBuf};

/// Limits of a raster file. Its claimed sizes are checked against them before any allocation.
///
/// [`Limits::default`] is the only constructor, so that checking, scoring, packing and hosting accept the same files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum size of the file, in bytes.
    pub file_bytes: u64,
    /// Maximum number of samples (rows × columns × bands), with the padding of tiles.
    pub samples: u64,
}

impl Default for Limits {
    /// 16 MiB and 16 Mi samples: 60 times a prediction, so that files with scores of 13 classes are still read and get a
    /// specific finding, and 12 times an aerial patch of five bands.
    fn default() -> Self {
        Self { file_bytes: 16 << 20, samples: 16 << 20 }
    }
}

/// Errors when reading a raster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RasterError {
    /// The file could not be opened or read.
    #[error("cannot read the file: {0}")]
    Io(#[from] io::Error),
    /// The file is not a valid TIFF, or is truncated.
    #[error("not a valid TIFF: {0}")]
    Format(String),
    /// The file uses a feature of TIFF that this reader does not support.
    #[error("TIFF not supported: {0}")]
    Unsupported(String),
    /// The file's size, or a size that it claims, exceeds a limit.
    #[error("too large: {0}")]
    Limits(String),
}

/// An error when reading the raster at a path.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {error}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub error: RasterError,
}

pub(super) fn check_file_size(bytes: &[u8], limits: &Limits) -> Result<(), RasterError> {
    if bytes.len() as u64 > limits.file_bytes {
        return Err(too_large(limits));
    }
    Ok(())
}

pub(super) fn too_large(limits: &Limits) -> RasterError {
    RasterError::Limits(format!("the file has more than {} bytes", limits.file_bytes))
}
