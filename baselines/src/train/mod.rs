//! Training: losses, optimisers, schedules, and the loop that brings them together.
//!
//! A run follows from its configuration, its seed and its data: every draw comes from a generator that is derived from
//! the seed, and all that changes on the way is in the checkpoint, so that a run which was stopped and resumed ends
//! with the same bytes as one that was not.

mod batch;
mod checkpoint;
mod error;
pub mod gradients;
pub mod logs;
pub mod loss;
pub mod optimizer;
mod options;
pub mod schedule;
pub mod shuffle;
mod stopping;
#[cfg(test)]
mod tests;
mod trainer;
mod validate;

pub use batch::Batch;
pub use checkpoint::Checkpoints;
pub use error::TrainError;
pub use gradients::Gradients;
pub use loss::{LossWeights, Losses, cross_entropy, two_branch};
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerError};
pub use options::{Beginning, Stopped, TrainOptions, Trained};
pub use schedule::{Position, Schedule, Scheduler, SchedulerState, SettingError};
pub use stopping::Best;
pub use trainer::Trainer;
pub use validate::{EpochMetrics, Validation};
