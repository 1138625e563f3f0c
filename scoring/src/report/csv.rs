//! CSV tables of a score.

use std::{borrow::Cow, io};

use super::record::ScoreReport;
use crate::{
    analysis::{
        bootstrap::Interval,
        compare::{Comparison, Difference},
        groups::GroupTable,
        normalized::{Share, shares},
    },
    dataset::Unit,
    protocol::Protocol,
    score::{ConfusionMatrix, metrics::Means},
    text::csv_cell,
};

/// The parts of a score's table that only some reports have.
#[derive(Clone, Copy)]
struct Parts {
    has_boundary: bool,
    has_intervals: bool,
    has_comparison: bool,
}

/// A row of a score's table. Missing values are empty.
#[derive(Default)]
struct Row<'a> {
    id: Option<usize>,
    name: Cow<'a, str>,
    /// `IoU`, precision, recall, F1.
    figures: [Option<f64>; 4],
    /// Pixels in the masks, pixels predicted, whether the class is in the mean.
    counts: Option<(u64, u64, bool)>,
    boundary: Option<f64>,
    /// An overall figure.
    value: Option<f64>,
    /// The interval of the `IoU` or of the overall figure.
    interval: Option<Interval>,
    /// The difference of the `IoU` or of the overall figure.
    difference: Option<&'a Difference>,
}

impl Parts {
    fn header(self) -> Vec<&'static str> {
        let mut header = vec!["id", "class", "iou", "precision", "recall", "f1", "support", "predicted", "in_mean"];
        header.extend(self.has_boundary.then_some("boundary_iou"));
        header.push("value");
        header.extend(["low", "high"].into_iter().filter(|_| self.has_intervals));
        let comparison = ["other", "difference", "difference_low", "difference_high", "better"];
        header.extend(comparison.into_iter().filter(|_| self.has_comparison));
        header
    }

    fn cells(self, row: &Row<'_>) -> Vec<String> {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:?}"));
        let ends = |interval: Option<Interval>| interval.map(|ends| (ends.low, ends.high)).unzip();
        let mut cells = vec![row.id.map_or_else(String::new, |id| id.to_string()), csv_cell(&row.name).into_owned()];
        cells.extend(row.figures.map(number));
        cells.extend(match row.counts {
            Some((support, predicted, in_mean)) => [support.to_string(), predicted.to_string(), in_mean.to_string()],
            None => <_>::default(),
        });
        cells.extend(self.has_boundary.then(|| number(row.boundary)));
        cells.push(number(row.value));
        if self.has_intervals {
            let (low, high) = ends(row.interval);
            cells.extend([low, high].map(number));
        }
        if self.has_comparison {
            let of = |figure: fn(&Difference) -> Option<f64>| number(row.difference.and_then(figure));
            let (low, high) = ends(row.difference.and_then(|difference| difference.interval));
            cells.extend([of(|d| d.other), of(|d| d.difference), number(low), number(high), of(|d| d.better)]);
        }
        cells
    }
}

impl ScoreReport {
    /// The record as CSV, with missing values empty: a header, one row per class, a row `mean` of the means over the
    /// classes, one row per overall figure (`miou` and so on, in the column `value`), and one row per finding and note.
    /// Boundary `IoU`, the ends of intervals (of the `IoU` of a class, of the `value` of an overall figure), and the
    /// comparison have columns if the record has them. The comparison's domains and patches have rows, such as
    /// `miou of domain D004_2021`.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_csv(&self, out: impl io::Write) -> io::Result<()> {
        let parts = Parts {
            has_boundary: self.boundary.is_some(),
            has_intervals: self.uncertainty.is_some(),
            has_comparison: self.comparison.is_some(),
        };
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(parts.header())?;
        for row in self.rows() {
            csv.write_record(parts.cells(&row))?;
        }
        csv.flush()
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let (boundary, uncertainty, comparison) = (&self.boundary, &self.uncertainty, self.comparison.as_ref());
        let classes = self.classes.iter().map(|class| Row {
            id: Some(class.id),
            name: class.name.as_str().into(),
            figures: class.scores.figures(),
            counts: Some((class.scores.support, class.scores.predicted, class.scores.in_mean)),
            boundary: boundary.as_ref().and_then(|found| found.iou.get(class.id).copied().flatten()),
            interval: uncertainty.as_ref().and_then(|found| found.iou.get(class.id).copied().flatten()),
            difference: comparison.and_then(|found| found.classes.get(class.id)).map(|class| &class.iou),
            ..Row::default()
        });
        let Means { miou, mean_accuracy, mean_f1, .. } = self.means;
        let of_boundary = boundary.as_ref().and_then(|found| found.miou);
        let mean = Row {
            name: "mean".into(),
            figures: [miou, None, mean_accuracy, mean_f1],
            boundary: of_boundary,
            ..Row::default()
        };
        let overall = Means::NAMES.into_iter().zip(self.means.figures()).map(|(name, value)| {
            let interval = uncertainty.as_ref().and_then(|found| match name {
                "miou" => found.miou,
                "overall_accuracy" => found.overall_accuracy,
                _ => None,
            });
            let difference = comparison.and_then(|found| match name {
                "miou" => Some(&found.miou),
                "overall_accuracy" => Some(&found.overall_accuracy),
                _ => None,
            });
            Row { name: name.into(), value, interval, difference, ..Row::default() }
        });
        let boundary_miou =
            boundary.as_ref().map(|found| Row { name: "boundary_miou".into(), value: found.miou, ..Row::default() });
        let texts = self.findings.iter().map(|finding| {
            format!("{} [{}] {}: {}", finding.severity.name(), finding.code, finding.subject, finding.message)
        });
        let texts = texts.chain(self.notes.iter().map(|note| format!("note: {note}")));
        let texts = texts.map(|text| Row { name: text.into(), ..Row::default() });
        let mut rows: Vec<_> = classes.chain([mean]).chain(overall).chain(boundary_miou).collect();
        rows.extend(comparison.into_iter().flat_map(of_groups));
        rows.extend(texts);
        rows
    }

    /// The confusion matrix as CSV: a header with the predicted classes, then one row per true class. Cells are counts,
    /// or shares, which are empty if the row or column has no pixels.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn write_confusion_csv(&self, share: Option<Share>, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let names: Vec<_> = self.classes.iter().map(|class| csv_cell(&class.name)).collect();
        csv.write_record(["truth \\ predicted"].into_iter().chain(names.iter().map(AsRef::as_ref)))?;
        let cells: Vec<Vec<String>> = match share {
            None => self.confusion.iter().map(|row| row.iter().map(u64::to_string).collect()).collect(),
            Some(share) => {
                let matrix = self.matrix().map_err(io::Error::other)?;
                let text = |value: &Option<f64>| value.map_or_else(String::new, |value| value.to_string());
                shares(&matrix, share).iter().map(|row| row.iter().map(text).collect()).collect()
            }
        };
        for (name, row) in names.iter().zip(&cells) {
            csv.write_record([name.as_ref()].into_iter().chain(row.iter().map(String::as_str)))?;
        }
        csv.flush()
    }
}

/// The rows of a comparison's domains and patches.
fn of_groups(comparison: &Comparison) -> impl Iterator<Item = Row<'_>> {
    let units = [(Unit::Domain, &comparison.domains), (Unit::Patch, &comparison.patches)];
    let groups = units.into_iter().flat_map(|(unit, groups)| groups.iter().map(move |group| (unit, group)));
    groups.flat_map(|(unit, group)| {
        let figures = [("miou", &group.miou), ("overall_accuracy", &group.overall_accuracy)];
        figures.map(|(figure, difference)| Row {
            name: format!("{figure} of {unit} {}", group.name).into(),
            value: difference.this,
            difference: Some(difference),
            ..Row::default()
        })
    })
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
        let names: Vec<_> = protocol.classes().iter().map(|class| csv_cell(&class.name)).collect();
        csv.write_record(header.chain(names.iter().map(AsRef::as_ref)))?;
        for group in &self.groups {
            csv.serialize((
                (csv_cell(&group.name), group.patches, group.pixels, group.means.classes_averaged),
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
                csv.serialize((csv_cell(&group.name), csv_cell(&class.name), scores.figures(), counts))?;
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
        // Single patches have no matrices.
        for group in self.groups.iter().filter(|group| !group.confusion.is_empty()) {
            let counts = group.confusion.concat();
            let Some(matrix) = ConfusionMatrix::new(group.confusion.len(), counts, 0, 0) else { continue };
            let [of_truth, of_predicted] = [Share::OfTruth, Share::OfPredicted].map(|share| shares(&matrix, share));
            for (t, truth) in group.classes.iter().enumerate() {
                for (p, predicted) in group.classes.iter().enumerate().filter(|(p, _)| matrix.count(t, *p) > 0) {
                    let cell = (matrix.count(t, p), of_truth[t][p], of_predicted[t][p]);
                    let names = (csv_cell(&group.name), csv_cell(&truth.name), csv_cell(&predicted.name));
                    csv.serialize((names, cell))?;
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
    use crate::{
        PatchId,
        analysis::{
            compare::{ClassDifference, GroupDifference},
            uncertainty::{Drawn, Uncertainty},
        },
        score::{
            Evaluation, PatchConfusion,
            boundary::{BoundaryReport, BoundaryWidth},
        },
    };

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

    fn table(report: &ScoreReport) -> String {
        let mut text = Vec::new();
        report.write_csv(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_table_holds_everything_that_was_asked_for() {
        let evaluation = Evaluation::of_cells(&[(0, 0, 3), (0, 1, 1), (1, 1, 4), (12, 0, 1)]);
        let plain = ScoreReport::new(&evaluation);
        let interval = |low, high| Some(Interval { low, high });
        let difference = Difference {
            this: Some(0.7),
            other: Some(0.5),
            difference: Some(0.2),
            interval: interval(0.1, 0.3),
            better: Some(1.0),
        };
        let bootstrap = crate::analysis::bootstrap::Bootstrap { replicates: 100, level: 0.95, seed: 1 };
        let none = Difference { this: None, other: None, difference: None, interval: None, better: None };
        let class = |id: usize| ClassDifference {
            id,
            name: plain.classes[id].name.clone(),
            iou: if id == 0 { difference } else { none },
        };
        let group = GroupDifference {
            name: "D001_2020".to_owned(),
            patches: 1,
            miou: difference,
            overall_accuracy: none,
            iou: Vec::new(),
            units: None,
        };
        let report = ScoreReport {
            boundary: Some(BoundaryReport { width: BoundaryWidth::Relative, miou: Some(0.25), iou: vec![Some(0.5)] }),
            uncertainty: Some(Uncertainty {
                drawn: Drawn { unit: Unit::Zone, units: 4, bootstrap },
                miou: interval(0.6, 0.9),
                overall_accuracy: None,
                iou: vec![interval(0.4, 0.8)],
                notes: Vec::new(),
            }),
            comparison: Some(Comparison {
                other: "other.zip".to_owned(),
                drawn: None,
                miou: difference,
                overall_accuracy: none,
                classes: (0..13).map(class).collect(),
                domains: vec![group],
                patches: Vec::new(),
                notes: Vec::new(),
            }),
            findings: vec![crate::Code::OneBased.finding("all predictions", "labels seem counted from 1")],
            notes: vec!["a note".to_owned()],
            ..plain.clone()
        };
        let some = |text: &str| {
            let is_shown = |line: &&str| {
                let is_absent_class = line.split(',').next().is_some_and(|id| id.parse().is_ok_and(|id: u8| id > 1));
                !is_absent_class
            };
            text.lines().filter(is_shown).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(some(&table(&plain)), @r"
        id,class,iou,precision,recall,f1,support,predicted,in_mean,value
        0,building,0.6,0.75,0.75,0.75,4,4,true,
        1,pervious surface,0.8,0.8,1.0,0.8888888888888888,4,5,true,
        ,mean,0.7,,0.875,0.8194444444444444,,,,
        ,miou,,,,,,,,0.7
        ,overall_accuracy,,,,,,,,0.7777777777777778
        ,mean_accuracy,,,,,,,,0.875
        ,mean_f1,,,,,,,,0.8194444444444444
        ,frequency_weighted_iou,,,,,,,,0.6222222222222222
        ,kappa,,,,,,,,0.6
        ");
        insta::assert_snapshot!(some(&table(&report)), @r"
        id,class,iou,precision,recall,f1,support,predicted,in_mean,boundary_iou,value,low,high,other,difference,difference_low,difference_high,better
        0,building,0.6,0.75,0.75,0.75,4,4,true,0.5,,0.4,0.8,0.5,0.2,0.1,0.3,1.0
        1,pervious surface,0.8,0.8,1.0,0.8888888888888888,4,5,true,,,,,,,,,
        ,mean,0.7,,0.875,0.8194444444444444,,,,0.25,,,,,,,,
        ,miou,,,,,,,,,0.7,0.6,0.9,0.5,0.2,0.1,0.3,1.0
        ,overall_accuracy,,,,,,,,,0.7777777777777778,,,,,,,
        ,mean_accuracy,,,,,,,,,0.875,,,,,,,
        ,mean_f1,,,,,,,,,0.8194444444444444,,,,,,,
        ,frequency_weighted_iou,,,,,,,,,0.6222222222222222,,,,,,,
        ,kappa,,,,,,,,,0.6,,,,,,,
        ,boundary_miou,,,,,,,,,0.25,,,,,,,
        ,miou of domain D001_2020,,,,,,,,,0.7,,,0.5,0.2,0.1,0.3,1.0
        ,overall_accuracy of domain D001_2020,,,,,,,,,,,,,,,,
        ,warning [one-based] all predictions: labels seem counted from 1,,,,,,,,,,,,,,,,
        ,note: a note,,,,,,,,,,,,,,,,
        ");
    }

    #[test]
    fn names_that_are_formulas_are_texts() {
        let classes = "{name: own, classes: [{name: '=1+1', colour: '#000000', labels: [1]}, \
                       {name: '@x', colour: '#000001', labels: [2]}]}";
        let protocol = Protocol::from_yaml(classes, "own.yml").unwrap();
        let matrix = ConfusionMatrix::new(2, vec![3, 1, 1, 3], 0, 0).unwrap();
        let patch = PatchConfusion::new(PatchId::new(1).unwrap(), &matrix).unwrap();
        let mut report = ScoreReport::new(&Evaluation::of_matrix(protocol.clone(), matrix, 1));
        report.notes.push("fine".to_owned());
        let mut text = table(&report).into_bytes();
        report.write_confusion_csv(None, &mut text).unwrap();
        let locations = crate::dataset::locations::tests::locations();
        for unit in [Unit::Domain, Unit::Patch] {
            let groups = GroupTable::new(std::slice::from_ref(&patch), unit, &locations, &protocol).unwrap();
            groups.write_csv(&protocol, &mut text).unwrap();
            groups.write_classes_csv(&mut text).unwrap();
            groups.write_confusion_csv(&mut text).unwrap();
        }
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("'=1+1") && text.contains("'@x"), "{text}");
        let is_formula = |cell: &str| cell.trim_matches('"').starts_with(['=', '@', '+']);
        assert!(!text.lines().flat_map(|line| line.split(',')).any(is_formula), "{text}");
    }
}
