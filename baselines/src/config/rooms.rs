//! Conversion of the configuration to the settings of each module.

use std::path::Path;

use flair_scoring::PATCH_SIZE;

use super::{Config, ConfigError, Model};
use crate::{
    data::{InputSettings, MetadataSettings, SeriesSettings, SplitSettings, metadata::OTHER_VALUES},
    models::{utae::UtaeConfig, utt::UttConfig},
    ranks::Ranks,
    train::{Beginning, LossWeights, TrainOptions},
};

/// Keys that [`TrainOptions`] holds in fields of their own, or that only choose the patches.
const OPTIONS: [&str; 10] = [
    "num_epochs",
    "batch_size",
    "lr",
    "flair_bench.validation",
    "flair_bench.seed",
    "flair_bench.optimizer",
    "flair_bench.schedule",
    "flair_bench.accumulate",
    "flair_bench.clip",
    "flair_bench.patience",
];

impl Config {
    /// The patches that train and those that validate.
    #[must_use]
    pub fn split(&self) -> SplitSettings {
        SplitSettings { validation: self.flair_bench.validation, seed: self.flair_bench.seed }
    }

    /// The inputs that the network takes.
    #[must_use]
    pub fn inputs(&self) -> InputSettings {
        let series = SeriesSettings {
            size: self.sat_patch_size,
            filter_clouds: self.filter_clouds,
            average_month: self.average_month,
            ref_date: self.ref_date,
            ref_year: self.ref_year,
        };
        let metadata = MetadataSettings { geo_enc_size: self.geo_enc_size, fidelity: self.flair_bench.fidelity };
        InputSettings {
            series: (self.flair_bench.model == Model::Utt).then_some(series),
            metadata: self.aerial_metadata.then_some(metadata),
        }
    }

    /// The sizes of the network.
    #[must_use]
    pub fn network(&self) -> UttConfig {
        let utae = || UtaeConfig {
            channels: self.num_channels_sat,
            encoder_widths: self.encoder_widths.clone(),
            decoder_widths: self.decoder_widths.clone(),
            out_conv: self.out_conv.clone(),
            strided: (self.str_conv_k, self.str_conv_s, self.str_conv_p),
            aggregation: self.agg_mode,
            encoder_norm: self.encoder_norm,
            heads: self.n_head,
            d_model: self.d_model,
            d_k: self.d_k,
            pad_value: self.pad_value,
            padding: self.padding_mode,
        };
        UttConfig {
            aerial_channels: self.num_channels_aerial,
            classes: self.num_classes,
            metadata: self.aerial_metadata.then_some(self.geo_enc_size + OTHER_VALUES),
            patch_size: PATCH_SIZE,
            unet_width: self.flair_bench.unet_width,
            utae: (self.flair_bench.model == Model::Utt).then(utae),
            drop_satellite: self.drop_utae_modality,
            norm_momentum: self.flair_bench.norm_momentum,
        }
    }

    /// The weights of the classes and of the losses.
    #[must_use]
    pub fn loss_weights(&self) -> LossWeights {
        // The first weight is the satellite branch's, despite the order in the key's name (upstream
        // `src/task_module.py:62`).
        let [satellite, aerial] = self.w_unet_utae;
        let (classes_aerial, classes_satellite) = self.weights_aerial_satellite.values().map(|&[a, s]| (a, s)).unzip();
        LossWeights { classes_aerial, classes_satellite, aerial, satellite }
    }

    /// A training from its beginning, in the run folder `out`, with upstream's recipe (`src/task_module.py`, `main.py`).
    ///
    /// # Errors
    /// As [`Config::weights_settings`].
    pub fn training<'a>(&self, out: &'a Path) -> Result<TrainOptions<'a>, ConfigError> {
        let mut settings = self.settings()?;
        settings.retain(|key, _| !OPTIONS.contains(&key.as_str()));
        Ok(TrainOptions {
            losses: self.loss_weights(),
            is_augmented: self.use_augmentation,
            fidelity: self.flair_bench.fidelity,
            pad_value: self.pad_value,
            epochs: self.num_epochs,
            batch_size: self.batch_size,
            learning_rate: self.lr,
            optimizer: self.flair_bench.optimizer,
            schedule: self.flair_bench.schedule,
            accumulate: self.flair_bench.accumulate,
            clip: self.flair_bench.clip,
            patience: self.flair_bench.patience,
            seed: self.flair_bench.seed,
            workers: self.num_workers,
            settings,
            provenance: self.weights_settings()?,
            out,
            beginning: Beginning::Fresh,
            ranks: Ranks::alone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_weight_is_the_satellites() {
        let mut config = Config::preset("utt").unwrap();
        config.w_unet_utae = [0.25, 2.0];
        let weights = config.loss_weights();
        assert_eq!((weights.satellite, weights.aerial), (0.25, 2.0));
        assert_eq!(weights.classes_satellite[10..], [1.0, 0.0, 0.0]);
        assert_eq!(weights.classes_aerial[10..], [1.0, 1.0, 0.0]);
    }
}
