//! The weights of a prediction.

use std::path::{Path, PathBuf};

use flair_baselines::{
    models::Network,
    weights::{self, Checkpoint},
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
        weights::place(file, read.tensors, network).or_input()?;
        Ok(Self { file: file.to_owned(), sha256: read.sha256, origin: Origin::Given })
    }
}
