//! Remarks on single patches, folded: what is wrong with a whole domain is one finding.

use std::collections::BTreeMap;

use flair_scoring::{Finding, PatchId, finding::Kind, submission::fold_ranges};

use crate::data::{Part, PatchRecord};

/// Most ranges that a message lists.
const MAX_RANGES: usize = 5;

/// Remarks on patches; those that say the same of several patches of a domain are one finding.
#[derive(Default)]
pub(super) struct Folded<'a> {
    groups: BTreeMap<(&'static str, Part, &'a str, String), Group>,
}

struct Group {
    kind: &'static Kind,
    /// The first file or patch.
    first: String,
    ids: Vec<PatchId>,
}

impl<'a> Folded<'a> {
    pub(super) fn add(
        &mut self,
        record: &'a PatchRecord,
        kind: &'static Kind,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        let key = (kind.code, record.part, record.domain.as_str(), message.into());
        let group = self.groups.entry(key).or_insert_with(|| Group { kind, first: subject.into(), ids: Vec::new() });
        group.ids.push(record.id);
    }

    pub(super) fn into_findings(self) -> impl Iterator<Item = Finding> {
        self.groups.into_iter().map(|((_, part, domain, message), group)| {
            let Group { kind, first, ids } = group;
            if ids.len() == 1 {
                return kind.finding(first, message);
            }
            let message = format!("{message} ({} patches: {})", ids.len(), ranges(ids));
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
    let ranges = fold_ranges(ids);
    let rest = if ranges.len() > MAX_RANGES { format!(", … ({} ranges)", ranges.len()) } else { String::new() };
    ranges[..ranges.len().min(MAX_RANGES)].join(", ") + &rest
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
