//! The confusions that cost the most: how much the `mIoU` would gain if one of them were corrected.

use serde::{Deserialize, Serialize};

use crate::{ConfusionMatrix, Metrics, Protocol, protocol::ExcludedPixels};

/// One off-diagonal cell of a confusion matrix: pixels of one class that were predicted as another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Index of the true class.
    pub truth: usize,
    /// Index of the predicted class.
    pub prediction: usize,
    /// Number of pixels.
    pub pixels: u64,
    /// Share of the true class's pixels, `0..=1`.
    pub share: f64,
    /// Increase of the `mIoU` if these pixels were predicted correctly and nothing else changed. Gains do not add up:
    /// correcting two confusions of one class gains more than the sum of both.
    pub gain: f64,
}

/// The confusions with a positive gain, the costliest first, at most `most`.
///
/// The gain is the exact score of the corrected matrix minus the actual score, so it follows the protocol: a confusion
/// of two classes outside the mean has no gain. If the protocol removes pixels predicted as such a class, correcting
/// them adds them again.
pub fn costliest(matrix: &ConfusionMatrix, protocol: &Protocol, most: usize) -> Vec<Confusion> {
    let classes = Metrics::of(matrix, protocol).classes;
    let mut ious: Vec<Option<f64>> = classes.iter().map(|class| class.iou).collect();
    let miou = protocol.mean(&ious).unwrap_or(0.0);
    let removes = protocol.definition().excluded_pixels == ExcludedPixels::Removed;
    let is_removed = |class: usize| removes && !protocol.classes()[class].averaged;
    let hits = |class: usize| matrix.count(class, class);
    let union = |class: usize| classes[class].support + classes[class].predicted - hits(class);
    let mut found = Vec::new();
    for (truth, row) in matrix.rows().enumerate().filter(|(truth, _)| !is_removed(*truth)) {
        for (prediction, &pixels) in row.iter().enumerate().filter(|(p, pixels)| *p != truth && **pixels > 0) {
            // The union of the true class does not change: its missed pixels become hits. The other class loses
            // false positives; it may then be absent.
            let mut joined = union(truth);
            if is_removed(prediction) {
                joined += pixels;
            } else {
                let rest = union(prediction) - pixels;
                ious[prediction] = (rest > 0).then(|| hits(prediction) as f64 / rest as f64);
            }
            ious[truth] = Some((hits(truth) + pixels) as f64 / joined as f64);
            let gain = protocol.mean(&ious).map_or(0.0, |corrected| corrected - miou);
            (ious[truth], ious[prediction]) = (classes[truth].iou, classes[prediction].iou);
            if gain > 0.0 {
                let share = pixels as f64 / row.iter().sum::<u64>() as f64;
                found.push(Confusion { truth, prediction, pixels, share, gain });
            }
        }
    }
    // The sort is stable: equal gains stay in the matrix's order.
    found.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    found.truncate(most);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn protocols() -> [Protocol; 2] {
        [Protocol::flair2(), Protocol::named("flair-hub").unwrap()]
    }

    proptest! {
        /// The definition: the score of the matrix with that cell corrected, minus the score.
        #[test]
        fn gains_are_those_of_the_corrected_matrix(
            counts in prop::collection::vec(prop_oneof![3 => Just(0), 2 => 1..1000_u64], 13 * 13),
        ) {
            let matrix = ConfusionMatrix::new(13, counts.clone(), 0, 0).unwrap();
            for protocol in protocols() {
                let miou = |matrix: &ConfusionMatrix| Metrics::of(matrix, &protocol).means.miou;
                let gain = |cell: usize| {
                    let mut corrected_counts = counts.clone();
                    corrected_counts[cell / 13 * 13 + cell / 13] += std::mem::take(&mut corrected_counts[cell]);
                    miou(&ConfusionMatrix::new(13, corrected_counts, 0, 0).unwrap()).unwrap_or(0.0) - miou(&matrix).unwrap_or(0.0)
                };
                let found = costliest(&matrix, &protocol, usize::MAX);
                for confusion in &found {
                    let expected = gain(confusion.truth * 13 + confusion.prediction);
                    prop_assert!((confusion.gain - expected).abs() < 1e-12, "{confusion:?} {expected}");
                    prop_assert_eq!(confusion.pixels, matrix.count(confusion.truth, confusion.prediction));
                }
                prop_assert!(found.is_sorted_by(|a, b| a.gain >= b.gain));
                // None that costs anything is left out.
                let costs = (0..169).filter(|cell| cell / 13 != cell % 13 && counts[*cell] > 0 && gain(*cell) > 1e-12);
                prop_assert!(costs.count() <= found.len());
            }
        }
    }

    #[test]
    fn confusions_outside_the_mean_cost_nothing() {
        let mut counts = vec![0; 169];
        // Building 8 of 10 right, 2 taken for "other"; "other" never right: half for building, half for plowed land.
        for (cell, count) in [(0, 8), (12, 2), (12 * 13, 5), (12 * 13 + 11, 5)] {
            counts[cell] = count;
        }
        let matrix = ConfusionMatrix::new(13, counts, 0, 0).unwrap();
        let found = costliest(&matrix, &Protocol::flair2(), 2);
        let cells: Vec<_> = found.iter().map(|c| (c.truth, c.prediction, c.pixels, c.share)).collect();
        // Plowed land is only there by mistake: without it the mean would be over buildings alone.
        assert_eq!(cells, [(12, 11, 5, 0.5), (12, 0, 5, 0.5)]);
        assert!((found[0].gain - (8.0 / 15.0 - 4.0 / 15.0)).abs() < 1e-15);
        assert!((found[1].gain - (0.4 - 4.0 / 15.0)).abs() < 1e-15);
        assert_eq!(costliest(&matrix, &protocols()[1], 9), []);
    }

    #[test]
    fn nothing_costs_nothing() {
        assert_eq!(costliest(&ConfusionMatrix::empty(13), &Protocol::flair2(), 9), []);
    }
}
