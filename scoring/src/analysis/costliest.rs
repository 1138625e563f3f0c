//! Which mistakes cost the most: what the `mIoU` would be if one kind of them had not been made.

use serde::{Deserialize, Serialize};

use crate::{ConfusionMatrix, Metrics, Protocol, protocol::ExcludedPixels};

/// One cell off the diagonal of a confusion matrix: pixels of one class that were taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Index of the class that they are.
    pub truth: usize,
    /// Index of the class that they were taken for.
    pub prediction: usize,
    /// How many there are.
    pub pixels: u64,
    /// Which share of their class's pixels that is, `0..=1`.
    pub share: f64,
    /// By how much the `mIoU` would be higher had they been predicted right and nothing else changed. These do not
    /// add up: mending two confusions of one class gains more than both alone.
    pub gain: f64,
}

/// The confusions that cost the `mIoU` anything, the costliest first, at most `most`.
///
/// The gain is the exact score of the mended matrix less that of the true one, so it follows the protocol: between
/// two classes that are not in the mean nothing can be gained; and where pixels predicted as such a class are removed,
/// to predict them right brings them back.
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
            // Mended, the true class's union is what it was: a pixel that it missed is now a hit. The other class
            // loses pixels that were no hits; it may be absent then.
            let mut joined = union(truth);
            if is_removed(prediction) {
                joined += pixels;
            } else {
                let rest = union(prediction) - pixels;
                ious[prediction] = (rest > 0).then(|| hits(prediction) as f64 / rest as f64);
            }
            ious[truth] = Some((hits(truth) + pixels) as f64 / joined as f64);
            let gain = protocol.mean(&ious).map_or(0.0, |mended| mended - miou);
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
        /// The definition: the score of the matrix with that cell mended, less the score.
        #[test]
        fn gains_are_those_of_the_mended_matrix(
            counts in prop::collection::vec(prop_oneof![3 => Just(0), 2 => 1..1000_u64], 13 * 13),
        ) {
            let matrix = ConfusionMatrix::new(13, counts.clone(), 0, 0).unwrap();
            for protocol in protocols() {
                let miou = |matrix: &ConfusionMatrix| Metrics::of(matrix, &protocol).means.miou;
                let gain = |cell: usize| {
                    let mut mended = counts.clone();
                    mended[cell / 13 * 13 + cell / 13] += std::mem::take(&mut mended[cell]);
                    miou(&ConfusionMatrix::new(13, mended, 0, 0).unwrap()).unwrap_or(0.0) - miou(&matrix).unwrap_or(0.0)
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
        let told: Vec<_> = found.iter().map(|c| (c.truth, c.prediction, c.pixels, c.share)).collect();
        // Plowed land is only there by mistake: without it the mean would be over buildings alone.
        assert_eq!(told, [(12, 11, 5, 0.5), (12, 0, 5, 0.5)]);
        assert!((found[0].gain - (8.0 / 15.0 - 4.0 / 15.0)).abs() < 1e-15);
        assert!((found[1].gain - (0.4 - 4.0 / 15.0)).abs() < 1e-15);
        assert_eq!(costliest(&matrix, &protocols()[1], 9), []);
    }

    #[test]
    fn nothing_costs_nothing() {
        assert_eq!(costliest(&ConfusionMatrix::empty(13), &Protocol::flair2(), 9), []);
    }
}
