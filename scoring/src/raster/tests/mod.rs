//! Every layout that a TIFF may have, written here by hand; files of other writers; broken files.

mod grid;
mod hostile;
mod layouts;
mod seeds;
mod writer;

use proptest::prelude::*;

use super::*;

/// A raster whose samples have both runs and noise, so that every compression has something to do.
pub(super) fn raster(bands: usize, height: usize, width: usize) -> Raster {
    let mut state = 12_345_u32;
    let samples = (0..bands * height * width)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i / 37 % 3 == 0 { 7 } else { state.to_le_bytes()[3] }
        })
        .collect();
    Raster::new(bands, height, width, samples).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(bands in 1..6_usize, height in 1..40_usize, width in 1..40_usize, seed: u8, classes in 1..=255_u8) {
        let samples = (0..bands * height * width).map(|i| (i.wrapping_mul(i) + usize::from(seed)).to_le_bytes()[0] % classes).collect();
        let raster = Raster::new(bands, height, width, samples).unwrap();
        prop_assert_eq!(decode(&encode(&raster), &Limits::default()).unwrap(), raster);
    }
}

#[test]
fn many_strips_and_full_code_tables_survive() {
    let raster = raster(5, 301, 257);
    assert_eq!(decode(&encode(&raster), &Limits::default()).unwrap(), raster);
}

#[test]
fn a_file_is_written_whole_and_read_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("predictions/PRED_000001.tif");
    let raster = raster(1, 64, 48);
    write(&path, &raster).unwrap();
    assert_eq!(read(&path, &Limits::default()).unwrap(), raster);

    let missing = read(&dir.path().join("none.tif"), &Limits::default()).unwrap_err();
    assert!(matches!(missing.error, RasterError::Io(_)));
    assert!(missing.to_string().contains("none.tif"), "{missing}");
    let small = Limits { file_bytes: 100, ..Limits::default() };
    assert!(matches!(read(&path, &small).unwrap_err().error, RasterError::Limits(_)));
    std::fs::write(&path, b"MSK").unwrap();
    let broken = read(&path, &Limits::default()).unwrap_err().to_string();
    assert!(
        broken.ends_with("PRED_000001.tif`: not a valid TIFF: it does not start with a TIFF signature"),
        "{broken}"
    );
}

#[test]
fn a_raster_is_as_large_as_it_says() {
    assert!(Raster::new(1, 2, 3, vec![0; 6]).is_some());
    assert!(Raster::new(1, 2, 3, vec![0; 5]).is_none());
    assert!(Raster::new(0, 2, 3, vec![]).is_none());
    assert!(Raster::new(usize::MAX, 2, 3, vec![0; 6]).is_none());
    assert!(Raster::new(65_536, 1, 1, vec![0; 65_536]).is_none());
}

/// The same patches in two encodings: `flair2-geotiff` (tiles, ZSTD, differences) beside the sample (strips, LZW).
#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_sample_and_geotiff_are_the_same_pixels() {
    let sample = std::path::PathBuf::from(std::env::var("FLAIR_BENCH_SAMPLE").unwrap());
    let rasters = |folder: &Path| -> std::collections::BTreeMap<_, _> {
        walkdir::WalkDir::new(folder)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "tif"))
            .map(|entry| (entry.file_name().to_owned(), entry.into_path()))
            .collect()
    };
    let ours = rasters(&sample);
    assert!(!ours.is_empty(), "no raster below {}", sample.display());
    let twins = rasters(&sample.parent().unwrap().join("flair2-geotiff"));
    for (name, path) in &ours {
        let raster = read(path, &Limits::default()).unwrap();
        assert_eq!((raster.height(), raster.width()), (crate::PATCH_SIZE, crate::PATCH_SIZE), "{name:?}");
        if let Some(twin) = twins.get(name) {
            assert_eq!(raster, read(twin, &Limits::default()).unwrap(), "{name:?}");
        }
        assert_eq!(raster, decode(&encode(&raster), &Limits::default()).unwrap(), "{name:?}");
    }
}
