//! Errors that end a training run.

use std::{io, path::PathBuf};

use flair_scoring::{
    PatchId,
    report::figure::FigureError,
    score::confusion_matrix::CountError,
    text::{counted, noun},
};

use super::SettingError;
use crate::{
    data::DataError,
    ranks::RanksError,
    runtime::{TensorError, advice_on_memory},
    weights::WeightsError,
};

/// Errors that end a training run. The checkpoint of the last epoch stays, and `--resume` continues from it.
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
    #[error("the network failed on {}: {source}", listed(ids))]
    Device {
        /// The batch.
        ids: Vec<PatchId>,
        /// Candle's error.
        source: TensorError,
    },
    /// The device has too little memory.
    #[error("the device has too little memory for a batch of {}: {source}. {}", counted(ids.len(), "patch"), smaller(ids.len()))]
    OutOfMemory {
        /// The batch that failed.
        ids: Vec<PatchId>,
        /// Candle's error.
        source: TensorError,
    },
    /// A loss or gradient is not finite.
    #[error(
        "the {what} is not finite on {}: check their data, or start a new run in another folder with a smaller learning rate or with gradient clipping",
        listed(ids)
    )]
    NotFinite {
        /// The quantity: `loss` or `gradient`.
        what: &'static str,
        /// The batch.
        ids: Vec<PatchId>,
    },
    /// Validation met an invalid class id.
    #[error("cannot count the validation results: {0}")]
    Count(CountError),
    /// The folder already holds a run.
    #[error("`{}` already holds a training run: resume it (`--resume`), or choose another folder", path.display())]
    Occupied {
        /// The run folder.
        path: PathBuf,
    },
    /// The state belongs to a run with other settings.
    #[error(
        "`{}` belongs to a run with other settings, and cannot be resumed with these:{}",
        path.display(),
        indented(differences)
    )]
    OtherRun {
        /// The state's file.
        path: PathBuf,
        /// One line for each setting that differs.
        differences: Vec<String>,
    },
    /// The state cannot be used.
    #[error("cannot resume training from `{}`: {why}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        why: String,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Weights(Box<WeightsError>),
    /// The ranks cannot exchange data, or are not at the same place of the same run.
    #[error(transparent)]
    Ranks(#[from] RanksError),
    /// The run was stopped within an epoch, by another number of ranks.
    #[error(
        "the run of `{}` stopped in the middle of epoch {epoch}, with {before} ranks: resume it with as many; another number \
         can resume only at the end of an epoch",
        path.display()
    )]
    OtherRanks {
        /// The state's file.
        path: PathBuf,
        /// The epoch.
        epoch: usize,
        /// The ranks that stopped.
        before: usize,
    },
    /// A log cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The curves cannot be drawn.
    #[error(transparent)]
    Figure(#[from] FigureError),
}

impl TrainError {
    pub(super) fn device(ids: &[PatchId], source: candle_core::Error) -> Self {
        match (ids.to_vec(), TensorError::from(source)) {
            (ids, source) if source.is_out_of_memory() => Self::OutOfMemory { ids, source },
            (ids, source) => Self::Device { ids, source },
        }
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

/// A smaller batch has another result, so that a run does not resume with it.
fn smaller(batch_size: usize) -> String {
    advice_on_memory(batch_size, |size| {
        format!(
            "Try `--set batch_size={size}` in another folder; with twice the `flair_bench.accumulate` a step has as many patches as before"
        )
    })
}

/// `patch 000001`, `patches 000001, 000002`.
pub(super) fn listed(ids: &[PatchId]) -> String {
    let names = ids.iter().map(PatchId::to_string).collect::<Vec<_>>().join(", ");
    format!("{} {names}", noun(ids.len() as u64, "patch"))
}
