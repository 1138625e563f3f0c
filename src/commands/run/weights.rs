//! The weights of a prediction.

use std::path::{Path, PathBuf};

use flair_baselines::{
    models::Network,
    weights::{self, Checkpoint, WeightsError},
};

use crate::exit::{OrExit, Outcome};

/// The origin of a network's weights.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) file: PathBuf,
    pub(super) sha256: String,
    /// Whether this run trained them.
    pub(super) origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Given,
    TrainedHere,
}

impl Weights {
    /// Loads the weights that this run trained into the network.
    pub(super) fn trained_here(file: &Path, network: &Network) -> Outcome<Self> {
        let found = Self::place(file, weights::read(file).or_input()?, network)?;
        Ok(Self { origin: Origin::TrainedHere, ..found })
    }

    /// Puts the weights that were read from `file` into the network.
    pub(super) fn place(file: &Path, read: Checkpoint, network: &Network) -> Outcome<Self> {
        weights::place(file, read.tensors, network).or_else(with_exit_code)?;
        Ok(Self { file: file.to_owned(), sha256: read.sha256, origin: Origin::Given })
    }
}

/// Chooses the exit code of an error when weights are put into a network.
pub(super) fn with_exit_code<T>(error: WeightsError) -> Outcome<T> {
    match error {
        WeightsError::Device { .. } => Err(error).or_environment(),
        other => Err(other).or_input(),
    }
}
