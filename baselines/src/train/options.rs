//! How to train, and what came of it.

use std::path::{Path, PathBuf};

use flair_scoring::{PatchId, files::sha256};

use super::{Best, Checkpoints, EpochMetrics, OptimizerConfig, Schedule, batch::Examples};
use crate::config::{Config, Settings};

/// How to train.
#[derive(Clone, Debug)]
pub struct TrainOptions<'a> {
    /// The model's settings: its inputs, its losses, its fidelity to upstream.
    pub config: &'a Config,
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

impl<'a> TrainOptions<'a> {
    /// Upstream's training of a configuration, in the run folder `out` (docs/domain.md 2.5).
    pub fn new(config: &'a Config, out: &'a Path) -> Self {
        Self {
            config,
            epochs: config.num_epochs,
            batch_size: config.batch_size,
            learning_rate: config.lr,
            optimizer: config.flair_bench.optimizer,
            schedule: config.flair_bench.schedule,
            accumulate: config.flair_bench.accumulate,
            clip: config.flair_bench.clip,
            patience: config.flair_bench.patience,
            seed: config.flair_bench.seed,
            workers: config.num_workers,
            out,
            beginning: Beginning::Fresh,
        }
    }

    /// All that a run's numbers depend on, by names that a message can show. More epochs may be added to a run whose
    /// schedule does not look ahead to its end, and its patience may change: both only tell when it ends.
    pub(super) fn identity(&self, examples: &dyn Examples, train: &[PatchId], val: &[PatchId]) -> Settings {
        let mut identity = self.config.settings();
        identity.retain(|key, _| !OPTIONS.contains(&key.as_str()));
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

/// Keys of the configuration whose place one of the options takes, or that only tell which patches there are.
const OPTIONS: [&str; 10] = [
    "num_epochs",
    "batch_size",
    "lr",
    "flair_bench.validation",
    "flair_bench.seed",
    "flair_bench.optimizer",
    "flair_bench.schedule",
    "flair_bench.accumulate",
    "flair_bench.clip",
    "flair_bench.patience",
];

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
