//! Convolutions of 3×3 with stride 1 by Winograd's minimal filtering (Lavin and Gray 2015, arXiv:1509.09308).
//!
//! A tile of 4×4 output pixels is computed from the 6×6 input pixels under it: both the tile and the kernel are evaluated at
//! six points on each axis, where the convolution is a product, and the results interpolated. That takes 36 products for
//! each pair of channels, a direct convolution 144.
//!
//! The price is rounding. The points 0, ±3/4, ±3/2, ∞ make the errors smallest (after Barabasz et al. 2020,
//! arXiv:1803.10986): a network's maps err by some 1.5 times as much as those of direct sums, with the usual points
//! 0, ±1, ±2, ∞ by 2 to 3 times. All factors of the transforms are exact in f32. The transformed weights are computed in
//! f64.

mod gradient;
mod tile;

use std::{
    cell::{Cell, RefCell},
    ops::Range,
};

use rayon::prelude::*;

use super::{
    blocks::{Epilogue, Image, Plane, Source, blocks_of, to_blocks, to_planes},
    lanes::{BLOCK, Block, Grouped, Lanes, Level, Task, ZEROS, accumulate, in_groups},
};
use crate::nn::Padding;

pub(crate) use self::gradient::{Shape, gradient_of_weight};
use self::tile::{KERNEL, M, N, POINTS, input, output};

/// Weights transformed for tiles.
#[derive(Debug)]
pub(crate) struct Winograd {
    /// `[output block, point, input channel]`, of each a block of output channels.
    weights: Vec<Block>,
    inputs: usize,
    outputs: usize,
    edge: Edge,
}

/// The pixels around an image: how many on each side, and where they come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    /// At most 2.
    pub(crate) width: usize,
    pub(crate) padding: Padding,
}

impl Edge {
    /// Height and width of the output of an image of `size`, at least one pixel.
    pub(crate) fn output(self, size: (usize, usize)) -> (usize, usize) {
        let side = |size: usize| size + 2 * self.width - 2;
        (side(size.0), side(size.1))
    }
}

#[inline(always)]
fn column<V: Copy, const R: usize, const C: usize>(rows: &[[V; C]; R], j: usize) -> [V; R] {
    let mut column = [rows[0][j]; R];
    for (value, row) in column.iter_mut().zip(rows) {
        *value = row[j];
    }
    column
}

/// Bytes of the transformed pixels of a band, unless a row of tiles has more: three quarters of a usual second-level cache.
const BAND_BYTES: usize = 384 << 10;
/// Tiles whose products are computed together, a multiple of [`Lanes::PIXELS`].
const CHUNK: usize = 24;
/// Bytes of weights from which they are read once for all tiles, and not once for each band.
const MANY_WEIGHTS: usize = 8 << 20;
/// Tiles from which they pay: the weights are four times those of direct sums, and read for all tiles.
const FEWEST_TILES: usize = 64;

impl Winograd {
    /// Whether tiles pay for an image of `size`.
    pub(crate) fn pays((height, width): (usize, usize)) -> bool {
        height.div_ceil(M) * width.div_ceil(M) >= FEWEST_TILES
    }

    /// Transforms `weight [N, C, 3, 3]`, times the scale of each output channel; `inputs` gives the input channels of each
    /// block.
    pub(crate) fn new(weight: &[f32], scale: &[f64], inputs: &[Range<usize>], edge: Edge, level: Level) -> Self {
        let channels = weight.len() / scale.len().max(1) / 9;
        let (outputs, rows) = (blocks_of(scale.len()), inputs.len() * BLOCK);
        let mut weights = vec![ZEROS; outputs * POINTS * rows];
        weights.par_chunks_exact_mut(POINTS * rows).enumerate().for_each(|(block, weights)| {
            let outputs = block * BLOCK..(block * BLOCK + BLOCK).min(scale.len());
            level.run(Transform { weight, scale, outputs, channels, inputs, weights });
        });
        Self { weights, inputs: inputs.len(), outputs, edge }
    }

    /// The convolution of an image of `size` to `y`.
    pub(crate) fn convolve(
        &self,
        image: Image<'_>,
        size: (usize, usize),
        epilogue: &Epilogue<'_>,
        y: Target<'_>,
        level: Level,
    ) {
        let image = Planes::of(image, size);
        let grid = Grid::new(size, self.edge);
        let (height, width) = grid.size;
        let all = height.div_ceil(M) * grid.across;
        let of_block = POINTS * self.inputs * BLOCK;
        let outputs = match &y {
            Target::Blocks(y) => y.len() / (height * width),
            Target::Planes(y) => blocks_of(y.len() / (height * width)),
        };
        assert!(image.len() == self.inputs && outputs == self.outputs, "an image of another layer");
        if size_of_val(self.weights.as_slice()) >= MANY_WEIGHTS {
            // Few tiles, many channels: first all tiles, then each block of output channels.
            let mut kept = TILES.take();
            let tiles = at_least(&mut kept, image.len() * POINTS * stride(all));
            tiles.par_chunks_exact_mut(POINTS * stride(all)).enumerate().for_each(|(block, tiles)| {
                image.with_rows(block, 0..size.0, |plane| {
                    level.run(Inputs { plane, grid, tiles: 0..all, to: tiles });
                });
            });
            let pieces: Vec<_> = y.by_band(grid.size, height).into_iter().flatten().collect();
            pieces.into_par_iter().zip(self.weights.par_chunks_exact(of_block)).enumerate().for_each(
                |(block, (mut piece, weights))| {
                    let epilogue = epilogue.of_block(block, height * width);
                    with_scratch([0, POINTS * stride(all)], |_, sums| {
                        level.run(Products { tiles, all, chunk: 0..all, weights, sums });
                        piece.with_blocks(height * width, |y| {
                            level.run(Outputs { sums, grid, tiles: 0..all, to: (0, y), epilogue });
                        });
                    });
                },
            );
            TILES.set(kept);
            return;
        }
        // Bands of whole rows of tiles, each with a piece of every block of output channels.
        let of_tile = image.len() * POINTS * size_of::<Block>();
        let rows = (BAND_BYTES / of_tile / grid.across).max(1);
        y.by_band(grid.size, rows * M).into_par_iter().enumerate().for_each(|(band, mut pieces)| {
            let lines = band * rows * M..((band + 1) * rows * M).min(height);
            let first = band * rows * grid.across;
            let count = lines.len().div_ceil(M) * grid.across;
            let seen = grid.seen(&lines);
            with_scratch([image.len() * POINTS * stride(count), POINTS * stride(CHUNK)], |tiles, sums| {
                for (block, tiles) in tiles.chunks_exact_mut(POINTS * stride(count)).enumerate() {
                    image.with_rows(block, seen.clone(), |plane| {
                        level.run(Inputs { plane, grid, tiles: first..first + count, to: tiles });
                    });
                }
                for ((block, piece), weights) in pieces.iter_mut().enumerate().zip(self.weights.chunks_exact(of_block))
                {
                    let epilogue = epilogue.of_block(block, height * width);
                    piece.with_blocks(lines.len() * width, |y| {
                        for start in (0..count).step_by(CHUNK) {
                            let chunk = start..(start + CHUNK).min(count);
                            let of = first + chunk.start..first + chunk.end;
                            level.run(Products { tiles, all: count, chunk, weights, sums });
                            level.run(Outputs { sums, grid, tiles: of, to: (lines.start, &mut *y), epilogue });
                        }
                    });
                }
            });
        });
    }
}

/// Blocks from a point to the next: one more than there are tiles, so that the points' values for a tile do not have
/// the same place in the caches.
fn stride(tiles: usize) -> usize {
    tiles + 1
}

thread_local! {
    /// Of transformed tiles and of their products.
    static SCRATCH: RefCell<[Vec<Block>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
    /// Of all tiles of an image. Not borrowed but taken: a pool's thread that waits for others may begin another image.
    static TILES: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
    /// Of rows on their way from planes and to planes.
    static ROWS: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` on two buffers of this thread, of `sizes` blocks with arbitrary values.
fn with_scratch<R>(sizes: [usize; 2], f: impl FnOnce(&mut [Block], &mut [Block]) -> R) -> R {
    SCRATCH.with_borrow_mut(|[a, b]| f(at_least(a, sizes[0]), at_least(b, sizes[1])))
}

fn with_rows<R>(size: usize, f: impl FnOnce(&mut [Block]) -> R) -> R {
    ROWS.with_borrow_mut(|rows| f(at_least(rows, size)))
}

fn at_least(buffer: &mut Vec<Block>, size: usize) -> &mut [Block] {
    if buffer.len() < size {
        buffer.resize(size, ZEROS);
    }
    &mut buffer[..size]
}

/// Where a convolution writes.
pub(crate) enum Target<'a> {
    /// `[block, H, W]`.
    Blocks(&'a mut [Block]),
    /// `[N, H, W]`.
    Planes(&'a mut [f32]),
}

/// Some rows of a block of output channels.
enum Piece<'a> {
    Blocks(&'a mut [Block]),
    /// Of each channel.
    Planes(Vec<&'a mut [f32]>),
}

impl<'a> Target<'a> {
    /// For each band of `rows` rows, a piece of each block of output channels.
    fn by_band(self, (height, width): (usize, usize), rows: usize) -> Vec<Vec<Piece<'a>>> {
        let mut bands = Vec::new();
        bands.resize_with(height.div_ceil(rows), Vec::new);
        match self {
            Self::Blocks(y) => {
                for plane in y.chunks_exact_mut(height * width) {
                    for (band, piece) in bands.iter_mut().zip(plane.chunks_mut(rows * width)) {
                        band.push(Piece::Blocks(piece));
                    }
                }
            }
            Self::Planes(y) => {
                for (channel, plane) in y.chunks_exact_mut(height * width).enumerate() {
                    for (band, piece) in bands.iter_mut().zip(plane.chunks_mut(rows * width)) {
                        match band.last_mut() {
                            Some(Piece::Planes(planes)) if channel % BLOCK > 0 => planes.push(piece),
                            _ => band.push(Piece::Planes(vec![piece])),
                        }
                    }
                }
            }
        }
        bands
    }
}

impl Piece<'_> {
    /// Runs `f` on the piece's blocks.
    fn with_blocks(&mut self, pixels: usize, f: impl FnOnce(&mut [Block])) {
        match self {
            Self::Blocks(blocks) => f(blocks),
            Self::Planes(planes) => with_rows(pixels, |blocks| {
                f(blocks);
                to_planes(blocks, planes.iter_mut().map(|plane| &mut **plane));
            }),
        }
    }
}

/// The channels of an image, block by block.
enum Planes<'a> {
    Blocks(Vec<Plane<'a>>),
    /// `[C, H, W]`.
    Planes(&'a [f32], (usize, usize)),
}

impl<'a> Planes<'a> {
    fn of(image: Image<'a>, size: (usize, usize)) -> Self {
        match image {
            Image::Blocks(sources) => Self::Blocks(sources.iter().flat_map(Source::planes).collect()),
            Image::Planes(planes) => Self::Planes(planes, size),
        }
    }

    /// Blocks of channels.
    fn len(&self) -> usize {
        match self {
            Self::Blocks(planes) => planes.len(),
            Self::Planes(planes, size) => blocks_of(planes.len() / (size.0 * size.1)),
        }
    }

    /// Runs `f` on some rows of a block of channels.
    fn with_rows<R>(&self, block: usize, rows: Range<usize>, f: impl FnOnce(Plane<'_>) -> R) -> R {
        match self {
            Self::Blocks(planes) => f(planes[block]),
            &Self::Planes(planes, (height, width)) => with_rows(rows.len() * width, |pixels| {
                let of_block = &planes[block * BLOCK * height * width..];
                let of_block = &of_block[..of_block.len().min(BLOCK * height * width)];
                to_blocks(of_block, height * width, rows.start * width, pixels);
                f(Plane { pixels, first: rows.start, width, is_doubled: false })
            }),
        }
    }
}

/// The tiles of an image.
#[derive(Clone, Copy)]
struct Grid {
    /// Height and width of the input.
    input: (usize, usize),
    /// Height and width of the output.
    size: (usize, usize),
    /// Tiles in a row.
    across: usize,
    edge: Edge,
}

impl Grid {
    fn new(input: (usize, usize), edge: Edge) -> Self {
        let size = edge.output(input);
        Self { input, size, across: size.1.div_ceil(M), edge }
    }

    /// The input's rows that some rows of the output are computed from. Only the circular padding reads others than those
    /// around.
    fn seen(&self, lines: &Range<usize>) -> Range<usize> {
        if self.edge.padding == Padding::Circular {
            return 0..self.input.0;
        }
        lines.start.saturating_sub(self.edge.width)..(lines.end + 2 - self.edge.width).min(self.input.0)
    }

    /// The pixel of an axis of the input that pixel `i` of the padded axis is, `None` for a zero. What is beyond the padding,
    /// in the last tile, has no use: it is 0.
    #[inline(always)]
    fn source(&self, i: usize, size: usize) -> Option<usize> {
        if i >= size + 2 * self.edge.width { None } else { self.edge.padding.source(i, self.edge.width, size) }
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

impl Task for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Self { weight, scale, outputs, channels, inputs, weights } = self;
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
                for (points, column) in KERNEL.iter().zip(&mut columns) {
                    for (x, value) in column.iter_mut().enumerate() {
                        for lane in 0..BLOCK {
                            value[lane] = points[0] * taps[x][lane]
                                + points[1] * taps[3 + x][lane]
                                + points[2] * taps[6 + x][lane];
                        }
                    }
                }
                for (i, column) in columns.iter().enumerate() {
                    for (j, points) in KERNEL.iter().enumerate() {
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
struct Inputs<'a> {
    plane: Plane<'a>,
    grid: Grid,
    tiles: Range<usize>,
    to: &'a mut [Block],
}

impl Task for Inputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { plane, grid, tiles, to } = self;
        let ((height, width), by) = (grid.input, grid.edge.width);
        let step = stride(tiles.len());
        for (t, tile) in tiles.enumerate() {
            // In the padded image.
            let (top, left) = (tile / grid.across * M, tile % grid.across * M);
            let is_inside = top >= by && left >= by && top + N <= height + by && left + N <= width + by;
            let mut rows = [[&ZEROS; N]; N];
            for (i, row) in rows.iter_mut().enumerate() {
                if is_inside && !plane.is_doubled {
                    let pixels = &plane.pixels[(top + i - by - plane.first) * plane.width + left - by..][..N];
                    for (pixel, at) in row.iter_mut().zip(pixels) {
                        *pixel = at;
                    }
                } else if is_inside {
                    for (j, pixel) in row.iter_mut().enumerate() {
                        *pixel = plane.at(top + i - by, left + j - by);
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
                    *across = input(lanes, *across);
                }
                for j in 0..N {
                    let down = input(lanes, column(&across, j));
                    for (i, value) in down.into_iter().enumerate() {
                        lanes.store(&mut to[(i * N + j) * step + t], from, value);
                    }
                }
            }
        }
    }
}

/// At each point, the products of a chunk of tiles' inputs and the weights of a block of output channels.
struct Products<'a> {
    /// `[input block, point, tile]`.
    tiles: &'a [Block],
    /// How many they are.
    all: usize,
    /// Those that are computed.
    chunk: Range<usize>,
    /// `[point, input channel]`.
    weights: &'a [Block],
    /// `[point, tile of the chunk]`.
    sums: &'a mut [Block],
}

impl Task for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let count = self.chunk.len();
        let rows = self.weights.len() / POINTS;
        for ((point, weights), sums) in
            self.weights.chunks_exact(rows).enumerate().zip(self.sums.chunks_exact_mut(stride(count)))
        {
            let from = point * stride(self.all) + self.chunk.start;
            let step = POINTS * stride(self.all);
            in_groups(lanes, count, &mut AtPoint { tiles: self.tiles, from, step, weights, sums });
        }
    }
}

/// The products at one point.
struct AtPoint<'a> {
    tiles: &'a [Block],
    /// The first tile of the first block.
    from: usize,
    /// From a block's to the next.
    step: usize,
    weights: &'a [Block],
    sums: &'a mut [Block],
}

impl Grouped for AtPoint<'_> {
    #[inline(always)]
    fn run<L: Lanes, const P: usize>(&mut self, lanes: L, first: usize) {
        let mut registers = [lanes.zeros(); P];
        for (block, weights) in self.weights.as_chunks::<BLOCK>().0.iter().enumerate() {
            let tiles = &self.tiles[self.from + block * self.step + first..][..P];
            let mut inputs = [tiles[0].as_slice(); P];
            for (inputs, tile) in inputs.iter_mut().zip(tiles) {
                *inputs = tile;
            }
            accumulate(lanes, &mut registers, inputs, weights);
        }
        for (sum, registers) in self.sums[first..][..P].iter_mut().zip(registers) {
            lanes.store_block(sum, registers);
        }
    }
}

/// Interpolates the output pixels of tiles from `[point, tile]`.
struct Outputs<'a> {
    sums: &'a [Block],
    grid: Grid,
    tiles: Range<usize>,
    /// Rows of the image and the first one's number.
    to: (usize, &'a mut [Block]),
    epilogue: Epilogue<'a>,
}

impl Task for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { sums, grid, tiles, to: (first_row, to), epilogue } = self;
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
                    *across = output(lanes, row);
                }
                for j in 0..columns {
                    let down = output(lanes, column(&across, j));
                    for (i, value) in down.into_iter().enumerate().take(rows) {
                        let value = epilogue.apply(lanes, value, from, (top + i) * width + left + j);
                        lanes.store(&mut to[(top - first_row + i) * width + left + j], from, value);
                    }
                }
            }
        }
    }
}
