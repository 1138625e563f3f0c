//! Copies between page-locked memory and the device, which are queued and not waited for. Other memory the driver copies
//! twice, and waits for it.
//!
//! What goes up has a stream of its own, so that it goes while the network computes: on the stream of the network it would
//! wait for all that is queued there. It goes to memory that is kept for it; the stream of the network waits for the end of
//! that copy, and takes the values from there (on the device, some hundred times as fast).
//!
//! The events that cudarc keeps for such memory are not recorded, since the device's events are off: the ones here are
//! our own.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    sync::Arc,
    thread::LocalKey,
};

use candle_core::{
    CudaDevice, Result, Tensor, bail,
    cuda_backend::{
        CudaDType, WrapErr,
        cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DeviceRepr, PinnedHostSlice, ValidAsZeroBits},
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

/// Memory on both sides, on the way up.
pub(crate) struct Staging<T> {
    host: Buffer<T>,
    device: CudaSlice<T>,
    /// The end of the copy that last took values from `device`.
    taken: Option<CudaEvent>,
}

impl<T: DeviceRepr + ValidAsZeroBits> Staging<T> {
    fn new(device: &CudaDevice, length: usize) -> Result<Self> {
        let copies = stream_of_copies(device)?;
        let host = Buffer::new(device, length)?;
        #[expect(unsafe_code, reason = "memory with arbitrary values")]
        // SAFETY: `send` writes the whole of it before anything reads it, on the same stream.
        let device = unsafe { copies.alloc(length) }.w()?;
        Ok(Self { host, device, taken: None })
    }

    /// Copies `values` to `to`, memory of the network's stream.
    fn send(&mut self, values: &[T], to: &mut CudaSlice<T>) -> Result<()>
    where
        T: Copy,
    {
        let (copies, network) = (self.device.stream().clone(), to.stream().clone());
        self.host.wait()?;
        self.host.memory.as_mut_slice().w()?.copy_from_slice(values);
        if let Some(taken) = self.taken.take() {
            copies.wait(&taken).w()?;
        }
        copies.memcpy_htod(&self.host.memory, &mut self.device).w()?;
        let copied = self.host.copied.insert(copies.record_event(None).w()?);
        network.wait(copied).w()?;
        network.memcpy_dtod(&self.device, to).w()?;
        self.taken = Some(network.record_event(None).w()?);
        Ok(())
    }
}

impl<T> Drop for Staging<T> {
    fn drop(&mut self) {
        // Its stream frees the memory, after the copy from it. If the device has failed, no copy runs any more.
        if let Some(taken) = self.taken.take() {
            let _ = self.device.stream().wait(&taken);
        }
    }
}

thread_local! {
    /// The stream of this thread's copies to the device.
    static COPIES: OnceCell<Arc<CudaStream>> = const { OnceCell::new() };
}

fn stream_of_copies(device: &CudaDevice) -> Result<Arc<CudaStream>> {
    COPIES.with(|kept| {
        if let Some(stream) = kept.get() {
            return Ok(stream.clone());
        }
        let stream = device.cuda_stream().context().new_stream().w()?;
        Ok(kept.get_or_init(|| stream).clone())
    })
}

/// Memory for one length. With two, one is filled while the device reads the other.
const BUFFERS: usize = 2;
/// Lengths for which a thread keeps memory: images, labels, series of some lengths, dropout masks. With more it begins anew.
const LENGTHS: usize = 16;

/// Memory for one length, and which is next.
pub(crate) struct Ring<T> {
    buffers: Vec<Staging<T>>,
    next: usize,
}

/// A thread's memory on the way up, by length.
type Rings<T> = RefCell<HashMap<usize, Ring<T>>>;

/// A type whose values go to the device.
pub(crate) trait Staged: CudaDType + DeviceRepr + ValidAsZeroBits + Copy + 'static {
    /// This thread's memory on the way up.
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
    let mut copy = allocated::<T>(device, values.len())?;
    T::rings().with_borrow_mut(|rings| {
        if rings.len() >= LENGTHS && !rings.contains_key(&values.len()) {
            rings.clear();
        }
        let ring = rings.entry(values.len()).or_insert(Ring { buffers: Vec::new(), next: 0 });
        if ring.next == ring.buffers.len() {
            ring.buffers.push(Staging::new(device, values.len())?);
        }
        ring.buffers[ring.next].send(values, &mut copy)?;
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
