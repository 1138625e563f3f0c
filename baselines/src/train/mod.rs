//! Training: losses, optimisers, schedules, and the loop that brings them together.
//!
//! A run is deterministic: its configuration, seed and data determine the result. Every random number comes from a
//! generator derived from the seed, and the checkpoint holds the whole state. A run that was interrupted and resumed
//! therefore ends with the same bytes as an uninterrupted one.

mod batch;
mod checkpoint;
mod error;
mod exchange;
pub mod gradients;
pub mod logs;
pub mod loss;
pub mod optimizer;
mod options;
mod reduction;
mod reports;
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
