//! The record of a score: the content of `score.json` and `score.csv`.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::{
    Code, ConfusionMatrix, Finding, Metrics, OutOfRange, Protocol,
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
    /// Which patches: a digest of their IDs ([`crate::dataset::patch_set`]). `None` in records of earlier
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
    /// Likely mistakes in the predictions: classes counted from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Names of the files that were written with this record, in its folder; empty if it stands alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
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
    /// What makes the predictions look like a usual mistake: classes counted from 1, or written as colours.
    pub fn doubt(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| Code::is_doubt(finding))
    }

    /// The record of an evaluation. [`ScoreReport::uncertainty`], [`ScoreReport::groups`],
    /// [`ScoreReport::worst_patches`] and [`ScoreReport::comparison`] are empty; the caller fills them on request. The
    /// first note is about dropped pixels, if there are any.
    pub fn new(evaluation: &Evaluation) -> Self {
        let Evaluation { protocol, matrix, patches, out_of_range, .. } = evaluation;
        let mut report = Self::of_matrix(matrix, protocol, *patches, *out_of_range);
        report.patch_set.clone_from(&evaluation.patch_set);
        report.findings.clone_from(&evaluation.findings);
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
            findings: Vec::new(),
            files: Vec::new(),
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
    ///
    /// # Panics
    /// If it cannot be JSON, which no record's types allow.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        let layout = Layout { pretty: PrettyFormatter::new(), arrays: 0 };
        #[expect(clippy::expect_used, reason = "a record cut off must never be written")]
        self.serialize(&mut Serializer::with_formatter(&mut text, layout)).expect("texts and numbers are JSON");
        text.push(b'\n');
        String::from_utf8_lossy(&text).into_owned()
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
mod tests;
