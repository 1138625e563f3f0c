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
mod tests;
