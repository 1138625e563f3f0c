//! Valid files: all layouts, and those of other writers.

use std::io::Cursor;

use tiff::encoder::{Compression as Codec, DeflateLevel, Predictor, TiffEncoder, colortype};

use super::{super::*, raster, writer::Layout};

#[test]
fn every_layout_gives_the_same_pixels() {
    let mut read = 0;
    // 45 × 37 ends in the middle of strips of 7 rows and of tiles of 16 × 32 in both directions.
    for (bands, photometrics) in [(1, &[1, 3][..]), (3, &[2][..]), (5, &[1, 2, 32_844][..])] {
        let raster = raster(bands, 45, 37);
        for tile in [None, Some((16, 32)), Some((64, 64))] {
            for compression in [1, 5, 8, 32_946, 50_000, 32_773] {
                for bits in 0..16 {
                    // Differences without one of libtiff's codecs for them are refused: see `refused`.
                    if bits & 2 != 0 && [1, 32_773].contains(&compression) {
                        continue;
                    }
                    for &photometric in photometrics {
                        let layout = Layout {
                            is_planar: bits & 1 != 0,
                            predictor: if bits & 2 != 0 { 2 } else { 1 },
                            is_big_endian: bits & 4 != 0,
                            is_big_tiff: bits & 8 != 0,
                            tile,
                            compression,
                            photometric,
                            ..Layout::default()
                        };
                        let found = decode(&layout.write(&raster), &Limits::default());
                        assert_eq!(found.unwrap(), raster, "{layout:?}");
                        read += 1;
                    }
                }
            }
        }
    }
    assert_eq!(read, 3 * (4 * 16 + 2 * 8) * (2 + 1 + 3));
}

#[test]
fn the_header_gives_the_properties_of_the_image() {
    let layout = Layout {
        is_planar: true,
        tile: Some((16, 32)),
        compression: 5,
        predictor: 2,
        photometric: 2,
        ..Layout::default()
    };
    let found = header(&layout.write(&raster(5, 45, 37)), &Limits::default()).unwrap();
    insta::assert_debug_snapshot!(found, @"
    Header {
        width: 37,
        height: 45,
        bands: 5,
        bits: 8,
        sample_format: Unsigned,
        compression: Lzw,
        photometric: Rgb,
        interleave: Band,
        chunks: Tiles {
            width: 16,
            height: 32,
        },
        predictor: 2,
    }
    ");

    // The header of samples that cannot be decoded is parsed, and the error names their type.
    let floats = Layout { set: vec![(258, 3, vec![32]), (339, 3, vec![3])], ..Layout::default() };
    let file = floats.write(&raster(1, 45, 37));
    assert_eq!(header(&file, &Limits::default()).unwrap().sample_type(), "float32");
    let error = decode(&file, &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "TIFF not supported: its samples are float32, expected uint8");
}

#[test]
fn absent_tags_have_their_defaults() {
    let raster = raster(1, 45, 37);
    // Pillow leaves these out; one strip then holds all rows.
    let layout = Layout { rows: 45, unset: vec![277, 278, 284, 317, 339], ..Layout::default() };
    assert_eq!(decode(&layout.write(&raster), &Limits::default()).unwrap(), raster);
    // Without BitsPerSample a sample is one bit: not a patch of this challenge, and not read as one.
    let bilevel = Layout { unset: vec![258], ..Layout::default() };
    assert_eq!(header(&bilevel.write(&raster), &Limits::default()).unwrap().sample_type(), "uint1");
    assert!(matches!(decode(&bilevel.write(&raster), &Limits::default()), Err(RasterError::Unsupported(_))));
}

#[test]
fn a_last_strip_may_be_padded() {
    // 45 rows, stored as 49: some writers fill the last strip. The same file with 45 in its height tag.
    let stored = raster(2, 49, 37);
    let layout = Layout { set: vec![(257, 3, vec![45])], compression: 5, ..Layout::default() };
    let found = decode(&layout.write(&stored), &Limits::default()).unwrap();
    assert_eq!((found.height(), found.width()), (45, 37));
    for (band, plane) in found.samples().chunks(45 * 37).enumerate() {
        assert_eq!(plane, &stored.samples()[band * 49 * 37..][..45 * 37]);
    }
}

#[test]
fn files_of_the_tiff_crate_are_read() {
    let codecs = [Codec::Uncompressed, Codec::Lzw, Codec::Deflate(DeflateLevel::Balanced), Codec::Packbits];
    for (number, codec) in codecs.into_iter().enumerate() {
        for predictor in [Predictor::None, Predictor::Horizontal] {
            if predictor == Predictor::Horizontal && [0, 3].contains(&number) {
                continue;
            }
            let (grey, colour) = (raster(1, 300, 211), raster(3, 300, 211));
            let mut file = Cursor::new(Vec::new());
            let encoder = TiffEncoder::new(&mut file).unwrap().with_compression(codec).with_predictor(predictor);
            let mut encoder = encoder;
            encoder.write_image::<colortype::Gray8>(211, 300, grey.samples()).unwrap();
            assert_eq!(decode(file.get_ref(), &Limits::default()).unwrap(), grey, "codec {number}, {predictor:?}");

            let plane = 300 * 211;
            let pixels: Vec<u8> = (0..3 * plane).map(|i| colour.samples()[i % 3 * plane + i / 3]).collect();
            let mut file = Cursor::new(Vec::new());
            let encoder = TiffEncoder::new_big(&mut file).unwrap();
            let mut encoder = encoder.with_compression(codec).with_predictor(predictor);
            encoder.write_image::<colortype::RGB8>(211, 300, &pixels).unwrap();
            assert_eq!(decode(file.get_ref(), &Limits::default()).unwrap(), colour, "codec {number}, {predictor:?}");
        }
    }
}

#[test]
fn the_tiff_crate_reads_our_files() {
    let raster = raster(1, 512, 512);
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(encode(&raster))).unwrap();
    assert_eq!(decoder.dimensions().unwrap(), (512, 512));
    let tiff::decoder::DecodingResult::U8(samples) = decoder.read_image().unwrap() else { panic!("not u8") };
    assert_eq!(samples, raster.samples());
}
