//! Options and result of a training run.

use std::path::{Path, PathBuf};

use flair_scoring::PatchId;

use super::{
    Best, Checkpoints, EpochMetrics, LossWeights, OptimizerConfig, Schedule, batch::Examples, checkpoint::RANKS,
};
use crate::{
    data::{DataError, Fidelity},
    ranks::Ranks,
    weights::Settings,
};

/// Options of a training run.
#[derive(Clone, Debug)]
pub struct TrainOptions<'a> {
    /// Weights of classes and losses.
    pub losses: LossWeights,
    /// Whether training patches are augmented by flips and rotations.
    pub is_augmented: bool,
    /// Whether to reproduce upstream's quirks.
    pub fidelity: Fidelity,
    /// Value of the acquisitions that pad a batch.
    pub pad_value: f64,
    /// Maximum number of epochs.
    pub epochs: usize,
    /// Patches per batch.
    pub batch_size: usize,
    /// The learning rate: the maximum of the schedule.
    pub learning_rate: f64,
    /// The optimiser. Upstream's is plain SGD.
    pub optimizer: OptimizerConfig,
    /// The learning-rate schedule. Upstream's is constant.
    pub schedule: Schedule,
    /// Batches whose gradients are averaged into one step; at least 1.
    pub accumulate: usize,
    /// Maximum global norm of a step's gradients.
    pub clip: Option<f64>,
    /// Early stopping: epochs without a better validation loss after which training ends. Upstream's is 30.
    pub patience: Option<usize>,
    /// Seed of the patch order, augmentation and dropout.
    pub seed: u64,
    /// Threads that read and augment patches.
    pub workers: usize,
    /// All other settings that the results depend on: a run can be resumed with the same ones only.
    pub settings: Settings,
    /// The settings that are saved with the weights.
    pub provenance: Settings,
    /// The run folder.
    pub out: &'a Path,
    /// Whether to resume the run in the folder.
    pub beginning: Beginning,
    /// The processes of the run. Each has its own batches of [`TrainOptions::batch_size`] patches.
    pub ranks: Ranks,
}

/// Whether a run is new or resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beginning {
    /// Start a new run; a folder that already holds one is an error.
    #[default]
    Fresh,
    /// Resume the interrupted run in the folder; start a new one if there is none.
    Resume,
}

impl Beginning {
    /// Whether a training continues from these checkpoints.
    pub fn resumes(self, checkpoints: &Checkpoints) -> bool {
        self == Self::Resume && checkpoints.exist()
    }
}

impl TrainOptions<'_> {
    /// All settings and data that the results depend on, by names for messages. The patience is not among them, nor,
    /// for schedules that do not depend on the length of the run, the number of epochs: they only determine the end.
    ///
    /// # Errors
    /// If a patch's files cannot be read.
    pub(super) fn identity(
        &self,
        examples: &dyn Examples,
        train: &[PatchId],
        val: &[PatchId],
    ) -> Result<Settings, DataError> {
        let mut identity = self.settings.clone();
        let mut add = |key: &str, value: String| identity.insert(key.to_owned(), value);
        add("batch size", self.batch_size.to_string());
        add("learning rate", self.learning_rate.to_string());
        add("optimizer", format!("{:?}", self.optimizer));
        add("schedule", format!("{:?}", self.schedule));
        if matches!(self.schedule, Schedule::Cosine { .. } | Schedule::OneCycle { .. }) {
            add("epochs", self.epochs.to_string());
        }
        add("accumulated batches", self.accumulate.to_string());
        add("clipping", format!("{:?}", self.clip));
        add("seed", self.seed.to_string());
        if !self.ranks.is_alone() {
            add(RANKS, self.ranks.size().to_string());
        }
        for (key, patches) in [("training patches", train), ("validation patches", val)] {
            let data = examples.identity(patches)?;
            add(key, format!("{} with the digest {data:.12}", patches.len()));
        }
        Ok(identity)
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All epochs are finished.
    Finished,
    /// Early stopping: the validation loss stopped falling.
    Early,
    /// It was interrupted; it can be resumed.
    Interrupted,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Why it ended.
    pub stopped: Stopped,
    /// Finished epochs, including those before a resumption.
    pub epochs: usize,
    /// Steps of the optimiser.
    pub steps: usize,
    /// The best epoch; `None` if no epoch is finished.
    pub best: Option<Best>,
    /// Metrics of each epoch.
    pub history: Vec<EpochMetrics>,
    /// Location of the weights.
    pub checkpoints: Checkpoints,
    /// The run folder.
    pub out: PathBuf,
}
