//! Tiny datasets in the official layout, made for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flair_scoring::{
    PATCH_SIZE, PatchId,
    raster::{self, Raster},
};
use tempfile::TempDir;

use super::{Part, npy::forged::npy};

/// A dataset that is written piece by piece.
pub(crate) struct Fixture {
    folder: TempDir,
}

/// A super-area to be written: uint16, with one mask value an acquisition and layer.
pub(crate) struct Series {
    /// Rows and columns.
    pub(crate) side: usize,
    /// For each acquisition its date, `MMDD`, and the probabilities of snow and of clouds, everywhere.
    pub(crate) acquisitions: Vec<(&'static str, u8, u8)>,
}

/// Value of a super-area at `[t, c, row, column]`: neighbours along every axis differ, so that a wrong index shows.
pub(crate) fn stored(t: usize, c: usize, row: usize, column: usize) -> u16 {
    u16::try_from((t * 7_919 + c * 523 + row * 61 + column * 3) % 60_000).unwrap()
}

pub(crate) fn id(number: u32) -> PatchId {
    PatchId::new(number).unwrap()
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the root.
    pub(crate) fn file(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes an aerial image, each band of one value, and a mask of label 1 and, in its first row, 19.
    pub(crate) fn patch(&self, part: Part, zone: &str, number: u32) -> &Self {
        let (aerial, _, labels) = folders(part);
        let pixels = PATCH_SIZE * PATCH_SIZE;
        let bands = [0u8, 51, 102, 204, 255].iter().flat_map(|band| vec![*band; pixels]).collect();
        let image = Raster::new(5, PATCH_SIZE, PATCH_SIZE, bands).unwrap();
        raster::write(&self.root().join(format!("{aerial}/{zone}/img/{}", id(number).file_name("IMG"))), &image)
            .unwrap();
        let mask = (0..pixels).map(|i| if i < PATCH_SIZE { 19 } else { 1 }).collect();
        let mask = Raster::new(1, PATCH_SIZE, PATCH_SIZE, mask).unwrap();
        raster::write(&self.root().join(format!("{labels}/{zone}/msk/{}", id(number).file_name("MSK"))), &mask)
            .unwrap();
        self
    }

    /// Writes a super-area.
    pub(crate) fn series(&self, part: Part, zone: &str, series: &Series) -> &Self {
        let (_, sen, _) = folders(part);
        let stem = format!("{sen}/{zone}/sen/SEN2_sp_{}", zone.replace('/', "-"));
        let (t, side) = (series.acquisitions.len(), series.side);
        let mut data = Vec::new();
        for t in 0..t {
            for c in 0..10 {
                let values = (0..side * side).map(|i| stored(t, c, i / side, i % side));
                data.extend(values.flat_map(u16::to_le_bytes));
            }
        }
        self.file(&format!("{stem}_data.npy"), &npy("<u2", &[t, 10, side, side], &data));
        let masks: Vec<u8> = series.acquisitions.iter().flat_map(|(_, snow, clouds)| [*snow, *clouds]).collect();
        let masks: Vec<u8> = masks.into_iter().flat_map(|p| vec![p; side * side]).collect();
        self.file(&format!("{stem}_masks.npy"), &npy("|u1", &[t, 2, side, side], &masks));
        let products = series.acquisitions.iter().map(|(day, ..)| format!("S2A_MSIL2A_2021{day}T105021_N0300_R051"));
        self.file(&format!("{stem}_products.txt"), products.collect::<Vec<_>>().join("\n").as_bytes());
        self
    }

    /// Writes the centroids.
    pub(crate) fn centroids(&self, centroids: &[(u32, [i64; 2])]) -> &Self {
        let entries = centroids.iter().map(|(number, [r, c])| format!("\"IMG_{number:06}.tif\": [{r}, {c}]"));
        let text = format!("{{{}}}", entries.collect::<Vec<_>>().join(", "));
        self.file("flair-2_centroids_sp_to_patch.json", text.as_bytes());
        self
    }

    /// Writes the metadata, the same for each patch.
    pub(crate) fn metadata(&self, numbers: &[u32]) -> &Self {
        let entry = r#"{"date": "2021-06-01", "time": "10h25", "camera": "UCE",
            "patch_centroid_x": 500000.0, "patch_centroid_y": 6500000, "patch_centroid_z": 100.5}"#;
        let entries = numbers.iter().map(|number| format!("\"IMG_{number:06}\": {entry}"));
        let text = format!("{{{}}}", entries.collect::<Vec<_>>().join(", "));
        self.file("flair_aerial_metadata.json", text.as_bytes());
        self
    }
}

fn folders(part: Part) -> (&'static str, &'static str, &'static str) {
    match part {
        Part::Train => ("flair_aerial_train", "flair_sen_train", "flair_labels_train"),
        Part::Test => ("flair_2_aerial_test", "flair_2_sen_test", "flair_2_labels_test"),
    }
}
