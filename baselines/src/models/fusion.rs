//! Fusion: the U-TAE's last map, projected for addition to the U-Net's maps (upstream `src/backbones/fusion_utils.py`).

use candle_core::{Result, Tensor};

use crate::nn::{Conv2d, Conv2dConfig, ConvInit, Dropout, Linear, Mode, Scope, relu};

/// Cropped fusion: the features of the patch's area, with a 1×1 convolution for each encoder map, whose output is then
/// resized bilinearly.
///
/// Names: `conv_list.{i}`, the first of which is for the image itself and unused.
#[derive(Clone, Debug)]
pub struct Cropped {
    convs: Vec<Conv2d>,
}

impl Cropped {
    /// Projections from `channels` to each of `widths`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, channels: usize, widths: &[usize]) -> Result<Self> {
        let conv = |(i, &width): (usize, &usize)| {
            Conv2d::new(&scope.at("conv_list").at(i), channels, width, Conv2dConfig::same(1), ConvInit::Torch)
        };
        Ok(Self { convs: widths.iter().enumerate().map(conv).collect::<Result<_>>()? })
    }

    /// Projects the crop `[B, C, h, w]` for level `level`: `[B, widths[level], h, w]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, crop: &Tensor, level: usize, mode: Mode<'_>) -> Result<Tensor> {
        self.convs[level].forward(crop, mode)
    }
}

/// Collapsed fusion: the mean over the super-patch, with an MLP for each encoder map.
///
/// Names: `mlps.{i}.{0,3,6}`, the first of which is for the image itself and unused.
#[derive(Clone, Debug)]
pub struct Collapsed {
    mlps: Vec<Mlp>,
}

impl Collapsed {
    /// Projections from `channels` to each of `widths`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, channels: usize, widths: &[usize]) -> Result<Self> {
        let mlp = |(i, &width): (usize, &usize)| {
            // Two hidden widths, in three equal steps rounded down; for equal ends, twice the width.
            let step = channels.abs_diff(width) / 3;
            let between = match channels.cmp(&width) {
                std::cmp::Ordering::Less => [channels + step, channels + 2 * step],
                std::cmp::Ordering::Greater => [channels - step, channels - 2 * step],
                std::cmp::Ordering::Equal => [2 * channels; 2],
            };
            Mlp::new(&scope.at("mlps").at(i), [channels, between[0], between[1], width], 0.3)
        };
        Ok(Self { mlps: widths.iter().enumerate().map(mlp).collect::<Result<_>>()? })
    }

    /// Projects the mean `[N, C]` for level `level`: `[N, widths[level], 1, 1]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, mean: &Tensor, level: usize, mode: Mode<'_>) -> Result<Tensor> {
        self.mlps[level].forward(mean, mode)?.unsqueeze(2)?.unsqueeze(3)
    }
}

/// MLP of three linear layers, with dropout and `ReLU` between them. Names `0`, `3`, `6`.
#[derive(Clone, Debug)]
pub(super) struct Mlp {
    layers: [Linear; 3],
    dropout: Dropout,
}

impl Mlp {
    pub(super) fn new(scope: &Scope<'_>, widths: [usize; 4], dropout: f64) -> Result<Self> {
        let layer = |i: usize| Linear::new(&scope.at(3 * i), widths[i], widths[i + 1]);
        Ok(Self { layers: [layer(0)?, layer(1)?, layer(2)?], dropout: Dropout::new(dropout) })
    }

    pub(super) fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let [first, second, last] = &self.layers;
        let x = relu(&self.dropout.forward(&first.forward(x, mode)?, mode)?)?;
        let x = relu(&self.dropout.forward(&second.forward(&x, mode)?, mode)?)?;
        last.forward(&x, mode)
    }
}
