//! The weights of a prediction.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use flair_baselines::{models::Network, weights};

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
    /// Loads weights into the network.
    pub(super) fn load(file: &Path, network: &Network) -> Outcome<Self> {
        let sha256 = weights::load(file, network).or_input()?.sha256;
        Ok(Self { file: file.to_owned(), sha256, origin: Origin::Given })
    }

    pub(super) fn trained_here(self) -> Self {
        Self { origin: Origin::TrainedHere, ..self }
    }
}

/// Reports a missing file before any other work.
pub(super) fn check_file(weights: &Path) -> Outcome<()> {
    if weights.is_file() {
        Ok(())
    } else {
        Err(anyhow!("there is no file `{}` to take weights from", weights.display())).or_input()
    }
}
