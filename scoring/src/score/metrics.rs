//! Metrics of a confusion matrix: `IoU`, precision, recall, F1, their means, accuracy, kappa.

use serde::{Deserialize, Serialize};

use crate::{
    ConfusionMatrix, Protocol,
    protocol::{Absent, ExcludedPixels},
};

/// The scores of one class. A ratio whose denominator is 0 is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Intersection over union, `0..=1`; `None` if the class is in neither masks nor predictions.
    pub iou: Option<f64>,
    /// Share of the predicted pixels that are correct, `0..=1`; `None` if the class is never predicted.
    pub precision: Option<f64>,
    /// Share of the class's true pixels that are predicted as it, `0..=1`; `None` if the masks have none.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall, `0..=1`; `None` if [`ClassMetrics::iou`] is.
    pub f1: Option<f64>,
    /// Pixels of the class in the masks, without dropped and removed ones.
    pub support: u64,
    /// Pixels predicted as the class.
    pub predicted: u64,
    /// Whether its `IoU` is part of the mean.
    pub in_mean: bool,
}

impl ClassMetrics {
    /// `IoU`, precision, recall and F1.
    pub fn figures(&self) -> [Option<f64>; 4] {
        [self.iou, self.precision, self.recall, self.f1]
    }
}

/// Overall scores of a confusion matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Means {
    /// Mean of the classes' `IoU`s, `0..=1`; `None` if no class is averaged.
    pub miou: Option<f64>,
    /// Number of classes in the mean; a single patch has few.
    pub classes_averaged: usize,
    /// Share of all counted pixels that are correct, `0..=1`; `None` if there are none.
    pub overall_accuracy: Option<f64>,
    /// Mean recall of the averaged classes, `0..=1`. The protocol's rule for absent classes applies to a class without
    /// pixels in the masks.
    pub mean_accuracy: Option<f64>,
    /// Mean F1 of the averaged classes, `0..=1`.
    pub mean_f1: Option<f64>,
    /// Mean of the `IoU`s of all classes of the matrix, weighted by their shares of the masks' pixels, `0..=1`.
    pub frequency_weighted_iou: Option<f64>,
    /// Cohen's kappa, `-1..=1`: agreement of truth and prediction beyond chance; `None` if the agreement expected by
    /// chance is 1.
    pub kappa: Option<f64>,
}

impl Means {
    /// The names of the values of [`Means::figures`].
    pub const NAMES: [&'static str; 6] =
        ["miou", "overall_accuracy", "mean_accuracy", "mean_f1", "frequency_weighted_iou", "kappa"];

    /// All shares and means, in the order of [`Means::NAMES`].
    pub fn figures(&self) -> [Option<f64>; 6] {
        let Self { miou, classes_averaged: _, overall_accuracy, mean_accuracy, mean_f1, frequency_weighted_iou, kappa } =
            *self;
        [miou, overall_accuracy, mean_accuracy, mean_f1, frequency_weighted_iou, kappa]
    }
}

/// The scores of a confusion matrix.
///
/// If the protocol removes the pixels of classes outside the mean, all scores are those of the reduced matrix, and the
/// removed classes have no scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// The overall scores.
    pub means: Means,
    /// Every class's scores, in order.
    pub classes: Vec<ClassMetrics>,
}

impl Metrics {
    /// Computes the scores of a confusion matrix. Counts stay integers up to the single division of each ratio.
    ///
    /// # Panics
    /// If the protocol has another number of classes.
    pub fn of(matrix: &ConfusionMatrix, protocol: &Protocol) -> Self {
        let listed = protocol.classes();
        assert_eq!(matrix.class_count(), listed.len(), "a matrix is scored by the classes that it was made for");
        let removes = protocol.definition().excluded_pixels == ExcludedPixels::Removed;
        let counts_absent = protocol.definition().absent == Absent::Zero;
        let kept: Vec<usize> = (0..listed.len()).filter(|class| !removes || listed[*class].averaged).collect();
        let mut classes = vec![ClassMetrics::default(); listed.len()];
        let (mut hits_sum, mut pixels, mut by_chance) = (0, 0, 0_u128);
        for &class in &kept {
            let hits = matrix.count(class, class);
            let support = kept.iter().map(|other| matrix.count(class, *other)).sum();
            let predicted = kept.iter().map(|other| matrix.count(*other, class)).sum();
            let iou = ratio(hits, support + predicted - hits);
            classes[class] = ClassMetrics {
                iou,
                precision: ratio(hits, predicted),
                recall: ratio(hits, support),
                f1: ratio(2 * hits, support + predicted),
                support,
                predicted,
                in_mean: listed[class].averaged && (iou.is_some() || counts_absent),
            };
            hits_sum += hits;
            pixels += support;
            by_chance += u128::from(support) * u128::from(predicted);
        }
        let mean_of =
            |figure: fn(&ClassMetrics) -> Option<f64>| protocol.mean(&classes.iter().map(figure).collect::<Vec<_>>());
        let means = Means {
            miou: mean_of(|class| class.iou),
            classes_averaged: classes.iter().filter(|class| class.in_mean).count(),
            overall_accuracy: ratio(hits_sum, pixels),
            mean_accuracy: mean_of(|class| class.recall),
            mean_f1: mean_of(|class| class.f1),
            frequency_weighted_iou: (pixels > 0).then(|| {
                let parts = classes.iter().filter_map(|class| Some(class.iou? * class.support as f64));
                parts.sum::<f64>() / pixels as f64
            }),
            kappa: kappa(hits_sum, pixels, by_chance),
        };
        Self { means, classes }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Protocol {
    /// Mean over the averaged classes of one figure per class. The protocol's rule for absent classes applies to a
    /// class without a figure: it is skipped or counts as 0. `None` if there is nothing to average.
    pub fn mean(&self, figures: &[Option<f64>]) -> Option<f64> {
        let absent = match self.definition().absent {
            Absent::Skipped => None,
            Absent::Zero => Some(0.0),
        };
        let averaged = self.classes().iter().zip(figures).filter(|(class, _)| class.averaged);
        let values: Vec<f64> = averaged.filter_map(|(_, figure)| figure.or(absent)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// Cohen's kappa: `(observed - chance) / (1 - chance)`. Numerator and denominator are multiplied by the squared number
/// of pixels, so the differences are exact integers. `by_chance` is the sum of support times predicted.
fn kappa(hits: u64, pixels: u64, by_chance: u128) -> Option<f64> {
    let [hits, pixels] = [hits, pixels].map(u128::from);
    let room = (pixels * pixels).checked_sub(by_chance).filter(|room| *room > 0)?;
    let observed = hits * pixels;
    let gain = observed.abs_diff(by_chance) as f64 / room as f64;
    Some(if observed >= by_chance { gain } else { -gain })
}

/// A class and its scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Its index, which is its value in a prediction.
    pub id: usize,
    /// Its name.
    pub name: String,
    /// Its scores.
    #[serde(flatten)]
    pub scores: ClassMetrics,
}

impl ClassScores {
    /// All classes of a protocol, with their scores.
    pub(crate) fn all(protocol: &Protocol, metrics: &Metrics) -> Vec<Self> {
        let listed = protocol.classes().iter().zip(&metrics.classes).enumerate();
        listed.map(|(id, (class, scores))| Self { id, name: class.name.clone(), scores: *scores }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(cells: &[(usize, usize, u64)]) -> ConfusionMatrix {
        let mut counts = vec![0; 13 * 13];
        for &(truth, prediction, count) in cells {
            counts[13 * truth + prediction] = count;
        }
        ConfusionMatrix::new(13, counts, 0, 0).unwrap()
    }

    #[test]
    fn other_costs_but_is_not_averaged_and_absent_classes_are_left_out() {
        // Class 0: 6 right, 2 taken for "other", 2 of "other" taken for it. Class 4 is predicted once, never there.
        let metrics =
            Metrics::of(&matrix(&[(0, 0, 6), (0, 12, 2), (12, 0, 2), (12, 12, 9), (12, 4, 1)]), &Protocol::flair2());
        let [first, water, other] = [0, 4, 12].map(|i| metrics.classes[i]);
        assert_eq!(
            (first.iou, first.precision, first.recall, first.f1),
            (Some(0.6), Some(0.75), Some(0.75), Some(0.75))
        );
        assert_eq!((first.support, first.predicted, first.in_mean), (8, 8, true));
        assert_eq!((water.iou, water.precision, water.recall, water.in_mean), (Some(0.0), Some(0.0), None, true));
        assert_eq!((other.iou, other.in_mean), (Some(9.0 / 14.0), false));
        assert_eq!(metrics.classes[1], ClassMetrics::default());
        assert_eq!((metrics.means.miou, metrics.means.classes_averaged), (Some(0.3), 2));
        assert_eq!(metrics.means.overall_accuracy, Some(0.75));
    }

    #[test]
    fn nothing_has_no_score() {
        let metrics = Metrics::of(&ConfusionMatrix::empty(13), &Protocol::flair2());
        assert_eq!(
            (metrics.means.miou, metrics.means.classes_averaged, metrics.means.overall_accuracy),
            (None, 0, None)
        );
        // Only "other": there are pixels, but no class that the mean is about.
        let metrics = Metrics::of(&matrix(&[(12, 12, 5)]), &Protocol::flair2());
        assert_eq!((metrics.means.miou, metrics.means.overall_accuracy), (None, Some(1.0)));
    }

    #[test]
    fn hub_removes_what_is_outside_the_mean_and_counts_the_absent() {
        let hub = Protocol::named("flair-hub").unwrap();
        let matrix = matrix(&[(0, 0, 6), (0, 12, 2), (12, 0, 2), (12, 12, 9), (12, 4, 1), (1, 0, 2), (1, 1, 2)]);
        let metrics = Metrics::of(&matrix, &hub);
        // Confusing buildings with "other" costs nothing; water, predicted only on "other", is absent.
        assert_eq!((metrics.classes[0].iou, metrics.classes[0].support), (Some(0.75), 6));
        assert_eq!((metrics.classes[4].iou, metrics.classes[4].in_mean), (None, true));
        assert_eq!(metrics.classes[12], ClassMetrics::default());
        assert_eq!((metrics.means.miou, metrics.means.classes_averaged), (Some(1.25 / 12.0), 12));
        assert_eq!(metrics.means.overall_accuracy, Some(0.8));
        assert_eq!(metrics.means.mean_accuracy, Some(1.5 / 12.0));
    }

    #[test]
    fn means_over_pixels_and_chance() {
        // Cohen's own form: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
        let metrics = Metrics::of(&matrix(&[(0, 0, 40), (0, 1, 10), (1, 0, 20), (1, 1, 30)]), &Protocol::flair2());
        assert!((metrics.means.kappa.unwrap() - 0.4).abs() < 1e-15);
        let iou = [40.0 / 70.0, 30.0 / 60.0];
        assert!((metrics.means.frequency_weighted_iou.unwrap() - f64::midpoint(iou[0], iou[1])).abs() < 1e-15);
        assert_eq!(metrics.means.mean_accuracy, Some(0.7));
        assert!((metrics.means.mean_f1.unwrap() - f64::midpoint(80.0 / 110.0, 60.0 / 90.0)).abs() < 1e-15);
        // Worse than chance, and where there is no other class to be right by chance about.
        let kappa = |cells: &[(usize, usize, u64)]| Metrics::of(&matrix(cells), &Protocol::flair2()).means.kappa;
        assert_eq!(kappa(&[(0, 1, 5), (1, 0, 5)]), Some(-1.0));
        assert_eq!((kappa(&[(0, 0, 5)]), kappa(&[])), (None, None));
    }
}
