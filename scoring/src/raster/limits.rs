//! How much a raster file may ask for, and why it is not read.

use std::{io, path::PathBuf};

/// How much a file may ask for. Whatever it claims is held against these before anything is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// Most samples (rows × columns × bands), the padding of its tiles included.
    pub samples: u64,
}

impl Default for Limits {
    /// 64 MiB of either: some fifty times a patch of five bands.
    fn default() -> Self {
        Self { file_bytes: 64 << 20, samples: 64 << 20 }
    }
}

/// Why a raster could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RasterError {
    /// The file could not be opened or read.
    #[error("cannot read the file: {0}")]
    Io(#[from] io::Error),
    /// The file breaks the format, or is cut short.
    #[error("not a valid TIFF: {0}")]
    Format(String),
    /// The file may be right, but this reader does not know what it uses.
    #[error("TIFF not supported: {0}")]
    Unsupported(String),
    /// The file is, or claims to be, larger than allowed.
    #[error("too large: {0}")]
    Limits(String),
}

/// Why the raster at a path could not be read.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {error}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
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
