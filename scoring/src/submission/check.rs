//! Checks a submission and reports all problems at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::Path,
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    age,
    content::{Content, Depth, look},
    declared,
    hints::{Extent, Values, by_values},
    named::{NESTED_ARCHIVE, Named, by_name},
    options::{CheckOptions, Digests},
    patches,
};
use crate::{
    Code, Event, Finding, PatchId, Progress, Severity,
    dataset::fold_ranges,
    files::open_regular,
    finding::{
        remarks::{Remarks, ranges, with_files},
        tally, truncate,
    },
    source::{Entry, Kind, Source, SourceError, magic},
    text::{counted, shown},
};

/// The schema of [`CheckReport`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckSchema {
    /// The first one.
    #[default]
    #[serde(rename = "flair-bench/check/1")]
    V1,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckReport {
    /// `flair-bench/check/1`.
    pub schema: CheckSchema,
    /// True if no finding is an error.
    pub valid: bool,
    /// Counts of files, patches and findings.
    pub counts: Counts,
    /// Patches without a prediction, as ranges: `077413-077420`.
    pub missing: Vec<String>,
    /// Patches with a prediction that are not expected, as ranges.
    pub extra: Vec<String>,
    /// Number of findings that [`CheckReport::truncate`] removed; the counts include them.
    #[serde(default)]
    pub truncated: usize,
    /// All findings, the most severe first. The same files always give the same findings, in the same order. Equal ones
    /// are merged, and each code has at most about a thousand, whatever an archive contains.
    pub findings: Vec<Finding>,
}

/// Counts of files, patches and findings of a submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Files of any kind.
    pub files: usize,
    /// Expected patches that have a prediction (patches in `extra` do not count).
    pub predictions: usize,
    /// Patches that should have a prediction; `None` if unknown.
    pub expected: Option<usize>,
    /// Patches that should have a prediction and have none.
    pub missing: usize,
    /// Patches that have a prediction but should not.
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
/// [`SourceError::Io`]: the path or a subfolder cannot be read.
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
            let looks = beginning(&path).and_then(|bytes| magic::format(&bytes).filter(|_| !bytes.starts_with(b"PK")));
            let looks = looks.map(|format| format!(" (it looks like {format})")).unwrap_or_default();
            let message = format!("not a readable zip archive{looks}: {}", shown(&reason));
            let finding = Code::UnreadableArchive.finding(shown(&name), message);
            Ok(CheckReport::new(Counts { expected: expected.map(BTreeSet::len), ..Counts::default() }, vec![finding]))
        }
        Err(error) => Err(error),
    }
}

/// The first bytes of a file.
fn beginning(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path).and_then(|file| file.take(512).read_to_end(&mut bytes)).ok()?;
    Some(bytes)
}

/// Checks a submission: names, patches, and the content of every prediction. Reports all problems at once.
///
/// `expected` are the required patches; with `None`, missing and extra patches are not detected.
pub fn check(
    source: &Source,
    expected: Option<&BTreeSet<PatchId>>,
    options: &CheckOptions,
    progress: &dyn Progress,
) -> CheckReport {
    examine(source, expected, options, Digests::None, progress).0
}

/// As [`check`]; returns the digests of the checked predictions, if asked for. A patch with several predictions has that
/// of any of them.
pub(super) fn examine(
    source: &Source,
    expected: Option<&BTreeSet<PatchId>>,
    options: &CheckOptions,
    digests: Digests,
    progress: &dyn Progress,
) -> (CheckReport, BTreeMap<PatchId, String>) {
    let mut remarks = Remarks::default();
    let mut predictions = BTreeMap::<PatchId, Vec<&Entry>>::new();
    for entry in source.entries() {
        for &defect in &entry.defects {
            remarks.add(&entry.name, None, defect.into(), format!("this entry {}", defect.reason()));
        }
        let (code, message) = match by_name(&entry.name) {
            Named::Prediction(id) => {
                predictions.entry(id).or_default().push(entry);
                continue;
            }
            Named::WrongName(why) => (Code::WrongName, why),
            Named::Junk(what) => (Code::JunkFile, what),
            Named::Unfinished => (Code::UnfinishedFile, "partially written: the program was stopped; remove it"),
            Named::Archive => (Code::NestedArchive, NESTED_ARCHIVE),
            Named::Program => {
                (Code::ProgramMetadata, "platforms take a submission with this file for a program: leave it out")
            }
            Named::Other => (Code::UnexpectedFile, "not a prediction; scorers ignore it"),
        };
        remarks.add(&entry.name, None, code, message);
    }

    // Whoever sends several files of a patch, or patches that nobody expects, must not order their decoding: the first
    // file of an expected patch is decoded.
    let is_expected = |id: &PatchId| expected.is_none_or(|expected| expected.contains(id));
    let files: Vec<_> = predictions
        .iter()
        .flat_map(|(&id, entries)| {
            let first = if is_expected(&id) { Depth::Pixels } else { Depth::Header };
            let depths = [first].into_iter().chain(std::iter::repeat(Depth::Header));
            entries.iter().zip(depths).map(move |(&entry, depth)| (id, entry, depth))
        })
        .collect();
    let classes = options.protocol.class_count();
    progress.event(Event::Started { stage: "checking", steps: files.len() as u64 });
    let seen = files
        .par_iter()
        .map(|&(id, entry, depth)| {
            let content = look(source, entry, depth, options, digests);
            progress.event(Event::Step { patch: Some(id) });
            (id, entry, content)
        })
        .fold(Seen::default, |seen, looked| seen.add(looked, classes))
        .reduce(Seen::default, Seen::merge);
    progress.event(Event::Finished);

    remarks.merge(seen.remarks);
    let digests = seen.digests;
    let mut findings = remarks.into_findings();
    let (missing, extra) = patches::compare(source, &predictions, expected, &mut findings);
    if !seen.above.is_empty() {
        let (pixels, values) = (seen.values.above(classes), seen.values.out_of_range(classes));
        let are = if pixels == 1 { "pixel is" } else { "pixels are" };
        let message = format!("{pixels} {are} above {}, the last class: {values}", classes - 1);
        let message = with_files(message, seen.above.len());
        findings.push(Code::ValueOutOfRange.finding(ranges(seen.above), message));
    }
    let extent = Extent { predictions: seen.decoded, has_all: expected.is_some() && missing.is_empty() };
    let hints = by_values(&seen.values, &options.protocol, extent);
    findings.extend(hints.into_iter().map(|(code, hint)| code.finding(ALL, hint)));
    if let Some(value) = seen.values.constant().filter(|_| seen.decoded > 1) {
        let message = format!("every pixel of all {} predictions is {value}", seen.decoded);
        findings.push(Code::ConstantSubmission.finding(ALL, message));
    }
    if source.left_out() > 0 {
        let message = format!("more entries than the limit: {} were not checked", source.left_out());
        findings.push(Code::TooManyEntries.finding(source.kind().to_string(), message));
    }
    if let Some(what) = source.ambiguity() {
        let message = format!("{what}: some readers may see other files in it, or none; pack it again");
        findings.push(Code::AmbiguousArchive.finding(source.kind().to_string(), message));
    }
    let written = files.iter().filter_map(|(id, entry, _)| Some((entry.modified?, *id)));
    findings.extend(age::stale(written.collect()));
    if source.kind() == Kind::Archive {
        findings.extend(declared::name(source.path(), options.factor));
    }
    let counts = Counts {
        files: source.entries().len(),
        predictions: predictions.len() - extra.len(),
        expected: expected.map(BTreeSet::len),
        missing: missing.len(),
        extra: extra.len(),
        ..Counts::default()
    };
    let report = CheckReport::new(counts, findings);
    (CheckReport { missing: fold_ranges(missing), extra: fold_ranges(extra), ..report }, digests)
}

/// The subject of findings about all predictions.
const ALL: &str = "all predictions";

/// Accumulated results of the predictions so far, in bounded memory; the files themselves are not kept.
#[derive(Default)]
struct Seen<'a> {
    remarks: Remarks<'a, Code>,
    values: Values,
    /// Number of predictions whose values are known.
    decoded: usize,
    /// Patches with values above the last class.
    above: Vec<PatchId>,
    digests: BTreeMap<PatchId, String>,
}

impl<'a> Seen<'a> {
    fn add(mut self, (id, entry, content): (PatchId, &'a Entry, Content), classes: usize) -> Self {
        self.digests.extend(content.digest.map(|digest| (id, digest)));
        for (code, message) in content.remarks {
            self.remarks.add(&entry.name, Some(id), code, message);
        }
        if let Some(values) = content.values {
            if values.constant().is_some() {
                self.remarks.add(&entry.name, Some(id), Code::ConstantPrediction, "all pixels have the same value");
            }
            self.above.extend((values.above(classes) > 0).then_some(id));
            self.decoded += 1;
            self.values.merge(&values);
        }
        self
    }

    fn merge(mut self, other: Self) -> Self {
        self.remarks.merge(other.remarks);
        self.values.merge(&other.values);
        self.decoded += other.decoded;
        self.above.extend(other.above);
        self.digests.extend(other.digests);
        self
    }
}

impl CheckReport {
    /// The report with the findings of one kind as warnings, for a use to which they do no harm.
    pub(super) fn with_warnings(self, code: Code) -> Self {
        let Self { counts, missing, extra, truncated, mut findings, .. } = self;
        for finding in findings.iter_mut().filter(|finding| finding.code == code.code()) {
            finding.severity = Severity::Warning;
        }
        Self { missing, extra, truncated, ..Self::new(counts, findings) }
    }

    fn new(counts: Counts, mut findings: Vec<Finding>) -> Self {
        let order = |finding: &Finding| Code::KINDS.iter().position(|kind| kind.code == finding.code);
        findings.sort_by_cached_key(|f| (order(f), f.subject.clone(), f.message.clone()));
        let [errors, warnings, notes] = tally(&findings);
        Self {
            schema: CheckSchema::V1,
            valid: errors == 0,
            counts: Counts { errors, warnings, notes, ..counts },
            missing: Vec::new(),
            extra: Vec::new(),
            truncated: 0,
            findings,
        }
    }

    /// Whether the predictions look like a usual mistake that no rule forbids: classes counted from 1, or written as
    /// labels, scores or colours.
    pub fn is_doubtful(&self) -> bool {
        self.findings.iter().any(Code::is_doubt)
    }

    /// Replaces the findings about TIFFs that packing compressed again: the archive no longer has their fault.
    pub(super) fn recompressed(self) -> Self {
        let Self { counts, missing, extra, truncated, findings, .. } = self;
        let findings = findings.into_iter().map(|finding| match finding {
            finding if finding.code == Code::NotLzw.code() => {
                let message = format!("{}: compressed again by LZW in the archive, pixel for pixel", finding.message);
                Code::NotLzw.finding(finding.subject, message).with_severity(Severity::Note)
            }
            finding => finding,
        });
        Self { missing, extra, truncated, ..Self::new(counts, findings.collect()) }
    }

    /// The report in one line, without a line break:
    /// `not valid: 3 of 4 expected predictions; 2 errors, 1 warning, 0 notes`.
    pub fn verdict(&self) -> String {
        let counts = &self.counts;
        let predictions = match counts.expected {
            Some(expected) => format!("{} of {}", counts.predictions, counted(expected, "expected prediction")),
            None => counted(counts.predictions, "prediction"),
        };
        let extra = if counts.extra > 0 { format!(", {} extra", counts.extra) } else { String::new() };
        format!(
            "{}: {predictions}{extra}; {}, {}, {}",
            match (self.valid, self.is_doubtful()) {
                (false, _) => "not valid",
                (true, true) => "valid, but it looks like a mistake",
                (true, false) => "valid",
            },
            counted(counts.errors, "error"),
            counted(counts.warnings, "warning"),
            counted(counts.notes, "note")
        )
    }

    /// Keeps the `most` most severe findings; the rest is counted in [`CheckReport::truncated`].
    pub fn truncate(&mut self, most: usize) {
        self.truncated += truncate(&mut self.findings, most);
    }
}
