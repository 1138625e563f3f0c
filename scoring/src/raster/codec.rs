//! Decompresses one strip or tile, and undoes its horizontal differencing.

use std::{
    error::Error,
    io::{self, Read},
    slice,
};

use flate2::bufread::ZlibDecoder;
use ruzstd::decoding::StreamingDecoder;
use weezl::{BitOrder, LzwStatus, decode::Configuration};

use super::{Compression, RasterError};

/// The smallest window of a ZSTD frame (RFC 8878, 3.1.1.1.2).
const MIN_ZSTD_WINDOW: usize = 1 << 10;

/// Decompresses into `out` until it is full, and returns the number of bytes written. Allocates only a decoder's fixed
/// tables (for ZSTD a window of about the size of `out`).
pub(super) fn decompress(compression: Compression, data: &[u8], out: &mut [u8]) -> Result<usize, RasterError> {
    match compression {
        Compression::None => {
            let len = data.len().min(out.len());
            out[..len].copy_from_slice(&data[..len]);
            Ok(len)
        }
        Compression::Lzw => lzw(data, out),
        Compression::Deflate => fill(ZlibDecoder::new(data), out).map_err(|e| invalid("Deflate", e)),
        // The decoder's own words are names of its types, and numbers of its state.
        Compression::Zstd => zstd(data, out).map_err(|_| invalid("ZSTD", "they are damaged or truncated")),
        Compression::PackBits => pack_bits(data, out),
        Compression::Other(number) => Err(RasterError::Unsupported(format!(
            "its compression is {number}; write it uncompressed or with LZW, Deflate, ZSTD or PackBits"
        ))),
    }
}

fn invalid(codec: &str, error: impl std::fmt::Display) -> RasterError {
    RasterError::Format(format!("its {codec} data are invalid: {error}"))
}

/// Reads until `out` is full or the source ends.
fn fill(mut source: impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < out.len() {
        match source.read(&mut out[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}

/// Decompresses ZSTD with a reduced window. A frame states its window size, and the decoder allocates it in advance:
/// GDAL's best level states 128 MiB for a strip of a patch. No match can reach back beyond the output, so a window of
/// the size of `out` is enough.
fn zstd(data: &[u8], out: &mut [u8]) -> Result<usize, Box<dyn Error>> {
    let window = out.len().next_power_of_two().max(MIN_ZSTD_WINDOW);
    let log = u8::try_from(window.ilog2() - MIN_ZSTD_WINDOW.ilog2())?;
    let (start, rest) = data.split_at_checked(6).ok_or("truncated")?;
    let [magic @ .., flags, descriptor] = start else { return Err("truncated".into()) };
    // A single-segment frame has no window byte; its window is its content.
    let descriptor = if flags & 0x20 == 0 { (*descriptor).min(log << 3) } else { *descriptor };
    let source = magic.chain(slice::from_ref(flags)).chain(slice::from_ref(&descriptor)).chain(rest);
    Ok(fill(StreamingDecoder::new_with_max_window_size(source, window as u64)?, out)?)
}

fn lzw(data: &[u8], out: &mut [u8]) -> Result<usize, RasterError> {
    // Before TIFF 6.0 the bit order was reversed; the first code, 256, reveals it.
    if let [0, second, ..] = data
        && second & 1 == 1
    {
        return Err(RasterError::Unsupported("its LZW has the bit order of before TIFF 6.0".to_owned()));
    }
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8).with_yield_on_full_buffer(true).build();
    let (mut read, mut written) = (0, 0);
    loop {
        let step = decoder.decode_bytes(&data[read..], &mut out[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        let has_moved = step.consumed_in + step.consumed_out > 0;
        match step.status {
            Ok(LzwStatus::Ok) if has_moved && written < out.len() => {}
            // Some writers omit the end code of a strip; the caller then checks the number of bytes.
            Ok(LzwStatus::Ok | LzwStatus::Done | LzwStatus::NoProgress) => return Ok(written),
            Err(e) => return Err(invalid("LZW", e)),
        }
    }
}

fn pack_bits(mut data: &[u8], out: &mut [u8]) -> Result<usize, RasterError> {
    let mut written = 0;
    let truncated = || RasterError::Format("its PackBits data are truncated".to_owned());
    while let Some((&code, rest)) = data.split_first() {
        let room = out.len() - written;
        let target = &mut out[written..];
        let count = match code {
            0..=127 => {
                let literal = rest.get(..usize::from(code) + 1).ok_or_else(truncated)?;
                let count = literal.len().min(room);
                target[..count].copy_from_slice(&literal[..count]);
                data = &rest[literal.len()..];
                count
            }
            128 => {
                data = rest;
                0
            }
            129..=255 => {
                let (&value, rest) = rest.split_first().ok_or_else(truncated)?;
                let count = (257 - usize::from(code)).min(room);
                target[..count].fill(value);
                data = rest;
                count
            }
        };
        written += count;
        if written == out.len() {
            break;
        }
    }
    Ok(written)
}

/// Undoes predictor 2: each sample of a row, except the first of each band, is stored as the difference from its left
/// neighbour of the same band, `bands` samples before.
pub(super) fn undo_differences(rows: &mut [u8], row_len: usize, bands: usize) {
    for row in rows.chunks_exact_mut(row_len) {
        for i in bands..row.len() {
            row[i] = row[i].wrapping_add(row[i - bands]);
        }
    }
}
