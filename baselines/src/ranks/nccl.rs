//! The engine NCCL: sums between GPUs, on a stream of their own beside the network's. MPI carries everything else.
//!
//! No line of it has run on a GPU yet.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use candle_core::{
    CudaDevice, CudaStorage, DType, Storage, Tensor,
    cuda_backend::{
        CudaDType, WrapErr,
        cudarc::{
            driver::{CudaEvent, DeviceRepr},
            nccl::{
                result::NcclError,
                safe::{Comm, Id, NcclType, ReduceOp},
            },
        },
    },
    op::BackpropOp,
};

use super::engine::{Exchange, RanksError, Sum, ended};

/// A vector to sum.
struct Request {
    vector: Tensor,
    answer: Sender<Result<Summed, RanksError>>,
}

/// A sum that is queued, and the event after which it is there. Until then its source must stay.
struct Summed {
    sum: Tensor,
    there: CudaEvent,
    source: Tensor,
}

/// The thread that has NCCL's communicator.
#[derive(Debug)]
pub(super) struct Nccl {
    rank: usize,
    device: CudaDevice,
    requests: Sender<Request>,
    /// What carries everything else.
    others: Arc<dyn Exchange>,
}

impl Nccl {
    /// Joins the ranks' GPUs; rank 0's number of the communicator goes to the others over MPI.
    pub(super) fn new(
        (rank, size): (usize, usize),
        others: &Arc<dyn Exchange>,
        device: &CudaDevice,
    ) -> Result<Self, RanksError> {
        let own = if rank == 0 { bytes(&Id::new().map_err(failed(rank))?) } else { Vec::new() };
        let id = id(rank, &others.broadcast(own)?)?;
        let (to_thread, requests) = mpsc::channel();
        let (to_caller, started) = mpsc::channel();
        let of_thread = device.clone();
        let run = move || match start(&of_thread, rank, size, id) {
            Ok(communicator) => {
                if to_caller.send(Ok(())).is_ok() {
                    serve(&communicator, &of_thread, rank, &requests);
                }
            }
            Err(error) => drop(to_caller.send(Err(error))),
        };
        let thread = thread::Builder::new().name("nccl".to_owned()).spawn(run);
        thread.map_err(|error| RanksError::Start(error.to_string()))?;
        started.recv().unwrap_or_else(|_| Err(ended(rank)))?;
        Ok(Self { rank, device: device.clone(), requests: to_thread, others: Arc::clone(others) })
    }
}

fn start(device: &CudaDevice, rank: usize, size: usize, id: Id) -> Result<Comm, RanksError> {
    let context = Arc::clone(device.cuda_stream().context());
    context.bind_to_thread().w()?;
    Comm::from_rank(context.new_stream().w()?, rank, size, id).map_err(|error| RanksError::Broken {
        rank,
        why: format!("NCCL fails with {:?} (two ranks on one GPU? `NCCL_DEBUG=INFO` tells more)", error.0),
    })
}

/// Queues sums until there will be no more.
fn serve(communicator: &Comm, device: &CudaDevice, rank: usize, requests: &Receiver<Request>) {
    for Request { vector, answer } in requests {
        let summed = match vector.dtype() {
            DType::F32 => sum::<f32>(communicator, device, rank, vector),
            DType::F64 => sum::<f64>(communicator, device, rank, vector),
            other => Err(candle_core::Error::msg(format!("a sum over ranks of {other:?}")).into()),
        };
        // Whoever asked may have failed since.
        drop(answer.send(summed));
    }
}

fn sum<T: CudaDType + DeviceRepr + NcclType>(
    communicator: &Comm,
    device: &CudaDevice,
    rank: usize,
    vector: Tensor,
) -> Result<Summed, RanksError> {
    let (stream, network) = (communicator.stream(), device.cuda_stream());
    let length = vector.elem_count();
    let sum = {
        let (storage, layout) = vector.storage_and_layout();
        let (Storage::Cuda(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
            return Err(candle_core::Error::msg("NCCL sums contiguous vectors on a GPU").into());
        };
        let source = storage.as_cuda_slice::<T>()?.slice(start..end);
        #[expect(unsafe_code, reason = "the sum is written to the whole of it")]
        // SAFETY: NCCL writes all of it. It comes from the network's stream, which waits for the sum before it reads or frees it.
        let mut sum = unsafe { device.alloc::<T>(length) }?;
        // After what fills the vector, and whatever used the memory of the sum before.
        stream.wait(&network.record_event(None).w()?).w()?;
        communicator.all_reduce(&source, &mut sum, &ReduceOp::Sum).map_err(failed(rank))?;
        Storage::Cuda(CudaStorage::wrap_cuda_slice(sum, device.clone()))
    };
    let sum = Tensor::from_storage(sum, length, BackpropOp::none(), false);
    Ok(Summed { sum, there: stream.record_event(None).w()?, source: vector })
}

fn failed(rank: usize) -> impl Fn(NcclError) -> RanksError {
    move |error| RanksError::Broken { rank, why: format!("NCCL fails with {:?}", error.0) }
}

fn bytes(id: &Id) -> Vec<u8> {
    id.internal().iter().map(|&byte| u8::from_ne_bytes(byte.to_ne_bytes())).collect()
}

fn id(rank: usize, bytes: &[u8]) -> Result<Id, RanksError> {
    let signed: Vec<_> = bytes.iter().map(|&byte| core::ffi::c_char::from_ne_bytes([byte])).collect();
    let internal = signed.try_into();
    internal.map(Id::uninit).map_err(|_| RanksError::Broken { rank, why: "NCCL's number is not whole".to_owned() })
}

impl Exchange for Nccl {
    fn sum(&self, vector: Tensor) -> Result<Sum, RanksError> {
        if !vector.device().is_cuda() {
            return self.others.sum(vector);
        }
        let (to_caller, answer) = mpsc::channel();
        self.requests.send(Request { vector, answer: to_caller }).map_err(|_| ended(self.rank))?;
        let (network, rank) = (self.device.cuda_stream(), self.rank);
        Ok(Sum::of(move || {
            let Summed { sum, there, source } = answer.recv().unwrap_or_else(|_| Err(ended(rank)))?;
            network.wait(&there).w()?;
            drop(source);
            Ok(sum)
        }))
    }

    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, RanksError> {
        self.others.gather(own)
    }

    fn broadcast(&self, own: Vec<u8>) -> Result<Vec<u8>, RanksError> {
        self.others.broadcast(own)
    }

    fn abort(&self, code: i32) {
        self.others.abort(code);
    }

    fn summing(&self) -> Duration {
        self.others.summing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// NCCL refuses two ranks on one GPU, so this one is alone.
    #[test]
    #[ignore = "needs a GPU"]
    fn a_sum_over_one_rank_is_its_own() {
        let device = Device::new_cuda_with_stream(0).unwrap();
        let others: Arc<dyn Exchange> = Arc::new(super::super::alone::Alone);
        let nccl = Nccl::new((0, 1), &others, device.as_cuda_device().unwrap()).unwrap();
        let own = Tensor::arange(0f64, 1000.0, &device).unwrap();
        let sums: Vec<_> = (0..10).map(|_| nccl.sum(own.clone()).unwrap()).collect();
        for sum in sums {
            assert_eq!(sum.wait().unwrap().to_vec1::<f64>().unwrap(), own.to_vec1::<f64>().unwrap());
        }
    }
}
