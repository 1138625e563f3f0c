//! Merges remarks on single files into findings: 16,050 files with the same mistake give one finding.

use std::{borrow::Cow, collections::BTreeMap};

use super::{registry::Registry, severity::Finding};
use crate::{
    dataset::{PatchId, list_ranges},
    text::shown,
};

/// Maximum number of ranges in a finding's subject.
const MAX_RANGES: usize = 8;

/// Maximum number of findings per code: a malicious archive may have half a million different faults.
pub(crate) const MAX_FINDINGS: usize = 1000;

/// Maximum number of variants of one message that are listed separately, such as three wrong sizes.
const MAX_VARIANTS: usize = 4;

/// Remarks on single files. Equal remarks on several files are merged into one finding; so are more than
/// [`MAX_VARIANTS`] remarks that differ only in their numbers. The result does not depend on the order of insertion.
pub(crate) struct Remarks<'a, C> {
    codes: BTreeMap<C, Kinds<'a>>,
}

impl<C> Default for Remarks<'_, C> {
    fn default() -> Self {
        Self { codes: BTreeMap::new() }
    }
}

/// The remarks of one code: the first [`MAX_FINDINGS`] kinds in sorted order, and the number of files of all kinds.
#[derive(Default)]
struct Kinds<'a> {
    /// Keyed by the message without its numbers.
    kept: BTreeMap<String, Variants<'a>>,
    files: usize,
}

/// The remarks of one kind, keyed by message.
#[derive(Default)]
struct Variants<'a> {
    groups: BTreeMap<String, Group<'a>>,
    /// Whether there were more than [`MAX_VARIANTS`]: all are now in one group, with the first file's message.
    is_merged: bool,
}

/// The files that share one message.
struct Group<'a> {
    files: usize,
    /// The first file in name order.
    first: Cow<'a, str>,
    /// The patches of those files that are predictions.
    ids: Vec<PatchId>,
}

impl<'a, C: Registry> Remarks<'a, C> {
    /// Adds a remark on the file `name`.
    pub(crate) fn add(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        id: Option<PatchId>,
        code: C,
        message: impl Into<String>,
    ) {
        let group = Group { files: 1, first: name.into(), ids: id.into_iter().collect() };
        let message = message.into();
        let mut variants = Variants::default();
        let kind = without_numbers(&message);
        variants.groups.insert(message, group);
        self.codes.entry(code).or_default().add(kind, variants);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (code, kinds) in other.codes {
            let ours = self.codes.entry(code).or_default();
            let kept: usize = kinds.kept.values().map(Variants::files).sum();
            ours.files += kinds.files - kept;
            kinds.kept.into_iter().for_each(|(kind, variants)| ours.add(kind, variants));
        }
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.codes.into_iter().flat_map(|(code, kinds)| kinds.into_findings(code)).collect()
    }
}

impl<'a> Kinds<'a> {
    fn add(&mut self, kind: String, variants: Variants<'a>) {
        self.files += variants.files();
        if let Some(ours) = self.kept.get_mut(&kind) {
            return ours.merge(variants);
        }
        self.kept.insert(kind, variants);
        // Keeps the first kinds in sorted order, so the result does not depend on the order of insertion.
        if self.kept.len() > MAX_FINDINGS {
            self.kept.pop_last();
        }
    }

    fn into_findings(self, code: impl Registry) -> Vec<Finding> {
        let listed: usize = self.kept.values().map(Variants::files).sum();
        let of_kind = |variants: Variants<'a>| {
            let is_merged = variants.is_merged;
            variants.groups.into_iter().map(move |(message, group)| group.into_finding(code, message, is_merged))
        };
        let mut findings: Vec<_> = self.kept.into_values().flat_map(of_kind).collect();
        if self.files > listed {
            let message =
                format!("they have further problems of the same code; only the first {MAX_FINDINGS} are listed");
            findings.push(code.kind().finding(format!("{} more files", self.files - listed), message));
        }
        findings
    }
}

impl Variants<'_> {
    fn files(&self) -> usize {
        self.groups.values().map(|group| group.files).sum()
    }

    fn merge(&mut self, other: Self) {
        for (message, group) in other.groups {
            match self.groups.get_mut(&message) {
                Some(ours) => ours.merge(group),
                None => drop(self.groups.insert(message, group)),
            }
        }
        self.is_merged |= other.is_merged || self.groups.len() > MAX_VARIANTS;
        if self.is_merged {
            let all = std::mem::take(&mut self.groups).into_iter();
            let one = all.reduce(|(a, mut of_a), (b, of_b)| {
                let message = if (&of_b.first, &b) < (&of_a.first, &a) { b } else { a };
                of_a.merge(of_b);
                (message, of_a)
            });
            self.groups.extend(one);
        }
    }
}

impl Group<'_> {
    fn merge(&mut self, mut other: Self) {
        self.files += other.files;
        if other.first < self.first {
            self.first = other.first;
        }
        self.ids.append(&mut other.ids);
    }

    fn into_finding(self, code: impl Registry, message: String, is_example: bool) -> Finding {
        let are_patches = self.ids.len() == self.files;
        let subject = if are_patches && self.files > 1 { ranges(self.ids) } else { shown(&self.first) };
        let message = if is_example {
            format!("{message} ({} files; the numbers differ)", self.files)
        } else {
            with_files(message, self.files)
        };
        code.kind().finding(subject, message)
    }
}

/// Appends the number of files to a message, if there are several.
pub(crate) fn with_files(message: String, files: usize) -> String {
    if files > 1 { format!("{message} ({files} files)") } else { message }
}

/// Ranges of patches, for a subject: the first few, and the number of all.
pub(crate) fn ranges(ids: impl IntoIterator<Item = PatchId>) -> String {
    list_ranges(ids, MAX_RANGES)
}

/// Replaces every number of a message by `0`, so that messages that differ only in numbers become equal.
pub fn without_numbers(message: &str) -> String {
    let mut kind = String::with_capacity(message.len());
    for c in message.chars() {
        match c {
            '0'..='9' if kind.ends_with('0') => {}
            '0'..='9' => kind.push('0'),
            _ => kind.push(c),
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::submission::Code;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("PRED_{i:06}.tif")).collect()
    }

    /// Maps each number to a text without digits.
    fn word(mut number: u32) -> String {
        let mut text = String::new();
        for _ in 0..4 {
            text.insert(0, char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        text
    }

    #[test]
    fn many_messages_that_differ_only_in_numbers_are_one_finding() {
        let names = names(5);
        let findings = |count: usize| {
            let mut remarks = Remarks::default();
            // Inserts the last file first: the message must still be the first file's.
            for (i, name) in names[..count].iter().enumerate().rev() {
                let message = format!("cut short: {} bytes of {}", 900 - i, 1000 + i);
                remarks.add(name, PatchId::new(u32::try_from(i).unwrap()), Code::UnreadableImage, message);
            }
            let findings = remarks.into_findings();
            findings.into_iter().map(|f| format!("{}: {}", f.subject, f.message)).collect::<Vec<_>>()
        };
        assert_eq!(findings(4).len(), 4);
        assert_eq!(findings(5), ["000000-000004: cut short: 900 bytes of 1000 (5 files; the numbers differ)"]);
    }

    #[test]
    fn endless_faults_are_listed_in_part_and_counted_in_full() {
        let names = names(5000);
        let mut remarks = Remarks::default();
        for (i, name) in names.iter().enumerate() {
            remarks.add(
                name,
                PatchId::new(u32::try_from(i).unwrap()),
                Code::DamagedEntry,
                format!("fault {}", word(u32::try_from(i % 4999).unwrap())),
            );
        }
        let findings = remarks.into_findings();
        assert_eq!(findings.len(), MAX_FINDINGS + 1);
        assert_eq!(
            (findings[0].subject.as_str(), findings[0].message.as_str()),
            ("000000, 004999", "fault aaaa (2 files)")
        );
        assert_eq!(findings[MAX_FINDINGS].subject, "3999 more files");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn parts_merge_to_the_same_whole(faults in prop::collection::vec(0u32..9000, 0..4000), cut in 0usize..4000) {
            let names = names(faults.len());
            let remarks = |range: std::ops::Range<usize>| {
                let mut remarks = Remarks::default();
                for i in range {
                    remarks.add(&names[i], None, Code::DamagedEntry, format!("fault {} {}", word(faults[i] / 7), faults[i]));
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
