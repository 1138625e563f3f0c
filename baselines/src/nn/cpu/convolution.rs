//! Convolutions of prediction: weights in the form that their kernel reads, a norm folded in.

use std::ops::Range;

use candle_core::{Result, bail};

use super::{
    blocks::{Epilogue, Image, Source, by_blocks, in_blocks},
    buffers::{Buffer, Buffers},
    direct::{Direct, Padded, pad_blocks, pad_planes},
    lanes::{BLOCK, Block, Level},
    winograd::{Edge, Target, Winograd},
};
use crate::nn::{Padding, geometry::Conv2dConfig};

/// What a convolution is prepared for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InputForm {
    /// Channels of each part, which begins with a block of its own.
    pub(crate) parts: Vec<usize>,
    /// Height and width.
    pub(crate) size: (usize, usize),
    /// One part as planes `[C, H, W]`, and not in blocks.
    pub(crate) is_planes: bool,
}

impl InputForm {
    /// The input channels of each block.
    fn blocks(&self) -> Vec<Range<usize>> {
        let mut first = 0;
        let mut blocks = Vec::new();
        for &channels in &self.parts {
            let end = first + channels;
            blocks.extend(by_blocks(first..end));
            first = end;
        }
        blocks
    }
}

/// A convolution whose weights are prepared.
#[derive(Debug)]
pub(crate) struct Convolution {
    kernel: Kernel,
    bias: Vec<Block>,
    config: Conv2dConfig,
    /// Output channels.
    channels: usize,
}

#[derive(Debug)]
enum Kernel {
    Winograd(Winograd),
    Direct(Direct),
}

impl Convolution {
    /// Of `weight [N, C, k, k]`, times `scale` and plus `bias` for each output channel.
    ///
    /// # Errors
    /// If they do not fit each other and the input.
    pub(crate) fn new(
        weight: &[f32],
        scale: &[f64],
        bias: &[f32],
        config: Conv2dConfig,
        input: &InputForm,
    ) -> Result<Self> {
        let Conv2dConfig { kernel, stride, padding, padding_mode } = config;
        let channels: usize = input.parts.iter().sum();
        if weight.len() != scale.len() * channels * kernel * kernel || scale.len() != bias.len() || channels == 0 {
            bail!("an image of {channels} channels does not fit a convolution of {} numbers", weight.len());
        }
        let level = Level::of_this_thread();
        let is_winograd = (kernel, stride, padding) == (3, 1, 1) && !input.is_planes && Winograd::pays(input.size);
        let kernel = if is_winograd {
            let edge = Edge { width: padding, padding: padding_mode };
            Kernel::Winograd(Winograd::new(weight, scale, &input.blocks(), edge, level))
        } else if input.is_planes {
            Kernel::Direct(Direct::new(weight, scale, std::slice::from_ref(&(0..channels)), channels, (kernel, stride)))
        } else {
            Kernel::Direct(Direct::new(weight, scale, &input.blocks(), BLOCK, (kernel, stride)))
        };
        Ok(Self { kernel, bias: in_blocks(bias), config, channels: bias.len() })
    }

    /// Output channels.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width of the output of an image of `size`.
    ///
    /// # Errors
    /// If the image is too small.
    pub(crate) fn output(&self, size: (usize, usize)) -> Result<(usize, usize)> {
        let Conv2dConfig { kernel, stride, padding, padding_mode } = self.config;
        let least = match padding_mode {
            Padding::Zeros | Padding::Replicate => 1,
            Padding::Reflect => padding + 1,
            Padding::Circular => padding.max(1),
        };
        let side = |size: usize| {
            let free = (size + 2 * padding).checked_sub(kernel).filter(|_| size >= least)?;
            free.checked_div(stride).map(|steps| steps + 1)
        };
        match (side(size.0), side(size.1)) {
            (Some(height), Some(width)) => Ok((height, width)),
            _ => bail!("an image of {size:?} is too small for {:?}", self.config),
        }
    }

    /// The convolution of an image of `size` to `y`, `[block, H', W']`.
    ///
    /// # Errors
    /// If the image is too small.
    pub(crate) fn apply(
        &self,
        image: Image<'_>,
        size: (usize, usize),
        (residual, rectifies): (Option<&[Block]>, bool),
        y: &mut [Block],
        buffers: &Buffers,
    ) -> Result<()> {
        let level = Level::of_this_thread();
        let epilogue = Epilogue { bias: &self.bias, residual, rectifies };
        match (&self.kernel, image) {
            (Kernel::Winograd(kernel), image) => kernel.convolve(image, size, &epilogue, Target::Blocks(y), level),
            (Kernel::Direct(kernel), image) => {
                let by = 2 * self.config.padding;
                let padded_size = (size.0 + by, size.1 + by);
                let copy;
                let values = match image {
                    Image::Blocks([Source { blocks, is_doubled: false, .. }]) if by == 0 => blocks.as_flattened(),
                    _ => {
                        copy = self.padded(image, size, kernel.numbers(padded_size), buffers);
                        &copy.as_flattened()[..kernel.numbers(padded_size)]
                    }
                };
                kernel.convolve(Padded { values, size: padded_size }, self.output(size)?, &epilogue, y, level);
            }
        }
        Ok(())
    }

    /// A copy of an image with padding, of so many numbers.
    fn padded(&self, image: Image<'_>, size: (usize, usize), numbers: usize, buffers: &Buffers) -> Buffer {
        let Conv2dConfig { padding, padding_mode, .. } = self.config;
        let mut padded = buffers.take(numbers.div_ceil(BLOCK));
        match image {
            Image::Planes(planes) => pad_planes(planes, size, (padding_mode, padding), padded.as_flattened_mut()),
            Image::Blocks(sources) => pad_blocks(sources, size, (padding_mode, padding), &mut padded),
        }
        padded
    }
}
