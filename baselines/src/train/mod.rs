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
pub use validate::{EpochMetrics, Validation};

use std::sync::atomic::AtomicBool;

use flair_scoring::{PatchId, Progress};

use crate::{data::Preprocessor, models::Network};

/// Trains a network on the patches `train`, and validates it on `val` after every epoch; `val` may be empty, and epochs
/// are then compared by their training loss. `preprocessor` is that of [`TrainOptions::config`].
///
/// What is in `network` is where training begins, and afterwards what it ended with. In the folder `options.out` there
/// are then `checkpoints/` (see [`Checkpoints`]), `metrics.csv`, `training.svg`, `training.png` and `tensorboard/`.
/// Where `stop` is set from another thread, the step that is under way is finished, a checkpoint is written, and
/// [`Stopped::Interrupted`] is returned.
///
/// # Errors
/// If a setting, a patch or the folder cannot be used, the device fails, or a loss is not finite. The checkpoint of
/// the last epoch stays.
pub fn train(
    network: &Network,
    preprocessor: &Preprocessor<'_>,
    train: &[PatchId],
    val: &[PatchId],
    options: &TrainOptions<'_>,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<Trained, TrainError> {
    trainer::Trainer::new(network, preprocessor, (train, val), options)?.run(stop, progress)
}
