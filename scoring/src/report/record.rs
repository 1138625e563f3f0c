//! The record of a score: the content of `score.json` and `score.csv`.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::{
    ConfusionMatrix, Metrics, OutOfRange, Protocol,
    analysis::{
        compare::{CompareError, Comparison, Whole},
        costliest::{Confusion, costliest},
        groups::{GroupReport, GroupTable},
        uncertainty::Uncertainty,
    },
    protocol::Definition,
    score::metrics::ClassScores,
    score::{boundary::BoundaryReport, evaluate::Evaluation, metrics::Means},
};

/// Name and version of the record's schema.
pub const SCHEMA: &str = "flair-bench/score/2";

/// Maximum number of confusions in [`ScoreReport::costliest`].
pub const COSTLIEST: usize = 10;

/// A score, with everything needed to interpret it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// [`SCHEMA`].
    pub schema: String,
    /// The protocol's identifier, [`Protocol::id`].
    pub protocol: String,
    /// The overall scores.
    #[serde(flatten)]
    pub means: Means,
    /// Number of patches.
    pub patches: u64,
    /// Which patches: a digest of their IDs ([`crate::dataset::patch::patch_set`]). `None` in records of earlier
    /// versions, and where the IDs are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_set: Option<String>,
    /// Number of pixels, including dropped and ignored ones.
    pub pixels: u64,
    /// Pixels excluded because their predicted value is not a class.
    pub dropped_pixels: u64,
    /// Pixels excluded because the protocol ignores their label.
    pub ignored_pixels: u64,
    /// How predicted values that are not a class were treated.
    pub out_of_range: OutOfRange,
    /// The protocol's full definition.
    pub definition: Definition,
    /// The classes, in order.
    pub classes: Vec<ClassScores>,
    /// Confusion matrix in pixels, `[truth, prediction]`.
    pub confusion: Vec<Vec<u64>>,
    /// The [`COSTLIEST`] confusions that cost the `mIoU` most, the costliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costliest: Vec<Confusion>,
    /// Confidence intervals of the scores, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<Uncertainty>,
    /// Boundary `IoU`, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<BoundaryReport>,
    /// The scores by domain, zone or patch, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupTable>,
    /// The patches with the lowest `mIoU`, the worst first, if requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worst_patches: Vec<GroupReport>,
    /// The comparison with another prediction set, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Further information for readers, in sentences: "the model is untrained".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Errors of reading, checking or comparing a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is not JSON, or does not match the schema.
    #[error("not a score record: {0}")]
    Json(#[from] serde_json::Error),
    /// It has another schema.
    #[error("the score record has the schema `{found}`, this version reads `{SCHEMA}`")]
    Schema {
        /// The schema that it names.
        found: String,
    },
    /// Its protocol is not valid.
    #[error("the score record's protocol cannot be used: {0}")]
    Protocol(String),
    /// It contradicts itself.
    #[error("the score record contradicts itself: {0}")]
    Contradiction(&'static str),
    /// It cannot be compared with the other record.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

impl ScoreReport {
    /// The record of an evaluation. [`ScoreReport::uncertainty`], [`ScoreReport::groups`],
    /// [`ScoreReport::worst_patches`] and [`ScoreReport::comparison`] are empty; the caller fills them on request. The
    /// first note is about dropped pixels, if there are any.
    pub fn new(evaluation: &Evaluation) -> Self {
        let Evaluation { protocol, matrix, patches, out_of_range, .. } = evaluation;
        let mut report = Self::of_matrix(matrix, protocol, *patches, *out_of_range);
        report.patch_set.clone_from(&evaluation.patch_set);
        report.boundary = evaluation.boundary.as_ref().map(|counts| BoundaryReport::new(counts, protocol));
        let pixels = |count: u64| if count == 1 { "1 pixel is".to_owned() } else { format!("{count} pixels are") };
        if report.dropped_pixels > 0 {
            report.notes.push(format!(
                "{} left out, predicted above {}: as in upstream's program, they do not count as errors",
                pixels(report.dropped_pixels),
                protocol.class_count() - 1
            ));
        }
        let absent = report.classes.iter().filter(|class| class.scores.in_mean && class.scores.iou.is_none()).count();
        if absent > 0 {
            let (classes, them) = match absent {
                1 => ("1 class counts".to_owned(), "it"),
                many => (format!("{many} classes count"), "them"),
            };
            report
                .notes
                .push(format!("{classes} as 0: neither masks nor predictions have {them}, and the protocol says so"));
        }
        if report.ignored_pixels > 0 {
            report
                .notes
                .push(format!("{} not scored: the protocol ignores their label", pixels(report.ignored_pixels)));
        }
        report
    }

    fn of_matrix(matrix: &ConfusionMatrix, protocol: &Protocol, patches: u64, out_of_range: OutOfRange) -> Self {
        let metrics = Metrics::of(matrix, protocol);
        Self {
            schema: SCHEMA.to_owned(),
            protocol: protocol.id().to_owned(),
            means: metrics.means,
            patches,
            patch_set: None,
            pixels: matrix.pixels(),
            dropped_pixels: matrix.dropped(),
            ignored_pixels: matrix.ignored(),
            out_of_range,
            definition: protocol.definition().clone(),
            classes: ClassScores::all(protocol, &metrics),
            confusion: matrix.rows().map(<[u64]>::to_vec).collect(),
            costliest: costliest(matrix, protocol, COSTLIEST),
            uncertainty: None,
            boundary: None,
            groups: None,
            worst_patches: Vec::new(),
            comparison: None,
            notes: Vec::new(),
        }
    }

    /// The confusion matrix.
    ///
    /// # Errors
    /// [`ReportError::Contradiction`] if it does not have one row and one column per class, if its counts do not add up
    /// to the record's pixels, or if there are more pixels than a JSON number holds exactly.
    pub fn matrix(&self) -> Result<ConfusionMatrix, ReportError> {
        let classes = self.definition.nomenclature.classes.len();
        if self.confusion.len() != classes || self.confusion.iter().any(|row| row.len() != classes) {
            return Err(ReportError::Contradiction("its confusion matrix is no square of its classes"));
        }
        // 2^53 is the largest range that a JSON number holds exactly; within it no sum can overflow.
        let left_out = [self.dropped_pixels, self.ignored_pixels];
        let counted: u128 = self.confusion.iter().flatten().chain(&left_out).copied().map(u128::from).sum();
        if counted != u128::from(self.pixels) || self.pixels > 1 << 53 {
            return Err(ReportError::Contradiction("its matrix and the pixels left out do not add up to its pixels"));
        }
        ConfusionMatrix::new(classes, self.confusion.concat(), self.dropped_pixels, self.ignored_pixels)
            .ok_or(ReportError::Contradiction("its confusion matrix is no square of its classes"))
    }

    /// The protocol of the score.
    ///
    /// # Errors
    /// [`ReportError::Protocol`] if the record's definition is not valid.
    pub fn protocol(&self) -> Result<Protocol, ReportError> {
        Protocol::from_definition(self.definition.clone()).map_err(ReportError::Protocol)
    }

    /// Compares the overall scores of two records, without intervals, domains or patches. `name` names the other set in
    /// the comparison.
    ///
    /// # Errors
    /// [`ReportError::Compare`] if the protocols, the patches or the mask pixels of a class differ; or if a record
    /// contradicts itself.
    pub fn compare(&self, other: &Self, name: &str) -> Result<Comparison, ReportError> {
        let protocols = [self.protocol()?, other.protocol()?];
        let matrices = [self.matrix()?, other.matrix()?];
        let whole = |i: usize, report: &Self| -> Whole<'_> {
            Whole { protocol: &protocols[i], matrix: &matrices[i], patches: report.patches }
        };
        let comparison = Comparison::of_wholes(&whole(0, self), &whole(1, other), name)?;
        match (&self.patch_set, &other.patch_set) {
            (Some(this), Some(other)) if this != other => Err(CompareError::PatchSets { patches: self.patches }.into()),
            _ => Ok(comparison),
        }
    }

    /// The record as JSON, one line per field and per matrix row, with a final line break. The same record always gives
    /// the same text.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        let layout = Layout { pretty: PrettyFormatter::new(), arrays: 0 };
        // Writing numbers and strings into memory cannot fail; all keys are strings.
        let done = self.serialize(&mut Serializer::with_formatter(&mut text, layout));
        debug_assert!(done.is_ok());
        text.push(b'\n');
        String::from_utf8(text).unwrap_or_default()
    }

    /// Reads a record and checks that its scores follow from its confusion matrix. Values that do not follow from the
    /// matrix are not checked: intervals, boundary `IoU`, groups, single patches, the comparison.
    ///
    /// # Errors
    /// If it is not a score record, or contradicts itself.
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
        let (protocol, matrix) = (self.protocol()?, self.matrix()?);
        if self.protocol != protocol.id() {
            return Err(ReportError::Contradiction("its protocol is not the one that it describes"));
        }
        let is_digest =
            |text: &String| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !self.patch_set.iter().all(is_digest) {
            return Err(ReportError::Contradiction("its `patch_set` is not a SHA-256 digest in hex"));
        }
        let due = Self::of_matrix(&matrix, &protocol, self.patches, self.out_of_range);
        let is_same_class = |(found, due): (&ClassScores, &ClassScores)| {
            let (scores, expected) = (&found.scores, &due.scores);
            (found.id, &found.name, scores.support, scores.predicted, scores.in_mean)
                == (due.id, &due.name, expected.support, expected.predicted, expected.in_mean)
                && scores.figures().iter().zip(expected.figures()).all(|(found, due)| is_close(*found, due))
        };
        let is_same_confusion = |(found, due): (&Confusion, &Confusion)| {
            (found.truth, found.prediction, found.pixels) == (due.truth, due.prediction, due.pixels)
                && is_close(Some(found.gain), Some(due.gain))
                && is_close(Some(found.share), Some(due.share))
        };
        let is_same = self.classes.len() == due.classes.len()
            && self.classes.iter().zip(&due.classes).all(is_same_class)
            && self.costliest.len() == due.costliest.len()
            && self.costliest.iter().zip(&due.costliest).all(is_same_confusion)
            && self.means.classes_averaged == due.means.classes_averaged
            && self.means.figures().iter().zip(due.means.figures()).all(|(found, due)| is_close(*found, due));
        is_same.then_some(()).ok_or(ReportError::Contradiction("its figures do not follow from its confusion matrix"))
    }
}

fn is_close(found: Option<f64>, due: Option<f64>) -> bool {
    match (found, due) {
        (Some(found), Some(due)) => (found - due).abs() <= 1e-9,
        (found, due) => found == due,
    }
}

/// Indented JSON in which a nested list stays on one line, so that a matrix has one line per row.
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
    use std::time::Duration;

    use super::*;
    use crate::{
        seeds,
        timing::{Devices, Timing},
    };

    fn report() -> ScoreReport {
        let cells = [(0, 0, 6), (0, 12, 2), (12, 0, 2), (12, 12, 9), (12, 4, 1)];
        let mut evaluation = Evaluation { out_of_range: OutOfRange::Drop, ..Evaluation::of_cells(&cells) };
        evaluation.matrix.add_cells(std::iter::empty(), 5, 0);
        ScoreReport::new(&evaluation)
    }

    #[test]
    fn the_fuzzers_inputs_are_there() {
        let two = "{name: two, classes: [{name: a, colour: '#000000', labels: [1]}, {name: b, colour: '#fF0000', labels: [2], averaged: false}]}";
        let protocol = Protocol::from_yaml(two, "").unwrap();
        let matrix = ConfusionMatrix::new(2, vec![5, 1, 2, 7], 3, 1).unwrap();
        let report = ScoreReport::of_matrix(&matrix, &protocol, 1, OutOfRange::Drop);
        let time = Timing::new(Duration::from_millis(1500), 3, Devices { nodes: 1, per_node: 1 });
        let negative = Timing { seconds: -1.0, device_seconds: -1.0, ..time.clone() };
        let times = [("time.json", time), ("negative.json", negative)];
        let times = times.map(|(name, time)| (name.to_owned(), serde_json::to_vec_pretty(&time).unwrap()));
        let scores = [("score.json".to_owned(), report.to_json().into_bytes())];
        seeds::keep("record", &scores.into_iter().chain(times).collect());
    }

    #[test]
    fn the_json_reads_well_and_comes_back() {
        let text = report().to_json();
        assert_eq!(ScoreReport::from_json(&text).unwrap(), report());
        let lines: Vec<_> = text.lines().collect();
        insta::assert_snapshot!([&lines[..31], &["  …"], &lines[lines.len() - 42..]].concat().join("\n"), @r##"
        {
          "schema": "flair-bench/score/2",
          "protocol": "flair2",
          "miou": 0.3,
          "classes_averaged": 2,
          "overall_accuracy": 0.75,
          "mean_accuracy": 0.75,
          "mean_f1": 0.375,
          "frequency_weighted_iou": 0.6257142857142858,
          "kappa": 0.5098039215686274,
          "patches": 1,
          "pixels": 25,
          "dropped_pixels": 5,
          "ignored_pixels": 0,
          "out_of_range": "drop",
          "definition": {
            "name": "flair2",
            "nomenclature": {
              "name": "flair2-13",
              "classes": [
                {
                  "name": "building",
                  "colour": "#db0e9a",
                  "labels": [1]
                },
                {
                  "name": "pervious surface",
                  "colour": "#938e7b",
                  "labels": [2]
                },
                {
          …
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
          "costliest": [
            {
              "truth": 12,
              "prediction": 4,
              "pixels": 1,
              "share": 0.08333333333333333,
              "gain": 0.3
            },
            {
              "truth": 0,
              "prediction": 12,
              "pixels": 2,
              "share": 0.25,
              "gain": 0.10000000000000003
            },
            {
              "truth": 12,
              "prediction": 0,
              "pixels": 2,
              "share": 0.16666666666666666,
              "gain": 0.07500000000000001
            }
          ],
          "notes": [
            "5 pixels are left out, predicted above 12: as in upstream's program, they do not count as errors"
          ]
        }
        "##);
    }

    #[test]
    fn records_of_other_patches_cannot_be_compared() {
        let of = |ids: [u32; 2]| {
            let patch_set = Some(crate::dataset::patch_set(ids.into_iter().filter_map(crate::PatchId::new)));
            ScoreReport { patch_set, patches: 2, ..report() }
        };
        assert_eq!(ScoreReport::from_json(&of([1, 2]).to_json()).unwrap(), of([1, 2]));
        assert!(of([1, 2]).compare(&of([1, 2]), "other").is_ok());
        // A record of an earlier version does not name its patches.
        assert!(of([1, 2]).compare(&ScoreReport { patch_set: None, ..of([1, 2]) }, "other").is_ok());
        let error = of([1, 2]).compare(&of([1, 3]), "other").unwrap_err().to_string();
        insta::assert_snapshot!(error, @"not the same patches: both sets have 2 patches, but their IDs differ");
    }

    #[test]
    fn the_note_about_classes_that_count_as_0_agrees_in_number() {
        let note = |cells: &[(usize, usize, u64)]| {
            let protocol = Protocol::named("flair-hub").unwrap();
            ScoreReport::new(&Evaluation { protocol, ..Evaluation::of_cells(cells) }).notes.concat()
        };
        let cells: Vec<_> = (0..11).map(|class| (class, class, 1)).collect();
        let expected = "1 class counts as 0: neither masks nor predictions have it, and the protocol says so";
        assert_eq!(note(&cells), expected);
        let expected = "2 classes count as 0: neither masks nor predictions have them, and the protocol says so";
        assert_eq!(note(&cells[..10]), expected);
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
            refused(&|r| r.means.miou = Some(0.9)),
            refused(&|r| r.means.miou = None),
            refused(&|r| r.classes[3].scores.iou = Some(1.0)),
            refused(&|r| drop(r.classes.pop())),
            refused(&|r| r.pixels += 1),
            refused(&|r| r.confusion[1] = vec![u64::MAX; 13]),
            refused(&|r| drop(r.confusion.pop())),
            refused(&|r| r.means.kappa = Some(1.0)),
            refused(&|r| r.protocol = "flair-hub".to_owned()),
            refused(&|r| r.definition.nomenclature.classes.truncate(1)),
            refused(&|r| r.schema = "flair-bench/score/1".to_owned()),
            refused(&|r| r.patch_set = Some("F".repeat(64))),
            ScoreReport::from_json("{}").unwrap_err().to_string(),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its matrix and the pixels left out do not add up to its pixels
        the score record contradicts itself: its matrix and the pixels left out do not add up to its pixels
        the score record contradicts itself: its confusion matrix is no square of its classes
        the score record contradicts itself: its figures do not follow from its confusion matrix
        the score record contradicts itself: its protocol is not the one that it describes
        the score record's protocol cannot be used: it has 1 class, expected 2 to 200
        the score record has the schema `flair-bench/score/1`, this version reads `flair-bench/score/2`
        the score record contradicts itself: its `patch_set` is not a SHA-256 digest in hex
        not a score record: missing field `schema` at line 1 column 2
        ");
        // A mean that is no number is null, never NaN.
        assert!(ScoreReport::from_json(&report().to_json().replace("0.6,", "NaN,")).is_err());
    }
}
