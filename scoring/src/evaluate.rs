//! Scoring a set of predictions: all pairs at once on all cores, all problems told at once.

use rayon::prelude::*;

use crate::{
    ConfusionMatrix, Event, Finding, OutOfRange, Progress, Severity,
    confusion::{CountError, Strays},
    pairing::{Masks, Pair, Pairing},
    raster::{self, Header, Limits, Photometric, RasterError, SampleFormat},
    submission::{Code, ReadError, Source, shown},
};

/// How to score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What to do with predictions above 12.
    pub out_of_range: OutOfRange,
    /// How much each file may ask for.
    pub limits: Limits,
}

/// What all pairs come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// One matrix of all pixels.
    pub matrix: ConfusionMatrix,
    /// Number of patches.
    pub patches: u64,
    /// What was done with predictions above 12.
    pub out_of_range: OutOfRange,
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
    let sum = pairs
        .par_iter()
        .map(|pair| {
            let counted = compare(pair, source, options);
            progress.event(Event::Step { patch: Some(pair.id) });
            counted
        })
        .fold(Sum::default, Sum::add)
        .reduce(Sum::default, Sum::merge);
    progress.event(Event::Finished);
    findings.extend(sum.findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(EvaluateError::NotScorable(findings));
    }
    Ok(Evaluation { matrix: sum.matrix, patches: pairs.len() as u64, out_of_range: options.out_of_range })
}

#[derive(Default)]
struct Sum {
    matrix: ConfusionMatrix,
    findings: Vec<Finding>,
}

impl Sum {
    fn add(mut self, counted: Result<ConfusionMatrix, Vec<Finding>>) -> Self {
        match counted {
            Ok(matrix) => self.matrix.merge(&matrix),
            Err(findings) => self.findings.extend(findings),
        }
        self
    }

    /// rayon merges neighbours, left before right, so the findings stay in the order of the patches.
    fn merge(mut self, other: Self) -> Self {
        self.matrix.merge(&other.matrix);
        self.findings.extend(other.findings);
        self
    }
}

/// The confusion matrix of one pair, or all that is wrong with it.
fn compare(pair: &Pair<'_>, source: &Source, options: &Options) -> Result<ConfusionMatrix, Vec<Finding>> {
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
    let mut matrix = ConfusionMatrix::default();
    if let (Some(mask), Some(prediction)) = (mask, prediction)
        && let Err(error) = matrix.add(&mask, &prediction, options.out_of_range)
    {
        findings.extend(told(&error, &mask_name, &name));
    }
    if findings.is_empty() { Ok(matrix) } else { Err(findings) }
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
        if header.bands != 1 {
            findings.push(Code::WrongBands.finding(name, format!("{} bands, expected 1", header.bands)));
        }
        if header.bits != 8 || header.sample_format != SampleFormat::Unsigned {
            let message = format!("samples are {}, expected uint8", header.sample_type());
            findings.push(Code::WrongSampleType.finding(name, message));
        }
        if header.photometric == Photometric::MinIsWhite {
            let message = "white is zero (photometric MinIsWhite), and some readers invert it: write MinIsBlack";
            findings.push(Code::InvertedGrey.finding(name, message));
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

fn told(error: &CountError, mask: &str, prediction: &str) -> Vec<Finding> {
    let CountError::Strays { labels, predictions } = error else {
        return vec![Code::WrongSize.finding(prediction, error.to_string())];
    };
    let mut findings = Vec::new();
    if !labels.is_empty() {
        let message = format!("{}; labels are 1..=19", pixels(labels));
        findings.push(Code::LabelOutOfRange.finding(mask, message));
    }
    if !predictions.is_empty() {
        let from_one = predictions.keys().eq([&13]);
        let hint = if from_one { " (13 and nothing above: counted from 1? subtract 1)" } else { "" };
        let message = format!("{}; classes are 0..=12{hint}", pixels(predictions));
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
