//! A convolution and its batch norm, which prediction folds into one.

use candle_core::{Result, Tensor};

use super::{
    BatchNorm, Conv2d, Conv2dConfig, Map, Mode, Padding, Plan,
    activation::relu_of_sum,
    conv::conv2d,
    cpu::{Convolution, InputForm, with_values},
    relu,
};

/// What follows the norm.
#[derive(Clone, Copy, Debug)]
pub enum After<'a> {
    /// Nothing.
    Nothing,
    /// A rectifier.
    Relu,
    /// The addition of a residual, and a rectifier.
    ResidualRelu(&'a Map),
}

impl<'a> After<'a> {
    fn residual(self) -> Option<&'a Map> {
        match self {
            Self::Nothing | Self::Relu => None,
            Self::ResidualRelu(residual) => Some(residual),
        }
    }

    fn rectifies(self) -> bool {
        !matches!(self, Self::Nothing)
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
    pub fn forward(&self, x: &Map, after: After<'_>, mode: Mode<'_>) -> Result<Map> {
        conv_then_norm((&self.conv, &self.norm), x, after, mode)
    }
}

/// [`ConvNorm::forward`] of a convolution and a norm that are layers of their own.
///
/// # Errors
/// If the shapes do not fit, or the device fails.
pub fn conv_then_norm((conv, norm): (&Conv2d, &BatchNorm), x: &Map, after: After<'_>, mode: Mode<'_>) -> Result<Map> {
    if let Some(plan) = x.on_plan(mode.plan()) {
        let prepare = |form: &InputForm| prepare(conv, Some(norm), form, plan);
        let with = (after.residual(), after.rectifies());
        return x.convolved((conv.id(), conv.config()), prepare, with, plan);
    }
    if let Some(plan) = mode.plan() {
        return folded((conv, norm), &x.tensor()?, after, plan);
    }
    let y = convolve(conv, x, mode)?.tensor()?;
    match after {
        After::Relu => Ok(norm.forward_rectified(&y, mode)?.into()),
        _ => and_then(norm.forward(&y, mode)?, after),
    }
}

/// [`Conv2d::forward`] of a map.
///
/// # Errors
/// If the shapes do not fit, or the device fails.
pub fn convolve(conv: &Conv2d, x: &Map, mode: Mode<'_>) -> Result<Map> {
    if let Some(plan) = x.on_plan(mode.plan()) {
        let prepare = |form: &InputForm| prepare(conv, None, form, plan);
        return x.convolved((conv.id(), conv.config()), prepare, (None, false), plan);
    }
    match x.as_joined().and_then(|joined| conv.forward_joined(joined, mode)) {
        Some(y) => Ok(y?.into()),
        None => Ok(conv.forward(&x.tensor()?, mode)?.into()),
    }
}

/// Weights of a convolution, with its norm folded in.
fn prepare(conv: &Conv2d, norm: Option<&BatchNorm>, form: &InputForm, plan: &Plan) -> Result<Convolution> {
    let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
    let (weight, bias) = conv.parameters();
    let channels = weight.dim(0)?;
    let bias = bias.map_or_else(|| Ok(vec![0.0; channels]), |bias| numbers(&bias))?;
    let (scale, bias) = match norm {
        None => (vec![1.0; channels], bias),
        Some(norm) => {
            let (scale, shift) = norm.scale_and_shift_in_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "rounded once, here")]
            let bias = bias.iter().zip(scale.iter().zip(&shift)).map(|(&b, (a, s))| (f64::from(b) * a + s) as f32);
            let bias = bias.collect();
            (scale, bias)
        }
    };
    let of = |weight: &[f32]| Convolution::new(weight, &scale, &bias, conv.config(), form);
    let prepared = with_values(&weight.contiguous()?, of)?;
    if plan.releases() {
        conv.release()?;
    }
    Ok(prepared)
}

/// On a GPU, or on plain tensors.
fn folded((conv, norm): (&Conv2d, &BatchNorm), x: &Tensor, after: After<'_>, plan: &Plan) -> Result<Map> {
    // The weight times the norm's scale, in the type of the input, and the bias, in the parameters' type.
    let (weight, bias) = plan.folded(conv.id(), x.dtype(), || {
        let ((weight, bias), (scale, shift)) = (conv.parameters(), norm.scale_and_shift()?);
        let bias = match bias {
            Some(bias) => ((bias * &scale)? + shift)?,
            None => shift,
        };
        Ok((weight.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?.to_dtype(x.dtype())?, bias))
    })?;
    let Conv2dConfig { stride, padding, padding_mode, .. } = conv.config();
    let (x, padding) =
        if padding_mode == Padding::Zeros { (x.clone(), padding) } else { (padding_mode.pad(x, padding)?, 0) };
    #[cfg(feature = "cuda")]
    if super::take_on_gpu(&x) && after.rectifies() {
        let residual = after.residual().map(Map::tensor).transpose()?;
        let y = super::conv::conv2d_rectified(&x, &weight, &bias, residual.as_ref(), (stride, padding))?;
        return Ok(y.into());
    }
    and_then(conv2d(&x, &weight, Some(&bias), stride, padding)?, after)
}

fn and_then(y: Tensor, after: After<'_>) -> Result<Map> {
    Ok(match after {
        After::Nothing => y,
        After::Relu => relu(&y)?,
        After::ResidualRelu(residual) => relu_of_sum(&y, &residual.tensor()?)?,
    }
    .into())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::{Builder, ConvInit, gradcheck::image};

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
            let (layer, plan) = (ConvNorm::new(conv, norm), Plan::default());
            let (x, residual) = (Map::from(image(&[2, 3, 6, 8])), Map::from(image(&[2, 4, 3, 4])));
            for after in [After::Nothing, After::Relu, After::ResidualRelu(&residual)] {
                let plain = layer.forward(&x, after, Mode::EVAL).unwrap().tensor().unwrap();
                for _ in 0..2 {
                    let y = layer.forward(&x, after, Mode::predict(&plan)).unwrap().tensor().unwrap();
                    let apart = (y - &plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
                    assert!(apart < 1e-13, "{apart}");
                }
            }
        }
    }
}
