//! Scoring a set of predictions: all pairs at once on all cores, all problems told at once.

use rayon::prelude::*;

use crate::{
    ConfusionMatrix, Event, Finding, OutOfRange, PatchId, Progress, Protocol, Severity,
    boundary::{BoundaryCounts, BoundaryWidth, MapPair},
    confusion::{CountError, Strays},
    pairing::{Masks, Pair, Pairing},
    raster::{self, Header, Limits, Photometric, RasterError, SampleFormat},
    submission::{Code, ReadError, Source, shown},
};

/// How to score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// By which classes and rules.
    pub protocol: Protocol,
    /// What to do with predictions that are no class.
    pub out_of_range: OutOfRange,
    /// Whether each patch's own matrix is kept.
    pub keep: Keep,
    /// Whether outlines are scored too, and how wide; it takes some 2 ms a patch.
    pub boundary: Option<BoundaryWidth>,
    /// How much each file may ask for.
    pub limits: Limits,
}

impl Default for Options {
    /// As the challenge scores, without its holes.
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

/// What is kept of single patches. Their matrices take some 300 bytes a patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the memory does not grow with the number of patches.
    #[default]
    Sum,
    /// Each patch's matrix, for scores by domain, zone or patch.
    Patches,
}

/// What all pairs come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// By which classes and rules.
    pub protocol: Protocol,
    /// One matrix of all pixels.
    pub matrix: ConfusionMatrix,
    /// Number of patches.
    pub patches: u64,
    /// The patches one by one, in the order of their numbers; empty unless [`Keep::Patches`] was asked for.
    pub by_patch: Vec<PatchConfusion>,
    /// The boundaries' pixels, where they were asked for.
    pub boundary: Option<BoundaryCounts>,
    /// What was done with predictions that are no class.
    pub out_of_range: OutOfRange,
}

/// The confusion matrix of one patch, without the cells that are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchConfusion {
    /// The patch.
    pub id: PatchId,
    cells: Box<[(u16, u32)]>,
    dropped: u32,
    ignored: u32,
}

impl PatchConfusion {
    /// `None` where a count is larger than an image of `u32::MAX` pixels has.
    pub fn new(id: PatchId, matrix: &ConfusionMatrix) -> Option<Self> {
        let cells = matrix.counts().iter().enumerate().filter(|(_, count)| **count > 0);
        let cells = cells.map(|(cell, count)| Some((u16::try_from(cell).ok()?, u32::try_from(*count).ok()?)));
        let [dropped, ignored] = [matrix.dropped(), matrix.ignored()].map(|count| u32::try_from(count).ok());
        Some(Self { id, cells: cells.collect::<Option<_>>()?, dropped: dropped?, ignored: ignored? })
    }

    /// Cells that are not 0: the place in [`ConfusionMatrix::counts`], and the count.
    pub fn cells(&self) -> &[(u16, u32)] {
        &self.cells
    }

    /// The whole matrix.
    ///
    /// # Panics
    /// If it is of more classes than `classes`.
    pub fn matrix(&self, classes: usize) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::empty(classes);
        self.add_to(&mut matrix);
        matrix
    }

    /// Adds it to a matrix of the same classes.
    ///
    /// # Panics
    /// If that one is of fewer classes.
    pub fn add_to(&self, matrix: &mut ConfusionMatrix) {
        let cells = self.cells.iter().map(|(cell, count)| (usize::from(*cell), u64::from(*count)));
        matrix.add_cells(cells, u64::from(self.dropped), u64::from(self.ignored));
    }
}

#[cfg(test)]
impl Evaluation {
    /// One patch by the challenge's protocol, of counts of truth and prediction.
    pub(crate) fn of_cells(cells: &[(usize, usize, u64)]) -> Self {
        let protocol = Protocol::flair2();
        let mut matrix = ConfusionMatrix::empty(protocol.class_count());
        let place = |truth, prediction| truth * protocol.class_count() + prediction;
        matrix.add_cells(cells.iter().map(|(t, p, count)| (place(*t, *p), *count)), 0, 0);
        Self { protocol, matrix, patches: 1, by_patch: Vec::new(), boundary: None, out_of_range: OutOfRange::Reject }
    }
}

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// There is nothing to score against.
    #[error("there is no mask: expected files named as MSK_000826.tif")]
    NoMasks,
    /// The predictions, or the masks, break the rules.
    #[error("not scored: {} found in masks and predictions", problems(.0.len()))]
    NotScorable(Vec<Finding>),
}

fn problems(count: usize) -> String {
    if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") }
}

/// Compares every mask with its prediction, on all threads of the current rayon pool. The result does not depend on
/// their number. `progress` hears of the stage "scoring", with a step for each pair.
///
/// A prediction must be as large as its mask, whatever that is; both are one band of uint8.
///
/// # Errors
/// [`EvaluateError::NotScorable`] with everything that is wrong, if anything is: a patch missing, extra or twice; a
/// file unreadable, of another size, number of bands or type; a value that means nothing.
pub fn evaluate(
    masks: &Masks,
    source: &Source,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Evaluation, EvaluateError> {
    let Pairing { pairs, mut findings } = Pairing::of(masks, source);
    if masks.is_empty() && findings.iter().all(|finding| finding.code == Code::ExtraPrediction.code()) {
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
        .fold(empty, |sum, (counted, pair)| sum.add(pair.id, options.keep, counted))
        .reduce(empty, Sum::merge);
    progress.event(Event::Finished);
    findings.extend(sum.findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(EvaluateError::NotScorable(findings));
    }
    Ok(Evaluation {
        protocol: options.protocol.clone(),
        matrix: sum.matrix,
        patches: pairs.len() as u64,
        by_patch: sum.by_patch,
        boundary: sum.boundary,
        out_of_range: options.out_of_range,
    })
}

struct Sum {
    matrix: ConfusionMatrix,
    boundary: Option<BoundaryCounts>,
    by_patch: Vec<PatchConfusion>,
    findings: Vec<Finding>,
}

impl Sum {
    fn empty(classes: usize) -> Self {
        Self { matrix: ConfusionMatrix::empty(classes), boundary: None, by_patch: Vec::new(), findings: Vec::new() }
    }

    fn add(mut self, id: PatchId, keep: Keep, counted: Result<Counted, Vec<Finding>>) -> Self {
        match counted {
            Ok(Counted { matrix, boundary }) => {
                self.matrix.merge(&matrix);
                self.boundary = sum_of(self.boundary, boundary);
                if keep == Keep::Patches {
                    self.by_patch.extend(PatchConfusion::new(id, &matrix));
                }
            }
            Err(findings) => self.findings.extend(findings),
        }
        self
    }

    /// rayon merges neighbours, left before right, so all stays in the order of the patches.
    fn merge(mut self, other: Self) -> Self {
        self.matrix.merge(&other.matrix);
        self.boundary = sum_of(self.boundary, other.boundary);
        self.by_patch.extend(other.by_patch);
        self.findings.extend(other.findings);
        self
    }
}

fn sum_of(a: Option<BoundaryCounts>, b: Option<BoundaryCounts>) -> Option<BoundaryCounts> {
    match (a, b) {
        (Some(mut a), Some(b)) => {
            a.merge(&b);
            Some(a)
        }
        (a, b) => a.or(b),
    }
}

/// What one pair comes to.
struct Counted {
    matrix: ConfusionMatrix,
    boundary: Option<BoundaryCounts>,
}

/// The counts of one pair, or all that is wrong with it.
fn compare(pair: &Pair<'_>, source: &Source, options: &Options) -> Result<Counted, Vec<Finding>> {
    let limits = &options.limits;
    let mut findings = Vec::new();
    let mask_name = pair.mask.to_string_lossy();
    let name = shown(&pair.prediction.name);
    for defect in &pair.prediction.defects {
        findings.push(Code::from(*defect).finding(&name, format!("this entry {}", defect.reason())));
    }
    let bytes = raster::load(pair.mask, limits);
    let bytes = bytes.map_err(|error| Code::UnreadableMask.finding(&*mask_name, error.to_string()));
    let mask = Layer::open(Code::UnreadableMask, &mask_name, bytes, limits, &mut findings);
    let bytes = source.read(pair.prediction, limits.file_bytes).map_err(|error| {
        let code = match error {
            ReadError::TooLarge { .. } => Code::FileTooLarge,
            ReadError::Damaged { .. } => Code::DamagedEntry,
            _ => Code::UnreadableFile,
        };
        code.finding(&name, shown(&error.to_string()))
    });
    let prediction = Layer::open(Code::UnreadableImage, &name, bytes, limits, &mut findings);
    let (Some(mask), Some(prediction)) = (mask, prediction) else { return Err(findings) };
    let [due, found] = [&mask, &prediction].map(|layer| (layer.header.width, layer.header.height));
    if due != found {
        let message = format!("{} × {} pixels, its mask has {} × {}", found.0, found.1, due.0, due.1);
        findings.push(Code::WrongSize.finding(&name, message));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let [mask, prediction] = [mask, prediction].map(|layer| layer.samples(limits, &mut findings));
    let protocol = &options.protocol;
    let (Some(mask), Some(prediction)) = (mask, prediction) else { return Err(findings) };
    let mut matrix = ConfusionMatrix::empty(protocol.class_count());
    if let Err(error) = matrix.add(protocol.labels(), &mask, &prediction, options.out_of_range) {
        return Err(told(&error, protocol, &mask_name, &name));
    }
    let boundary = options.boundary.and_then(|boundary| {
        let maps = MapPair::new(protocol, due.0, &mask, &prediction)?;
        let mut counts = BoundaryCounts::new(protocol.class_count(), boundary);
        counts.add(&maps);
        Some(counts)
    });
    Ok(Counted { matrix, boundary })
}

/// A raster of which only the header was read.
struct Layer<'a> {
    /// The code of a finding that it cannot be decoded.
    unreadable: Code,
    name: &'a str,
    bytes: Vec<u8>,
    header: Header,
}

impl<'a> Layer<'a> {
    /// Reads the header and tells what of it cannot be scored; `None` if there is none to read.
    fn open(
        unreadable: Code,
        name: &'a str,
        bytes: Result<Vec<u8>, Finding>,
        limits: &Limits,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let refuse = |error: RasterError| unreadable.finding(name, shown(&error.to_string()));
        let (bytes, header) = bytes
            .and_then(|bytes| raster::header(&bytes, limits).map(|header| (bytes, header)).map_err(refuse))
            .map_err(|finding| findings.push(finding))
            .ok()?;
        // What is wrong with a mask is not the prediction's fault, so its code tells that it is one.
        let is_mask = unreadable == Code::UnreadableMask;
        let of_form = |code| if is_mask { Code::WrongMaskForm } else { code };
        if header.bands != 1 {
            findings.push(of_form(Code::WrongBands).finding(name, format!("{} bands, expected 1", header.bands)));
        }
        if header.bits != 8 || header.sample_format != SampleFormat::Unsigned {
            let message = format!("samples are {}, expected uint8", header.sample_type());
            findings.push(of_form(Code::WrongSampleType).finding(name, message));
        }
        if header.photometric == Photometric::MinIsWhite {
            let message = "white is zero (photometric MinIsWhite), and some readers invert it: write MinIsBlack";
            findings.push(of_form(Code::InvertedGrey).finding(name, message));
        }
        Some(Self { unreadable, name, bytes, header })
    }

    fn samples(self, limits: &Limits, findings: &mut Vec<Finding>) -> Option<Vec<u8>> {
        raster::decode(&self.bytes, limits)
            .map_err(|error| findings.push(self.unreadable.finding(self.name, shown(&error.to_string()))))
            .ok()
            .map(raster::Raster::into_samples)
    }
}

fn told(error: &CountError, protocol: &Protocol, mask: &str, prediction: &str) -> Vec<Finding> {
    let CountError::Strays { labels, predictions } = error else {
        return vec![Code::WrongSize.finding(prediction, error.to_string())];
    };
    let mut findings = Vec::new();
    if !labels.is_empty() {
        let (first, last) = protocol.definition().nomenclature.label_range();
        let message = format!("{}; labels are {first}..={last}", pixels(labels));
        findings.push(Code::LabelOutOfRange.finding(mask, message));
    }
    if !predictions.is_empty() {
        let count = protocol.class_count();
        let from_one = predictions.keys().map(|value| usize::from(*value)).eq([count]);
        let hint =
            if from_one { format!(" ({count} and nothing above: counted from 1? subtract 1)") } else { String::new() };
        let message = format!("{}; classes are 0..={}{hint}", pixels(predictions), count - 1);
        findings.push(Code::ValueOutOfRange.finding(prediction, message));
    }
    findings
}

/// `3 pixels out of range: 13 (1), 255 (2)`.
fn pixels(strays: &Strays) -> String {
    let total: u64 = strays.values().sum();
    let values: Vec<_> = strays.iter().map(|(value, count)| format!("{value} ({count})")).collect();
    format!("{total} {} out of range: {}", if total == 1 { "pixel" } else { "pixels" }, values.join(", "))
}

#[cfg(test)]
mod tests;
