//! Copies between page-locked memory and the device, which are queued and not waited for. Other memory the driver copies
//! twice, and waits for it.
//!
//! The events that cudarc keeps for such memory are not recorded, since the device's events are off: the ones here are
//! our own.

use std::{cell::RefCell, collections::HashMap, thread::LocalKey};

use candle_core::{
    CudaDevice, Result, Tensor, bail,
    cuda_backend::{
        CudaDType, WrapErr,
        cudarc::driver::{CudaEvent, DeviceRepr, PinnedHostSlice, ValidAsZeroBits},
    },
};

use super::{OnGpu, allocated, tensor};

/// Page-locked memory, and the end of the copy that last used it.
pub(crate) struct Buffer<T> {
    memory: PinnedHostSlice<T>,
    copied: Option<CudaEvent>,
}

impl<T: DeviceRepr + ValidAsZeroBits> Buffer<T> {
    fn new(device: &CudaDevice, length: usize) -> Result<Self> {
        let stream = device.cuda_stream();
        #[expect(unsafe_code, reason = "memory with arbitrary values")]
        // SAFETY: it is written, by this program or by the device, before it is read.
        let memory = unsafe { stream.context().alloc_pinned_with_flags(length, 0) }.w()?;
        Ok(Self { memory, copied: None })
    }

    /// Waits for the copy that uses it.
    fn wait(&mut self) -> Result<()> {
        match self.copied.take() {
            Some(copied) => copied.synchronize().w(),
            None => Ok(()),
        }
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // The memory must outlive the copy. If the device has failed, no copy runs any more.
        if let Some(copied) = self.copied.take() {
            let _ = copied.synchronize();
        }
    }
}

/// Buffers of one length. With two, one is filled while the device reads the other.
const BUFFERS: usize = 2;
/// Lengths for which a thread keeps buffers: images, labels, series of some lengths, dropout masks. With more it begins anew.
const LENGTHS: usize = 16;

/// Buffers of one length, and which is next.
pub(crate) struct Ring<T> {
    buffers: Vec<Buffer<T>>,
    next: usize,
}

/// A thread's buffers, by their length.
type Rings<T> = RefCell<HashMap<usize, Ring<T>>>;

/// A type whose values go to the device.
pub(crate) trait Staged: CudaDType + DeviceRepr + ValidAsZeroBits + Copy + 'static {
    /// This thread's buffers.
    fn rings() -> &'static LocalKey<Rings<Self>>;
}

macro_rules! staged {
    ($($t:ty),*) => {$(
        impl Staged for $t {
            fn rings() -> &'static LocalKey<Rings<Self>> {
                thread_local!(static RINGS: Rings<$t> = RefCell::default());
                &RINGS
            }
        }
    )*};
}
staged!(f32, u8);

thread_local! {
    /// Buffers of classes that no copy uses.
    static CLASSES: RefCell<Vec<Buffer<u8>>> = const { RefCell::new(Vec::new()) };
}

/// `values` as a tensor on the device.
pub(crate) fn upload<T: Staged>(values: &[T], shape: &[usize], device: &CudaDevice) -> Result<Tensor> {
    if shape.iter().product::<usize>() != values.len() || values.is_empty() {
        bail!("{} values are no tensor of {shape:?}", values.len());
    }
    let stream = device.cuda_stream();
    let mut copy = allocated::<T>(device, values.len())?;
    T::rings().with_borrow_mut(|rings| {
        if rings.len() >= LENGTHS && !rings.contains_key(&values.len()) {
            rings.clear();
        }
        let ring = rings.entry(values.len()).or_insert(Ring { buffers: Vec::new(), next: 0 });
        if ring.next == ring.buffers.len() {
            ring.buffers.push(Buffer::new(device, values.len())?);
        }
        let buffer = &mut ring.buffers[ring.next];
        buffer.wait()?;
        buffer.memory.as_mut_slice().w()?.copy_from_slice(values);
        stream.memcpy_htod(&buffer.memory, &mut copy).w()?;
        buffer.copied = Some(stream.record_event(None).w()?);
        ring.next = (ring.next + 1) % BUFFERS;
        Ok::<_, candle_core::Error>(())
    })?;
    Ok(tensor(copy, device, shape))
}

/// A copy of bytes from the device.
pub(crate) struct Download {
    buffer: Buffer<u8>,
    /// The source, which must outlive the copy.
    _tensor: Tensor,
}

impl Download {
    /// Queues the copy of a tensor of u8.
    pub(crate) fn start(tensor: &Tensor) -> Result<Self> {
        let tensor = tensor.contiguous()?;
        let seen = OnGpu::of(&tensor);
        let (bytes, device) = (seen.values::<u8>()?, &seen.storage()?.device);
        let kept = CLASSES.with_borrow_mut(|kept| {
            let fitting = kept.iter().position(|buffer| buffer.memory.len() == bytes.len());
            fitting.map(|index| kept.swap_remove(index))
        });
        let mut buffer = match kept {
            Some(buffer) => buffer,
            None => Buffer::new(device, bytes.len())?,
        };
        let stream = device.cuda_stream();
        stream.memcpy_dtoh(&bytes, &mut buffer.memory).w()?;
        buffer.copied = Some(stream.record_event(None).w()?);
        Ok(Self { buffer, _tensor: tensor.clone() })
    }

    /// Waits for this copy alone, and returns the bytes.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        self.buffer.wait()?;
        let bytes = self.buffer.memory.as_slice().w()?.to_vec();
        CLASSES.with_borrow_mut(|kept| {
            // A last, smaller batch has another length.
            kept.truncate(BUFFERS);
            kept.push(self.buffer);
        });
        Ok(bytes)
    }
}
