//! Convolutions, `torch.nn.Conv2d` and `torch.nn.ConvTranspose2d`.

mod kernels;
mod op;

use candle_core::{Result, Tensor, TensorId};

#[cfg(feature = "cuda")]
pub(super) use self::kernels::Sizes;
pub(super) use self::op::conv2d;
#[cfg(feature = "cuda")]
pub(super) use self::op::conv2d_rectified;
use self::op::{conv_transpose2d, conv2d_of_joined};
use super::{Conv2dConfig, ConvInit, Init, Mode, Padding, Parameter, Scope, take_on_cpu};

/// A convolution: `weight [N, C, k, k]`, and optionally `bias [N]`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Parameter,
    bias: Option<Parameter>,
    config: Conv2dConfig,
}

impl Conv2d {
    /// With a bias.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, c_in: usize, c_out: usize, config: Conv2dConfig, init: ConvInit) -> Result<Self> {
        let (_, bias) = init.of(c_in, c_out, config.kernel);
        let bias = scope.weight("bias", c_out, bias)?;
        Ok(Self { bias: Some(bias), ..Self::without_bias(scope, c_in, c_out, config, init)? })
    }

    /// Without a bias, as before a batch norm.
    ///
    /// # Errors
    /// If the device fails.
    pub fn without_bias(
        scope: &Scope<'_>,
        c_in: usize,
        c_out: usize,
        config: Conv2dConfig,
        init: ConvInit,
    ) -> Result<Self> {
        let (weight, _) = init.of(c_in, c_out, config.kernel);
        let weight = scope.weight("weight", (c_out, c_in, config.kernel, config.kernel), weight)?;
        Ok(Self { weight, bias: None, config })
    }

    /// `[B, C, H, W]` to `[B, N, H', W']`, `H' = (H + 2 padding - kernel) / stride + 1`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let Conv2dConfig { stride, padding, padding_mode, .. } = self.config;
        let bias = self.bias.as_ref().map(|bias| bias.value(mode)).transpose()?;
        let weight = self.weight.like(x, mode)?;
        if padding_mode == Padding::Zeros {
            conv2d(x, &weight, bias.as_ref(), stride, padding)
        } else {
            conv2d(&padding_mode.pad(x, padding)?, &weight, bias.as_ref(), stride, 0)
        }
    }
}

impl Conv2d {
    /// [`Self::forward`] of a map before it is doubled and joined, which it then does not keep; `None` if it has a bias, or a
    /// padding other than zeros.
    pub(super) fn forward_joined(
        &self,
        (x, skip): (&Tensor, Option<&Tensor>),
        mode: Mode<'_>,
    ) -> Option<Result<Tensor>> {
        let Conv2dConfig { stride, padding, padding_mode, .. } = self.config;
        if padding_mode != Padding::Zeros || self.bias.is_some() || !take_on_cpu(x) {
            return None;
        }
        Some(self.weight.like(x, mode).and_then(|weight| conv2d_of_joined(x, skip, &weight, (stride, padding))))
    }

    /// Its weight and its bias, in evaluation.
    pub(super) fn parameters(&self) -> (Tensor, Option<Tensor>) {
        let value = |parameter: &Parameter| parameter.var().as_detached_tensor();
        (value(&self.weight), self.bias.as_ref().map(value))
    }

    /// Gives the memory of its weight back: it computes nothing any more.
    pub(super) fn release(&self) -> Result<()> {
        self.weight.release()
    }

    /// What tells it from other convolutions.
    pub(super) fn id(&self) -> TensorId {
        self.weight.var().id()
    }

    /// Its geometry.
    pub(super) fn config(&self) -> Conv2dConfig {
        self.config
    }
}

/// A transposed convolution with a bias: `weight [C, N, k, k]`, `bias [N]`.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    weight: Parameter,
    bias: Parameter,
    stride: usize,
    padding: usize,
}

impl ConvTranspose2d {
    /// With torch's initialiser, which uses the *output* channels as the fan-in.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(
        scope: &Scope<'_>,
        c_in: usize,
        c_out: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        let init = Init::torch_default(c_out * kernel * kernel);
        let weight = scope.weight("weight", (c_in, c_out, kernel, kernel), init)?;
        Ok(Self { weight, bias: scope.weight("bias", c_out, init)?, stride, padding })
    }

    /// `[B, C, H, W]` to `[B, N, H', W']`, `H' = (H - 1) stride - 2 padding + kernel`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        conv_transpose2d(x, &self.weight.like(x, mode)?, self.stride, self.padding)?
            .broadcast_add(&self.bias.like(x, mode)?.reshape((1, (), 1, 1))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        Builder,
        gradcheck::{assert_gradients, image},
    };
    use candle_core::{DType, Device};

    #[test]
    fn layers_have_correct_gradients() {
        let builder = Builder::new(DType::F64, &Device::Cpu, 1);
        for (i, padding_mode) in [Padding::Zeros, Padding::Reflect, Padding::Circular].into_iter().enumerate() {
            for (kernel, stride, padding) in [(3, 1, 1), (4, 2, 1), (3, 2, 1)] {
                let config = Conv2dConfig { kernel, stride, padding, padding_mode };
                let scope = builder.root().at(i).at(kernel).at(stride);
                let layer = Conv2d::new(&scope, 3, 2, config, ConvInit::Torch).unwrap();
                for dims in [[2, 3, 6, 8], [1, 3, 5, 7]] {
                    assert_gradients(&[&image(&dims)], |t| layer.forward(&t[0], Mode::TRAIN_WITHOUT_DROPOUT));
                }
            }
        }
        for (kernel, stride, padding) in [(4, 2, 1), (2, 2, 0), (3, 1, 1)] {
            for dims in [[2, 3, 3, 4], [1, 3, 5, 2]] {
                let (x, weight) = (image(&dims), image(&[3, 2, kernel, kernel]));
                assert_gradients(&[&x, &weight], |t| conv_transpose2d(&t[0], &t[1], stride, padding));
            }
        }
    }
}
