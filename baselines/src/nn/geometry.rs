//! The geometry of convolutions, and of the logits.

use candle_core::{Result, Shape, bail};

use super::Padding;

/// Geometry of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dConfig {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step in pixels, on both axes.
    pub stride: usize,
    /// Pixels added on each side.
    pub padding: usize,
    /// Padding mode.
    pub padding_mode: Padding,
}

impl Conv2dConfig {
    /// A kernel of odd side that keeps the size of the image: stride 1, zero padding.
    pub const fn same(kernel: usize) -> Self {
        Self { kernel, stride: 1, padding: kernel / 2, padding_mode: Padding::Zeros }
    }

    /// The same with another stride.
    #[must_use]
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
}

/// Samples, classes, and pixels of a sample of logits `[B, K, …]`.
pub(super) fn sizes_of_logits(shape: &Shape) -> Result<(usize, usize, usize)> {
    match shape.dims() {
        [batch, classes, rest @ ..] => Ok((*batch, *classes, rest.iter().product::<usize>().max(1))),
        dims => bail!("logits are [B, K, …], got {dims:?}"),
    }
}
