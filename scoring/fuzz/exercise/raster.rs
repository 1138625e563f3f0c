//! TIFFs: header and raster agree, and a decoded raster survives a round trip through the writer.

use flair_scoring::raster::{Limits, decode, encode, header};

const LIMITS: Limits = Limits { file_bytes: 1 << 20, samples: 1 << 17 };

/// Reads the bytes as a TIFF.
pub(crate) fn exercise(bytes: &[u8]) {
    let (header, raster) = (header(bytes, &LIMITS), decode(bytes, &LIMITS));
    let Ok(raster) = raster else { return };
    let header = header.expect("what has pixels has a header");
    let size = (header.bands, header.height, header.width);
    assert_eq!((raster.bands(), raster.height(), raster.width()), size);
    assert_eq!(raster.samples().len(), size.0 * size.1 * size.2);
    assert!(raster.samples().len() as u64 <= LIMITS.samples);
    let again = decode(&encode(&raster), &LIMITS).expect("our own file is readable");
    assert_eq!(again, raster);
}
