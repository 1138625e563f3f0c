//! U-T&T: the U-Net of the aerial image, fused with features of the U-TAE of the Sentinel-2 series (FLAIR #2's
//! baseline; upstream
//! `src/backbones/txt_model.py`).

use candle_core::{Result, Tensor};

use super::{
    fusion::{Collapsed, Cropped},
    metadata::MetadataMlp,
    resnet34,
    unet::Unet,
    utae::{Utae, UtaeConfig},
};
use crate::{
    nn::{Conv2d, Conv2dConfig, ConvInit, Map, Mode, Scope, center_crop, nearest, wide},
    random::Generator,
};

/// Side of the patch in pixels of the last Sentinel-2 map: 10 pixels of 10 m for 102.4 m.
const CROP: usize = 10;

/// Sizes of a [`Utt`].
#[derive(Clone, Debug)]
pub struct UttConfig {
    /// Bands of the aerial image.
    pub aerial_channels: usize,
    /// Classes.
    pub classes: usize,
    /// Length of the metadata's encoding; `None` without metadata.
    pub metadata: Option<usize>,
    /// Side of the aerial patch in pixels.
    pub patch_size: usize,
    /// Channels of the U-Net's finest map, a multiple of 4: [`resnet34::WIDTH`] is upstream's.
    pub unet_width: usize,
    /// The Sentinel-2 branch; `None` for the U-Net alone.
    pub utae: Option<UtaeConfig>,
    /// Modality dropout: probability that a training step skips the Sentinel-2 branch; from 1 on the branch is never
    /// used.
    pub drop_satellite: f64,
    /// Momentum of batch norms; torch's default is [`crate::nn::NORM_MOMENTUM`].
    pub norm_momentum: f64,
}

/// Which patch of a batch the collapsed fusion (the mean over the super-patch) uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collapse {
    /// The first patch's for all: upstream's training (`txt_model.py:90`).
    FirstOfBatch,
    /// Each patch's own, as upstream in batches of one.
    Each,
}

/// The network's output for a batch.
#[derive(Clone, Debug)]
pub struct Logits {
    /// Logits of the aerial branch, after fusion: `[B, K, H, W]`. Predictions are their argmax.
    pub aerial: Tensor,
    /// Logits of the auxiliary head on the Sentinel-2 series, `[B, K, H, W]`. `None` without the branch.
    pub satellite: Option<Tensor>,
}

/// The network, or with `utae: None` the U-Net alone with the same parameter names: `arch_vhr`, `arch_hr`,
/// `fm_utae_featmap_cropped`, `fm_utae_featmap_collapsed`, `mtd_mlp`, `reshape_utae_output.1`.
#[derive(Clone, Debug)]
pub struct Utt {
    /// The aerial branch.
    pub aerial: Unet,
    /// The Sentinel-2 branch.
    pub satellite: Option<SatelliteBranch>,
    metadata: Option<MetadataMlp>,
}

/// The Sentinel-2 branch and its fusion modules.
#[derive(Clone, Debug)]
pub struct SatelliteBranch {
    utae: Utae,
    cropped: Cropped,
    collapsed: Collapsed,
    head: Conv2d,
    drop: f64,
    patch_size: usize,
}

impl Utt {
    /// A network with upstream's initialisers.
    ///
    /// # Errors
    /// If the sizes do not fit each other, or the device fails.
    pub fn new(scope: &Scope<'_>, config: &UttConfig) -> Result<Self> {
        let metadata = match config.metadata {
            Some(length) => Some(MetadataMlp::new(&scope.at("mtd_mlp"), length, config.patch_size / 32)?),
            None => None,
        };
        let satellite = match &config.utae {
            Some(utae) => Some(SatelliteBranch::new(scope, utae, config)?),
            None => None,
        };
        let aerial = Unet::new(&scope.at("arch_vhr"), config.aerial_channels, config.classes, config.unet_width)?;
        Ok(Self { aerial, satellite, metadata })
    }

    /// Computes the logits of a batch of patches.
    ///
    /// * `aerial` – `[B, C, H, W]`, 0..1.
    /// * `series` – `[B, T, 10, h, w]` and the dates `[B, T]` in days, where the network has the branch; `T` is
    ///   padded with the padding value to the longest series of the batch.
    /// * `metadata` – `[B, length]`, where the network takes it.
    ///
    /// # Errors
    /// If an input is missing, the shapes do not fit, or the device fails.
    pub fn forward(
        &self,
        aerial: &Tensor,
        series: Option<(&Tensor, &Tensor)>,
        metadata: Option<&Tensor>,
        collapse: Collapse,
        mode: Mode<'_>,
    ) -> Result<Logits> {
        let Some(branch) = &self.satellite else {
            let maps = self.encode(aerial, metadata, mode)?;
            return Ok(Logits { aerial: self.aerial.decode(maps, mode)?.tensor()?, satellite: None });
        };
        let Some((images, dates)) = series else { candle_core::bail!("this network needs a Sentinel-2 series") };
        let satellite_features = branch.encode_series(images, dates, mode)?;
        let maps = self.encode(aerial, metadata, mode)?;
        let maps = branch.fuse(maps, &satellite_features, collapse, mode)?;
        Ok(Logits {
            aerial: self.aerial.decode(maps, mode)?.tensor()?,
            satellite: Some(branch.classify(&satellite_features, mode)?),
        })
    }

    /// The aerial encoder's five maps, the metadata added to the coarsest.
    ///
    /// # Errors
    /// If the metadata is missing, the shapes do not fit, or the device fails.
    pub fn encode(&self, aerial: &Tensor, metadata: Option<&Tensor>, mode: Mode<'_>) -> Result<Vec<Map>> {
        let mut maps = self.aerial.encoder.forward(&aerial.clone().into(), mode)?;
        if let (Some(mlp), Some(coarsest)) = (&self.metadata, maps.last_mut()) {
            let Some(metadata) = metadata else { candle_core::bail!("this network needs the patches' metadata") };
            *coarsest = mlp.add_to(&coarsest.tensor()?, metadata, mode)?.into();
        }
        Ok(maps)
    }
}

impl SatelliteBranch {
    fn new(scope: &Scope<'_>, utae: &UtaeConfig, config: &UttConfig) -> Result<Self> {
        let Some(&channels) = utae.decoder_widths.first() else { candle_core::bail!("U-TAE needs a stage") };
        let widths: Vec<usize> =
            std::iter::once(config.aerial_channels).chain(resnet34::widths(config.unet_width)).collect();
        let head = scope.at("reshape_utae_output.1");
        Ok(Self {
            utae: Utae::new(&scope.at("arch_hr"), utae)?,
            cropped: Cropped::new(&scope.at("fm_utae_featmap_cropped"), channels, &widths)?,
            collapsed: Collapsed::new(&scope.at("fm_utae_featmap_collapsed"), channels, &widths)?,
            head: Conv2d::new(&head, channels, config.classes, Conv2dConfig::same(1), ConvInit::Torch)?,
            drop: config.drop_satellite,
            patch_size: config.patch_size,
        })
    }

    /// The U-TAE's maps of a batch of series, coarse to fine: `[B, T, 10, h, w]` and `[B, T]` days.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn maps(&self, images: &Tensor, dates: &Tensor, mode: Mode<'_>) -> Result<Vec<Tensor>> {
        self.utae.forward(images, dates, mode)
    }

    /// Encodes a batch of series as the U-TAE's last map, `[B, 64, h, w]`, the only one that the other modules use.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn encode_series(&self, images: &Tensor, dates: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        match self.maps(images, dates, mode)?.pop() {
            Some(last) => Ok(last),
            None => candle_core::bail!("U-TAE returned no map"),
        }
    }

    /// Fusion: adds the satellite features to the aerial encoder's five maps.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn fuse(
        &self,
        maps: Vec<Map>,
        satellite_features: &Tensor,
        collapse: Collapse,
        mode: Mode<'_>,
    ) -> Result<Vec<Map>> {
        if self.drop >= 1.0 || self.is_dropped(mode) {
            return Ok(maps);
        }
        let crop = center_crop(satellite_features, CROP)?;
        let seen = match collapse {
            Collapse::FirstOfBatch => satellite_features.narrow(0, 0, 1)?,
            Collapse::Each => satellite_features.clone(),
        };
        let mean = seen.flatten_from(2)?.mean(2)?; // [N, 64]
        // Level 0 is the image itself, which the decoder never reads: nothing is computed for it.
        let fused = maps.into_iter().zip(1..).map(|(map, level)| {
            map.plus_resized(&self.cropped.forward(&crop, level, mode)?, &self.collapsed.forward(&mean, level, mode)?)
        });
        fused.collect()
    }

    /// Whether modality dropout drops the branch in this step. Upstream also drops it in evaluation; here it never is.
    fn is_dropped(&self, mode: Mode<'_>) -> bool {
        let draw = |generator: &std::sync::Mutex<Generator>| {
            generator.lock().unwrap_or_else(std::sync::PoisonError::into_inner).chance(self.drop)
        };
        self.drop > 0.0 && mode.dropout().is_some_and(draw)
    }

    /// The auxiliary head: satellite features, cropped to the patch and resized, to logits `[B, K, H, W]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn classify(&self, satellite_features: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        // A convolution of 1×1 and a nearest-neighbour resize commute, and the small image is 2,600 times smaller.
        let scores = self.head.forward(&center_crop(satellite_features, CROP)?, mode)?;
        // The gradient of a resize by 51 sums thousands of terms, and half precision would lose them.
        nearest(&scores.to_dtype(wide(scores.dtype()))?, self.patch_size, self.patch_size)
    }
}
