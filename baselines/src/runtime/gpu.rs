//! What a GPU says of itself.

use std::fmt;

use candle_core::Device;
use serde::{Deserialize, Serialize};

/// A GPU, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// The model, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Its memory in bytes, used or not.
    pub memory: u64,
    /// The compute capability, such as `9.0`.
    pub compute_capability: String,
    /// The newest version of CUDA that the driver supports, such as `13.0`.
    pub cuda: String,
}

impl Gpu {
    /// Asks the driver. `None` for the CPU, and if the driver does not answer.
    #[cfg(feature = "cuda")]
    pub(super) fn of(device: &Device) -> Option<Self> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        let context = stream.context();
        let (major, minor) = context.compute_capability().ok()?;
        Some(Self {
            name: context.name().ok()?,
            memory: u64::try_from(context.total_mem().ok()?).ok()?,
            compute_capability: format!("{major}.{minor}"),
            cuda: driver_version()?,
        })
    }

    /// `None`: this build knows no GPU.
    #[cfg(not(feature = "cuda"))]
    pub(super) fn of(_: &Device) -> Option<Self> {
        None
    }
}

/// Leaves the order of operations to the one stream that all threads compute on: otherwise two events guard every
/// tensor. And keeps freed memory for the next tensors: otherwise each wait for the device gives all of it back to the
/// driver.
#[cfg(feature = "cuda")]
#[expect(
    unsafe_code,
    reason = "whoever calls it must order the uses of memory; cudarc has no safe functions for the pool"
)]
pub(super) fn prepare(device: &Device) {
    use candle_core::cuda_backend::cudarc::driver::{
        result::{device::get_default_mem_pool, mem_pool},
        sys::CUmemPool_attribute,
    };
    let Ok(device) = device.as_cuda_device() else { return };
    // SAFETY: candle and our kernels queue everything, allocations and frees too, on this stream. The copies to the device,
    // which have another, order themselves by events of their own.
    unsafe { device.disable_event_tracking() };
    let attribute = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    let mut threshold = u64::MAX;
    // SAFETY: the pool is the device's own, and the attribute is a number of 64 bits.
    let kept = unsafe {
        get_default_mem_pool(device.cuda_stream().context().cu_device())
            .and_then(|pool| mem_pool::set_attribute(pool, attribute, (&raw mut threshold).cast()))
    };
    if let Err(error) = kept {
        tracing::debug!("the device's memory pool keeps nothing: {error}");
    }
}

/// This build opens no GPU.
#[cfg(not(feature = "cuda"))]
pub(super) fn prepare(_: &Device) {}

/// The newest version of CUDA that the driver supports.
#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "cudarc has no safe function for it")]
fn driver_version() -> Option<String> {
    let mut version = 0;
    // SAFETY: the driver writes one int to the address, which is valid for the call.
    let code = unsafe { candle_core::cuda_backend::cudarc::driver::sys::cuDriverGetVersion(&raw mut version) };
    // The driver counts 13.1 as 13010.
    code.result().ok().map(|()| format!("{}.{}", version / 1000, version % 1000 / 10))
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, memory, compute_capability, cuda } = self;
        let gibibytes = *memory as f64 / f64::from(1 << 30);
        write!(f, "{name} ({gibibytes:.1} GiB, compute capability {compute_capability}, CUDA {cuda})")
    }
}
