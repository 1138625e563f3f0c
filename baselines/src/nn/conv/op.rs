//! The convolution as a custom operation of candle's autograd.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, WithDType, bail,
};

use super::kernels::{Sizes, forward, gradient_of_bias, gradient_of_input, gradient_of_weight};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;

#[cfg(feature = "cuda")]
use crate::nn::cuda;
use crate::nn::{
    cpu::{Windows, by_type, values},
    kernels::take,
    resize::{doubled_and_joined, gradients_of_joined},
};

/// `x [B, C, H, W]` by `weight [N, C, k, k]`, plus `bias [N]`, zero padding: `[B, N, H', W']`.
///
/// Uses our own kernels on the CPU: candle's gradients are an order of magnitude slower than its forward pass,
/// and fail where height and width leave different remainders under the stride.
pub(in crate::nn) fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    if !take(x) {
        return composed(x, weight, bias, stride, padding);
    }
    let (x, weight, op) = (x.contiguous()?, weight.contiguous()?, Conv { stride, padding });
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

/// The convolution of `x [B, C, H, W]` at twice its size and `skip [B, S, 2 H, 2 W]` with a weight `[N, C + S, k, k]`, on the
/// CPU. The joined map, often the largest of a network, is not kept for the backward pass but made again.
pub(super) fn conv2d_of_joined(
    x: &Tensor,
    skip: Option<&Tensor>,
    weight: &Tensor,
    (stride, padding): (usize, usize),
) -> Result<Tensor> {
    let (x, weight, op) = (x.contiguous()?, weight.contiguous()?, OfJoined(Conv { stride, padding }));
    match skip {
        Some(skip) => x.apply_op3(&skip.contiguous()?, &weight, op),
        None => x.apply_op2(&weight, op),
    }
}

/// See [`conv2d_of_joined`].
struct OfJoined(Conv);

impl OfJoined {
    fn forward(
        &self,
        x: (&CpuStorage, &Layout),
        skip: Option<(&CpuStorage, &Layout)>,
        weight: (&CpuStorage, &Layout),
    ) -> Result<(CpuStorage, Shape)> {
        let tensor = |(storage, layout): (&CpuStorage, &Layout)| {
            by_type!(storage, T => {
                Tensor::from_slice(values::<T>(storage, layout)?, layout.shape(), &Device::Cpu)
            })
        };
        let joined = doubled_and_joined(&tensor(x)?, skip.map(tensor).transpose()?.as_ref())?;
        let (joined, layout) = joined.storage_and_layout();
        let Storage::Cpu(joined) = &*joined else { bail!("tensor is not on the CPU") };
        self.0.forward((joined, layout), weight, None)
    }

    /// Of what was doubled, of the skip connection, if there was one, and of the weight.
    fn gradients(
        &self,
        x: &Tensor,
        skip: Option<&Tensor>,
        weight: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let joined = doubled_and_joined(&x.detach(), skip.map(Tensor::detach).as_ref())?;
        let gradient = gradient.contiguous()?;
        let sizes = self.0.sizes(joined.shape(), weight.shape())?;
        let of = |which, other: &Tensor| gradient.apply_op2_no_bwd(other, &Gradient { which, sizes });
        let of_weight = weight.track_op().then(|| of(Which::Weight, &joined)).transpose()?;
        drop(joined);
        let (of_x, of_skip) = gradients_of_joined(&of(Which::Input, weight)?, x.dim(1)?)?;
        Ok((Some(of_x), of_skip, of_weight))
    }
}

impl CustomOp2 for OfJoined {
    fn name(&self) -> &'static str {
        "conv2d of a doubled map"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, weight: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), None, (weight, lw))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (of_x, _, of_weight) = self.gradients(x, None, weight, gradient)?;
        Ok((of_x, of_weight))
    }
}

impl CustomOp3 for OfJoined {
    fn name(&self) -> &'static str {
        "conv2d of a doubled map and a skip connection"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        skip: &CpuStorage,
        ls: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), Some((skip, ls)), (weight, lw))
    }

    fn bwd(
        &self,
        x: &Tensor,
        skip: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, Some(skip), weight, gradient)
    }
}

/// The same, composed of candle's operations, for other devices.
pub(super) fn composed(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let y = x.conv2d(weight, padding, stride, 1, 1)?;
    match bias {
        Some(bias) => y.broadcast_add(&bias.to_dtype(y.dtype())?.reshape((1, (), 1, 1))?),
        None => Ok(y),
    }
}

/// `max(0, x by weight + bias + residual)` on a GPU, for prediction: it has no gradient. The bias has the type of
/// parameters.
#[cfg(feature = "cuda")]
pub(in crate::nn) fn conv2d_rectified(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    residual: Option<&Tensor>,
    (stride, padding): (usize, usize),
) -> Result<Tensor> {
    let sizes = Conv { stride, padding }.sizes(x.shape(), weight.shape())?;
    let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
    let residual = residual.map(Tensor::contiguous).transpose()?;
    cuda::forward_rectified([&x, &weight, &bias], residual.as_ref(), &sizes)
}

/// The transposed convolution: `x [B, C, H, W]` by `weight [C, N, k, k]` to `[B, N, H', W']`,
/// `H' = (H - 1) stride - 2 padding + k`. It is the gradient of the input of a convolution with that weight.
pub(super) fn conv_transpose2d(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    if !take(x) {
        return x.conv_transpose2d(weight, padding, 0, stride, 1);
    }
    let ((batch, c_in, height, width), (c_weight, c_out, down, across)) = (x.dims4()?, weight.dims4()?);
    if c_in != c_weight {
        bail!("an image of {:?} does not fit a transposed convolution of {:?}", x.shape(), weight.shape());
    }
    let side = |size: usize, kernel: usize| {
        ((size.max(1) - 1) * stride + kernel).checked_sub(2 * padding).filter(|&size| size > 0)
    };
    let (Some(height), Some(width)) = (side(height, down), side(width, across)) else {
        bail!("an image of {:?} is too small for a transposed convolution with padding {padding}", x.shape())
    };
    let windows = Windows { image: (height, width), kernel: (down, across), stride, padding };
    let sizes = Sizes::new(batch, (c_out, c_in), windows)?;
    x.contiguous()?.apply_op2(&weight.contiguous()?, Transposed(sizes))
}

/// `sizes` are those of the convolution whose gradient this is: its input is this one's output.
struct Transposed(Sizes);

impl CustomOp2 for Transposed {
    fn name(&self) -> &'static str {
        "transposed conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, weight: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        Gradient { which: Which::Input, sizes: self.0 }.cpu_fwd(x, lx, weight, lw)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        weight: &CudaStorage,
        lw: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Gradient { which: Which::Input, sizes: self.0 }.cuda_fwd(x, lx, weight, lw)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let Windows { stride, padding, .. } = self.0.windows;
        let of_x = x.track_op().then(|| gradient.apply_op2_no_bwd(weight, &Conv { stride, padding })).transpose()?;
        // The roles of image and gradient are exchanged.
        let op = Gradient { which: Which::Weight, sizes: self.0 };
        let of_weight = weight.track_op().then(|| x.apply_op2_no_bwd(&gradient, &op)).transpose()?;
        Ok((of_x, of_weight))
    }
}

#[derive(Clone, Copy)]
struct Conv {
    stride: usize,
    padding: usize,
}

impl Conv {
    fn sizes(self, x: &Shape, weight: &Shape) -> Result<Sizes> {
        let ((batch, c_in, height, width), (c_out, c_weight, down, across)) = (x.dims4()?, weight.dims4()?);
        if c_in != c_weight || c_in == 0 || c_out == 0 {
            bail!("an image of {x:?} does not fit a convolution of {weight:?}");
        }
        let windows =
            Windows { image: (height, width), kernel: (down, across), stride: self.stride, padding: self.padding };
        Sizes::new(batch, (c_in, c_out), windows)
    }

    fn forward(
        self,
        (x, x_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(x_layout.shape(), weight_layout.shape())?;
        let shape = (sizes.batch, sizes.channels.1, sizes.count.0, sizes.count.1).into();
        by_type!(x, T => {
            let bias = bias.map(|(storage, layout)| values::<T>(storage, layout)).transpose()?;
            if bias.is_some_and(|bias| bias.len() != sizes.channels.1) {
                bail!("the length of a bias must be the number of output channels");
            }
            let y = forward::<T>(values(x, x_layout)?, values(weight, weight_layout)?, bias, &sizes);
            Ok((T::to_cpu_storage_owned(y), shape))
        })
    }

    #[cfg(feature = "cuda")]
    fn on_device(
        self,
        (x, lx): (&CudaStorage, &Layout),
        weight: (&CudaStorage, &Layout),
        bias: Option<(&CudaStorage, &Layout)>,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = self.sizes(lx.shape(), weight.1.shape())?;
        let shape = (sizes.batch, sizes.channels.1, sizes.count.0, sizes.count.1).into();
        Ok((cuda::forward((x, lx), weight, bias, &sizes)?, shape))
    }

    /// Gradients of `x` and `weight`, each only if it is tracked.
    fn gradients(self, x: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let sizes = self.sizes(x.shape(), weight.shape())?;
        let of = |which: Which, other: &Tensor, like: &Tensor| {
            // A network's input image has no gradient, and is the largest tensor.
            like.track_op().then(|| gradient.apply_op2_no_bwd(other, &Gradient { which, sizes })).transpose()
        };
        Ok((of(Which::Input, weight, x)?, of(Which::Weight, x, weight)?))
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, weight: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), (weight, lw), None)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        weight: &CudaStorage,
        lw: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_device((x, lx), (weight, lw), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, weight, gradient)
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv2d with a bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, lx), (weight, lw), Some((bias, lb)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        weight: &CudaStorage,
        lw: &Layout,
        bias: &CudaStorage,
        lb: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_device((x, lx), (weight, lw), Some((bias, lb)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (of_x, of_weight) = self.gradients(x, weight, gradient)?;
        let sizes = self.sizes(x.shape(), weight.shape())?;
        let of_bias = bias.track_op().then(|| gradient.contiguous()?.apply_op1_no_bwd(&BiasGradient(sizes)));
        Ok((of_x, of_weight, of_bias.transpose()?))
    }
}

#[derive(Clone, Copy)]
enum Which {
    Input,
    Weight,
}

/// The gradient of one factor, from the output's gradient and the other factor.
struct Gradient {
    which: Which,
    sizes: Sizes,
}

impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "gradient of conv2d"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout, other: &CpuStorage, lo: &Layout) -> Result<(CpuStorage, Shape)> {
        let Sizes { batch, channels: (c_in, c_out), windows, .. } = self.sizes;
        by_type!(g, T => {
            let (gradient, other) = (values::<T>(g, lg)?, values::<T>(other, lo)?);
            Ok(match self.which {
                Which::Input => {
                    let x = gradient_of_input(gradient, other, &self.sizes);
                    (T::to_cpu_storage_owned(x), (batch, c_in, windows.image.0, windows.image.1).into())
                }
                Which::Weight => {
                    let weight = gradient_of_weight(other, gradient, &self.sizes);
                    (T::to_cpu_storage_owned(weight), (c_out, c_in, windows.kernel.0, windows.kernel.1).into())
                }
            })
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, g: &CudaStorage, lg: &Layout, other: &CudaStorage, lo: &Layout) -> Result<(CudaStorage, Shape)> {
        let Sizes { batch, channels: (c_in, c_out), windows, .. } = self.sizes;
        Ok(match self.which {
            Which::Input => {
                let shape = (batch, c_in, windows.image.0, windows.image.1).into();
                (cuda::gradient_of_input((g, lg), (other, lo), &self.sizes)?, shape)
            }
            Which::Weight => {
                let shape = (c_out, c_in, windows.kernel.0, windows.kernel.1).into();
                (cuda::gradient_of_weight((other, lo), (g, lg), &self.sizes)?, shape)
            }
        })
    }
}

struct BiasGradient(Sizes);

impl CustomOp1 for BiasGradient {
    fn name(&self) -> &'static str {
        "gradient of a bias"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(g, T => {
            let bias = gradient_of_bias::<T>(values(g, lg)?, &self.0);
            let count = bias.len();
            Ok((T::to_cpu_storage_owned(bias), count.into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, g: &CudaStorage, lg: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::gradient_of_bias(g, lg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        at_each_level,
        gradcheck::{assert_agree, assert_gradients, image},
    };

    /// Kernel, stride and padding of the models' convolutions, and some others.
    const GEOMETRIES: [(usize, usize, usize); 9] =
        [(7, 2, 3), (3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0), (4, 2, 0), (3, 1, 0), (2, 1, 1), (1, 1, 1)];

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (k, stride, padding) in GEOMETRIES {
            for (height, width) in [(6, 6), (5, 8), (7, 7), (8, 5)] {
                let (x, weight, bias) = (image(&[2, 3, height, width]), image(&[4, 3, k, k]), image(&[4]));
                if k > height.min(width) + 2 * padding {
                    continue;
                }
                assert_gradients(&[&x, &weight, &bias], |t| conv2d(&t[0], &t[1], Some(&t[2]), stride, padding));
                assert_gradients(&[&x, &weight], |t| conv2d(&t[0], &t[1], None, stride, padding));
            }
        }
    }

    #[test]
    fn many_channels_and_tiles_are_summed_wholly() {
        // More channels than one task takes, more windows than one tile takes.
        for (k, stride, padding) in [(3, 1, 1), (3, 2, 1), (1, 1, 0), (4, 2, 0)] {
            let (x, weight, bias) = (image(&[2, 70, 22, 30]), image(&[33, 70, k, k]), image(&[33]));
            assert_agree(
                &[&x, &weight, &bias],
                |t| conv2d(&t[0], &t[1], Some(&t[2]), stride, padding),
                |t| composed(&t[0], &t[1], Some(&t[2]), stride, padding),
            );
        }
        for size in [40, 66] {
            let (x, weight) = (image(&[2, 5, size, size]), image(&[9, 5, 7, 7]));
            assert_agree(&[&x, &weight], |t| conv2d(&t[0], &t[1], None, 2, 3), |t| composed(&t[0], &t[1], None, 2, 3));
        }
    }

    #[test]
    fn a_joined_map_has_the_gradients_of_its_parts() {
        for (channels, skipped, size) in [(3, 2, (4, 5)), (2, 0, (3, 4)), (1, 4, (2, 2))] {
            let x = image(&[2, channels, size.0, size.1]);
            let skip = image(&[2, skipped.max(1), 2 * size.0, 2 * size.1]);
            let weight = image(&[4, channels + skipped, 3, 3]);
            let skip_of = |t: &'_ [Tensor]| (skipped > 0).then(|| t[1].clone());
            let joined = |t: &[Tensor]| conv2d_of_joined(&t[0], skip_of(t).as_ref(), &t[2], (1, 1));
            let apart = |t: &[Tensor]| conv2d(&doubled_and_joined(&t[0], skip_of(t).as_ref())?, &t[2], None, 1, 1);
            assert_agree(&[&x, &skip, &weight], joined, apart);
            assert_gradients(&[&x, &skip, &weight], joined);
        }
    }

    #[test]
    fn tiles_in_f32_are_the_definition_in_f64() {
        at_each_level(|level| {
            // Tiles that end with the image and beyond, in one part and in several; blocks that are full, and not.
            for (dims, c_out) in
                [([2, 5, 16, 12], 20), ([1, 33, 7, 9], 16), ([3, 16, 66, 70], 3), ([1, 80, 18, 18], 70)]
            {
                for padding in 0..=2 {
                    let (x, weight, bias) = (image(&dims), image(&[c_out, dims[1], 3, 3]), image(&[c_out]));
                    let run = |dtype| {
                        let of = |t: &Tensor| candle_core::Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap();
                        let (x, weight, bias) = (of(&x), of(&weight), of(&bias));
                        let y = conv2d(&x, &weight, Some(&bias), 1, padding).unwrap();
                        let store = (&y * image(y.dims()).to_dtype(dtype).unwrap()).unwrap().backward().unwrap();
                        let found =
                            [&y, store.get(&x).unwrap(), store.get(&weight).unwrap(), store.get(&bias).unwrap()];
                        found.map(|t| t.to_dtype(candle_core::DType::F64).unwrap())
                    };
                    let [f32, f64] = [candle_core::DType::F32, candle_core::DType::F64].map(run);
                    for (what, (found, expected)) in ["y", "x", "weight", "bias"].iter().zip(f32.iter().zip(&f64)) {
                        let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
                        let (apart, of) = (largest(&(found - expected).unwrap()), largest(expected));
                        assert!(apart <= 1e-5 * of, "{level} {dims:?} {c_out} {padding} {what}: {apart} of {of}");
                    }
                }
            }
        });
    }

    #[test]
    fn the_transposed_convolution_is_candles() {
        for (k, stride, padding) in [(4, 2, 1), (2, 2, 0), (3, 1, 1), (3, 2, 0), (5, 3, 2)] {
            let (x, weight) = (image(&[2, 40, 7, 5]), image(&[40, 9, k, k]));
            assert_agree(
                &[&x, &weight],
                |t| conv_transpose2d(&t[0], &t[1], stride, padding),
                |t| t[0].conv_transpose2d(&t[1], padding, 0, stride, 1),
            );
        }
        let x = image(&[1, 3, 4, 4]);
        assert!(conv_transpose2d(&x, &image(&[4, 2, 2, 2]), 2, 0).is_err());
        assert!(conv_transpose2d(&image(&[1, 3, 1, 1]), &image(&[3, 2, 2, 2]), 2, 1).is_err());
    }

    #[test]
    fn a_sample_is_the_same_in_every_batch() {
        let (x, weight) = (image(&[3, 5, 40, 50]), image(&[6, 5, 3, 3]));
        for dtype in [candle_core::DType::F32, candle_core::DType::F64] {
            let (x, weight) = (x.to_dtype(dtype).unwrap(), weight.to_dtype(dtype).unwrap());
            let bits = |x: &Tensor| {
                let y = conv2d(x, &weight, None, 1, 1).unwrap().flatten_all().unwrap();
                y.to_dtype(candle_core::DType::F64).unwrap().to_vec1::<f64>().unwrap()
            };
            let (all, last) = (bits(&x), bits(&x.narrow(0, 2, 1).unwrap()));
            assert!(all[all.len() - last.len()..].iter().zip(&last).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let dtype = candle_core::DType::F32;
        let (x, weight) =
            (image(&[2, 5, 60, 70]).to_dtype(dtype).unwrap(), image(&[6, 5, 3, 3]).to_dtype(dtype).unwrap());
        let gradients = |threads: usize, stride: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (x, weight) =
                    (candle_core::Var::from_tensor(&x).unwrap(), candle_core::Var::from_tensor(&weight).unwrap());
                let y = conv2d(&x, &weight, None, stride, 1).unwrap();
                let store = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                let bits = |v: &Tensor| v.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                [bits(&y), bits(store.get(&x).unwrap()), bits(store.get(&weight).unwrap())].concat()
            })
        };
        for stride in [1, 2] {
            let (one, three) = (gradients(1, stride), gradients(3, stride));
            assert!(one.iter().zip(&three).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let x = image(&[1, 3, 4, 4]);
        assert!(conv2d(&x, &image(&[2, 4, 3, 3]), None, 1, 1).is_err());
        assert!(conv2d(&x, &image(&[2, 3, 7, 7]), None, 1, 1).is_err());
        assert!(conv2d(&x, &image(&[2, 3, 3, 3]), Some(&image(&[3])), 1, 1).is_err());
        assert!(conv2d(&x, &image(&[2, 3, 3, 3]), None, 0, 1).is_err());
    }
}
