//! The convolution and its gradients on the CPU, as matrix products (im2col).
//!
//! The matrix of all windows is as many times larger than the image as the kernel has taps. So it is built tile by
//! tile, each small enough to stay in a core's cache until the product has read it.

use std::ops::Range;

use candle_core::Result;
use rayon::prelude::*;

use crate::nn::{
    Padding,
    cpu::{
        self, Adds, Edge, Epilogue, Image, Level, Matrix, Real, Shape, Target, Windows, Winograd, by_blocks, in_blocks,
        multiply_add, with_scratch,
    },
};

/// Bytes of a tile: half of a typical second-level cache.
const TILE_BYTES: usize = 1 << 19;
/// Minimum number of windows in a tile: with fewer, the weights are read from memory too often.
const FEWEST_WINDOWS: usize = 128;
/// Channels per task in the gradients.
const CHANNELS_OF_A_TASK: usize = 32;
/// Parts of an image whose weight gradients are summed separately, so that they can be computed in parallel.
const PARTS: usize = 4;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(in crate::nn) struct Sizes {
    /// Images.
    pub(in crate::nn) batch: usize,
    /// Channels in and out.
    pub(in crate::nn) channels: (usize, usize),
    /// The windows of an image.
    pub(in crate::nn) windows: Windows,
    /// Their number, down and across.
    pub(in crate::nn) count: (usize, usize),
}

impl Sizes {
    pub(in crate::nn) fn new(batch: usize, channels: (usize, usize), windows: Windows) -> Result<Self> {
        Ok(Self { batch, channels, windows, count: windows.count()? })
    }

    /// Windows of an image, pixels of the output.
    pub(in crate::nn) fn all(&self) -> usize {
        self.count.0 * self.count.1
    }

    /// The sizes for Winograd's tiles, if they compute this convolution: of 3×3 with stride 1.
    fn by_tiles(&self) -> Option<Shape> {
        let Windows { image: size, kernel, stride, padding } = self.windows;
        let edge = Edge { width: padding, padding: Padding::Zeros };
        let is_suitable = kernel == (3, 3) && stride == 1 && padding <= 2 && Winograd::pays(self.count);
        is_suitable.then_some(Shape { channels: self.channels, size, edge })
    }

    /// Ranges of the windows of an image, as many as fit a tile of `rows` rows.
    fn tiles<T>(&self, rows: usize) -> (usize, impl Iterator<Item = Range<usize>> + use<T>) {
        let all = self.all();
        let fitting = TILE_BYTES / (rows * size_of::<T>()).max(1);
        // Whole SIMD vectors for both dtypes.
        let tile = (fitting / 64 * 64).max(FEWEST_WINDOWS).min(all.max(1));
        (tile, (0..all).step_by(tile).map(move |start| start..(start + tile).min(all)))
    }

    /// The columns of `windows` in `planes`; written to `columns` unless the image is its own matrix of columns.
    fn columns<'a, T: Real>(
        &self,
        planes: &'a [T],
        rows: usize,
        windows: &Range<usize>,
        columns: &'a mut [T],
    ) -> Matrix<'a, T> {
        if self.windows.are_pixels() {
            return Matrix::by_rows(&planes[windows.start..], (rows, windows.len()), self.all());
        }
        let columns = &mut columns[..rows * windows.len()];
        self.windows.gather(planes, self.count.1, windows, columns);
        Matrix::by_rows(columns, (rows, windows.len()), windows.len())
    }
}

/// `x [B, C, H, W]` by `weight [N, C, k, k]`, plus `bias [N]`, to `[B, N, H', W']`.
pub(super) fn forward<T: Real>(x: &[T], weight: &[T], bias: Option<&[T]>, sizes: &Sizes) -> Vec<T> {
    if let Some(shape) = sizes.by_tiles()
        && let (Some(x), Some(weight)) = (T::as_f32(x), T::as_f32(weight))
    {
        return T::of_f32(by_tiles(x, weight, bias.and_then(T::as_f32), sizes.batch, &shape));
    }
    let (c_in, c_out) = sizes.channels;
    let (rows, all) = (c_in * sizes.windows.taps(), sizes.all());
    let (tile, _) = sizes.tiles::<T>(rows);
    let mut y = vec![T::zero(); sizes.batch * c_out * all];
    // Each task's part of the output: a piece of each plane.
    let mut tasks = Vec::new();
    for (image, planes) in x.chunks_exact(c_in * sizes.windows.pixels()).zip(y.chunks_exact_mut(c_out * all)) {
        let first = tasks.len();
        tasks.extend(sizes.tiles::<T>(rows).1.map(|windows| (image, windows, Vec::with_capacity(c_out))));
        for plane in planes.chunks_exact_mut(all) {
            for (task, piece) in tasks[first..].iter_mut().zip(plane.chunks_mut(tile)) {
                task.2.push(piece);
            }
        }
    }
    let weight = Matrix::by_rows(weight, (c_out, rows), rows);
    tasks.into_par_iter().for_each(|(image, windows, pieces)| {
        with_scratch([rows * windows.len(), c_out * windows.len()], |columns, product| {
            let columns = sizes.columns(image, rows, &windows, columns);
            multiply_add(product, weight, columns, Adds::ToNothing);
            for (n, (piece, row)) in pieces.into_iter().zip(product.chunks_exact(windows.len())).enumerate() {
                match bias.map(|bias| bias[n]) {
                    Some(bias) => piece.iter_mut().zip(row).for_each(|(y, &value)| *y = value + bias),
                    None => piece.copy_from_slice(row),
                }
            }
        });
    });
    y
}

/// Gradient of the input, from that of the output `[B, N, H', W']`: `[B, C, H, W]`.
pub(super) fn gradient_of_input<T: Real>(gradient: &[T], weight: &[T], sizes: &Sizes) -> Vec<T> {
    let Sizes { batch, channels: (c_in, c_out), windows, count } = *sizes;
    if windows.stride == 1
        && windows.padding < windows.kernel.0.min(windows.kernel.1)
        && windows.kernel.0 == windows.kernel.1
    {
        // This is also a convolution: of the gradient, with the kernels rotated by 180° and the channels swapped.
        let taps = windows.taps();
        let mut turned = Vec::with_capacity(weight.len());
        for c in 0..c_in {
            for n in 0..c_out {
                turned.extend(weight[(n * c_in + c) * taps..][..taps].iter().rev());
            }
        }
        let back = Windows { image: count, padding: windows.kernel.0 - 1 - windows.padding, ..windows };
        let sizes = Sizes { batch, channels: (c_out, c_in), windows: back, count: windows.image };
        return forward(gradient, &turned, None, &sizes);
    }
    let (taps, all) = (windows.taps(), sizes.all());
    let rows = c_in * taps;
    let mut x = vec![T::zero(); batch * c_in * windows.pixels()];
    let images = x.chunks_exact_mut(c_in * windows.pixels()).zip(gradient.chunks_exact(c_out * all));
    let tasks: Vec<_> = images
        .flat_map(|(planes, gradient)| {
            let parts = planes.chunks_mut(CHANNELS_OF_A_TASK * windows.pixels());
            parts.enumerate().map(move |(part, planes)| (gradient, part * CHANNELS_OF_A_TASK * taps, planes))
        })
        .collect();
    tasks.into_par_iter().for_each(|(gradient, first_row, planes)| {
        let part_rows = planes.len() / windows.pixels() * taps;
        let weight = Matrix::by_rows(&weight[first_row..], (c_out, part_rows), rows).transposed();
        let (_, tiles) = sizes.tiles::<T>(part_rows);
        for tile in tiles {
            with_scratch([part_rows * tile.len(), 0], |columns, _| {
                let gradient = Matrix::by_rows(&gradient[tile.start..], (c_out, tile.len()), all);
                multiply_add(columns, weight, gradient, Adds::ToNothing);
                windows.scatter(columns, count.1, &tile, planes);
            });
        }
    });
    x
}

/// The same by Winograd's tiles.
fn by_tiles(x: &[f32], weight: &[f32], bias: Option<&[f32]>, batch: usize, shape: &Shape) -> Vec<f32> {
    let Shape { channels: (c_in, c_out), size, edge } = *shape;
    let level = Level::of_this_thread();
    let inputs: Vec<_> = by_blocks(0..c_in).collect();
    let tiles = Winograd::new(weight, &vec![1.0; c_out], &inputs, edge, level);
    let bias = in_blocks(&bias.map_or_else(|| vec![0.0; c_out], <[f32]>::to_vec));
    let epilogue = Epilogue { bias: &bias, residual: None, rectifies: false };
    let (height, width) = edge.output(size);
    let of_image = c_out * height * width;
    let mut y = vec![0.0; batch * of_image];
    for (x, y) in x.chunks_exact(c_in * size.0 * size.1).zip(y.chunks_exact_mut(of_image)) {
        tiles.convolve(Image::Planes(x), size, &epilogue, Target::Planes(y), level);
    }
    y
}

/// Gradient of the weights, from that of the output: `[N, C, k, k]`.
pub(super) fn gradient_of_weight<T: Real>(x: &[T], gradient: &[T], sizes: &Sizes) -> Vec<T> {
    if let Some(shape) = sizes.by_tiles()
        && let (Some(x), Some(gradient)) = (T::as_f32(x), T::as_f32(gradient))
    {
        return T::of_f32(cpu::gradient_of_weight(x, gradient, &shape, Level::of_this_thread()));
    }
    let Sizes { batch, channels: (c_in, c_out), windows, .. } = *sizes;
    let (taps, all) = (windows.taps(), sizes.all());
    let blocks = c_in.div_ceil(CHANNELS_OF_A_TASK);
    let tiles: Vec<_> = sizes.tiles::<T>(CHANNELS_OF_A_TASK.min(c_in) * taps).1.collect();
    let tiles_of_part = tiles.len().div_ceil(PARTS.div_ceil(blocks));
    let tasks: Vec<_> = (0..blocks).flat_map(|block| tiles.chunks(tiles_of_part).map(move |t| (block, t))).collect();
    let sums = tasks.par_iter().map(|&(block, tiles)| {
        let channels = block * CHANNELS_OF_A_TASK..((block + 1) * CHANNELS_OF_A_TASK).min(c_in);
        let rows = channels.len() * taps;
        let mut sum = vec![T::zero(); c_out * rows];
        for (image, tile) in (0..batch).flat_map(|image| tiles.iter().map(move |tile| (image, tile))) {
            let planes = &x[(image * c_in + channels.start) * windows.pixels()..][..channels.len() * windows.pixels()];
            let gradient = &gradient[image * c_out * all..][..c_out * all];
            with_scratch([rows * tile.len(), 0], |columns, _| {
                let columns = sizes.columns(planes, rows, tile, columns).transposed();
                let gradient = Matrix::by_rows(&gradient[tile.start..], (c_out, tile.len()), all);
                multiply_add(&mut sum, gradient, columns, Adds::ToTarget);
            });
        }
        (channels.start * taps, rows, sum)
    });
    let mut weight = vec![T::zero(); c_out * c_in * taps];
    for (first_row, rows, sum) in sums.collect::<Vec<_>>() {
        for (weight, sum) in weight.chunks_exact_mut(c_in * taps).zip(sum.chunks_exact(rows)) {
            weight[first_row..first_row + rows].iter_mut().zip(sum).for_each(|(w, &s)| *w += s);
        }
    }
    weight
}

/// Gradient of the bias, from that of the output: `[N]`. Summed in f64.
pub(super) fn gradient_of_bias<T: Real>(gradient: &[T], sizes: &Sizes) -> Vec<T> {
    let c_out = sizes.channels.1;
    let sums: Vec<f64> =
        gradient.par_chunks_exact(sizes.all()).map(|plane| plane.iter().map(|g| g.to_f64()).sum()).collect();
    (0..c_out).map(|n| T::from_f64(sums.iter().skip(n).step_by(c_out).sum())).collect()
}
