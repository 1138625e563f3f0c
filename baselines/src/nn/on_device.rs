//! Values from memory to a device.

use candle_core::{Device, Result, Tensor, WithDType};

#[cfg(feature = "cuda")]
use super::cuda::{self, Staged};

/// Every type, in a build without CUDA.
#[cfg(not(feature = "cuda"))]
pub(crate) trait Staged {}
#[cfg(not(feature = "cuda"))]
impl<T> Staged for T {}

/// `values` as a tensor of `shape` on a device. On a GPU the copy is queued, and nothing waits for it.
///
/// # Errors
/// If there are more or fewer values than the shape has, or the device fails.
pub(crate) fn on_device<T: WithDType + Staged>(values: &[T], shape: &[usize], device: &Device) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        return cuda::upload(values, shape, device);
    }
    Tensor::from_slice(values, shape, device)
}
