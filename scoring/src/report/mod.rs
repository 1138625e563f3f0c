//! A score as files: the record `score.json`, tables as CSV, the confusion matrix as a picture.

mod csv;
pub mod figure;
pub mod png;
pub mod record;

pub use record::{COSTLIEST, ReportError, SCHEMA, ScoreReport};
