//! Whether layers run on our own kernels, or on plain tensors.

use std::cell::Cell;

use candle_core::{DType, Device, Tensor};

thread_local! {
    static ARE_OFF: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with every layer composed of candle's operations, without the kernels of this crate. A network is computed
/// on the thread that calls it, so the setting is this thread's.
///
/// For tests: what has no kernel on a device runs this way.
pub fn with_plain_tensors<R>(body: impl FnOnce() -> R) -> R {
    with(true, body)
}

/// Runs `body`, which computes a network on `device`, with the kernels of this thread's setting: for a processor, on a thread
/// of the pool on which the kernels share their work. From another thread, each kernel wakes the pool and waits for its end,
/// which takes a tenth of a training step.
///
/// `body` must not wait for another that runs in this way: the pool may have one thread.
pub fn on_pool<R: Send>(device: &Device, body: impl FnOnce() -> R + Send) -> R {
    if !device.is_cpu() {
        return body();
    }
    let are_off = ARE_OFF.get();
    rayon::scope(|_| with(are_off, body))
}

/// Runs `body` with or without the kernels.
fn with<R>(are_off: bool, body: impl FnOnce() -> R) -> R {
    /// Restores the setting, also when `body` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ARE_OFF.set(self.0);
        }
    }
    let _restore = Restore(ARE_OFF.replace(are_off));
    body()
}

/// Whether kernels compute `x`.
pub(super) fn take(x: &Tensor) -> bool {
    take_on_cpu(x) || take_on_gpu(x)
}

/// Whether the kernels of the CPU compute `x`: in f32 or f64.
pub(crate) fn take_on_cpu(x: &Tensor) -> bool {
    !ARE_OFF.get() && x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Whether the kernels of a GPU compute `x`: in f32, f64 or bf16, in a build that has them.
pub(crate) fn take_on_gpu(x: &Tensor) -> bool {
    let has_kernels = cfg!(feature = "cuda") && !ARE_OFF.get();
    has_kernels && x.device().is_cuda() && matches!(x.dtype(), DType::F32 | DType::F64 | DType::BF16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_ends_with_the_body() {
        let x = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        assert!(take(&x));
        with_plain_tensors(|| {
            assert!(!take(&x));
            with_plain_tensors(|| assert!(!take(&x)));
            assert!(!take(&x));
            on_pool(&Device::Cpu, || assert!(!take(&x)));
        });
        on_pool(&Device::Cpu, || assert!(take(&x)));
        let _ = std::panic::catch_unwind(|| with_plain_tensors(|| panic!("a layer")));
        assert!(take(&x));
    }
}
