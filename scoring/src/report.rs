//! The record of a score: what `score.json` and `score.csv` hold.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::{CLASS_COUNT, ClassId, ConfusionMatrix, Metrics, OutOfRange, Protocol, evaluate::Evaluation};

/// Name and version of the record's form.
pub const SCHEMA: &str = "flair-bench/score/1";

/// A score, with all that is needed to know what it means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// By which rules the mean was taken.
    pub protocol: Protocol,
    /// Mean of the `IoU`s of [`ScoreReport::classes_averaged`] classes, `0..=1`; `None` where there is no class to
    /// average.
    pub miou: Option<f64>,
    /// Number of classes that the mean was taken over.
    pub classes_averaged: usize,
    /// Share of the counted pixels that are right, `0..=1`.
    pub overall_accuracy: Option<f64>,
    /// Number of patches.
    pub patches: u64,
    /// Number of pixels, the dropped ones included.
    pub pixels: u64,
    /// Pixels left out because their prediction was no class.
    pub dropped_pixels: u64,
    /// What was done with predictions above 12.
    pub out_of_range: OutOfRange,
    /// The 13 classes, in order.
    pub classes: Vec<ClassReport>,
    /// Number of pixels, `[truth, prediction]`.
    pub confusion: [[u64; CLASS_COUNT]; CLASS_COUNT],
    /// What a reader must know besides, in sentences: "the model is untrained".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The scores of one class: see [`crate::metrics::ClassMetrics`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// Its index.
    pub id: ClassId,
    /// Its name.
    pub name: String,
    /// Intersection over union, `0..=1`; `None` where neither masks nor predictions have the class.
    pub iou: Option<f64>,
    /// Share of the predicted pixels that are right, `0..=1`; `None` where none is predicted.
    pub precision: Option<f64>,
    /// Share of the class's pixels that are found, `0..=1`; `None` where the masks have none.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall, `0..=1`.
    pub f1: Option<f64>,
    /// Pixels of the class in the masks.
    pub support: u64,
    /// Pixels predicted as the class.
    pub predicted: u64,
    /// Whether its `IoU` is one of those averaged.
    pub in_mean: bool,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is no JSON, or not in this form.
    #[error("not a score record: {0}")]
    Json(#[from] serde_json::Error),
    /// It has another form.
    #[error("the score record has the schema `{found}`, this version reads `{SCHEMA}`")]
    Schema {
        /// The form that it names.
        found: String,
    },
    /// It contradicts itself.
    #[error("the score record contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl ScoreReport {
    /// The record of an evaluation. Dropped pixels make the first note.
    pub fn new(evaluation: &Evaluation, protocol: Protocol) -> Self {
        let mut report = Self::of_matrix(&evaluation.matrix, protocol, evaluation.patches, evaluation.out_of_range);
        let dropped = report.dropped_pixels;
        if dropped > 0 {
            let pixels = if dropped == 1 { "1 pixel is".to_owned() } else { format!("{dropped} pixels are") };
            report.notes.push(format!(
                "{pixels} left out, predicted above 12: as in upstream's program, they do not count as errors"
            ));
        }
        report
    }

    fn of_matrix(matrix: &ConfusionMatrix, protocol: Protocol, patches: u64, out_of_range: OutOfRange) -> Self {
        let metrics = Metrics::of(matrix, protocol);
        let classes = ClassId::all().zip(metrics.classes).map(|(id, class)| ClassReport {
            id,
            name: id.class().name.to_owned(),
            iou: class.iou,
            precision: class.precision,
            recall: class.recall,
            f1: class.f1,
            support: class.support,
            predicted: class.predicted,
            in_mean: class.in_mean,
        });
        Self {
            schema: SCHEMA.to_owned(),
            protocol,
            miou: metrics.miou,
            classes_averaged: metrics.classes_averaged,
            overall_accuracy: metrics.overall_accuracy,
            patches,
            pixels: matrix.pixels(),
            dropped_pixels: matrix.dropped(),
            out_of_range,
            classes: classes.collect(),
            confusion: *matrix.counts(),
            notes: Vec::new(),
        }
    }

    /// The record as JSON, a field a line, a row of the matrix a line, with a line break at the end. The same record
    /// always gives the same text.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        let layout = Layout { pretty: PrettyFormatter::new(), arrays: 0 };
        // Writing numbers and texts into memory cannot fail; keys are texts, all of them.
        let done = self.serialize(&mut Serializer::with_formatter(&mut text, layout));
        debug_assert!(done.is_ok());
        text.push(b'\n');
        String::from_utf8(text).unwrap_or_default()
    }

    /// Reads a record, and checks that its figures follow from its confusion matrix.
    ///
    /// # Errors
    /// If it is no such record, or contradicts itself.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: String,
        }
        let Schema { schema } = serde_json::from_str(text)?;
        if schema != SCHEMA {
            return Err(ReportError::Schema { found: schema });
        }
        let report: Self = serde_json::from_str(text)?;
        report.check()?;
        Ok(report)
    }

    fn check(&self) -> Result<(), ReportError> {
        // Within what a JSON number holds exactly; so no sum below can overflow either.
        let counted: u128 = self.confusion.as_flattened().iter().copied().map(u128::from).sum();
        if counted + u128::from(self.dropped_pixels) != u128::from(self.pixels) || self.pixels > 1 << 53 {
            return Err(ReportError::Contradiction("its matrix and the dropped pixels do not add up to its pixels"));
        }
        let matrix = ConfusionMatrix::new(self.confusion, self.dropped_pixels);
        let due = Self::of_matrix(&matrix, self.protocol, self.patches, self.out_of_range);
        let is_close = |found: Option<f64>, due: Option<f64>| match (found, due) {
            (Some(found), Some(due)) => (found - due).abs() <= 1e-9,
            (found, due) => found == due,
        };
        let same_class = |(found, due): (&ClassReport, &ClassReport)| {
            (found.id, &found.name, found.support, found.predicted, found.in_mean)
                == (due.id, &due.name, due.support, due.predicted, due.in_mean)
                && is_close(found.iou, due.iou)
                && is_close(found.precision, due.precision)
                && is_close(found.recall, due.recall)
                && is_close(found.f1, due.f1)
        };
        let is_same = self.classes.len() == CLASS_COUNT
            && self.classes.iter().zip(&due.classes).all(same_class)
            && self.classes_averaged == due.classes_averaged
            && is_close(self.miou, due.miou)
            && is_close(self.overall_accuracy, due.overall_accuracy);
        is_same.then_some(()).ok_or(ReportError::Contradiction("its figures do not follow from its confusion matrix"))
    }

    /// The record as CSV: a header, a row a class, a row `mean` with the `mIoU`, and a row a note. What does not
    /// exist is empty. The texts are those of the class table, so none can be taken for a formula by a spreadsheet.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_csv(&self, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["id", "class", "iou", "precision", "recall", "f1", "support", "predicted", "in_mean"])?;
        for class in &self.classes {
            csv.serialize((
                class.id,
                &class.name,
                (class.iou, class.precision, class.recall, class.f1),
                (class.support, class.predicted, class.in_mean),
            ))?;
        }
        csv.serialize((None::<u8>, "mean", self.miou, [None::<f64>; 3], [None::<u64>; 3]))?;
        for note in &self.notes {
            csv.serialize((None::<u8>, format!("note: {note}"), [None::<f64>; 4], [None::<u64>; 3]))?;
        }
        csv.flush()
    }
}

/// Indented JSON, except that a list within a list stays on its line: a matrix looks like one.
struct Layout {
    pretty: PrettyFormatter<'static>,
    arrays: usize,
}

impl Layout {
    fn is_row(&self) -> bool {
        self.arrays > 1
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.arrays += 1;
        if self.is_row() { out.write_all(b"[") } else { self.pretty.begin_array(out) }
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        let is_row = self.is_row();
        self.arrays -= 1;
        if is_row { out.write_all(b"]") } else { self.pretty.end_array(out) }
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        match (self.is_row(), first) {
            (false, _) => self.pretty.begin_array_value(out, first),
            (true, true) => Ok(()),
            (true, false) => out.write_all(b", "),
        }
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        if self.is_row() { Ok(()) } else { self.pretty.end_array_value(out) }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object(out)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object(out)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ScoreReport {
        let mut counts = [[0; CLASS_COUNT]; CLASS_COUNT];
        for (truth, prediction, count) in [(0, 0, 6), (0, 12, 2), (12, 0, 2), (12, 12, 9), (12, 4, 1)] {
            counts[truth][prediction] = count;
        }
        let matrix = ConfusionMatrix::new(counts, 5);
        ScoreReport::new(&Evaluation { matrix, patches: 1, out_of_range: OutOfRange::Drop }, Protocol::Flair2)
    }

    #[test]
    fn the_json_reads_well_and_comes_back() {
        let text = report().to_json();
        assert_eq!(ScoreReport::from_json(&text).unwrap(), report());
        let lines: Vec<_> = text.lines().collect();
        insta::assert_snapshot!([&lines[..24], &lines[lines.len() - 20..]].concat().join("\n"), @r#"
        {
          "schema": "flair-bench/score/1",
          "protocol": "flair2",
          "miou": 0.3,
          "classes_averaged": 2,
          "overall_accuracy": 0.75,
          "patches": 1,
          "pixels": 25,
          "dropped_pixels": 5,
          "out_of_range": "drop",
          "classes": [
            {
              "id": 0,
              "name": "building",
              "iou": 0.6,
              "precision": 0.75,
              "recall": 0.75,
              "f1": 0.75,
              "support": 8,
              "predicted": 8,
              "in_mean": true
            },
            {
              "id": 1,
          ],
          "confusion": [
            [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]
          ],
          "notes": [
            "5 pixels are left out, predicted above 12: as in upstream's program, they do not count as errors"
          ]
        }
        "#);
    }

    #[test]
    fn the_csv_has_a_row_a_class_and_the_mean() {
        let mut text = Vec::new();
        report().write_csv(&mut text).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
        id,class,iou,precision,recall,f1,support,predicted,in_mean
        0,building,0.6,0.75,0.75,0.75,8,8,true
        1,pervious surface,,,,,0,0,false
        2,impervious surface,,,,,0,0,false
        3,bare soil,,,,,0,0,false
        4,water,0.0,0.0,,0.0,0,1,true
        5,coniferous,,,,,0,0,false
        6,deciduous,,,,,0,0,false
        7,brushwood,,,,,0,0,false
        8,vineyard,,,,,0,0,false
        9,herbaceous vegetation,,,,,0,0,false
        10,agricultural land,,,,,0,0,false
        11,plowed land,,,,,0,0,false
        12,other,0.6428571428571429,0.8181818181818182,0.75,0.782608695652174,12,11,false
        ,mean,0.3,,,,,,
        ,"note: 5 pixels are left out, predicted above 12: as in upstream's program, they do not count as errors",,,,,,,
        "#);
    }

    #[test]
    fn a_record_that_does_not_add_up_is_refused() {
        let refused = |change: &dyn Fn(&mut ScoreReport)| {
            let mut report = report();
            change(&mut report);
            ScoreReport::from_json(&report.to_json()).unwrap_err().to_string()
        };
        let lines = [
            refused(&|r| r.miou = Some(0.9)),
            refused(&|r| r.miou = None),
            refused(&|r| r.classes[3].iou = Some(1.0)),
            refused(&|r| drop(r.classes.pop())),
            refused(&|r| r.pixels += 1),
            refused(&|r| r.confusion[1] = [u64::MAX; CLASS_COUNT]),
            refused(&|r| r.schema = "flair-bench/score/2".to_owned()),
            ScoreReport::from_json("{}").unwrap_err().to_string(),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its matrix and the dropped pixels do not add up to its pixels
        the score record contradicts itself: its matrix and the dropped pixels do not add up to its pixels
        the score record has the schema `flair-bench/score/2`, this version reads `flair-bench/score/1`
        not a score record: missing field `schema` at line 1 column 2
        ");
        // A mean that is no number is null, never NaN.
        assert!(ScoreReport::from_json(&report().to_json().replace("0.6,", "NaN,")).is_err());
    }
}
