//! A network's inputs of one patch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::{Path, PathBuf},
};

use flair_scoring::{Finding, PatchId, files::sha256};
use rayon::prelude::*;

use super::{
    DataCode, DataError, Dataset, PatchRecord, SuperAreaPaths, SuperPatch, aerial,
    fingerprint::fingerprint,
    json::read_by_patch,
    metadata::{AerialMetadata, MetadataSettings},
    sentinel::{SeriesSettings, SuperArea},
};

/// The inputs of a network besides the aerial image, and their preprocessing.
#[derive(Clone, Copy, Debug)]
pub struct InputSettings {
    /// Settings of the Sentinel-2 series; `None` for a network without it.
    pub series: Option<SeriesSettings>,
    /// Settings of the metadata; `None` for a network without them.
    pub metadata: Option<MetadataSettings>,
}

/// A network's inputs of one patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The patch.
    pub id: PatchId,
    /// The aerial image: `[5, 512, 512]`, f32, `0..=1`.
    pub aerial: Vec<f32>,
    /// The Sentinel-2 series, if the model uses it.
    pub series: Option<SuperPatch>,
    /// The encoded metadata, `[geo_enc_size + 13]`, if the model uses them.
    pub metadata: Option<Vec<f32>>,
}

/// Opened super-areas, or the errors of opening them.
type Areas<'a> = BTreeMap<&'a SuperAreaPaths, Result<SuperArea, String>>;

/// The files that [`Preprocessor::identity`] covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// The network's inputs.
    Inputs,
    /// The masks too.
    InputsAndMasks,
}

/// Makes samples of a dataset's patches. Threads can share it.
#[derive(Debug)]
pub struct Preprocessor<'a> {
    dataset: &'a Dataset,
    series: Option<(SeriesSettings, BTreeMap<PatchId, [i64; 2]>)>,
    metadata: Option<(MetadataSettings, BTreeMap<PatchId, AerialMetadata>)>,
}

impl<'a> Preprocessor<'a> {
    /// Reads the JSON files that the model needs: centroids, metadata.
    ///
    /// # Errors
    /// If a required JSON file is missing or cannot be read.
    pub fn new(settings: &InputSettings, dataset: &'a Dataset) -> Result<Self, DataError> {
        let is_wanted = |id| dataset.patches.contains_key(&id);
        let missing = |name, key| move || DataError::NoJson { name, key };
        let series = match settings.series {
            None => None,
            Some(series) => {
                let path = dataset
                    .centroids
                    .as_ref()
                    .ok_or_else(missing("centroids_sp_to_patch", "data.path_sp_centroids"))?;
                Some((series, read_by_patch(path, is_wanted)?))
            }
        };
        let metadata = match settings.metadata {
            None => None,
            Some(metadata) => {
                let path =
                    dataset.metadata.as_ref().ok_or_else(missing("aerial_metadata", "data.path_metadata_aerial"))?;
                Some((metadata, read_by_patch(path, is_wanted)?))
            }
        };
        Ok(Self { dataset, series, metadata })
    }

    /// The inputs of a patch.
    ///
    /// # Errors
    /// If the dataset lacks an input of this patch, or one of its files cannot be read.
    pub fn sample(&self, id: PatchId) -> Result<Sample, DataError> {
        let record = self.record(id)?;
        let image = record.image.as_ref().ok_or_else(|| missing(id, "aerial image", format!("add IMG_{id}.tif")))?;
        let series = self.series.as_ref().map(|(settings, centroids)| {
            let (centroid, paths) = centroid_and_area(record, centroids)?;
            SuperArea::open(paths)?.around(id, centroid, settings)
        });
        Ok(Sample { id, aerial: aerial::read_image(image)?, series: series.transpose()?, metadata: self.metadata(id)? })
    }

    /// Problems that would make [`sample`](Self::sample) fail for any of these patches. Checks file names, JSON entries
    /// and the headers of the super-areas before a long run, without reading pixels.
    pub fn problems(&self, ids: &[PatchId]) -> Vec<Finding> {
        // Patches share their super-areas: each is opened once.
        let mut areas = BTreeMap::new();
        let mut findings = Vec::new();
        for &id in ids {
            findings.extend(
                self.problem(id, &mut areas)
                    .err()
                    .map(|error| DataCode::UnusablePatch.finding(id.to_string(), error.to_string())),
            );
        }
        findings
    }

    fn problem(&self, id: PatchId, areas: &mut Areas<'a>) -> Result<(), DataError> {
        let record = self.record(id)?;
        let image = record.image.as_ref().ok_or_else(|| missing(id, "aerial image", format!("add IMG_{id}.tif")))?;
        std::fs::metadata(image).map_err(DataError::io(image))?;
        if let Some((settings, centroids)) = &self.series {
            let (centroid, paths) = centroid_and_area(record, centroids)?;
            let area = areas.entry(paths).or_insert_with(|| SuperArea::open(paths).map_err(|error| error.to_string()));
            match area {
                Ok(area) => area.window(id, centroid, settings.size)?,
                Err(reason) => return Err(DataError::SuperArea(reason.clone())),
            };
        }
        self.metadata(id).map(drop)
    }

    /// The classes of a patch, `[512, 512]`, u8, `0..=12`; `None` if it has no mask.
    ///
    /// # Errors
    /// If the dataset has no such patch, or its mask cannot be read.
    pub fn mask(&self, id: PatchId) -> Result<Option<Vec<u8>>, DataError> {
        self.record(id)?.mask.as_deref().map(aerial::read_mask).transpose()
    }

    /// The identity of all data that the network gets of these patches: SHA-256 in hex of their numbers, centroids and
    /// metadata, and of the content of their files. Of files over 256 KiB, only size, modification time and some blocks
    /// are read.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn identity(&self, ids: &[PatchId], files: Files) -> Result<String, DataError> {
        let records: Vec<_> = ids.iter().filter_map(|id| self.dataset.patches.get(id)).collect();
        let mut paths = BTreeSet::new();
        for record in &records {
            paths.extend(record.image.as_deref());
            paths.extend(record.mask.as_deref().filter(|_| files == Files::InputsAndMasks));
            if let Some(area) = record.sentinel.as_deref().filter(|_| self.series.is_some()) {
                paths.extend([&area.data, &area.masks, &area.products].map(PathBuf::as_path));
            }
        }
        let paths: Vec<&Path> = paths.into_iter().collect();
        let prints = paths.into_par_iter().map(|path| Ok((path, fingerprint(path).map_err(DataError::io(path))?)));
        let prints = prints.collect::<Result<BTreeMap<_, _>, DataError>>()?;
        let mut text = String::new();
        for record in records {
            let id = record.id;
            let centroid = self.series.as_ref().and_then(|(_, centroids)| centroids.get(&id));
            let metadata = self.metadata.as_ref().and_then(|(_, entries)| entries.get(&id));
            let area = record.sentinel.as_deref().map(|area| [&area.data, &area.masks, &area.products]);
            let files =
                [record.image.as_ref(), record.mask.as_ref()].into_iter().flatten().chain(area.into_iter().flatten());
            let files: Vec<_> = files.map(|path| prints.get(path.as_path())).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{id} {centroid:?} {metadata:?} {files:?}");
        }
        sha256(text.as_bytes()).map_err(DataError::io(Path::new("the identity of the data")))
    }

    /// A patch's encoded metadata, if the model uses them.
    fn metadata(&self, id: PatchId) -> Result<Option<Vec<f32>>, DataError> {
        let Some((settings, entries)) = &self.metadata else { return Ok(None) };
        let entry = entries.get(&id).ok_or_else(|| missing(id, "metadata", format!("add IMG_{id} to them")))?;
        entry.encode(id, settings.geo_enc_size, settings.fidelity).map(Some)
    }

    fn record(&self, id: PatchId) -> Result<&'a PatchRecord, DataError> {
        self.dataset.patches.get(&id).ok_or_else(|| missing(id, "files", "check the dataset".to_owned()))
    }
}

/// A patch's centroid and the files of its super-area.
fn centroid_and_area<'a>(
    record: &'a PatchRecord,
    centroids: &BTreeMap<PatchId, [i64; 2]>,
) -> Result<([i64; 2], &'a SuperAreaPaths), DataError> {
    let id = record.id;
    let centroid = centroids
        .get(&id)
        .ok_or_else(|| missing(id, "centroid in its super-area", format!("add IMG_{id}.tif to the centroids")))?;
    let area = record.sentinel.as_ref().ok_or_else(|| {
        missing(id, "super-area", format!("add the Sentinel-2 files of {}/{}", record.domain, record.zone))
    })?;
    Ok((*centroid, area))
}

fn missing(patch: PatchId, what: &'static str, fix: String) -> DataError {
    DataError::Missing { patch, what, fix }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::{
        Fidelity, Part,
        fixture::{Fixture, Series, id},
    };

    const ZONE: &str = "D004_2021/Z1_UA";

    fn series() -> SeriesSettings {
        let ref_date = "05-15".parse().unwrap();
        SeriesSettings { size: 40, filter_clouds: false, average_month: false, ref_date, ref_year: 2021 }
    }

    fn inputs(series: Option<SeriesSettings>, geo_enc_size: Option<usize>) -> InputSettings {
        let metadata = geo_enc_size.map(|size| MetadataSettings { geo_enc_size: size, fidelity: Fidelity::Upstream });
        InputSettings { series, metadata }
    }

    fn fixture() -> Fixture {
        let fixture = Fixture::new();
        fixture.patch(Part::Train, ZONE, 1).patch(Part::Train, ZONE, 2);
        fixture.series(Part::Train, ZONE, &Series { side: 64, acquisitions: vec![("0105", 0, 0), ("0301", 0, 0)] });
        fixture
    }

    #[test]
    fn a_model_gets_its_inputs_only() {
        let fixture = fixture();
        fixture.centroids(&[(1, [30, 31]), (2, [20, 44])]).metadata(&[1, 2]);
        let dataset = Dataset::discover(fixture.root()).unwrap();
        let averaged = SeriesSettings { filter_clouds: true, average_month: true, ..series() };
        for (settings, t, values) in [
            (inputs(None, None), None, None),
            (inputs(None, Some(32)), None, Some(45)),
            (inputs(Some(series()), None), Some(2), None),
            (inputs(Some(averaged), Some(64)), Some(2), Some(77)),
        ] {
            let preprocessor = Preprocessor::new(&settings, &dataset).unwrap();
            for patch in [1, 2] {
                let sample = preprocessor.sample(id(patch)).unwrap();
                assert_eq!(sample.aerial.len(), 5 * 512 * 512);
                assert_eq!(sample.series.map(|series| series.t), t);
                assert_eq!(sample.metadata.map(|values| values.len()), values);
                assert_eq!(preprocessor.mask(id(patch)).unwrap().unwrap().len(), 512 * 512);
            }
        }
    }

    #[test]
    fn the_identity_is_of_what_the_network_gets() {
        let fixture = fixture();
        fixture.centroids(&[(1, [30, 31]), (2, [20, 44])]).metadata(&[1, 2]);
        let identity = |preset: &str, files| {
            let dataset = Dataset::discover(fixture.root()).unwrap();
            let inputs = match preset {
                "unet-mtd-aug" => inputs(None, Some(32)),
                "utt" => inputs(Some(series()), None),
                _ => inputs(None, None),
            };
            let preprocessor = Preprocessor::new(&inputs, &dataset).unwrap();
            preprocessor.identity(&[id(1)], files).unwrap()
        };
        let all = || {
            let presets = ["unet", "unet-mtd-aug", "utt"].map(|preset| identity(preset, Files::Inputs));
            (presets, identity("unet", Files::InputsAndMasks))
        };
        let before = all();
        assert_eq!(all(), before);
        // The position of another patch, and spaces.
        fixture.centroids(&[(1, [30, 31]), (2, [1, 1])]);
        assert_eq!(all(), before);
        fixture.centroids(&[(1, [30, 30]), (2, [20, 44])]);
        let ([unet, metadata, utt], masks) = all();
        assert!(utt != before.0[2] && [unet, metadata] == before.0[..2] && masks == before.1);
        fixture.metadata(&[1]);
        let path = fixture.root().join("flair_aerial_metadata.json");
        let text = fs::read_to_string(&path).unwrap().replace("10h25", "10h26");
        fs::write(path, text).unwrap();
        let ([unet, metadata, _], _) = all();
        assert!(metadata != before.0[1] && unet == before.0[0]);
        // A regenerated mask, and a regenerated series, of the same size.
        let before = all();
        let change = |path: &str| {
            let path = fixture.root().join(path);
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        };
        change(&format!("flair_labels_train/{ZONE}/msk/MSK_000001.tif"));
        let after = all();
        assert!(after.0 == before.0 && after.1 != before.1);
        change(&format!("flair_sen_train/{ZONE}/sen/SEN2_sp_D004_2021-Z1_UA_data.npy"));
        let ([unet, _, utt], _) = all();
        assert!(unet == before.0[0] && utt != before.0[2]);
        change(&format!("flair_aerial_train/{ZONE}/img/IMG_000001.tif"));
        assert!(all().0[0] != before.0[0]);
    }

    #[test]
    fn missing_inputs_are_errors() {
        let fixture = fixture();
        fixture.patch(Part::Train, "D004_2021/Z2_UA", 3);
        let error = |geo_enc_size: Option<usize>, patch: u32| {
            let dataset = Dataset::discover(fixture.root()).unwrap();
            let preprocessor = Preprocessor::new(&inputs(Some(series()), geo_enc_size), &dataset);
            preprocessor.and_then(|p| p.sample(id(patch))).unwrap_err().to_string()
        };
        insta::assert_snapshot!(error(None, 1), @"the dataset has no file `*centroids_sp_to_patch*.json`: add it to the dataset's folder, or set `data.path_sp_centroids`");
        fixture.centroids(&[(1, [30, 31]), (3, [30, 30])]);
        insta::assert_snapshot!(error(None, 2), @"patch 000002 has no centroid in its super-area: add IMG_000002.tif to the centroids");
        insta::assert_snapshot!(error(None, 3), @"patch 000003 has no super-area: add the Sentinel-2 files of D004_2021/Z2_UA");
        insta::assert_snapshot!(error(None, 4), @"patch 000004 has no files: check the dataset");
        insta::assert_snapshot!(error(Some(32), 1), @"the dataset has no file `*aerial_metadata*.json`: add it to the dataset's folder, or set `data.path_metadata_aerial`");
        fixture.metadata(&[2]);
        insta::assert_snapshot!(error(Some(32), 1), @"patch 000001 has no metadata: add IMG_000001 to them");
        fs::remove_file(fixture.root().join("flair_aerial_train").join(ZONE).join("img/IMG_000001.tif")).unwrap();
        insta::assert_snapshot!(error(None, 1), @"patch 000001 has no aerial image: add IMG_000001.tif");
    }
}
