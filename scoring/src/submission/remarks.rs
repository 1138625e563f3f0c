//! Remarks on single files, folded into findings: 16,050 files with one mistake are one finding.

use std::{borrow::Cow, collections::BTreeMap};

use super::{expected::fold_ranges, shown, source::Entry};
use crate::{Code, Finding, PatchId};

/// Most ranges that a finding's subject lists.
const MAX_RANGES: usize = 8;

/// Most findings of one code: an archive may be built to have half a million different faults.
pub(super) const MAX_TOLD: usize = 1000;

/// Remarks on single files; those that say the same of several files are one finding. What is kept does not depend on
/// the order in which they come.
#[derive(Default)]
pub(crate) struct Remarks<'a> {
    codes: BTreeMap<Code, Groups<'a>>,
}

/// The remarks of one code: those with the first [`MAX_TOLD`] messages, and the number of all.
#[derive(Default)]
struct Groups<'a> {
    kept: BTreeMap<String, Group<'a>>,
    files: usize,
}

/// The files of one message.
struct Group<'a> {
    files: usize,
    /// The first one by name.
    first: Cow<'a, str>,
    /// The patches that they are the predictions of.
    ids: Vec<PatchId>,
}

impl<'a> Remarks<'a> {
    pub(super) fn add(&mut self, entry: &'a Entry, id: Option<PatchId>, code: Code, message: impl Into<String>) {
        self.add_named(&entry.name, id, code, message);
    }

    /// Adds a remark on a file of that name.
    pub(crate) fn add_named(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        id: Option<PatchId>,
        code: Code,
        message: impl Into<String>,
    ) {
        let group = Group { files: 1, first: name.into(), ids: id.into_iter().collect() };
        self.codes.entry(code).or_default().add(message.into(), group);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (code, groups) in other.codes {
            let ours = self.codes.entry(code).or_default();
            let kept: usize = groups.kept.values().map(|group| group.files).sum();
            ours.files += groups.files - kept;
            groups.kept.into_iter().for_each(|(message, group)| ours.add(message, group));
        }
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.codes.into_iter().flat_map(|(code, groups)| groups.into_findings(code)).collect()
    }
}

impl<'a> Groups<'a> {
    fn add(&mut self, message: String, mut group: Group<'a>) {
        self.files += group.files;
        if let Some(ours) = self.kept.get_mut(&message) {
            ours.files += group.files;
            if group.first < ours.first {
                ours.first = group.first;
            }
            ours.ids.append(&mut group.ids);
            return;
        }
        self.kept.insert(message, group);
        // The first messages by themselves, so that whatever comes when, the same ones stay.
        if self.kept.len() > MAX_TOLD {
            self.kept.pop_last();
        }
    }

    fn into_findings(self, code: Code) -> Vec<Finding> {
        let told: usize = self.kept.values().map(|group| group.files).sum();
        let mut findings: Vec<_> =
            self.kept.into_iter().map(|(message, group)| group.into_finding(code, message)).collect();
        if self.files > told {
            let message = format!("as much is wrong with them, each in its own way ({MAX_TOLD} ways are told)");
            findings.push(code.finding(format!("{} more files", self.files - told), message));
        }
        findings
    }
}

impl Group<'_> {
    fn into_finding(self, code: Code, message: String) -> Finding {
        let are_patches = self.ids.len() == self.files;
        let subject = if are_patches && self.files > 1 { ranges(self.ids) } else { shown(&self.first) };
        code.finding(subject, with_files(message, self.files))
    }
}

/// Adds to a message of how many files it is, if it is of several.
pub(crate) fn with_files(message: String, files: usize) -> String {
    if files > 1 { format!("{message} ({files} files)") } else { message }
}

/// Ranges of patches, for a subject: the first few, and how many there are.
pub(crate) fn ranges(ids: impl IntoIterator<Item = PatchId>) -> String {
    let ranges = fold_ranges(ids);
    let more = if ranges.len() > MAX_RANGES { format!(", … ({} ranges)", ranges.len()) } else { String::new() };
    ranges[..ranges.len().min(MAX_RANGES)].join(", ") + &more
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(count: usize) -> Vec<Entry> {
        (0..count).map(|i| Entry::new(format!("PRED_{i:06}.tif"), 0, i, Vec::new())).collect()
    }

    #[test]
    fn endless_faults_are_told_in_part_and_counted_in_full() {
        let entries = entries(5000);
        let mut remarks = Remarks::default();
        for (i, entry) in entries.iter().enumerate() {
            remarks.add(
                entry,
                PatchId::new(u32::try_from(i).unwrap()),
                Code::DamagedEntry,
                format!("fault {:04}", i % 4999),
            );
        }
        let findings = remarks.into_findings();
        assert_eq!(findings.len(), MAX_TOLD + 1);
        assert_eq!(
            (findings[0].subject.as_str(), findings[0].message.as_str()),
            ("000000, 004999", "fault 0000 (2 files)")
        );
        assert_eq!(findings[MAX_TOLD].subject, "3999 more files");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn parts_merge_to_the_same_whole(faults in prop::collection::vec(0u32..1500, 0..4000), cut in 0usize..4000) {
            let entries = entries(faults.len());
            let remarks = |range: std::ops::Range<usize>| {
                let mut remarks = Remarks::default();
                for i in range {
                    remarks.add(&entries[i], None, Code::DamagedEntry, format!("fault {}", faults[i]));
                }
                remarks
            };
            let cut = cut.min(faults.len());
            let mut parts = remarks(cut..faults.len());
            parts.merge(remarks(0..cut));
            prop_assert_eq!(parts.into_findings(), remarks(0..faults.len()).into_findings());
        }
    }
}
