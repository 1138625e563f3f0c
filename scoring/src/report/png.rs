//! Pictures of 8-bit colours as PNG (RFC 2083).

use std::io::{self, Write};

use flate2::{Compression, Crc, write::ZlibEncoder};

/// A PNG of `[height, width, 3]`, red, green and blue, 8 bits each.
///
/// The rows go unfiltered: that is best for a few flat colours, and good enough for a photograph now and then.
///
/// # Errors
/// If there are not as many samples as the sides say, or more than a PNG can hold.
pub fn encode(width: u32, height: u32, pixels: &[u8]) -> io::Result<Vec<u8>> {
    let row = 3 * width as usize;
    if row == 0 || height == 0 || row.checked_mul(height as usize) != Some(pixels.len()) {
        let message = format!("{} samples are no picture of {width} × {height} colours", pixels.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in pixels.chunks(row) {
        packed.write_all(&[0])?;
        packed.write_all(row)?;
    }
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in
        [(b"IHDR", [&size[..], &[8, 2, 0, 0, 0]].concat()), (b"IDAT", packed.finish()?), (b"IEND", vec![])]
    {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(&data);
        let len = u32::try_from(data.len()).map_err(io::Error::other)?;
        file.extend([&len.to_be_bytes()[..], name, &data, &crc.sum().to_be_bytes()].concat());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixels_come_out_again_and_sizes_are_checked() {
        let pixels: Vec<u8> = (0..3 * 4 * 2).collect();
        let file = encode(4, 2, &pixels).unwrap();
        let len = u32::from_be_bytes(file[33..37].try_into().unwrap()) as usize;
        let mut rows = Vec::new();
        io::copy(&mut flate2::read::ZlibDecoder::new(&file[41..41 + len]), &mut rows).unwrap();
        assert_eq!(rows, [&[0], &pixels[..12], &[0], &pixels[12..]].concat());
        // The checksum of the empty last chunk is known (RFC 2083).
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        for (width, height) in [(4, 3), (0, 2), (4, 0), (u32::MAX, u32::MAX)] {
            assert!(encode(width, height, &pixels).is_err());
        }
    }
}
