//! Batch norm by the batch's own statistics, and the standardisation of groups.

use candle_core::{
    CpuStorage, CudaDevice, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail,
    cuda_backend::cudarc::driver::CudaSlice, op::BackpropOp,
};

use super::{
    Real, allocated, by_type,
    elementwise::int,
    launch::{Pointer, THREADS, elementwise, grid, launch, single},
    values,
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
    fn parts(self) -> u32 {
        u32::try_from(self.each.div_ceil(VALUES_OF_A_BLOCK).clamp(1, MAX_PARTS)).unwrap_or(1)
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
        let inverse = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
        let count = int(sizes.parts() as usize)?;
        launch!(
            &device, T, "moments_end", elementwise(sizes.channels);
            &x, &parts, &mean, &variance, &inverse, &channels, &count, &epsilon, &plane, &each,
        );
        let tensor = |slice: CudaSlice<<T as Real>::Computed>| of_channels(slice, &device, sizes.channels);
        Ok((Statistics { mean: tensor(mean), inverse: tensor(inverse) }, tensor(variance)))
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

/// `(x - mean) · inverse`, as a `CustomOp3` times `weight` plus `bias`, with the gradients of a norm by its own
/// statistics.
struct Normalise(Statistics);

/// Runs `body` with the views of the mean and the inverse deviation.
macro_rules! with_statistics {
    ($statistics:expr, $t:ty, ($mean:ident, $inverse:ident) => $body:expr) => {{
        let ((mean, mean_layout), (inverse, inverse_layout)) =
            ($statistics.mean.storage_and_layout(), $statistics.inverse.storage_and_layout());
        let (Storage::Cuda(mean), Storage::Cuda(inverse)) = (&*mean, &*inverse) else {
            bail!("the statistics are not on a GPU")
        };
        let $mean = values::<<$t as Real>::Computed>(mean, mean_layout)?;
        let $inverse = values::<<$t as Real>::Computed>(inverse, inverse_layout)?;
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
        by_type!(x, T => with_statistics!(self.0, T, (mean, inverse) => {
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
                        &x, &mean, &inverse, &weight, &bias, &y, &channels, &plane, &count,
                    );
                } else {
                    let null = Pointer(0);
                    launch!(
                        &device, T, "normalise", elementwise(x.len());
                        &x, &mean, &inverse, &null, &null, &y, &channels, &plane, &count,
                    );
            }
            Ok((CudaStorage::wrap_cuda_slice(y, device), lx.shape().clone()))
        }))
    }

    /// Gradients of weight and bias, `[C]`, which are Σ g·x̂ and Σ g of each channel, and the factors of the input's
    /// gradient, `[3 · C]`.
    fn sums(&self, x: &Tensor, weight: Option<&Tensor>, gradient: &Tensor) -> Result<[Tensor; 3]> {
        let sizes = Sizes::of(x.shape())?;
        let ((x, lx), (g, lg)) = (x.storage_and_layout(), gradient.storage_and_layout());
        let (Storage::Cuda(x), Storage::Cuda(g)) = (&*x, &*g) else { bail!("the tensor is not on a GPU") };
        let device = x.device.clone();
        by_type!(x, T => with_statistics!(self.0, T, (mean, inverse) => {
            let (x, g) = (values::<T>(x, lx)?, values::<T>(g, lg)?);
            let parts = allocated::<f64>(&device, 2 * sizes.channels * sizes.parts() as usize)?;
            let (channels, plane, each) = (int(sizes.channels)?, sizes.plane as u64, sizes.each as u64);
            let blocks = grid(u32::try_from(sizes.channels).unwrap_or(u32::MAX), sizes.parts());
            launch!(&device, T, "gradient_sums", blocks; &g, &x, &mean, &parts, &channels, &plane, &each);
            let of_weight = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
            let of_bias = allocated::<<T as Real>::Computed>(&device, sizes.channels)?;
            let factors = allocated::<<T as Real>::Computed>(&device, 3 * sizes.channels)?;
            let count = int(sizes.parts() as usize)?;
            let one = elementwise(sizes.channels);
            if let Some(weight) = weight {
                let (weight, layout) = weight.storage_and_layout();
                let Storage::Cuda(weight) = &*weight else { bail!("the weight is not on a GPU") };
                let weight = values::<<T as Real>::Computed>(weight, layout)?;
                launch!(
                    &device, T, "gradient_sums_end", one;
                    &parts, &inverse, &weight, &of_weight, &of_bias, &factors, &channels, &count, &each,
                );
            } else {
                let null = Pointer(0);
                launch!(
                    &device, T, "gradient_sums_end", one;
                    &parts, &inverse, &null, &of_weight, &of_bias, &factors, &channels, &count, &each,
                );
            }
            let tensor = |slice: CudaSlice<<T as Real>::Computed>, length| of_channels(slice, &device, length);
            let channels = sizes.channels;
            Ok([tensor(of_weight, channels), tensor(of_bias, channels), tensor(factors, 3 * channels)])
        }))
    }

    fn gradients(&self, x: &Tensor, weight: Option<&Tensor>, g: &Tensor) -> Result<(Option<Tensor>, Tensor, Tensor)> {
        let g = g.contiguous()?;
        let [of_weight, of_bias, factors] = self.sums(x, weight, &g)?;
        let op = Gradient { mean: self.0.mean.clone(), factors };
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
    /// `[C]`.
    mean: Tensor,
    /// `[3 · C]`.
    factors: Tensor,
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
        let ((mean, lm), (factors, lf)) = (self.mean.storage_and_layout(), self.factors.storage_and_layout());
        let (Storage::Cuda(mean), Storage::Cuda(factors)) = (&*mean, &*factors) else {
            bail!("the factors are not on a GPU")
        };
        by_type!(x, T => {
            let (x, g) = (values::<T>(x, lx)?, values::<T>(g, lg)?);
            let mean = values::<<T as Real>::Computed>(mean, lm)?;
            let factors = values::<<T as Real>::Computed>(factors, lf)?;
            let of_x = allocated::<T>(&device, x.len())?;
            let (channels, plane, count) = (int(sizes.channels)?, sizes.plane as u64, x.len() as u64);
            launch!(
                &device, T, "norm_gradient", elementwise(x.len());
                &g, &x, &mean, &factors, &of_x, &channels, &plane, &count,
            );
            Ok((CudaStorage::wrap_cuda_slice(of_x, device), lx.shape().clone()))
        })
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
        let count = int(sizes.parts() as usize)?;
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
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { bail!("the tensor is not on a GPU") };
    let device = storage.device.clone();
    let elements = layout.shape().elem_count();
    let blocks = u32::try_from(elements.div_ceil(VALUES_OF_A_BLOCK).clamp(1, MAX_BLOCKS)).unwrap_or(1);
    let parts = allocated::<f64>(&device, blocks as usize)?;
    let (count, number) = (elements as u64, int(blocks as usize)?);
    by_type!(storage, T => {
        let x = values::<T>(storage, layout)?;
        launch!(&device, T, "squares", grid(blocks, 1); &x, &parts, &count);
    });
    let sum = allocated::<f64>(&device, 1)?;
    launch!(&device, f64, "squares_end", single(); &parts, &sum, &number);
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(sum, device));
    Ok(Tensor::from_storage(storage, (), BackpropOp::none(), false))
}

const _: () = assert!(THREADS == 256, "as in kernels.cu");
