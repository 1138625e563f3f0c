//! What a training leaves on disk to be used and to be gone on from.
//!
//! `best.safetensors` and `last.safetensors` hold weights and nothing else. All that a resumed run needs is in one file
//! of its own, `last.state.safetensors`, the weights among it: it is replaced as a whole or not at all, so that no stop
//! in between leaves parts of two moments. The two others follow from it, or are written again by the epoch that it
//! goes on with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Optimizer, SchedulerState, TrainError, stopping::Best, validate::EpochMetrics};
use crate::{
    models::Network,
    random::GeneratorState,
    weights::{self, Provenance, Settings, WeightsError},
};

/// Where a training stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunState {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// What the run's numbers depend on: another run cannot go on from this state.
    pub(super) identity: BTreeMap<String, String>,
    /// The epoch that goes on or comes next, from 1.
    pub(super) epoch: usize,
    /// Its steps that are done.
    pub(super) steps: usize,
    /// All steps that are done.
    pub(super) total: usize,
    /// The sum of the losses of its batches, and their number.
    pub(super) losses: (f64, usize),
    /// What dropout draws from.
    pub(super) dropout: GeneratorState,
    /// What the learning rate's schedule remembers.
    pub(super) schedule: SchedulerState,
    /// The best epoch.
    pub(super) best: Option<Best>,
    /// All epochs that have ended.
    pub(super) history: Vec<EpochMetrics>,
}

impl RunState {
    /// Whether the weights that it is saved with are the best: those of an epoch that has just ended may be.
    fn is_of_the_best(&self) -> bool {
        self.steps == 0 && self.best.is_some_and(|best| best.epoch == self.history.len())
    }
}

/// Of [`RunState`], and of what its identity is made of.
pub(super) const FORMAT: u32 = 2;

/// The folder of a run's checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// The key under which the state stands in its file's metadata. There is one only, since several have no fixed order.
const KEY: &str = "flair-bench training";
const WEIGHTS: &str = "weights.";
/// What is left to do without a state.
const ANEW: &str = "training begins anew in another folder";
const OPTIMIZER: &str = "optimizer.";

impl Checkpoints {
    /// Those of the run folder `out`.
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

    /// What a run goes on from.
    pub fn state(&self) -> PathBuf {
        self.folder.join("last.state.safetensors")
    }

    /// Whether a training has left any of them.
    pub fn exist(&self) -> bool {
        [self.best(), self.last(), self.state()].iter().any(|path| path.exists())
    }

    /// Writes all that there is to write of a moment; `provenance` are the settings to save with the weights.
    pub(super) fn save(
        &self,
        network: &Network,
        optimizer: &Optimizer,
        provenance: &Settings,
        state: &RunState,
    ) -> Result<(), TrainError> {
        let weights =
            network.parameters.iter().map(|(name, p)| (format!("{WEIGHTS}{name}"), p.var().as_detached_tensor()));
        let device = |source| WeightsError::Device { path: self.state(), source };
        let moments =
            optimizer.state().map_err(device)?.into_iter().map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor));
        let text = serde_json::to_string(state).map_err(|error| TrainError::State {
            path: self.state(),
            why: format!("it cannot be written as JSON: {error}"),
        })?;
        let metadata = BTreeMap::from([(KEY.to_owned(), text)]);
        weights::save(&self.state(), &weights.chain(moments).collect(), &metadata)?;
        self.save_weights(network, provenance, state)
    }

    /// Writes the weights, once more after a stop between the files: they follow from the state.
    pub(super) fn save_weights(
        &self,
        network: &Network,
        provenance: &Settings,
        state: &RunState,
    ) -> Result<(), TrainError> {
        if state.is_of_the_best() {
            save_weights(&self.best(), network, provenance, state)?;
        }
        save_weights(&self.last(), network, provenance, state)
    }

    /// Reads the state of a stopped run, and puts its weights into the network and its moments into the optimiser;
    /// `None` where there is none.
    pub(super) fn restore(
        &self,
        network: &Network,
        optimizer: &mut Optimizer,
        identity: &BTreeMap<String, String>,
    ) -> Result<Option<RunState>, TrainError> {
        /// What every version's state can be read as.
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
            return Err(damaged(format!("it is missing; the weights beside it still predict, and {ANEW}")));
        }
        let checkpoint = match weights::read(&path) {
            Err(WeightsError::Damaged { why, .. }) => {
                return Err(damaged(format!("{why}; the weights beside it still predict, and {ANEW}")));
            }
            other => other?,
        };
        let text = checkpoint.metadata.get(KEY).ok_or_else(|| damaged("it holds no state of a training".to_owned()))?;
        let Format { format } = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if format != FORMAT {
            return Err(damaged(format!("it is of another version of flair-bench: go on with that, or {ANEW}")));
        }
        let state: RunState = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let differences = differences(&state.identity, identity);
        if !differences.is_empty() {
            return Err(TrainError::OtherRun { path, differences });
        }
        let (weights, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            checkpoint.tensors.into_iter().partition(|(name, _)| name.starts_with(WEIGHTS));
        let device = |source| WeightsError::Device { path: path.clone(), source };
        if let Err(mismatch) = network.assign(&without_prefix(weights, WEIGHTS)).map_err(device)? {
            return Err(WeightsError::Mismatch { path, mismatch, hint: None }.into());
        }
        optimizer.load_state(&without_prefix(rest, OPTIMIZER)).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(state))
    }
}

fn save_weights(path: &Path, network: &Network, settings: &Settings, state: &RunState) -> Result<(), TrainError> {
    let tensors = network.parameters.iter().map(|(name, p)| (name.to_owned(), p.var().as_detached_tensor()));
    let provenance = Provenance {
        trained: format!("{} epochs and {} steps in all", state.history.len(), state.total),
        settings: settings.clone(),
    };
    Ok(weights::save(path, &tensors.collect(), &provenance.to_metadata())?)
}

fn without_prefix(tensors: BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    let strip = |name: String| name.strip_prefix(prefix).map(str::to_owned).unwrap_or(name);
    tensors.into_iter().map(|(name, tensor)| (strip(name), tensor)).collect()
}

/// A line for each setting in which two runs differ.
fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut keys: Vec<&String> = before.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let shown = |values: &BTreeMap<String, String>, key| values.get(key).cloned().unwrap_or("nothing".to_owned());
    let differing = keys.into_iter().filter(|key| before.get(*key) != now.get(*key));
    differing.map(|key| format!("`{key}` was {} and is {}", shown(before, key), shown(now, key))).collect()
}
