//! L-TAE: light temporal attention over a series of maps (Garnot and Landrieu 2020; upstream
//! `src/backbones/ltae.py` and `positional_encoding.py`).

use candle_core::{DType, Device, Result, Tensor};

use crate::nn::{BatchNorm, Dropout, GroupNorm, Init, Linear, Mode, Parameter, Scope, constant, relu, wide};

/// Period of the positional encoding, in days.
const PERIOD: f64 = 1000.0;
/// Logit of a date that is padding.
const PADDED: f64 = -1e3;

/// Sizes of an [`Ltae`].
#[derive(Clone, Copy, Debug)]
pub struct LtaeConfig {
    /// Channels of the input maps and of the output map.
    pub channels: usize,
    /// Hidden width, `D`; a multiple of the heads.
    pub d_model: usize,
    /// Attention heads, `A`.
    pub heads: usize,
    /// Width of a head's keys.
    pub d_k: usize,
}

/// Temporal attention, applied to each pixel's series separately, with one learnt query per head.
///
/// Names: `inconv`, `attention_heads.Q`, `attention_heads.fc1_k`, `in_norm`, `out_norm`, `mlp.0`, `mlp.1`.
#[derive(Clone, Debug)]
pub struct Ltae {
    in_norm: GroupNorm,
    in_conv: Linear,
    query: Parameter,
    key: Linear,
    mlp: Linear,
    mlp_norm: BatchNorm,
    out_norm: GroupNorm,
    dropout: Dropout,
    attention_dropout: Dropout,
    config: LtaeConfig,
}

impl Ltae {
    /// A layer with upstream's initialisers.
    ///
    /// # Errors
    /// If the sizes do not fit each other, or the device fails.
    pub fn new(scope: &Scope<'_>, config: LtaeConfig) -> Result<Self> {
        let LtaeConfig { channels, d_model, heads, d_k } = config;
        if heads == 0 || d_k == 0 || !d_model.is_multiple_of(2 * heads) {
            candle_core::bail!("d_model {d_model} is not an even number of channels for each of {heads} heads");
        }
        let normal = Init::Normal { std: (2.0 / d_k as f64).sqrt() };
        let attention = scope.at("attention_heads");
        Ok(Self {
            in_norm: GroupNorm::new(&scope.at("in_norm"), heads, channels)?,
            in_conv: Linear::pointwise(&scope.at("inconv"), channels, d_model)?,
            query: attention.weight("Q", (heads, d_k), normal)?,
            key: Linear::with_weight_init(&attention.at("fc1_k"), d_model, heads * d_k, normal)?,
            mlp: Linear::new(&scope.at("mlp.0"), d_model, channels)?,
            mlp_norm: BatchNorm::new(&scope.at("mlp.1"), channels)?,
            out_norm: GroupNorm::new(&scope.at("out_norm"), heads, channels)?,
            dropout: Dropout::new(0.2),
            attention_dropout: Dropout::new(0.1),
            config,
        })
    }

    /// Reduces a series of maps to one map; also returns the attention.
    ///
    /// * `x` – `[B, T, C, H, W]`.
    /// * `positions` – `[B, T]`, days, f32 or f64.
    /// * `is_padding` – `[B, T]`, u8: 1 where a date is padding; `None` where none is.
    ///
    /// Gives `[B, C, H, W]` and `[A, B, T, H, W]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(
        &self,
        x: &Tensor,
        positions: &Tensor,
        is_padding: Option<&Tensor>,
        mode: Mode<'_>,
    ) -> Result<(Tensor, Tensor)> {
        let LtaeConfig { channels, d_model, heads, d_k } = self.config;
        let (batch, dates, _, height, width) = x.dims5()?;
        let pixels = batch * height * width;
        // Each pixel becomes a batch item. The norm includes T with its padding, as upstream's does.
        let series = x.permute((0, 3, 4, 2, 1))?.reshape((pixels, channels, dates))?; // [P, C, T]
        let series = self.in_norm.forward(&series, mode)?.transpose(1, 2)?.contiguous()?; // [P, T, C]
        let per_pixel = |t: &Tensor| -> Result<Tensor> {
            let channels = t.dim(2)?;
            t.reshape((batch, 1, dates, channels))?
                .broadcast_as((batch, height * width, dates, channels))?
                .reshape((pixels, dates, channels))
        };
        let encoding = per_pixel(&positional_encoding(positions, d_model / heads, heads)?.to_dtype(x.dtype())?)?;
        let values = (self.in_conv.forward(&series, mode)? + encoding)?; // [P, T, D]

        let keys = self.key.forward(&values, mode)?.reshape((pixels, dates, heads, d_k))?.permute((2, 0, 1, 3))?;
        let query = self.query.like(x, mode)?.reshape((heads, 1, d_k, 1))?.broadcast_as((heads, pixels, d_k, 1))?;
        let logits = keys.contiguous()?.matmul(&query.contiguous()?)?.squeeze(3)?; // [A, P, T]
        // Softmax is never computed in less than f32.
        let mut logits = (logits.to_dtype(wide(x.dtype()))? / (d_k as f64).sqrt())?;
        if let Some(is_padding) = is_padding {
            let mask = per_pixel(&is_padding.unsqueeze(2)?)?.squeeze(2)?.broadcast_as((heads, pixels, dates))?;
            let padded =
                constant("padded", &[], (logits.dtype(), logits.device()), || Tensor::new(PADDED, &Device::Cpu))?;
            let padded = padded.broadcast_as(logits.shape())?.contiguous()?;
            logits = mask.contiguous()?.where_cond(&padded, &logits)?;
        }
        let attention = candle_nn::ops::softmax(&logits, 2)?;
        let attention = self.attention_dropout.forward(&attention, mode)?.to_dtype(x.dtype())?; // [A, P, T]

        let values = values.reshape((pixels, dates, heads, d_model / heads))?.permute((2, 0, 1, 3))?.contiguous()?;
        let out = attention.unsqueeze(2)?.matmul(&values)?.squeeze(2)?; // [A, P, D / A]
        let out = out.transpose(0, 1)?.reshape((pixels, d_model))?;
        let out = relu(&self.mlp_norm.forward(&self.mlp.forward(&out, mode)?, mode)?)?;
        let out = self.out_norm.forward(&self.dropout.forward(&out, mode)?, mode)?; // [P, C]

        let out = out.reshape((batch, height, width, channels))?.permute((0, 3, 1, 2))?.contiguous()?;
        let attention = attention.reshape((heads, batch, height, width, dates))?.permute((0, 1, 4, 2, 3))?;
        Ok((out, attention.contiguous()?))
    }
}

/// Positional encoding: sines and cosines of each date, repeated for every head. `[B, T]` days to `[B, T, d · heads]`.
///
/// The divisors are computed in f32 for any dtype of the network, as upstream computes them.
#[expect(clippy::cast_possible_truncation, reason = "upstream's divisors are f32")]
fn positional_encoding(positions: &Tensor, d: usize, heads: usize) -> Result<Tensor> {
    let (batch, dates) = positions.dims2()?;
    let divisors = || {
        let divisor = |pair: usize| PERIOD.powf(f64::from((2 * pair) as f32 / d as f32)) as f32;
        Tensor::new((0..d / 2).map(divisor).collect::<Vec<_>>(), &Device::Cpu)?.reshape((1, 1, ()))
    };
    let divisors = constant("divisors", &[d as u64], (positions.dtype(), positions.device()), divisors)?;
    let angles = positions.unsqueeze(2)?.broadcast_div(&divisors)?; // [B, T, d / 2]
    // Even channels are sines, odd ones cosines; each pair shares a divisor.
    let encoding = Tensor::stack(&[angles.sin()?, angles.cos()?], 3)?.reshape((batch, dates, d))?;
    debug_assert!(matches!(encoding.dtype(), DType::F32 | DType::F64));
    Tensor::cat(&vec![encoding; heads], 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_sines_and_cosines() {
        let days = Tensor::new(&[[0.0f64, -230.0]], &Device::Cpu).unwrap();
        let encoding = positional_encoding(&days, 4, 2).unwrap();
        let rows = encoding.squeeze(0).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(rows[0], [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        let slow = -230.0 / f64::from(1000f32.sqrt());
        for (found, expected) in rows[1].iter().zip([(-230f64).sin(), (-230f64).cos(), slow.sin(), slow.cos()]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
