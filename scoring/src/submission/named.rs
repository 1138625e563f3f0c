//! Classifies a file by its name: a prediction, a misnamed image, or another file.

use super::Code;
use crate::{
    Finding,
    dataset::PatchId,
    finding::remarks::Remarks,
    source::{Entry, Source},
};

/// The class of a file, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The prediction of that patch.
    Prediction(PatchId),
    /// An image with a wrong name; the problem in words.
    WrongName(&'static str),
    /// A file that an operating system created; its description.
    Junk(&'static str),
    /// A partially written file.
    Unfinished,
    /// An archive.
    Archive,
    /// A file that makes a platform take the submission for a program.
    Program,
    /// Anything else.
    Other,
}

/// Classifies a file by its path in the source; `PRED_000826.tif` at any depth is a prediction.
pub(crate) fn by_name(path: &str) -> Named {
    let file_name = path.rsplit('/').next().unwrap_or_default();
    if let Some(id) = PatchId::from_file_name(file_name, "PRED") {
        // AppleDouble copies keep the name of their file.
        return if is_of_macos(path) { Named::Junk(MACOSX) } else { Named::Prediction(id) };
    }
    let lower = file_name.to_ascii_lowercase();
    let is_junk = file_name.starts_with("._") || [".ds_store", "thumbs.db", "desktop.ini"].contains(&lower.as_str());
    let is_image = [".tif", ".tiff"].iter().any(|extension| lower.ends_with(extension));
    let stem = lower.split('.').next().unwrap_or_default();
    let is_patch = |prefix: &str| stem.strip_prefix(prefix).is_some_and(|id| id.parse::<PatchId>().is_ok());
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    match () {
        () if is_of_macos(path) => Named::Junk(MACOSX),
        () if is_junk => Named::Junk("left behind by an operating system; remove it"),
        () if ends(&[".part", ".partial", ".tmp", ".crdownload"]) => Named::Unfinished,
        () if ends(&[".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"]) => Named::Archive,
        () if is_program(path) => Named::Program,
        () if !is_image && !stem.starts_with("pred_") => Named::Other,
        () if is_patch("img_") => Named::WrongName("the name of an aerial image: a prediction's begins with `PRED_`"),
        () if is_patch("msk_") => Named::WrongName("the name of a mask: a prediction's begins with `PRED_`"),
        () if is_patch("pred_img_") => {
            Named::WrongName("a name as in FLAIR #1: FLAIR #2 expects `PRED_` and six digits, without `IMG_`")
        }
        () if is_patch("pred_") && lower == format!("{stem}.tif") => {
            Named::WrongName("wrong upper or lower case: expected `PRED_` and `.tif`")
        }
        () if is_patch("pred_") => Named::WrongName("wrong extension: expected `.tif`"),
        () if stem.starts_with("pred_") => {
            Named::WrongName("expected six digits after `PRED_`, such as PRED_077413.tif")
        }
        () => Named::WrongName("not a prediction's name: expected one such as PRED_077413.tif"),
    }
}

/// Whether a platform takes the submission for a program because of this file. Codabench's worker looks for `metadata.yaml`
/// and `metadata` at the top, and then hands none of the submission's files to the scoring program (codalab/codabench
/// `compute_worker/compute_worker.py`, `_run_program_directory`). CodaLab's looks for `metadata` at the top, too, and in
/// the folders there (codalab/competitions-v1-compute-worker `worker.py`, `_find_only_folder_with_metadata`).
fn is_program(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let (file, folders) = (parts.next().unwrap_or_default(), parts.count());
    (file == "metadata" && folders < 2) || (file == "metadata.yaml" && folders == 0)
}

const MACOSX: &str = "in `__MACOSX`, a folder that macOS adds to archives; remove it";

fn is_of_macos(path: &str) -> bool {
    path.split('/').any(|part| part == "__MACOSX")
}

/// The entries of a source that have a prediction's name, `PRED_077413.tif` in any folder, with their patches, in the
/// order of the source. A patch may occur more than once.
pub fn predictions(source: &Source) -> impl Iterator<Item = (PatchId, &Entry)> {
    source.entries().iter().filter_map(|entry| match by_name(&entry.name) {
        Named::Prediction(id) => Some((id, entry)),
        _ => None,
    })
}

/// Why an archive in a submission has a finding.
pub(super) const NESTED_ARCHIVE: &str = "a nested archive: scorers do not open it";

/// Findings on the archives in a submission, which are not opened.
pub fn nested_archives(source: &Source) -> Vec<Finding> {
    let mut remarks = Remarks::default();
    for entry in source.entries().iter().filter(|entry| by_name(&entry.name) == Named::Archive) {
        remarks.add(&entry.name, None, Code::NestedArchive, NESTED_ARCHIVE);
    }
    remarks.into_findings()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_name_a_program_are_at_the_top_or_in_a_folder_there() {
        for path in ["metadata", "metadata.yaml", "preds/metadata"] {
            assert_eq!(by_name(path), Named::Program, "{path}");
        }
        for path in ["a/b/metadata", "preds/metadata.yaml", "Metadata", "metadata.json", "metadata.yml", "x_metadata"] {
            assert_eq!(by_name(path), Named::Other, "{path}");
        }
    }
}
