//! U-Net (Ronneberger et al. 2015) around a `ResNet34`, as `segmentation_models_pytorch` 0.3.3 builds it.

use candle_core::Result;

use super::resnet34::{self, ResNet34};
use crate::nn::{After, BatchNorm, Conv2d, Conv2dConfig, ConvInit, ConvNorm, Map, Mode, Scope, convolve};

/// Channels of the decoder's five blocks, from coarse to fine, where the encoder's finest map has `width`, a multiple
/// of 4.
#[must_use]
pub const fn decoder_widths(width: usize) -> [usize; 5] {
    [4 * width, 2 * width, width, width / 2, width / 4]
}

/// The network. Names: `encoder.*`, `decoder.blocks.{0..4}.conv{1,2}.{0,1}`, `segmentation_head.0`.
#[derive(Clone, Debug)]
pub struct Unet {
    /// The encoder: image to five maps.
    pub encoder: ResNet34,
    /// The decoder: five maps to one at full size.
    pub decoder: Decoder,
    head: Conv2d,
}

impl Unet {
    /// A U-Net for images of `channels` bands and `classes` classes. The encoder's finest map has `width` channels, 64
    /// as upstream's; all other maps are in proportion.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, channels: usize, classes: usize, width: usize) -> Result<Self> {
        let head = scope.at("segmentation_head.0");
        Ok(Self {
            encoder: ResNet34::new(&scope.at("encoder"), channels, width)?,
            decoder: Decoder::new(&scope.at("decoder"), width)?,
            head: Conv2d::new(&head, decoder_widths(width)[4], classes, Conv2dConfig::same(3), ConvInit::SmpHead)?,
        })
    }

    /// `[B, C, H, W]` (sides divisible by 32, values 0..1) to logits `[B, K, H, W]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Map, mode: Mode<'_>) -> Result<Map> {
        self.decode(self.encoder.forward(x, mode)?, mode)
    }

    /// The encoder's five maps to logits `[B, K, H, W]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn decode(&self, maps: Vec<Map>, mode: Mode<'_>) -> Result<Map> {
        self.classify(&self.decoder.forward(maps, mode)?, mode)
    }

    /// The decoder's map `[B, 16, H, W]` to logits `[B, K, H, W]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn classify(&self, map: &Map, mode: Mode<'_>) -> Result<Map> {
        convolve(&self.head, map, mode)
    }
}

/// Five blocks that double the size and concatenate the encoder's map of that size; the last has no skip connection.
#[derive(Clone, Debug)]
pub struct Decoder {
    blocks: Vec<DecoderBlock>,
}

impl Decoder {
    fn new(scope: &Scope<'_>, width: usize) -> Result<Self> {
        let [w1, w2, w3, w4, w5] = resnet34::widths(width);
        let widths = decoder_widths(width);
        let skips = [w4, w3, w2, w1, 0];
        let mut c_in = w5;
        let mut blocks = Vec::with_capacity(widths.len());
        for (i, (&c_out, skip)) in widths.iter().zip(skips).enumerate() {
            blocks.push(DecoderBlock::new(&scope.at("blocks").at(i), c_in + skip, c_out)?);
            c_in = c_out;
        }
        Ok(Self { blocks })
    }

    /// The encoder's maps, fine to coarse, to `[B, 16, H, W]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, mut maps: Vec<Map>, mode: Mode<'_>) -> Result<Map> {
        let Some(mut x) = maps.pop() else { candle_core::bail!("a decoder needs maps") };
        for block in &self.blocks {
            x = block.forward(x, maps.pop(), mode)?;
        }
        Ok(x)
    }
}

/// Upsampling by 2, skip connection, two convolutions.
#[derive(Clone, Debug)]
struct DecoderBlock {
    conv1: ConvNorm,
    conv2: ConvNorm,
}

impl DecoderBlock {
    fn new(scope: &Scope<'_>, c_in: usize, c_out: usize) -> Result<Self> {
        Ok(Self {
            conv1: conv_norm(&scope.at("conv1"), c_in, c_out)?,
            conv2: conv_norm(&scope.at("conv2"), c_out, c_out)?,
        })
    }

    /// Takes its inputs, so that their memory is free for what it computes.
    fn forward(&self, x: Map, skip: Option<Map>, mode: Mode<'_>) -> Result<Map> {
        let joined = x.doubled_and_joined(skip.as_ref())?;
        drop((x, skip));
        let x = self.conv1.forward(&joined, After::Relu, mode)?;
        drop(joined);
        self.conv2.forward(&x, After::Relu, mode)
    }
}

/// SMP's `Conv2dReLU`: names `0` (convolution without a bias) and `1` (batch norm).
fn conv_norm(scope: &Scope<'_>, c_in: usize, c_out: usize) -> Result<ConvNorm> {
    let conv = Conv2d::without_bias(&scope.at(0), c_in, c_out, Conv2dConfig::same(3), ConvInit::SmpDecoder)?;
    Ok(ConvNorm::new(conv, BatchNorm::new(&scope.at(1), c_out)?))
}
