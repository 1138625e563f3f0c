//! Training: losses, optimisers, schedules.

pub mod gradients;
pub mod loss;
pub mod optimizer;
pub mod schedule;

pub use gradients::Gradients;
pub use loss::{LossWeights, Losses, cross_entropy, two_branch};
pub use optimizer::{Optimizer, OptimizerConfig, OptimizerError};
pub use schedule::{Position, Schedule, Scheduler, SchedulerState, SettingError};
