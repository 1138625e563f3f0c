//! Maps in blocks of 16 channels, `[block, H, W, 16]`: what the kernels in f32 compute on. All channels of a pixel that a
//! vector holds lie beside each other, so that no kernel shuffles.

use std::ops::Range;

use super::lanes::{BLOCK, Block, Lanes, ZEROS};

/// Channels of an input: blocks of an image of some size, or of half that size whose pixels are read twice on each axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// `[block, height, width]`.
    pub(crate) blocks: &'a [Block],
    /// Stored height and width.
    pub(crate) size: (usize, usize),
    /// Each stored pixel is four pixels of the image (nearest neighbour).
    pub(crate) is_doubled: bool,
}

impl<'a> Source<'a> {
    pub(super) fn planes(&self) -> impl Iterator<Item = Plane<'a>> + use<'a> {
        let Self { size: (height, width), is_doubled, .. } = *self;
        self.blocks.chunks_exact(height * width).map(move |pixels| Plane { pixels, first: 0, width, is_doubled })
    }
}

/// An image that a convolution reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Image<'a> {
    /// `[C, H, W]`, as tensors have them.
    Planes(&'a [f32]),
    /// In blocks.
    Blocks(&'a [Source<'a>]),
}

/// One block of the channels of an image, or some rows of it.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub(super) pixels: &'a [Block],
    /// Number of the first row.
    pub(super) first: usize,
    /// Stored pixels in a row.
    pub(super) width: usize,
    pub(super) is_doubled: bool,
}

impl<'a> Plane<'a> {
    /// A pixel of the image.
    #[inline(always)]
    pub(super) fn at(&self, y: usize, x: usize) -> &'a Block {
        let shift = u32::from(self.is_doubled);
        &self.pixels[((y >> shift) - self.first) * self.width + (x >> shift)]
    }
}

/// What follows a convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue<'a> {
    /// Of each block of output channels.
    pub(crate) bias: &'a [Block],
    /// Added, in the form of the output.
    pub(crate) residual: Option<&'a [Block]>,
    /// Whether negative numbers become 0.
    pub(crate) rectifies: bool,
}

impl Epilogue<'_> {
    /// Of one block of output channels, which has so many pixels.
    pub(super) fn of_block(&self, block: usize, pixels: usize) -> Self {
        Self {
            bias: &self.bias[block..=block],
            residual: self.residual.map(|residual| &residual[block * pixels..][..pixels]),
            ..*self
        }
    }

    /// Of a vector of the block's only bias, at a pixel.
    #[inline(always)]
    pub(super) fn apply<L: Lanes>(&self, lanes: L, value: L::Vector, from: usize, pixel: usize) -> L::Vector {
        let mut value = lanes.add(value, lanes.load(&self.bias[0], from));
        if let Some(residual) = self.residual {
            value = lanes.add(value, lanes.load(&residual[pixel], from));
        }
        if self.rectifies { lanes.rectify(value) } else { value }
    }
}

/// At most 16 planes of `pixels` each as blocks: the pixels from `first` on, as many as there are blocks.
pub(crate) fn to_blocks(planes: &[f32], pixels: usize, first: usize, blocks: &mut [Block]) {
    let count = planes.len() / pixels;
    for (chunk, blocks) in blocks.chunks_mut(PIXELS_AT_ONCE).enumerate() {
        if count < BLOCK {
            blocks.fill(ZEROS);
        }
        for (lane, plane) in planes.chunks_exact(pixels).enumerate() {
            let plane = &plane[first + chunk * PIXELS_AT_ONCE..][..blocks.len()];
            blocks.iter_mut().zip(plane).for_each(|(block, &value)| block[lane] = value);
        }
    }
}

/// The way back, to pieces of as many planes as are wanted.
pub(crate) fn to_planes<'a>(blocks: &[Block], planes: impl Iterator<Item = &'a mut [f32]>) {
    for (lane, plane) in planes.enumerate() {
        plane.iter_mut().zip(blocks).for_each(|(value, block)| *value = block[lane]);
    }
}

/// Pixels whose planes and blocks fit the first-level cache together.
const PIXELS_AT_ONCE: usize = 64;

/// A number of each channel, in blocks; those after the last are 0.
pub(crate) fn in_blocks(numbers: &[f32]) -> Vec<Block> {
    let mut blocks = vec![ZEROS; blocks_of(numbers.len())];
    blocks.as_flattened_mut()[..numbers.len()].copy_from_slice(numbers);
    blocks
}

/// The channels of each block that holds some of `channels`.
pub(crate) fn by_blocks(channels: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    channels.clone().step_by(BLOCK).map(move |first| first..(first + BLOCK).min(channels.end))
}

/// Blocks that hold `channels`.
pub(crate) fn blocks_of(channels: usize) -> usize {
    channels.div_ceil(BLOCK)
}
