//! Finds a dataset's patches, and the files of each.
//!
//! Files are paired by the number, domain and zone in their paths, never by position in a list as upstream does
//! (`src/load_data.py:30-43`).

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
};

use flair_scoring::{
    Finding, PatchId,
    dataset::{fold_ranges, is_domain, is_zone},
};
use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

use super::{
    DataCode, DataError,
    domains::{Part, TEST_DOMAINS},
};

/// A patch, and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchRecord {
    /// Its number.
    pub id: PatchId,
    /// The part that it belongs to.
    pub part: Part,
    /// Its domain, such as `D004_2021`.
    pub domain: String,
    /// Its zone in that domain, such as `Z10_AU`.
    pub zone: String,
    /// The aerial image, `IMG_*.tif`. `None` if only masks are present.
    pub image: Option<PathBuf>,
    /// The mask, `MSK_*.tif`.
    pub mask: Option<PathBuf>,
    /// The super-area of its zone.
    pub sentinel: Option<Arc<SuperAreaPaths>>,
}

/// The three files of a super-area.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SuperAreaPaths {
    /// `SEN2_*_data.npy`.
    pub data: PathBuf,
    /// `SEN2_*_masks.npy`.
    pub masks: PathBuf,
    /// `SEN2_*_products.txt`.
    pub products: PathBuf,
}

/// The folders and files of a dataset, relative to the working directory; empty where not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataPaths {
    /// Folder of the aerial images for training, `D*/Z*/img/IMG_*.tif` below it.
    pub path_aerial_train: String,
    /// Folder of their Sentinel-2 super-areas.
    pub path_sen_train: String,
    /// Folder of their masks.
    pub path_labels_train: String,
    /// Folder of the test images.
    pub path_aerial_test: String,
    /// Folder of their super-areas.
    pub path_sen_test: String,
    /// Folder of their masks.
    pub path_labels_test: String,
    /// JSON file of the patch centroids in the super-areas.
    pub path_sp_centroids: String,
    /// JSON file of the aerial images' metadata.
    pub path_metadata_aerial: String,
}

/// The files of a dataset, by patch. Making it opens no file.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folders that were searched.
    pub trees: Vec<PathBuf>,
    /// All patches that have an image or a mask.
    pub patches: BTreeMap<PatchId, PatchRecord>,
    /// The JSON file of the patch centroids in the super-areas.
    pub centroids: Option<PathBuf>,
    /// The JSON file of the aerial images' metadata.
    pub metadata: Option<PathBuf>,
    /// Findings about the names and locations of files.
    pub findings: Vec<Finding>,
}

/// A folder to search, and the part that it holds; `None` if the domain determines the part.
type Tree = (PathBuf, Option<Part>);

/// The known layouts: the folders of each, relative to a base.
const LAYOUTS: [&[(&str, Option<Part>)]; 5] = {
    const TRAIN: Option<Part> = Some(Part::Train);
    const TEST: Option<Part> = Some(Part::Test);
    [
        // As published.
        &[
            ("flair_aerial_train", TRAIN),
            ("flair_sen_train", TRAIN),
            ("flair_labels_train", TRAIN),
            ("flair_2_aerial_test", TEST),
            ("flair_2_sen_test", TEST),
            ("flair_2_labels_test", TEST),
        ],
        // The toy set.
        &[
            ("flair_2_toy_aerial_train", TRAIN),
            ("flair_2_toy_sen_train", TRAIN),
            ("flair_2_toy_labels_train", TRAIN),
            ("flair_2_toy_aerial_test", TEST),
            ("flair_2_toy_sen_test", TEST),
            ("flair_2_toy_labels_test", TEST),
        ],
        // Hugging Face. `flair#1-test` is of another challenge.
        &[("train-val", TRAIN), ("flair#2-test", TEST)],
        // Participants'.
        &[("train", TRAIN), ("test", TEST)],
        // One folder of domains per kind of file.
        &[("aerial", None), ("labels", None), ("sen", None)],
    ]
};

/// Base folders of a layout below the root.
const BASES: [&str; 5] = ["", "flair_2_toy_dataset", "data", "raw", "data/raw"];

impl Dataset {
    /// Finds the dataset under `root` if given, otherwise at `paths`.
    ///
    /// # Errors
    /// As [`Dataset::discover`] and [`Dataset::from_paths`].
    pub fn open(root: Option<&Path>, paths: &DataPaths) -> Result<Self, DataError> {
        root.map_or_else(|| Self::from_paths(paths), Self::discover)
    }

    /// Finds a dataset under one folder, in any of the known layouts: the official one, the toy set's,
    /// Hugging Face's (`data/train-val/D…`), participants' (`raw/train/aerial/D…`), or bare `aerial`, `labels`, `sen`.
    ///
    /// # Errors
    /// If there is no dataset, or a folder cannot be read. Problems of single files are in
    /// [`findings`](Dataset::findings).
    pub fn discover(root: &Path) -> Result<Self, DataError> {
        std::fs::read_dir(root).map_err(DataError::io(root))?;
        let trees = BASES.iter().flat_map(|base| LAYOUTS.iter().map(move |layout| (base, layout))).find_map(
            |(base, layout)| {
                let trees = layout.iter().map(|(name, part)| (root.join(base).join(name), *part));
                let present: Vec<Tree> = trees.filter(|(path, _)| path.is_dir()).collect();
                // An unrelated folder may be called `train` as well.
                present.iter().any(|(path, _)| holds_domains(path)).then_some(present)
            },
        );
        let Some(trees) = trees else {
            let names = LAYOUTS.iter().flat_map(|layout| layout.iter()).map(|(name, _)| format!("{name}/"));
            let expected = names.collect::<Vec<_>>().join(", ") + ", with folders such as D004_2021/Z10_AU/ below";
            return Err(DataError::NoDataset { root: root.to_owned(), expected });
        };
        let (centroids, metadata) = find_json(root);
        Self::index(&trees, centroids, metadata)
    }

    /// Finds a dataset at separate paths for each part; empty paths are skipped.
    ///
    /// # Errors
    /// If all paths are empty, one does not exist, or a folder cannot be read.
    pub fn from_paths(paths: &DataPaths) -> Result<Self, DataError> {
        let existing = |key: &'static str, path: &str| {
            let path = PathBuf::from(path);
            match path.exists() {
                _ if path.as_os_str().is_empty() => Ok(None),
                true => Ok(Some(path)),
                false => Err(DataError::NoSuchPath { key, path }),
            }
        };
        let mut trees: Vec<Tree> = Vec::new();
        for (key, path, part) in [
            ("data.path_aerial_train", &paths.path_aerial_train, Part::Train),
            ("data.path_sen_train", &paths.path_sen_train, Part::Train),
            ("data.path_labels_train", &paths.path_labels_train, Part::Train),
            ("data.path_aerial_test", &paths.path_aerial_test, Part::Test),
            ("data.path_sen_test", &paths.path_sen_test, Part::Test),
            ("data.path_labels_test", &paths.path_labels_test, Part::Test),
        ] {
            if let Some(tree) = existing(key, path)?.filter(|path| trees.iter().all(|(known, _)| known != path)) {
                trees.push((tree, Some(part)));
            }
        }
        if trees.is_empty() {
            return Err(DataError::NotGiven);
        }
        let centroids = existing("data.path_sp_centroids", &paths.path_sp_centroids)?;
        let metadata = existing("data.path_metadata_aerial", &paths.path_metadata_aerial)?;
        Self::index(&trees, centroids, metadata)
    }

    fn index(trees: &[Tree], centroids: Option<PathBuf>, metadata: Option<PathBuf>) -> Result<Self, DataError> {
        let mut found = Found::default();
        for (tree, part) in trees {
            // Sorted, so that the choice between two files of one patch is deterministic.
            for entry in WalkDir::new(tree).follow_links(true).sort_by_file_name() {
                let entry = entry.map_err(|error| {
                    let path = error.path().unwrap_or(tree).to_owned();
                    DataError::Io { path, source: error.into() }
                })?;
                if entry.file_type().is_file() {
                    found.add(&entry, tree, *part);
                }
            }
        }
        let (patches, findings) = found.pair();
        let trees = trees.iter().map(|(tree, _)| tree.clone()).collect();
        Ok(Self { trees, patches, centroids, metadata, findings })
    }

    /// The patches of a part, in ascending order.
    pub fn of_part(&self, part: Part) -> impl Iterator<Item = &PatchRecord> {
        self.patches.values().filter(move |record| record.part == part)
    }

    /// The domains of a part.
    pub fn domains(&self, part: Part) -> BTreeSet<&str> {
        self.of_part(part).map(|record| record.domain.as_str()).collect()
    }
}

/// Part, domain and zone.
type Zone = (Part, String, String);

/// Files of the folders, not yet paired.
#[derive(Default)]
struct Found {
    images: BTreeMap<PatchId, (Zone, PathBuf)>,
    masks: BTreeMap<PatchId, (Zone, PathBuf)>,
    /// The files of each super-area: data, masks, products.
    series: BTreeMap<Zone, [Vec<PathBuf>; 3]>,
    /// For each folder the rasters in it that are neither images nor masks by their names.
    unknown: BTreeMap<PathBuf, Vec<String>>,
    /// For each domain the patches that have files in both parts.
    in_both: BTreeMap<String, BTreeSet<PatchId>>,
    findings: Vec<Finding>,
}

/// Endings of a super-area's files.
const SERIES: [&str; 3] = ["data.npy", "masks.npy", "products.txt"];

impl Found {
    fn add(&mut self, entry: &DirEntry, tree: &Path, part: Option<Part>) {
        let path = entry.path();
        let Some(name) = entry.file_name().to_str() else { return };
        let image = PatchId::from_file_name(name, "IMG");
        let mask = PatchId::from_file_name(name, "MSK");
        let series = SERIES.iter().position(|ending| name.ends_with(ending));
        if image.or(mask).is_none() && series.is_none() {
            let is_near = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("tif") || e == "tiff");
            if let Some(folder) = path.parent().filter(|_| is_near) {
                self.unknown.entry(folder.to_owned()).or_default().push(name.to_owned());
            }
            return;
        }
        let Some(zone) = zone_of(path.strip_prefix(tree).unwrap_or(path), part) else {
            let message = "it is not in a folder of a domain and a zone, such as D004_2021/Z10_AU: not used".to_owned();
            self.findings.push(DataCode::UnplacedFile.finding(path.display().to_string(), message));
            return;
        };
        if let Some(kind) = series {
            self.series.entry(zone).or_default()[kind].push(path.to_owned());
            return;
        }
        for (id, files) in [(image, &mut self.images), (mask, &mut self.masks)] {
            let Some(id) = id else { continue };
            match files.entry(id) {
                Entry::Vacant(entry) => {
                    entry.insert((zone.clone(), path.to_owned()));
                }
                Entry::Occupied(first) if first.get().0.0 != zone.0 => {
                    self.in_both.entry(zone.1.clone()).or_default().insert(id);
                }
                Entry::Occupied(first) => {
                    let message = format!("patch {id} is also at `{}`, which is used", first.get().1.display());
                    self.findings.push(DataCode::DuplicatePatch.finding(path.display().to_string(), message));
                }
            }
        }
    }

    fn pair(mut self) -> (BTreeMap<PatchId, PatchRecord>, Vec<Finding>) {
        for (folder, names) in std::mem::take(&mut self.unknown) {
            let message = format!(
                "it has {} rasters, such as `{}`, that are not named IMG_ or MSK_, six digits, .tif: not used",
                names.len(),
                names[0]
            );
            self.findings.push(DataCode::UnknownFiles.finding(folder.display().to_string(), message));
        }
        let mut areas = BTreeMap::new();
        for (zone, files) in std::mem::take(&mut self.series) {
            let name = format!("{}/{}", zone.1, zone.2);
            for (ending, paths) in SERIES.iter().zip(&files) {
                if paths.len() != 1 {
                    let message = format!("its super-area has {} files *{ending}, expected 1", paths.len());
                    self.findings.push(DataCode::SuperAreaFiles.finding(&name, message));
                }
            }
            if let [Some(data), Some(masks), Some(products)] = files.map(|paths| paths.into_iter().next()) {
                areas.insert(zone, Arc::new(SuperAreaPaths { data, masks, products }));
            }
        }
        let mut patches = BTreeMap::new();
        for (id, (zone, image)) in self.images {
            let mask = self.masks.remove(&id).and_then(|(of_mask, path)| {
                if of_mask == zone {
                    return Some(path);
                }
                if of_mask.0 != zone.0 {
                    self.in_both.entry(zone.1.clone()).or_default().insert(id);
                    return None;
                }
                let message = format!("its image is in {}/{}: not used", zone.1, zone.2);
                self.findings.push(DataCode::MisplacedMask.finding(path.display().to_string(), message));
                None
            });
            patches.insert(id, record(id, zone, &areas, Some(image), mask));
        }
        for (id, (zone, mask)) in self.masks {
            patches.insert(id, record(id, zone, &areas, None, Some(mask)));
        }
        for (domain, ids) in self.in_both {
            let (count, ranges) = (ids.len(), fold_ranges(ids));
            let more = if ranges.len() > 5 { ", …" } else { "" };
            let ranges = ranges[..ranges.len().min(5)].join(", ");
            let message = format!(
                "{} in the train and in the test part, a leak of test data into training: {ranges}{more}",
                if count == 1 { "1 patch has files".to_owned() } else { format!("{count} patches have files") }
            );
            self.findings.push(DataCode::TestInTrain.finding(domain, message));
        }
        for (zone, _) in areas.iter().filter(|(_, paths)| Arc::strong_count(paths) == 1) {
            let message = "it has a super-area, and no patches";
            self.findings.push(DataCode::UnusedSuperArea.finding(format!("{}/{}", zone.1, zone.2), message));
        }
        (patches, self.findings)
    }
}

fn record(
    id: PatchId,
    zone: Zone,
    areas: &BTreeMap<Zone, Arc<SuperAreaPaths>>,
    image: Option<PathBuf>,
    mask: Option<PathBuf>,
) -> PatchRecord {
    let sentinel = areas.get(&zone).cloned();
    let (part, domain, zone) = zone;
    PatchRecord { id, part, domain, zone, image, mask, sentinel }
}

/// The domain and the zone in a path below a tree.
fn zone_of(path: &Path, part: Option<Part>) -> Option<Zone> {
    let mut names = path.parent()?.iter().filter_map(|name| name.to_str());
    let domain = names.by_ref().find(|name| is_domain(name))?;
    let zone = names.find(|name| is_zone(name))?;
    let by_domain = || if TEST_DOMAINS.contains(&domain) { Part::Test } else { Part::Train };
    Some((part.unwrap_or_else(by_domain), domain.to_owned(), zone.to_owned()))
}

/// Whether this folder or one of its folders contains a domain's folder.
fn holds_domains(path: &Path) -> bool {
    let entries = WalkDir::new(path).follow_links(true).min_depth(1).max_depth(2);
    entries.into_iter().filter_map(Result::ok).any(|entry| entry.file_name().to_str().is_some_and(is_domain))
}

/// The JSON files of the centroids and the metadata, up to three folders deep: their names and folders differ between
/// sources.
fn find_json(root: &Path) -> (Option<PathBuf>, Option<PathBuf>) {
    let (mut centroids, mut metadata) = (None, None);
    let is_domains = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().to_str().is_some_and(is_domain);
    let entries = WalkDir::new(root).follow_links(true).max_depth(3).sort_by_file_name();
    // Errors are ignored: `Dataset::index` reports those in the dataset's own folders.
    for entry in entries.into_iter().filter_entry(|entry| !is_domains(entry)).filter_map(Result::ok) {
        let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
        if name.contains("centroids_sp_to_patch") {
            centroids.get_or_insert(entry.into_path());
        } else if name.contains("aerial_metadata") {
            metadata.get_or_insert(entry.into_path());
        }
    }
    (centroids, metadata)
}

#[cfg(test)]
mod tests;
