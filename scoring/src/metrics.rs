//! From counts to scores: `IoU`, precision, recall, F1, their mean, and by which rules the mean is taken.

use serde::{Deserialize, Serialize};

use crate::{CLASS_COUNT, ClassId, confusion::ConfusionMatrix};

/// By which rules scores are averaged. IGN's own programs differ, and the difference moves numbers by several
/// points, so no score goes without the name of its protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protocol {
    /// The FLAIR #2 challenge (upstream `src/metrics.py:15-22`): one matrix over all patches; "other" is in the
    /// sums, so that confusing it costs, but not in the mean; a class that neither the masks nor the predictions
    /// have is left out of the mean.
    #[default]
    Flair2,
}

impl Protocol {
    /// Its name, as reports carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flair2 => "flair2",
        }
    }

    /// Whether the mean is meant to hold this class.
    pub fn averages(self, class: ClassId) -> bool {
        match self {
            Self::Flair2 => class != ClassId::OTHER,
        }
    }
}

/// The scores of one class. A ratio whose denominator is 0 is `None`: there was nothing to be right or wrong about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassMetrics {
    /// Intersection over union, `0..=1`; `None` where neither masks nor predictions have the class.
    pub iou: Option<f64>,
    /// Share of the predicted pixels that are right, `0..=1`; `None` where none is predicted.
    pub precision: Option<f64>,
    /// Share of the class's pixels that are found, `0..=1`; `None` where the masks have none.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall, `0..=1`; `None` where [`ClassMetrics::iou`] is.
    pub f1: Option<f64>,
    /// Pixels of the class in the masks (dropped ones not counted).
    pub support: u64,
    /// Pixels predicted as the class.
    pub predicted: u64,
    /// Whether its `IoU` is one of those averaged.
    pub in_mean: bool,
}

/// The scores of a confusion matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// By which rules the mean was taken.
    pub protocol: Protocol,
    /// Mean of the classes' `IoU`s, `0..=1`; `None` where no class takes part.
    pub miou: Option<f64>,
    /// Number of classes that the mean was taken over.
    pub classes_averaged: usize,
    /// Share of all counted pixels that are right, `0..=1`; `None` where there are none.
    pub overall_accuracy: Option<f64>,
    /// Every class's scores, in order.
    pub classes: [ClassMetrics; CLASS_COUNT],
}

impl Metrics {
    /// The scores of a confusion matrix. Counts stay integers up to the one division of each ratio.
    pub fn of(matrix: &ConfusionMatrix, protocol: Protocol) -> Self {
        let counts = matrix.counts();
        let mut classes = [ClassMetrics::default(); CLASS_COUNT];
        for (id, class) in ClassId::all().zip(&mut classes) {
            let i = id.index();
            let hits = counts[i][i];
            let support = counts[i].iter().sum();
            let predicted = counts.iter().map(|row| row[i]).sum();
            let iou = ratio(hits, support + predicted - hits);
            *class = ClassMetrics {
                iou,
                precision: ratio(hits, predicted),
                recall: ratio(hits, support),
                f1: ratio(2 * hits, support + predicted),
                support,
                predicted,
                in_mean: iou.is_some() && protocol.averages(id),
            };
        }
        let averaged: Vec<f64> = classes.iter().filter(|class| class.in_mean).filter_map(|class| class.iou).collect();
        let hits: u64 = (0..CLASS_COUNT).map(|i| counts[i][i]).sum();
        Self {
            protocol,
            miou: (!averaged.is_empty()).then(|| averaged.iter().sum::<f64>() / averaged.len() as f64),
            classes_averaged: averaged.len(),
            overall_accuracy: ratio(hits, counts.as_flattened().iter().sum()),
            classes,
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(cells: &[(usize, usize, u64)]) -> ConfusionMatrix {
        let mut counts = [[0; CLASS_COUNT]; CLASS_COUNT];
        for &(truth, prediction, count) in cells {
            counts[truth][prediction] = count;
        }
        ConfusionMatrix::new(counts, 0)
    }

    #[test]
    fn other_costs_but_is_not_averaged_and_absent_classes_are_left_out() {
        // Class 0: 6 right, 2 taken for "other", 2 of "other" taken for it. Class 4 is predicted once, never there.
        let metrics =
            Metrics::of(&matrix(&[(0, 0, 6), (0, 12, 2), (12, 0, 2), (12, 12, 9), (12, 4, 1)]), Protocol::Flair2);
        let [first, water, other] = [0, 4, 12].map(|i| metrics.classes[i]);
        assert_eq!(
            (first.iou, first.precision, first.recall, first.f1),
            (Some(0.6), Some(0.75), Some(0.75), Some(0.75))
        );
        assert_eq!((first.support, first.predicted, first.in_mean), (8, 8, true));
        assert_eq!((water.iou, water.precision, water.recall, water.in_mean), (Some(0.0), Some(0.0), None, true));
        assert_eq!((other.iou, other.in_mean), (Some(9.0 / 14.0), false));
        assert_eq!(metrics.classes[1], ClassMetrics::default());
        assert_eq!((metrics.miou, metrics.classes_averaged), (Some(0.3), 2));
        assert_eq!(metrics.overall_accuracy, Some(0.75));
    }

    #[test]
    fn nothing_has_no_score() {
        let metrics = Metrics::of(&ConfusionMatrix::default(), Protocol::Flair2);
        assert_eq!((metrics.miou, metrics.classes_averaged, metrics.overall_accuracy), (None, 0, None));
        // Only "other": there are pixels, but no class that the mean is about.
        let metrics = Metrics::of(&matrix(&[(12, 12, 5)]), Protocol::Flair2);
        assert_eq!((metrics.miou, metrics.overall_accuracy), (None, Some(1.0)));
    }
}
