//! A score as files: the record `score.json`, tables as CSV, the confusion matrix as a picture.

pub mod figure;
pub mod png;
pub mod record;

pub use record::{COSTLIEST, ClassReport, ReportError, SCHEMA, ScoreReport};
