//! Convolutions by cuDNN: forward, and the gradients of input and weight.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, hash_map::Entry},
    mem::ManuallyDrop,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use candle_core::{
    CudaDevice, CudaStorage, Layout, Result, Shape, Storage, Tensor, WithDType, bail,
    cuda_backend::{
        DeviceId,
        cudarc::{
            cudnn::{
                ConvBackwardData, ConvBackwardFilter, ConvBiasActivationForward, ConvDescriptor, ConvForward, Cudnn,
                CudnnError, FilterDescriptor, TensorDescriptor,
                sys::{
                    cudnnActivationMode_t as Activation, cudnnConvolutionBwdDataAlgo_t as OfInput,
                    cudnnConvolutionBwdFilterAlgo_t as OfWeight, cudnnConvolutionFwdAlgo_t as Forward,
                    cudnnConvolutionMode_t as ConvolutionMode, cudnnMathType_t as MathType,
                    cudnnNanPropagation_t as NanPropagation, cudnnTensorFormat_t as Format,
                },
            },
            driver::{CudaSlice, CudaView, DevicePtrMut},
        },
        gemm_reduced_precision_f32,
    },
    op::BackpropOp,
};

use super::{
    OnGpu, Real, allocated, by_type,
    elementwise::int,
    launch::{Pointer, elementwise, launch},
    tensor, values,
};
use crate::nn::{conv::Sizes, cpu::Windows};

/// Maximum memory that one convolution may use beside its tensors, in bytes. Algorithms that want more are passed over.
const MAX_WORKSPACE: usize = 1 << 30;

static IS_REPRODUCIBLE: AtomicBool = AtomicBool::new(false);

/// Whether to pass over algorithms whose sums depend on the order in which blocks run. Holds for convolutions of shapes
/// that were not computed yet: set it before the first one.
pub(crate) fn set_reproducible(is_reproducible: bool) {
    IS_REPRODUCIBLE.store(is_reproducible, Ordering::Relaxed);
}

thread_local! {
    /// A handle is of one thread and device.
    static HANDLES: RefCell<HashMap<DeviceId, Handle>> = RefCell::default();
}

/// cuDNN on a device, its workspace, and what was chosen for each shape.
struct Handle {
    /// Never destroyed: where the device has failed, that would end the process by a panic while its thread ends.
    cudnn: ManuallyDrop<Arc<Cudnn>>,
    /// Grows to what the largest convolution needs. The stream's order keeps two convolutions from using it at once.
    workspace: Option<CudaSlice<u8>>,
    forward: HashMap<Key, (Forward, usize)>,
    of_input: HashMap<Key, (OfInput, usize)>,
    of_weight: HashMap<Key, (OfWeight, usize)>,
    /// Shapes for which cuDNN does not finish values in the convolution.
    unfused: HashSet<Key>,
}

/// What the choice of an algorithm depends on: the type, whether its factors may be rounded to TF32, and the sizes.
type Key = (candle_core::DType, bool, [usize; 9]);

impl Handle {
    /// Memory of at least `bytes`.
    fn workspace(&mut self, device: &CudaDevice, bytes: usize) -> Result<&mut Option<CudaSlice<u8>>> {
        if bytes > self.workspace.as_ref().map_or(0, CudaSlice::len) {
            // Give the smaller one back first.
            self.workspace = None;
            self.workspace = Some(allocated(device, bytes)?);
        }
        Ok(&mut self.workspace)
    }
}

/// Runs `body` with this thread's handle for the device.
fn with_handle<R>(device: &CudaDevice, body: impl FnOnce(&mut Handle) -> Result<R>) -> Result<R> {
    HANDLES.with_borrow_mut(|handles| {
        let handle = match handles.entry(device.id()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Handle {
                cudnn: ManuallyDrop::new(Cudnn::new(device.cuda_stream())?),
                workspace: None,
                forward: HashMap::new(),
                of_input: HashMap::new(),
                of_weight: HashMap::new(),
                unfused: HashSet::new(),
            }),
        };
        body(handle)
    })
}

/// The parts of a convolution as cuDNN describes them.
struct Described<T: Real> {
    x: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    convolution: ConvDescriptor<T::Computed>,
    y: TensorDescriptor<T>,
    key: Key,
}

impl<T: Real> Described<T> {
    fn new(cudnn: &Arc<Cudnn>, sizes: &Sizes) -> Result<Self> {
        let Sizes { batch, channels: (c_in, c_out), windows, count } = *sizes;
        let Windows { image, kernel, stride, padding } = windows;
        let tensor = |channels: usize, (height, width): (usize, usize)| {
            let dims = [int(batch)?, int(channels)?, int(height)?, int(width)?];
            Ok::<_, candle_core::Error>(cudnn.create_4d_tensor::<T>(Format::CUDNN_TENSOR_NCHW, dims)?)
        };
        let filter = [int(c_out)?, int(c_in)?, int(kernel.0)?, int(kernel.1)?];
        let (stride, padding) = ([int(stride)?; 2], [int(padding)?; 2]);
        let mode = ConvolutionMode::CUDNN_CROSS_CORRELATION;
        let mut convolution = cudnn.create_conv2d::<T::Computed>(padding, stride, [1; 2], mode)?;
        let is_rounded = gemm_reduced_precision_f32();
        // cuDNN's default rounds the factors of f32 to TF32.
        convolution.set_math_type(match T::DTYPE {
            candle_core::DType::F32 if !is_rounded => MathType::CUDNN_FMA_MATH,
            candle_core::DType::BF16 => MathType::CUDNN_TENSOR_OP_MATH,
            _ => MathType::CUDNN_DEFAULT_MATH,
        })?;
        let sizes = [batch, c_in, c_out, image.0, image.1, kernel.0, kernel.1, windows.stride, windows.padding];
        Ok(Self {
            x: tensor(c_in, image)?,
            weight: cudnn.create_4d_filter::<T>(Format::CUDNN_TENSOR_NCHW, filter)?,
            convolution,
            y: tensor(c_out, count)?,
            key: (T::DTYPE, is_rounded, sizes),
        })
    }

    fn forward(&self) -> ConvForward<'_, T, T::Computed, T> {
        ConvForward { conv: &self.convolution, x: &self.x, w: &self.weight, y: &self.y }
    }
}

/// The algorithm for a shape, and the memory that it uses, chosen at the first time: of what cuDNN supports here within the
/// limit of memory, the one that it picks, else the first of the others. `is_stable` tells whether an algorithm sums in a
/// fixed order.
fn algorithm<A: Copy>(
    known: &mut HashMap<Key, (A, usize)>,
    key: Key,
    pick: impl FnOnce() -> std::result::Result<A, CudnnError>,
    others: &[A],
    is_stable: impl Fn(A) -> bool,
    bytes: impl Fn(A) -> std::result::Result<usize, CudnnError>,
) -> Result<(A, usize)> {
    if let Some(found) = known.get(&key) {
        return Ok(*found);
    }
    let may_vary = !IS_REPRODUCIBLE.load(Ordering::Relaxed);
    let candidates = pick().ok().into_iter().chain(others.iter().copied()).filter(|&a| may_vary || is_stable(a));
    let mut supported = candidates.filter_map(|algorithm| Some((algorithm, bytes(algorithm).ok()?)));
    let Some(found) = supported.find(|(_, bytes)| *bytes <= MAX_WORKSPACE) else {
        bail!("cuDNN has no algorithm for this convolution")
    };
    known.insert(key, found);
    Ok(found)
}

/// `x [B, C, H, W]` by `weight [N, C, k, k]`, plus `bias [N]`: `[B, N, H', W']`.
pub(in crate::nn) fn forward(
    (x, lx): (&CudaStorage, &Layout),
    (weight, lw): (&CudaStorage, &Layout),
    bias: Option<(&CudaStorage, &Layout)>,
    sizes: &Sizes,
) -> Result<CudaStorage> {
    let device = x.device.clone();
    by_type!(x, T => {
        let (x, weight) = (values::<T>(x, lx)?, values::<T>(weight, lw)?);
        let mut y = allocated::<T>(&device, sizes.batch * sizes.channels.1 * sizes.all())?;
        with_handle(&device, |handle| {
            let described = Described::<T>::new(&handle.cudnn, sizes)?;
            let op = described.forward();
            let (algorithm, bytes) = forward_algorithm(&mut handle.forward, described.key, &op)?;
            let workspace = handle.workspace(&device, bytes)?.as_mut();
            #[expect(unsafe_code, reason = "a call of cuDNN")]
            // SAFETY: the memory is of the types and sizes that the descriptors give.
            unsafe { op.launch(algorithm, workspace, (T::from_f64(1.0), T::from_f64(0.0)), &x, &weight, &mut y) }?;
            Ok(())
        })?;
        if let Some((bias, layout)) = bias {
            finish::<T>(&device, &y, (bias, layout), None, Rectified::No, sizes)?;
        }
        Ok(CudaStorage::wrap_cuda_slice(y, device))
    })
}

fn forward_algorithm<T: Real>(
    known: &mut HashMap<Key, (Forward, usize)>,
    key: Key,
    op: &ConvForward<'_, T, T::Computed, T>,
) -> Result<(Forward, usize)> {
    let others =
        [Forward::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, Forward::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM];
    algorithm(known, key, || op.pick_algorithm(), &others, |_| true, |algorithm| op.get_workspace_size(algorithm))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rectified {
    Yes,
    No,
}

/// Adds a bias to `y [B, N, …]` in place, also a residual, and rectifies the sum if asked to.
fn finish<T: Real>(
    device: &CudaDevice,
    y: &CudaSlice<T>,
    (bias, layout): (&CudaStorage, &Layout),
    residual: Option<&CudaView<'_, T>>,
    rectified: Rectified,
    sizes: &Sizes,
) -> Result<()> {
    let bias = values::<T::Computed>(bias, layout)?;
    if bias.len() != sizes.channels.1 {
        bail!("the length of a bias must be the number of output channels");
    }
    let (residual, rectified) = (Pointer::to(residual, device), i32::from(rectified == Rectified::Yes));
    let (channels, plane, count) = (int(sizes.channels.1)?, sizes.all() as u64, y.len() as u64);
    let config = elementwise(y.len());
    launch!(device, T, "epilogue", config; y, &bias, &residual, &rectified, &channels, &plane, &count);
    Ok(())
}

/// `max(0, x by weight + bias + residual)` of contiguous tensors, for prediction: it has no gradient. cuDNN finishes each
/// value before it writes it, where it can; else a kernel of ours does so after it. The bias has the type of parameters.
pub(in crate::nn) fn forward_rectified(
    [x, weight, bias]: [&Tensor; 3],
    residual: Option<&Tensor>,
    sizes: &Sizes,
) -> Result<Tensor> {
    let shape: Shape = (sizes.batch, sizes.channels.1, sizes.count.0, sizes.count.1).into();
    if let Some(residual) = residual.filter(|residual| residual.shape() != &shape) {
        bail!("a residual of {:?} does not fit an output of {shape:?}", residual.shape());
    }
    let ([x, weight, bias], residual) = ([x, weight, bias].map(OnGpu::of), residual.map(OnGpu::of));
    let (storage, device) = (x.storage()?, &x.storage()?.device);
    let [x, weight, bias] = [(storage, x.layout), (weight.storage()?, weight.layout), (bias.storage()?, bias.layout)];
    by_type!(storage, T => {
        let residual = residual.as_ref().map(OnGpu::values::<T>).transpose()?;
        // cuDNN wants the bias in the type of the image, which in bf16 would round it.
        if T::DTYPE == <T as Real>::Computed::DTYPE
            && let Some(y) = fused::<T>(x, weight, bias, residual.as_ref(), sizes)?
        {
            return Ok(tensor(y, device, shape));
        }
        let y = forward(x, weight, None, sizes)?;
        finish::<T>(device, y.as_cuda_slice::<T>()?, bias, residual.as_ref(), Rectified::Yes, sizes)?;
        Ok(Tensor::from_storage(Storage::Cuda(y), shape, BackpropOp::none(), false))
    })
}

/// The same by one call of cuDNN; `None` if it has none for these sizes.
fn fused<T: Real>(
    (x, lx): (&CudaStorage, &Layout),
    (weight, lw): (&CudaStorage, &Layout),
    (bias, lb): (&CudaStorage, &Layout),
    residual: Option<&CudaView<'_, T>>,
    sizes: &Sizes,
) -> Result<Option<CudaSlice<T>>> {
    let device = x.device.clone();
    let (x, weight, bias) = (values::<T>(x, lx)?, values::<T>(weight, lw)?, values::<T>(bias, lb)?);
    if bias.len() != sizes.channels.1 {
        bail!("the length of a bias must be the number of output channels");
    }
    with_handle(&device, |handle| {
        let described = Described::<T>::new(&handle.cudnn, sizes)?;
        if handle.unfused.contains(&described.key) {
            return Ok(None);
        }
        let mut y = allocated::<T>(&device, sizes.batch * sizes.channels.1 * sizes.all())?;
        let op = described.forward();
        let (algorithm, bytes) = forward_algorithm(&mut handle.forward, described.key, &op)?;
        let dims = [1, int(sizes.channels.1)?, 1, 1];
        let bias_descriptor = handle.cudnn.create_4d_tensor::<T>(Format::CUDNN_TENSOR_NCHW, dims)?;
        let activation = handle.cudnn.create_activation::<T::Computed>(
            Activation::CUDNN_ACTIVATION_RELU,
            NanPropagation::CUDNN_PROPAGATE_NAN,
            0.0,
        )?;
        let op = ConvBiasActivationForward {
            conv: &described.convolution,
            act: &activation,
            x: &described.x,
            w: &described.weight,
            z: &described.y,
            bias: &bias_descriptor,
            y: &described.y,
        };
        let workspace = handle.workspace(&device, bytes)?.as_mut();
        // Without a residual cuDNN wants a tensor of its shape all the same, and gets the output, times 0.
        let output = alias(&device, &mut y);
        let (residual, factor) = match residual {
            Some(residual) => (residual.slice(..), T::from_f64(1.0)),
            None => (output.slice(..), T::from_f64(0.0)),
        };
        #[expect(unsafe_code, reason = "a call of cuDNN")]
        // SAFETY: the memory is of the types and sizes that the descriptors give.
        let done = unsafe {
            op.launch(algorithm, workspace, (T::from_f64(1.0), factor), &x, &weight, &residual, &bias, &mut y)
        };
        ManuallyDrop::into_inner(output).leak();
        if let Err(error) = done {
            tracing::debug!("cuDNN does not finish the convolution of {sizes:?}: {error}");
            handle.unfused.insert(described.key);
            return Ok(None);
        }
        Ok(Some(y))
    })
}

/// The same memory again, which is freed once: cuDNN takes an output as an input, too.
fn alias<T: Real>(device: &CudaDevice, y: &mut CudaSlice<T>) -> ManuallyDrop<CudaSlice<T>> {
    let stream = device.cuda_stream();
    let (length, (address, _use)) = (y.len(), y.device_ptr_mut(&stream));
    #[expect(unsafe_code, reason = "a second name for memory that outlives it")]
    // SAFETY: the address and length are those of `y`, which the caller keeps; this one never frees it.
    ManuallyDrop::new(unsafe { stream.upgrade_device_ptr(address, length) })
}

/// Gradient of the input, from that of the output `[B, N, H', W']`: `[B, C, H, W]`. Also the transposed convolution.
pub(in crate::nn) fn gradient_of_input(
    (g, lg): (&CudaStorage, &Layout),
    (weight, lw): (&CudaStorage, &Layout),
    sizes: &Sizes,
) -> Result<CudaStorage> {
    let device = g.device.clone();
    by_type!(g, T => {
        let (g, weight) = (values::<T>(g, lg)?, values::<T>(weight, lw)?);
        let mut of_x = allocated::<T>(&device, sizes.batch * sizes.channels.0 * sizes.windows.pixels())?;
        with_handle(&device, |handle| {
            let described = Described::<T>::new(&handle.cudnn, sizes)?;
            let op = ConvBackwardData {
                conv: &described.convolution,
                dx: &described.x,
                w: &described.weight,
                dy: &described.y,
            };
            let others = [OfInput::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, OfInput::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0];
            let is_stable = |algorithm| algorithm != OfInput::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0;
            let (pick, size) = (|| op.pick_algorithm(), |algorithm| op.get_workspace_size(algorithm));
            let (algorithm, bytes) = algorithm(&mut handle.of_input, described.key, pick, &others, is_stable, size)?;
            let workspace = handle.workspace(&device, bytes)?.as_mut();
            #[expect(unsafe_code, reason = "a call of cuDNN")]
            // SAFETY: the memory is of the types and sizes that the descriptors give.
            unsafe { op.launch(algorithm, workspace, (T::from_f64(1.0), T::from_f64(0.0)), &mut of_x, &weight, &g) }?;
            Ok(())
        })?;
        Ok(CudaStorage::wrap_cuda_slice(of_x, device))
    })
}

/// Gradient of the weight, from that of the output: `[N, C, k, k]`.
pub(in crate::nn) fn gradient_of_weight(
    (x, lx): (&CudaStorage, &Layout),
    (g, lg): (&CudaStorage, &Layout),
    sizes: &Sizes,
) -> Result<CudaStorage> {
    let device = g.device.clone();
    by_type!(g, T => {
        let (x, g) = (values::<T>(x, lx)?, values::<T>(g, lg)?);
        let (c_in, c_out) = sizes.channels;
        let mut of_weight = allocated::<T>(&device, c_out * c_in * sizes.windows.taps())?;
        with_handle(&device, |handle| {
            let described = Described::<T>::new(&handle.cudnn, sizes)?;
            let op = ConvBackwardFilter {
                conv: &described.convolution,
                x: &described.x,
                dw: &described.weight,
                dy: &described.y,
            };
            let varying =
                [OfWeight::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3, OfWeight::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0];
            let others = [OfWeight::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, varying[0], varying[1]];
            let is_stable = |algorithm| !varying.contains(&algorithm);
            let (pick, size) = (|| op.pick_algorithm(), |algorithm| op.get_workspace_size(algorithm));
            let (algorithm, bytes) = algorithm(&mut handle.of_weight, described.key, pick, &others, is_stable, size)?;
            let workspace = handle.workspace(&device, bytes)?.as_mut();
            #[expect(unsafe_code, reason = "a call of cuDNN")]
            // SAFETY: the memory is of the types and sizes that the descriptors give.
            unsafe { op.launch(algorithm, workspace, (T::from_f64(1.0), T::from_f64(0.0)), &x, &mut of_weight, &g) }?;
            Ok(())
        })?;
        Ok(CudaStorage::wrap_cuda_slice(of_weight, device))
    })
}
