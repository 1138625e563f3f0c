//! TIFFs: header and raster agree, and a decoded raster survives a round trip through the writer.

use flair_scoring::raster::{Limits, decode, encode, header};

/// Maximum number of samples.
const SAMPLES: u64 = 1 << 17;

/// Reads the bytes as a TIFF.
pub(crate) fn exercise(bytes: &[u8]) {
    let mut limits = Limits::default();
    (limits.file_bytes, limits.samples) = (1 << 20, SAMPLES);
    let (header, raster) = (header(bytes, &limits), decode(bytes, &limits));
    let Ok(raster) = raster else { return };
    let header = header.expect("what has pixels has a header");
    let size = (header.bands, header.height, header.width);
    assert_eq!((raster.bands(), raster.height(), raster.width()), size);
    assert_eq!(raster.samples().len(), size.0 * size.1 * size.2);
    assert!(raster.samples().len() as u64 <= SAMPLES);
    let again = decode(&encode(&raster), &limits).expect("our own file is readable");
    assert_eq!(again, raster);
}
