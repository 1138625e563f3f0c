//! Looks at a submission, and tells all that is wrong with it at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    codes::Code,
    content::look,
    expected::fold_ranges,
    hints::{Named, Values, by_name, by_values},
    remarks::{Remarks, ranges, with_files},
    shown,
    source::{Entry, Source, SourceError},
};
use crate::{Event, Finding, PatchId, Progress, Severity, raster::Limits};

/// How a check is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// What a prediction's file may ask for.
    pub limits: Limits,
}

impl Default for CheckOptions {
    /// 8 MiB a file, and as many samples: 30 times a prediction, so that logits are told from damage.
    fn default() -> Self {
        Self { limits: Limits { file_bytes: 8 << 20, samples: 8 << 20 } }
    }
}

/// The schema of [`CheckReport`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckSchema {
    /// The first one.
    #[default]
    #[serde(rename = "flair-bench/check/1")]
    V1,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckReport {
    /// `flair-bench/check/1`.
    pub schema: CheckSchema,
    /// Whether no finding is an error.
    pub valid: bool,
    /// How much there is of what.
    pub counts: Counts,
    /// Patches without a prediction, as ranges: `077413-077420`.
    pub missing: Vec<String>,
    /// Patches with a prediction that are not expected, as ranges.
    pub extra: Vec<String>,
    /// All findings, the weightiest first; the same for the same files, whatever order they were looked at in.
    pub findings: Vec<Finding>,
}

/// How much there is of what in a submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Files of any kind.
    pub files: usize,
    /// Patches that have a prediction.
    pub predictions: usize,
    /// Patches that should have one; `None` where that isn't known.
    pub expected: Option<usize>,
    /// Patches that should have one and don't.
    pub missing: usize,
    /// Patches that have one and shouldn't.
    pub extra: usize,
    /// Findings that are errors.
    pub errors: usize,
    /// Findings that are warnings.
    pub warnings: usize,
    /// Findings that are notes.
    pub notes: usize,
}

/// Opens a folder or an archive and checks it, see [`check`]; an archive that cannot be opened is a finding.
///
/// # Errors
/// [`SourceError::Io`]: the path, or a folder below it, cannot be read.
pub fn check_path(
    path: &Path,
    expected: Option<&BTreeSet<PatchId>>,
    options: &CheckOptions,
    progress: &dyn Progress,
) -> Result<CheckReport, SourceError> {
    match Source::open(path) {
        Ok(source) => Ok(check(&source, expected, options, progress)),
        Err(SourceError::Archive { path, reason }) => {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            let message = format!("not a readable zip archive: {}", shown(&reason));
            let finding = Code::UnreadableArchive.finding(shown(&name), message);
            Ok(CheckReport::new(Counts { expected: expected.map(BTreeSet::len), ..Counts::default() }, vec![finding]))
        }
        Err(error) => Err(error),
    }
}

/// Checks a submission: names, patches, and the content of every prediction; all that is wrong is found at once.
///
/// `expected` are the patches that must be there; without them, none can be missing.
pub fn check(
    source: &Source,
    expected: Option<&BTreeSet<PatchId>>,
    options: &CheckOptions,
    progress: &dyn Progress,
) -> CheckReport {
    let mut remarks = Remarks::default();
    let mut predictions = BTreeMap::<PatchId, Vec<&Entry>>::new();
    for entry in source.entries() {
        for &defect in &entry.defects {
            remarks.add(entry, None, defect.into(), format!("this entry {}", defect.reason()));
        }
        match by_name(&entry.name) {
            Named::Prediction(id) => predictions.entry(id).or_default().push(entry),
            Named::WrongName(why) => remarks.add(entry, None, Code::WrongName, why),
            Named::Junk => remarks.add(entry, None, Code::JunkFile, "left behind by an operating system; remove it"),
            Named::Other => remarks.add(entry, None, Code::UnexpectedFile, "not a prediction; no scorer looks at it"),
        }
    }

    let files: Vec<_> = predictions.iter().flat_map(|(&id, entries)| entries.iter().map(move |&e| (id, e))).collect();
    progress.event(Event::Started { stage: "checking", steps: files.len() as u64 });
    let contents: Vec<_> = files
        .par_iter()
        .map(|&(id, entry)| {
            let content = look(source, entry, options);
            progress.event(Event::Step { patch: Some(id) });
            content
        })
        .collect();
    progress.event(Event::Finished);

    let (mut values, mut pixels_above, mut patches_above) = (Values::NONE, 0, BTreeSet::new());
    for (&(id, entry), content) in files.iter().zip(&contents) {
        for (code, message) in &content.remarks {
            remarks.add(entry, Some(id), *code, message);
        }
        values.merge(&content.values);
        if content.pixels_out_of_range > 0 {
            pixels_above += content.pixels_out_of_range;
            patches_above.insert(id);
        }
    }

    let mut findings = remarks.into_findings();
    if !patches_above.is_empty() {
        let values = values.out_of_range();
        let message = format!("{pixels_above} pixels are above 12, the last class: {values}");
        let message = with_files(message, patches_above.len());
        findings.push(Code::ValueOutOfRange.finding(ranges(patches_above), message));
    }
    findings.extend(by_values(&values).into_iter().map(|(code, hint)| code.finding("all predictions", hint)));
    if source.left_out() > 0 {
        let message = format!("more entries than are looked at: {} were left out", source.left_out());
        findings.push(Code::TooManyEntries.finding(source.kind().to_string(), message));
    }
    let mut counts = Counts { files: source.entries().len(), predictions: predictions.len(), ..Counts::default() };
    let (missing, extra) = compare(source, &predictions, expected, &mut findings);
    (counts.expected, counts.missing, counts.extra) = (expected.map(BTreeSet::len), missing.len(), extra.len());
    let report = CheckReport::new(counts, findings);
    CheckReport { missing: fold_ranges(missing), extra: fold_ranges(extra), ..report }
}

impl CheckReport {
    fn new(counts: Counts, mut findings: Vec<Finding>) -> Self {
        let place = |finding: &Finding| Code::ALL.iter().position(|code| code.code() == finding.code);
        findings.sort_by(|a, b| (place(a), &a.subject, &a.message).cmp(&(place(b), &b.subject, &b.message)));
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
        Self {
            schema: CheckSchema::V1,
            valid: errors == 0,
            counts: Counts { errors, warnings, notes, ..counts },
            missing: Vec::new(),
            extra: Vec::new(),
            findings,
        }
    }
}

/// Which patches there are against which there should be.
fn compare(
    source: &Source,
    predictions: &BTreeMap<PatchId, Vec<&Entry>>,
    expected: Option<&BTreeSet<PatchId>>,
    findings: &mut Vec<Finding>,
) -> (BTreeSet<PatchId>, BTreeSet<PatchId>) {
    for (id, entries) in predictions.iter().filter(|(_, entries)| entries.len() > 1) {
        // Entries of one path are told as such.
        let paths: BTreeSet<_> = entries.iter().map(|e| shown(&e.name)).collect();
        if paths.len() > 1 {
            let shown: Vec<_> = paths.iter().take(4).map(|path| format!("`{path}`")).collect();
            let more = if paths.len() > 4 { format!(" and {} more", paths.len() - 4) } else { String::new() };
            let message = format!("several predictions of this patch: {}{more}", shown.join(", "));
            findings.push(Code::DuplicatePrediction.finding(id.to_string(), message));
        }
    }
    if predictions.is_empty() {
        let message = "no file is named like a prediction, PRED_077413.tif";
        findings.push(Code::NoPredictions.finding(source.kind().to_string(), message));
    }
    let Some(expected) = expected else {
        let message = "no list of patches is given, so missing and extra predictions cannot be told";
        findings.push(Code::IdsNotChecked.finding(source.kind().to_string(), message));
        return <_>::default();
    };
    let missing: BTreeSet<_> = expected.iter().filter(|id| !predictions.contains_key(id)).copied().collect();
    let extra: BTreeSet<_> = predictions.keys().filter(|id| !expected.contains(id)).copied().collect();
    if !missing.is_empty() {
        let message = format!("{} of {} expected predictions are missing", missing.len(), expected.len());
        findings.push(Code::MissingPrediction.finding(ranges(missing.iter().copied()), message));
        let is_tail = expected.iter().rev().take(missing.len()).all(|id| missing.contains(id));
        if is_tail && missing.len() < 64 && missing.len() < expected.len() {
            let message = "only the last ones are missing: does a data loader drop an incomplete last batch?";
            findings.push(Code::LastBatchMissing.finding(ranges(missing.iter().copied()), message));
        }
    }
    if !extra.is_empty() {
        let message = format!("{} predictions are of patches that are not expected", extra.len());
        findings.push(Code::ExtraPrediction.finding(ranges(extra.iter().copied()), message));
    }
    (missing, extra)
}
