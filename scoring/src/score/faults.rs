//! Problems that prevent scoring: collected per pair, merged into a few findings for any number of pairs.

use std::borrow::Cow;

use crate::{
    Finding, PatchId, Protocol,
    finding::remarks::{Remarks, ranges, with_files},
    score::{confusion_matrix::Strays, numbering::ValueCounts, pairing::Pair},
    submission::Code,
    text::{noun, shown},
};

/// Maximum number of values listed in a message.
const MAX_VALUES: usize = 8;

/// A raster of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Mask,
    Prediction,
}

/// Problems of one pair.
#[derive(Default)]
pub(super) struct Faults {
    remarks: Vec<(About, Code, String)>,
    /// Mask values that are not a label.
    pub(super) labels: Strays,
    /// Predicted values that are not a class.
    pub(super) classes: Strays,
    /// Whether class 0 occurs in the prediction; if so, classes are not counted from 1.
    pub(super) has_first: bool,
    /// The pixels by value, if only predicted values are at fault.
    pub(super) values: Option<ValueCounts>,
}

impl Faults {
    pub(super) fn add(&mut self, about: About, code: Code, message: impl Into<String>) {
        self.remarks.push((about, code, message.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.remarks.is_empty() && self.labels.is_empty() && self.classes.is_empty()
    }
}

/// Problems of all pairs.
#[derive(Default)]
pub(super) struct Refusal<'a> {
    remarks: Remarks<'a, Code>,
    labels: StrayValues<'a>,
    classes: StrayValues<'a>,
    /// Values of predictions that seem to count classes from 1.
    from_one: StrayValues<'a>,
}

impl<'a> Refusal<'a> {
    pub(super) fn add(&mut self, pair: &Pair<'a>, faults: Faults, protocol: &Protocol) {
        let mask = || pair.mask.to_string_lossy();
        for (about, code, message) in faults.remarks {
            let name = if about == About::Mask { mask() } else { Cow::from(&pair.prediction.name) };
            self.remarks.add(name, Some(pair.id), code, message);
        }
        self.labels.merge(StrayValues::of(faults.labels, pair.id, mask));
        let count = protocol.class_count();
        let is_from_one = !faults.has_first && faults.classes.keys().map(|value| usize::from(*value)).eq([count]);
        let classes = if is_from_one { &mut self.from_one } else { &mut self.classes };
        classes.merge(StrayValues::of(faults.classes, pair.id, || Cow::from(&pair.prediction.name)));
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.remarks.merge(other.remarks);
        self.labels.merge(other.labels);
        self.classes.merge(other.classes);
        self.from_one.merge(other.from_one);
    }

    pub(super) fn into_findings(self, protocol: &Protocol) -> Vec<Finding> {
        let count = protocol.class_count();
        let classes = format!("classes are 0..={}", count - 1);
        let hint = format!("{classes} ({count}, nothing above and no 0: counted from 1? subtract 1)");
        let (first, last) = protocol.definition().nomenclature.label_range();
        let mut findings = self.remarks.into_findings();
        findings.extend(self.classes.into_finding(Code::ValueOutOfRange, &classes));
        findings.extend(self.from_one.into_finding(Code::ValueOutOfRange, &hint));
        findings.extend(self.labels.into_finding(Code::LabelOutOfRange, &format!("labels are {first}..={last}")));
        findings
    }
}

/// Values that are not a label or a class, and the patches that have them.
#[derive(Default)]
struct StrayValues<'a> {
    values: Strays,
    ids: Vec<PatchId>,
    /// The name of the first file.
    first: Cow<'a, str>,
}

impl<'a> StrayValues<'a> {
    fn of(values: Strays, id: PatchId, name: impl FnOnce() -> Cow<'a, str>) -> Self {
        if values.is_empty() { Self::default() } else { Self { values, ids: vec![id], first: name() } }
    }

    /// Merges the values of later patches.
    fn merge(&mut self, other: Self) {
        if self.ids.is_empty() {
            *self = other;
        } else {
            other.values.into_iter().for_each(|(value, count)| *self.values.entry(value).or_default() += count);
            self.ids.extend(other.ids);
        }
    }

    fn into_finding(self, code: Code, due: &str) -> Option<Finding> {
        let files = self.ids.len();
        let message = format!("{}; {due}", pixels(&self.values));
        let subject = if files > 1 { ranges(self.ids) } else { shown(&self.first) };
        (files > 0).then(|| code.finding(subject, with_files(message, files)))
    }
}

/// `3 pixels out of range: 13 (1), 255 (2)`.
fn pixels(strays: &Strays) -> String {
    let total: u64 = strays.values().sum();
    let values: Vec<_> = strays.iter().take(MAX_VALUES).map(|(value, count)| format!("{value} ({count})")).collect();
    let more = if strays.len() > MAX_VALUES { format!(", … ({} values)", strays.len()) } else { String::new() };
    format!("{total} {} out of range: {}{more}", noun(total, "pixel"), values.join(", "))
}
