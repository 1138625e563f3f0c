//! A convolution and its batch norm, which prediction folds into one.

use candle_core::{DType, Result, Tensor};

use super::{BatchNorm, Conv2d, Conv2dConfig, Folded, Mode, Padding, conv::conv2d, relu, take_on_cpu};

/// What follows the norm.
#[derive(Clone, Copy, Debug)]
pub enum After<'a> {
    /// Nothing.
    Nothing,
    /// A rectifier.
    Relu,
    /// The addition of a residual, and a rectifier.
    ResidualRelu(&'a Tensor),
}

#[cfg(feature = "cuda")]
impl<'a> After<'a> {
    fn residual(self) -> Option<&'a Tensor> {
        match self {
            Self::Nothing | Self::Relu => None,
            Self::ResidualRelu(residual) => Some(residual),
        }
    }
}

/// A convolution, then a batch norm.
#[derive(Clone, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    /// The two as one layer.
    pub fn new(conv: Conv2d, norm: BatchNorm) -> Self {
        Self { conv, norm }
    }

    /// `[B, C, H, W]` to `[B, N, H', W']`, see [`Conv2d::forward`].
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Tensor, after: After<'_>, mode: Mode<'_>) -> Result<Tensor> {
        // On the CPU's kernels a prediction has the bits of a validation, which folds nothing.
        match mode.folded() {
            Some(folded) if !take_on_cpu(x) => self.folded(x, after, folded),
            _ => and_then(self.norm.forward(&self.conv.forward(x, mode)?, mode)?, after),
        }
    }

    fn folded(&self, x: &Tensor, after: After<'_>, folded: &Folded) -> Result<Tensor> {
        let (weight, bias) = self.weights(x.dtype(), folded)?;
        let Conv2dConfig { stride, padding, padding_mode, .. } = self.conv.config();
        let (x, padding) =
            if padding_mode == Padding::Zeros { (x.clone(), padding) } else { (padding_mode.pad(x, padding)?, 0) };
        #[cfg(feature = "cuda")]
        if super::take_on_gpu(&x) && !matches!(after, After::Nothing) {
            return super::conv::conv2d_rectified(&x, &weight, &bias, after.residual(), (stride, padding));
        }
        and_then(conv2d(&x, &weight, Some(&bias), stride, padding)?, after)
    }

    /// The weight times the norm's scale, in `dtype`, and the bias, in the parameters' type.
    fn weights(&self, dtype: DType, folded: &Folded) -> Result<(Tensor, Tensor)> {
        folded.get(self.conv.id(), dtype, || {
            let ((weight, bias), (scale, shift)) = (self.conv.parameters(), self.norm.scale_and_shift()?);
            let bias = match bias {
                Some(bias) => ((bias * &scale)? + shift)?,
                None => shift,
            };
            Ok((weight.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?.to_dtype(dtype)?, bias))
        })
    }
}

fn and_then(y: Tensor, after: After<'_>) -> Result<Tensor> {
    match after {
        After::Nothing => Ok(y),
        After::Relu => relu(&y),
        After::ResidualRelu(residual) => relu(&(y + residual)?),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::{Builder, ConvInit, gradcheck::image, with_plain_tensors};

    #[test]
    fn folding_changes_no_more_than_rounding() {
        let builder = Builder::new(DType::F64, &Device::Cpu, 1);
        for (i, padding_mode) in [Padding::Zeros, Padding::Reflect].into_iter().enumerate() {
            let config = Conv2dConfig { kernel: 3, stride: 2, padding: 1, padding_mode };
            let scope = builder.root().at(i);
            let conv = Conv2d::new(&scope.at("conv"), 3, 4, config, ConvInit::Torch).unwrap();
            let norm = BatchNorm::new(&scope.at("norm"), 4).unwrap();
            // Statistics that are not those of a new norm.
            norm.forward(&(image(&[3, 4, 2, 2]) * 3.0).unwrap(), Mode::TRAIN_WITHOUT_DROPOUT).unwrap();
            let (layer, folded) = (ConvNorm::new(conv, norm), Folded::default());
            let (x, residual) = (image(&[2, 3, 6, 8]), image(&[2, 4, 3, 4]));
            for after in [After::Nothing, After::Relu, After::ResidualRelu(&residual)] {
                let plain = layer.forward(&x, after, Mode::EVAL).unwrap();
                let apart =
                    |y: &Tensor| (y - &plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
                let on_kernels = layer.forward(&x, after, Mode::predict(&folded)).unwrap();
                assert_eq!(apart(&on_kernels).to_bits(), 0f64.to_bits(), "the kernels of the CPU fold nothing");
                for _ in 0..2 {
                    let y = with_plain_tensors(|| layer.forward(&x, after, Mode::predict(&folded))).unwrap();
                    assert!(apart(&y) < 1e-13, "{}", apart(&y));
                }
            }
        }
    }
}
