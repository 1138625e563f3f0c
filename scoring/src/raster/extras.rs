//! Metadata of a TIFF besides its first image, and a preview of samples that are not 8-bit integers.

use super::limits::check_file_size;
use super::{Compression, Header, Limits, RasterError, SampleFormat, codec, tags, tags::Tags};

/// Maximum number of bytes that [`peek`] decodes: the beginning of a larger strip or tile.
const MAX_PEEK: usize = 1 << 16;

/// Metadata of a TIFF besides its first image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extras {
    /// Whether another image follows the first: a page, an overview, a mask.
    pub has_more_images: bool,
    /// Whether it has georeferencing tags (GeoTIFF 1.1, section 7: keys, scale, tie points, transformation).
    pub is_georeferenced: bool,
    /// The no-data value (GDAL's tag 42113), as stored.
    pub nodata: Option<String>,
}

/// Reads the metadata of a TIFF besides its first image. Further images are not parsed.
///
/// # Errors
/// As [`header()`](super::header()).
pub fn extras(bytes: &[u8], limits: &Limits) -> Result<Extras, RasterError> {
    check_file_size(bytes, limits)?;
    let tags = Tags::parse(bytes)?;
    Ok(Extras {
        has_more_images: tags.next_image() != 0,
        is_georeferenced: tags::GEOREFERENCE.iter().any(|&tag| tags.has(tag)),
        nodata: tags.text(tags::GDAL_NODATA),
    })
}

/// The samples at the beginning of the first strip or tile of a TIFF, at most 64 KiB, for any sample type; `None` if the
/// format is not supported or the data are damaged. Used for hints about files that are not predictions.
pub fn peek(bytes: &[u8], limits: &Limits) -> Option<Vec<f64>> {
    check_file_size(bytes, limits).ok()?;
    let tags = Tags::parse(bytes).ok()?;
    let header = Header::of(&tags, limits).ok()?;
    let size = usize::try_from(header.bits / 8).ok().filter(|size| [1, 2, 4, 8].contains(size))?;
    if header.bits % 8 != 0 || header.predictor != 1 || matches!(header.compression, Compression::Other(_)) {
        return None;
    }
    let pair = |offsets, counts| tags.numbers(offsets).ok().flatten().zip(tags.numbers(counts).ok().flatten());
    let strips = pair(tags::STRIP_OFFSETS, tags::STRIP_BYTE_COUNTS);
    let (offsets, counts) = strips.or_else(|| pair(tags::TILE_OFFSETS, tags::TILE_BYTE_COUNTS))?;
    let data = tags.slice(offsets.iter().next()?, counts.iter().next()?).ok()?;
    let (columns, rows) = header.chunk_size();
    let most = columns.checked_mul(rows)?.checked_mul(header.bands)?.checked_mul(size)?.min(MAX_PEEK);
    let mut chunk = vec![0; most];
    let found = codec::decompress(header.compression, data, &mut chunk).ok()?.min(most);
    let numbers = chunk[..found].chunks_exact(size).map(|sample| {
        let bits = tags.unsigned(sample);
        number(bits, header.bits, header.sample_format)
    });
    Some(numbers.collect())
}

/// The number of these bits.
fn number(bits: u64, size: u64, format: SampleFormat) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "that many bits are read")]
    match (format, size) {
        (SampleFormat::Float, 32) => f64::from(f32::from_bits(bits as u32)),
        (SampleFormat::Float, 64) => f64::from_bits(bits),
        (SampleFormat::Signed, _) => (bits << (64 - size)).cast_signed() as f64 / 2f64.powi(64 - size as i32),
        _ => bits as f64,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tiff::encoder::{TiffEncoder, TiffValue, colortype::*};

    use super::*;

    fn peeked<C: ColorType>(samples: &[C::Inner]) -> Vec<f64>
    where
        [C::Inner]: TiffValue,
    {
        let mut file = Cursor::new(Vec::new());
        let width = u32::try_from(samples.len()).unwrap();
        TiffEncoder::new(&mut file).unwrap().write_image::<C>(width, 1, samples).unwrap();
        peek(&file.into_inner(), &Limits::default()).unwrap()
    }

    #[test]
    fn samples_of_every_type_are_numbers() {
        assert_eq!(peeked::<Gray8>(&[0, 255]), [0.0, 255.0]);
        assert_eq!(peeked::<Gray16>(&[0, 65_535]), [0.0, 65_535.0]);
        assert_eq!(peeked::<GrayI8>(&[-1, 127]), [-1.0, 127.0]);
        assert_eq!(peeked::<GrayI32>(&[-7, i32::MIN]), [-7.0, -2_147_483_648.0]);
        assert_eq!(peeked::<Gray64>(&[12]), [12.0]);
        assert_eq!(peeked::<Gray32Float>(&[0.25, -1.5]), [0.25, -1.5]);
        assert_eq!(peeked::<Gray64Float>(&[1e300]), [1e300]);
    }

    #[test]
    fn a_large_strip_is_decoded_in_part() {
        let samples: Vec<f64> = (0..200_000).map(f64::from).collect();
        assert_eq!(peeked::<Gray64Float>(&samples), samples[..MAX_PEEK / 8]);
    }

    #[test]
    fn a_plain_file_carries_nothing_else() {
        let raster = super::super::Raster::new(1, 2, 2, vec![0; 4]).unwrap();
        assert_eq!(extras(&super::super::encode(&raster), &Limits::default()).unwrap(), Extras::default());
        assert!(extras(b"II*", &Limits::default()).is_err());
        assert_eq!(peek(b"II*", &Limits::default()), None);
    }
}
