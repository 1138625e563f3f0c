//! Why a training stopped before its time.

use std::{io, path::PathBuf};

use flair_scoring::{PatchId, report::figure::FigureError, score::confusion_matrix::CountError};

use super::SettingError;
use crate::{data::DataError, weights::WeightsError};

/// Why a training stopped before its time. The checkpoint of its last epoch stays, and `--resume` goes on from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A patch's data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is nothing to train on.
    #[error("there are no patches to train on")]
    NoPatches,
    /// A setting is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The device failed.
    #[error("the network failed on the patches {}: {source}", listed(ids))]
    Device {
        /// The batch.
        ids: Vec<PatchId>,
        /// What candle said.
        source: candle_core::Error,
    },
    /// A number is not finite.
    #[error(
        "the {what} is not finite on the patches {}: look at their data, or train anew in another folder with a smaller learning rate or with clipping",
        listed(ids)
    )]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// The batch.
        ids: Vec<PatchId>,
    },
    /// Validation found a class that is none.
    #[error("the validation cannot be counted: {0}")]
    Count(CountError),
    /// The folder holds a run already.
    #[error("`{}` holds a training already: resume it (`--resume`), or choose another folder", path.display())]
    Occupied {
        /// The run folder.
        path: PathBuf,
    },
    /// The state is of a run with other settings.
    #[error(
        "`{}` is of a training with other settings, and cannot be resumed with these:{}",
        path.display(),
        indented(differences)
    )]
    OtherRun {
        /// The state's file.
        path: PathBuf,
        /// One line each.
        differences: Vec<String>,
    },
    /// The state cannot be used.
    #[error("`{}` is no state that a training could be resumed from: {why}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// A log cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The curves cannot be drawn.
    #[error(transparent)]
    Figure(#[from] FigureError),
}

impl TrainError {
    pub(super) fn device(ids: &[PatchId], source: candle_core::Error) -> Self {
        Self::Device { ids: ids.to_vec(), source }
    }
}

impl From<WeightsError> for TrainError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["\n  ", line.as_str()]).collect()
}

fn listed(ids: &[PatchId]) -> String {
    ids.iter().map(PatchId::to_string).collect::<Vec<_>>().join(", ")
}
