//! The processes of a run, which MPI calls ranks, and what they exchange.
//!
//! MPI starts the processes and joins them (`mpirun`, `srun`), and carries sums between processors; NCCL carries them
//! between GPUs. There is no networking here. All calls are collective: every rank makes the same ones in the same order.
//!
//! The engines are MPI with the feature `mpi`, NCCL with the feature `nccl`, and threads of one process in tests.

mod alone;
mod engine;
mod job;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
#[cfg(test)]
pub(crate) mod threads;

use std::{sync::Arc, time::Duration};

use candle_core::{Device, Tensor};

use engine::Exchange;
pub use engine::{RanksError, Sum};
pub use job::{Job, JobError, cores_of_rank};

/// The processes of a run, as seen by one of them. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Ranks {
    rank: usize,
    size: usize,
    /// Ranks on the same machine: which one this is, and how many there are.
    local: (usize, usize),
    exchange: Arc<dyn Exchange>,
}

impl Ranks {
    /// A run of one process.
    pub fn alone() -> Self {
        Self { rank: 0, size: 1, local: (0, 1), exchange: Arc::new(alone::Alone) }
    }

    /// Joins the processes that `job` has. Without MPI's launcher the process is alone.
    ///
    /// # Errors
    /// If there are several processes, and this build has no MPI or MPI does not start.
    pub fn join(job: Job) -> Result<Self, RanksError> {
        match job {
            Job::Alone => Ok(Self::alone()),
            #[cfg(feature = "mpi")]
            Job::Mpi { size: expected, .. } => {
                let mpi::Joined { rank, size, local, exchange } = mpi::join()?;
                match expected {
                    Some(expected) if expected != size => {
                        Err(JobError::Unjoined { joined: size, size: expected }.into())
                    }
                    _ => Ok(Self { rank, size, local, exchange: Arc::new(exchange) }),
                }
            }
            other => Err(other.refused().into()),
        }
    }

    /// This process's number, from 0. Rank 0 writes what the run writes.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of processes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this is rank 0.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Whether the run has one process.
    pub fn is_alone(&self) -> bool {
        self.size == 1
    }

    /// This process's number among those on the same machine, and their number.
    pub fn local(&self) -> (usize, usize) {
        self.local
    }

    /// Carries sums of tensors on `device` over NCCL, if this build and this device can.
    ///
    /// # Errors
    /// If NCCL does not start, as for two ranks on one GPU.
    pub fn on(self, device: &Device) -> Result<Self, RanksError> {
        #[cfg(feature = "nccl")]
        if let (Device::Cuda(cuda), false) = (device, self.is_alone()) {
            let exchange = Arc::new(nccl::Nccl::new((self.rank, self.size), &self.exchange, cuda)?);
            return Ok(Self { exchange, ..self });
        }
        let _ = device;
        Ok(self)
    }

    /// Begins the sum over all ranks of a vector of f32 or f64. All ranks get the same bits.
    ///
    /// # Errors
    /// If a rank has ended, or the device fails.
    pub fn sum(&self, vector: Tensor) -> Result<Sum, RanksError> {
        self.exchange.sum(vector)
    }

    /// How long sums have taken so far; 0 where the engine does not know.
    pub(crate) fn summing(&self) -> Duration {
        self.exchange.summing()
    }

    /// Every rank's bytes, in the order of the ranks, for all.
    ///
    /// # Errors
    /// If a rank has ended.
    pub fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, RanksError> {
        self.exchange.gather(own)
    }

    /// Rank 0's bytes for all; those of the others are ignored.
    ///
    /// # Errors
    /// If a rank has ended.
    pub fn broadcast(&self, own: Vec<u8>) -> Result<Vec<u8>, RanksError> {
        self.exchange.broadcast(own)
    }

    /// Returns when all ranks have come here.
    ///
    /// # Errors
    /// If a rank has ended.
    pub fn barrier(&self) -> Result<(), RanksError> {
        self.gather(Vec::new()).map(|_| ())
    }

    /// Whether all ranks have the same bytes; otherwise the error tells `what` differs, and on which rank.
    ///
    /// # Errors
    /// If they differ, or a rank has ended.
    pub fn agree(&self, what: &str, own: &[u8]) -> Result<(), RanksError> {
        let all = self.gather(own.to_vec())?;
        match all.iter().position(|other| *other != all[0]) {
            Some(rank) => Err(RanksError::Different(format!("rank {rank} has another {what} than rank 0"))),
            None => Ok(()),
        }
    }

    /// Ends all ranks with an exit code, since this one cannot go on and the others would wait for it.
    pub fn abort(&self, code: i32) {
        self.exchange.abort(code);
    }
}
