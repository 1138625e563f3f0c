//! Padding of images, in torch's four modes.

use candle_core::{D, DType, Device, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use super::constant;

/// How an image is padded: `torch.nn.Conv2d`'s `padding_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Zeros.
    #[default]
    Zeros,
    /// Reflection of the image without repeating its edge (`reflect`).
    Reflect,
    /// Repeats the edge (`replicate`).
    Replicate,
    /// Repeats the image (`circular`).
    Circular,
}

impl Padding {
    /// Pads `[…, H, W]` by `width` pixels on each of the four sides.
    ///
    /// # Errors
    /// If the image is too small for that padding, or the device fails.
    pub fn pad(self, x: &Tensor, width: usize) -> Result<Tensor> {
        if width == 0 {
            return Ok(x.clone());
        }
        if self == Self::Zeros {
            return x.pad_with_zeros(D::Minus2, width, width)?.pad_with_zeros(D::Minus1, width, width);
        }
        let indices = |size: usize| {
            let numbers = [self as u64, size as u64, width as u64];
            let make = || Tensor::new(self.indices(size, width)?, &Device::Cpu);
            constant("padding", &numbers, (DType::U32, x.device()), make)
        };
        let (rows, columns) = (indices(x.dim(D::Minus2)?)?, indices(x.dim(D::Minus1)?)?);
        x.contiguous()?.index_select(&rows, D::Minus2)?.index_select(&columns, D::Minus1)
    }

    /// The source of pixel `i` of an axis of `size` pixels that is padded by `width`, which its size allows; `None` for a
    /// zero.
    #[inline]
    pub(super) fn source(self, i: usize, width: usize, size: usize) -> Option<usize> {
        if let Some(inside) = i.checked_sub(width).filter(|&inside| inside < size) {
            return Some(inside);
        }
        let last = size - 1;
        match self {
            Self::Zeros => None,
            Self::Reflect if i < width => Some(width - i),
            Self::Reflect => Some((2 * last + width).saturating_sub(i)),
            Self::Replicate => Some(if i < width { 0 } else { last }),
            Self::Circular => Some((i + size - width % size) % size),
        }
    }

    /// The source index of each of the `size + 2 width` pixels of a padded axis.
    #[expect(clippy::cast_possible_truncation, reason = "indices into an image, between 0 and its size")]
    fn indices(self, size: usize, width: usize) -> Result<Vec<u32>> {
        let farthest = match self {
            Self::Reflect => size.saturating_sub(1),
            Self::Circular => size,
            Self::Zeros | Self::Replicate => usize::MAX,
        };
        if size == 0 || width > farthest {
            bail!("an axis of {size} is too short for a {self:?} padding of {width}");
        }
        Ok((0..size + 2 * width).map(|i| self.source(i, width, size).unwrap_or_default() as u32).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_equal_numpy_pad() {
        assert_eq!(Padding::Reflect.indices(4, 2).unwrap(), [2, 1, 0, 1, 2, 3, 2, 1]);
        assert_eq!(Padding::Replicate.indices(3, 2).unwrap(), [0, 0, 0, 1, 2, 2, 2]);
        assert_eq!(Padding::Circular.indices(3, 2).unwrap(), [1, 2, 0, 1, 2, 0, 1]);
        assert!(Padding::Reflect.indices(1, 1).is_err());
        assert!(Padding::Circular.indices(2, 3).is_err());
    }

    #[test]
    fn gradients_are_right() {
        use crate::nn::gradcheck::{assert_gradients, image};
        for padding in [Padding::Zeros, Padding::Reflect, Padding::Replicate, Padding::Circular] {
            for dims in [[2, 3, 4, 6], [1, 2, 5, 3]] {
                assert_gradients(&[&image(&dims)], |t| padding.pad(&t[0], 1));
                assert_gradients(&[&image(&dims)], |t| padding.pad(&t[0], 2));
            }
        }
    }
}
