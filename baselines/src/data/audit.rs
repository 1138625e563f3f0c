//! Looking a dataset through: what there is, and what is wrong with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flair_scoring::{Event, Finding, PatchId, Progress};
use rayon::prelude::*;
use serde::Serialize;

use super::{
    Dataset, Part, PatchRecord, SuperAreaPaths, aerial,
    json::read_by_patch,
    metadata::AerialMetadata,
    npy::Dtype,
    sentinel::SuperArea,
    splits::{OFFICIAL_PATCHES, TEST_DOMAINS, TRAIN_DOMAINS},
};
use crate::config::Fidelity;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Names, JSON files, headers of the super-areas, lists of products.
    Headers,
    /// All that, and every aerial image and mask pixel by pixel.
    Pixels,
}

/// What a dataset holds, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Each domain of each part, in order.
    pub domains: Vec<DomainCounts>,
    /// All that was found.
    pub findings: Vec<Finding>,
}

/// What a domain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DomainCounts {
    /// The part.
    pub part: Part,
    /// Its name.
    pub domain: String,
    /// Patches that it has as published; `None` where that is not known.
    pub official: Option<usize>,
    /// Its zones, in order of their names.
    pub zones: Vec<ZoneCounts>,
}

/// What a zone holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ZoneCounts {
    /// Its name.
    pub zone: String,
    /// Aerial images.
    pub images: usize,
    /// Masks.
    pub masks: usize,
    /// The shape of its super-area, acquisitions × bands × rows × columns; `None` where it has none.
    pub super_area: Option<[usize; 4]>,
}

impl DomainCounts {
    /// Number of aerial images.
    pub fn images(&self) -> usize {
        self.zones.iter().map(|zone| zone.images).sum()
    }

    /// Number of masks.
    pub fn masks(&self) -> usize {
        self.zones.iter().map(|zone| zone.masks).sum()
    }
}

impl Part {
    /// Number of patches as published.
    pub fn official_patches(self) -> usize {
        match self {
            Self::Train => 61_712,
            Self::Test => 16_050,
        }
    }
}

/// Looks a dataset through, with a crop of `crop_size` pixels in mind. What is wrong is found, not failed upon.
pub fn audit(dataset: &Dataset, crop_size: usize, depth: Depth, progress: &dyn Progress) -> AuditReport {
    let mut audit = Audit { dataset, findings: dataset.findings.clone(), areas: BTreeMap::new() };
    audit.open_super_areas();
    audit.check_files();
    audit.check_centroids(crop_size);
    audit.check_metadata();
    audit.check_counts();
    if depth == Depth::Pixels {
        audit.read_pixels(progress);
    }
    AuditReport { domains: audit.counts(), findings: audit.findings }
}

struct Audit<'a> {
    dataset: &'a Dataset,
    findings: Vec<Finding>,
    areas: BTreeMap<&'a Arc<SuperAreaPaths>, SuperArea>,
}

impl<'a> Audit<'a> {
    fn records(&self) -> impl Iterator<Item = &'a PatchRecord> + use<'a> {
        self.dataset.patches.values()
    }

    fn open_super_areas(&mut self) {
        let all: BTreeSet<_> = self.records().filter_map(|record| record.sentinel.as_ref()).collect();
        for paths in all {
            let subject = paths.data.display().to_string();
            match SuperArea::open(paths) {
                Ok(area) => {
                    if area.data().dtype() != Dtype::Unsigned(2) {
                        let message = format!("its numbers are {}, the dataset's are uint16", area.data().dtype());
                        self.findings.push(Finding::note("unusual-dtype", subject, message));
                    }
                    if !area.dates().is_sorted() {
                        let message = "its products are not in order of their dates".to_owned();
                        self.findings.push(Finding::note(
                            "unsorted-products",
                            paths.products.display().to_string(),
                            message,
                        ));
                    }
                    self.areas.insert(paths, area);
                }
                Err(error) => self.findings.push(Finding::error("unusable-super-area", subject, error.to_string())),
            }
        }
    }

    fn check_files(&mut self) {
        self.lacking("missing-image", "no aerial image", |record| record.image.is_none());
        self.lacking("missing-mask", "no mask", |record| record.mask.is_none());
        self.lacking("missing-super-area", "no Sentinel-2 super-area", |record| record.sentinel.is_none());
    }

    fn check_centroids(&mut self, crop_size: usize) {
        let Some(path) = &self.dataset.centroids else {
            let message = "there is no file *centroids_sp_to_patch*.json: U-T&T cannot be used";
            return self.findings.push(Finding::warning("missing-centroids", "the dataset", message));
        };
        match read_by_patch::<[i64; 2]>(path, |id| self.dataset.patches.contains_key(&id)) {
            Err(error) => {
                self.findings.push(Finding::error("unusable-centroids", path.display().to_string(), error.to_string()));
            }
            Ok(centroids) => {
                self.lacking("missing-centroid", "no place in their super-area", |r| !centroids.contains_key(&r.id));
                for record in self.records() {
                    let area = record.sentinel.as_ref().and_then(|paths| self.areas.get(paths));
                    let Some((area, centroid)) = area.zip(centroids.get(&record.id)) else { continue };
                    if let Err(error) = area.window(record.id, *centroid, crop_size) {
                        let subject = record.id.file_name("IMG");
                        self.findings.push(Finding::error("outside-super-area", subject, error.to_string()));
                    }
                }
            }
        }
    }

    fn check_metadata(&mut self) {
        let Some(path) = &self.dataset.metadata else {
            let message = "there is no file *aerial_metadata*.json: `aerial_metadata` cannot be used";
            return self.findings.push(Finding::warning("missing-metadata-file", "the dataset", message));
        };
        match read_by_patch::<AerialMetadata>(path, |id| self.dataset.patches.contains_key(&id)) {
            Err(error) => {
                self.findings.push(Finding::error("unusable-metadata", path.display().to_string(), error.to_string()));
            }
            Ok(entries) => {
                self.lacking("missing-metadata", "no metadata", |record| !entries.contains_key(&record.id));
                for (id, entry) in &entries {
                    if let Err(error) = entry.encode(*id, 32, Fidelity::Upstream) {
                        self.findings.push(Finding::error("unusable-metadata", id.file_name("IMG"), error.to_string()));
                    }
                }
            }
        }
    }

    fn check_counts(&mut self) {
        for part in [Part::Train, Part::Test] {
            let patches = self.dataset.of_part(part).count();
            if patches > 0 && patches != part.official_patches() {
                let message = format!("it holds {patches} of {} patches", part.official_patches());
                self.findings.push(Finding::note("part-of-the-dataset", name(part), message));
            }
            let official: &[&str] = if part == Part::Train { &TRAIN_DOMAINS } else { &TEST_DOMAINS };
            for domain in self.dataset.domains(part).into_iter().filter(|domain| !official.contains(domain)) {
                let subject = format!("{}/{domain}", name(part));
                let message = format!("the published {} part has no such domain", name(part));
                self.findings.push(Finding::warning("unknown-domain", subject, message));
            }
        }
    }

    fn read_pixels(&mut self, progress: &dyn Progress) {
        let files = |record: &&PatchRecord| u64::from(record.image.is_some()) + u64::from(record.mask.is_some());
        let steps = self.dataset.patches.values().map(|record| files(&record)).sum();
        progress.event(Event::Started { stage: "reading rasters", steps });
        let found: Vec<Vec<Finding>> = self
            .dataset
            .patches
            .par_iter()
            .map(|(id, record)| {
                let image = record.image.as_deref().map(|path| (path, aerial::read_image(path).err()));
                let mask = record.mask.as_deref().map(|path| (path, aerial::read_mask(path).err()));
                let unusable = [image, mask].into_iter().flatten().filter_map(|(path, error)| {
                    progress.event(Event::Step { patch: Some(*id) });
                    Some(Finding::error("unusable-raster", path.display().to_string(), error?.to_string()))
                });
                unusable.collect()
            })
            .collect();
        self.findings.extend(found.into_iter().flatten());
        progress.event(Event::Finished);
    }

    /// A finding for each domain in which patches lack something.
    fn lacking(&mut self, code: &str, what: &str, lacks: impl Fn(&PatchRecord) -> bool) {
        let mut domains: BTreeMap<(Part, &str), (Vec<PatchId>, usize)> = BTreeMap::new();
        for record in self.records() {
            let (without, all) = domains.entry((record.part, &record.domain)).or_default();
            *all += 1;
            if lacks(record) {
                without.push(record.id);
            }
        }
        for ((part, domain), (without, all)) in domains {
            if !without.is_empty() {
                let message = format!("{} of {all} patches have {what}: {}", without.len(), ranges(&without));
                self.findings.push(Finding::warning(code, format!("{}/{domain}", name(part)), message));
            }
        }
    }

    fn counts(&self) -> Vec<DomainCounts> {
        let mut domains: BTreeMap<(Part, &str), BTreeMap<&str, ZoneCounts>> = BTreeMap::new();
        for record in self.records() {
            let zones = domains.entry((record.part, &record.domain)).or_default();
            let zone = zones.entry(&record.zone).or_default();
            zone.images += usize::from(record.image.is_some());
            zone.masks += usize::from(record.mask.is_some());
            let area = record.sentinel.as_ref().and_then(|paths| self.areas.get(paths));
            zone.super_area = area.map(|area| area.data().shape());
        }
        let named = |(zone, counts): (&str, ZoneCounts)| ZoneCounts { zone: zone.to_owned(), ..counts };
        domains
            .into_iter()
            .map(|((part, domain), zones)| DomainCounts {
                part,
                domain: domain.to_owned(),
                official: OFFICIAL_PATCHES
                    .iter()
                    .find(|known| (known.0, known.1) == (part, domain))
                    .map(|known| known.2),
                zones: zones.into_iter().map(named).collect(),
            })
            .collect()
    }
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Test => "test",
    }
}

/// Ascending numbers as ranges, the first five of them: `000826-000830, 000833`.
fn ranges(ids: &[PatchId]) -> String {
    let mut parts = ids
        .chunk_by(|a, b| a.number() + 1 == b.number())
        .filter_map(|run| run.first().zip(run.last()))
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    let shown: Vec<_> = parts.by_ref().take(5).collect();
    let rest = if parts.next().is_some() { ", …" } else { "" };
    shown.join(", ") + rest
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use flair_scoring::progress::Silent;

    use super::*;
    use crate::data::fixture::{Fixture, Series, id, npy};

    const ZONES: [&str; 2] = ["D004_2021/Z1_UA", "D004_2021/Z2_UA"];

    fn fixture() -> Fixture {
        let fixture = Fixture::new();
        for (zone, number) in [(ZONES[0], 1), (ZONES[0], 2), (ZONES[1], 3)] {
            fixture.patch(Part::Train, zone, number);
        }
        fixture.patch(Part::Test, "D015_2020/Z1_UA", 77_413);
        for (part, zone) in [(Part::Train, ZONES[0]), (Part::Train, ZONES[1]), (Part::Test, "D015_2020/Z1_UA")] {
            fixture.series(part, zone, &Series { side: 48, acquisitions: vec![("0105", 0, 0), ("0301", 0, 0)] });
        }
        fixture.centroids(&[(1, [20, 28]), (2, [28, 20]), (3, [24, 24]), (77_413, [24, 24])]);
        fixture.metadata(&[1, 2, 3, 77_413]);
        fixture
    }

    fn report(fixture: &Fixture, depth: Depth) -> (AuditReport, String) {
        let report = audit(&Dataset::discover(fixture.root()).unwrap(), 40, depth, &Silent);
        let told =
            report.findings.iter().map(|f| format!("{:?} {} {}: {}\n", f.severity, f.code, f.subject, f.message));
        let told = told.collect::<String>().replace(&fixture.root().display().to_string(), "ROOT");
        (report, told)
    }

    #[test]
    fn a_sound_dataset_is_only_counted() {
        let (report, told) = report(&fixture(), Depth::Pixels);
        insta::assert_json_snapshot!(report.domains, @r#"
        [
          {
            "part": "train",
            "domain": "D004_2021",
            "official": 1800,
            "zones": [
              {
                "zone": "Z1_UA",
                "images": 2,
                "masks": 2,
                "super_area": [
                  2,
                  10,
                  48,
                  48
                ]
              },
              {
                "zone": "Z2_UA",
                "images": 1,
                "masks": 1,
                "super_area": [
                  2,
                  10,
                  48,
                  48
                ]
              }
            ]
          },
          {
            "part": "test",
            "domain": "D015_2020",
            "official": null,
            "zones": [
              {
                "zone": "Z1_UA",
                "images": 1,
                "masks": 1,
                "super_area": [
                  2,
                  10,
                  48,
                  48
                ]
              }
            ]
          }
        ]
        "#);
        insta::assert_snapshot!(told, @"
        Note part-of-the-dataset train: it holds 3 of 61712 patches
        Note part-of-the-dataset test: it holds 1 of 16050 patches
        ");
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let fixture = fixture();
        let file = |path: &str| fixture.root().join(path);
        fixture.centroids(&[(1, [19, 28]), (3, [24, 24]), (77_413, [24, 24])]);
        fixture.metadata(&[1, 3]);
        fs::remove_file(file("flair_labels_train/D004_2021/Z1_UA/msk/MSK_000002.tif")).unwrap();
        fs::write(file("flair_aerial_train/D004_2021/Z1_UA/img/IMG_000002.tif"), b"II*").unwrap();
        fs::write(
            file("flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy"),
            npy("<i2", &[2, 10, 48, 48], &vec![0; 92_160]),
        )
        .unwrap();
        let products = "flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_products.txt";
        fs::write(file(products), b"S2A_MSIL2A_20210415T105021\n").unwrap();
        fs::rename(file("flair_aerial_train/D004_2021/Z2_UA"), file("flair_aerial_train/D004_2021/Z9_UA")).unwrap();
        fixture.patch(Part::Train, "D099_2021/Z1_UA", 9);
        insta::assert_snapshot!(report(&fixture, Depth::Pixels).1, @"
        Error misplaced-mask ROOT/flair_labels_train/D004_2021/Z2_UA/msk/MSK_000003.tif: its image is in D004_2021/Z9_UA: not used
        Note unused-super-area D004_2021/Z2_UA: it has a super-area, and no patches
        Error unusable-super-area ROOT/flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_data.npy: `ROOT/flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_products.txt` is not usable: it names 1 products, expected 2, as many as acquisitions
        Note unusual-dtype ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy: its numbers are int16, the dataset's are uint16
        Warning missing-mask train/D004_2021: 2 of 3 patches have no mask: 000002-000003
        Warning missing-super-area train/D004_2021: 1 of 3 patches have no Sentinel-2 super-area: 000003
        Warning missing-super-area train/D099_2021: 1 of 1 patches have no Sentinel-2 super-area: 000009
        Warning missing-centroid train/D004_2021: 1 of 3 patches have no place in their super-area: 000002
        Warning missing-centroid train/D099_2021: 1 of 1 patches have no place in their super-area: 000009
        Error outside-super-area IMG_000001.tif: patch 000001 lies at row 19, column 28 of `ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy`, which has 48 rows and 48 columns: a crop of 40 pixels does not fit; choose a smaller `sat_patch_size`
        Warning missing-metadata train/D004_2021: 1 of 3 patches have no metadata: 000002
        Warning missing-metadata train/D099_2021: 1 of 1 patches have no metadata: 000009
        Warning missing-metadata test/D015_2020: 1 of 1 patches have no metadata: 077413
        Note part-of-the-dataset train: it holds 4 of 61712 patches
        Warning unknown-domain train/D099_2021: the published train part has no such domain
        Note part-of-the-dataset test: it holds 1 of 16050 patches
        Error unusable-raster ROOT/flair_aerial_train/D004_2021/Z1_UA/img/IMG_000002.tif: `ROOT/flair_aerial_train/D004_2021/Z1_UA/img/IMG_000002.tif`: not a valid TIFF: it is cut short: 2 bytes are due at 2, the file has 3 bytes
        ");
        assert!(!report(&fixture, Depth::Headers).1.contains("unusable-raster"));
    }

    #[test]
    fn every_raster_is_a_step() {
        #[derive(Default)]
        struct Count(AtomicUsize);
        impl Progress for Count {
            fn event(&self, event: Event<'_>) {
                match event {
                    Event::Started { steps, .. } => assert_eq!(steps, 8),
                    Event::Step { .. } => drop(self.0.fetch_add(1, Ordering::Relaxed)),
                    _ => (),
                }
            }
        }
        let (fixture, count) = (fixture(), Count::default());
        audit(&Dataset::discover(fixture.root()).unwrap(), 40, Depth::Pixels, &count);
        assert_eq!(count.0.into_inner(), 8);
    }

    #[test]
    fn numbers_in_a_row_are_a_range() {
        let shown = |numbers: &[u32]| ranges(&numbers.iter().map(|number| id(*number)).collect::<Vec<_>>());
        assert_eq!(shown(&[1, 2, 3, 7, 9, 10]), "000001-000003, 000007, 000009-000010");
        assert_eq!(shown(&[1, 3, 5, 7, 9]), "000001, 000003, 000005, 000007, 000009");
        assert_eq!(shown(&[1, 3, 5, 7, 9, 11, 13]), "000001, 000003, 000005, 000007, 000009, …");
    }
}
