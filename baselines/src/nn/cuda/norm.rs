//! Batch norm by the batch's own statistics, and the standardisation of groups.

use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor, bail,
    cuda_backend::cudarc::driver::{CudaSlice, CudaView, LaunchConfig},
};

use super::{
    OnGpu, Real, allocated, by_type,
    elementwise::int,
    launch::{Pointer, THREADS, elementwise, grid, launch, single},
    tensor, values,
};

/// Values of a channel per block of a sum: fewer, and the blocks cost more than what they read.
const VALUES_OF_A_BLOCK: usize = 1 << 14;
/// Maximum number of blocks that sum one tensor.
const MAX_BLOCKS: usize = 1024;
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
    fn parts(self) -> usize {
        self.each.div_ceil(VALUES_OF_A_BLOCK).clamp(1, MAX_PARTS)
    }

    /// Blocks that sum all channels, and memory for their two sums each.
    fn summing(self, device: &CudaDevice) -> Result<(LaunchConfig, CudaSlice<f64>)> {
        let size = |size: usize| u32::try_from(size).map_err(candle_core::Error::wrap);
        let parts = allocated::<f64>(device, 2 * self.channels * self.parts())?;
        Ok((grid(size(self.channels)?, size(self.parts())?), parts))
    }
}

/// Statistics of each channel, on the device.
#[derive(Clone, Debug)]
struct Statistics {
    /// `[C]`.
    mean: Tensor,
    /// 1 / √(variance + ε), `[C]`.
    inverse: Tensor,
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
    let (statistics, variance) = statistics(&x, epsilon)?;
    let mean = statistics.mean.clone();
    Ok((x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Normalise(statistics))?, mean, variance))
}

/// Normalises each of `groups` groups of each sample's channels to mean 0 and variance 1.
pub(in crate::nn) fn standardise(x: &Tensor, groups: usize, epsilon: f64) -> Result<Tensor> {
    // Each group is a channel of one sample.
    let rows = x.contiguous()?.reshape((1, x.dim(0)? * groups, ()))?;
    let (statistics, _) = statistics(&rows, epsilon)?;
    rows.apply_op1(Normalise(statistics))?.reshape(x.shape())
}

/// The statistics of `x`, and the biased variance of each channel, `[C]`.
fn statistics(x: &Tensor, epsilon: f64) -> Result<(Statistics, Tensor)> {
    let sizes = Sizes::of(x.shape())?;
    let seen = OnGpu::of(x);
    let (storage, device) = (seen.storage()?, &seen.storage()?.device);
    let (channels, plane, each) = (int(sizes.channels)?, sizes.plane as u64, sizes.each as u64);
    let (blocks, parts) = sizes.summing(device)?;
    let count = int(sizes.parts())?;
    by_type!(storage, T => {
        type A = <T as Real>::Computed;
        let x = seen.values::<T>()?;
        launch!(device, T, "moments", blocks; &x, &parts, &channels, &plane, &each);
        let of_channels = || allocated::<A>(device, sizes.channels);
        let (mean, variance, inverse) = (of_channels()?, of_channels()?, of_channels()?);
        launch!(
            device, T, "moments_end", elementwise(sizes.channels);
            &x, &parts, &mean, &variance, &inverse, &channels, &count, &epsilon, &plane, &each,
        );
        let [mean, variance, inverse] = [mean, variance, inverse].map(|of| tensor(of, device, sizes.channels));
        Ok((Statistics { mean, inverse }, variance))
    })
}

/// Sums of `g · (x - mean)` and of `g` over each channel, by parts. Without `x` and its means, the sums of `g` alone.
fn gradient_sums<T: Real>(
    device: &CudaDevice,
    sizes: Sizes,
    g: &CudaView<'_, T>,
    x: Option<(&CudaView<'_, T>, &CudaView<'_, T::Computed>)>,
) -> Result<CudaSlice<f64>> {
    let (channels, plane, each) = (int(sizes.channels)?, sizes.plane as u64, sizes.each as u64);
    let (blocks, parts) = sizes.summing(device)?;
    let (x, mean) = x.unzip();
    let (x, mean) = (Pointer::to(x, device), Pointer::to(mean, device));
    launch!(device, T, "gradient_sums", blocks; g, &x, &mean, &parts, &channels, &plane, &each);
    Ok(parts)
}

/// `(x - mean) · inverse`, as a `CustomOp3` times `weight` plus `bias`, with the gradients of a norm by its own
/// statistics.
struct Normalise(Statistics);

impl Normalise {
    fn forward(
        &self,
        (x, lx): (&CudaStorage, &Layout),
        affine: Option<[(&CudaStorage, &Layout); 2]>,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = Sizes::of(lx.shape())?;
        let device = x.device.clone();
        let [mean, inverse] = [&self.0.mean, &self.0.inverse].map(OnGpu::of);
        by_type!(x, T => {
            type A = <T as Real>::Computed;
            let (x, mean, inverse) = (values::<T>(x, lx)?, mean.values::<A>()?, inverse.values::<A>()?);
            let affine = affine.map(|of| of.map(|(storage, layout)| values::<A>(storage, layout)));
            let (weight, bias) = match affine {
                Some([weight, bias]) => (Some(weight?), Some(bias?)),
                None => (None, None),
            };
            if let Some(of) = [&weight, &bias].into_iter().flatten().find(|of| of.len() != sizes.channels) {
                bail!("a norm of {} channels got an input of {}", of.len(), sizes.channels);
            }
            let [weight, bias] = [&weight, &bias].map(|of| Pointer::to(of.as_ref(), &device));
            let y = allocated::<T>(&device, x.len())?;
            let (channels, plane, count) = (int(sizes.channels)?, sizes.plane as u64, x.len() as u64);
            launch!(
                &device, T, "normalise", elementwise(x.len());
                &x, &mean, &inverse, &weight, &bias, &y, &channels, &plane, &count,
            );
            Ok((CudaStorage::wrap_cuda_slice(y, device), lx.shape().clone()))
        })
    }

    /// Gradients of `x`, if it is tracked, and of weight and bias, `[C]`: Σ g·x̂ and Σ g of each channel.
    fn gradients(&self, x: &Tensor, weight: Option<&Tensor>, g: &Tensor) -> Result<(Option<Tensor>, Tensor, Tensor)> {
        let sizes = Sizes::of(x.shape())?;
        let g = g.contiguous()?;
        let [seen, g, mean, inverse] = [x, &g, &self.0.mean, &self.0.inverse].map(OnGpu::of);
        let weight = weight.map(OnGpu::of);
        let (storage, device) = (seen.storage()?, &seen.storage()?.device);
        let (channels, plane, each) = (int(sizes.channels)?, sizes.plane as u64, sizes.each as u64);
        by_type!(storage, T => {
            type A = <T as Real>::Computed;
            let (values, g) = (seen.values::<T>()?, g.values::<T>()?);
            let (mean, inverse) = (mean.values::<A>()?, inverse.values::<A>()?);
            let parts = gradient_sums(device, sizes, &g, Some((&values, &mean)))?;
            let of_channels = |each: usize| allocated::<A>(device, each * sizes.channels);
            let (of_weight, of_bias, factors) = (of_channels(1)?, of_channels(1)?, of_channels(3)?);
            let weight = weight.as_ref().map(OnGpu::values::<A>).transpose()?;
            let (weight, count) = (Pointer::to(weight.as_ref(), device), int(sizes.parts())?);
            launch!(
                device, T, "gradient_sums_end", elementwise(sizes.channels);
                &parts, &inverse, &weight, &of_weight, &of_bias, &factors, &channels, &count, &each,
            );
            let of_x = if x.track_op() {
                let of_x = allocated::<T>(device, values.len())?;
                let count = values.len() as u64;
                launch!(
                    device, T, "norm_gradient", elementwise(values.len());
                    &g, &values, &mean, &factors, &of_x, &channels, &plane, &count,
                );
                Some(tensor(of_x, device, x.shape()))
            } else {
                None
            };
            let [of_weight, of_bias] = [of_weight, of_bias].map(|of| tensor(of, device, sizes.channels));
            Ok((of_x, of_weight, of_bias))
        })
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

/// Σ g of each channel of `g [B, C, …]`: the gradient of a bias, `[C]`.
pub(in crate::nn) fn gradient_of_bias(g: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let sizes = Sizes::of(layout.shape())?;
    let device = g.device.clone();
    let (channels, count, each) = (int(sizes.channels)?, int(sizes.parts())?, sizes.each as u64);
    by_type!(g, T => {
        let parts = gradient_sums(&device, sizes, &values::<T>(g, layout)?, None)?;
        let of_bias = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
        let null = Pointer::NULL;
        launch!(
            &device, T, "gradient_sums_end", elementwise(sizes.channels);
            &parts, &null, &null, &null, &of_bias, &null, &channels, &count, &each,
        );
        Ok((CudaStorage::wrap_cuda_slice(of_bias, device), sizes.channels.into()))
    })
}

/// The sum of the squares of all elements, a scalar of f64.
pub(crate) fn sum_of_squares(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    let seen = OnGpu::of(&x);
    let (storage, device) = (seen.storage()?, &seen.storage()?.device);
    let blocks = x.elem_count().div_ceil(VALUES_OF_A_BLOCK).clamp(1, MAX_BLOCKS);
    let parts = allocated::<f64>(device, blocks)?;
    let (count, blocks) = (x.elem_count() as u64, int(blocks)?);
    by_type!(storage, T => {
        let x = seen.values::<T>()?;
        launch!(device, T, "squares", grid(blocks.unsigned_abs(), 1); &x, &parts, &count);
    });
    let sum = allocated::<f64>(device, 1)?;
    launch!(device, f64, "squares_end", single(); &parts, &sum, &blocks);
    Ok(tensor(sum, device, ()))
}

const _: () = assert!(THREADS == 256, "as in kernels.cu");
