//! U-TAE: a U-Net over a series of images, whose skip connections are averaged in time by the attention of an L-TAE
//! (Garnot and Landrieu 2021; upstream `src/backbones/utae_model.py`).

use candle_core::{Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use super::ltae::{Ltae, LtaeConfig};
use crate::nn::{
    After, BatchNorm, Conv2d, Conv2dConfig, ConvInit, ConvTranspose2d, GroupNorm, Map, Mode, Padding, Scope,
    average_pool, bilinear, conv_then_norm, convolve, relu, standardise, take_on_cpu,
};

/// Groups of the encoder's group norms.
const NORM_GROUPS: usize = 4;

/// How skip connections are averaged in time: `agg_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Weights each group of channels with the attention of one head.
    AttGroup,
    /// Weights all channels with the mean attention of the heads.
    AttMean,
    /// Unweighted mean of the dates.
    Mean,
}

/// Norm of the encoder: `encoder_norm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderNorm {
    /// Group norm of 4 groups.
    Group,
    /// Batch norm.
    Batch,
    /// Instance norm, without parameters.
    Instance,
}

/// Sizes of a [`Utae`]: the keys of upstream's configuration.
#[derive(Clone, Debug)]
pub struct UtaeConfig {
    /// Bands of an image.
    pub channels: usize,
    /// Channels of the encoder's stages, fine to coarse.
    pub encoder_widths: Vec<usize>,
    /// Channels of the decoder's stages, fine to coarse; the last is the encoder's.
    pub decoder_widths: Vec<usize>,
    /// Channels of the output convolutions.
    pub out_conv: Vec<usize>,
    /// Kernel, stride and padding of the convolutions that change the size.
    pub strided: (usize, usize, usize),
    /// How skip connections are averaged.
    pub aggregation: Aggregation,
    /// Norm of the encoder.
    pub encoder_norm: EncoderNorm,
    /// Attention heads.
    pub heads: usize,
    /// Channels inside the L-TAE.
    pub d_model: usize,
    /// Channels of its keys.
    pub d_k: usize,
    /// Padding value: an image that has only this value is padding.
    pub pad_value: f64,
    /// Padding of the convolutions.
    pub padding: Padding,
}

/// The network. Names: `in_conv`, `down_blocks.{i}`, `up_blocks.{i}`, `temporal_encoder`, `out_conv`.
#[derive(Clone, Debug)]
pub struct Utae {
    in_conv: ConvLayer,
    down_blocks: Vec<DownBlock>,
    temporal_encoder: Ltae,
    up_blocks: Vec<UpBlock>,
    out_conv: ConvLayer,
    aggregation: Aggregation,
    pad_value: f64,
    /// Whether the encoder's norms see all images of a batch at once.
    has_batch_norms: bool,
}

impl Utae {
    /// A network with upstream's initialisers.
    ///
    /// # Errors
    /// If the sizes do not fit each other, or the device fails.
    pub fn new(scope: &Scope<'_>, config: &UtaeConfig) -> Result<Self> {
        let UtaeConfig { encoder_widths: encoder, decoder_widths: decoder, strided, .. } = config;
        let (Some(&first), Some(&last)) = (encoder.first(), encoder.last()) else { bail!("U-TAE needs a stage") };
        if encoder.len() != decoder.len() || decoder.last() != Some(&last) {
            bail!(
                "encoder_widths {encoder:?} and decoder_widths {decoder:?} must have the same length and the same last width"
            );
        }
        let norm = match config.encoder_norm {
            EncoderNorm::Group => NormKind::Group,
            EncoderNorm::Batch => NormKind::Batch,
            EncoderNorm::Instance => NormKind::Instance,
        };
        let layer = |scope: &Scope<'_>, widths: &[usize], norm, geometry| {
            ConvLayer::new(&scope.at("conv"), widths, norm, geometry, config.padding)
        };
        let in_conv = layer(&scope.at("in_conv.conv"), &[config.channels, first, first], norm, PLAIN)?;
        let mut down_blocks = Vec::new();
        for (i, pair) in encoder.windows(2).enumerate() {
            let scope = scope.at("down_blocks").at(i);
            down_blocks.push(DownBlock {
                down: layer(&scope.at("down"), &[pair[0], pair[0]], norm, *strided)?,
                conv1: layer(&scope.at("conv1"), &[pair[0], pair[1]], norm, PLAIN)?,
                conv2: layer(&scope.at("conv2"), &[pair[1], pair[1]], norm, PLAIN)?,
            });
        }
        let mut up_blocks = Vec::new();
        for (i, stage) in (1..encoder.len()).rev().enumerate() {
            let scope = scope.at("up_blocks").at(i);
            let (d_in, d_out, skip) = (decoder[stage], decoder[stage - 1], encoder[stage - 1]);
            let pointwise = Conv2dConfig::same(1);
            up_blocks.push(UpBlock {
                skip_conv: Conv2d::new(&scope.at("skip_conv.0"), skip, skip, pointwise, ConvInit::Torch)?,
                skip_norm: BatchNorm::new(&scope.at("skip_conv.1"), skip)?,
                up: ConvTranspose2d::new(&scope.at("up.0"), d_in, d_out, strided.0, strided.1, strided.2)?,
                up_norm: BatchNorm::new(&scope.at("up.1"), d_out)?,
                conv1: layer(&scope.at("conv1"), &[d_out + skip, d_out], NormKind::Batch, PLAIN)?,
                conv2: layer(&scope.at("conv2"), &[d_out, d_out], NormKind::Batch, PLAIN)?,
            });
        }
        let ltae = LtaeConfig { channels: last, d_model: config.d_model, heads: config.heads, d_k: config.d_k };
        let out_widths: Vec<usize> = decoder.iter().take(1).chain(&config.out_conv).copied().collect();
        Ok(Self {
            in_conv,
            down_blocks,
            temporal_encoder: Ltae::new(&scope.at("temporal_encoder"), ltae)?,
            up_blocks,
            out_conv: layer(&scope.at("out_conv.conv"), &out_widths, NormKind::Batch, PLAIN)?,
            aggregation: config.aggregation,
            pad_value: config.pad_value,
            has_batch_norms: config.encoder_norm == EncoderNorm::Batch,
        })
    }

    /// A series of images to the decoder's maps, coarse to fine; the first is the L-TAE's.
    ///
    /// * `x` – `[B, T, C, H, W]`; the strided convolutions must divide the sides without remainder.
    /// * `positions` – `[B, T]`, days, in `x`'s type.
    ///
    /// Gives `[B, widths[i], H_i, W_i]`; the last has the size of the images. A date whose image is the padding value
    /// throughout is masked (upstream also treats real no-data images as padding). A series of such images alone gives
    /// the maps of a series of zeros: finite, and the same for every such series.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Tensor, positions: &Tensor, mode: Mode<'_>) -> Result<Vec<Tensor>> {
        let frames = Frames::of(x, self.pad_value, self.has_batch_norms)?;
        let mut maps = vec![frames.share(x, mode, |images, mode| self.in_conv.forward(images, mode))?];
        for block in &self.down_blocks {
            let finer = maps.last().unwrap_or(x);
            maps.push(frames.share(finer, mode, |images, mode| block.forward(images, mode))?);
        }
        let coarsest = maps.pop().unwrap_or_else(|| x.clone());
        let (mut out, attention) =
            self.temporal_encoder.forward(&coarsest, positions, frames.is_padding.as_ref(), mode)?;
        let mut decoded = vec![out.clone()];
        for (block, skip) in self.up_blocks.iter().zip(maps.iter().rev()) {
            let skip = self.aggregate(skip, &attention, &frames)?;
            out = block.forward(&out, &skip, mode)?;
            decoded.push(out.clone());
        }
        if mode.is_training() {
            // The class scores of this head are unused; upstream computes them nevertheless, which updates the running
            // statistics of its batch norms.
            self.out_conv.forward(&out.detach().into(), mode)?;
        }
        Ok(decoded)
    }

    /// Mean over time of a skip connection: `[B, T, C, H, W]` by `[A, B, T, h, w]` to `[B, C, H, W]`.
    fn aggregate(&self, skip: &Tensor, attention: &Tensor, frames: &Frames) -> Result<Tensor> {
        let (batch, dates, channels, height, width) = skip.dims5()?;
        let real = match &frames.is_padding {
            Some(is_padding) => Some(is_padding.eq(0u8)?.to_dtype(skip.dtype())?.reshape((1, batch, dates, 1, 1))?),
            None => None,
        };
        let attention = match self.aggregation {
            Aggregation::AttGroup => attention.clone(),
            Aggregation::AttMean => attention.mean_keepdim(0)?,
            Aggregation::Mean => {
                let weights = match real {
                    Some(real) => real.reshape((batch, dates, 1, 1, 1))?,
                    None => Tensor::ones((batch, dates, 1, 1, 1), skip.dtype(), skip.device())?,
                };
                // A series of padding alone has the mean 0; upstream divides by 0.
                return skip.broadcast_mul(&weights)?.sum(1)?.broadcast_div(&weights.sum(1)?.maximum(1.0)?);
            }
        };
        let (heads, _, _, h, w) = attention.dims5()?;
        let flat = attention.reshape((heads * batch, dates, h, w))?;
        let resized =
            if height > w { bilinear(&flat, height, width)? } else { average_pool(&flat, w / height.max(1))? };
        let mut weights = resized.reshape((heads, batch, dates, height, width))?;
        if let Some(real) = &real {
            weights = weights.broadcast_mul(real)?;
        }
        // [B, T, A, C / A, H, W], each head's channels by its own weights.
        let grouped = skip.reshape((batch, dates, heads, channels / heads, height * width))?;
        let weights = weights.permute((1, 2, 0, 3, 4))?.reshape((batch, dates, heads, 1, height * width))?;
        grouped.broadcast_mul(&weights)?.sum(1)?.reshape((batch, channels, height, width))
    }
}

/// Which images of a batch of series are padding.
struct Frames {
    /// `[B, T]`, u8; `None` where no image is.
    is_padding: Option<Tensor>,
    computed: Computed,
}

/// Which images a layer computes.
enum Computed {
    /// All: none is padding.
    All,
    /// Those at these indices in `[B · T]`.
    Real(Tensor),
    /// All, and the maps of padding are then replaced: whether there is any stays on the device.
    AllMasked,
}

impl Frames {
    /// On the kernels of the CPU, padding is not computed. Elsewhere it is, unless its images would count in a batch
    /// norm: reading which images they are would make the device wait.
    fn of(x: &Tensor, pad_value: f64, has_batch_norms: bool) -> Result<Self> {
        let (batch, dates, ..) = x.dims5()?;
        let differs = x.detach().reshape((batch * dates, ()))?.ne(pad_value)?;
        if !take_on_cpu(x) && !has_batch_norms {
            let is_padding = differs.max(1)?.eq(0u8)?.reshape((batch, dates))?;
            return Ok(Self { is_padding: Some(is_padding), computed: Computed::AllMasked });
        }
        let is_padding: Vec<u8> = differs.max(1)?.to_vec1::<u8>()?.iter().map(|&any| u8::from(any == 0)).collect();
        if is_padding.iter().all(|&p| p == 0) {
            return Ok(Self { is_padding: None, computed: Computed::All });
        }
        let real: Vec<u32> = (0u32..).zip(&is_padding).filter(|&(_, &p)| p == 0).map(|(i, _)| i).collect();
        Ok(Self {
            is_padding: Some(Tensor::from_vec(is_padding, (batch, dates), x.device())?),
            computed: Computed::Real(Tensor::new(real, x.device())?),
        })
    }

    /// Applies `layer` to every image that is not padding; the maps of padding are 0.
    ///
    /// Upstream fills in the padding value, and searches for padding again before each block; with the value 0 of all its
    /// configurations both are the same.
    fn share(&self, x: &Tensor, mode: Mode<'_>, layer: impl FnOnce(&Map, Mode<'_>) -> Result<Map>) -> Result<Tensor> {
        let layer = |images: &Tensor, mode| layer(&images.clone().into(), mode)?.tensor();
        let (batch, dates, channels, height, width) = x.dims5()?;
        let images = x.reshape((batch * dates, channels, height, width))?;
        let maps = match &self.computed {
            Computed::All => layer(&images, mode)?,
            Computed::AllMasked => {
                let maps = layer(&images, mode)?;
                let Some(is_padding) = &self.is_padding else { bail!("no mask of padding") };
                let mask = is_padding.reshape((batch * dates, 1, 1, 1))?.broadcast_as(maps.shape())?.contiguous()?;
                mask.where_cond(&maps.zeros_like()?, &maps)?
            }
            Computed::Real(real) if real.dim(0)? == 0 => {
                // Only the size of the maps is needed: no running statistics may see these images.
                let (_, c, h, w) = layer(&images.narrow(0, 0, 1)?, Mode::EVAL)?.dims4()?;
                Tensor::zeros((batch * dates, c, h, w), x.dtype(), x.device())?
            }
            Computed::Real(real) => {
                let maps = layer(&images.index_select(real, 0)?, mode)?;
                let (_, c, h, w) = maps.dims4()?;
                Tensor::zeros((batch * dates, c, h, w), maps.dtype(), maps.device())?.index_add(real, &maps, 0)?
            }
        };
        let (_, c, h, w) = maps.dims4()?;
        maps.reshape((batch, dates, c, h, w))
    }
}

/// Kernel, stride, padding of the convolutions that keep the size.
const PLAIN: (usize, usize, usize) = (3, 1, 1);

#[derive(Clone, Copy, Debug)]
enum NormKind {
    Group,
    Batch,
    Instance,
}

#[derive(Clone, Debug)]
enum Norm {
    Group(GroupNorm),
    Batch(BatchNorm),
    Instance,
}

/// Convolutions, each with its norm and a `ReLU`: indices `3i` (convolution) and `3i + 1` (norm).
#[derive(Clone, Debug)]
struct ConvLayer {
    layers: Vec<(Conv2d, Norm)>,
}

impl ConvLayer {
    fn new(
        scope: &Scope<'_>,
        widths: &[usize],
        norm: NormKind,
        (kernel, stride, padding): (usize, usize, usize),
        padding_mode: Padding,
    ) -> Result<Self> {
        let config = Conv2dConfig { kernel, stride, padding, padding_mode };
        let mut layers = Vec::new();
        for (i, pair) in widths.windows(2).enumerate() {
            let scope_of_norm = scope.at(3 * i + 1);
            let norm = match norm {
                NormKind::Group => Norm::Group(GroupNorm::new(&scope_of_norm, NORM_GROUPS, pair[1])?),
                NormKind::Batch => Norm::Batch(BatchNorm::new(&scope_of_norm, pair[1])?),
                NormKind::Instance => Norm::Instance,
            };
            layers.push((Conv2d::new(&scope.at(3 * i), pair[0], pair[1], config, ConvInit::Torch)?, norm));
        }
        Ok(Self { layers })
    }

    fn forward(&self, x: &Map, mode: Mode<'_>) -> Result<Map> {
        self.layers.iter().try_fold(x.clone(), |x, (conv, norm)| match norm {
            Norm::Group(norm) => norm.rectified(&convolve(conv, &x, mode)?, mode),
            Norm::Batch(norm) => conv_then_norm((conv, norm), &x, After::Relu, mode),
            Norm::Instance => {
                let x = conv.forward(&x.tensor()?, mode)?;
                Ok(relu(&standardise(&x, x.dim(1)?)?)?.into())
            }
        })
    }
}

/// Downsampling by a strided convolution, then two convolutions, the second with a residual connection.
#[derive(Clone, Debug)]
struct DownBlock {
    down: ConvLayer,
    conv1: ConvLayer,
    conv2: ConvLayer,
}

impl DownBlock {
    fn forward(&self, x: &Map, mode: Mode<'_>) -> Result<Map> {
        let x = self.conv1.forward(&self.down.forward(x, mode)?, mode)?;
        x.plus(&self.conv2.forward(&x, mode)?)
    }
}

/// Upsampling, skip connection, then two convolutions, the second with a residual connection.
#[derive(Clone, Debug)]
struct UpBlock {
    skip_conv: Conv2d,
    skip_norm: BatchNorm,
    up: ConvTranspose2d,
    up_norm: BatchNorm,
    conv1: ConvLayer,
    conv2: ConvLayer,
}

impl UpBlock {
    fn forward(&self, x: &Tensor, skip: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let x = relu(&self.up_norm.forward(&self.up.forward(x, mode)?, mode)?)?;
        let layers = (&self.skip_conv, &self.skip_norm);
        let skip = conv_then_norm(layers, &skip.clone().into(), After::Relu, mode)?;
        let skip = skip.tensor()?;
        let x = self.conv1.forward(&Tensor::cat(&[&x, &skip], 1)?.into(), mode)?;
        x.plus(&self.conv2.forward(&x, mode)?)?.tensor()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::{models::fixture, nn::Builder};

    #[test]
    fn a_series_of_padding_alone_gives_numbers() {
        for aggregation in [Aggregation::AttGroup, Aggregation::AttMean, Aggregation::Mean] {
            let config = UtaeConfig {
                encoder_widths: vec![16, 32],
                decoder_widths: vec![16, 32],
                d_model: 32,
                heads: 4,
                aggregation,
                ..fixture::utae()
            };
            let builder = Builder::new(DType::F32, &Device::Cpu, 1);
            let network = Utae::new(&builder.root(), &config).unwrap();
            let positions = Tensor::new(&[[0f32, 30.0, 60.0]], &Device::Cpu).unwrap();
            let forward = |x: &Tensor| network.forward(x, &positions, Mode::EVAL).unwrap();
            let empty = Tensor::zeros((1, 3, 10, 16, 16), DType::F32, &Device::Cpu).unwrap();
            let seen = empty.affine(0.0, 0.5).unwrap();
            for (maps, real) in forward(&empty).iter().zip(forward(&seen)) {
                assert_eq!(maps.dims(), real.dims());
                let sum = maps.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(sum.is_finite(), "{aggregation:?}");
            }
        }
    }
}
