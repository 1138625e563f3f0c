//! How to train, and what came of it.

use std::path::{Path, PathBuf};

use flair_scoring::{PatchId, files::sha256};

use super::{Best, Checkpoints, EpochMetrics, LossWeights, OptimizerConfig, Schedule, batch::Examples};
use crate::{data::Fidelity, weights::Settings};

/// How to train.
#[derive(Clone, Debug)]
pub struct TrainOptions<'a> {
    /// Weights of the classes and of the losses.
    pub losses: LossWeights,
    /// Whether patches are flipped and turned.
    pub is_augmented: bool,
    /// Whether upstream's quirks are kept.
    pub fidelity: Fidelity,
    /// Value of the acquisitions that fill a batch up.
    pub pad_value: f64,
    /// Most epochs.
    pub epochs: usize,
    /// Patches of a batch.
    pub batch_size: usize,
    /// The learning rate, as the schedule takes it.
    pub learning_rate: f64,
    /// The optimiser. Upstream's is plain SGD.
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes. Upstream's is constant.
    pub schedule: Schedule,
    /// Batches whose gradients are averaged for one step; at least 1.
    pub accumulate: usize,
    /// Largest global norm of a step's gradients.
    pub clip: Option<f64>,
    /// Epochs without a better validation loss after which training ends; upstream's is 30.
    pub patience: Option<usize>,
    /// Seed of order, augmentation and dropout.
    pub seed: u64,
    /// Threads that read and augment.
    pub workers: usize,
    /// All other settings that the run's numbers depend on: a run is resumed with the same ones only.
    pub settings: Settings,
    /// The settings that are saved with the weights.
    pub provenance: Settings,
    /// The run folder.
    pub out: &'a Path,
    /// Whether a run in the folder is gone on with.
    pub beginning: Beginning,
}

/// How a run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beginning {
    /// Anew: a folder that holds a run is an error.
    #[default]
    Fresh,
    /// Where the run in the folder was stopped; anew where there is none.
    Resume,
}

impl TrainOptions<'_> {
    /// All that a run's numbers depend on, by names that a message can show. More epochs may be added to a run whose
    /// schedule does not look ahead to its end, and its patience may change: both only tell when it ends.
    pub(super) fn identity(&self, examples: &dyn Examples, train: &[PatchId], val: &[PatchId]) -> Settings {
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
        add("training patches", digest(examples, train));
        add("validation patches", digest(examples, val));
        identity
    }
}

fn digest(examples: &dyn Examples, patches: &[PatchId]) -> String {
    let line = |id: &PatchId| format!("{id} {:?}\n", examples.sizes(*id));
    let names = patches.iter().map(line).collect::<String>();
    // Reading from memory cannot fail.
    format!("{} with the digest {:.12}", patches.len(), sha256(names.as_bytes()).unwrap_or_default())
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// After all its epochs.
    Finished,
    /// Since the validation loss had stopped to fall.
    Early,
    /// Since it was told to; it can be resumed.
    Interrupted,
}

/// What a training did.
#[derive(Clone, Debug)]
pub struct Trained {
    /// How it ended.
    pub stopped: Stopped,
    /// Epochs that have ended, those before a resumption among them.
    pub epochs: usize,
    /// Steps of the optimiser.
    pub steps: usize,
    /// The best epoch; `None` if none has ended.
    pub best: Option<Best>,
    /// What is known of each epoch.
    pub history: Vec<EpochMetrics>,
    /// Where the weights are.
    pub checkpoints: Checkpoints,
    /// The run folder.
    pub out: PathBuf,
}
