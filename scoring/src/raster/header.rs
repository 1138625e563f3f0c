//! The header of a TIFF: properties of its first image, parsed before any pixel is decoded.

use std::fmt;

use super::limits::check_file_size;
use super::{Limits, Raster, RasterError, tags, tags::Tags};

/// The numeric type of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleFormat {
    /// An unsigned integer.
    Unsigned,
    /// A signed integer.
    Signed,
    /// A floating-point number.
    Float,
    /// Something else: the value of tag 339.
    Other(u64),
}

/// How strips or tiles are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Uncompressed.
    None,
    /// LZW as in TIFF 6.0.
    Lzw,
    /// zlib, under its official number or the old one.
    Deflate,
    /// Zstandard, as GDAL writes it.
    Zstd,
    /// PackBits, Apple's run-length encoding.
    PackBits,
    /// A compression that this reader does not support: the value of tag 259.
    Other(u64),
}

/// The photometric interpretation. Decoding ignores it and returns all bands as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Photometric {
    /// Grey, 0 is white. Readers differ: Pillow inverts the samples, GDAL does not, nor does this reader.
    MinIsWhite,
    /// Grey, 0 is black.
    MinIsBlack,
    /// The first three bands are red, green and blue.
    Rgb,
    /// The sample is an index into a colour table.
    Palette,
    /// Something else: the value of tag 262.
    Other(u64),
}

/// The order in which samples are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interleave {
    /// Pixel by pixel, all bands of a pixel together.
    Pixel,
    /// Band by band.
    Band,
}

/// The chunks that an image is stored in: strips or tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// Bands of whole rows; the last one may have fewer.
    Strips {
        /// Rows per strip, at most those of the image.
        rows: usize,
    },
    /// Rectangles of equal size, padded at the right and the lower edge.
    Tiles {
        /// Columns of a tile.
        width: usize,
        /// Rows of a tile.
        height: usize,
    },
}

impl Chunks {
    /// `strip` or `tile`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Strips { .. } => "strip",
            Self::Tiles { .. } => "tile",
        }
    }
}

/// The header of a TIFF: properties of its first image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Number of columns, at least 1.
    pub width: usize,
    /// Number of rows, at least 1.
    pub height: usize,
    /// Number of bands, at least 1.
    pub bands: usize,
    /// Bits per sample, the same in every band.
    pub bits: u64,
    /// The numeric type of a sample.
    pub sample_format: SampleFormat,
    /// How strips or tiles are compressed.
    pub compression: Compression,
    /// The photometric interpretation.
    pub photometric: Photometric,
    /// The order in which samples are stored.
    pub interleave: Interleave,
    /// Strips or tiles.
    pub chunks: Chunks,
    /// The predictor applied before compression: 1 none, 2 horizontal differencing, 3 differencing of floats.
    pub predictor: u64,
}

impl fmt::Display for SampleFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("uint"),
            Self::Signed => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Other(number) => write!(f, "format {number}, bits "),
        }
    }
}

impl Header {
    /// The numeric type of a sample, by its NumPy name: `uint8`, `float32`.
    pub fn sample_type(&self) -> String {
        format!("{}{}", self.sample_format, self.bits)
    }

    /// Columns and rows of a strip or a tile.
    pub(super) fn chunk_size(&self) -> (usize, usize) {
        match self.chunks {
            Chunks::Strips { rows } => (self.width, rows),
            Chunks::Tiles { width, height } => (width, height),
        }
    }

    pub(super) fn of(tags: &Tags<'_>, limits: &Limits) -> Result<Self, RasterError> {
        let size = |tag, name, default: Option<u64>| match tags.single(tag)?.or(default) {
            Some(0) | None => Err(RasterError::Format(format!("its {name} is missing or 0"))),
            Some(size) => Ok(size),
        };
        let width = size(tags::WIDTH, "width", None)?;
        let height = size(tags::HEIGHT, "height", None)?;
        let bands = size(tags::SAMPLES_PER_PIXEL, "number of bands", Some(1))?;
        let is_tiled = tags.numbers(tags::TILE_OFFSETS)?.is_some();
        let (columns, rows) = if is_tiled {
            (size(tags::TILE_WIDTH, "tile width", None)?, size(tags::TILE_LENGTH, "tile height", None)?)
        } else {
            (width, size(tags::ROWS_PER_STRIP, "number of rows per strip", Some(height))?.min(height))
        };
        let padded = |size: u64, chunk| size.div_ceil(chunk).saturating_mul(chunk);
        let stored_rows = if is_tiled { padded(height, rows) } else { height };
        let samples = padded(width, columns).saturating_mul(stored_rows).saturating_mul(bands);
        let most = limits.samples.min(Raster::MAX_SAMPLES as u64);
        if samples > most {
            let chunks = if is_tiled { "tiles" } else { "strips" };
            let size = format!("{width} × {height} × {bands}, in {chunks} of {columns} × {rows}");
            return Err(RasterError::Limits(format!("it has {samples} samples ({size}), at most {most}")));
        }
        // All values are within the limit on samples, so this fails only for a limit above the address space.
        let index = |size| usize::try_from(size).map_err(|_| RasterError::Limits(format!("a side of {size}")));
        let (columns, rows) = (index(columns)?, index(rows)?);
        let chunks = if is_tiled { Chunks::Tiles { width: columns, height: rows } } else { Chunks::Strips { rows } };
        Ok(Self {
            width: index(width)?,
            height: index(height)?,
            bands: index(bands)?,
            bits: tags.single(tags::BITS_PER_SAMPLE)?.unwrap_or(1),
            sample_format: match tags.single(tags::SAMPLE_FORMAT)? {
                None | Some(1) => SampleFormat::Unsigned,
                Some(2) => SampleFormat::Signed,
                Some(3) => SampleFormat::Float,
                Some(other) => SampleFormat::Other(other),
            },
            compression: match tags.single(tags::COMPRESSION)? {
                None | Some(1) => Compression::None,
                Some(5) => Compression::Lzw,
                Some(8 | 32_946) => Compression::Deflate,
                Some(50_000) => Compression::Zstd,
                Some(32_773) => Compression::PackBits,
                Some(other) => Compression::Other(other),
            },
            photometric: match tags.single(tags::PHOTOMETRIC)? {
                Some(0) => Photometric::MinIsWhite,
                None | Some(1) => Photometric::MinIsBlack,
                Some(2) => Photometric::Rgb,
                Some(3) => Photometric::Palette,
                Some(other) => Photometric::Other(other),
            },
            interleave: match tags.single(tags::PLANAR_CONFIGURATION)? {
                None | Some(1) => Interleave::Pixel,
                Some(2) => Interleave::Band,
                Some(other) => return Err(RasterError::Format(format!("its planar configuration is {other}"))),
            },
            chunks,
            predictor: tags.single(tags::PREDICTOR)?.unwrap_or(1),
        })
    }
}

/// Parses the header of a TIFF, for any type of samples. It does not check the pixels, so [`super::decode()`] may still
/// fail.
///
/// # Errors
/// If the file is not a TIFF, is truncated, contradicts itself, or claims more than the limits allow.
pub fn header(bytes: &[u8], limits: &Limits) -> Result<Header, RasterError> {
    check_file_size(bytes, limits)?;
    Header::of(&Tags::parse(bytes)?, limits)
}
