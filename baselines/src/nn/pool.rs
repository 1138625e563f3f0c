//! Pooling.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::{
    cpu::{Real, by_type, values},
    kernels,
};

/// Max-pooling with kernel 3, stride 2, padding 1: `torch.nn.MaxPool2d(3, 2, 1)`.
/// `[B, C, H, W]` to `[B, C, ⌈H/2⌉, ⌈W/2⌉]`.
///
/// As in torch, the gradient of tied values goes to the first in row-major order, and NaN propagates. candle's own
/// max-pooling has no padding, and its gradients are wrong.
///
/// # Errors
/// If the device fails.
pub fn max_pool_3x3_s2(x: &Tensor) -> Result<Tensor> {
    if kernels::take(x) { x.contiguous()?.apply_op1(MaxPool) } else { composed(x) }
}

/// The same, composed of candle's operations, for other devices.
fn composed(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let (down, across) = (height.div_ceil(2), width.div_ceil(2));
    // Replicate padding is equivalent to padding with -∞: each window with a padding pixel also has the edge pixel that
    // it repeats. Then separate even and odd indices: index 2i + p of the padded image is [i, p].
    let padded = x.pad_with_same(2, 1, 1 + height % 2)?.pad_with_same(3, 1, 1 + width % 2)?;
    let padded = padded.reshape((batch, channels, down + 1, 2, across + 1, 2))?;
    let seen = |row: usize, column: usize| {
        let x = padded.narrow(3, row % 2, 1)?.narrow(5, column % 2, 1)?.squeeze(5)?.squeeze(3)?;
        x.narrow(2, row / 2, down)?.narrow(3, column / 2, across)?.contiguous()
    };
    let mut largest = seen(0, 0)?;
    for tap in 1..9 {
        let other = seen(tap / 3, tap % 3)?;
        let wins = (other.gt(&largest)? + other.ne(&other)?)?;
        largest = wins.where_cond(&other, &largest)?;
    }
    Ok(largest)
}

/// Calls `f` with each window's output index, and the input index and value of its largest pixel.
fn largest<T: Real>(plane: &[T], (height, width): (usize, usize), mut f: impl FnMut(usize, usize, T)) {
    let across = width.div_ceil(2);
    for row in 0..height.div_ceil(2) {
        let rows = (2 * row).saturating_sub(1)..(2 * row + 2).min(height);
        for column in 0..across {
            let columns = (2 * column).saturating_sub(1)..(2 * column + 2).min(width);
            let mut index = rows.start * width + columns.start;
            let mut value = plane[index];
            for line in rows.clone() {
                for (at, &other) in (line * width + columns.start..).zip(&plane[line * width..][columns.clone()]) {
                    // NaN differs from itself.
                    #[expect(clippy::eq_op, reason = "the test for what is no number, in any type")]
                    if other > value || other != other {
                        (index, value) = (at, other);
                    }
                }
            }
            f(row * across + column, index, value);
        }
    }
}

struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let (down, across) = (height.div_ceil(2), width.div_ceil(2));
        by_type!(x, T => {
            let mut y = vec![0.0; batch * channels * down * across];
            let planes = values::<T>(x, layout)?.par_chunks_exact((height * width).max(1));
            y.par_chunks_exact_mut((down * across).max(1)).zip(planes).for_each(|(y, plane)| {
                largest(plane, (height, width), |window, _, value| y[window] = value);
            });
            Ok((T::to_cpu_storage_owned(y), (batch, channels, down, across).into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::max_pool(x, layout)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous()?.apply_op2_no_bwd(x, &MaxPoolGradient).map(Some)
    }
}

/// Backward pass: operands are the output's gradient and the input.
struct MaxPoolGradient;

impl CustomOp2 for MaxPoolGradient {
    fn name(&self) -> &'static str {
        "gradient of max-pool"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let (.., height, width) = lx.shape().dims4()?;
        let windows = height.div_ceil(2) * width.div_ceil(2);
        by_type!(g, T => {
            let (g, x) = (values::<T>(g, lg)?, values::<T>(x, lx)?);
            let mut of_x = vec![0.0; x.len()];
            let planes = of_x.par_chunks_exact_mut((height * width).max(1));
            let seen = x.par_chunks_exact((height * width).max(1)).zip(g.par_chunks_exact(windows.max(1)));
            planes.zip(seen).for_each(|(of_x, (plane, g))| {
                largest(plane, (height, width), |window, index, _| of_x[index] += g[window]);
            });
            Ok((T::to_cpu_storage_owned(of_x), lx.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, g: &CudaStorage, lg: &Layout, x: &CudaStorage, lx: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::max_pool_gradient((g, lg), (x, lx))
    }
}

/// Mean of each `size` × `size` window, without overlap: `torch.nn.AvgPool2d(size)` on an image that `size` divides.
/// `[B, C, H, W]` to `[B, C, H/size, W/size]`.
///
/// # Errors
/// If `size` does not divide the image (candle's gradient would be wrong), or the device fails.
pub fn average_pool(x: &Tensor, size: usize) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    if size == 0 || height % size != 0 || width % size != 0 {
        bail!("cannot divide an image of {height}×{width} into windows of {size}×{size}");
    }
    x.avg_pool2d(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{assert_agree, assert_gradients, image, image_with_ties};
    use candle_core::{Device, Var};

    #[test]
    fn the_padded_pool_is_the_largest_of_each_window() {
        for (height, width) in [(6, 8), (5, 7), (1, 4), (9, 1)] {
            let value = |r: usize, c: usize| ((r * 37 + c * 101) % 23) as f32 - 30.0;
            let pixels: Vec<f32> = (0..height * width).map(|i| value(i / width, i % width)).collect();
            let x = Tensor::from_vec(pixels, (1, 1, height, width), &Device::Cpu).unwrap();
            let y = max_pool_3x3_s2(&x).unwrap();
            assert_eq!(y.dims(), [1, 1, height.div_ceil(2), width.div_ceil(2)]);
            let window = |i: usize, n: usize| (2 * i).saturating_sub(1)..=(2 * i + 1).min(n - 1);
            for (i, row) in y.squeeze(0).unwrap().squeeze(0).unwrap().to_vec2::<f32>().unwrap().iter().enumerate() {
                for (j, &found) in row.iter().enumerate() {
                    let cells = window(i, height).flat_map(|r| window(j, width).map(move |c| value(r, c)));
                    let largest = cells.fold(f32::NEG_INFINITY, f32::max);
                    assert_eq!(found.to_bits(), largest.to_bits(), "{height}×{width} at {i},{j}");
                }
            }
        }
    }

    #[test]
    fn gradients_are_right_and_both_ways_agree() {
        for dims in [[2, 3, 6, 8], [1, 2, 5, 7], [2, 1, 7, 4], [1, 1, 1, 4], [1, 2, 9, 1]] {
            assert_gradients(&[&image(&dims)], |t| max_pool_3x3_s2(&t[0]));
            for x in [image(&dims), image_with_ties(&dims)] {
                assert_agree(&[&x], |t| max_pool_3x3_s2(&t[0]), |t| composed(&t[0]));
            }
        }
        assert_gradients(&[&image(&[1, 2, 6, 9])], |t| average_pool(&t[0], 3));
        assert_gradients(&[&image(&[1, 2, 5, 7])], |t| average_pool(&t[0], 1));
    }

    #[test]
    fn the_first_of_tied_values_has_the_gradient() {
        let x = Var::zeros((1, 1, 4, 4), candle_core::DType::F64, &Device::Cpu).unwrap();
        for pool in [max_pool_3x3_s2, composed] {
            let gradients = pool(&x).unwrap().sum_all().unwrap().backward().unwrap();
            let found = gradients.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(found, [1., 1., 0., 0., 1., 1., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.]);
        }
    }

    #[test]
    fn nan_propagates() {
        let pixels: Vec<f32> = (0..25).map(|i| if i == 6 { f32::NAN } else { i as f32 }).collect();
        let x = Tensor::from_vec(pixels, (1, 1, 5, 5), &Device::Cpu).unwrap();
        for pool in [max_pool_3x3_s2, composed] {
            let y = pool(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(
                y.iter().map(|v| v.is_nan()).collect::<Vec<_>>(),
                [true, true, false, true, true, false, false, false, false]
            );
        }
    }
}
