//! Decodes a TIFF into a raster.

use super::limits::check_file_size;
use super::{Chunks, Compression, Header, Interleave, Limits, Photometric, Raster, RasterError, SampleFormat, codec};
use super::{tags, tags::Tags};

/// Minimum mean number of samples per strip or tile: one tile of the smallest size that TIFF allows, 16 × 16.
const MIN_MEAN_SAMPLES: u64 = 256;

/// Number of strips or tiles that is always allowed, for any size: each row of each band of a patch may be a strip.
const ALWAYS_ALLOWED_CHUNKS: u64 = 4096;

/// Decodes the first image of a TIFF: all its bands, for any photometric interpretation.
///
/// # Errors
/// If the file is not a TIFF, is truncated, contradicts itself, claims more than the limits allow, or has samples other
/// than unsigned 8-bit integers or an unsupported compression.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Raster, RasterError> {
    check_file_size(bytes, limits)?;
    let tags = Tags::parse(bytes)?;
    let header = Header::of(&tags, limits)?;
    check_readable(&header, &tags)?;

    let (offsets, byte_counts) = match header.chunks {
        Chunks::Strips { .. } => (tags::STRIP_OFFSETS, tags::STRIP_BYTE_COUNTS),
        Chunks::Tiles { .. } => (tags::TILE_OFFSETS, tags::TILE_BYTE_COUNTS),
    };
    let grid = Grid::of(&header);
    check_chunk_count(grid.len() as u64, &header)?;
    let offsets = tags.required(offsets, grid.len() as u64)?;
    let byte_counts = tags.required(byte_counts, grid.len() as u64)?;

    let chunk_name = header.chunks.name();
    let mut samples = vec![0; header.bands * header.height * header.width];
    // One byte more than a chunk, to detect data that are too long.
    let mut chunk = vec![0; grid.chunk_len() + 1];
    for (index, (at, len)) in offsets.iter().zip(byte_counts.iter()).enumerate() {
        let position = grid.position(index);
        if at == 0 && len == 0 {
            return Err(RasterError::Unsupported(format!("its {chunk_name} {index} has no data (a sparse file)")));
        }
        let found = codec::decompress(header.compression, tags.slice(at, len)?, &mut chunk)?;
        let due = grid.due(&position);
        if found < due || found > grid.chunk_len() {
            let too = if found < due { "short" } else { "long" };
            return Err(RasterError::Format(format!("its {chunk_name} {index} is too {too}: expected {due} samples")));
        }
        if header.predictor == 2 {
            codec::undo_differences(&mut chunk[..due], grid.row_len(), grid.bands);
        }
        grid.copy(&position, &chunk, &mut samples);
    }
    let too_large = || RasterError::Limits("it has more samples than a raster holds".to_owned());
    Raster::new(header.bands, header.height, header.width, samples).ok_or_else(too_large)
}

/// Limits the number of strips or tiles: each needs its own decoder, so tiny ones would make decoding a thousand times
/// slower.
fn check_chunk_count(count: u64, header: &Header) -> Result<(), RasterError> {
    let samples = (header.width * header.height * header.bands) as u64;
    let most = (samples / MIN_MEAN_SAMPLES).max(ALWAYS_ALLOWED_CHUNKS);
    if count > most {
        return Err(RasterError::Limits(format!("it has {count} {}s, at most {most}", header.chunks.name())));
    }
    Ok(())
}

fn check_readable(header: &Header, tags: &Tags<'_>) -> Result<(), RasterError> {
    let unsupported = |what| Err(RasterError::Unsupported(what));
    if header.bits != 8 || header.sample_format != SampleFormat::Unsigned {
        return unsupported(format!("its samples are {}, expected uint8", header.sample_type()));
    }
    if !matches!(header.predictor, 1 | 2) {
        return unsupported(format!("its predictor is {}, expected 1 or 2", header.predictor));
    }
    check_unambiguous(header, tags)
}

/// Refuses what readers disagree about: GDAL and Pillow, which both use libtiff, other readers, and this one.
fn check_unambiguous(header: &Header, tags: &Tags<'_>) -> Result<(), RasterError> {
    let unsupported = |what| Err(RasterError::Unsupported(what));
    // libtiff has the predictor in these codecs alone, and ignores the tag elsewhere; other readers and writers do not.
    if header.predictor == 2 && matches!(header.compression, Compression::None | Compression::PackBits) {
        return unsupported("its predictor is 2 without LZW, Deflate or ZSTD: some readers ignore it".to_owned());
    }
    if header.photometric == Photometric::Other(6) {
        return unsupported("its colours are YCbCr, whose bands may differ in size".to_owned());
    }
    let photometric = tags.single(tags::PHOTOMETRIC)?;
    if header.bands == 1 && !matches!(photometric, Some(0 | 1 | 3)) {
        return unsupported(match photometric {
            // Pillow takes 0, white, for a missing one, and inverts the samples.
            None => "its photometric interpretation is missing: some readers take 0 for white".to_owned(),
            Some(other) => format!("its photometric interpretation is {other}, expected 1 (0 is black)"),
        });
    }
    // libtiff reverses the bits of every byte, whether compressed or not.
    if let Some(order) = tags.single(tags::FILL_ORDER)?.filter(|order| *order != 1) {
        return unsupported(format!("its bit order is reversed (FillOrder {order}), expected 1"));
    }
    // Pillow turns the image, GDAL does not.
    if let Some(orientation) = tags.single(tags::ORIENTATION)?.filter(|orientation| *orientation != 1) {
        return unsupported(format!("its orientation is {orientation}, expected 1: some readers turn it"));
    }
    let has_any = |of_chunks: &[u16]| of_chunks.iter().any(|&tag| tags.has(tag));
    if has_any(&[tags::STRIP_OFFSETS, tags::STRIP_BYTE_COUNTS])
        && has_any(&[tags::TILE_WIDTH, tags::TILE_LENGTH, tags::TILE_OFFSETS, tags::TILE_BYTE_COUNTS])
    {
        return unsupported("it has strips and tiles: readers differ in which they take".to_owned());
    }
    match tags.repeated() {
        Some(tag) => unsupported(format!("its tag {tag} occurs twice: readers differ in which they take")),
        None => Ok(()),
    }
}

/// The layout of strips or tiles (chunks) in the image. Strips are treated as tiles of the image's width; the last strip may be
/// shorter.
struct Grid {
    width: usize,
    height: usize,
    /// Bands per chunk.
    bands: usize,
    /// Chunks at the same position, one per band.
    planes: usize,
    chunk_width: usize,
    chunk_height: usize,
    has_padded_rows: bool,
}

/// The position of a chunk in the image.
struct Position {
    plane: usize,
    row: usize,
    column: usize,
}

impl Grid {
    fn of(header: &Header) -> Self {
        let (chunk_width, chunk_height) = header.chunk_size();
        let (bands, planes) = match header.interleave {
            Interleave::Pixel => (header.bands, 1),
            Interleave::Band => (1, header.bands),
        };
        let has_padded_rows = matches!(header.chunks, Chunks::Tiles { .. });
        Self { width: header.width, height: header.height, bands, planes, chunk_width, chunk_height, has_padded_rows }
    }

    fn across(&self) -> usize {
        self.width.div_ceil(self.chunk_width)
    }

    fn down(&self) -> usize {
        self.height.div_ceil(self.chunk_height)
    }

    fn len(&self) -> usize {
        self.across() * self.down() * self.planes
    }

    fn row_len(&self) -> usize {
        self.chunk_width * self.bands
    }

    fn chunk_len(&self) -> usize {
        self.row_len() * self.chunk_height
    }

    fn position(&self, index: usize) -> Position {
        let (across, down) = (self.across(), self.down());
        Position {
            plane: index / (across * down),
            row: index / across % down * self.chunk_height,
            column: index % across * self.chunk_width,
        }
    }

    /// Number of rows of a chunk inside the image.
    fn rows(&self, position: &Position) -> usize {
        self.chunk_height.min(self.height - position.row)
    }

    /// Minimum number of samples of a chunk. The last strip may be shortened or padded; both occur in files.
    fn due(&self, position: &Position) -> usize {
        self.row_len() * if self.has_padded_rows { self.chunk_height } else { self.rows(position) }
    }

    /// Copies a chunk, without its padding, to its position in `[C, H, W]`.
    fn copy(&self, position: &Position, chunk: &[u8], samples: &mut [u8]) {
        let columns = self.chunk_width.min(self.width - position.column);
        for (row, source) in chunk.chunks_exact(self.row_len()).take(self.rows(position)).enumerate() {
            for band in 0..self.bands {
                let plane = position.plane + band;
                let start = (plane * self.height + position.row + row) * self.width + position.column;
                let target = &mut samples[start..start + columns];
                if self.bands == 1 {
                    target.copy_from_slice(&source[..columns]);
                } else {
                    let stored = source[band..].iter().step_by(self.bands);
                    target.iter_mut().zip(stored).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
}
