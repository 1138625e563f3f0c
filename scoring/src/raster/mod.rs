//! Rasters of 8-bit samples: the dataset's TIFFs in, the submission's TIFFs out.
//!
//! The reader is this crate's own: it must never read fewer bands than a file has, and never trust a claimed size. It
//! reads classic TIFF and BigTIFF of either byte order, strips and tiles, any
//! number of 8-bit bands interleaved by pixel or by band, without compression, LZW, Deflate, ZSTD or PackBits, with or
//! without horizontal differencing. It reads the first image of a file and ignores overviews. It refuses what other
//! readers see differently, so that a score does not depend on the reader.

mod codec;
mod decode;
mod encode;
mod extras;
mod header;
mod limits;
mod samples;
mod tags;

use std::{
    io::{self, Write},
    path::Path,
};

pub use decode::decode;
pub use encode::encode;
pub use extras::{Extras, extras, peek};
pub use header::{Chunks, Compression, Header, Interleave, Photometric, SampleFormat, header};

pub use limits::{Limits, RasterError, ReadError};
pub use samples::Raster;

use limits::too_large;

use crate::files::{Durability, read_limited, write_with};

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

/// Writes a raster as [`encode()`] does: the whole file or none, never a part, if the system does not crash. Missing
/// parent folders are made. Waiting for the disk would cost more than the encoding, for thousands of patches that can be
/// made again.
///
/// # Errors
/// Any error of the file system.
pub fn write(path: &Path, raster: &Raster) -> io::Result<()> {
    write_with(path, Durability::Unsynced, |file| file.write_all(&encode(raster)))
}

#[cfg(test)]
mod tests;
