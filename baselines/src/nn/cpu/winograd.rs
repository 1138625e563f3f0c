//! Convolutions of 3×3, stride 1 and padding 1 by Winograd's minimal filtering (Lavin and Gray 2015, arXiv:1509.09308).
//!
//! A tile of `M`×`M` output pixels is computed from the `N`×`N` input pixels under it, `N` = `M` + 2: both the tile and the
//! kernel are evaluated at `N` points on each axis, where the convolution is a product, and the results interpolated. A
//! tile of 4×4 takes 36 products for each pair of channels, a direct convolution 144; one of 2×2 takes 16, and 36.
//!
//! The price is rounding. The points 0, ±3/4, ±3/2, ∞ of the larger tile make the errors smallest (after Barabasz et al.
//! 2020, arXiv:1803.10986): a network's maps err by some 1.5 times as much as those of direct sums, with the usual points
//! 0, ±1, ±2, ∞ by 2 to 3 times. All factors of the transforms are exact in f32. The transformed weights are computed in
//! f64.

use std::{cell::RefCell, ops::Range};

use rayon::prelude::*;

use super::{
    blocks::{Epilogue, Plane, Source},
    lanes::{BLOCK, Block, Lanes, Level, Task, ZEROS, accumulate},
};
use crate::nn::Padding;

/// Weights transformed for tiles.
#[derive(Debug)]
pub(crate) struct Winograd {
    /// `[output block, point, input channel]`, of each a block of output channels.
    weights: Vec<Block>,
    inputs: usize,
    outputs: usize,
    tile: Size,
    padding: Padding,
}

/// The size of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// 2×2 pixels.
    Two,
    /// 4×4 pixels.
    Four,
}

impl Size {
    /// The size that suits an image: of large tiles there must be so many that reading their weights is worth it, which are
    /// 36 for each pair of channels, and 16 of small tiles.
    pub(crate) fn of((height, width): (usize, usize)) -> Self {
        if height.div_ceil(4) * width.div_ceil(4) >= 64 { Self::Four } else { Self::Two }
    }

    fn points(self) -> usize {
        match self {
            Self::Two => Two::N * Two::N,
            Self::Four => Four::N * Four::N,
        }
    }
}

/// The transforms of one axis.
trait Tile<const N: usize, const M: usize> {
    /// Input pixels of a tile.
    const N: usize = N;
    /// The kernel's three taps at each point.
    const KERNEL: [[f64; 3]; N];
    /// A row of input pixels at each point.
    fn input<L: Lanes>(lanes: L, pixels: [L::Vector; N]) -> [L::Vector; N];
    /// Values at each point to a row of output pixels.
    fn output<L: Lanes>(lanes: L, values: [L::Vector; N]) -> [L::Vector; M];
}

/// Tiles of 2×2, points 0, 1, -1, ∞.
struct Two;

impl Tile<4, 2> for Two {
    const KERNEL: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn input<L: Lanes>(lanes: L, [d0, d1, d2, d3]: [L::Vector; 4]) -> [L::Vector; 4] {
        [lanes.sub(d0, d2), lanes.add(d1, d2), lanes.sub(d2, d1), lanes.sub(d3, d1)]
    }

    #[inline(always)]
    fn output<L: Lanes>(lanes: L, [m0, m1, m2, m3]: [L::Vector; 4]) -> [L::Vector; 2] {
        let (sum, difference) = (lanes.add(m1, m2), lanes.sub(m1, m2));
        [lanes.add(m0, sum), lanes.add(difference, m3)]
    }
}

/// Tiles of 4×4, points 0, ±A, ±B, ∞.
struct Four;

const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

impl Tile<6, 4> for Four {
    const KERNEL: [[f64; 3]; 6] = {
        let (a, b) = (A as f64, B as f64);
        let (at_0, at_a, at_b) =
            (1.0 / (a * a * b * b), 0.5 / (a * a * (a * a - b * b)), 0.5 / (b * b * (b * b - a * a)));
        [
            [at_0, 0.0, 0.0],
            [at_a, a * at_a, a * a * at_a],
            [at_a, -a * at_a, a * a * at_a],
            [at_b, b * at_b, b * b * at_b],
            [at_b, -b * at_b, b * b * at_b],
            [0.0, 0.0, 1.0],
        ]
    };

    #[inline(always)]
    fn input<L: Lanes>(lanes: L, [d0, d1, d2, d3, d4, d5]: [L::Vector; 6]) -> [L::Vector; 6] {
        let (even_a, odd_a) = (times(lanes, -B2, d2, d4), times(lanes, -B2, d1, d3));
        let (even_b, odd_b) = (times(lanes, -A2, d2, d4), times(lanes, -A2, d1, d3));
        [
            times(lanes, A2 * B2, d0, times(lanes, -A2 - B2, d2, d4)),
            times(lanes, A, odd_a, even_a),
            times(lanes, -A, odd_a, even_a),
            times(lanes, B, odd_b, even_b),
            times(lanes, -B, odd_b, even_b),
            times(lanes, A2 * B2, d1, times(lanes, -A2 - B2, d3, d5)),
        ]
    }

    #[inline(always)]
    fn output<L: Lanes>(lanes: L, [m0, m1, m2, m3, m4, m5]: [L::Vector; 6]) -> [L::Vector; 4] {
        let (even_a, odd_a) = (lanes.add(m1, m2), lanes.sub(m1, m2));
        let (even_b, odd_b) = (lanes.add(m3, m4), lanes.sub(m3, m4));
        [
            lanes.add(m0, lanes.add(even_a, even_b)),
            times(lanes, A, odd_a, lanes.mul(lanes.splat(B), odd_b)),
            times(lanes, A2, even_a, lanes.mul(lanes.splat(B2), even_b)),
            times(lanes, A2 * A, odd_a, times(lanes, B2 * B, odd_b, m5)),
        ]
    }
}

/// `factor · x + plus`. (A closure would not be compiled for the level's instructions.)
#[inline(always)]
fn times<L: Lanes>(lanes: L, factor: f32, x: L::Vector, plus: L::Vector) -> L::Vector {
    lanes.mul_add(lanes.splat(factor), x, plus)
}

#[inline(always)]
fn column<V: Copy, const R: usize, const C: usize>(rows: &[[V; C]; R], j: usize) -> [V; R] {
    let mut column = [rows[0][j]; R];
    for (value, row) in column.iter_mut().zip(rows) {
        *value = row[j];
    }
    column
}

/// Bytes of the transformed pixels of a chunk of tiles, three quarters of a usual second-level cache.
const CHUNK_BYTES: usize = 384 << 10;
/// Bytes of weights from which they are read once for all tiles, and not once for each band.
const MANY_WEIGHTS: usize = 4 << 20;

impl Winograd {
    /// Transforms `weight [N, C, 3, 3]`, times the scale of each output channel; `inputs` gives the input channels of each
    /// block.
    pub(crate) fn new(
        weight: &[f32],
        scale: &[f64],
        inputs: &[Range<usize>],
        (tile, padding): (Size, Padding),
        level: Level,
    ) -> Self {
        let channels = weight.len() / scale.len().max(1) / 9;
        let (outputs, rows) = (scale.len().div_ceil(BLOCK), inputs.len() * BLOCK);
        let mut weights = vec![ZEROS; outputs * tile.points() * rows];
        weights.par_chunks_exact_mut(tile.points() * rows).enumerate().for_each(|(block, weights)| {
            let outputs = block * BLOCK..(block * BLOCK + BLOCK).min(scale.len());
            let task = Transform { weight, scale, outputs, channels, inputs, weights };
            match tile {
                Size::Two => level.run(OfKernels::<_, 4, 2>(task, Two)),
                Size::Four => level.run(OfKernels::<_, 6, 4>(task, Four)),
            }
        });
        Self { weights, inputs: inputs.len(), outputs, tile, padding }
    }

    /// The convolution of an image of `size`, whose channels are those of `sources`, to `y`: `[output block, H, W]`.
    pub(crate) fn convolve(
        &self,
        sources: &[Source<'_>],
        size: (usize, usize),
        epilogue: &Epilogue<'_>,
        y: &mut [Block],
        level: Level,
    ) {
        match self.tile {
            Size::Two => self.by_tiles::<Two, 4, 2>(sources, size, epilogue, y, level),
            Size::Four => self.by_tiles::<Four, 6, 4>(sources, size, epilogue, y, level),
        }
    }

    fn by_tiles<T: Tile<N, M>, const N: usize, const M: usize>(
        &self,
        sources: &[Source<'_>],
        size: (usize, usize),
        epilogue: &Epilogue<'_>,
        y: &mut [Block],
        level: Level,
    ) {
        let (height, width) = size;
        let planes: Vec<_> = sources.iter().flat_map(Source::planes).collect();
        assert!(planes.len() == self.inputs && y.len() == self.outputs * height * width, "an image of another layer");
        let grid = Grid { size, across: width.div_ceil(M), padding: self.padding };
        let all = height.div_ceil(M) * grid.across;
        let of_block = N * N * self.inputs * BLOCK;
        if size_of_val(self.weights.as_slice()) >= MANY_WEIGHTS {
            // Few tiles, many channels: first all tiles, then each block of output channels.
            let mut tiles = vec![ZEROS; planes.len() * N * N * stride(all)];
            tiles.par_chunks_exact_mut(N * N * stride(all)).zip(&planes).for_each(|(tiles, plane)| {
                level.run(Inputs::<T, N, M>::new(*plane, grid, 0..all, tiles));
            });
            y.par_chunks_exact_mut(height * width).zip(self.weights.par_chunks_exact(of_block)).enumerate().for_each(
                |(block, (y, weights))| {
                    with_scratch([0, N * N * stride(all)], |_, sums| {
                        level.run(Products { tiles: &tiles, weights, count: all, points: N * N, sums });
                        let epilogue = epilogue.of_block(block, height * width);
                        level.run(Outputs::<T, N, M>::new(sums, grid, 0..all, (0, y), epilogue));
                    });
                },
            );
            return;
        }
        // Bands of whole rows of tiles, each with a piece of every block of output channels.
        let of_tile = planes.len() * N * N * BLOCK * size_of::<f32>();
        let chunk = (CHUNK_BYTES / of_tile / BATCH * BATCH).max(BATCH);
        let rows = (chunk / grid.across).max(1);
        let mut bands: Vec<Vec<&mut [Block]>> = Vec::new();
        bands.resize_with(height.div_ceil(rows * M), Vec::new);
        for plane in y.chunks_exact_mut(height * width) {
            for (band, piece) in bands.iter_mut().zip(plane.chunks_mut(rows * M * width)) {
                band.push(piece);
            }
        }
        bands.into_par_iter().enumerate().for_each(|(band, mut pieces)| {
            let first = band * rows * grid.across;
            let last = (first + rows * grid.across).min(all);
            for start in (first..last).step_by(chunk) {
                let tiles = start..(start + chunk).min(last);
                let step = stride(tiles.len());
                with_scratch([planes.len() * N * N * step, N * N * step], |inputs, sums| {
                    for (inputs, plane) in inputs.chunks_exact_mut(N * N * step).zip(&planes) {
                        level.run(Inputs::<T, N, M>::new(*plane, grid, tiles.clone(), inputs));
                    }
                    for ((block, piece), weights) in
                        pieces.iter_mut().enumerate().zip(self.weights.chunks_exact(of_block))
                    {
                        level.run(Products { tiles: inputs, weights, count: tiles.len(), points: N * N, sums });
                        let epilogue = epilogue.of_block(block, height * width);
                        let piece = (band * rows * M, &mut **piece);
                        level.run(Outputs::<T, N, M>::new(sums, grid, tiles.clone(), piece, epilogue));
                    }
                });
            }
        });
    }
}

/// Tiles of a chunk, unless there are fewer: a multiple of the pixels that every level computes together.
const BATCH: usize = 12;

/// Blocks from a point to the next: one more than there are tiles, so that the points' values for a tile do not have
/// the same place in the caches.
fn stride(tiles: usize) -> usize {
    tiles + 1
}

/// Runs `f` on two buffers of this thread, of `sizes` blocks with arbitrary values.
pub(super) fn with_scratch<R>(sizes: [usize; 2], f: impl FnOnce(&mut [Block], &mut [Block]) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<[Vec<Block>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) });
    SCRATCH.with_borrow_mut(|buffers| {
        for (buffer, &size) in buffers.iter_mut().zip(&sizes) {
            if buffer.len() < size {
                buffer.resize(size, ZEROS);
            }
        }
        let [a, b] = buffers;
        f(&mut a[..sizes[0]], &mut b[..sizes[1]])
    })
}

/// The tiles of an image.
#[derive(Clone, Copy)]
struct Grid {
    /// The image's height and width.
    size: (usize, usize),
    /// Tiles in a row.
    across: usize,
    padding: Padding,
}

impl Grid {
    /// The pixel of an axis that pixel `i` of the padded axis is, `None` for a zero. What is beyond the padding, in the last
    /// tile, has no use: it is 0.
    #[inline(always)]
    fn source(&self, i: usize, size: usize) -> Option<usize> {
        if i > size + 1 { None } else { self.padding.source(i, 1, size) }
    }
}

/// Transforms the kernels of a block of output channels.
struct Transform<'a> {
    weight: &'a [f32],
    scale: &'a [f64],
    outputs: Range<usize>,
    channels: usize,
    inputs: &'a [Range<usize>],
    weights: &'a mut [Block],
}

struct OfKernels<'a, T, const N: usize, const M: usize>(Transform<'a>, T)
where
    T: Tile<N, M>;

impl<T: Tile<N, M>, const N: usize, const M: usize> Task for OfKernels<'_, T, N, M> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Transform { weight, scale, outputs, channels, inputs, weights } = self.0;
        let rows = inputs.len() * BLOCK;
        for (block, range) in inputs.iter().enumerate() {
            for (row, channel) in range.clone().enumerate() {
                let mut taps = [[0f64; BLOCK]; 9];
                for (lane, n) in outputs.clone().enumerate() {
                    let kernel = &weight[(n * channels + channel) * 9..][..9];
                    for (taps, &tap) in taps.iter_mut().zip(kernel) {
                        taps[lane] = f64::from(tap) * scale[n];
                    }
                }
                // The columns of the kernel at each point, then the rows.
                let mut columns = [[[0f64; BLOCK]; 3]; N];
                for (points, column) in T::KERNEL.iter().zip(&mut columns) {
                    for (x, value) in column.iter_mut().enumerate() {
                        for lane in 0..BLOCK {
                            value[lane] = points[0] * taps[x][lane]
                                + points[1] * taps[3 + x][lane]
                                + points[2] * taps[6 + x][lane];
                        }
                    }
                }
                for (i, column) in columns.iter().enumerate() {
                    for (j, points) in T::KERNEL.iter().enumerate() {
                        let to = &mut weights[(i * N + j) * rows + block * BLOCK + row];
                        for lane in 0..BLOCK {
                            let value =
                                points[0] * column[0][lane] + points[1] * column[1][lane] + points[2] * column[2][lane];
                            #[expect(clippy::cast_possible_truncation, reason = "rounded once, here")]
                            let value = value as f32;
                            to[lane] = value;
                        }
                    }
                }
            }
        }
    }
}

/// Transforms tiles of a plane: to `[point, tile]`, `stride` apart.
struct Inputs<'a, T, const N: usize, const M: usize> {
    plane: Plane<'a>,
    grid: Grid,
    tiles: Range<usize>,
    to: &'a mut [Block],
    of: std::marker::PhantomData<T>,
}

impl<'a, T, const N: usize, const M: usize> Inputs<'a, T, N, M> {
    fn new(plane: Plane<'a>, grid: Grid, tiles: Range<usize>, to: &'a mut [Block]) -> Self {
        Self { plane, grid, tiles, to, of: std::marker::PhantomData }
    }
}

impl<T: Tile<N, M>, const N: usize, const M: usize> Task for Inputs<'_, T, N, M> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { plane, grid, tiles, to, .. } = self;
        let (height, width) = grid.size;
        let step = stride(tiles.len());
        for (t, tile) in tiles.enumerate() {
            // The tile begins one pixel up and left of its output, where the padding is.
            let (top, left) = (tile / grid.across * M, tile % grid.across * M);
            let is_inside = top > 0 && left > 0 && top + N - 1 <= height && left + N - 1 <= width;
            let mut rows = [[&ZEROS; N]; N];
            for (i, row) in rows.iter_mut().enumerate() {
                if is_inside && !plane.is_doubled {
                    let pixels = &plane.pixels[(top + i - 1) * plane.width + left - 1..][..N];
                    for (pixel, at) in row.iter_mut().zip(pixels) {
                        *pixel = at;
                    }
                } else if is_inside {
                    for (j, pixel) in row.iter_mut().enumerate() {
                        *pixel = plane.at(top + i - 1, left + j - 1);
                    }
                } else if let Some(y) = grid.source(top + i, height) {
                    for (j, pixel) in row.iter_mut().enumerate() {
                        if let Some(x) = grid.source(left + j, width) {
                            *pixel = plane.at(y, x);
                        }
                    }
                }
            }
            for from in (0..BLOCK).step_by(L::WIDTH) {
                let mut across = [[lanes.splat(0.0); N]; N];
                for (across, row) in across.iter_mut().zip(&rows) {
                    for (value, pixel) in across.iter_mut().zip(row) {
                        *value = lanes.load(pixel, from);
                    }
                    *across = T::input(lanes, *across);
                }
                for j in 0..N {
                    let down = T::input(lanes, column(&across, j));
                    for (i, value) in down.into_iter().enumerate() {
                        lanes.store(&mut to[(i * N + j) * step + t], from, value);
                    }
                }
            }
        }
    }
}

/// At each point, the products of the tiles' inputs and the weights of a block of output channels.
struct Products<'a> {
    /// `[input block, point, tile]`.
    tiles: &'a [Block],
    /// `[point, input channel]`.
    weights: &'a [Block],
    /// Tiles.
    count: usize,
    points: usize,
    /// `[point, tile]`.
    sums: &'a mut [Block],
}

impl Task for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let step = stride(self.count);
        let rows = self.weights.len() / self.points;
        for ((point, weights), sums) in
            self.weights.chunks_exact(rows).enumerate().zip(self.sums.chunks_exact_mut(step))
        {
            let tiles = Tiles { all: self.tiles, from: point * step, step: self.points * step };
            let mut first = 0;
            while self.count - first >= L::PIXELS {
                // The only values of PIXELS are these.
                match L::PIXELS {
                    12 => tiles.products::<L, 12>(lanes, first, weights, sums),
                    6 => tiles.products::<L, 6>(lanes, first, weights, sums),
                    _ => tiles.products::<L, 2>(lanes, first, weights, sums),
                }
                first += L::PIXELS;
            }
            match self.count - first {
                0 => {}
                1 => tiles.products::<L, 1>(lanes, first, weights, sums),
                2 => tiles.products::<L, 2>(lanes, first, weights, sums),
                3 => tiles.products::<L, 3>(lanes, first, weights, sums),
                4 => tiles.products::<L, 4>(lanes, first, weights, sums),
                5 => tiles.products::<L, 5>(lanes, first, weights, sums),
                rest => {
                    tiles.products::<L, 6>(lanes, first, weights, sums);
                    for first in first + 6..first + rest {
                        tiles.products::<L, 1>(lanes, first, weights, sums);
                    }
                }
            }
        }
    }
}

/// The inputs of the tiles at one point.
#[derive(Clone, Copy)]
struct Tiles<'a> {
    all: &'a [Block],
    /// The first block's.
    from: usize,
    /// From a block's to the next.
    step: usize,
}

impl Tiles<'_> {
    #[inline(always)]
    fn products<L: Lanes, const P: usize>(self, lanes: L, first: usize, weights: &[Block], sums: &mut [Block]) {
        let mut registers = [lanes.zeros(); P];
        for (block, weights) in weights.as_chunks::<BLOCK>().0.iter().enumerate() {
            let tiles = &self.all[self.from + block * self.step + first..][..P];
            let mut inputs = [tiles[0].as_slice(); P];
            for (inputs, tile) in inputs.iter_mut().zip(tiles) {
                *inputs = tile;
            }
            accumulate(lanes, &mut registers, inputs, weights);
        }
        for (sum, registers) in sums[first..][..P].iter_mut().zip(registers) {
            lanes.store_block(sum, registers);
        }
    }
}

/// Interpolates the output pixels of tiles from `[point, tile]`.
struct Outputs<'a, T, const N: usize, const M: usize> {
    sums: &'a [Block],
    grid: Grid,
    tiles: Range<usize>,
    /// Rows of the image and the first one's number.
    to: (usize, &'a mut [Block]),
    epilogue: Epilogue<'a>,
    of: std::marker::PhantomData<T>,
}

impl<'a, T, const N: usize, const M: usize> Outputs<'a, T, N, M> {
    fn new(
        sums: &'a [Block],
        grid: Grid,
        tiles: Range<usize>,
        to: (usize, &'a mut [Block]),
        epilogue: Epilogue<'a>,
    ) -> Self {
        Self { sums, grid, tiles, to, epilogue, of: std::marker::PhantomData }
    }
}

impl<T: Tile<N, M>, const N: usize, const M: usize> Task for Outputs<'_, T, N, M> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { sums, grid, tiles, to: (first_row, to), epilogue, .. } = self;
        let (height, width) = grid.size;
        let step = stride(tiles.len());
        for (t, tile) in tiles.enumerate() {
            let (top, left) = (tile / grid.across * M, tile % grid.across * M);
            let (rows, columns) = (M.min(height - top), M.min(width - left));
            for from in (0..BLOCK).step_by(L::WIDTH) {
                let mut across = [[lanes.splat(0.0); M]; N];
                for (i, across) in across.iter_mut().enumerate() {
                    let mut row = [lanes.splat(0.0); N];
                    for (j, value) in row.iter_mut().enumerate() {
                        *value = lanes.load(&sums[(i * N + j) * step + t], from);
                    }
                    *across = T::output(lanes, row);
                }
                for j in 0..columns.min(M) {
                    let down = T::output(lanes, column(&across, j));
                    for (i, value) in down.into_iter().enumerate().take(rows) {
                        let value = epilogue.apply(lanes, value, from, (top + i) * width + left + j);
                        lanes.store(&mut to[(top - first_row + i) * width + left + j], from, value);
                    }
                }
            }
        }
    }
}
