//! Scoring: pairs masks with predictions, counts pixels into a confusion matrix, and computes metrics from it.

pub mod boundary;
pub mod confusion_matrix;
pub mod evaluate;
mod faults;
pub mod metrics;
mod numbering;
pub mod pairing;

pub use confusion_matrix::{ConfusionMatrix, OutOfRange};
pub use evaluate::{Evaluation, Keep, Options, PatchConfusion, evaluate};
pub use metrics::Metrics;
pub use pairing::Masks;
