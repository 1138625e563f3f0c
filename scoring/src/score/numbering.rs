//! Detects predictions whose classes are numbered differently: the `mIoU` that each usual mistake would have, corrected.

use crate::{
    ConfusionMatrix, Finding, Metrics, Protocol,
    protocol::LabelTable,
    submission::Code,
    text::{counted, noun},
};

/// Number of values of a prediction's pixel.
const VALUES: usize = 256;

/// The subject of the finding.
const ALL: &str = "all predictions";

/// Pixels by true class and predicted value, `[class, value]`: a confusion matrix that also has the values that are not
/// a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValueCounts(Vec<u64>);

impl ValueCounts {
    /// The counts of a confusion matrix, in which every value is a class.
    pub(super) fn of_matrix(matrix: &ConfusionMatrix) -> Self {
        let classes = matrix.class_count();
        let mut counts = vec![0; classes * VALUES];
        for (row, wide) in matrix.rows().zip(counts.chunks_exact_mut(VALUES)) {
            wide[..classes].copy_from_slice(row);
        }
        Self(counts)
    }

    /// Counts a mask and its prediction. Pixels whose mask value is not the label of a class are left out.
    pub(super) fn count(labels: &LabelTable, truth: &[u8], prediction: &[u8]) -> Self {
        let classes = labels.class_count();
        let mut counts = vec![0; classes * VALUES];
        for (label, value) in truth.iter().zip(prediction) {
            let class = usize::from(labels.get(*label));
            if class < classes {
                counts[class * VALUES + usize::from(*value)] += 1;
            }
        }
        Self(counts)
    }

    /// The same counts without those of the first `classes` values.
    pub(super) fn without_classes(mut self, classes: usize) -> Self {
        self.0.chunks_exact_mut(VALUES).for_each(|row| row[..classes].fill(0));
        self
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, other)| *count += other);
    }

    /// The matrix in which each value counts as the class `class_of(value)`, and the pixels that have no class.
    fn matrix(&self, classes: usize, class_of: impl Fn(u8) -> Option<usize>) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::empty(classes);
        for (truth, row) in self.0.chunks_exact(VALUES).enumerate() {
            for (value, count) in (0..=u8::MAX).zip(row).filter(|(_, count)| **count > 0) {
                match class_of(value) {
                    Some(class) => matrix.add_cells([(truth * classes + class, *count)].into_iter(), 0, 0),
                    None => matrix.add_cells(std::iter::empty(), *count, 0),
                }
            }
        }
        matrix
    }
}

/// How many of the pairs the counts are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Pairs that could be compared.
    pub(super) counted: u64,
    /// All pairs.
    pub(super) pairs: u64,
    /// Whether the set is scored as it is.
    pub(super) is_scored: bool,
}

/// A usual mistake in the numbering of the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    /// 1 was added to each class.
    OneBased,
    /// The masks' labels were written.
    RawLabels,
    /// 1 was subtracted from each class, perhaps as bytes: class 0 became 255.
    OneSubtracted,
}

impl Mistake {
    /// Of two mistakes that explain the predictions equally, the first counts.
    const ALL: [Self; 3] = [Self::OneBased, Self::RawLabels, Self::OneSubtracted];

    /// The class that was meant by a value; `None` if the mistake does not lead to this value.
    fn class_of(self, value: u8, protocol: &Protocol) -> Option<usize> {
        let (classes, value_index) = (protocol.class_count(), usize::from(value));
        match self {
            // Nothing is meant by 0; subtracting 1 from bytes without wrapping leaves it 0.
            Self::OneBased => (value_index <= classes).then(|| value_index.saturating_sub(1)),
            Self::RawLabels => match usize::from(protocol.labels().get(value)) {
                class if class < classes => Some(class),
                _ => (value == 0).then_some(0),
            },
            Self::OneSubtracted if value == u8::MAX => Some(0),
            Self::OneSubtracted => (value_index < classes).then(|| (value_index + 1).min(classes - 1)),
        }
    }

    fn code(self) -> Code {
        match self {
            Self::OneBased => Code::OneBased,
            Self::RawLabels => Code::RawLabels,
            Self::OneSubtracted => Code::OneSubtracted,
        }
    }

    /// What seems to be wrong, and the correction, up to "the mIoU would be".
    fn sentence(self) -> &'static str {
        match self {
            Self::OneBased => "labels seem counted from 1: shifted,",
            Self::RawLabels => "values seem to be the labels of the masks: as classes,",
            Self::OneSubtracted => "1 seems to be subtracted from the classes: shifted back,",
        }
    }
}

/// The finding about predictions whose `mIoU` would be far higher under another numbering; `None` without one.
pub(super) fn mistake(counts: &ValueCounts, protocol: &Protocol, share: Share) -> Option<Finding> {
    let classes = protocol.class_count();
    let is_class = |value: u8| Some(usize::from(value)).filter(|class| *class < classes);
    let actual = Metrics::of(&counts.matrix(classes, is_class), protocol);
    let mut best: Option<(Mistake, f64)> = None;
    for mistake in Mistake::ALL {
        let matrix = counts.matrix(classes, |value| mistake.class_of(value, protocol));
        let corrected = Metrics::of(&matrix, protocol);
        let miou = corrected.means.miou.filter(|_| matrix.dropped() == 0 && is_clear(&actual, &corrected));
        if let Some(miou) = miou.filter(|miou| best.is_none_or(|(_, highest)| *miou > highest)) {
            best = Some((mistake, miou));
        }
    }
    let (mistake, miou) = best?;
    let Share { counted: pairs, pairs: all, is_scored } = share;
    let of = match all {
        _ if pairs == all => String::new(),
        all => format!(" of the {} that can be read, of {all} {},", counted(pairs, "pair"), noun(all, "pair")),
    };
    let instead = match actual.means.miou.filter(|_| is_scored) {
        Some(miou) => format!(" instead of {miou:.4}"),
        None => String::new(),
    };
    let message = format!("{} the mIoU{of} would be {miou:.4}{instead}", mistake.sentence());
    Some(mistake.code().finding(ALL, message))
}

/// Minimum gain in `mIoU`, and in the `IoU` of a class that counts as better.
const MIN_GAIN: f64 = 0.1;

/// Minimum number of classes that must be better. Neighbours in the list, such as "agricultural land" and "plowed land",
/// are alike: a weak model may confuse one or two of them by 1.
const MIN_BETTER: usize = 3;

/// Whether the correction is no coincidence: the `mIoU` at least doubles and gains [`MIN_GAIN`], and so does the `IoU`
/// of most classes of the masks, at least [`MIN_BETTER`]. A weak model fails this, shifted or not: its `mIoU` is low
/// under every numbering.
fn is_clear(actual: &Metrics, corrected: &Metrics) -> bool {
    let Some(miou) = corrected.means.miou else { return false };
    let before = actual.means.miou.unwrap_or(0.0);
    let gains = actual.classes.iter().zip(&corrected.classes).filter(|(_, class)| class.in_mean && class.support > 0);
    let (mut present, mut better) = (0, 0);
    for (before, class) in gains {
        present += 1;
        better += usize::from(class.iou.unwrap_or(0.0) >= before.iou.unwrap_or(0.0) + MIN_GAIN);
    }
    miou >= 2.0 * before && miou >= before + MIN_GAIN && better >= MIN_BETTER && 2 * better > present
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: Share = Share { counted: 1, pairs: 1, is_scored: true };

    /// Counts of 100 pixels of each class of flair2, of which `right` are written as `value(class)`, the rest as
    /// `value(other class)` in equal parts.
    fn written(right: u64, value: impl Fn(usize) -> Option<u8>) -> ValueCounts {
        let mut counts = vec![0; 13 * VALUES];
        for truth in 0..13 {
            for predicted in 0..13 {
                let pixels = if truth == predicted { 12 * right } else { 100 - right };
                if let Some(value) = value(predicted) {
                    counts[truth * VALUES + usize::from(value)] += pixels;
                }
            }
        }
        ValueCounts(counts)
    }

    fn byte(value: usize) -> Option<u8> {
        u8::try_from(value).ok()
    }

    fn found(counts: &ValueCounts) -> String {
        mistake(counts, &Protocol::flair2(), WHOLE).map_or_else(String::new, |f| format!("{}: {}", f.code, f.message))
    }

    #[test]
    fn usual_mistakes_are_recognised_with_the_corrected_miou() {
        assert_eq!(found(&written(80, byte)), "");
        let from_1 = |class: usize| byte(class + 1);
        insta::assert_snapshot!(found(&written(80, from_1)), @"one-based: labels seem counted from 1: shifted, the mIoU would be 0.6667 instead of 0.0078");
        // A network without "other" never writes 13.
        insta::assert_snapshot!(found(&written(80, |class| from_1(class).filter(|value| *value < 13))), @"one-based: labels seem counted from 1: shifted, the mIoU would be 0.6761 instead of 0.0078");
        insta::assert_snapshot!(found(&written(80, |class| byte(class + 255).or(byte(class.wrapping_sub(1))))), @"one-subtracted: 1 seems to be subtracted from the classes: shifted back, the mIoU would be 0.6667 instead of 0.0089");
        // Labels 13 to 19 are "other".
        insta::assert_snapshot!(found(&written(80, |class| byte(if class == 12 { 17 } else { class + 1 }))), @"raw-labels: values seem to be the labels of the masks: as classes, the mIoU would be 0.6667 instead of 0.0078");
    }

    #[test]
    fn a_set_that_is_not_scored_or_read_in_part_says_so() {
        let message = |share| mistake(&written(80, |c| byte(c + 1)), &Protocol::flair2(), share).unwrap().message;
        insta::assert_snapshot!(message(Share { is_scored: false, ..WHOLE }), @"labels seem counted from 1: shifted, the mIoU would be 0.6667");
        insta::assert_snapshot!(message(Share { counted: 2, pairs: 3, is_scored: false }), @"labels seem counted from 1: shifted, the mIoU of the 2 pairs that can be read, of 3 pairs, would be 0.6667");
    }

    #[test]
    fn weak_models_and_few_classes_are_not_suspected() {
        // Shifted or not: a model that is right in 15 % of the pixels, by chance in 8 %.
        for right in [8, 10, 15, 20] {
            assert_eq!(found(&written(right, byte)), "", "{right}");
            assert_eq!(found(&written(right, |class| byte(class + 1))), "", "{right}");
        }
        // Everything is one class.
        for value in 0..13 {
            assert_eq!(found(&written(50, |_| Some(value))), "", "{value}");
        }
        // Two neighbours are taken for the next class: alike, and no shift of all.
        let confused = |class: usize| byte(if matches!(class, 9 | 10) { class + 1 } else { class });
        assert_eq!(found(&written(90, confused)), "");
        // Values that no mistake leads to.
        assert_eq!(found(&written(80, |class| byte(class + 40))), "");
        assert_eq!(found(&ValueCounts(vec![0; 13 * VALUES])), "");
    }

    #[test]
    fn classes_and_labels_are_those_of_the_protocol() {
        // Five classes of several labels each: the labels are not the classes plus 1.
        let protocol = Protocol::from_yaml(crate::protocol::EXAMPLE, "example").unwrap();
        let mut counts = vec![0; 5 * VALUES];
        for (truth, class) in protocol.classes().iter().enumerate() {
            counts[truth * VALUES + usize::from(class.labels[0])] = 90;
            counts[((truth + 1) % 5) * VALUES + usize::from(class.labels[0])] = 10;
        }
        let finding = mistake(&ValueCounts(counts), &protocol, WHOLE).unwrap();
        assert_eq!(finding.code, "raw-labels");
    }

    proptest! {
        /// Random matrices, whatever the classes' shares, are never taken for a mistake.
        #[test]
        fn chance_is_not_suspected(rows in prop::collection::vec(prop::collection::vec(0u64..1000, 13), 13)) {
            let matrix = ConfusionMatrix::new(13, rows.concat(), 0, 0).unwrap();
            prop_assert_eq!(found(&ValueCounts::of_matrix(&matrix)), "");
        }

        /// Whoever writes a good model's classes from 1 gets the score that the right numbering has.
        #[test]
        fn the_stated_miou_is_that_of_the_corrected_predictions(right in 40u64..=100) {
            let protocol = Protocol::flair2();
            let due = Metrics::of(&written(right, byte).matrix(13, |value| Some(value.into())), &protocol).means.miou.unwrap();
            let found = found(&written(right, |class| byte(class + 1)));
            prop_assert!(found.contains(&format!("would be {due:.4} instead")), "{} {}", found, due);
        }
    }
}
