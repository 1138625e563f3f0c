//! Pooling.

use candle_core::{Result, Tensor, bail};

/// Largest of each 3×3 window, in steps of 2, with one pixel around that never wins: `torch.nn.MaxPool2d(3, 2, 1)`.
/// `[B, C, H, W]` to `[B, C, ⌈H/2⌉, ⌈W/2⌉]`.
///
/// candle's own has no padding, and its gradients are wrong. Where values tie, the gradient is shared between them;
/// torch gives it to the first.
///
/// # Errors
/// If the device fails.
pub fn max_pool_3x3_s2(x: &Tensor) -> Result<Tensor> {
    // A repeated edge stands for -∞: it can only tie with the edge itself, which every window that holds it holds too.
    let rows = largest_of_three(x, 2)?;
    largest_of_three(&rows, 3)
}

/// Largest of places `2i-1`, `2i`, `2i+1` of one axis.
fn largest_of_three(x: &Tensor, axis: usize) -> Result<Tensor> {
    let size = x.dim(axis)?;
    let out = size.div_ceil(2);
    let padded = x.pad_with_same(axis, 1, 1 + size % 2)?;
    // Even and odd places apart: [.., 2 * (out + 1), ..] to [.., out + 1, 2, ..].
    let mut dims = padded.dims().to_vec();
    dims.splice(axis..=axis, [out + 1, 2]);
    let pairs = padded.narrow(axis, 0, 2 * (out + 1))?.reshape(dims)?;
    let phase = |p: usize| pairs.narrow(axis + 1, p, 1)?.squeeze(axis + 1);
    let (even, odd) = (phase(0)?, phase(1)?);
    even.narrow(axis, 0, out)?.maximum(&odd.narrow(axis, 0, out)?)?.maximum(&even.narrow(axis, 1, out)?)
}

/// Mean of each `size` × `size` window, without overlap: `torch.nn.AvgPool2d(size)` on an image that `size` divides.
/// `[B, C, H, W]` to `[B, C, H/size, W/size]`.
///
/// # Errors
/// If `size` does not divide the image (candle's gradient would be wrong), or the device fails.
pub fn average_pool(x: &Tensor, size: usize) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    if size == 0 || height % size != 0 || width % size != 0 {
        bail!("an image of {height}×{width} does not fall into windows of {size}×{size}");
    }
    x.avg_pool2d(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

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
}
