//! Resizing of images, `torch.nn.functional.interpolate`, and the crop of their centre.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "indices into an image, between 0 and its size"
)]

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, DType, Device, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::{
    constant,
    cpu::{by_type, values},
    kernels,
};

/// Nearest neighbour to `height` × `width`, any ratio: `[B, C, H, W]` to `[B, C, height, width]`.
///
/// candle's own overwrites the gradient of another consumer of `x`, and has none for ratios that are not whole.
///
/// # Errors
/// If the device fails.
pub fn nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (.., h, w) = x.dims4()?;
    if (height, width) == (2 * h, 2 * w) {
        // The common case, in the decoder.
        return if kernels::take(x) { x.contiguous()?.apply_op1(Double) } else { composed_double(x) };
    }
    let indices = |from: usize, to: usize| {
        constant("nearest", &[from as u64, to as u64], (DType::U32, x.device()), || {
            // torch: floor(i · (from / to)), clipped.
            let scale = from as f64 / to as f64;
            let indices: Vec<u32> = (0..to).map(|i| ((i as f64 * scale) as usize).min(from - 1) as u32).collect();
            Tensor::new(indices, &Device::Cpu)
        })
    };
    x.contiguous()?.index_select(&indices(h, height)?, 2)?.index_select(&indices(w, width)?, 3)
}

/// Nearest neighbour to twice the size, and the channels of `skip`, if there is one, after those of `x`: `[B, C, H, W]` and
/// `[B, S, 2 H, 2 W]` to `[B, C + S, 2 H, 2 W]`.
///
/// # Errors
/// If the shapes do not fit, or the device fails.
pub(super) fn doubled_and_joined(x: &Tensor, skip: Option<&Tensor>) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let Some(skip) = skip else { return nearest(x, 2 * height, 2 * width) };
    let size = skip.dims4()?;
    if !kernels::take_on_cpu(x) || (size.0, size.2, size.3) != (batch, 2 * height, 2 * width) {
        return Tensor::cat(&[&nearest(x, 2 * height, 2 * width)?, skip], 1);
    }
    x.contiguous()?.apply_op2(&skip.contiguous()?, DoubleAndJoin { channels })
}

/// Doubles the size with candle's operations: two broadcasts and one copy, with a plain sum as the gradient.
fn composed_double(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, h, w) = x.dims4()?;
    x.reshape((batch, channels, h, 1, w, 1))?.broadcast_as((batch, channels, h, 2, w, 2))?.reshape((
        batch,
        channels,
        2 * h,
        2 * w,
    ))
}

/// Repeats every pixel in a 2×2 block.
struct Double;

impl CustomOp1 for Double {
    fn name(&self) -> &'static str {
        "nearest neighbour, twice the size"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, h, w) = layout.shape().dims4()?;
        by_type!(x, T => {
            let x = values::<T>(x, layout)?;
            let mut y = vec![0.0; 4 * x.len()];
            let by_plane = (h * w).max(1);
            let planes = y.par_chunks_exact_mut(4 * by_plane).zip(x.par_chunks_exact(by_plane));
            planes.for_each(|(y, x)| double(x, w, y));
            Ok((T::to_cpu_storage_owned(y), (batch, channels, 2 * h, 2 * w).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::twice(x, layout)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let channels = gradient.dim(1)?;
        gradient.contiguous()?.apply_op1_no_bwd(&SumOfFour { channels }).map(Some)
    }
}

/// A plane of rows of `width` pixels at twice the size: a row becomes two of twice its width.
fn double<T: Copy>(x: &[T], width: usize, y: &mut [T]) {
    for (rows, row) in y.chunks_exact_mut(4 * width).zip(x.chunks_exact(width)) {
        let (first, second) = rows.split_at_mut(2 * width);
        first.chunks_exact_mut(2).zip(row).for_each(|(pair, &value)| pair.fill(value));
        second.copy_from_slice(first);
    }
}

/// [`doubled_and_joined`], `channels` doubled.
struct DoubleAndJoin {
    channels: usize,
}

impl CustomOp2 for DoubleAndJoin {
    fn name(&self) -> &'static str {
        "nearest neighbour, twice the size, and a skip connection"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, skip: &CpuStorage, ls: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((batch, channels, h, w), (_, skipped, ..)) = (lx.shape().dims4()?, ls.shape().dims4()?);
        by_type!(x, T => {
            let (x, skip) = (values::<T>(x, lx)?, values::<T>(skip, ls)?);
            let (all, pixels) = (channels + skipped, h * w);
            let mut y = vec![0.0; batch * all * 4 * pixels];
            y.par_chunks_exact_mut((4 * pixels).max(1)).enumerate().for_each(|(index, y)| {
                let (image, channel) = (index / all, index % all);
                match channel.checked_sub(channels) {
                    None => double(&x[(image * channels + channel) * pixels..][..pixels], w, y),
                    Some(channel) => {
                        y.copy_from_slice(&skip[(image * skipped + channel) * 4 * pixels..][..4 * pixels]);
                    }
                }
            });
            Ok((T::to_cpu_storage_owned(y), (batch, all, 2 * h, 2 * w).into()))
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        debug_assert_eq!(gradient.shape(), y.shape());
        let (of_x, of_skip) = gradients_of_joined(gradient, self.channels)?;
        Ok((Some(of_x), of_skip))
    }
}

/// The gradients of what was doubled, of `channels`, and of the skip connection, if there was one, from that of
/// [`doubled_and_joined`], on the CPU.
pub(super) fn gradients_of_joined(gradient: &Tensor, channels: usize) -> Result<(Tensor, Option<Tensor>)> {
    let skipped = gradient.dim(1)? - channels;
    let of_skip = (skipped > 0).then(|| gradient.narrow(1, channels, skipped)?.contiguous()).transpose()?;
    Ok((gradient.contiguous()?.apply_op1_no_bwd(&SumOfFour { channels })?, of_skip))
}

/// Sums each 2×2 block of pixels of the first `channels`; on a GPU these are all.
struct SumOfFour {
    channels: usize,
}

impl CustomOp1 for SumOfFour {
    fn name(&self) -> &'static str {
        "gradient of nearest neighbour"
    }

    fn cpu_fwd(&self, g: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, all, height, width) = layout.shape().dims4()?;
        by_type!(g, T => {
            let g = values::<T>(g, layout)?;
            let pixels = height * width;
            let mut x = vec![0.0; batch * self.channels * pixels / 4];
            x.par_chunks_exact_mut((pixels / 4).max(1)).enumerate().for_each(|(index, x)| {
                let (image, channel) = (index / self.channels, index % self.channels);
                let g = &g[(image * all + channel) * pixels..][..pixels];
                for (row, rows) in x.chunks_exact_mut(width / 2).zip(g.chunks_exact(2 * width)) {
                    let (first, second) = rows.split_at(width);
                    for (x, (a, b)) in row.iter_mut().zip(first.chunks_exact(2).zip(second.chunks_exact(2))) {
                        *x = (a[0] + a[1]) + (b[0] + b[1]);
                    }
                }
            });
            Ok((T::to_cpu_storage_owned(x), (batch, self.channels, height / 2, width / 2).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::sum_of_four(x, layout)
    }
}

/// Bilinear to `height` × `width`, `align_corners=False`: `[B, C, H, W]` to `[B, C, height, width]`.
///
/// Two products with constant matrices; candle's own has no gradient, and reads a narrowed input wrongly.
///
/// # Errors
/// If the device fails.
pub fn bilinear(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (batch, channels, h, w) = x.dims4()?;
    if (h, w) == (height, width) {
        return Ok(x.clone());
    }
    let matrix = |from: usize, to: usize| {
        constant("bilinear", &[from as u64, to as u64], (x.dtype(), x.device()), || bilinear_matrix(from, to))
    };
    let (rows, columns) = (matrix(h, height)?, matrix(w, width)?); // [height, H], [width, W]
    // The columns of all rows in one product, then the rows of each image.
    let wide = x.reshape((batch * channels * h, w))?.matmul(&columns.t()?)?;
    let wide = wide.reshape((batch * channels, h, width))?;
    rows.broadcast_left(batch * channels)?.contiguous()?.matmul(&wide)?.reshape((batch, channels, height, width))
}

/// Interpolation weights of `from` source pixels for each of `to` target pixels, `[to, from]`.
fn bilinear_matrix(from: usize, to: usize) -> Result<Tensor> {
    let mut weights = vec![0.0f64; to * from];
    for (i, row) in weights.chunks_exact_mut(from).enumerate() {
        let (low, high, share) = between(i, from, to);
        row[low] += 1.0 - share;
        row[high] += share;
    }
    Tensor::from_vec(weights, (to, from), &Device::Cpu)
}

/// The two of `from` source pixels between which target pixel `i` of `to` is, and the second one's share: source = (i + ½) ·
/// from / to − ½, clipped at 0.
pub(super) fn between(i: usize, from: usize, to: usize) -> (usize, usize, f64) {
    let source = ((i as f64 + 0.5) * (from as f64 / to as f64) - 0.5).max(0.0);
    let low = (source as usize).min(from - 1);
    (low, (low + 1).min(from - 1), source - low as f64)
}

/// Centre crop: `[…, H, W]` to `[…, size, size]`. `torchvision.transforms.CenterCrop`.
///
/// # Errors
/// If the image is smaller than that, or the device fails.
pub fn center_crop(x: &Tensor, size: usize) -> Result<Tensor> {
    let (height, width) = (x.dim(D::Minus2)?, x.dim(D::Minus1)?);
    if height < size || width < size {
        bail!("an image of {height}×{width} is smaller than the crop of {size}×{size}");
    }
    // torchvision rounds halves to even here; the maps that are cropped differ from `size` by an even number.
    x.narrow(D::Minus2, (height - size) / 2, size)?.narrow(D::Minus1, (width - size) / 2, size)?.contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{self, assert_agree, assert_gradients};

    #[test]
    fn gradients_are_right_and_both_ways_agree() {
        for (h, w) in [(3, 4), (5, 5), (1, 6), (7, 2)] {
            let x = gradcheck::image(&[2, 3, h, w]);
            assert_agree(&[&x], |t| nearest(&t[0], 2 * h, 2 * w), |t| composed_double(&t[0]));
            assert_gradients(&[&x], |t| nearest(&t[0], 2 * h, 2 * w));
            let skip = gradcheck::image(&[2, 2, 2 * h, 2 * w]);
            let composed = |t: &[Tensor]| Tensor::cat(&[&composed_double(&t[0])?, &t[1]], 1);
            assert_agree(&[&x, &skip], |t| doubled_and_joined(&t[0], Some(&t[1])), composed);
            assert_gradients(&[&x, &skip], |t| doubled_and_joined(&t[0], Some(&t[1])));
            assert_gradients(&[&x], |t| nearest(&t[0], 2 * h + 1, 3 * w));
            assert_gradients(&[&x], |t| nearest(&t[0], h, w.div_ceil(2)));
            assert_gradients(&[&x], |t| bilinear(&t[0], 2 * h + 1, w.div_ceil(2)));
            assert_gradients(&[&x], |t| bilinear(&t[0], h, w));
            assert_gradients(&[&x], |t| center_crop(&t[0], h.min(w)));
        }
    }

    fn image(h: usize, w: usize) -> Tensor {
        let values: Vec<f64> = (0..2 * h * w).map(|i| ((i * 7) % 11) as f64).collect();
        Tensor::from_vec(values, (1, 2, h, w), &Device::Cpu).unwrap()
    }

    #[test]
    fn doubling_is_the_general_case() {
        let x = image(3, 4);
        let general = x
            .index_select(&Tensor::new(&[0u32, 0, 1, 1, 2, 2], &Device::Cpu).unwrap(), 2)
            .unwrap()
            .index_select(&Tensor::new(&[0u32, 0, 1, 1, 2, 2, 3, 3], &Device::Cpu).unwrap(), 3)
            .unwrap();
        let doubled = nearest(&x, 6, 8).unwrap();
        assert_eq!(
            doubled.flatten_all().unwrap().to_vec1::<f64>().unwrap(),
            general.flatten_all().unwrap().to_vec1::<f64>().unwrap()
        );
    }

    #[test]
    fn ten_to_512_is_torchs_floor() {
        let column = Tensor::arange(0f32, 10.0, &Device::Cpu).unwrap().reshape((1, 1, 1, 10)).unwrap();
        let wide = nearest(&column, 1, 512).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(wide.iter().enumerate().all(|(i, &v)| v as usize == i * 10 / 512));
    }

    #[test]
    fn bilinear_is_candles_forward() {
        let x = image(5, 7);
        #[expect(clippy::disallowed_methods, reason = "its forward pass is right on a contiguous input")]
        let expected = x.upsample_bilinear2d(11, 4, false).unwrap();
        let worst = (bilinear(&x, 11, 4).unwrap() - expected).unwrap().abs().unwrap().max_all().unwrap();
        assert!(worst.to_scalar::<f64>().unwrap() < 1e-6);
    }

    #[test]
    fn the_middle_is_cut_out() {
        let x = Tensor::arange(0u32, 16, &Device::Cpu).unwrap().reshape((1, 1, 4, 4)).unwrap();
        assert_eq!(center_crop(&x, 2).unwrap().flatten_all().unwrap().to_vec1::<u32>().unwrap(), [5, 6, 9, 10]);
        assert!(center_crop(&x, 6).is_err());
    }
}
