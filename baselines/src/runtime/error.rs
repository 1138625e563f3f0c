//! Errors of devices, in words and without backtraces.

use candle_core::Error;

/// The codes with which the driver, cuDNN, cuBLAS and cuRAND say that the device has too little memory.
const OUT_OF_MEMORY: [&str; 5] = [
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CURAND_STATUS_ALLOCATION_FAILED",
];
/// The codes with which the driver says that there is no GPU, or no driver of one.
const NO_DEVICE: [&str; 2] = ["CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_STUB_LIBRARY"];

/// An error of candle, without the backtrace that candle appends to its message if `RUST_BACKTRACE` is set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TensorError(String);

impl From<Error> for TensorError {
    fn from(error: Error) -> Self {
        let text = message(&error);
        // Candle also wraps errors as text, backtrace and all.
        Self(in_words(text.split("\n   0: ").next().unwrap_or(&text).trim_end()))
    }
}

impl TensorError {
    /// Whether the device has too little memory. Its libraries' errors reach candle as text, so the text decides.
    pub fn is_out_of_memory(&self) -> bool {
        self.names(&OUT_OF_MEMORY)
    }

    fn names(&self, codes: &[&str]) -> bool {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.0.split(|c| !is_of_name(c)).any(|word| codes.contains(&word))
    }
}

fn message(error: &Error) -> String {
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

/// `DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")` as `out of memory (CUDA_ERROR_OUT_OF_MEMORY)`, and
/// `CudnnError(CUDNN_STATUS_NOT_SUPPORTED)` as `CUDNN_STATUS_NOT_SUPPORTED`.
fn in_words(text: &str) -> String {
    let parts = || {
        let (before, rest) = text.split_once("DriverError(")?;
        let (code, rest) = rest.split_once(", \"")?;
        let (words, after) = rest.split_once("\")")?;
        // Where the driver has no words for its code, cudarc says so in angle brackets.
        let said = if words.starts_with('<') { code.to_owned() } else { format!("{words} ({code})") };
        Some(format!("{before}{said}{after}"))
    };
    let library = |name: &str| {
        let (before, rest) = text.split_once(name)?;
        let (code, after) = rest.split_once(')')?;
        Some(format!("{before}{code}{after}"))
    };
    let of_library = || ["CudnnError(", "CublasError(", "CurandError("].into_iter().find_map(library);
    parts().or_else(of_library).unwrap_or_else(|| text.to_owned())
}

/// Errors when opening a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// One GPU for several processes.
    #[error("{ranks} ranks on this machine would share GPU {number}: `--device cuda` gives each its own")]
    Shared {
        /// The GPU's number.
        number: usize,
        /// The processes on the machine.
        ranks: usize,
    },
    /// This build cannot use a GPU.
    #[error("this build of flair-bench has no CUDA: build it with `--features cuda`, or use `--device cpu`")]
    NotBuilt,
    /// The machine has no GPU, or none that this process may see.
    #[error(
        "there is no CUDA device; the driver says: {source}. `nvidia-smi` shows whether it sees one; `--device cpu` computes without"
    )]
    NoDevice {
        /// The driver's error.
        source: TensorError,
    },
    /// The GPU cannot be used.
    #[error(
        "the device `cuda:{number}` cannot be used: {source}. `nvidia-smi` lists the devices and what runs on them; `--device cpu` computes without"
    )]
    Unusable {
        /// Its index.
        number: usize,
        /// Candle's error.
        source: TensorError,
    },
}

impl DeviceError {
    /// The error of opening `cuda:{number}`.
    pub(super) fn of_opening(number: usize, source: TensorError) -> Self {
        if source.names(&NO_DEVICE) { Self::NoDevice { source } } else { Self::Unusable { number, source } }
    }
}

/// Advice where a batch of `failed` patches did not fit: `smaller(n)` says how to compute `n` at a time.
pub fn advice_on_memory(failed: usize, smaller: impl Fn(usize) -> String) -> String {
    match failed / 2 {
        0 => "Choose a smaller network, or another device (`--device cpu`)".to_owned(),
        half => smaller(half),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::error::Context;

    use super::*;

    fn of_text(text: &str) -> TensorError {
        Error::Msg(text.to_owned()).into()
    }

    #[test]
    fn errors_of_candle_lose_their_backtrace() {
        let backtrace = Box::new(std::backtrace::Backtrace::force_capture());
        let inner = Box::new(Error::Msg("no device".to_owned()));
        let error = Error::WithBacktrace { inner, backtrace };
        assert!(error.to_string().lines().count() > 2, "candle shows it");
        let wrapped = Error::Msg(error.to_string());
        let error = Err::<(), _>(error).context("copying").unwrap_err();
        assert_eq!(TensorError::from(error).to_string(), "copying: no device");
        assert_eq!(TensorError::from(wrapped).to_string(), "no device");
    }

    #[test]
    fn errors_of_the_driver_are_words() {
        let said = |text| of_text(text).to_string();
        assert_eq!(
            said(r#"DriverError(CUDA_ERROR_INVALID_PTX, "a PTX JIT compilation failed") when loading conv"#),
            "a PTX JIT compilation failed (CUDA_ERROR_INVALID_PTX) when loading conv"
        );
        assert_eq!(
            said(r#"DriverError(CUDA_ERROR_NO_DEVICE, "<Failure when calling cuGetErrorString()>")"#),
            "CUDA_ERROR_NO_DEVICE"
        );
        assert_eq!(said("CublasError(CUBLAS_STATUS_NOT_SUPPORTED)"), "CUBLAS_STATUS_NOT_SUPPORTED");
        assert_eq!(said("DriverError(CUDA_ERROR_NO_DEVICE"), "DriverError(CUDA_ERROR_NO_DEVICE");
    }

    #[test]
    fn lack_of_memory_is_told_from_other_faults() {
        // As cudarc 0.19.10 writes them.
        for text in [
            r#"DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#,
            "CudnnError(CUDNN_STATUS_ALLOC_FAILED)",
            "CudnnError(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
            "CurandError(CURAND_STATUS_ALLOCATION_FAILED)",
        ] {
            assert!(of_text(text).is_out_of_memory(), "{text}");
        }
        for text in [
            r#"DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")"#,
            "CudnnError(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED)",
            "CublasError(CUBLAS_STATUS_NOT_INITIALIZED)",
            "shape mismatch in conv2d",
        ] {
            assert!(!of_text(text).is_out_of_memory(), "{text}");
        }
    }

    #[test]
    fn a_machine_without_a_gpu_is_told_from_a_gpu_that_fails() {
        let opened = |text| DeviceError::of_opening(3, of_text(text));
        let none = opened(r#"DriverError(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected")"#);
        assert!(matches!(none, DeviceError::NoDevice { .. }));
        assert_eq!(
            none.to_string(),
            "there is no CUDA device; the driver says: no CUDA-capable device is detected (CUDA_ERROR_NO_DEVICE). \
             `nvidia-smi` shows whether it sees one; `--device cpu` computes without"
        );
        let other = opened(r#"DriverError(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal")"#);
        assert!(matches!(other, DeviceError::Unusable { number: 3, .. }));
        assert!(other.to_string().starts_with(
            "the device `cuda:3` cannot be used: invalid device ordinal (CUDA_ERROR_INVALID_DEVICE). `nvidia-smi`"
        ));
    }

    #[test]
    fn half_a_batch_may_fit() {
        let advice = |failed| advice_on_memory(failed, |size| format!("Try {size}"));
        assert_eq!((advice(10), advice(3), advice(2)), ("Try 5".to_owned(), "Try 1".to_owned(), "Try 1".to_owned()));
        assert!(advice(1).contains("--device cpu"));
    }
}
