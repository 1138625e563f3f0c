//! Compares the patches of a submission with the expected ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use crate::{
    Code, Finding, PatchId,
    finding::remarks::{MAX_FINDINGS, ranges, with_files},
    source::{Entry, Source},
    text::shown,
};

/// Upper bound (exclusive) on the patches that a data loader drops with its last batch.
const MAX_BATCH: usize = 64;

/// The numbers of other parts of FLAIR: the training set of both challenges, and the test set of the first.
const OTHER_PARTS: [(RangeInclusive<u32>, &str); 2] =
    [(1..=61_712, "the training set"), (61_713..=77_412, "FLAIR #1's test set")];

/// Compares the patches with the expected ones: adds findings, returns the missing and the extra patches.
pub(super) fn compare(
    source: &Source,
    predictions: &BTreeMap<PatchId, Vec<&Entry>>,
    expected: Option<&BTreeSet<PatchId>>,
    findings: &mut Vec<Finding>,
) -> (BTreeSet<PatchId>, BTreeSet<PatchId>) {
    findings.extend(duplicates(predictions));
    if predictions.is_empty() {
        let message = "no file has a prediction's name, such as PRED_077413.tif";
        findings.push(Code::NoPredictions.finding(source.kind().to_string(), message));
    }
    let Some(expected) = expected else {
        let message = "no list of expected patches is given, so missing and extra predictions are not detected (--official checks the challenge's list)";
        findings.push(Code::IdsNotChecked.finding(source.kind().to_string(), message));
        // They may be a validation set on purpose, so this is only a warning.
        findings.extend(other_parts(predictions.keys()));
        return <_>::default();
    };
    let missing: BTreeSet<_> = expected.iter().filter(|id| !predictions.contains_key(id)).copied().collect();
    let extra: BTreeSet<_> = predictions.keys().filter(|id| !expected.contains(id)).copied().collect();
    if !missing.is_empty() {
        let message = format!("{} of {} expected predictions are missing", missing.len(), expected.len());
        findings.push(Code::MissingPrediction.finding(ranges(missing.iter().copied()), message));
        let is_tail = expected.iter().rev().take(missing.len()).all(|id| missing.contains(id));
        if is_tail && missing.len() < MAX_BATCH && missing.len() < expected.len() {
            let message = "only the last ones are missing: does a data loader drop an incomplete last batch?";
            findings.push(Code::LastBatchMissing.finding(ranges(missing.iter().copied()), message));
        }
    }
    if !extra.is_empty() {
        let are = if extra.len() == 1 {
            "prediction belongs to a patch that is"
        } else {
            "predictions belong to patches that are"
        };
        let message = format!("{} {are} not expected", extra.len());
        findings.push(Code::ExtraPrediction.finding(ranges(extra.iter().copied()), message));
        findings.extend(other_parts(&extra));
    }
    (missing, extra)
}

/// Findings about patches with several predictions.
fn duplicates(predictions: &BTreeMap<PatchId, Vec<&Entry>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rest = Vec::new();
    for (&id, entries) in predictions.iter().filter(|(_, entries)| entries.len() > 1) {
        // Entries with the same path have a finding of their own.
        let paths: BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
        if paths.len() < 2 {
            continue;
        }
        if findings.len() == MAX_FINDINGS {
            rest.push(id);
            continue;
        }
        let names: Vec<_> = paths.iter().take(4).map(|path| format!("`{}`", shown(path))).collect();
        let more = if paths.len() > 4 { format!(" and {} more", paths.len() - 4) } else { String::new() };
        let message = format!("several predictions of this patch: {}{more}", names.join(", "));
        findings.push(Code::DuplicatePrediction.finding(id.to_string(), message));
    }
    if !rest.is_empty() {
        let message = format!("{} more patches with several predictions", rest.len());
        findings.push(Code::DuplicatePrediction.finding(ranges(rest), message));
    }
    findings
}

/// Warns about patches that belong to another part of FLAIR than the challenge's test set.
fn other_parts<'a>(ids: impl IntoIterator<Item = &'a PatchId>) -> Vec<Finding> {
    let ids: Vec<_> = ids.into_iter().copied().collect();
    let findings = OTHER_PARTS.iter().filter_map(|(numbers, name)| {
        let of_part: Vec<_> = ids.iter().copied().filter(|id| numbers.contains(&id.number())).collect();
        let message = with_files(format!("of {name}: the challenge's test set is 077413-093462"), of_part.len());
        (!of_part.is_empty()).then(|| Code::OtherPart.finding(ranges(of_part), message))
    });
    findings.collect()
}
