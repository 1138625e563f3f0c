//! Errors, and their conversion to the package's exceptions.

use std::{error::Error, io, iter::successors, path::Path};

use flair_scoring::{
    protocol::ProtocolError,
    score::{confusion_matrix::CountError, evaluate::EvaluateError, pairing::MasksError},
    source::{ReadError, SourceError},
    submission::{IdsError, PackError, name::InvalidName},
};
use pyo3::{import_exception, prelude::*};
use serde::Serialize;

import_exception!(flair_scoring, FileAccessError);
import_exception!(flair_scoring, InputError);
import_exception!(flair_scoring, NotScorableError);
import_exception!(flair_scoring, RefusedError);
import_exception!(flair_scoring, StrayValuesError);

/// Errors of the package's functions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Count(#[from] CountError),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Ids(#[from] IdsError),
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Masks(#[from] MasksError),
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Masks(MasksError { path, error })
            | Failure::Source(SourceError::Io { path, error })
            | Failure::Ids(IdsError::Io { path, error })
            | Failure::Protocol(ProtocolError::Io { path, error })
            | Failure::Pack(PackError::Write { path, error }) => file(&path, &error),
            Failure::Pack(PackError::Read(ReadError::Io { name, error })) => file(Path::new(&name), &error),
            Failure::Count(CountError::Strays { labels, predictions }) => {
                StrayValuesError::new_err((message, labels, predictions))
            }
            Failure::Evaluate(EvaluateError::NotScorable(findings)) => {
                Python::attach(|py| match record(py, "findings", &findings) {
                    Ok(findings) => NotScorableError::new_err((message, findings)),
                    Err(error) => error,
                })
            }
            Failure::Pack(PackError::Refused(report) | PackError::Doubtful(report)) => {
                Python::attach(|py| match record(py, "check_report", &*report) {
                    Ok(report) => RefusedError::new_err((message, report)),
                    Err(error) => error,
                })
            }
            _ => InputError::new_err(message),
        }
    }
}

/// A file system error as Python's `OSError`: a number, a text and a path.
fn file(path: &Path, error: &io::Error) -> PyErr {
    // An error of walking a folder wraps the system's error.
    let causes = successors(Some(error as &dyn Error), |error| (*error).source());
    let mut numbers = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    match numbers.next() {
        Some(number) => {
            let text = io::Error::from_raw_os_error(number).to_string();
            let text = text.trim_end_matches(&format!(" (os error {number})")).to_owned();
            FileAccessError::new_err((number, text, path.to_owned().into_os_string()))
        }
        None => FileAccessError::new_err(format!("`{}`: {error}", path.display())),
    }
}

/// A record as an object of the package's Python part, by its function `maker`.
fn record(py: Python<'_>, maker: &str, record: &impl Serialize) -> PyResult<Py<PyAny>> {
    Ok(py.import("flair_scoring._records")?.getattr(maker)?.call1((json(record),))?.unbind())
}

/// A record as JSON.
pub(crate) fn json(record: &impl Serialize) -> String {
    #[expect(clippy::expect_used, reason = "a record without text must never be returned")]
    serde_json::to_string_pretty(record).expect("all keys in flair-scoring's records are strings")
}
