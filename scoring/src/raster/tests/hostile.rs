//! Invalid files: each gives a clear error, quickly and without large allocations.

use proptest::prelude::*;

use super::{super::*, raster, writer::Layout};

fn error(layout: &Layout) -> String {
    decode(&layout.write(&raster(2, 45, 37)), &Limits::default()).unwrap_err().to_string()
}

fn set(tag: u16, kind: u16, values: &[u64]) -> String {
    error(&Layout { set: vec![(tag, kind, values.to_vec())], ..Layout::default() })
}

#[test]
fn contradictory_files_are_errors() {
    let lines = [
        set(256, 4, &[0]),
        set(256, 4, &[4_000_000_000]),
        set(256, 4, &[]),
        set(257, 16, &[u64::MAX]),
        set(256, 11, &[37]),
        set(256, 3, &[1000]),
        set(256, 3, &[9]),
        set(258, 3, &[8, 16]),
        set(258, 3, &[16]),
        set(259, 3, &[7]),
        set(262, 3, &[6]),
        set(277, 3, &[65_535]),
        set(278, 3, &[0]),
        set(278, 3, &[1]),
        set(279, 4, &[1, 2]),
        set(279, 4, &[u64::from(u32::MAX); 7]),
        set(284, 3, &[3]),
        set(317, 3, &[3]),
        error(&Layout { set: vec![(273, 4, vec![0; 7]), (279, 4, vec![0; 7])], ..Layout::default() }),
        error(&Layout { unset: vec![273], ..Layout::default() }),
        error(&Layout { compression: 5, set: vec![(266, 3, vec![2])], ..Layout::default() }),
        error(&Layout { tile: Some((16, 16)), set: vec![(322, 4, vec![1 << 31])], ..Layout::default() }),
        error(&Layout { tile: Some((16, 16)), set: vec![(323, 4, vec![0])], ..Layout::default() }),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    not a valid TIFF: its width is missing or 0
    too large: it has 360000000000 samples (4000000000 × 45 × 2, in strips of 4000000000 × 7), at most 16777216
    not a valid TIFF: tag 256 is empty
    too large: it has 18446744073709551615 samples (37 × 18446744073709551615 × 2, in strips of 37 × 7), at most 16777216
    not a valid TIFF: tag 256 has type 11, expected unsigned numbers
    not a valid TIFF: its strip 0 is too short: expected 14000 samples
    not a valid TIFF: its strip 0 is too long: expected 126 samples
    TIFF not supported: tag 258 differs between bands: 8, 16
    TIFF not supported: its samples are uint16, expected uint8
    TIFF not supported: its compression is 7; write it uncompressed or with LZW, Deflate, ZSTD or PackBits
    TIFF not supported: its colours are YCbCr, whose bands may differ in size
    too large: it has 109115775 samples (37 × 45 × 65535, in strips of 37 × 7), at most 16777216
    not a valid TIFF: its number of rows per strip is missing or 0
    not a valid TIFF: tag 273 has 7 values, expected 45
    not a valid TIFF: tag 279 has 2 values, expected 7
    not a valid TIFF: it is truncated: expected 4294967295 bytes at offset 8, the file has 3544 bytes
    not a valid TIFF: its planar configuration is 3
    TIFF not supported: its predictor is 3, expected 1 or 2
    TIFF not supported: its strip 0 has no data (a sparse file)
    not a valid TIFF: tag 273 is missing
    TIFF not supported: its bit order is reversed (FillOrder 2), expected 1
    too large: it has 206158430208 samples (37 × 45 × 2, in tiles of 2147483648 × 16), at most 16777216
    not a valid TIFF: its tile height is missing or 0
    ");
}

#[test]
fn chunks_of_a_wrong_length_are_errors() {
    // The stored rows are 37 samples of 2 bands; the width says otherwise.
    for compression in [1, 5, 8, 50_000, 32_773] {
        let wider = error(&Layout { compression, set: vec![(256, 3, vec![38])], ..Layout::default() });
        assert_eq!(wider, "not a valid TIFF: its strip 0 is too short: expected 532 samples", "{compression}");
        let narrower = error(&Layout { compression, set: vec![(256, 3, vec![36])], ..Layout::default() });
        assert_eq!(narrower, "not a valid TIFF: its strip 0 is too long: expected 504 samples", "{compression}");
    }
}

#[test]
fn a_directory_longer_than_the_file_is_an_error() {
    let claims = |order: &[u8], directory: &[u8]| decode(&[order, directory].concat(), &Limits::default()).unwrap_err();
    for error in [
        claims(b"II\x2a\0\x08\0\0\0", &[0xff, 0xff, 0, 0]),
        claims(b"II\x2a\0\xff\xff\xff\xff", &[]),
        claims(b"MM\0\x2b\0\x08\0\0", &[0, 0, 0, 0, 0, 0, 0, 16, 255, 255, 255, 255, 255, 255, 255, 255]),
        claims(b"MM\0\x2b\0\x08\0\0", &[255; 8]),
        claims(b"MM\0\x2b\0\x04\0\0", &[0; 8]),
        claims(b"II\x2a\0", &[]),
        claims(b"", b""),
    ] {
        assert!(matches!(error, RasterError::Format(_)), "{error}");
    }
}

#[test]
fn a_cycle_of_directories_is_not_followed() {
    // Only the first image is read: the offset at the end of its directory is not followed.
    for layout in [Layout::default(), Layout { is_big_tiff: true, ..Layout::default() }] {
        let raster = raster(1, 7, 37);
        let mut file = layout.write(&raster);
        let (at, word) = if layout.is_big_tiff { (8, 8) } else { (4, 4) };
        let directory = file[at..at + word].to_vec();
        let end = file.len() - word;
        file[end..].copy_from_slice(&directory);
        assert_eq!(decode(&file, &Limits::default()).unwrap(), raster);
        assert_eq!(header(&file, &Limits::default()).unwrap().height, 7);
    }
    // The directory as its own strip, and every tag's values in the directory itself.
    let file = Layout { set: vec![(273, 4, vec![0; 7]), (279, 4, vec![3; 7])], ..Layout::default() };
    assert!(decode(&file.write(&raster(2, 45, 37)), &Limits::default()).is_err());
}

#[test]
fn the_largest_sizes_are_claims_only() {
    // 2^32 - 1 in a classic TIFF, more in a BigTIFF: nothing is reserved for them, in strips or in tiles.
    let start = std::time::Instant::now();
    for (kind, side) in [(4, u64::from(u32::MAX)), (16, 1 << 32), (16, u64::MAX)] {
        for tile in [None, Some((16, 16))] {
            let set = vec![(256, kind, vec![side]), (257, kind, vec![side])];
            let layout = Layout { set, tile, is_big_tiff: kind == 16, ..Layout::default() };
            let file = layout.write(&raster(2, 45, 37));
            // With any limits: data that are not in the file cannot be decoded.
            for limits in [Limits::default(), Limits { file_bytes: u64::MAX, samples: u64::MAX - 1 }] {
                assert!(
                    matches!(decode(&file, &limits), Err(RasterError::Limits(_) | RasterError::Format(_))),
                    "{layout:?}"
                );
            }
        }
    }
    // In one strip, and the caller allows everything.
    let side = u64::from(u32::MAX);
    let set = [(256, side), (257, side), (277, 1), (273, 8), (278, side), (279, 100)];
    let set: Vec<_> = set.into_iter().map(|(tag, value)| (tag, 4, vec![value])).collect();
    let all = Limits { file_bytes: u64::MAX, samples: u64::MAX };
    let file = Layout { set, ..Layout::default() }.write(&raster(1, 45, 37));
    assert!(matches!(decode(&file, &all), Err(RasterError::Limits(_))));
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn a_file_of_tiny_chunks_is_rejected_fast() {
    // A million strips of one sample each, all of the same few bytes, which a zip would store in next to nothing.
    let rows = 1 << 20;
    let set = vec![(256, 3, vec![1]), (257, 4, vec![rows]), (258, 3, vec![8]), (277, 3, vec![1]), (278, 3, vec![1])];
    let strips = vec![(273, 3, vec![8; 1 << 20]), (279, 1, vec![9; 1 << 20])];
    for compression in [5, 8, 50_000] {
        let layout = Layout { compression, set: [set.clone(), strips.clone()].concat(), ..Layout::default() };
        let error = decode(&layout.write(&raster(1, 1, 1)), &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "too large: it has 1048576 strips, at most 4096");
    }
    assert!(decode(&Layout { rows: 1, ..Layout::default() }.write(&raster(1, 4096, 1)), &Limits::default()).is_ok());
}

#[test]
fn damaged_zstd_data_are_reported_in_words() {
    let raster = raster(1, 45, 37);
    let file = Layout { compression: 50_000, ..Layout::default() }.write(&raster);
    let mut errors = std::collections::BTreeSet::new();
    // The strips begin directly after the file's 8 bytes.
    for at in 8..400.min(file.len()) {
        let mut damaged = file.clone();
        damaged[at] ^= 0xff;
        if let Err(error) = decode(&damaged, &Limits::default()) {
            errors.insert(error.to_string());
        }
    }
    assert!(
        errors.contains("not a valid TIFF: its ZSTD data are invalid: they are damaged or truncated"),
        "{errors:#?}"
    );
    // The decoder's own messages name its types: `HuffmanTableError(…)`, `BadMagicNumber { … }`.
    let is_debug = |error: &&String| error.contains(['{', '(']) || error.contains("Error");
    assert_eq!(errors.iter().find(is_debug), None);
}

#[test]
fn a_claimed_zstd_window_is_not_allocated() {
    let raster = raster(1, 7, 37);
    let mut file = Layout { compression: 50_000, ..Layout::default() }.write(&raster);
    // The one strip begins directly after the file's 8 bytes: magic number, flags, window descriptor.
    assert_eq!((&file[8..12], file[12] & 0x20), (&[0x28, 0xb5, 0x2f, 0xfd][..], 0));
    file[13] = 31 << 3;
    assert_eq!(decode(&file, &Limits::default()).unwrap(), raster);
}

#[test]
fn limits_hold() {
    let file = Layout::default().write(&raster(2, 45, 37));
    let exact = Limits { file_bytes: file.len() as u64, samples: 2 * 45 * 37 };
    assert!(decode(&file, &exact).is_ok());
    for limits in [Limits { file_bytes: exact.file_bytes - 1, ..exact }, Limits { samples: exact.samples - 1, ..exact }]
    {
        assert!(matches!(decode(&file, &limits), Err(RasterError::Limits(_))));
        assert!(matches!(header(&file, &limits), Err(RasterError::Limits(_))));
    }
}

fn any_layout() -> impl Strategy<Value = Layout> {
    let codecs = prop_oneof![Just(1), Just(5), Just(8), Just(50_000_u16), Just(32_773)];
    let tile = prop_oneof![Just(None), Just(Some((16, 16)))];
    (codecs, tile, any::<[bool; 4]>()).prop_map(|(compression, tile, [planar, order, big, difference])| Layout {
        is_planar: planar,
        is_big_endian: order,
        is_big_tiff: big,
        predictor: if difference && ![1, 32_773].contains(&compression) { 2 } else { 1 },
        compression,
        tile,
        ..Layout::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn broken_bytes_never_panic(layout in any_layout(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), cut in any::<prop::sample::Index>(), is_cut: bool) {
        let mut file = layout.write(&raster(3, 20, 18));
        for (at, value) in changes {
            let at = at.index(file.len());
            file[at] = value;
        }
        if is_cut {
            file.truncate(cut.index(file.len()));
        }
        let limits = Limits { file_bytes: 1 << 20, samples: 1 << 20 };
        let _ = (extras(&file, &limits), peek(&file, &limits));
        if let Ok(raster) = decode(&file, &limits) {
            prop_assert_eq!(raster.samples().len(), raster.bands() * raster.height() * raster.width());
        }
    }

    #[test]
    fn any_truncation_is_an_error(layout in any_layout(), cut in any::<prop::sample::Index>()) {
        // The directory is at the end, so a shorter file always lacks a part of it.
        let file = layout.write(&raster(3, 20, 18));
        let next = if layout.is_big_tiff { 8 } else { 4 };
        let cut = cut.index(file.len() - next);
        prop_assert!(decode(&file[..cut], &Limits::default()).is_err());
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300), start in 0..4_usize) {
        let start: &[u8] = [&b"II\x2a\0"[..], b"MM\0\x2a", b"II\x2b\0\x08\0\0\0", b""][start];
        let (file, limits) = ([start, &noise].concat(), Limits { file_bytes: 1 << 20, samples: 1 << 20 });
        let _ = (decode(&file, &limits), extras(&file, &limits), peek(&file, &limits));
    }
}
