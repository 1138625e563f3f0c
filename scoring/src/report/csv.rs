//! CSV tables of a score.

use std::io;

use super::record::ScoreReport;
use crate::{
    analysis::{
        compare::{Comparison, Difference},
        groups::GroupTable,
        normalized::{Share, shares},
    },
    dataset::Unit,
    protocol::Protocol,
    score::{ConfusionMatrix, metrics::Means},
};

impl ScoreReport {
    /// The record as CSV: a header, one row per class, a row `mean` with the `mIoU`, and one row per note. Missing
    /// values are empty. All texts are those of the class table, so a spreadsheet cannot mistake one for a formula.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_csv(&self, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["id", "class", "iou", "precision", "recall", "f1", "support", "predicted", "in_mean"])?;
        for class in &self.classes {
            csv.serialize((
                class.id,
                &class.name,
                class.scores.figures(),
                (class.scores.support, class.scores.predicted, class.scores.in_mean),
            ))?;
        }
        csv.serialize((None::<u8>, "mean", self.means.miou, [None::<f64>; 3], [None::<u64>; 3]))?;
        for note in &self.notes {
            csv.serialize((None::<u8>, format!("note: {note}"), [None::<f64>; 4], [None::<u64>; 3]))?;
        }
        csv.flush()
    }

    /// The confusion matrix as CSV: a header with the predicted classes, then one row per true class. Cells are counts,
    /// or shares, which are empty if the row or column has no pixels.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_confusion_csv(&self, share: Option<Share>, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let names = || self.classes.iter().map(|class| class.name.as_str());
        csv.write_record(["truth \\ predicted"].into_iter().chain(names()))?;
        let cells: Vec<Vec<String>> = match share {
            None => self.confusion.iter().map(|row| row.iter().map(u64::to_string).collect()).collect(),
            Some(share) => {
                let matrix = self.matrix().map_err(io::Error::other)?;
                let text = |value: &Option<f64>| value.map_or_else(String::new, |value| value.to_string());
                shares(&matrix, share).iter().map(|row| row.iter().map(text).collect()).collect()
            }
        };
        for (name, row) in names().zip(&cells) {
            csv.write_record([name].into_iter().chain(row.iter().map(String::as_str)))?;
        }
        csv.flush()
    }
}

impl GroupTable {
    /// The table as CSV: a header and one row per group: its name, patches, pixels and figures, then the `IoU` of each
    /// class of the protocol. Missing values are empty.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_csv(&self, protocol: &Protocol, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let unit = self.by.to_string();
        let header = [unit.as_str(), "patches", "pixels", "classes_averaged"].into_iter().chain(Means::NAMES);
        csv.write_record(header.chain(protocol.classes().iter().map(|class| class.name.as_str())))?;
        for group in &self.groups {
            csv.serialize((
                (&group.name, group.patches, group.pixels, group.means.classes_averaged),
                group.means.figures(),
                &group.iou,
            ))?;
        }
        csv.flush()
    }

    /// Every class's scores in every domain or zone as CSV, one row per group and class. Missing values are empty.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_classes_csv(&self, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let unit = self.by.to_string();
        csv.write_record([&unit, "class", "iou", "precision", "recall", "f1", "support", "predicted", "in_mean"])?;
        for group in &self.groups {
            for class in &group.classes {
                let scores = &class.scores;
                let counts = (scores.support, scores.predicted, scores.in_mean);
                csv.serialize((&group.name, &class.name, scores.figures(), counts))?;
            }
        }
        csv.flush()
    }

    /// The confusion matrix of every domain or zone as CSV, one row per cell that is not 0: its pixels, and their
    /// shares of the true class and of the predicted class.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_confusion_csv(&self, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let unit = self.by.to_string();
        csv.write_record([&unit, "truth", "predicted", "pixels", "share_of_truth", "share_of_predicted"])?;
        for group in &self.groups {
            let counts = group.confusion.concat();
            let Some(matrix) = ConfusionMatrix::new(group.confusion.len(), counts, 0, 0) else { continue };
            let [of_truth, of_predicted] = [Share::OfTruth, Share::OfPredicted].map(|share| shares(&matrix, share));
            for (t, truth) in group.classes.iter().enumerate() {
                for (p, predicted) in group.classes.iter().enumerate().filter(|(p, _)| matrix.count(t, *p) > 0) {
                    let cell = (matrix.count(t, p), of_truth[t][p], of_predicted[t][p]);
                    csv.serialize((&group.name, &truth.name, &predicted.name, cell))?;
                }
            }
        }
        csv.flush()
    }
}

impl Comparison {
    /// The comparison as CSV: a header and one row per figure: `what` (`miou`, `overall_accuracy`, `iou`), `group`
    /// (`class NAME`, `domain NAME`, `patch NAME`, or empty for the overall score), this, other, difference, the ends
    /// of the interval, and the share of replicates in which this set is better. Missing values are empty.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_csv(&self, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["what", "group", "this", "other", "difference", "low", "high", "better"])?;
        let mut row = |what: &str, group: String, figure: &Difference| {
            let Difference { this, other, difference, interval, better } = figure;
            let ends = interval.map(|interval| (interval.low, interval.high)).unzip();
            csv.serialize((what, group, this, other, difference, ends, better))
        };
        row("miou", String::new(), &self.miou)?;
        row("overall_accuracy", String::new(), &self.overall_accuracy)?;
        for class in &self.classes {
            row("iou", format!("class {}", class.name), &class.iou)?;
        }
        for (unit, groups) in [(Unit::Domain, &self.domains), (Unit::Patch, &self.patches)] {
            for group in groups {
                row("miou", format!("{unit} {}", group.name), &group.miou)?;
                row("overall_accuracy", format!("{unit} {}", group.name), &group.overall_accuracy)?;
            }
        }
        csv.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Evaluation;

    #[test]
    fn a_matrix_is_written_as_counts_or_as_shares() {
        let evaluation = Evaluation::of_cells(&[(0, 0, 3), (0, 1, 1), (1, 1, 4), (12, 0, 1)]);
        let report = ScoreReport::new(&evaluation);
        let csv = |share| {
            let mut text = Vec::new();
            report.write_confusion_csv(share, &mut text).unwrap();
            String::from_utf8(text).unwrap().lines().take(2).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!([None, Some(Share::OfTruth), Some(Share::OfPredicted)].map(csv).join("\n"), @r"
        truth \ predicted,building,pervious surface,impervious surface,bare soil,water,coniferous,deciduous,brushwood,vineyard,herbaceous vegetation,agricultural land,plowed land,other
        building,3,1,0,0,0,0,0,0,0,0,0,0,0
        truth \ predicted,building,pervious surface,impervious surface,bare soil,water,coniferous,deciduous,brushwood,vineyard,herbaceous vegetation,agricultural land,plowed land,other
        building,0.75,0.25,0,0,0,0,0,0,0,0,0,0,0
        truth \ predicted,building,pervious surface,impervious surface,bare soil,water,coniferous,deciduous,brushwood,vineyard,herbaceous vegetation,agricultural land,plowed land,other
        building,0.75,0.2,,,,,,,,,,,
        ");
    }
}
