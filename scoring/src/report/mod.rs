//! Output files of a score: the record `score.json`, CSV tables, and the confusion matrix as an image.

mod csv;
pub mod figure;
pub mod png;
pub mod record;

pub use record::{COSTLIEST, ReportError, SCHEMA, ScoreReport};
