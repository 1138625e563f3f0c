//! The gradient of a convolution's weights, by the same tiles: the transposes of the transforms.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    super::{
        blocks::{Plane, blocks_of},
        lanes::{BLOCK, Block, Grouped, Lanes, Level, Task, ZEROS, in_groups},
    },
    BAND_BYTES, Edge, Grid, Image, Inputs, Planes, column, stride,
    tile::{KERNEL, M, N, POINTS, spread},
    with_scratch,
};

/// Blocks of input channels that share the transformed gradients.
const BLOCKS_OF_A_TASK: usize = 4;
/// Tasks at least, of which each has its own sum, so that they can be computed in parallel.
const TASKS: usize = 8;

/// Sizes of a convolution of 3×3 with stride 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Channels in and out.
    pub(crate) channels: (usize, usize),
    /// Height and width of the input.
    pub(crate) size: (usize, usize),
    /// Around the input.
    pub(crate) edge: Edge,
}

/// The gradient of the weights `[N, C, 3, 3]`, from the inputs `[B, C, H, W]` and the outputs' gradients `[B, N, H', W']`.
pub(crate) fn gradient_of_weight(x: &[f32], gradient: &[f32], shape: &Shape, level: Level) -> Vec<f32> {
    let Shape { channels: (c_in, c_out), size, edge } = *shape;
    let grid = Grid::new(size, edge);
    let (inputs, outputs) = (blocks_of(c_in), blocks_of(c_out));
    let (of_x, of_gradient) = (c_in * size.0 * size.1, c_out * grid.size.0 * grid.size.1);
    let images: Vec<_> = x
        .chunks_exact(of_x)
        .zip(gradient.chunks_exact(of_gradient))
        .map(|(x, gradient)| (Planes::of(Image::Planes(x), size), Planes::of(Image::Planes(gradient), grid.size)))
        .collect();
    // Bands of whole rows of tiles, of all images.
    let rows = (BAND_BYTES / (BLOCKS_OF_A_TASK * POINTS * size_of::<Block>()) / grid.across).max(1);
    let bands: Vec<_> = (0..images.len())
        .flat_map(|image| {
            let lines = (0..grid.size.0).step_by(rows * M);
            lines.map(move |line| (image, line..(line + rows * M).min(grid.size.0)))
        })
        .collect();
    let groups: Vec<_> = (0..inputs).step_by(BLOCKS_OF_A_TASK).map(|b| b..(b + BLOCKS_OF_A_TASK).min(inputs)).collect();
    let parts = bands.chunks(bands.len().div_ceil(TASKS.div_ceil(groups.len())).max(1));
    let tasks: Vec<_> =
        parts.flat_map(|bands| groups.iter().enumerate().map(move |(g, group)| (bands, g, group.clone()))).collect();
    let sums: Vec<_> = tasks
        .into_par_iter()
        .map(|(bands, index, group)| {
            // `[output block, point, input channel]`.
            let of_block = POINTS * group.len() * BLOCK;
            let mut sums = vec![ZEROS; outputs * of_block];
            for (image, lines) in bands {
                let (x, gradient) = &images[*image];
                let first = lines.start / M * grid.across;
                let count = lines.len().div_ceil(M) * grid.across;
                let step = POINTS * stride(count);
                with_scratch([group.len() * step, step], |tiles, spread| {
                    for (block, tiles) in group.clone().zip(tiles.chunks_exact_mut(step)) {
                        x.with_rows(block, grid.seen(lines), |plane| {
                            level.run(Inputs { plane, grid, tiles: first..first + count, to: tiles });
                        });
                    }
                    for (block, sums) in sums.chunks_exact_mut(of_block).enumerate() {
                        gradient.with_rows(block, lines.clone(), |plane| {
                            level.run(Spread { plane, grid, tiles: first..first + count, to: spread });
                        });
                        level.run(Outer { tiles, spread, count, sums });
                    }
                });
            }
            (index, sums)
        })
        .collect();
    let mut weight = vec![0.0; c_out * c_in * 9];
    weight.par_chunks_mut(BLOCK * c_in * 9).enumerate().for_each(|(block, weight)| {
        for (index, group) in groups.iter().enumerate() {
            let of_block = POINTS * group.len() * BLOCK;
            let parts: Vec<_> =
                sums.iter().filter(|(i, _)| *i == index).map(|(_, s)| &s[block * of_block..][..of_block]).collect();
            level.run(Kernels { parts: &parts, first: group.start * BLOCK, channels: c_in, weight: &mut *weight });
        }
    });
    weight
}

/// Transforms the gradients of the pixels of tiles, to `[point, tile]`.
struct Spread<'a> {
    plane: Plane<'a>,
    grid: Grid,
    tiles: Range<usize>,
    to: &'a mut [Block],
}

impl Task for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { plane, grid, tiles, to } = self;
        let (height, width) = grid.size;
        let step = stride(tiles.len());
        for (t, tile) in tiles.enumerate() {
            let (top, left) = (tile / grid.across * M, tile % grid.across * M);
            let mut rows = [[&ZEROS; M]; M];
            for (y, row) in (top..height).zip(&mut rows) {
                for (x, pixel) in (left..width).zip(row) {
                    *pixel = plane.at(y, x);
                }
            }
            for from in (0..BLOCK).step_by(L::WIDTH) {
                let mut across = [[lanes.splat(0.0); N]; M];
                for (across, row) in across.iter_mut().zip(&rows) {
                    let mut pixels = [lanes.splat(0.0); M];
                    for (value, pixel) in pixels.iter_mut().zip(row) {
                        *value = lanes.load(pixel, from);
                    }
                    *across = spread(lanes, pixels);
                }
                for j in 0..N {
                    let down = spread(lanes, column(&across, j));
                    for (i, value) in down.into_iter().enumerate() {
                        lanes.store(&mut to[(i * N + j) * step + t], from, value);
                    }
                }
            }
        }
    }
}

/// Adds, at each point, the products of each input channel and each output channel over the tiles.
struct Outer<'a> {
    /// `[input block, point, tile]`.
    tiles: &'a [Block],
    /// `[point, tile]` of a block of output channels.
    spread: &'a [Block],
    count: usize,
    /// `[point, input channel]`.
    sums: &'a mut [Block],
}

impl Task for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { tiles, spread, count, sums } = self;
        let step = stride(count);
        let channels = sums.len() / (POINTS);
        for (point, (sums, spread)) in sums.chunks_exact_mut(channels).zip(spread.chunks_exact(step)).enumerate() {
            let spread = &spread[..count];
            for (tiles, sums) in tiles.chunks_exact(POINTS * step).zip(sums.chunks_exact_mut(BLOCK)) {
                let tiles = &tiles[point * step..][..count];
                in_groups(lanes, BLOCK, &mut OfBlock { tiles, spread, sums });
            }
        }
    }
}

/// At one point, the products of a block's input channels.
struct OfBlock<'a> {
    /// Of each tile.
    tiles: &'a [Block],
    spread: &'a [Block],
    /// Of each input channel.
    sums: &'a mut [Block],
}

impl Grouped for OfBlock<'_> {
    #[inline(always)]
    fn run<L: Lanes, const P: usize>(&mut self, lanes: L, first: usize) {
        let sums = &mut self.sums[first..][..P];
        let mut registers = [lanes.zeros(); P];
        for (register, sum) in registers.iter_mut().zip(&*sums) {
            *register = lanes.load_block(sum);
        }
        for (tile, spread) in self.tiles.iter().zip(self.spread) {
            let spread = lanes.load_block(spread);
            for (register, &input) in registers.iter_mut().zip(&tile[first..][..P]) {
                *register = lanes.mul_add_block(input, spread, *register);
            }
        }
        for (sum, register) in sums.iter_mut().zip(registers) {
            lanes.store_block(sum, register);
        }
    }
}

/// Sums the parts, and transforms them to kernels of a block of output channels.
struct Kernels<'a> {
    /// `[point, input channel]` of each part.
    parts: &'a [&'a [Block]],
    /// The first input channel.
    first: usize,
    /// All input channels.
    channels: usize,
    /// `[n, C, 3, 3]`, at most 16 output channels.
    weight: &'a mut [f32],
}

impl Task for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Self { parts, first, channels, weight } = self;
        let rows = parts[0].len() / (POINTS);
        for row in 0..rows.min(channels - first) {
            let mut rows_of_kernel = [[[0f64; BLOCK]; N]; 3];
            for i in 0..N {
                for j in 0..N {
                    let mut sum = [0f64; BLOCK];
                    for part in parts {
                        let values = &part[(i * N + j) * rows + row];
                        for lane in 0..BLOCK {
                            sum[lane] += f64::from(values[lane]);
                        }
                    }
                    for (tap, of_tap) in rows_of_kernel.iter_mut().enumerate() {
                        for lane in 0..BLOCK {
                            of_tap[j][lane] += KERNEL[i][tap] * sum[lane];
                        }
                    }
                }
            }
            for (down, of_row) in rows_of_kernel.iter().enumerate() {
                for right in 0..3 {
                    let mut sum = [0f64; BLOCK];
                    for (j, values) in of_row.iter().enumerate() {
                        for lane in 0..BLOCK {
                            sum[lane] += KERNEL[j][right] * values[lane];
                        }
                    }
                    for (kernels, value) in weight.chunks_exact_mut(channels * 9).zip(sum) {
                        #[expect(clippy::cast_possible_truncation, reason = "rounded once, here")]
                        let value = value as f32;
                        kernels[(first + row) * 9 + down * 3 + right] = value;
                    }
                }
            }
        }
    }
}
