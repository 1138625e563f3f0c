//! Merges remarks on single patches: the same problem in many patches of a domain is one finding.

use std::collections::BTreeMap;

use flair_scoring::{
    Finding, PatchId,
    dataset::list_ranges,
    finding::{Kind, without_numbers},
};

use crate::data::{Part, PatchRecord};

/// Maximum number of ranges in a message.
const MAX_RANGES: usize = 5;

/// Remarks on patches. Remarks of one domain that differ only in numbers become one finding.
pub(super) struct Folded<'a> {
    /// Their subject: `patches`, `masks`.
    what: &'static str,
    /// By code, part, domain, and the message without its numbers.
    groups: BTreeMap<(&'static str, Part, &'a str, String), Group>,
}

impl Default for Folded<'_> {
    fn default() -> Self {
        Self::of("patches")
    }
}

struct Group {
    kind: &'static Kind,
    /// The first file or patch.
    first: String,
    /// The message.
    message: String,
    /// Whether the messages differ in their numbers.
    differs: bool,
    ids: Vec<PatchId>,
}

impl<'a> Folded<'a> {
    /// Remarks on files of that kind, one per patch.
    pub(super) const fn of(what: &'static str) -> Self {
        Self { what, groups: BTreeMap::new() }
    }

    pub(super) fn add(
        &mut self,
        record: &'a PatchRecord,
        kind: &'static Kind,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        let message = message.into();
        let key = (kind.code, record.part, record.domain.as_str(), without_numbers(&message));
        let first = |message: &String| {
            let (first, message) = (subject.into(), message.clone());
            Group { kind, first, message, differs: false, ids: Vec::new() }
        };
        let group = self.groups.entry(key).or_insert_with(|| first(&message));
        group.differs |= group.message != message;
        group.ids.push(record.id);
    }

    pub(super) fn into_findings(self) -> impl Iterator<Item = Finding> {
        let what = self.what;
        self.groups.into_iter().map(move |((_, part, domain, _), group)| {
            let Group { kind, first, message, differs, ids } = group;
            if ids.len() == 1 {
                return kind.finding(first, message);
            }
            let note = if differs { "; the numbers differ" } else { "" };
            let message = format!("{message} ({} {what}: {}{note})", ids.len(), ranges(ids));
            kind.finding(format!("{}/{domain}", name(part)), message)
        })
    }
}

pub(super) fn name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Test => "test",
    }
}

/// Numbers as ranges, the first five of them: `000826-000830, 000833`.
pub(super) fn ranges(ids: impl IntoIterator<Item = PatchId>) -> String {
    list_ranges(ids, MAX_RANGES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fixture::id;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        let shown = |numbers: &[u32]| ranges(numbers.iter().map(|number| id(*number)));
        assert_eq!(shown(&[1, 2, 3, 7, 9, 10]), "000001-000003, 000007, 000009-000010");
        assert_eq!(shown(&[1, 3, 5, 7, 9]), "000001, 000003, 000005, 000007, 000009");
        assert_eq!(shown(&[1, 3, 5, 7, 9, 11]), "000001, 000003, 000005, 000007, 000009, … (6 ranges)");
    }
}
