//! Rasters of 8-bit samples: the dataset's TIFFs in, the submission's TIFFs out.
//!
//! The reader is this crate's own, since what it must never do is read fewer bands than there are, or trust a size
//! that a file merely claims. What it reads: classic TIFF and BigTIFF of either byte order, strips and tiles, any
//! number of 8-bit bands interleaved by pixel or by band, uncompressed, LZW, Deflate, ZSTD or PackBits, with or
//! without horizontal differencing. Only the first image of a file counts: overviews are ignored.

mod codec;
mod decode;
mod encode;
mod extras;
mod header;
mod tags;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

pub use decode::decode;
pub use encode::encode;
pub use extras::{Extras, extras, peek};
pub use header::{Chunks, Compression, Header, Interleave, Photometric, SampleFormat, header};

use crate::files::{read_limited, write_atomically};

/// A raster of 8-bit samples, band after band: `[C, H, W]`, u8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    bands: usize,
    height: usize,
    width: usize,
    samples: Vec<u8>,
}

impl Raster {
    /// Most samples that a raster holds: what a classic TIFF can point at, whatever becomes of them in LZW.
    pub const MAX_SAMPLES: usize = 1 << 31;

    /// Most bands that a raster holds: TIFF counts them in 16 bits.
    pub const MAX_BANDS: usize = 65_535;

    /// A raster of `bands` × `height` × `width` samples; `None` if that is not their number, or is zero, or is
    /// beyond [`Raster::MAX_SAMPLES`] or [`Raster::MAX_BANDS`].
    pub fn new(bands: usize, height: usize, width: usize, samples: Vec<u8>) -> Option<Self> {
        let expected = bands.checked_mul(height)?.checked_mul(width)?;
        let fits = (1..=Self::MAX_SAMPLES).contains(&expected) && bands <= Self::MAX_BANDS;
        (fits && expected == samples.len()).then_some(Self { bands, height, width, samples })
    }

    /// Number of bands, `C`.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Number of rows, `H`.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of columns, `W`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All samples, `[C, H, W]`.
    pub fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// Its samples, `[C, H, W]`, without a copy.
    pub fn into_samples(self) -> Vec<u8> {
        self.samples
    }
}

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

/// Reads a whole raster from a file.
///
/// # Errors
/// As [`decode()`], or if the file cannot be read; the error names the path.
pub fn read(path: &Path, limits: &Limits) -> Result<Raster, ReadError> {
    load(path, limits)
        .and_then(|bytes| decode(&bytes, limits))
        .map_err(|error| ReadError { path: path.to_owned(), error })
}

/// The bytes of a file, at most [`Limits::file_bytes`].
///
/// # Errors
/// If it cannot be read, or is larger.
pub fn load(path: &Path, limits: &Limits) -> Result<Vec<u8>, RasterError> {
    read_limited(path, limits.file_bytes).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => too_large(limits),
        _ => error.into(),
    })
}

fn check_file_size(bytes: &[u8], limits: &Limits) -> Result<(), RasterError> {
    if bytes.len() as u64 > limits.file_bytes {
        return Err(too_large(limits));
    }
    Ok(())
}

fn too_large(limits: &Limits) -> RasterError {
    RasterError::Limits(format!("the file has more than {} bytes", limits.file_bytes))
}

/// Writes a raster as [`encode()`] does: the whole file or none, never a part. Missing parent folders are made.
///
/// # Errors
/// What the file system says.
pub fn write(path: &Path, raster: &Raster) -> io::Result<()> {
    write_atomically(path, |file| file.write_all(&encode(raster)))
}

#[cfg(test)]
mod tests;
