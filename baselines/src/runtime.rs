//! The device of a run, the allocator, and the record of hardware and versions that belongs to a measured time.

mod allocator;
mod error;
mod gpu;

use std::{fs, str::FromStr, thread};

use candle_core::Device;
use serde::{Deserialize, Serialize};

pub use self::{
    allocator::{Allocator, keep_freed_memory},
    error::{DeviceError, TensorError, advice_on_memory},
    gpu::Gpu,
};

/// Version of candle. A test compares it with `Cargo.lock`.
const CANDLE: &str = "0.11.1";

/// The requested device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU: the first one, or of several ranks on a machine each its own.
    Gpu,
    /// The GPU with that index.
    Cuda(usize),
}

/// A text that is not the name of a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a device: expected `auto`, `cpu`, `cuda` or `cuda:N`")]
pub struct InvalidDevice(String);

impl FromStr for DeviceChoice {
    type Err = InvalidDevice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Gpu),
            other => match other.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Cuda(number)),
                _ => Err(InvalidDevice(other.to_owned())),
            },
        }
    }
}

impl DeviceChoice {
    /// Opens the device. `auto` falls back to the CPU if no GPU can be used, and logs the reason.
    ///
    /// # Errors
    /// If a GPU was requested explicitly and cannot be used.
    pub fn open(self) -> Result<Device, DeviceError> {
        self.open_as((0, 1))
    }

    /// Opens the device of a process: its number among those on its machine, and their number. Each has a GPU of its own.
    ///
    /// # Errors
    /// If a GPU was requested explicitly and cannot be used, or one was requested for all.
    pub fn open_as(self, (rank, ranks): (usize, usize)) -> Result<Device, DeviceError> {
        // Slurm's `--gpus-per-task=1` shows each process its own GPU alone, which then is number 0.
        let is_one_visible =
            std::env::var("CUDA_VISIBLE_DEVICES").is_ok_and(|all| !all.is_empty() && !all.contains(','));
        let rank = if is_one_visible { 0 } else { rank };
        // One stream for all threads. With `new_cuda` each thread has a stream of its own, and the tensors that one
        // thread hands to another (those that read patches, compute, and write predictions) would need waits between
        // the streams.
        let cuda = |number| match Device::new_cuda_with_stream(number).inspect(gpu::prepare) {
            Ok(device) => Ok(device),
            Err(_) if !cfg!(feature = "cuda") => Err(DeviceError::NotBuilt),
            Err(source) => Err(DeviceError::of_opening(number, source.into())),
        };
        match self {
            Self::Cuda(number) if ranks > 1 => Err(DeviceError::Shared { number, ranks }),
            Self::Cuda(number) => cuda(number),
            Self::Gpu => cuda(rank),
            Self::Auto if cfg!(feature = "cuda") => Ok(cuda(rank).unwrap_or_else(|error| {
                tracing::warn!("computing on the processor: {error}");
                Device::Cpu
            })),
            Self::Cpu | Self::Auto => Ok(Device::Cpu),
        }
    }
}

/// Hardware and software of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of flair-bench.
    pub flair_bench: String,
    /// Version of candle.
    pub candle: String,
    /// Operating system and architecture.
    pub platform: String,
    /// The CPU's model name.
    pub processor: String,
    /// CPU cores available to this process.
    pub processors: usize,
    /// Threads that compute: candle's pool, set by `RAYON_NUM_THREADS`.
    pub threads: usize,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// The GPU, if the run computes on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
    /// Number of processes of a training, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<usize>,
    /// The arithmetic, if the run computes on a GPU: `f32`, `bf16, deterministic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
}

impl Environment {
    /// The record of this process, computing on `device`.
    pub fn of(device: &Device) -> Self {
        Self {
            flair_bench: env!("CARGO_PKG_VERSION").to_owned(),
            candle: CANDLE.to_owned(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: processor(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            threads: rayon::current_num_threads(),
            device: match device.location() {
                candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
                candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
                candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
            },
            gpu: Gpu::of(device),
            ranks: None,
            arithmetic: None,
        }
    }

    /// The machine, in words, with its GPU if the run computes on one.
    pub fn hardware(&self) -> String {
        let gpu = self.gpu.as_ref().map_or_else(String::new, |gpu| format!(", {gpu}"));
        let arithmetic = self.arithmetic.as_ref().map_or_else(String::new, |arithmetic| format!(" in {arithmetic}"));
        format!("{}, {} processors, {}{gpu}{arithmetic}", self.processor, self.processors, self.platform)
    }
}

/// The CPU's model name on Linux; unknown on other systems.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Gpu));
        let shared = DeviceChoice::Cuda(1).open_as((0, 2)).map(|_| ()).unwrap_err();
        assert!(matches!(shared, DeviceError::Shared { number: 1, ranks: 2 }));
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!(
            "gpu".parse::<DeviceChoice>().unwrap_err().to_string(),
            "`gpu` is not a device: expected `auto`, `cpu`, `cuda` or `cuda:N`"
        );
        assert!("cuda:x".parse::<DeviceChoice>().is_err());
        assert!(matches!(DeviceChoice::Cpu.open(), Ok(Device::Cpu)));
    }

    #[test]
    fn the_version_of_candle_is_the_locked_one() {
        let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
        assert!(lock.contains(&format!("name = \"candle-core\"\nversion = \"{CANDLE}\"\n")));
    }

    #[test]
    fn records_name_a_gpu_only_where_one_computes() {
        let mut environment = Environment::of(&Device::Cpu);
        // The form of all records from before there was a field for GPUs.
        let record = serde_json::to_value(&environment).unwrap();
        assert!(record.get("gpu").is_none());
        assert_eq!(serde_json::from_value::<Environment>(record).unwrap(), environment);
        let without = environment.hardware();
        environment.gpu = Some(Gpu {
            name: "NVIDIA H100 80GB HBM3".to_owned(),
            memory: 84_929_347_584,
            compute_capability: "9.0".to_owned(),
            cuda: "13.0".to_owned(),
        });
        let gpu = "NVIDIA H100 80GB HBM3 (79.1 GiB, compute capability 9.0, CUDA 13.0)";
        assert_eq!(environment.hardware(), format!("{without}, {gpu}"));
        let record = serde_json::to_value(&environment).unwrap();
        assert_eq!(serde_json::from_value::<Environment>(record).unwrap(), environment);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_gpu_that_this_build_cannot_use_is_an_error() {
        assert!(matches!(DeviceChoice::Cuda(0).open(), Err(DeviceError::NotBuilt)));
    }
}
