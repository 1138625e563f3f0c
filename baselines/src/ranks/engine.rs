//! What carries data between ranks, and how it fails.

use std::{fmt::Debug, time::Duration};

use candle_core::Tensor;

use super::job::JobError;

/// A failure of what carries data between ranks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RanksError {
    /// The process was started as one of several, by a build that cannot join them.
    #[error(transparent)]
    Job(#[from] JobError),
    /// MPI did not start.
    #[error("MPI does not start: {0}")]
    Start(String),
    /// The engine ended before the exchange.
    #[error("rank {rank} cannot exchange data with the others: {why}")]
    Broken {
        /// This rank.
        rank: usize,
        /// The reason.
        why: String,
    },
    /// The device failed, before or after the exchange.
    #[error(transparent)]
    Device(#[from] candle_core::Error),
    /// The ranks are not at the same place of the same run.
    #[error("{0}")]
    Different(String),
}

/// A tensor on its way: the sum over all ranks. What waits for it.
pub struct Sum(Box<dyn FnOnce() -> Result<Tensor, RanksError> + Send>);

impl Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sum")
    }
}

impl Sum {
    pub(super) fn of(wait: impl FnOnce() -> Result<Tensor, RanksError> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Waits for the sum. A GPU's is queued: what is queued after it comes after it.
    ///
    /// # Errors
    /// If a rank has ended, or the device fails.
    pub fn wait(self) -> Result<Tensor, RanksError> {
        self.0()
    }
}

/// The error of an engine that has ended.
#[cfg(any(feature = "mpi", feature = "nccl"))]
pub(super) fn ended(rank: usize) -> RanksError {
    RanksError::Broken { rank, why: "the thread that exchanges data has ended".to_owned() }
}

/// What carries data between ranks.
pub(super) trait Exchange: Debug + Send + Sync {
    /// Begins the sum over all ranks of a vector of f32 or f64. All ranks get the same bits.
    fn sum(&self, vector: Tensor) -> Result<Sum, RanksError>;
    /// Every rank's bytes, in the order of the ranks, for all.
    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, RanksError>;
    /// Rank 0's bytes for all; those of the others are ignored.
    fn broadcast(&self, own: Vec<u8>) -> Result<Vec<u8>, RanksError>;
    /// Ends all ranks with an exit code. Returns if that cannot be asked for.
    fn abort(&self, code: i32);
    /// How long sums have taken so far, where the engine knows.
    fn summing(&self) -> Duration {
        Duration::ZERO
    }
}
