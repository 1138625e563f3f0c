//! Compiles `kernels.cu` for a device, and launches its kernels.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use candle_core::{
    CudaDevice, Error, Result,
    cuda_backend::{
        DeviceId, WrapErr,
        cudarc::{
            driver::{CudaFunction, CudaModule, CudaView, DevicePtr, DeviceRepr, LaunchConfig},
            nvrtc::{CompileOptions, Ptx, compile_ptx_with_opts},
        },
    },
};

use super::Real;

/// The kernels, in the common subset of C and CUDA.
const SOURCE: &str = include_str!("kernels.cu");

/// What a kernel is in CUDA.
const DIALECT: &str = "#define KERNEL extern \"C\" __global__\n#define SHARED __shared__\n";

/// Threads of a block: `THREADS` of `kernels.cu`.
pub(super) const THREADS: u32 = 256;

/// Maximum number of blocks of an elementwise kernel: more only wait.
const MAX_BLOCKS: usize = 1 << 16;

/// The newest architecture that PTX is made for; newer devices compile it again. The kernels wait for memory, and gain
/// nothing from newer instructions.
const NEWEST: (i32, i32) = (8, 0);

/// The kernels for one type on one device.
struct Loaded {
    module: Arc<CudaModule>,
    functions: HashMap<&'static str, CudaFunction>,
}

/// A kernel for tensors of type `T`. It is compiled and loaded once.
pub(super) fn kernel<T: Real>(device: &CudaDevice, name: &'static str) -> Result<CudaFunction> {
    static LOADED: LazyLock<Mutex<HashMap<(DeviceId, &str), Loaded>>> = LazyLock::new(Mutex::default);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = match loaded.entry((device.id(), T::MACRO)) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let stream = device.cuda_stream();
            let architecture = stream.context().compute_capability().w()?.min(NEWEST);
            let module = stream.context().load_module(compile::<T>(architecture)?).w()?;
            entry.insert(Loaded { module, functions: HashMap::new() })
        }
    };
    Ok(match loaded.functions.entry(name) {
        Entry::Occupied(entry) => entry.get().clone(),
        Entry::Vacant(entry) => entry.insert(loaded.module.load_function(name).w()?).clone(),
    })
}

/// The kernels for tensors of type `T`, as PTX of an architecture.
fn compile<T: Real>((major, minor): (i32, i32)) -> Result<Ptx> {
    let source = format!("#define {}\n{DIALECT}{SOURCE}", T::MACRO);
    let options = vec![format!("--gpu-architecture=compute_{major}{minor}")];
    let options = CompileOptions { options, name: Some("kernels.cu".to_owned()), ..CompileOptions::default() };
    let compiled = compile_ptx_with_opts(source, options);
    compiled.map_err(|error| Error::msg(format!("kernels.cu cannot be compiled: {error}")))
}

/// One thread per element, up to a limit beyond which threads take several.
pub(super) fn elementwise(count: usize) -> LaunchConfig {
    let blocks = count.div_ceil(THREADS as usize).clamp(1, MAX_BLOCKS);
    grid(u32::try_from(blocks).unwrap_or(u32::MAX), 1)
}

/// A grid of blocks of [`THREADS`] threads.
pub(super) fn grid(x: u32, y: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (x, y, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// One thread.
pub(super) fn single() -> LaunchConfig {
    LaunchConfig { grid_dim: (1, 1, 1), block_dim: (1, 1, 1), shared_mem_bytes: 0 }
}

/// A pointer for a kernel; null stands for memory that it can do without.
#[repr(transparent)]
pub(super) struct Pointer(u64);

impl Pointer {
    pub(super) const NULL: Self = Self(0);

    pub(super) fn to<T>(memory: Option<&CudaView<'_, T>>, device: &CudaDevice) -> Self {
        memory.map_or(Self::NULL, |memory| Self(memory.device_ptr(&device.cuda_stream()).0))
    }
}

#[expect(unsafe_code, reason = "an argument of a kernel")]
// SAFETY: it has the layout of an address, which is what the kernel takes.
unsafe impl DeviceRepr for Pointer {}

/// Launches `$kernel` of `kernels.cu` for tensors of type `$t` with the arguments, in order: views and slices of memory,
/// numbers of exactly the types that the kernel takes.
macro_rules! launch {
    ($device:expr, $t:ty, $kernel:expr, $config:expr; $($argument:expr),* $(,)?) => {{
        use candle_core::cuda_backend::{WrapErr, cudarc::driver::PushKernelArg};
        let (function, stream) = (super::launch::kernel::<$t>($device, $kernel)?, $device.cuda_stream());
        let mut builder = stream.launch_builder(&function);
        $(builder.arg($argument);)*
        #[expect(unsafe_code, reason = "a call of CUDA")]
        // SAFETY: the arguments are those of the kernel, which stays within the sizes that it is given.
        unsafe { builder.launch($config) }.w().map(|_| ())?;
    }};
}
pub(super) use launch;

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn kernels_compile_for_every_type_and_architecture() {
        for architecture in [(7, 5), (8, 0), (9, 0)] {
            for ptx in [compile::<f32>(architecture), compile::<f64>(architecture), compile::<bf16>(architecture)] {
                assert!(ptx.unwrap().to_src().contains(".entry cross_entropy_gradient"));
            }
        }
    }
}
