//! Counting: how often each class of the truth was predicted as each class.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CLASS_COUNT, RawLabel};

/// What to do with predictions above 12, which are no class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutOfRange {
    /// Score nothing: they are mistakes, and whoever made them should know.
    #[default]
    Reject,
    /// Leave these pixels out of the matrix, and count them. This is what upstream does without a word
    /// (`src/metrics.py:42`), and it can be gamed: a pixel that is left out is no error.
    Drop,
}

/// Values that should not be in a raster, with the number of pixels of each.
pub type Strays = BTreeMap<u8, u64>;

/// Why a pair of rasters was not counted.
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
    /// There are values that mean nothing.
    #[error("labels outside 1..=19: {labels:?}; predictions outside 0..=12: {predictions:?}")]
    Strays {
        /// Values of the mask that are no label.
        labels: Strays,
        /// Values of the prediction that are no class; empty where they may be dropped.
        predictions: Strays,
    },
}

/// The confusion matrix of the challenge's 13 classes.
///
/// The sum of its counts and what was dropped is the number of pixels seen, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: [[u64; CLASS_COUNT]; CLASS_COUNT],
    dropped: u64,
}

impl ConfusionMatrix {
    /// The matrix of these counts, `[truth, prediction]`, and of that many dropped pixels.
    pub fn new(counts: [[u64; CLASS_COUNT]; CLASS_COUNT], dropped: u64) -> Self {
        Self { counts, dropped }
    }

    /// Adds a mask (labels as they are on disk, `1..=19`) and its prediction (classes, `0..=12`), pixel by pixel.
    ///
    /// # Errors
    /// If they differ in length, or have values that mean nothing; then nothing is added. A label 0 or above 19 is
    /// an error whatever `out_of_range` says: upstream takes both for "other" (`src/metrics.py:39-40`).
    pub fn add(&mut self, truth: &[u8], prediction: &[u8], out_of_range: OutOfRange) -> Result<(), CountError> {
        if truth.len() != prediction.len() {
            return Err(CountError::Lengths { truth: truth.len(), prediction: prediction.len() });
        }
        let bins = count(truth, prediction);
        let bin = |truth: usize, prediction: usize| bins[truth * STRIDE + prediction];
        let has_stray_labels = (0..=CLASS_COUNT).any(|p| bin(CLASS_COUNT, p) > 0);
        let dropped: u64 = (0..CLASS_COUNT).map(|t| bin(t, CLASS_COUNT)).sum();
        let is_rejected = out_of_range == OutOfRange::Reject && dropped > 0;
        if has_stray_labels || is_rejected {
            let labels = strays(truth, |value| RawLabel::new(value).is_some());
            let predictions = match out_of_range {
                OutOfRange::Reject => strays(prediction, |value| usize::from(value) < CLASS_COUNT),
                OutOfRange::Drop => Strays::new(),
            };
            return Err(CountError::Strays { labels, predictions });
        }
        for (truth, row) in self.counts.iter_mut().enumerate() {
            row.iter_mut().enumerate().for_each(|(prediction, count)| *count += bin(truth, prediction));
        }
        self.dropped += dropped;
        Ok(())
    }

    /// Adds another matrix.
    pub fn merge(&mut self, other: &Self) {
        let counts = self.counts.as_flattened_mut().iter_mut();
        counts.zip(other.counts.as_flattened()).for_each(|(count, other)| *count += other);
        self.dropped += other.dropped;
    }

    /// Its counts, `[truth, prediction]`.
    pub fn counts(&self) -> &[[u64; CLASS_COUNT]; CLASS_COUNT] {
        &self.counts
    }

    /// Pixels left out because their prediction was no class.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// All pixels seen: those counted and those dropped.
    pub fn pixels(&self) -> u64 {
        self.counts.as_flattened().iter().sum::<u64>() + self.dropped
    }
}

/// Bins a row: a power of two, so that a pair of classes is made into a bin by a shift.
const STRIDE: usize = 16;

/// Pixels that are made into bins at a time: they stay in the first cache.
const BLOCK: usize = 4096;

/// Counts the pairs of classes; class 13 is "means nothing". This is where scoring spends its time, so it is done in
/// two steps: pairs become bins by byte arithmetic that the compiler turns into vector instructions, then bins are
/// counted in turn in four histograms, since neighbours are often equal and one counter would wait for itself.
fn count(truth: &[u8], prediction: &[u8]) -> [u64; 256] {
    let mut histograms = [[0_u64; 256]; 4];
    let mut bins = [0; BLOCK];
    for (truth, prediction) in truth.chunks(BLOCK).zip(prediction.chunks(BLOCK)) {
        let bins = &mut bins[..truth.len()];
        for ((bin, label), class) in bins.iter_mut().zip(truth).zip(prediction) {
            *bin = (class_of(*label) << 4) | (*class).min(NO_CLASS);
        }
        let (words, rest) = bins.as_chunks::<8>();
        for word in words {
            let first = word[0];
            // Most of a map is areas of one class: eight equal bins are counted at once.
            if u64::from_ne_bytes(*word) == u64::from(first) * 0x0101_0101_0101_0101 {
                histograms[0][usize::from(first)] += 8;
            } else {
                for (i, bin) in word.iter().enumerate() {
                    histograms[i % 4][usize::from(*bin)] += 1;
                }
            }
        }
        for bin in rest {
            histograms[0][usize::from(*bin)] += 1;
        }
    }
    std::array::from_fn(|bin| histograms.iter().map(|histogram| histogram[bin]).sum())
}

const NO_CLASS: u8 = 13;

/// The class of a label, 13 for what is no label; [`RawLabel::class`] without a branch.
const fn class_of(label: u8) -> u8 {
    let index = label.wrapping_sub(1);
    if index >= RawLabel::MAX {
        NO_CLASS
    } else if index > 12 {
        12
    } else {
        index
    }
}

fn strays(values: &[u8], is_known: impl Fn(u8) -> bool) -> Strays {
    let mut strays = Strays::new();
    values.iter().filter(|value| !is_known(**value)).for_each(|value| *strays.entry(*value).or_default() += 1);
    strays
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::{Metrics, Protocol};

    fn matrix(truth: &[u8], prediction: &[u8]) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::default();
        matrix.add(truth, prediction, OutOfRange::Drop).unwrap();
        matrix
    }

    #[test]
    fn every_pair_of_values_lands_where_the_types_say() {
        for label in 0..=255 {
            for value in 0..=255 {
                // 11 pixels: a word of eight and a rest.
                let bins = count(&[label; 11], &[value; 11]);
                let row = RawLabel::new(label).map_or(13, |label| label.class().index());
                let column = crate::ClassId::new(value).map_or(13, crate::ClassId::index);
                assert_eq!(bins[row * STRIDE + column], 11, "{label} {value}");
                assert_eq!(bins.iter().sum::<u64>(), 11);
            }
        }
    }

    #[test]
    fn strays_are_told_with_their_numbers_and_change_nothing() {
        let mut matrix = matrix(&[1, 2], &[0, 1]);
        let before = matrix.clone();
        let error = matrix.add(&[0, 1, 20, 0, 3], &[255, 255, 0, 13, 12], OutOfRange::Reject).unwrap_err();
        let labels = Strays::from([(0, 2), (20, 1)]);
        let predictions = Strays::from([(13, 1), (255, 2)]);
        assert_eq!(error, CountError::Strays { labels: labels.clone(), predictions });
        // Only predictions may be dropped.
        let error = matrix.add(&[0, 1, 20, 0, 3], &[255, 255, 0, 13, 12], OutOfRange::Drop).unwrap_err();
        assert_eq!(error, CountError::Strays { labels, predictions: Strays::new() });
        assert!(matches!(matrix.add(&[1], &[], OutOfRange::Drop), Err(CountError::Lengths { .. })));
        assert_eq!(matrix, before);
    }

    #[test]
    fn dropping_can_be_gamed_and_tells_how_much() {
        // As upstream's hole has it: the doubtful pixels are written as 255, the score is perfect.
        let matrix = matrix(&[1, 1, 2, 2], &[0, 255, 1, 255]);
        assert_eq!((matrix.dropped(), matrix.pixels()), (2, 4));
        assert_eq!(Metrics::of(&matrix, Protocol::Flair2).miou, Some(1.0));
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
            let mut expected = ConfusionMatrix::default();
            for (label, value) in pairs {
                match crate::ClassId::new(value) {
                    Some(class) => expected.counts[RawLabel::new(label).unwrap().class().index()][class.index()] += 1,
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
                let mut sum = ConfusionMatrix::default();
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
            let metrics = Metrics::of(&matrix(&labels, &prediction), Protocol::Flair2);
            prop_assert_eq!(metrics.miou, Some(1.0));
            prop_assert_eq!(metrics.overall_accuracy, Some(1.0));
        }

        #[test]
        fn permuted_classes_have_permuted_scores(pairs in pairs(), order in Just((0..12_u8).collect::<Vec<_>>()).prop_shuffle()) {
            let rename = |class: u8| order.get(usize::from(class)).copied().unwrap_or(class);
            let (truth, prediction): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let renamed_truth: Vec<_> = truth.iter().map(|label| rename(label - 1) + 1).collect();
            let renamed: Vec<_> = prediction.iter().map(|class| rename(*class)).collect();
            let before = Metrics::of(&matrix(&truth, &prediction), Protocol::Flair2);
            let after = Metrics::of(&matrix(&renamed_truth, &renamed), Protocol::Flair2);
            for class in 0..13_u8 {
                let (old, new) = (usize::from(class), usize::from(rename(class)));
                prop_assert_eq!(before.classes[old], after.classes[new]);
            }
            prop_assert_eq!(before.classes_averaged, after.classes_averaged);
            let close = before.miou.unwrap_or(0.0) - after.miou.unwrap_or(0.0);
            prop_assert!(close.abs() < 1e-15, "only the order of the sum may differ: {}", close);
        }
    }
}
