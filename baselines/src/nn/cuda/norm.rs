//! Batch norm by the batch's own statistics, and the standardisation of groups.

use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail,
    cuda_backend::cudarc::driver::CudaSlice, op::BackpropOp,
};

use super::{
    Real, allocated, by_type,
    elementwise::int,
    launch::{Pointer, THREADS, elementwise, grid, launch},
    values,
};

/// Values of a channel per block of a sum: fewer, and the blocks cost more than what they read.
const VALUES_OF_A_BLOCK: usize = 1 << 14;
/// Maximum number of blocks that sum one channel.
const MAX_PARTS: usize = 256;

/// Sizes of a tensor `[B, C, …]`.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    channels: usize,
    /// Values per channel and sample.
    plane: usize,
    /// Values per channel.
    each: usize,
}

impl Sizes {
    fn of(shape: &Shape) -> Result<Self> {
        match shape.dims() {
            [batch, channels, rest @ ..] if *channels > 0 => {
                let plane = rest.iter().product::<usize>().max(1);
                Ok(Self { channels: *channels, plane, each: batch * plane })
            }
            dims => bail!("a norm needs a tensor [B, C, …], got {dims:?}"),
        }
    }

    /// Blocks that share the sum of one channel.
    fn parts(self) -> u32 {
        u32::try_from(self.each.div_ceil(VALUES_OF_A_BLOCK).clamp(1, MAX_PARTS)).unwrap_or(1)
    }
}

/// Statistics of each channel, on the device.
#[derive(Clone, Debug)]
struct Statistics {
    /// `[C]`.
    mean: Tensor,
    /// `[C]`, biased.
    variance: Tensor,
    epsilon: f64,
}

/// Normalises `x [B, C, …]` with its own statistics, then applies `weight` and `bias`. Also returns the mean and the
/// biased variance of each channel, `[C]`, without gradients.
pub(in crate::nn) fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor, Tensor)> {
    let x = x.contiguous()?;
    let statistics = statistics(&x, epsilon)?;
    let (mean, variance) = (statistics.mean.clone(), statistics.variance.clone());
    Ok((x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Normalise(statistics))?, mean, variance))
}

/// Normalises each of `groups` groups of each sample's channels to mean 0 and variance 1.
pub(in crate::nn) fn standardise(x: &Tensor, groups: usize, epsilon: f64) -> Result<Tensor> {
    // Each group is a channel of one sample.
    let rows = x.contiguous()?.reshape((1, x.dim(0)? * groups, ()))?;
    let statistics = statistics(&rows, epsilon)?;
    rows.apply_op1(Normalise(statistics))?.reshape(x.shape())
}

fn statistics(x: &Tensor, epsilon: f64) -> Result<Statistics> {
    let sizes = Sizes::of(x.shape())?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { bail!("the tensor is not on a GPU") };
    let device = storage.device.clone();
    by_type!(storage, T => {
        let x = values::<T>(storage, layout)?;
        let parts = allocated::<f64>(&device, 2 * sizes.channels * sizes.parts() as usize)?;
        let (channels, plane, each) = (int(sizes.channels)?, sizes.plane as u64, sizes.each as u64);
        let blocks = grid(u32::try_from(sizes.channels).unwrap_or(u32::MAX), sizes.parts());
        launch!(&device, T, "moments", blocks; &x, &parts, &channels, &plane, &each);
        let mean = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
        let variance = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
        let count = int(sizes.parts() as usize)?;
        launch!(
            &device, T, "moments_end", elementwise(sizes.channels);
            &x, &parts, &mean, &variance, &channels, &count, &plane, &each,
        );
        let tensor = |slice: CudaSlice<<T as Real>::Computed>| of_channels(slice, &device, sizes.channels);
        Ok(Statistics { mean: tensor(mean), variance: tensor(variance), epsilon })
    })
}

/// Memory as a tensor `[C]`.
fn of_channels<T: candle_core::cuda_backend::CudaDType>(
    slice: CudaSlice<T>,
    device: &CudaDevice,
    channels: usize,
) -> Tensor {
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(slice, device.clone()));
    Tensor::from_storage(storage, channels, BackpropOp::none(), false)
}

/// `(x - mean) / √(variance + ε)`, as a `CustomOp3` times `weight` plus `bias`, with the gradients of a norm by its own
/// statistics.
struct Normalise(Statistics);

/// Runs `body` with the views of the mean and the variance.
macro_rules! with_statistics {
    ($statistics:expr, $t:ty, ($mean:ident, $variance:ident) => $body:expr) => {{
        let ((mean, mean_layout), (variance, variance_layout)) =
            ($statistics.mean.storage_and_layout(), $statistics.variance.storage_and_layout());
        let (Storage::Cuda(mean), Storage::Cuda(variance)) = (&*mean, &*variance) else {
            bail!("the statistics are not on a GPU")
        };
        let $mean = values::<<$t as Real>::Computed>(mean, mean_layout)?;
        let $variance = values::<<$t as Real>::Computed>(variance, variance_layout)?;
        $body
    }};
}

impl Normalise {
    fn forward(
        &self,
        (x, lx): (&CudaStorage, &Layout),
        affine: Option<[(&CudaStorage, &Layout); 2]>,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = Sizes::of(lx.shape())?;
        let device = x.device.clone();
        by_type!(x, T => with_statistics!(self.0, T, (mean, variance) => {
            let x = values::<T>(x, lx)?;
            let y = allocated::<T>(&device, x.len())?;
            let (channels, plane, count) = (int(sizes.channels)?, sizes.plane as u64, x.len() as u64);
            if let Some([(weight, lw), (bias, lb)]) = affine {
                    let weight = values::<<T as Real>::Computed>(weight, lw)?;
                    let bias = values::<<T as Real>::Computed>(bias, lb)?;
                    if [weight.len(), bias.len()] != [sizes.channels; 2] {
                        bail!("a norm of {} channels got an input of {}", weight.len(), sizes.channels);
                    }
                    launch!(
                        &device, T, "normalise", elementwise(x.len());
                        &x, &mean, &variance, &weight, &bias, &y, &channels, &plane, &self.0.epsilon, &count,
                    );
                } else {
                    let null = Pointer(0);
                    launch!(
                        &device, T, "normalise", elementwise(x.len());
                        &x, &mean, &variance, &null, &null, &y, &channels, &plane, &self.0.epsilon, &count,
                    );
            }
            Ok((CudaStorage::wrap_cuda_slice(y, device), lx.shape().clone()))
        }))
    }

    /// Gradients of weight and bias, `[C]`: Σ g·x̂ and Σ g of each channel.
    fn sums(&self, x: &Tensor, gradient: &Tensor) -> Result<(Tensor, Tensor)> {
        let sizes = Sizes::of(x.shape())?;
        let ((x, lx), (g, lg)) = (x.storage_and_layout(), gradient.storage_and_layout());
        let (Storage::Cuda(x), Storage::Cuda(g)) = (&*x, &*g) else { bail!("the tensor is not on a GPU") };
        let device = x.device.clone();
        by_type!(x, T => with_statistics!(self.0, T, (mean, variance) => {
            let (x, g) = (values::<T>(x, lx)?, values::<T>(g, lg)?);
            let parts = allocated::<f64>(&device, 2 * sizes.channels * sizes.parts() as usize)?;
            let (channels, plane, each) = (int(sizes.channels)?, sizes.plane as u64, sizes.each as u64);
            let blocks = grid(u32::try_from(sizes.channels).unwrap_or(u32::MAX), sizes.parts());
            launch!(&device, T, "gradient_sums", blocks; &g, &x, &mean, &parts, &channels, &plane, &each);
            let of_weight = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
            let of_bias = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
            let count = int(sizes.parts() as usize)?;
            launch!(
                &device, T, "gradient_sums_end", elementwise(sizes.channels);
                &parts, &variance, &of_weight, &of_bias, &channels, &count, &self.0.epsilon,
            );
            let tensor = |slice: CudaSlice<<T as Real>::Computed>| of_channels(slice, &device, sizes.channels);
            Ok((tensor(of_weight), tensor(of_bias)))
        }))
    }

    fn gradients(&self, x: &Tensor, weight: Option<&Tensor>, g: &Tensor) -> Result<(Option<Tensor>, Tensor, Tensor)> {
        let g = g.contiguous()?;
        let (of_weight, of_bias) = self.sums(x, &g)?;
        let op = Gradient {
            statistics: self.0.clone(),
            weight: weight.map(Tensor::detach),
            sums: (of_weight.clone(), of_bias.clone()),
        };
        let of_x = x.track_op().then(|| g.apply_op2_no_bwd(x, &op)).transpose()?;
        Ok((of_x, of_weight, of_bias))
    }
}

impl CustomOp1 for Normalise {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this norm is for a GPU")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.forward((x, layout), None)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.gradients(x, None, gradient)?.0)
    }
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("this norm is for a GPU")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        weight: &CudaStorage,
        lw: &Layout,
        bias: &CudaStorage,
        lb: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.forward((x, lx), Some([(weight, lw), (bias, lb)]))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (of_x, of_weight, of_bias) = self.gradients(x, Some(weight), gradient)?;
        Ok((of_x, Some(of_weight), Some(of_bias)))
    }
}

/// The gradient of the input, from that of the output and the input.
struct Gradient {
    statistics: Statistics,
    weight: Option<Tensor>,
    /// Gradients of weight and bias.
    sums: (Tensor, Tensor),
}

impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "gradient of a norm"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this norm is for a GPU")
    }

    fn cuda_fwd(&self, g: &CudaStorage, lg: &Layout, x: &CudaStorage, lx: &Layout) -> Result<(CudaStorage, Shape)> {
        let sizes = Sizes::of(lx.shape())?;
        let device = x.device.clone();
        let Self { statistics, weight, sums: (of_weight, of_bias) } = self;
        let ((of_weight, lw), (of_bias, lb)) = (of_weight.storage_and_layout(), of_bias.storage_and_layout());
        let (Storage::Cuda(of_weight), Storage::Cuda(of_bias)) = (&*of_weight, &*of_bias) else {
            bail!("the gradients are not on a GPU")
        };
        by_type!(x, T => with_statistics!(statistics, T, (mean, variance) => {
            let (x, g) = (values::<T>(x, lx)?, values::<T>(g, lg)?);
            let of_weight = values::<<T as Real>::Computed>(of_weight, lw)?;
            let of_bias = values::<<T as Real>::Computed>(of_bias, lb)?;
            let of_x = allocated::<T>(&device, x.len())?;
            let (channels, plane, epsilon) = (int(sizes.channels)?, sizes.plane as u64, statistics.epsilon);
            let (each, count) = (sizes.each as u64, x.len() as u64);
            if let Some(weight) = weight {
                    let (weight, layout) = weight.storage_and_layout();
                    let Storage::Cuda(weight) = &*weight else { bail!("the weight is not on a GPU") };
                    let weight = values::<<T as Real>::Computed>(weight, layout)?;
                    launch!(
                        &device, T, "norm_gradient", elementwise(x.len());
                        &g, &x, &mean, &variance, &weight, &of_weight, &of_bias, &of_x, &channels, &plane, &epsilon, &each,
                        &count,
                    );
            } else {
                    let null = Pointer(0);
                    launch!(
                        &device, T, "norm_gradient", elementwise(x.len());
                        &g, &x, &mean, &variance, &null, &of_weight, &of_bias, &of_x, &channels, &plane, &epsilon, &each,
                        &count,
                    );
            }
            Ok((CudaStorage::wrap_cuda_slice(of_x, device), lx.shape().clone()))
        }))
    }
}

/// Σ g of each channel of `g [B, C, …]`: the gradient of a bias, `[C]`.
pub(in crate::nn) fn gradient_of_bias(g: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let sizes = Sizes::of(layout.shape())?;
    let device = g.device.clone();
    by_type!(g, T => {
        let g = values::<T>(g, layout)?;
        let parts = allocated::<f64>(&device, 2 * sizes.channels * sizes.parts() as usize)?;
        let (channels, plane, each, null) =
            (int(sizes.channels)?, sizes.plane as u64, sizes.each as u64, Pointer(0));
        let blocks = grid(u32::try_from(sizes.channels).unwrap_or(u32::MAX), sizes.parts());
        launch!(&device, T, "gradient_sums", blocks; &g, &null, &null, &parts, &channels, &plane, &each);
        let of_bias = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
        let (count, epsilon) = (int(sizes.parts() as usize)?, 0.0f64);
        launch!(
            &device, T, "gradient_sums_end", elementwise(sizes.channels);
            &parts, &null, &null, &of_bias, &channels, &count, &epsilon,
        );
        Ok((CudaStorage::wrap_cuda_slice(of_bias, device), sizes.channels.into()))
    })
}

const _: () = assert!(THREADS == 256, "as in kernels.cu");
