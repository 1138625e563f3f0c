//! Group norm of maps in blocks, and the rectifier after it.

use rayon::prelude::*;

use super::{
    blocks::{blocks_of, in_blocks},
    lanes::{BLOCK, Block, Lanes, Level, Task, ZEROS},
};

/// A group norm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupedNorm<'a> {
    /// Channels, of which each group has as many.
    pub(crate) channels: usize,
    pub(crate) groups: usize,
    /// Of each channel.
    pub(crate) weight: &'a [f32],
    /// Of each channel.
    pub(crate) bias: &'a [f32],
    /// Added to the variance.
    pub(crate) epsilon: f64,
}

/// Pixels whose sums are computed in f32 before they are added in f64.
const PIXELS: usize = 64;

impl GroupedNorm<'_> {
    /// Normalises each group of channels of each image `[block, pixel]`, and rectifies: to `y`.
    pub(crate) fn normalise(&self, x: &[Block], pixels: usize, y: &mut [Block], level: Level) {
        let of_image = blocks_of(self.channels) * pixels;
        y.par_chunks_exact_mut(of_image).zip(x.par_chunks_exact(of_image)).for_each(|(y, x)| {
            let zeros = vec![ZEROS; of_image / pixels];
            let of_group = (self.channels / self.groups * pixels) as f64;
            let by_channel = |sums: &[[f64; BLOCK]]| {
                let sums = sums.as_flattened();
                let groups = sums[..self.channels].chunks_exact(self.channels / self.groups);
                let means: Vec<f64> = groups.map(|sums| sums.iter().sum::<f64>() / of_group).collect();
                (0..self.channels).map(|c| means[c * self.groups / self.channels]).collect::<Vec<_>>()
            };
            let means = by_channel(&level.run(Sums { x, pixels, means: &zeros, are_squared: false }));
            let shift = rounded(&means);
            let variances = by_channel(&level.run(Sums { x, pixels, means: &shift, are_squared: true }));
            let scale: Vec<f64> = variances
                .iter()
                .zip(self.weight)
                .map(|(variance, &weight)| f64::from(weight) / (variance + self.epsilon).sqrt())
                .collect();
            let (scale, bias) = (rounded(&scale), in_blocks(self.bias));
            level.run(Rescale { x, pixels, means: &shift, scale: &scale, bias: &bias, y });
        });
    }
}

fn rounded(values: &[f64]) -> Vec<Block> {
    #[expect(clippy::cast_possible_truncation, reason = "rounded once, here")]
    in_blocks(&values.iter().map(|&value| value as f32).collect::<Vec<_>>())
}

/// Sums of each channel of an image, of the deviations from a mean or of their squares.
struct Sums<'a> {
    x: &'a [Block],
    pixels: usize,
    means: &'a [Block],
    are_squared: bool,
}

impl Task for Sums<'_> {
    type Output = Vec<[f64; BLOCK]>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Self::Output {
        let mut sums = vec![[0f64; BLOCK]; self.means.len()];
        for ((x, mean), sums) in self.x.chunks_exact(self.pixels).zip(self.means).zip(&mut sums) {
            for x in x.chunks(PIXELS) {
                let mut partial = ZEROS;
                for from in (0..BLOCK).step_by(L::WIDTH) {
                    let mean = lanes.load(mean, from);
                    let mut sum = lanes.splat(0.0);
                    for pixel in x {
                        let deviation = lanes.sub(lanes.load(pixel, from), mean);
                        sum = if self.are_squared {
                            lanes.mul_add(deviation, deviation, sum)
                        } else {
                            lanes.add(deviation, sum)
                        };
                    }
                    lanes.store(&mut partial, from, sum);
                }
                for (sum, partial) in sums.iter_mut().zip(partial) {
                    *sum += f64::from(partial);
                }
            }
        }
        sums
    }
}

/// `max(0, (x - mean) · scale + bias)`.
struct Rescale<'a> {
    x: &'a [Block],
    pixels: usize,
    means: &'a [Block],
    scale: &'a [Block],
    bias: &'a [Block],
    y: &'a mut [Block],
}

impl Task for Rescale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let planes = self.x.chunks_exact(self.pixels).zip(self.y.chunks_exact_mut(self.pixels));
        for ((x, y), (mean, (scale, bias))) in planes.zip(self.means.iter().zip(self.scale.iter().zip(self.bias))) {
            for from in (0..BLOCK).step_by(L::WIDTH) {
                let (mean, scale, bias) = (lanes.load(mean, from), lanes.load(scale, from), lanes.load(bias, from));
                for (x, y) in x.iter().zip(&mut *y) {
                    let value = lanes.mul_add(lanes.sub(lanes.load(x, from), mean), scale, bias);
                    lanes.store(y, from, lanes.rectify(value));
                }
            }
        }
    }
}
