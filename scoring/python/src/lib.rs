//! `flair_scoring._native`: the functions of `flair-scoring` for the Python package.
//!
//! Arguments are `numpy` arrays; results are records in the JSON of the command line, which the package's Python part
//! converts to typed objects. The GIL is released during long work.

mod failure;
mod watch;

use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
    path::PathBuf,
    time::Duration,
};

use flair_scoring::{
    ConfusionMatrix, OutOfRange, PatchId, Protocol, ScoreReport, evaluate,
    score::{evaluate::Evaluation, pairing::Masks},
    source::Source,
    submission::{self, ArchiveName, CheckOptions, Doubtful, MinutesSeconds, Times},
};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::{prelude::*, types::PyTuple};
use rayon::prelude::*;

use failure::Failure;
use watch::Settings;

/// The classes and rules of a score: "flair2", "flair-hub", or a file that ends in .yml.
#[pyclass(name = "Protocol", module = "flair_scoring", frozen, eq)]
#[derive(PartialEq)]
struct Rules(Protocol);

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(signature = (name_or_file, *, nomenclature = None))]
    fn new(name_or_file: PathBuf, nomenclature: Option<PathBuf>) -> Result<Self, Failure> {
        let text = |path: &PathBuf| {
            let not_text = || Failure::Input(format!("`{}` is neither a name nor a path in UTF-8", path.display()));
            path.to_str().map(str::to_owned).ok_or_else(not_text)
        };
        let protocol = Protocol::find(&text(&name_or_file)?)?;
        Ok(Self(match nomenclature {
            Some(classes) => protocol.with_nomenclature(&text(&classes)?)?,
            None => protocol,
        }))
    }

    /// Its identifier, unique to its classes and rules; reports contain it.
    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    /// The names of its classes, in the order of their values in a prediction.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.classes().iter().map(|class| &class.name))
    }

    /// For pickle: stores the full definition, since the protocol's file may move or change.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("_of_definition")?, (failure::json(slf.get().0.definition()),)))
    }

    #[staticmethod]
    fn _of_definition(json: &str) -> Result<Self, Failure> {
        let definition = serde_json::from_str(json).map_err(|error| Failure::Input(error.to_string()))?;
        Protocol::from_definition(definition).map(Self).map_err(Failure::Input)
    }

    fn __repr__(&self) -> String {
        format!("<Protocol {}>", self.0.id())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.0.id().hash(&mut hasher);
        hasher.finish()
    }
}

/// Pixels per task; from two tasks on, several threads count.
const SLAB: usize = 1 << 20;

#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::{Rules, check, confusion_matrix, metrics, package, read_ids, score};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// Counts of `[truth, prediction]`, row after row, of two arrays of the same length.
#[pyfunction]
fn confusion_matrix<'py>(
    py: Python<'py>,
    truth: PyReadonlyArray1<'py, u8>,
    prediction: PyReadonlyArray1<'py, u8>,
    protocol: &Bound<'_, Rules>,
    out_of_range: &str,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let (protocol, out_of_range) = (protocol.get().0.clone(), rule(out_of_range)?);
    let (truth, prediction) = (truth.as_slice()?, prediction.as_slice()?);
    let empty = || ConfusionMatrix::empty(protocol.class_count());
    let count = |truth: &[u8], prediction: &[u8]| {
        let mut matrix = empty();
        matrix.add(protocol.labels(), truth, prediction, out_of_range).map(|()| matrix)
    };
    let matrix = if truth.len() < 2 * SLAB || truth.len() != prediction.len() {
        py.detach(|| count(truth, prediction))
    } else {
        watch::work(py, (threads, None), |_| {
            let slabs = truth.par_chunks(SLAB).zip(prediction.par_chunks(SLAB));
            let sum = slabs.map(|(truth, prediction)| count(truth, prediction)).try_reduce(empty, |mut sum, other| {
                sum.merge(&other);
                Ok(sum)
            });
            // On an error, count again in one piece: the error then covers all pixels, not one slab.
            sum.or_else(|_| count(truth, prediction))
        })?
    };
    Ok(matrix.map_err(Failure::from)?.counts().to_vec().into_pyarray(py))
}

/// The record of a matrix of `[truth, prediction]`, row after row.
#[pyfunction]
fn metrics(counts: PyReadonlyArray1<'_, u64>, protocol: &Bound<'_, Rules>) -> PyResult<String> {
    let protocol = protocol.get().0.clone();
    let matrix = ConfusionMatrix::new(protocol.class_count(), counts.as_slice()?.to_vec(), 0, 0);
    let matrix = matrix.ok_or_else(|| Failure::Input("the matrix is not of the protocol's classes".to_owned()))?;
    Ok(ScoreReport::new(&Evaluation::of_matrix(protocol, matrix, 0)).to_json())
}

/// The record of a score.
#[pyfunction]
fn score(
    py: Python<'_>,
    truth: PathBuf,
    predictions: PathBuf,
    protocol: &Bound<'_, Rules>,
    out_of_range: &str,
    settings: Settings,
) -> PyResult<String> {
    let (protocol, out_of_range) = (protocol.get().0.clone(), rule(out_of_range)?);
    let options = evaluate::Options { protocol, out_of_range, ..Default::default() };
    let record = watch::work(py, settings, |progress| -> Result<_, Failure> {
        let (masks, source) = (Masks::find(&truth)?, Source::open(&predictions)?);
        Ok(ScoreReport::new(&evaluate::evaluate(&masks, &source, &options, progress)?).to_json())
    })?;
    Ok(record?)
}

/// The record of a check.
#[pyfunction]
fn check(
    py: Python<'_>,
    path: PathBuf,
    expected: Option<Vec<u32>>,
    protocol: &Bound<'_, Rules>,
    settings: Settings,
) -> PyResult<String> {
    let (expected, options) = (patches(expected)?, check_options(protocol));
    let record = watch::work(py, settings, |progress| -> Result<_, Failure> {
        let report = submission::check_path(&path, expected.as_ref(), &options, progress)?;
        Ok(failure::json(&report))
    })?;
    Ok(record?)
}

/// Packs predictions. Returns the archive's path, number of predictions, size in bytes, and the record of the check.
/// `times` are the seconds of the baseline and of the submission.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "only the Python part calls the function")]
fn package(
    py: Python<'_>,
    predictions: PathBuf,
    folder: PathBuf,
    name: &str,
    expected: Option<Vec<u32>>,
    times: Option<(f64, f64)>,
    protocol: &Bound<'_, Rules>,
    as_is: bool,
    settings: Settings,
) -> PyResult<(PathBuf, usize, u64, String)> {
    let times = times.map(|(baseline, submission)| -> Result<_, Failure> {
        Ok(Times { baseline: time(baseline)?, submission: time(submission)? })
    });
    let name = ArchiveName::new(name, times.transpose()?).map_err(Failure::from)?;
    let (expected, options) = (patches(expected)?, check_options(protocol));
    let packed = watch::work(py, settings, |progress| -> Result<_, Failure> {
        let source = Source::open(&predictions)?;
        let doubtful = if as_is { Doubtful::Accept } else { Doubtful::Refuse };
        Ok(submission::pack(&source, expected.as_ref(), &options, doubtful, &folder, &name, progress)?)
    })??;
    Ok((packed.path, packed.entries, packed.bytes, failure::json(&packed.report)))
}

/// The patches that a file lists.
#[pyfunction]
fn read_ids(path: PathBuf) -> Result<Vec<u32>, Failure> {
    Ok(submission::read_ids(&path)?.into_iter().map(PatchId::number).collect())
}

fn check_options(protocol: &Bound<'_, Rules>) -> CheckOptions {
    let mut options = CheckOptions::default();
    options.protocol = protocol.get().0.clone();
    options
}

fn rule(out_of_range: &str) -> Result<OutOfRange, Failure> {
    match out_of_range {
        "reject" => Ok(OutOfRange::Reject),
        "drop" => Ok(OutOfRange::Drop),
        other => {
            Err(Failure::Input(format!("out_of_range is `{}`: expected `reject` or `drop`", other.escape_debug())))
        }
    }
}

fn patches(numbers: Option<Vec<u32>>) -> Result<Option<BTreeSet<PatchId>>, Failure> {
    let patch =
        |number| PatchId::new(number).ok_or_else(|| Failure::Input(format!("{number} has more than six digits")));
    numbers.map(|numbers| numbers.into_iter().map(patch).collect()).transpose()
}

fn time(seconds: f64) -> Result<MinutesSeconds, Failure> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => Ok(time.into()),
        _ => Err(Failure::Input(format!("{seconds} seconds are not a time: expected more than 0"))),
    }
}
