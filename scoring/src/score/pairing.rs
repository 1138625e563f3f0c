//! Pairs each mask with its prediction, by patch number and never by position; mismatches become findings.

use std::{
    collections::{BTreeMap, btree_map},
    path::{Path, PathBuf},
};

use crate::{
    Finding, PatchId,
    finding::remarks::{Remarks, ranges, with_files},
    source::{Entry, Source},
    submission::{
        Code,
        named::{Named, by_name, nested_archives},
    },
    text::shown,
};

/// Prefix of a mask's file name.
pub const MASK_PREFIX: &str = "MSK";

/// Prefix of a prediction's file name.
pub const PREDICTION_PREFIX: &str = "PRED";

/// The masks to score against.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    paths: BTreeMap<PatchId, PathBuf>,
    /// Further masks of patches that already have one.
    second: Vec<(PatchId, PathBuf)>,
    /// Files that seem to be misnamed masks, and the problems of their names.
    wrong: Vec<(PathBuf, &'static str)>,
}

/// Error of listing a folder of masks.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {error}", path.display())]
pub struct MasksError {
    /// The unreadable path.
    pub path: PathBuf,
    /// The cause.
    pub error: std::io::Error,
}

impl Masks {
    /// Finds the masks in a folder, at any depth: all files named like `MSK_000826.tif`. Other TIFFs whose names begin
    /// with "msk" or "mask" give findings. Symbolic links are followed, except loops.
    ///
    /// # Errors
    /// If the folder or a subfolder cannot be read.
    pub fn find(folder: &Path) -> Result<Self, MasksError> {
        let mut masks = Self::default();
        for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    // walkdir's own message would repeat the path.
                    let error = error.into_io_error().unwrap_or_else(|| std::io::Error::other("links form a loop"));
                    return Err(MasksError { path, error });
                }
            };
            if entry.file_type().is_dir() {
                continue;
            }
            let name = entry.file_name().to_string_lossy();
            if let Some(id) = PatchId::from_file_name(&name, MASK_PREFIX) {
                masks.add(id, entry.into_path());
            } else if let Some(why) = wrong_mask_name(&name) {
                masks.wrong.push((entry.into_path(), why));
            }
        }
        Ok(masks)
    }

    /// Adds one mask.
    pub fn add(&mut self, id: PatchId, path: PathBuf) {
        match self.paths.entry(id) {
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(path)),
            btree_map::Entry::Occupied(_) => self.second.push((id, path)),
        }
    }

    /// Findings about the masks' names.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut remarks = Remarks::default();
        for (path, why) in &self.wrong {
            remarks.add(path.to_string_lossy(), None, Code::WrongMaskName, *why);
        }
        let mut findings = remarks.into_findings();
        let first = |id: &PatchId| self.paths.get(id).map(|path| path.display().to_string()).unwrap_or_default();
        match self.second.as_slice() {
            [] => {}
            [(id, path)] => {
                let message = format!("there is a second mask of patch {id}, besides `{}`", first(id));
                findings.push(Code::DuplicateMask.finding(path.to_string_lossy(), message));
            }
            [(id, path), ..] => {
                let message = format!("two masks of one patch, such as `{}` and `{}`", first(id), path.display());
                let ids = self.second.iter().map(|(id, _)| *id);
                findings.push(Code::DuplicateMask.finding(ranges(ids), with_files(message, self.second.len())));
            }
        }
        findings
    }

    /// Every mask, in the order of patch numbers.
    pub fn iter(&self) -> impl Iterator<Item = (PatchId, &Path)> {
        self.paths.iter().map(|(id, path)| (*id, path.as_path()))
    }

    /// Number of masks.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

impl FromIterator<(PatchId, PathBuf)> for Masks {
    fn from_iter<I: IntoIterator<Item = (PatchId, PathBuf)>>(masks: I) -> Self {
        let mut found = Self::default();
        masks.into_iter().for_each(|(id, path)| found.add(id, path));
        found
    }
}

/// A mask and its prediction.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The patch.
    pub id: PatchId,
    /// The mask's file.
    pub mask: &'a Path,
    /// The prediction, an entry of the source.
    pub prediction: &'a Entry,
}

/// All pairs, and findings about masks and predictions without a counterpart.
#[derive(Clone, Debug, Default)]
pub struct Pairing<'a> {
    /// Every mask that has exactly one prediction, in the order of patch numbers.
    pub pairs: Vec<Pair<'a>>,
    /// Missing, extra, duplicate and misnamed files; empty if there are none.
    pub findings: Vec<Finding>,
}

impl<'a> Pairing<'a> {
    /// Finds the prediction of every mask. Misnamed TIFFs give findings; if predictions are missing, so do other files
    /// that seem to be misnamed predictions, and archives. All other files of the source are ignored.
    pub fn of(masks: &'a Masks, source: &'a Source) -> Self {
        let mut predictions: BTreeMap<PatchId, Vec<&Entry>> = BTreeMap::new();
        let (mut images, mut others) = (Remarks::default(), Remarks::default());
        for entry in source.entries() {
            match by_name(&entry.name) {
                Named::Prediction(id) => predictions.entry(id).or_default().push(entry),
                Named::WrongName(why) => {
                    let remarks = if tiff_stem(&entry.file_name).is_some() { &mut images } else { &mut others };
                    remarks.add(&entry.name, None, Code::WrongName, why);
                }
                _ => {}
            }
        }
        let missing: Vec<_> = masks.paths.keys().copied().filter(|id| !predictions.contains_key(id)).collect();
        let extra: Vec<_> = predictions.keys().copied().filter(|id| !masks.paths.contains_key(id)).collect();
        if !missing.is_empty() {
            images.merge(others);
        }
        let mut findings = masks.findings();
        findings.extend(images.into_findings());
        if source.left_out() > 0 {
            let message = format!("more entries than the limit: {} were not read", source.left_out());
            findings.push(Code::TooManyEntries.finding(source.kind().to_string(), message));
        }
        if !missing.is_empty() {
            let have = if missing.len() == 1 { "has" } else { "have" };
            let message =
                format!("{} of {} masks {have} no prediction: every mask needs one", missing.len(), masks.len());
            findings.push(Code::MissingPrediction.finding(ranges(missing), message));
            // The missing ones may be in them.
            findings.extend(nested_archives(source));
        }
        if !extra.is_empty() {
            let message = match extra.len() {
                1 => "a prediction, but no mask to score it against".to_owned(),
                many => format!("{many} predictions, but no masks to score them against"),
            };
            findings.push(Code::ExtraPrediction.finding(ranges(extra), message));
        }
        let (mut pairs, mut several) = (Vec::new(), Vec::new());
        for (id, mask) in masks.iter() {
            match predictions.get(&id).map(Vec::as_slice) {
                None => {}
                Some([prediction]) => pairs.push(Pair { id, mask, prediction }),
                Some(all) => several.push((id, all)),
            }
        }
        findings.extend(duplicates(&several));
        Self { pairs, findings }
    }
}

/// One finding about all patches with several predictions.
fn duplicates(several: &[(PatchId, &[&Entry])]) -> Option<Finding> {
    let (_, first) = several.first()?;
    let names: Vec<_> = first.iter().take(4).map(|entry| format!("`{}`", shown(&entry.name))).collect();
    let more = if first.len() > 4 { ", …" } else { "" };
    let names = format!("{}{more}", names.join(", "));
    let message = match several.len() {
        1 => format!("{} predictions for one patch: {names}", first.len()),
        many => format!("several predictions for one patch, such as {names} ({many} patches)"),
    };
    Some(Code::DuplicatePrediction.finding(ranges(several.iter().map(|(id, _)| *id)), message))
}

/// The name of a TIFF without its extension, in lower case; `None` for other files.
fn tiff_stem(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    [".tif", ".tiff"].iter().find_map(|ending| lower.strip_suffix(ending)).map(str::to_owned)
}

/// The problem of the name of a file that seems to be a misnamed mask; `None` for other files.
fn wrong_mask_name(name: &str) -> Option<&'static str> {
    let stem = tiff_stem(name).filter(|stem| ["msk", "mask"].iter().any(|begin| stem.starts_with(begin)))?;
    let has_number = stem.strip_prefix("msk_").is_some_and(|id| id.parse::<PatchId>().is_ok());
    let is_long = name.to_ascii_lowercase().ends_with(".tiff");
    Some(match (has_number, is_long) {
        (true, true) => "wrong extension: expected `.tif`",
        (true, false) => "wrong upper or lower case: expected `MSK_` and `.tif`",
        (false, _) => "expected `MSK_`, six digits and `.tif`, such as MSK_000826.tif",
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn id(number: u32) -> PatchId {
        PatchId::new(number).unwrap()
    }

    #[test]
    fn findings_name_files_and_patches_that_do_not_fit() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["D1/Z1/msk", "D2/Z9/msk", "pred/more"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let touch = |name: &str| fs::write(dir.path().join(name), "").unwrap();
        for n in 10..20 {
            touch(&format!("D1/Z1/msk/MSK_{}.tif", id(n)));
        }
        for n in 15..17 {
            touch(&format!("D2/Z9/msk/MSK_{}.tif", id(n)));
        }
        ["MSK_21.tif", "MSK_22.TIF", "msk_000023.tif", "MSK_000024.tiff", "mask_25.tif"]
            .into_iter()
            .chain(["IMG_000021.tif", "MSK_000021.txt", "._msk_000021.tif", "legend.tif"])
            .for_each(|name| touch(&format!("D2/Z9/msk/{name}")));
        for n in [10, 14, 15, 16, 30, 31, 32] {
            touch(&format!("pred/PRED_{}.tif", id(n)));
        }
        ["more/PRED_000010.tif", "PRED_IMG_000017.tif", "timing.json", "PRED_000011.TIF", "pred_000012.tif"]
            .into_iter()
            .chain(["PRED_000013.tiff", "PRED_000018.tiff", "IMG_000019.tif", "PRED_000019.png"])
            .for_each(|name| touch(&format!("pred/{name}")));

        let masks = Masks::find(dir.path()).unwrap();
        let source = Source::open(&dir.path().join("pred")).unwrap();
        let pairing = Pairing::of(&masks, &source);
        let pairs: Vec<_> = pairing.pairs.iter().map(|p| (p.id.number(), p.prediction.name.as_str())).collect();
        assert_eq!(pairs, [(14, "PRED_000014.tif"), (15, "PRED_000015.tif"), (16, "PRED_000016.tif")]);
        let root = format!("{}/", dir.path().display());
        let lines: Vec<_> = pairing
            .findings
            .iter()
            .map(|f| format!("{}: {}: {}", f.code, f.subject, f.message).replace(&root, ""))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        wrong-mask-name: D2/Z9/msk/MSK_21.tif: expected `MSK_`, six digits and `.tif`, such as MSK_000826.tif (3 files)
        wrong-mask-name: D2/Z9/msk/MSK_000024.tiff: wrong extension: expected `.tif`
        wrong-mask-name: D2/Z9/msk/msk_000023.tif: wrong upper or lower case: expected `MSK_` and `.tif`
        duplicate-mask: 000015-000016: two masks of one patch, such as `D1/Z1/msk/MSK_000015.tif` and `D2/Z9/msk/MSK_000015.tif` (2 files)
        wrong-name: PRED_IMG_000017.tif: a name as in FLAIR #1: FLAIR #2 expects `PRED_` and six digits, without `IMG_`
        wrong-name: IMG_000019.tif: the name of an aerial image: a prediction's begins with `PRED_`
        wrong-name: PRED_000013.tiff: wrong extension: expected `.tif` (3 files)
        wrong-name: PRED_000011.TIF: wrong upper or lower case: expected `PRED_` and `.tif` (2 files)
        missing-prediction: 000011-000013, 000017-000019: 6 of 10 masks have no prediction: every mask needs one
        extra-prediction: 000030-000032: 3 predictions, but no masks to score them against
        duplicate-prediction: 000010: 2 predictions for one patch: `PRED_000010.tif`, `more/PRED_000010.tif`
        ");
    }

    #[test]
    fn other_files_matter_only_where_predictions_are_missing() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["MSK_000001.tif", "MSK_000002.tif"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir_all(dir.path().join("pred/a")).unwrap();
        for name in ["PRED_000001.tif", "PRED_000002.png", "pred_log.json", "a/preds.zip"] {
            fs::write(dir.path().join("pred").join(name), "").unwrap();
        }
        let masks = Masks::find(dir.path()).unwrap();
        let codes = || {
            let source = Source::open(&dir.path().join("pred")).unwrap();
            Pairing::of(&masks, &source).findings.into_iter().map(|f| f.code).collect::<Vec<_>>()
        };
        assert_eq!(codes(), ["wrong-name", "wrong-name", "missing-prediction", "nested-archive"]);
        fs::write(dir.path().join("pred/PRED_000002.tif"), "").unwrap();
        assert_eq!(codes(), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/MSK_000001.tif"), "").unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        let masks = Masks::find(dir.path()).unwrap();
        assert_eq!(masks.iter().map(|(id, _)| id.number()).collect::<Vec<_>>(), [1]);
        let error = Masks::find(&dir.path().join("none")).unwrap_err();
        let path = dir.path().join("none");
        insta::assert_snapshot!(
            error.to_string().replace(&path.display().to_string(), "…"),
            @"cannot read `…`: No such file or directory (os error 2)"
        );
    }
}
