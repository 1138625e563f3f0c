//! What fuzzing begins with: a tiny file of every layout.

use std::collections::BTreeMap;

use super::{super::encode, raster, writer::Layout};

#[test]
fn the_fuzzers_inputs_are_there() {
    let mut files = BTreeMap::from([("own.tif".to_owned(), encode(&raster(2, 9, 11)))]);
    for (codec, compression) in [("none", 1), ("lzw", 5), ("deflate", 8), ("zstd", 50_000), ("packbits", 32_773)] {
        // Every option with every compression, and the two byte orders and sizes of offsets in all pairs.
        for bits in [0, 3, 5, 6, 9, 10, 15] {
            let layout = Layout {
                tile: (bits & 1 != 0).then_some((8, 4)),
                is_planar: bits & 2 != 0,
                is_big_endian: bits & 4 != 0,
                is_big_tiff: bits & 8 != 0,
                predictor: if bits == 0 || bits == 9 { 1 } else { 2 },
                rows: 4,
                compression,
                ..Layout::default()
            };
            files.insert(format!("{codec}-{bits:02}.tif"), layout.write(&raster(2, 9, 11)));
        }
    }
    for (name, tag, kind, values) in [
        ("huge", 256, 4, vec![u64::from(u32::MAX)]),
        ("sixteen-bits", 258, 3, vec![16, 16]),
        ("float", 339, 3, vec![3, 3]),
    ] {
        let layout = Layout { set: vec![(tag, kind, values)], ..Layout::default() };
        files.insert(format!("{name}.tif"), layout.write(&raster(2, 9, 11)));
    }
    crate::seeds::keep("raster", &files);
}
