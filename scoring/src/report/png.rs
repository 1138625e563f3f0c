//! Pictures of 8-bit colours as PNG.

use std::io;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, FilterType};

/// A PNG of `[height, width, 3]`, u8: red, green, blue.
///
/// Rows are not filtered: that compresses pictures of a few flat colours best.
///
/// # Errors
/// If a side is 0, or the number of samples is not `height` × `width` × 3.
pub fn encode(width: u32, height: u32, pixels: &[u8]) -> io::Result<Vec<u8>> {
    // The encoder multiplies the sides without a check.
    let samples = (width as usize).checked_mul(height as usize).and_then(|pixels| pixels.checked_mul(3));
    if samples != Some(pixels.len()) {
        let message = format!("{} samples for a picture of {width} × {height} × 3", pixels.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Best);
    encoder.set_filter(FilterType::NoFilter);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(pixels)?;
        writer.finish()
    });
    written.map_err(|error| match error {
        EncodingError::IoError(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidInput, error.to_string()),
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixels_come_out_again_and_sizes_are_checked() {
        let pixels: Vec<u8> = (0..3 * 4 * 2).collect();
        let file = encode(4, 2, &pixels).unwrap();
        let mut reader = png::Decoder::new(file.as_slice()).read_info().unwrap();
        let mut read = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut read).unwrap();
        assert_eq!((info.width, info.height, read), (4, 2, pixels.clone()));
        for (width, height) in [(4, 3), (0, 2), (4, 0), (u32::MAX, u32::MAX)] {
            assert!(encode(width, height, &pixels).is_err());
        }
    }
}
