//! Remarks on single files, folded into findings: 16,050 files with one mistake are one finding.

use std::collections::{BTreeMap, BTreeSet};

use super::{codes::Code, expected::fold_ranges, shown, source::Entry};
use crate::{Finding, PatchId};

/// Most ranges that a finding's subject lists.
const MAX_RANGES: usize = 8;

/// Remarks on single files; those that say the same of several files are one finding.
#[derive(Default)]
pub(super) struct Remarks<'a> {
    groups: BTreeMap<(Code, String), Vec<File<'a>>>,
}

/// A file, and the patch that it is the prediction of, if it is one.
type File<'a> = (&'a str, Option<PatchId>);

impl<'a> Remarks<'a> {
    pub(super) fn add(&mut self, entry: &'a Entry, id: Option<PatchId>, code: Code, message: impl Into<String>) {
        self.groups.entry((code, message.into())).or_default().push((&entry.name, id));
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        let finding = |((code, message), files): (_, Vec<_>)| fold(code, message, &files);
        self.groups.into_iter().map(finding).collect()
    }
}

fn fold(code: Code, message: String, files: &[File<'_>]) -> Finding {
    let ids: Option<BTreeSet<_>> = files.iter().map(|(_, id)| *id).collect();
    let first = files.iter().map(|(name, _)| *name).min().unwrap_or_default();
    let subject = match ids {
        Some(ids) if files.len() > 1 => ranges(ids),
        _ => shown(first),
    };
    code.finding(subject, with_files(message, files.len()))
}

/// Adds to a message of how many files it is, if it is of several.
pub(super) fn with_files(message: String, files: usize) -> String {
    if files > 1 { format!("{message} ({files} files)") } else { message }
}

/// Ranges of patches, for a subject: the first few, and how many there are.
pub(super) fn ranges(ids: impl IntoIterator<Item = PatchId>) -> String {
    let ranges = fold_ranges(ids);
    let more = if ranges.len() > MAX_RANGES { format!(", … ({} ranges)", ranges.len()) } else { String::new() };
    ranges[..ranges.len().min(MAX_RANGES)].join(", ") + &more
}
