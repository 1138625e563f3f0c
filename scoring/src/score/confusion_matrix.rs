//! The confusion matrix, and counting of pixels into it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::protocol::LabelTable;

/// How to treat predicted values that are not a class: in the challenge, values above 12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutOfRange {
    /// Reject the predictions with an error.
    #[default]
    Reject,
    /// Exclude these pixels from the matrix, and count them. Upstream does this silently (`src/metrics.py:42`). It can
    /// be gamed: an excluded pixel is not an error.
    Drop,
}

/// Invalid values of a raster, with the number of pixels of each.
pub type Strays = BTreeMap<u8, u64>;

/// Errors of counting a pair of rasters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountError {
    /// The rasters differ in size.
    #[error("the mask has {truth} pixels, the prediction {prediction}")]
    Lengths {
        /// Pixels of the mask.
        truth: usize,
        /// Pixels of the prediction.
        prediction: usize,
    },
    /// There are values that are not a label or a class.
    #[error("values of the mask that are no label: {labels:?}; of the prediction that are no class: {predictions:?}")]
    Strays {
        /// Mask values that are not a label.
        labels: Strays,
        /// Predicted values that are not a class; empty with [`OutOfRange::Drop`].
        predictions: Strays,
    },
}

/// The confusion matrix, `[truth, prediction]`: how often each true class was predicted as each class.
///
/// The sum of its counts, the dropped and the ignored pixels always equals the number of pixels seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row by row.
    counts: Vec<u64>,
    dropped: u64,
    ignored: u64,
}

impl ConfusionMatrix {
    /// A matrix of `classes` classes with all counts 0.
    pub fn empty(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes], dropped: 0, ignored: 0 }
    }

    /// A matrix from counts, row by row, `[truth, prediction]`, and the numbers of dropped and ignored pixels; `None`
    /// if `counts` does not have `classes²` elements.
    pub fn new(classes: usize, counts: Vec<u64>, dropped: u64, ignored: u64) -> Option<Self> {
        (counts.len() == classes * classes).then_some(Self { classes, counts, dropped, ignored })
    }

    /// Adds a mask (labels as on disk) and its prediction (classes, from 0), pixel by pixel.
    ///
    /// # Errors
    /// If they differ in length, or have values that are not a label or a class; then nothing is added. A mask value
    /// that is not a label is an error for any `out_of_range`; upstream counts it as "other" (`src/metrics.py:39-40`).
    ///
    /// # Panics
    /// If `labels` has another number of classes.
    pub fn add(
        &mut self,
        labels: &LabelTable,
        truth: &[u8],
        prediction: &[u8],
        out_of_range: OutOfRange,
    ) -> Result<(), CountError> {
        let classes = self.classes;
        assert_eq!(classes, labels.class_count(), "a matrix counts the classes that it was made for");
        if truth.len() != prediction.len() {
            return Err(CountError::Lengths { truth: truth.len(), prediction: prediction.len() });
        }
        let bins = Bins::count(labels, truth, prediction);
        let [ignored, stray] = [Row::Ignored, Row::Stray].map(|row| bins.row(row).iter().sum::<u64>());
        let dropped: u64 = (0..classes).map(|class| bins.row(Row::Class(class))[classes]).sum();
        if stray > 0 || (out_of_range == OutOfRange::Reject && dropped > 0) {
            return Err(self.strays(labels, truth, prediction, out_of_range));
        }
        for (class, row) in self.counts.chunks_exact_mut(classes).enumerate() {
            row.iter_mut().zip(bins.row(Row::Class(class))).for_each(|(count, bin)| *count += bin);
        }
        self.dropped += dropped;
        self.ignored += ignored;
        Ok(())
    }

    /// Collects the values that are not a label or a class.
    fn strays(&self, labels: &LabelTable, truth: &[u8], prediction: &[u8], out_of_range: OutOfRange) -> CountError {
        let (mut of_mask, mut of_prediction) = (Strays::new(), Strays::new());
        for (label, class) in truth.iter().zip(prediction) {
            match labels.get(*label) {
                LabelTable::NO_LABEL => *of_mask.entry(*label).or_default() += 1,
                LabelTable::IGNORED => {}
                _ if usize::from(*class) >= self.classes && out_of_range == OutOfRange::Reject => {
                    *of_prediction.entry(*class).or_default() += 1;
                }
                _ => {}
            }
        }
        CountError::Strays { labels: of_mask, predictions: of_prediction }
    }

    /// Adds another matrix.
    ///
    /// # Panics
    /// If it has another number of classes.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes, other.classes, "only matrices of the same classes have a sum");
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
        self.dropped += other.dropped;
        self.ignored += other.ignored;
    }

    /// Adds counts: pairs of an index in [`ConfusionMatrix::counts`] and a count.
    pub(crate) fn add_cells(&mut self, cells: impl Iterator<Item = (usize, u64)>, dropped: u64, ignored: u64) {
        cells.for_each(|(cell, count)| self.counts[cell] += count);
        self.dropped += dropped;
        self.ignored += ignored;
    }

    /// Number of classes.
    pub fn class_count(&self) -> usize {
        self.classes
    }

    /// Its counts, row by row, `[truth, prediction]`.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Its rows: for each true class, how often it was predicted as each class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes)
    }

    /// How often the class `truth` was predicted as the class `prediction`.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn count(&self, truth: usize, prediction: usize) -> u64 {
        assert!(truth < self.classes && prediction < self.classes, "the matrix has {} classes", self.classes);
        self.counts[truth * self.classes + prediction]
    }

    /// Pixels excluded because their predicted value is not a class.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Pixels excluded because the protocol ignores their label.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// All pixels: counted, dropped and ignored.
    pub fn pixels(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.dropped + self.ignored
    }
}

/// A joint histogram of mask classes and predicted classes, with extra bins for values that are not a class.
struct Bins {
    classes: usize,
    /// Base-2 logarithm of the bins per row, so that the index of a bin is computed by a shift.
    shift: u32,
    counts: Vec<u64>,
}

/// A row of [`Bins`].
#[derive(Clone, Copy)]
enum Row {
    Class(usize),
    Ignored,
    Stray,
}

impl Bins {
    /// Counts all pixels. Most of the scoring time is spent here. Eight equal pixels in a row, the most frequent case,
    /// are counted at once. Other pixels go to four histograms in turn: neighbours are often equal, and increments of
    /// the same counter would wait for each other.
    fn count(labels: &LabelTable, truth: &[u8], prediction: &[u8]) -> Self {
        let classes = labels.class_count();
        let shift = (classes + 1).next_power_of_two().trailing_zeros();
        let size = (classes + 2).next_power_of_two() << shift;
        let mut rows = [0_u16; 256];
        for (row, label) in rows.iter_mut().zip(0..=255) {
            let row_of = match labels.get(label) {
                LabelTable::IGNORED => Row::Ignored,
                LabelTable::NO_LABEL => Row::Stray,
                class => Row::Class(usize::from(class)),
            };
            *row = u16::try_from(row_of.index(classes) << shift).unwrap_or(u16::MAX);
        }
        let no_class = u8::try_from(classes).unwrap_or(u8::MAX);
        let bin = |label: u8, class: u8| usize::from(rows[usize::from(label)] | u16::from(class.min(no_class)));

        let mut histograms = vec![0_u64; 4 * size];
        let (first, others) = histograms.split_at_mut(size);
        let (second, others) = others.split_at_mut(size);
        let (third, fourth) = others.split_at_mut(size);
        let histograms = [first, second, third, fourth];
        let (truth_words, truth_rest) = truth.as_chunks::<8>();
        let (prediction_words, prediction_rest) = prediction.as_chunks::<8>();
        for (labels, classes) in truth_words.iter().zip(prediction_words) {
            let [label, class] = [labels[0], classes[0]];
            if is_one_value(*labels) && is_one_value(*classes) {
                histograms[0][bin(label, class) % size] += 8;
            } else {
                for (i, (label, class)) in labels.iter().zip(classes).enumerate() {
                    histograms[i % 4][bin(*label, *class) % size] += 1;
                }
            }
        }
        for (label, class) in truth_rest.iter().zip(prediction_rest) {
            histograms[0][bin(*label, *class) % size] += 1;
        }
        let [first, others @ ..] = histograms;
        let counts = (0..size).map(|i| first[i] + others.iter().map(|histogram| histogram[i]).sum::<u64>()).collect();
        Self { classes, shift, counts }
    }

    /// The bins of a row: one per class, then one for predicted values that are not a class.
    fn row(&self, row: Row) -> &[u64] {
        let start = row.index(self.classes) << self.shift;
        &self.counts[start..=start + self.classes]
    }
}

impl Row {
    fn index(self, classes: usize) -> usize {
        match self {
            Self::Class(class) => class,
            Self::Ignored => classes,
            Self::Stray => classes + 1,
        }
    }
}

fn is_one_value(bytes: [u8; 8]) -> bool {
    u64::from_ne_bytes(bytes) == u64::from(bytes[0]) * 0x0101_0101_0101_0101
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{CLASS_COUNT, Metrics, Protocol, RawLabel};

    fn matrix(truth: &[u8], prediction: &[u8]) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::empty(CLASS_COUNT);
        matrix.add(Protocol::flair2().labels(), truth, prediction, OutOfRange::Drop).unwrap();
        matrix
    }

    #[test]
    fn every_pair_of_values_lands_where_the_types_say() {
        let protocol = Protocol::flair2();
        for label in 0..=255 {
            for value in 0..=255 {
                // 11 pixels: a word of eight and a rest.
                let bins = Bins::count(protocol.labels(), &[label; 11], &[value; 11]);
                let row = RawLabel::new(label).map_or(Row::Stray, |label| Row::Class(label.class().index()));
                let column = crate::ClassId::new(value).map_or(13, crate::ClassId::index);
                assert_eq!(bins.row(row)[column], 11, "{label} {value}");
                assert_eq!(bins.counts.iter().sum::<u64>(), 11);
            }
        }
    }

    #[test]
    fn any_number_of_classes_is_counted() {
        for count in [2, 7, 14, 15, 16, 31, 127, 128, 200_usize] {
            let class = |i: usize| format!("{{name: c{i}, colour: '#000000', labels: [{i}]}}");
            let list = (0..count).map(class).collect::<Vec<_>>().join(", ");
            let text = format!("{{name: many, classes: [{list}], ignored_labels: [255]}}");
            let protocol = Protocol::from_yaml(&text, "the test").unwrap();
            let truth: Vec<u8> = (0..=255_u8).map(|i| if usize::from(i) < count { i } else { 255 }).collect();
            let prediction: Vec<u8> = (0..=255).rev().collect();
            let mut matrix = ConfusionMatrix::empty(count);
            matrix.add(protocol.labels(), &truth, &prediction, OutOfRange::Drop).unwrap();
            assert_eq!((matrix.pixels(), matrix.ignored()), (256, 256 - count as u64));
            for truth in 0..count {
                for prediction in 0..count {
                    assert_eq!(matrix.count(truth, prediction), u64::from(truth + prediction == 255));
                }
            }
        }
    }

    #[test]
    fn ignored_labels_are_counted_apart_whatever_was_predicted() {
        let text = "{name: mine, nomenclature: flair2-13, ignored_labels: [0, 200]}";
        let protocol = Protocol::from_yaml(text, "the test").unwrap();
        let mut matrix = ConfusionMatrix::empty(13);
        let result = matrix.add(protocol.labels(), &[0, 200, 1, 1], &[255, 3, 0, 1], OutOfRange::Reject);
        assert_eq!((result, matrix.ignored(), matrix.dropped(), matrix.pixels()), (Ok(()), 2, 0, 4));
        assert_eq!((matrix.count(0, 0), matrix.count(0, 1)), (1, 1));
    }

    #[test]
    fn invalid_values_are_reported_with_counts_and_change_nothing() {
        let protocol = Protocol::flair2();
        let labels_of = protocol.labels();
        let mut matrix = matrix(&[1, 2], &[0, 1]);
        let before = matrix.clone();
        let error = matrix.add(labels_of, &[0, 1, 20, 0, 3], &[255, 255, 0, 13, 12], OutOfRange::Reject).unwrap_err();
        let labels = Strays::from([(0, 2), (20, 1)]);
        // What the mask does not know is not asked of the prediction.
        let predictions = Strays::from([(255, 1)]);
        assert_eq!(error, CountError::Strays { labels: labels.clone(), predictions });
        // Only predictions may be dropped.
        let error = matrix.add(labels_of, &[0, 1, 20, 0, 3], &[255, 255, 0, 13, 12], OutOfRange::Drop).unwrap_err();
        assert_eq!(error, CountError::Strays { labels, predictions: Strays::new() });
        assert!(matches!(matrix.add(labels_of, &[1], &[], OutOfRange::Drop), Err(CountError::Lengths { .. })));
        assert_eq!(matrix, before);
    }

    #[test]
    fn dropping_can_be_gamed_and_tells_how_much() {
        // As upstream's hole has it: the doubtful pixels are written as 255, the score is perfect.
        let matrix = matrix(&[1, 1, 2, 2], &[0, 255, 1, 255]);
        assert_eq!((matrix.dropped(), matrix.pixels()), (2, 4));
        assert_eq!(Metrics::of(&matrix, &Protocol::flair2()).means.miou, Some(1.0));
    }

    /// Maps with areas and with noise.
    fn pairs() -> impl Strategy<Value = Vec<(u8, u8)>> {
        let run = (1..=19_u8, 0..=15_u8, 1..60_usize);
        prop::collection::vec(run, 0..40)
            .prop_map(|runs| runs.into_iter().flat_map(|(t, p, n)| std::iter::repeat_n((t, p), n)).collect())
    }

    proptest! {
        #[test]
        fn nothing_is_lost(pairs in pairs()) {
            let (truth, prediction): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let found = matrix(&truth, &prediction);
            prop_assert_eq!(found.pixels(), pairs.len() as u64);
            let mut expected = ConfusionMatrix::empty(CLASS_COUNT);
            for (label, value) in pairs {
                let row = RawLabel::new(label).unwrap().class().index();
                match crate::ClassId::new(value) {
                    Some(class) => expected.counts[row * CLASS_COUNT + class.index()] += 1,
                    None => expected.dropped += 1,
                }
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn merging_is_adding_in_any_order(pairs in pairs(), cuts in any::<[prop::sample::Index; 2]>()) {
            let (truth, prediction): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let mut cuts = cuts.map(|cut| cut.index(pairs.len() + 1));
            cuts.sort_unstable();
            let part = |from: usize, to: usize| matrix(&truth[from..to], &prediction[from..to]);
            let [a, b, c] = [part(0, cuts[0]), part(cuts[0], cuts[1]), part(cuts[1], pairs.len())];
            let merged = |parts: [&ConfusionMatrix; 3]| {
                let mut sum = ConfusionMatrix::empty(CLASS_COUNT);
                for part in parts {
                    sum.merge(part);
                }
                sum
            };
            let whole = matrix(&truth, &prediction);
            prop_assert_eq!(&merged([&a, &b, &c]), &whole);
            prop_assert_eq!(&merged([&c, &a, &b]), &whole);
        }

        #[test]
        fn a_perfect_prediction_scores_one(labels in prop::collection::vec(1..=12_u8, 1..200)) {
            let prediction: Vec<_> = labels.iter().map(|label| label - 1).collect();
            let metrics = Metrics::of(&matrix(&labels, &prediction), &Protocol::flair2());
            prop_assert_eq!(metrics.means.miou, Some(1.0));
            prop_assert_eq!(metrics.means.overall_accuracy, Some(1.0));
        }

        #[test]
        fn permuted_classes_have_permuted_scores(pairs in pairs(), order in Just((0..12_u8).collect::<Vec<_>>()).prop_shuffle()) {
            let rename = |class: u8| order.get(usize::from(class)).copied().unwrap_or(class);
            let (truth, prediction): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let renamed_truth: Vec<_> = truth.iter().map(|label| rename(label - 1) + 1).collect();
            let renamed: Vec<_> = prediction.iter().map(|class| rename(*class)).collect();
            let before = Metrics::of(&matrix(&truth, &prediction), &Protocol::flair2());
            let after = Metrics::of(&matrix(&renamed_truth, &renamed), &Protocol::flair2());
            for class in 0..13_u8 {
                let (old, new) = (usize::from(class), usize::from(rename(class)));
                prop_assert_eq!(before.classes[old], after.classes[new]);
            }
            prop_assert_eq!(before.means.classes_averaged, after.means.classes_averaged);
            let close = before.means.miou.unwrap_or(0.0) - after.means.miou.unwrap_or(0.0);
            prop_assert!(close.abs() < 1e-15, "only the order of the sum may differ: {}", close);
        }
    }
}
