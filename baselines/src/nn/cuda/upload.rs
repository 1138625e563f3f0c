//! Copies images to the device from page-locked memory: the driver copies other memory twice, and waits for it.

use std::cell::RefCell;

use candle_core::{
    CudaDevice, CudaStorage, Result, Shape, Storage, Tensor, bail,
    cuda_backend::{WrapErr, cudarc::driver::PinnedHostSlice},
    op::BackpropOp,
};

use super::allocated;

/// Buffers of a thread. With two, one is filled while the device reads the other.
const BUFFERS: usize = 2;

thread_local! {
    /// All of one length, and which is next.
    static BUFFERS_OF_THREAD: RefCell<(Vec<PinnedHostSlice<f32>>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

/// `values` as a tensor on the device. The copy is queued, not waited for.
pub(crate) fn upload(values: &[f32], shape: impl Into<Shape>, device: &CudaDevice) -> Result<Tensor> {
    let shape = shape.into();
    if shape.elem_count() != values.len() || values.is_empty() {
        bail!("{} values are no tensor of {shape:?}", values.len());
    }
    let stream = device.cuda_stream();
    let mut copy = allocated::<f32>(device, values.len())?;
    BUFFERS_OF_THREAD.with_borrow_mut(|(buffers, next)| {
        if buffers.first().is_some_and(|buffer| buffer.len() != values.len()) {
            buffers.clear();
        }
        if buffers.len() < BUFFERS {
            #[expect(unsafe_code, reason = "memory with arbitrary values")]
            // SAFETY: it is written below before the device reads it.
            buffers.push(unsafe { stream.context().alloc_pinned(values.len()) }.w()?);
            *next = buffers.len() - 1;
        }
        let buffer = &mut buffers[*next];
        // Waits until the device has read what was in it.
        buffer.as_mut_slice().w()?.copy_from_slice(values);
        stream.memcpy_htod(buffer, &mut copy).w()?;
        *next = (*next + 1) % BUFFERS;
        Ok::<_, candle_core::Error>(())
    })?;
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(copy, device.clone()));
    Ok(Tensor::from_storage(storage, shape, BackpropOp::none(), false))
}
