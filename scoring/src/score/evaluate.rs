//! Scores a set of predictions: compares all pairs in parallel and reports all problems at once.

use rayon::prelude::*;

use super::{
    faults::{About, Faults, Refusal},
    numbering::{self, Share, ValueCounts},
};
use crate::{
    ConfusionMatrix, Event, Finding, OutOfRange, PatchId, Progress, Protocol, Severity,
    dataset::patch_set,
    raster::{self, Header, Limits, Photometric, RasterError, SampleFormat},
    score::{
        boundary::{BoundaryCounts, BoundaryWidth, MapPair},
        confusion_matrix::CountError,
        pairing::{Masks, Pair, Pairing},
    },
    source::{ReadError, Source},
    submission::{Code, content},
    text::{counted, shown},
};

/// Options of scoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The protocol: classes and rules.
    pub protocol: Protocol,
    /// How to treat predicted values that are not a class.
    pub out_of_range: OutOfRange,
    /// Whether to keep the matrix of each patch.
    pub keep: Keep,
    /// The width for boundary `IoU`, if it is computed; takes about 2 ms per patch.
    pub boundary: Option<BoundaryWidth>,
    /// Limits on each file.
    pub limits: Limits,
}

impl Default for Options {
    /// The challenge's protocol; unlike upstream's scorer, values that are not a class are rejected.
    fn default() -> Self {
        Self {
            protocol: Protocol::flair2(),
            out_of_range: OutOfRange::default(),
            keep: Keep::default(),
            boundary: None,
            limits: Limits::default(),
        }
    }
}

/// What to keep of single patches. In any case, the names and paths of masks and predictions take about 700 bytes per
/// pair (a whole run measured 27.7 MB for 1,000 pairs, 37.5 MB for 16,050); rasters are not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Only the sum of their matrices.
    #[default]
    Sum,
    /// Each patch's matrix, about 300 bytes, for scores by domain, zone or patch.
    Patches,
}

/// The result of scoring all pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The protocol: classes and rules.
    pub protocol: Protocol,
    /// The confusion matrix of all pixels.
    pub matrix: ConfusionMatrix,
    /// Number of patches.
    pub patches: u64,
    /// Which patches, as [`patch_set`] identifies them; `None` if their IDs are not known.
    pub patch_set: Option<String>,
    /// The matrix of each patch, in the order of patch numbers; empty unless [`Keep::Patches`] is set.
    pub by_patch: Vec<PatchConfusion>,
    /// The counts for boundary `IoU`, if requested.
    pub boundary: Option<BoundaryCounts>,
    /// How predicted values that are not a class were treated.
    pub out_of_range: OutOfRange,
    /// Likely mistakes in the predictions, which do not prevent the score: classes counted from 1.
    pub findings: Vec<Finding>,
}

impl Evaluation {
    /// The evaluation of a confusion matrix of `patches` patches, without the parts that need the single patches.
    ///
    /// # Panics
    /// If the matrix has another number of classes than the protocol.
    pub fn of_matrix(protocol: Protocol, matrix: ConfusionMatrix, patches: u64) -> Self {
        let share = Share { counted: patches, pairs: patches, is_scored: true };
        let findings = numbering::mistake(&ValueCounts::of_matrix(&matrix), &protocol, share).into_iter().collect();
        let (by_patch, boundary, out_of_range) = (Vec::new(), None, OutOfRange::Reject);
        Self { protocol, matrix, patches, patch_set: None, by_patch, boundary, out_of_range, findings }
    }
}

/// The confusion matrix of one patch, sparse: without the cells that are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchConfusion {
    /// The patch.
    pub id: PatchId,
    cells: Box<[(u16, u32)]>,
    dropped: u32,
    ignored: u32,
}

impl PatchConfusion {
    /// The sparse form of `matrix`; `None` if a count exceeds `u32::MAX`.
    pub fn new(id: PatchId, matrix: &ConfusionMatrix) -> Option<Self> {
        let cells = matrix.counts().iter().enumerate().filter(|(_, count)| **count > 0);
        let cells = cells.map(|(cell, count)| Some((u16::try_from(cell).ok()?, u32::try_from(*count).ok()?)));
        let [dropped, ignored] = [matrix.dropped(), matrix.ignored()].map(|count| u32::try_from(count).ok());
        Some(Self { id, cells: cells.collect::<Option<_>>()?, dropped: dropped?, ignored: ignored? })
    }

    /// Cells that are not 0: the index in [`ConfusionMatrix::counts`], and the count.
    pub fn cells(&self) -> &[(u16, u32)] {
        &self.cells
    }

    /// The full matrix.
    ///
    /// # Panics
    /// If the patch has more than `classes` classes.
    pub fn matrix(&self, classes: usize) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::empty(classes);
        self.add_to(&mut matrix);
        matrix
    }

    /// Adds it to a matrix of the same classes.
    ///
    /// # Panics
    /// If `matrix` has fewer classes.
    pub fn add_to(&self, matrix: &mut ConfusionMatrix) {
        let cells = self.cells.iter().map(|(cell, count)| (usize::from(*cell), u64::from(*count)));
        matrix.add_cells(cells, u64::from(self.dropped), u64::from(self.ignored));
    }
}

#[cfg(test)]
impl Evaluation {
    /// One patch by the challenge's protocol, from cells `(truth, prediction, count)`.
    pub(crate) fn of_cells(cells: &[(usize, usize, u64)]) -> Self {
        let protocol = Protocol::flair2();
        let mut matrix = ConfusionMatrix::empty(protocol.class_count());
        let index = |truth, prediction| truth * protocol.class_count() + prediction;
        matrix.add_cells(cells.iter().map(|(t, p, count)| (index(*t, *p), *count)), 0, 0);
        Self::of_matrix(protocol, matrix, 1)
    }
}

/// Errors of scoring.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// There are no masks.
    #[error("there is no mask: expected files named like MSK_000826.tif")]
    NoMasks,
    /// The predictions or the masks have errors.
    #[error("not scored: {} found in masks and predictions", counted(.0.len(), "problem"))]
    NotScorable(Vec<Finding>),
}

/// Compares every mask with its prediction, on all threads of the current rayon pool. The result does not depend on the
/// number of threads. `progress` receives the stage "scoring", with a step for each pair.
///
/// A prediction must have the size of its mask; any size is allowed. Both are one band of uint8.
///
/// # Errors
/// [`EvaluateError::NotScorable`] with all problems: missing, extra or duplicate patches; unreadable files; a wrong
/// size, number of bands or sample type; values that are not a label or a class. The same problem of many files is one
/// finding. Likely mistakes, such as classes counted from 1, are findings in either case: in the error, or in
/// [`Evaluation::findings`].
pub fn evaluate(
    masks: &Masks,
    source: &Source,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Evaluation, EvaluateError> {
    let Pairing { pairs, findings } = Pairing::of(masks, source);
    if masks.is_empty() && masks.findings().is_empty() {
        return Err(EvaluateError::NoMasks);
    }
    progress.event(Event::Started { stage: "scoring", steps: pairs.len() as u64 });
    let empty = || Sum::empty(options.protocol.class_count());
    let sum = pairs
        .par_iter()
        .map(|pair| {
            let counted = compare(pair, source, options);
            progress.event(Event::Step { patch: Some(pair.id) });
            counted
        })
        .zip(&pairs)
        .fold(empty, |sum, (counted, pair)| sum.add(pair, options, counted))
        .reduce(empty, Sum::merge);
    progress.event(Event::Finished);
    let set = patch_set(pairs.iter().map(|pair| pair.id));
    let evaluation = sum.into_evaluation(pairs.len() as u64, findings, options)?;
    Ok(Evaluation { patch_set: Some(set), ..evaluation })
}

struct Sum<'a> {
    matrix: ConfusionMatrix,
    boundary: Option<BoundaryCounts>,
    by_patch: Vec<PatchConfusion>,
    refusal: Refusal<'a>,
    /// Number of pairs in the matrix.
    counted: u64,
    /// Number of pairs that could be compared, but have values that are not a class.
    strayed: u64,
    /// The counts that are not in the matrix, because their values, or other ones of their pair, are not a class.
    strays: Option<ValueCounts>,
}

impl<'a> Sum<'a> {
    fn empty(classes: usize) -> Self {
        let (matrix, refusal) = (ConfusionMatrix::empty(classes), Refusal::default());
        Self { matrix, boundary: None, by_patch: Vec::new(), refusal, counted: 0, strayed: 0, strays: None }
    }

    fn add(mut self, pair: &Pair<'a>, options: &Options, counted: Result<Counted, Faults>) -> Self {
        match counted {
            Ok(Counted { matrix, boundary, strays }) => {
                self.matrix.merge(&matrix);
                self.counted += 1;
                self.boundary = sum_of(self.boundary, boundary, BoundaryCounts::merge);
                self.strays = sum_of(self.strays, strays, ValueCounts::merge);
                if options.keep == Keep::Patches {
                    self.by_patch.extend(PatchConfusion::new(pair.id, &matrix));
                }
            }
            Err(mut faults) => {
                let strays = faults.values.take();
                self.strayed += u64::from(strays.is_some());
                self.strays = sum_of(self.strays, strays, ValueCounts::merge);
                self.refusal.add(pair, faults, &options.protocol);
            }
        }
        self
    }

    /// rayon merges neighbours, left before right, so the order of the patches is kept.
    fn merge(mut self, other: Self) -> Self {
        self.matrix.merge(&other.matrix);
        self.boundary = sum_of(self.boundary, other.boundary, BoundaryCounts::merge);
        self.strays = sum_of(self.strays, other.strays, ValueCounts::merge);
        self.counted += other.counted;
        self.strayed += other.strayed;
        self.by_patch.extend(other.by_patch);
        self.refusal.merge(other.refusal);
        self
    }

    /// The result of `pairs` pairs: their evaluation if every single one was counted and nothing is an error, otherwise
    /// all `findings` and those of the pairs.
    fn into_evaluation(
        self,
        pairs: u64,
        mut findings: Vec<Finding>,
        options: &Options,
    ) -> Result<Evaluation, EvaluateError> {
        let Options { protocol, out_of_range, .. } = options;
        findings.extend(self.refusal.into_findings(protocol));
        // A pair that was not counted must prevent the score, whatever the severity of what was found.
        let is_scored = self.counted == pairs && findings.iter().all(|finding| finding.severity != Severity::Error);
        let mut values = ValueCounts::of_matrix(&self.matrix);
        self.strays.iter().for_each(|strays| values.merge(strays));
        let share = Share { counted: self.counted + self.strayed, pairs, is_scored };
        findings.extend(numbering::mistake(&values, protocol, share));
        if !is_scored {
            return Err(EvaluateError::NotScorable(findings));
        }
        Ok(Evaluation {
            protocol: protocol.clone(),
            matrix: self.matrix,
            patches: pairs,
            patch_set: None,
            by_patch: self.by_patch,
            boundary: self.boundary,
            out_of_range: *out_of_range,
            findings,
        })
    }
}

fn sum_of<T>(a: Option<T>, b: Option<T>, merge: impl FnOnce(&mut T, &T)) -> Option<T> {
    match (a, b) {
        (Some(mut a), Some(b)) => {
            merge(&mut a, &b);
            Some(a)
        }
        (a, b) => a.or(b),
    }
}

/// The counts of one pair.
struct Counted {
    matrix: ConfusionMatrix,
    boundary: Option<BoundaryCounts>,
    /// The pixels that were dropped, by value.
    strays: Option<ValueCounts>,
}

/// Counts one pair, or returns all its problems.
fn compare(pair: &Pair<'_>, source: &Source, options: &Options) -> Result<Counted, Faults> {
    let limits = &options.limits;
    let mut faults = Faults::default();
    for defect in &pair.prediction.defects {
        faults.add(About::Prediction, Code::from(*defect), format!("this entry {}", defect.reason()));
    }
    let bytes = raster::load(pair.mask, limits).map_err(|error| (Code::UnreadableMask, error.to_string()));
    let mask = Layer::open(About::Mask, bytes, limits, &mut faults);
    let bytes = source.read(pair.prediction, limits.file_bytes).map_err(|error| {
        let code = match error {
            ReadError::TooLarge { .. } => Code::FileTooLarge,
            ReadError::Damaged { .. } => Code::DamagedEntry,
            _ => Code::UnreadableFile,
        };
        (code, shown(&error.to_string()))
    });
    let prediction = Layer::open(About::Prediction, bytes, limits, &mut faults);
    if let Some(Layer { header, bytes, .. }) = &prediction {
        // Colours cost a decoding: only of an image that has its mask's size.
        let is_size_due =
            mask.as_ref().is_some_and(|mask| (mask.header.width, mask.header.height) == (header.width, header.height));
        let hints = content::representation(header, bytes, limits, &options.protocol, is_size_due);
        for (code, hint) in hints {
            faults.add(About::Prediction, code, hint);
        }
    }
    let (Some(mask), Some(prediction)) = (mask, prediction) else { return Err(faults) };
    let [due, found] = [&mask, &prediction].map(|layer| (layer.header.width, layer.header.height));
    if due != found {
        let message = format!("{} × {} pixels, its mask has {} × {}", found.0, found.1, due.0, due.1);
        faults.add(About::Prediction, Code::WrongSize, message);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let [mask, prediction] = [mask, prediction].map(|layer| layer.samples(limits, &mut faults));
    let protocol = &options.protocol;
    let (Some(mask), Some(prediction)) = (mask, prediction) else { return Err(faults) };
    let mut matrix = ConfusionMatrix::empty(protocol.class_count());
    match matrix.add(protocol.labels(), &mask, &prediction, options.out_of_range) {
        Ok(()) => {}
        Err(CountError::Strays { labels, predictions }) => {
            let is_of_mask = !labels.is_empty();
            (faults.labels, faults.classes, faults.has_first) = (labels, predictions, prediction.contains(&0));
            faults.values = (!is_of_mask).then(|| ValueCounts::count(protocol.labels(), &mask, &prediction));
            return Err(faults);
        }
        Err(error @ CountError::Lengths { .. }) => {
            faults.add(About::Prediction, Code::WrongSize, error.to_string());
            return Err(faults);
        }
    }
    let boundary = options.boundary.and_then(|boundary| {
        let maps = MapPair::new(protocol, due.0, &mask, &prediction)?;
        let mut counts = BoundaryCounts::new(protocol.class_count(), boundary);
        counts.add(&maps);
        Some(counts)
    });
    let strays = (matrix.dropped() > 0)
        .then(|| ValueCounts::count(protocol.labels(), &mask, &prediction).without_classes(protocol.class_count()));
    Ok(Counted { matrix, boundary, strays })
}

/// A raster whose header is parsed and whose samples are not yet decoded.
struct Layer {
    about: About,
    bytes: Vec<u8>,
    header: Header,
}

impl Layer {
    /// Parses the header and reports properties that cannot be scored; `None` if the header is not readable.
    fn open(
        about: About,
        bytes: Result<Vec<u8>, (Code, String)>,
        limits: &Limits,
        faults: &mut Faults,
    ) -> Option<Self> {
        let (bytes, header) = bytes
            .and_then(|bytes| match raster::header(&bytes, limits) {
                Ok(header) => Ok((bytes, header)),
                Err(error) => Err(unreadable(about, &error)),
            })
            .map_err(|(code, message)| faults.add(about, code, message))
            .ok()?;
        // Problems of a mask have their own code, since they are not the participant's fault.
        let is_mask = about == About::Mask;
        let of_form = |code| if is_mask { Code::WrongMaskForm } else { code };
        if header.bands != 1 {
            faults.add(about, of_form(Code::WrongBands), format!("{} bands, expected 1", header.bands));
        }
        if header.bits != 8 || header.sample_format != SampleFormat::Unsigned {
            faults.add(
                about,
                of_form(Code::WrongSampleType),
                format!("samples are {}, expected uint8", header.sample_type()),
            );
        }
        if header.photometric == Photometric::MinIsWhite {
            let message = "0 means white (photometric MinIsWhite), which some readers invert: write MinIsBlack";
            faults.add(about, of_form(Code::InvertedGrey), message);
        }
        Some(Self { about, bytes, header })
    }

    fn samples(self, limits: &Limits, faults: &mut Faults) -> Option<Vec<u8>> {
        let refuse = |error: RasterError| {
            let (code, message) = unreadable(self.about, &error);
            faults.add(self.about, code, message);
        };
        raster::decode(&self.bytes, limits).map_err(refuse).ok().map(raster::Raster::into_samples)
    }
}

fn unreadable(about: About, error: &RasterError) -> (Code, String) {
    let code = if about == About::Mask { Code::UnreadableMask } else { Code::UnreadableImage };
    (code, shown(&error.to_string()))
}

#[cfg(test)]
mod tests;
