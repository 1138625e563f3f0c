//! `ResNet34` as an encoder: feature maps at six resolutions (He et al. 2015; torchvision's layout, names and initial
//! values, as `segmentation_models_pytorch` uses it).

use candle_core::Result;

use crate::nn::{After, BatchNorm, Conv2d, Conv2dConfig, ConvInit, ConvNorm, Map, Mode, Padding, Scope};

/// Channels of the finest feature map of `ResNet34`.
pub const WIDTH: usize = 64;

/// Channels of the five feature maps, from fine to coarse, where the finest has `width`. The sixth, finest "map" is the
/// image itself.
#[must_use]
pub const fn widths(width: usize) -> [usize; 5] {
    [width, width, 2 * width, 4 * width, 8 * width]
}

/// Blocks of each of the four stages.
const DEPTHS: [usize; 4] = [3, 4, 6, 3];

/// The encoder. Names: `conv1`, `bn1`, `layer{1..4}.{i}.(conv1|bn1|conv2|bn2|downsample.0|downsample.1)`.
#[derive(Clone, Debug)]
pub struct ResNet34 {
    stem: ConvNorm,
    stages: Vec<Vec<BasicBlock>>,
}

impl ResNet34 {
    /// An encoder of images of `channels` bands, whose finest map has `width` channels ([`WIDTH`]). The first convolution has torch's initialiser if there are not three
    /// of them, as SMP's `patch_first_conv` leaves it.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, channels: usize, width: usize) -> Result<Self> {
        let stem = Conv2dConfig { kernel: 7, stride: 2, padding: 3, padding_mode: Padding::Zeros };
        let init = if channels == 3 { ConvInit::ResNet } else { ConvInit::Torch };
        let widths = widths(width);
        let mut c_in = width;
        let mut stages = Vec::with_capacity(DEPTHS.len());
        for (stage, (&depth, &c_out)) in DEPTHS.iter().zip(&widths[1..]).enumerate() {
            let scope = scope.at(format!("layer{}", stage + 1));
            let mut blocks = Vec::with_capacity(depth);
            for block in 0..depth {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                blocks.push(BasicBlock::new(&scope.at(block), c_in, c_out, stride)?);
                c_in = c_out;
            }
            stages.push(blocks);
        }
        Ok(Self {
            stem: ConvNorm::new(
                Conv2d::without_bias(&scope.at("conv1"), channels, width, stem, init)?,
                BatchNorm::new(&scope.at("bn1"), width)?,
            ),
            stages,
        })
    }

    /// `[B, C, H, W]` (sides divisible by 32, values 0..1) to five maps, with [`WIDTH`]: `[B, 64, H/2, W/2]`, `[B, 64, H/4, W/4]`,
    /// `[B, 128, H/8, W/8]`, `[B, 256, H/16, W/16]`, `[B, 512, H/32, W/32]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Map, mode: Mode<'_>) -> Result<Vec<Map>> {
        let stem = self.stem.forward(x, After::Relu, mode)?;
        let mut x = stem.max_pool()?;
        let mut maps = vec![stem];
        for stage in &self.stages {
            for block in stage {
                x = block.forward(&x, mode)?;
            }
            maps.push(x.clone());
        }
        Ok(maps)
    }
}

/// Basic block: two 3×3 convolutions with a residual connection.
#[derive(Clone, Debug)]
struct BasicBlock {
    first: ConvNorm,
    second: ConvNorm,
    downsample: Option<ConvNorm>,
}

impl BasicBlock {
    fn new(scope: &Scope<'_>, c_in: usize, c_out: usize, stride: usize) -> Result<Self> {
        let conv =
            |name, c_in, c_out, config| Conv2d::without_bias(&scope.at(name), c_in, c_out, config, ConvInit::ResNet);
        let downsample = if stride != 1 || c_in != c_out {
            let conv = conv("downsample.0", c_in, c_out, Conv2dConfig::same(1).stride(stride))?;
            Some(ConvNorm::new(conv, BatchNorm::new(&scope.at("downsample.1"), c_out)?))
        } else {
            None
        };
        Ok(Self {
            first: ConvNorm::new(
                conv("conv1", c_in, c_out, Conv2dConfig::same(3).stride(stride))?,
                BatchNorm::new(&scope.at("bn1"), c_out)?,
            ),
            second: ConvNorm::new(
                conv("conv2", c_out, c_out, Conv2dConfig::same(3))?,
                BatchNorm::new(&scope.at("bn2"), c_out)?,
            ),
            downsample,
        })
    }

    fn forward(&self, x: &Map, mode: Mode<'_>) -> Result<Map> {
        let y = self.first.forward(x, After::Relu, mode)?;
        let around = match &self.downsample {
            Some(downsample) => downsample.forward(x, After::Nothing, mode)?,
            None => x.clone(),
        };
        self.second.forward(&y, After::ResidualRelu(&around), mode)
    }
}
