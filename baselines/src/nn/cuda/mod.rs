//! Layers on a GPU: convolutions by cuDNN, the rest by the kernels of `kernels.cu`.
//!
//! Everything is queued on the stream of candle's device, in f32, f64 or bf16. Parameters and the statistics of norms are
//! f32 where the tensors are bf16. Nothing here waits for the device.
//!
//! No machine of this project has a GPU: the kernels are compiled by NVRTC, and run on the CPU as C, in tests.

mod classes;
mod convolution;
mod cross_entropy;
mod elementwise;
mod launch;
mod norm;
mod transfer;

use candle_core::{
    CudaDevice, CudaStorage, Layout, Result, Shape, Storage, StorageRef, Tensor, WithDType, bail,
    cuda_backend::{
        CudaDType,
        cudarc::{
            cudnn::CudnnDataType,
            driver::{CudaSlice, CudaView, DeviceRepr, ValidAsZeroBits},
        },
    },
    op::BackpropOp,
};
use half::bf16;

pub(super) use classes::largest_logits;
pub(crate) use convolution::set_reproducible;
pub(super) use convolution::{forward, forward_rectified, gradient_of_input, gradient_of_weight};
pub(super) use cross_entropy::{cross_entropy, cross_entropy_gradient};
pub(super) use elementwise::{max_pool, max_pool_gradient, relu, relu_gradient, sum_of_four, twice};
pub(crate) use norm::sum_of_squares;
pub(super) use norm::{batch_norm, gradient_of_bias, standardise};
pub(crate) use transfer::{Download, Staged, upload};

/// A type of tensors: f32, f64 or bf16.
pub(super) trait Real: WithDType + CudaDType + DeviceRepr + ValidAsZeroBits + CudnnDataType {
    /// The type that is computed in, and that parameters and statistics have.
    type Computed: Real;
    /// The macro that chooses the type in `kernels.cu`.
    const MACRO: &str;
}

impl Real for f32 {
    type Computed = f32;
    const MACRO: &str = "F32";
}

impl Real for f64 {
    type Computed = f64;
    const MACRO: &str = "F64";
}

impl Real for bf16 {
    type Computed = f32;
    const MACRO: &str = "BF16";
}

/// Runs `body` with `$t` standing for the type of the numbers in `$storage`.
macro_rules! by_type {
    ($storage:expr, $t:ident => $body:expr) => {
        match $storage.slice {
            candle_core::cuda_backend::CudaStorageSlice::F32(_) => {
                type $t = f32;
                $body
            }
            candle_core::cuda_backend::CudaStorageSlice::F64(_) => {
                type $t = f64;
                $body
            }
            candle_core::cuda_backend::CudaStorageSlice::BF16(_) => {
                type $t = half::bf16;
                $body
            }
            _ => candle_core::bail!("the layers compute in f32, f64 and bf16 only"),
        }
    };
}
use by_type;

/// The elements of a contiguous tensor.
fn values<'a, T: CudaDType>(storage: &'a CudaStorage, layout: &Layout) -> Result<CudaView<'a, T>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<T>()?.slice(start..end)),
        None => bail!("a kernel needs a contiguous tensor"),
    }
}

/// A tensor, held for reading on a GPU.
struct OnGpu<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> OnGpu<'a> {
    fn of(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage, layout }
    }

    fn storage(&self) -> Result<&CudaStorage> {
        match &*self.storage {
            Storage::Cuda(storage) => Ok(storage),
            _ => bail!("the tensor is not on a GPU"),
        }
    }

    /// Its elements, if it is contiguous.
    fn values<T: CudaDType>(&self) -> Result<CudaView<'_, T>> {
        values(self.storage()?, self.layout)
    }
}

/// Memory as a tensor.
fn tensor<T: CudaDType>(memory: CudaSlice<T>, device: &CudaDevice, shape: impl Into<Shape>) -> Tensor {
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(memory, device.clone()));
    Tensor::from_storage(storage, shape, BackpropOp::none(), false)
}

/// Memory for `count` elements with arbitrary values.
fn allocated<T: DeviceRepr>(device: &CudaDevice, count: usize) -> Result<CudaSlice<T>> {
    #[expect(unsafe_code, reason = "every element is written by the kernel that the memory is made for")]
    // SAFETY: the callers fill the whole of it before anything reads it, on the same stream.
    unsafe {
        device.alloc::<T>(count)
    }
}
