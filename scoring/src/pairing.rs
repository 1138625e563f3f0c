//! Which prediction belongs to which mask: by the patch's number, never by position. What does not fit is data.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    Finding, PatchId,
    submission::{
        Code, Entry, Source, fold_ranges,
        hints::{Named, by_name},
        shown,
    },
};

/// Prefix of a mask's file name.
pub const MASK_PREFIX: &str = "MSK";

/// Prefix of a prediction's file name.
pub const PREDICTION_PREFIX: &str = "PRED";

/// The masks to score against.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    paths: BTreeMap<PatchId, PathBuf>,
    findings: Vec<Finding>,
}

/// A folder of masks could not be looked through.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {error}", path.display())]
pub struct MasksError {
    /// The folder, or what is below it.
    pub path: PathBuf,
    /// Why.
    pub error: std::io::Error,
}

impl Masks {
    /// The masks below a folder, at any depth: all files named as `MSK_000826.tif`. Links are followed, loops are
    /// not.
    ///
    /// # Errors
    /// If the folder, or one below it, cannot be read.
    pub fn find(folder: &Path) -> Result<Self, MasksError> {
        let mut masks = Self::default();
        for entry in walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    return Err(MasksError { path, error: error.into() });
                }
            };
            let name = entry.file_name().to_string_lossy();
            if entry.file_type().is_dir() || !is_tiff_of(&name, MASK_PREFIX) {
                continue;
            }
            match PatchId::from_file_name(&name, MASK_PREFIX) {
                Some(id) => masks.add(id, entry.into_path()),
                None => masks.findings.push(Code::WrongMaskName.finding(
                    entry.path().to_string_lossy(),
                    "the name has no patch number of six digits, as in MSK_000826.tif",
                )),
            }
        }
        Ok(masks)
    }

    /// Adds one mask.
    pub fn add(&mut self, id: PatchId, path: PathBuf) {
        if let Some(first) = self.paths.get(&id) {
            let message = format!("there is a second mask of patch {id}, besides `{}`", first.display());
            self.findings.push(Code::DuplicateMask.finding(path.to_string_lossy(), message));
        } else {
            self.paths.insert(id, path);
        }
    }

    /// Every mask, in the order of their numbers.
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

/// All pairs, and what does not fit.
#[derive(Clone, Debug, Default)]
pub struct Pairing<'a> {
    /// Every mask that has one prediction, in the order of their numbers.
    pub pairs: Vec<Pair<'a>>,
    /// What does not fit: missing, extra, duplicate, wrongly named. Empty where all does.
    pub findings: Vec<Finding>,
}

impl<'a> Pairing<'a> {
    /// Finds the prediction of every mask. Files of the source that are no predictions are left alone.
    pub fn of(masks: &'a Masks, source: &'a Source) -> Self {
        let mut findings = masks.findings.clone();
        let mut predictions: BTreeMap<PatchId, Vec<&Entry>> = BTreeMap::new();
        for entry in source.entries() {
            match by_name(&entry.name) {
                Named::Prediction(id) => predictions.entry(id).or_default().push(entry),
                Named::WrongName(why) if is_tiff_of(&entry.file_name, PREDICTION_PREFIX) => {
                    findings.push(Code::WrongName.finding(shown(&entry.name), why));
                }
                _ => {}
            }
        }
        if source.left_out() > 0 {
            let message = format!("more entries than are looked at: {} were left out", source.left_out());
            findings.push(Code::TooManyEntries.finding(source.kind().to_string(), message));
        }
        let mut pairing = Self { pairs: Vec::new(), findings };
        let missing = masks.paths.keys().copied().filter(|id| !predictions.contains_key(id));
        pairing.tell(Code::MissingPrediction, missing, "no prediction: every mask needs one");
        let extra = predictions.keys().copied().filter(|id| !masks.paths.contains_key(id));
        pairing.tell(Code::ExtraPrediction, extra, "a prediction, but no mask to score it against");
        for (id, mask) in masks.iter() {
            match predictions.get(&id).map(Vec::as_slice) {
                None => {}
                Some([prediction]) => pairing.pairs.push(Pair { id, mask, prediction }),
                Some(all) => {
                    let names: Vec<_> = all.iter().map(|entry| format!("`{}`", shown(&entry.name))).collect();
                    let message = format!("{} predictions for one patch: {}", all.len(), names.join(", "));
                    pairing.findings.push(Code::DuplicatePrediction.finding(id.to_string(), message));
                }
            }
        }
        pairing
    }

    /// A finding for every range, so that a long list is told in full.
    fn tell(&mut self, code: Code, ids: impl IntoIterator<Item = PatchId>, message: &str) {
        self.findings.extend(fold_ranges(ids).into_iter().map(|range| code.finding(range, message)));
    }
}

/// Whether a name is that of a TIFF with that prefix, or seems to be meant as one: upstream's patterns `MSK*.tif`
/// and `PRED*.tif` take more than the strict names.
fn is_tiff_of(name: &str, prefix: &str) -> bool {
    name.starts_with(prefix) && Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("tif"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn id(number: u32) -> PatchId {
        PatchId::new(number).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_told_by_number() {
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
        ["D2/Z9/msk/MSK_21.tif", "D2/Z9/msk/IMG_000021.tif", "D2/Z9/msk/MSK_000021.txt"].into_iter().for_each(touch);
        for n in [10, 14, 15, 16, 30, 31, 32] {
            touch(&format!("pred/PRED_{}.tif", id(n)));
        }
        ["pred/more/PRED_000010.tif", "pred/PRED_IMG_000017.tif", "pred/timing.json"].into_iter().for_each(touch);

        let masks = Masks::find(dir.path()).unwrap();
        let source = Source::open(&dir.path().join("pred")).unwrap();
        let pairing = Pairing::of(&masks, &source);
        let pairs: Vec<_> = pairing.pairs.iter().map(|p| (p.id.number(), p.prediction.name.as_str())).collect();
        assert_eq!(pairs, [(14, "PRED_000014.tif"), (15, "PRED_000015.tif"), (16, "PRED_000016.tif")]);
        let root = format!("{}/", dir.path().display());
        let told: Vec<_> = pairing
            .findings
            .iter()
            .map(|f| format!("{}: {}: {}", f.code, f.subject, f.message).replace(&root, ""))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        duplicate-mask: D2/Z9/msk/MSK_000015.tif: there is a second mask of patch 000015, besides `D1/Z1/msk/MSK_000015.tif`
        duplicate-mask: D2/Z9/msk/MSK_000016.tif: there is a second mask of patch 000016, besides `D1/Z1/msk/MSK_000016.tif`
        wrong-mask-name: D2/Z9/msk/MSK_21.tif: the name has no patch number of six digits, as in MSK_000826.tif
        wrong-name: PRED_IMG_000017.tif: the name that FLAIR #1 asked for: here it is `PRED_` and six digits, without `IMG_`
        missing-prediction: 000011-000013: no prediction: every mask needs one
        missing-prediction: 000017-000019: no prediction: every mask needs one
        extra-prediction: 000030-000032: a prediction, but no mask to score it against
        duplicate-prediction: 000010: 2 predictions for one patch: `PRED_000010.tif`, `more/PRED_000010.tif`
        ");
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
        assert!(error.to_string().contains("none`"), "{error}");
    }
}
