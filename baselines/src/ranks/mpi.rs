//! The engine MPI. One thread makes all its calls, so that sums are computed while the network goes on, and so that MPI
//! needs no locks (its level `FUNNELED`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use candle_core::{DType, Device, Tensor};
use mpi::{
    Count, Threading,
    collective::SystemOperation,
    datatype::{Equivalence, PartitionMut},
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives, Root},
};

use super::engine::{Exchange, RanksError, Sum, ended};

/// How long [`Exchange::abort`] waits for the thread, which may itself wait for a rank that is gone.
const ABORT: Duration = Duration::from_secs(2);

/// What the thread is asked for.
enum Request {
    Sum(Tensor, Sender<Result<Tensor, RanksError>>),
    Gather(Vec<u8>, Sender<Result<Vec<Vec<u8>>, RanksError>>),
    Broadcast(Vec<u8>, Sender<Result<Vec<u8>, RanksError>>),
    Abort(i32, Sender<()>),
}

/// The thread that has MPI. Its end is MPI's.
#[derive(Debug)]
pub(super) struct Mpi {
    rank: usize,
    /// `None` at the end, as the thread.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    /// Microseconds of sums.
    summing: Arc<AtomicU64>,
}

/// A process among the others.
pub(super) struct Joined {
    pub(super) rank: usize,
    pub(super) size: usize,
    /// Its number among those on its machine, and their number.
    pub(super) local: (usize, usize),
    pub(super) exchange: Mpi,
}

/// Starts MPI, and joins the ranks that its launcher has started.
pub(super) fn join() -> Result<Joined, RanksError> {
    let (to_caller, started) = mpsc::channel();
    let (to_thread, requests) = mpsc::channel();
    let summing = Arc::new(AtomicU64::new(0));
    let spent = Arc::clone(&summing);
    let run = move || {
        let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
            let _ = to_caller.send(None);
            return;
        };
        let world = universe.world();
        let local = world.split_shared(world.rank());
        let number = |count: i32| usize::try_from(count).unwrap_or_default();
        let place = (number(world.rank()), number(world.size()), (number(local.rank()), number(local.size())));
        if to_caller.send(Some(place)).is_ok() {
            serve(&world, place.0, &requests, &spent);
        }
    };
    let thread = thread::Builder::new().name("mpi".to_owned()).spawn(run);
    let thread = thread.map_err(|error| RanksError::Start(error.to_string()))?;
    let Ok(Some((rank, size, local))) = started.recv() else {
        return Err(RanksError::Start("it was started before in this process, or its thread has ended".to_owned()));
    };
    let exchange = Mpi { rank, requests: Some(to_thread), thread: Some(thread), summing };
    Ok(Joined { rank, size, local, exchange })
}

/// Answers requests until there will be no more.
fn serve(world: &SimpleCommunicator, rank: usize, requests: &Receiver<Request>, summing: &AtomicU64) {
    for request in requests {
        // Whoever asked may have failed since, and wait for no answer.
        match request {
            Request::Sum(vector, answer) => {
                let start = Instant::now();
                let sum = sum(world, rank, &vector);
                summing.fetch_add(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
                drop(answer.send(sum));
            }
            Request::Gather(own, answer) => drop(answer.send(gather(world, rank, own))),
            Request::Broadcast(own, answer) => drop(answer.send(broadcast(world, rank, own))),
            Request::Abort(code, _answer) => world.abort(code),
        }
    }
}

fn sum(world: &SimpleCommunicator, rank: usize, vector: &Tensor) -> Result<Tensor, RanksError> {
    fn of<T: Equivalence + candle_core::WithDType>(
        world: &SimpleCommunicator,
        rank: usize,
        vector: &Tensor,
    ) -> Result<Tensor, RanksError> {
        let own = vector.to_device(&Device::Cpu)?.to_vec1::<T>()?;
        count(rank, own.len())?;
        let mut all = vec![T::zero(); own.len()];
        world.all_reduce_into(own.as_slice(), all.as_mut_slice(), SystemOperation::sum());
        let length = all.len();
        Ok(Tensor::from_vec(all, length, vector.device())?)
    }
    match vector.dtype() {
        DType::F32 => of::<f32>(world, rank, vector),
        DType::F64 => of::<f64>(world, rank, vector),
        other => Err(RanksError::Device(candle_core::Error::msg(format!("a sum over ranks of {other:?}")))),
    }
}

fn gather(world: &SimpleCommunicator, rank: usize, mut own: Vec<u8>) -> Result<Vec<Vec<u8>>, RanksError> {
    // A byte more, since the address of an empty vector is what Open MPI calls `MPI_IN_PLACE`.
    own.push(0);
    let own_length = count(rank, own.len())?;
    let mut lengths = vec![0 as Count; usize::try_from(world.size()).unwrap_or_default()];
    world.all_gather_into(&own_length, lengths.as_mut_slice());
    let mut ends: Vec<usize> = Vec::with_capacity(lengths.len());
    for &length in &lengths {
        ends.push(ends.last().copied().unwrap_or_default() + usize::try_from(length).unwrap_or_default());
    }
    count(rank, ends.last().copied().unwrap_or_default())?;
    let starts: Vec<usize> = [0].into_iter().chain(ends.iter().copied()).take(ends.len()).collect();
    let displacements = starts.iter().map(|&start| count(rank, start)).collect::<Result<Vec<_>, _>>()?;
    let mut all = vec![0u8; ends.last().copied().unwrap_or_default()];
    world.all_gather_varcount_into(
        own.as_slice(),
        &mut PartitionMut::new(all.as_mut_slice(), &lengths[..], &displacements[..]),
    );
    Ok(starts.iter().zip(&ends).map(|(&start, &end)| all[start..end - 1].to_vec()).collect())
}

fn broadcast(world: &SimpleCommunicator, rank: usize, mut bytes: Vec<u8>) -> Result<Vec<u8>, RanksError> {
    let first = world.process_at_rank(0);
    let mut length = bytes.len() as u64;
    first.broadcast_into(&mut length);
    let length = usize::try_from(length).map_err(|error| RanksError::Broken { rank, why: error.to_string() })?;
    bytes.resize(length, 0);
    // MPI counts in 31 bits.
    for part in bytes.chunks_mut(1 << 30) {
        first.broadcast_into(part);
    }
    Ok(bytes)
}

/// A length as MPI counts.
fn count(rank: usize, length: usize) -> Result<Count, RanksError> {
    Count::try_from(length)
        .map_err(|_| RanksError::Broken { rank, why: format!("{length} values are too many at once") })
}

impl Mpi {
    fn ask(&self, request: Request) -> Result<(), RanksError> {
        self.requests.as_ref().and_then(|requests| requests.send(request).ok()).ok_or_else(|| ended(self.rank))
    }

    fn answer<T>(&self, request: impl FnOnce(Sender<Result<T, RanksError>>) -> Request) -> Result<T, RanksError> {
        let (to_caller, answer) = mpsc::channel();
        self.ask(request(to_caller))?;
        answer.recv().unwrap_or_else(|_| Err(ended(self.rank)))
    }
}

impl Exchange for Mpi {
    fn sum(&self, vector: Tensor) -> Result<Sum, RanksError> {
        let (to_caller, answer) = mpsc::channel();
        self.ask(Request::Sum(vector, to_caller))?;
        let rank = self.rank;
        Ok(Sum::of(move || answer.recv().unwrap_or_else(|_| Err(ended(rank)))))
    }

    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, RanksError> {
        self.answer(|answer| Request::Gather(own, answer))
    }

    fn broadcast(&self, own: Vec<u8>) -> Result<Vec<u8>, RanksError> {
        self.answer(|answer| Request::Broadcast(own, answer))
    }

    fn abort(&self, code: i32) {
        let (to_caller, answer) = mpsc::channel();
        if self.ask(Request::Abort(code, to_caller)).is_ok() {
            let _ = answer.recv_timeout(ABORT);
        }
    }

    fn summing(&self) -> Duration {
        Duration::from_micros(self.summing.load(Ordering::Relaxed))
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if thread::panicking() {
            // The others wait for this rank, and MPI's end would wait for them.
            self.abort(70);
            return;
        }
        self.requests.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
