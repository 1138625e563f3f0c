//! Sizes of networks for tests: those of the published table.

use super::{
    resnet34::WIDTH,
    utae::{Aggregation, EncoderNorm, UtaeConfig},
    utt::UttConfig,
};
use crate::nn::{NORM_MOMENTUM, Padding};

/// The U-Net, without metadata.
pub(crate) fn unet() -> UttConfig {
    UttConfig {
        aerial_channels: 5,
        classes: 13,
        metadata: None,
        patch_size: 512,
        unet_width: WIDTH,
        utae: None,
        drop_satellite: 0.0,
        norm_momentum: NORM_MOMENTUM,
    }
}

/// The Sentinel-2 branch of U-T&T.
pub(crate) fn utae() -> UtaeConfig {
    UtaeConfig {
        channels: 10,
        encoder_widths: vec![64, 64, 128, 128],
        decoder_widths: vec![64, 64, 128, 128],
        out_conv: vec![32, 13],
        strided: (4, 2, 1),
        aggregation: Aggregation::AttGroup,
        encoder_norm: EncoderNorm::Group,
        heads: 16,
        d_model: 256,
        d_k: 4,
        pad_value: 0.0,
        padding: Padding::Reflect,
    }
}

/// U-T&T, without metadata.
pub(crate) fn utt() -> UttConfig {
    UttConfig { utae: Some(utae()), ..unet() }
}
