//! The device of a run, and the record of hardware and versions that belongs to a measured time.

use std::{fs, str::FromStr, thread};

use candle_core::Device;
use serde::{Deserialize, Serialize};

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
            "cuda" => Ok(Self::Cuda(0)),
            other => match other.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Cuda(number)),
                _ => Err(InvalidDevice(other.to_owned())),
            },
        }
    }
}

/// An error of candle, without the backtrace that candle appends to its message if `RUST_BACKTRACE` is set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TensorError(String);

impl From<candle_core::Error> for TensorError {
    fn from(error: candle_core::Error) -> Self {
        let text = message(&error);
        // Candle also wraps errors as text, backtrace and all.
        Self(text.split("\n   0: ").next().unwrap_or(&text).trim_end().to_owned())
    }
}

fn message(error: &candle_core::Error) -> String {
    use candle_core::Error;
    match error {
        Error::WithBacktrace { inner, .. } => message(inner),
        Error::Context { inner, context } => format!("{context}: {}", message(inner)),
        Error::WrappedContext { wrapped, context } => {
            let cause = wrapped.downcast_ref::<Error>().map_or_else(|| wrapped.to_string(), message);
            format!("{context}: {cause}")
        }
        Error::WithPath { inner, path } => format!("`{}`: {}", path.display(), message(inner)),
        other => other.to_string(),
    }
}

/// Errors when opening a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// This build cannot use a GPU.
    #[error("this build of flair-bench has no CUDA: build it with `--features cuda`, or use `--device cpu`")]
    NotBuilt,
    /// The GPU cannot be used.
    #[error("the device `cuda:{number}` cannot be used: {source}")]
    Unusable {
        /// Its index.
        number: usize,
        /// Candle's error.
        source: TensorError,
    },
}

impl DeviceChoice {
    /// Opens the device. `auto` falls back to the CPU if no GPU can be used, and logs the reason.
    ///
    /// # Errors
    /// If a GPU was requested explicitly and cannot be used.
    pub fn open(self) -> Result<Device, DeviceError> {
        let cuda = |number| match Device::new_cuda(number) {
            Ok(device) => Ok(device),
            Err(_) if !cfg!(feature = "cuda") => Err(DeviceError::NotBuilt),
            Err(source) => Err(DeviceError::Unusable { number, source: source.into() }),
        };
        match self {
            Self::Cuda(number) => cuda(number),
            Self::Auto if cfg!(feature = "cuda") => Ok(cuda(0).unwrap_or_else(|error| {
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
        }
    }

    /// The machine, in words.
    pub fn hardware(&self) -> String {
        format!("{}, {} processors, {}", self.processor, self.processors, self.platform)
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
    fn errors_of_candle_lose_their_backtrace() {
        use candle_core::{Error, error::Context};
        let backtrace = Box::new(std::backtrace::Backtrace::force_capture());
        let inner = Box::new(Error::Msg("no device".to_owned()));
        let error = Error::WithBacktrace { inner, backtrace };
        assert!(error.to_string().lines().count() > 2, "candle shows it");
        let wrapped = Error::Msg(error.to_string());
        let error = Err::<(), _>(error).context("copying").unwrap_err();
        assert_eq!(TensorError::from(error).to_string(), "copying: no device");
        assert_eq!(TensorError::from(wrapped).to_string(), "no device");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_gpu_that_this_build_cannot_use_is_an_error() {
        assert!(matches!(DeviceChoice::Cuda(0).open(), Err(DeviceError::NotBuilt)));
    }
}
