//! Whether layers run on our own kernels, or on plain tensors.

use std::cell::Cell;

use candle_core::{DType, Tensor};

thread_local! {
    static ARE_OFF: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with every layer composed of candle's operations, without the kernels of this crate. A network is computed
/// on the thread that calls it, so the setting is this thread's.
///
/// For tests: what has no kernel on a device runs this way.
pub fn with_plain_tensors<R>(body: impl FnOnce() -> R) -> R {
    /// Restores the setting, also when `body` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ARE_OFF.set(self.0);
        }
    }
    let _restore = Restore(ARE_OFF.replace(true));
    body()
}

/// Whether the kernels compute `x`: in f32 or f64 on the CPU, also in bf16 on a GPU.
pub(crate) fn take(x: &Tensor) -> bool {
    !ARE_OFF.get()
        && match x.dtype() {
            DType::F32 | DType::F64 => x.device().is_cpu() || is_on_gpu(x),
            DType::BF16 => is_on_gpu(x),
            _ => false,
        }
}

/// Whether `x` is on a GPU for which this build has kernels.
pub(crate) fn is_on_gpu(x: &Tensor) -> bool {
    cfg!(feature = "cuda") && x.device().is_cuda()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_setting_ends_with_the_body() {
        let x = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        assert!(take(&x));
        with_plain_tensors(|| {
            assert!(!take(&x));
            with_plain_tensors(|| assert!(!take(&x)));
            assert!(!take(&x));
        });
        let _ = std::panic::catch_unwind(|| with_plain_tensors(|| panic!("a layer")));
        assert!(take(&x));
    }
}
