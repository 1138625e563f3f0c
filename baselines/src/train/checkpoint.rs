//! Checkpoint files, and how training resumes from them.
//!
//! `best.safetensors` and `last.safetensors` hold weights only. `last.state.safetensors` holds all that a resumed run
//! needs, the weights included. It is replaced atomically, so that an interruption never leaves a mix of two states.
//! The two others are derived from it, or written again by the epoch that is resumed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use flair_scoring::files::sha256_of;
use serde::{Deserialize, Serialize};

use super::{Optimizer, OptimizerError, SchedulerState, TrainError, stopping::Best, validate::EpochMetrics};
use crate::{
    models::Network,
    random::GeneratorState,
    weights::{self, Provenance, Settings, WeightsError},
};

/// The state of a run, except for tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunState {
    /// All settings and data that the results depend on: only a run with the same ones can resume from this state.
    pub(super) identity: BTreeMap<String, String>,
    /// The current or next epoch, from 1.
    pub(super) epoch: usize,
    /// Finished steps of that epoch.
    pub(super) steps: usize,
    /// Finished steps of the run.
    pub(super) total: usize,
    /// Sum of the epoch's batch losses, and the number of batches.
    pub(super) losses: (f64, usize),
    /// State of dropout's random generator, of rank 0.
    pub(super) dropout: GeneratorState,
    /// Those of the other ranks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dropout_of_others: Vec<GeneratorState>,
    /// State of the learning-rate schedule.
    pub(super) schedule: SchedulerState,
    /// The best epoch so far.
    pub(super) best: Option<Best>,
    /// Metrics of all finished epochs.
    pub(super) history: Vec<EpochMetrics>,
}

impl RunState {
    /// Whether the current weights are those of the best epoch: true only directly after that epoch.
    fn has_best_weights(&self) -> bool {
        self.steps == 0 && self.best.is_some_and(|best| best.epoch == self.history.len())
    }
}

/// The state as the file holds it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// [`FORMAT`].
    format: u32,
    /// SHA-256 of the state and of the digest of the tensors.
    checksum: String,
    /// A [`RunState`] as JSON.
    state: String,
}

impl Sealed {
    fn new(state: String, tensors: &BTreeMap<String, Tensor>) -> candle_core::Result<Self> {
        Ok(Self { format: FORMAT, checksum: checksum(&state, tensors)?, state })
    }

    fn is_intact(&self, tensors: &BTreeMap<String, Tensor>) -> candle_core::Result<bool> {
        Ok(self.checksum == checksum(&self.state, tensors)?)
    }
}

fn checksum(state: &str, tensors: &BTreeMap<String, Tensor>) -> candle_core::Result<String> {
    Ok(sha256_of(format!("{} {state}", weights::digest(tensors.iter())?).as_bytes()))
}

/// The key of the number of ranks in a run's identity. A run of one process has none.
pub(super) const RANKS: &str = "ranks";
/// Format version of [`Sealed`], [`RunState`] and its `identity`.
const FORMAT: u32 = 3;

/// The folder of a run's checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// Metadata key of the state. The file has only this one, because the order of several keys is not fixed.
const KEY: &str = "flair-bench training";
const WEIGHTS: &str = "weights.";
/// Advice for a run whose state cannot be used.
const RESTART: &str = "start a new run in another folder";
const OPTIMIZER: &str = "optimizer.";

impl Checkpoints {
    /// The checkpoints of the run folder `out`.
    pub fn of(out: &Path) -> Self {
        Self { folder: out.join("checkpoints") }
    }

    /// The weights of the epoch with the lowest validation loss.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// The latest weights.
    pub fn last(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    /// The state that a run resumes from.
    pub fn state(&self) -> PathBuf {
        self.folder.join("last.state.safetensors")
    }

    /// Whether any checkpoint file exists.
    pub fn exist(&self) -> bool {
        [self.best(), self.last(), self.state()].iter().any(|path| path.exists())
    }

    /// Writes the state and the weights; `provenance` are the settings to save with the weights.
    pub(super) fn save(
        &self,
        network: &Network,
        optimizer: &Optimizer,
        provenance: &Settings,
        state: &RunState,
    ) -> Result<(), TrainError> {
        let weights =
            network.parameters.iter().map(|(name, p)| (format!("{WEIGHTS}{name}"), p.var().as_detached_tensor()));
        let device = |source: candle_core::Error| WeightsError::Device { path: self.state(), source: source.into() };
        let moments =
            optimizer.state().map_err(device)?.into_iter().map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor));
        let unwritable =
            |error| TrainError::State { path: self.state(), why: format!("it cannot be written as JSON: {error}") };
        let tensors = weights.chain(moments).collect();
        let sealed = Sealed::new(serde_json::to_string(state).map_err(unwritable)?, &tensors).map_err(device)?;
        let metadata = BTreeMap::from([(KEY.to_owned(), serde_json::to_string(&sealed).map_err(unwritable)?)]);
        weights::save(&self.state(), &tensors, &metadata)?;
        self.save_weights(network, provenance, state)
    }

    /// Writes the weight files. A resumed run repeats this, in case it was interrupted after writing the state.
    pub(super) fn save_weights(
        &self,
        network: &Network,
        provenance: &Settings,
        state: &RunState,
    ) -> Result<(), TrainError> {
        if state.has_best_weights() {
            save_weights(&self.best(), network, provenance, state)?;
        }
        save_weights(&self.last(), network, provenance, state)
    }

    /// Reads the state of an interrupted run, and loads its weights into the network and its moments into the
    /// optimiser. At an epoch's end another number of ranks may continue. `None` if there is no checkpoint.
    pub(super) fn restore(
        &self,
        network: &Network,
        optimizer: &mut Optimizer,
        identity: &BTreeMap<String, String>,
    ) -> Result<Option<RunState>, TrainError> {
        /// The part of the state that every version can read.
        #[derive(Deserialize)]
        struct Format {
            #[serde(default)]
            format: u32,
        }
        let path = self.state();
        let damaged = |why: String| TrainError::State { path: path.clone(), why };
        if !self.exist() {
            return Ok(None);
        } else if !path.exists() {
            return Err(damaged(format!(
                "it is missing; the weights beside it can still predict, but to train, {RESTART}"
            )));
        }
        let checkpoint = match weights::read(&path) {
            Err(WeightsError::Damaged { why, .. }) => {
                return Err(damaged(format!(
                    "{why}; the weights beside it can still predict, but to train, {RESTART}"
                )));
            }
            other => other?,
        };
        let text = checkpoint.metadata.get(KEY).ok_or_else(|| damaged("it holds no training state".to_owned()))?;
        let Format { format } = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if format != FORMAT {
            return Err(damaged(format!(
                "it was written by another version of flair-bench: resume with that version, or {RESTART}"
            )));
        }
        let sealed: Sealed = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let device = |source: candle_core::Error| WeightsError::Device { path: path.clone(), source: source.into() };
        if !sealed.is_intact(&checkpoint.tensors).map_err(device)? {
            return Err(damaged(format!(
                "it has changed since it was written (its checksum differs), as by a fault of the disk; to train, {RESTART}"
            )));
        }
        weights::check_finite(&path, &checkpoint.tensors)?;
        let state: RunState = serde_json::from_str(&sealed.state).map_err(|error| damaged(error.to_string()))?;
        let differences = differences(&state.identity, identity);
        if !differences.is_empty() {
            return Err(TrainError::OtherRun { path, differences });
        }
        let before = ranks_of(&state.identity);
        if state.steps > 0 && before != ranks_of(identity) {
            return Err(TrainError::OtherRanks { path, epoch: state.epoch, before });
        }
        let (weights, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            checkpoint.tensors.into_iter().partition(|(name, _)| name.starts_with(WEIGHTS));
        if let Err(mismatch) = network.take(without_prefix(weights, WEIGHTS)).map_err(device)? {
            return Err(WeightsError::Mismatch { path, mismatch, advice: None }.into());
        }
        optimizer.load_state(&without_prefix(rest, OPTIMIZER)).map_err(|error| match error {
            OptimizerError::Device(source) => WeightsError::Device { path: path.clone(), source }.into(),
            other @ OptimizerError::State { .. } => damaged(other.to_string()),
        })?;
        Ok(Some(state))
    }
}

fn save_weights(path: &Path, network: &Network, settings: &Settings, state: &RunState) -> Result<(), TrainError> {
    let provenance = Provenance {
        trained: format!("{} epochs and {} steps in all", state.history.len(), state.total),
        settings: settings.clone(),
    };
    Ok(weights::save(path, &network.parameters.values(), &provenance.to_metadata())?)
}

fn without_prefix(tensors: BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    let strip = |name: String| name.strip_prefix(prefix).map(str::to_owned).unwrap_or(name);
    tensors.into_iter().map(|(name, tensor)| (strip(name), tensor)).collect()
}

/// The number of ranks of a run.
pub(super) fn ranks_of(identity: &BTreeMap<String, String>) -> usize {
    identity.get(RANKS).and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// One line for each setting that differs between two runs, but for the number of ranks.
fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut keys: Vec<&String> = before.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let shown = |values: &BTreeMap<String, String>, key| values.get(key).cloned().unwrap_or("nothing".to_owned());
    let differing = keys.into_iter().filter(|key| *key != RANKS && before.get(*key) != now.get(*key));
    differing.map(|key| format!("`{key}` was {} and is {}", shown(before, key), shown(now, key))).collect()
}
