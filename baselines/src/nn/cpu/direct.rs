//! Convolutions of any kernel and stride, as the sums of their definition: of each row of a window, the pixels' channels are
//! adjacent numbers.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    blocks::{Epilogue, Source, blocks_of},
    lanes::{BLOCK, Block, Grouped, Lanes, Level, Task, ZEROS, accumulate, in_groups},
};
use crate::nn::Padding;

/// Weights in the order in which they are read.
#[derive(Debug)]
pub(crate) struct Direct {
    /// `[output block, plane, row of the kernel, column, channel]`, of each a block of output channels.
    weights: Vec<Block>,
    outputs: usize,
    planes: usize,
    /// Channels of a pixel of a plane.
    pixel: usize,
    kernel: usize,
    stride: usize,
}

/// Planes with their padding: `[plane, H + 2 padding, W + 2 padding, channel]`.
#[derive(Clone, Copy)]
pub(crate) struct Padded<'a> {
    pub(crate) values: &'a [f32],
    /// Height and width, with padding.
    pub(crate) size: (usize, usize),
}

/// Output pixels of a task, about.
const PIXELS_OF_A_TASK: usize = 1024;

impl Direct {
    /// Of `weight [N, C, k, k]`, times the scale of each output channel. `inputs` gives the input channels of each plane,
    /// whose pixels have `pixel` numbers.
    pub(crate) fn new(
        weight: &[f32],
        scale: &[f64],
        inputs: &[Range<usize>],
        pixel: usize,
        (kernel, stride): (usize, usize),
    ) -> Self {
        let (outputs, taps) = (blocks_of(scale.len()), kernel * kernel);
        let channels = weight.len() / (scale.len() * taps).max(1);
        let mut weights = vec![ZEROS; outputs * inputs.len() * taps * pixel];
        weights.par_chunks_exact_mut(inputs.len() * taps * pixel).enumerate().for_each(|(block, weights)| {
            for (lane, (n, scale)) in scale.iter().enumerate().skip(block * BLOCK).take(BLOCK).enumerate() {
                for (plane, range) in inputs.iter().enumerate() {
                    for (row, channel) in range.clone().enumerate() {
                        for (tap, &value) in weight[(n * channels + channel) * taps..][..taps].iter().enumerate() {
                            #[expect(clippy::cast_possible_truncation, reason = "rounded once, here")]
                            let value = (f64::from(value) * scale) as f32;
                            weights[(plane * taps + tap) * pixel + row][lane] = value;
                        }
                    }
                }
            }
        });
        Self { weights, outputs, planes: inputs.len(), pixel, kernel, stride }
    }

    /// Numbers of a padded image of `size`.
    pub(crate) fn numbers(&self, size: (usize, usize)) -> usize {
        self.planes * size.0 * size.1 * self.pixel
    }

    /// The convolution of an image to `y`, `[output block, H', W']` of `size`.
    pub(crate) fn convolve(
        &self,
        x: Padded<'_>,
        size: (usize, usize),
        epilogue: &Epilogue<'_>,
        y: &mut [Block],
        level: Level,
    ) {
        let (height, width) = size;
        assert!(
            y.len() == self.outputs * height * width
                && x.values.len() == self.numbers(x.size)
                && (height - 1) * self.stride + self.kernel <= x.size.0
                && (width - 1) * self.stride + self.kernel <= x.size.1,
            "an image of another layer"
        );
        let rows = (PIXELS_OF_A_TASK / width).clamp(1, height);
        let of_block = self.weights.len() / self.outputs;
        y.par_chunks_exact_mut(height * width).enumerate().for_each(|(block, y)| {
            let weights = &self.weights[block * of_block..][..of_block];
            let epilogue = epilogue.of_block(block, height * width);
            y.par_chunks_mut(rows * width).enumerate().for_each(|(band, y)| {
                level.run(Rows { of: self, x, weights, first: band * rows, width, epilogue, y });
            });
        });
    }
}

/// Some rows of a block of output channels.
struct Rows<'a> {
    of: &'a Direct,
    x: Padded<'a>,
    weights: &'a [Block],
    /// Number of the first row.
    first: usize,
    width: usize,
    epilogue: Epilogue<'a>,
    y: &'a mut [Block],
}

impl Task for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        for row in 0..self.y.len() / self.width {
            in_groups(lanes, self.width, &mut Row { rows: &mut self, row });
        }
    }
}

/// One of the rows.
struct Row<'r, 'a> {
    rows: &'r mut Rows<'a>,
    row: usize,
}

impl Grouped for Row<'_, '_> {
    #[inline(always)]
    fn run<L: Lanes, const P: usize>(&mut self, lanes: L, first: usize) {
        self.rows.pixels::<L, P>(lanes, self.row, first);
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn pixels<L: Lanes, const P: usize>(&mut self, lanes: L, row: usize, first: usize) {
        let Direct { planes, pixel, kernel, stride, .. } = *self.of;
        let (height, width) = self.x.size;
        let mut registers = [lanes.zeros(); P];
        for plane in 0..planes {
            for down in 0..kernel {
                let line = plane * height + (self.first + row) * stride + down;
                let line = &self.x.values[line * width * pixel..][..width * pixel];
                let mut inputs = [line; P];
                for (p, inputs) in inputs.iter_mut().enumerate() {
                    *inputs = &line[(first + p) * stride * pixel..][..kernel * pixel];
                }
                let weights = &self.weights[(plane * kernel + down) * kernel * pixel..][..kernel * pixel];
                accumulate(lanes, &mut registers, inputs, weights);
            }
        }
        let at = row * self.width + first;
        for (p, (y, registers)) in self.y[at..][..P].iter_mut().zip(registers).enumerate() {
            lanes.store_block(y, registers);
            for from in (0..BLOCK).step_by(L::WIDTH) {
                let value = lanes.load(y, from);
                lanes.store(y, from, self.epilogue.apply(lanes, value, from, self.first * self.width + at + p));
            }
        }
    }
}

/// Copies blocks with `width` pixels of padding on each side, to `[block, H + 2 width, W + 2 width]`.
pub(crate) fn pad_blocks(
    sources: &[Source<'_>],
    (height, width): (usize, usize),
    (padding, by): (Padding, usize),
    padded: &mut [Block],
) {
    let planes: Vec<_> = sources.iter().flat_map(Source::planes).collect();
    let rows = planes.len() * (height + 2 * by);
    padded.par_chunks_exact_mut(width + 2 * by).take(rows).enumerate().for_each(|(row, padded)| {
        let plane = planes[row / (height + 2 * by)];
        let Some(y) = padding.source(row % (height + 2 * by), by, height) else { return padded.fill(ZEROS) };
        for (x, pixel) in padded.iter_mut().enumerate() {
            *pixel = padding.source(x, by, width).map_or(ZEROS, |x| *plane.at(y, x));
        }
    });
}

/// The same of an image `[C, H, W]`, to `[H + 2 width, W + 2 width, C]`.
pub(crate) fn pad_planes(
    planes: &[f32],
    (height, width): (usize, usize),
    (padding, by): (Padding, usize),
    padded: &mut [f32],
) {
    let channels = planes.len() / (height * width);
    padded.par_chunks_exact_mut((width + 2 * by) * channels).take(height + 2 * by).enumerate().for_each(
        |(row, padded)| {
            let Some(y) = padding.source(row, by, height) else { return padded.fill(0.0) };
            for (x, pixel) in padded.chunks_exact_mut(channels).enumerate() {
                match padding.source(x, by, width) {
                    Some(x) => {
                        pixel.iter_mut().enumerate().for_each(|(c, value)| {
                            *value = planes[(c * height + y) * width + x];
                        });
                    }
                    None => pixel.fill(0.0),
                }
            }
        },
    );
}
