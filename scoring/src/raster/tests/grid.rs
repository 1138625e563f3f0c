//! The grid of tags that readers may see differently: what is read, with which pixels, and what is refused.
//!
//! `tests/parity.py` holds the same grid against Pillow and GDAL.

use super::{super::*, raster, writer::Layout};

/// Whether a one-band file with these tags is the same for every reader.
fn is_clear(layout: &Layout, bits: u64, tags: [Option<u64>; 4]) -> bool {
    let [predictor, fill_order, orientation, photometric] = tags;
    let has_differences = predictor == Some(2);
    let knows_differences = [5, 8, 32_946, 50_000].contains(&layout.compression);
    [1, 5, 8, 32_946, 32_773, 50_000].contains(&layout.compression)
        && bits == 8
        && predictor != Some(3)
        && (!has_differences || knows_differences)
        && matches!(fill_order, None | Some(1))
        && matches!(orientation, None | Some(1))
        && matches!(photometric, Some(0 | 1 | 3))
}

#[test]
fn tags_are_read_as_libtiff_reads_them_or_refused() {
    let raster = raster(1, 21, 18);
    let (mut read, mut refused) = (0, 0);
    for compression in [1, 5, 7, 8, 32_946, 32_773, 50_000] {
        for (predictor, tile, is_planar) in [None, Some(1), Some(2), Some(3)]
            .into_iter()
            .flat_map(|predictor| [None, Some((16, 16))].map(|tile| (predictor, tile)))
            .flat_map(|(predictor, tile)| [false, true].map(|is_planar| (predictor, tile, is_planar)))
        {
            let layout = Layout {
                compression,
                tile,
                is_planar,
                predictor: if predictor == Some(2) { 2 } else { 1 },
                ..Layout::default()
            };
            for fill_order in [None, Some(1), Some(2), Some(0)] {
                for orientation in [None, Some(1), Some(2), Some(6), Some(0)] {
                    for photometric in [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(8)] {
                        for bits in [8, 16, 1] {
                            let tags = [predictor, fill_order, orientation, photometric];
                            let named = [317, 266, 274, 262].into_iter().zip(tags);
                            let set = named.clone().filter_map(|(tag, value)| Some((tag, 3, vec![value?])));
                            let unset = named.filter(|(_, value)| value.is_none()).map(|(tag, _)| tag);
                            let layout = Layout {
                                set: set.chain([(258, 3, vec![bits])]).collect(),
                                unset: unset.collect(),
                                ..layout.clone()
                            };
                            let found = decode(&layout.write(&raster), &Limits::default());
                            if is_clear(&layout, bits, tags) {
                                assert_eq!(found.unwrap(), raster, "{layout:?}");
                                read += 1;
                            } else {
                                assert!(matches!(found, Err(RasterError::Unsupported(_))), "{layout:?}: {found:?}");
                                refused += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    // Codecs and predictors, strips and tiles, planar or not, absent and default tags, photometrics.
    assert_eq!(read, (4 * 3 + 2 * 2) * 2 * 2 * 2 * 2 * 3);
    assert_eq!(read + refused, 7 * 4 * 2 * 2 * 4 * 5 * 7 * 3);
}

#[test]
fn files_that_readers_take_apart_differently_are_refused() {
    let raster = raster(1, 21, 18);
    let error = |set: Vec<(u16, u16, Vec<u64>)>, tile, predictor| {
        let layout = Layout { tile, predictor, set, ..Layout::default() };
        decode(&layout.write(&raster), &Limits::default()).unwrap_err().to_string()
    };
    let tile = Some((16, 16));
    let lines = [
        error(vec![], None, 2),
        error(vec![(266, 3, vec![2])], None, 1),
        error(vec![(274, 3, vec![3])], None, 1),
        error(vec![(262, 3, vec![2])], None, 1),
        error(vec![(322, 3, vec![16])], None, 1),
        error(vec![(273, 4, vec![8; 3]), (279, 4, vec![1; 3])], tile, 1),
        error(vec![(256, 3, vec![18]), (256, 3, vec![9])], None, 1),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    TIFF not supported: its predictor is 2 without LZW, Deflate or ZSTD: some readers ignore it
    TIFF not supported: its bit order is reversed (FillOrder 2), expected 1
    TIFF not supported: its orientation is 3, expected 1: some readers turn it
    TIFF not supported: its photometric interpretation is 2, expected 1 (0 is black)
    TIFF not supported: it has strips and tiles: readers differ in which they take
    TIFF not supported: it has strips and tiles: readers differ in which they take
    TIFF not supported: its tag 256 occurs twice: readers differ in which they take
    ");
    let unnamed = Layout { unset: vec![262], ..Layout::default() };
    let error = decode(&unnamed.write(&raster), &Limits::default()).unwrap_err().to_string();
    assert_eq!(error, "TIFF not supported: its photometric interpretation is missing: some readers take 0 for white");
}
