//! From counts to scores: `IoU`, precision, recall, F1, their means, accuracy, kappa.

use serde::{Deserialize, Serialize};

use crate::{
    ConfusionMatrix, Protocol,
    protocol::{Absent, ExcludedPixels},
};

/// The scores of one class. A ratio whose denominator is 0 is `None`: there was nothing to be right or wrong about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Intersection over union, `0..=1`; `None` where neither masks nor predictions have the class.
    pub iou: Option<f64>,
    /// Share of the predicted pixels that are right, `0..=1`; `None` where none is predicted.
    pub precision: Option<f64>,
    /// Share of the class's pixels that are found, `0..=1`; `None` where the masks have none.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall, `0..=1`; `None` where [`ClassMetrics::iou`] is.
    pub f1: Option<f64>,
    /// Pixels of the class in the masks (dropped and removed ones not counted).
    pub support: u64,
    /// Pixels predicted as the class.
    pub predicted: u64,
    /// Whether its `IoU` is one of those averaged.
    pub in_mean: bool,
}

impl ClassMetrics {
    /// `IoU`, precision, recall and F1.
    pub fn figures(&self) -> [Option<f64>; 4] {
        [self.iou, self.precision, self.recall, self.f1]
    }
}

/// What a confusion matrix comes to in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Means {
    /// Mean of the classes' `IoU`s, `0..=1`; `None` where no class takes part.
    pub miou: Option<f64>,
    /// Number of classes that the mean was taken over: a patch has few.
    pub classes_averaged: usize,
    /// Share of all counted pixels that are right, `0..=1`; `None` where there are none.
    pub overall_accuracy: Option<f64>,
    /// Mean of the recalls of the classes that the mean is about, `0..=1`. A class that the masks do not have counts
    /// as the protocol says of absent ones.
    pub mean_accuracy: Option<f64>,
    /// Mean of the F1s of the classes that are averaged, `0..=1`.
    pub mean_f1: Option<f64>,
    /// Sum of the `IoU`s of all classes of the matrix, each by its share of the masks' pixels, `0..=1`.
    pub frequency_weighted_iou: Option<f64>,
    /// Cohen's kappa, `-1..=1`: how much more often truth and prediction agree than by chance; `None` where chance
    /// alone makes them agree always.
    pub kappa: Option<f64>,
}

impl Means {
    /// The names of [`Means::figures`].
    pub const NAMES: [&'static str; 6] =
        ["miou", "overall_accuracy", "mean_accuracy", "mean_f1", "frequency_weighted_iou", "kappa"];

    /// All that is a share or a mean, in order.
    pub fn figures(&self) -> [Option<f64>; 6] {
        let Self { miou, classes_averaged: _, overall_accuracy, mean_accuracy, mean_f1, frequency_weighted_iou, kappa } =
            *self;
        [miou, overall_accuracy, mean_accuracy, mean_f1, frequency_weighted_iou, kappa]
    }
}

/// The scores of a confusion matrix.
///
/// Where the protocol removes the pixels of classes outside the mean, all of this is of the matrix without them, and
/// those classes have no scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Of the whole.
    pub means: Means,
    /// Every class's scores, in order.
    pub classes: Vec<ClassMetrics>,
}

impl Metrics {
    /// The scores of a confusion matrix. Counts stay integers up to the one division of each ratio.
    ///
    /// # Panics
    /// If the protocol is of another number of classes.
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
    /// Mean of a figure of every class, in order, over those that the mean is about. A class without the figure is
    /// left out or counts as 0, as the protocol says of absent ones; `None` where there is none to average.
    pub fn mean(&self, figures: &[Option<f64>]) -> Option<f64> {
        let absent = match self.definition().absent {
            Absent::Skipped => None,
            Absent::Zero => Some(0.0),
        };
        let asked = self.classes().iter().zip(figures).filter(|(class, _)| class.averaged);
        let values: Vec<f64> = asked.filter_map(|(_, figure)| figure.or(absent)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// Cohen's kappa: `(observed - chance) / (1 - chance)`, both times the pixels squared, so that the differences are
/// exact. `by_chance` is the sum of support times predicted.
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
    /// Its index, its value in a prediction.
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
