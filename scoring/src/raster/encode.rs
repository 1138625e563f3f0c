//! Encodes a raster as a TIFF that every reader supports.

use weezl::{BitOrder, encode::Encoder};

use super::{Raster, tags};

/// Approximate number of samples per strip: enough for LZW to be effective, few enough to read parts of an image.
const STRIP_SAMPLES: usize = 1 << 16;

const SHORT: u16 = 3;
const LONG: u16 = 4;

/// The raster as a TIFF: classic, little-endian, LZW, strips, bands interleaved by pixel, 0 is black, no
/// georeferencing. The same raster always gives the same bytes.
pub fn encode(raster: &Raster) -> Vec<u8> {
    let (bands, height, width) = (raster.bands(), raster.height(), raster.width());
    let rows = (STRIP_SAMPLES / (width * bands)).clamp(1, height);
    let mut bytes = b"II\x2a\0\0\0\0\0".to_vec();
    let (mut offsets, mut byte_counts) = (Vec::new(), Vec::new());
    let pixels = interleave(raster);
    for strip in pixels.chunks(rows * width * bands) {
        offsets.push(long(bytes.len()));
        lzw(strip, &mut bytes);
        byte_counts.push(long(bytes.len()) - offsets[offsets.len() - 1]);
    }

    let mut entries = vec![
        (tags::WIDTH, LONG, vec![long(width)]),
        (tags::HEIGHT, LONG, vec![long(height)]),
        (tags::BITS_PER_SAMPLE, SHORT, vec![8; bands]),
        (tags::COMPRESSION, SHORT, vec![5]),
        (tags::PHOTOMETRIC, SHORT, vec![1]),
        (tags::STRIP_OFFSETS, LONG, offsets),
        (tags::SAMPLES_PER_PIXEL, SHORT, vec![long(bands)]),
        (tags::ROWS_PER_STRIP, LONG, vec![long(rows)]),
        (tags::STRIP_BYTE_COUNTS, LONG, byte_counts),
        (tags::PLANAR_CONFIGURATION, SHORT, vec![1]),
    ];
    if bands > 1 {
        entries.push((tags::EXTRA_SAMPLES, SHORT, vec![0; bands - 1]));
    }
    entries.push((tags::SAMPLE_FORMAT, SHORT, vec![1; bands]));

    // First the values that do not fit into an entry, then the entries.
    let mut directory = Vec::new();
    for (tag, kind, values) in &entries {
        let stored: Vec<u8> = values.iter().flat_map(|value| number(*kind, *value)).collect();
        directory.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        directory.extend(long(values.len()).to_le_bytes());
        if stored.len() <= 4 {
            directory.extend(stored.iter().copied().chain([0; 4]).take(4));
        } else {
            align(&mut bytes);
            directory.extend(long(bytes.len()).to_le_bytes());
            bytes.extend(stored);
        }
    }
    align(&mut bytes);
    let at = long(bytes.len());
    bytes[4..8].copy_from_slice(&at.to_le_bytes());
    bytes.extend(number(SHORT, long(entries.len())));
    bytes.extend(directory);
    bytes.extend([0; 4]);
    bytes
}

fn interleave(raster: &Raster) -> Vec<u8> {
    let plane = raster.height() * raster.width();
    if raster.bands() == 1 {
        return raster.samples().to_vec();
    }
    (0..plane).flat_map(|pixel| raster.samples()[pixel..].iter().step_by(plane)).copied().collect()
}

fn lzw(strip: &[u8], bytes: &mut Vec<u8>) {
    let mut encoder = Encoder::with_tiff_size_switch(BitOrder::Msb, 8);
    // The only error is a sample with more than 8 bits, which a byte cannot have.
    let done = encoder.into_vec(bytes).encode_all(strip);
    debug_assert!(done.status.is_ok());
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    let bytes = value.to_le_bytes();
    bytes[..if kind == SHORT { 2 } else { 4 }].to_vec()
}

/// The specification requires even offsets.
fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(2), 0);
}

#[expect(clippy::cast_possible_truncation, reason = "at most 2^31 samples, whose LZW stays below 2^32 bytes")]
fn long(number: usize) -> u32 {
    number as u32
}
