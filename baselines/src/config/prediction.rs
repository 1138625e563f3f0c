//! The settings that predictions depend on, and those that are saved with weights.

use std::fmt;

use serde_json::Value;

use super::{Config, ConfigError, Model, PRESETS};
use crate::{data::Validation, weights::Settings};

/// Keys that do not affect results: paths, parallelism and progress output. A run may be resumed with other values of
/// them.
pub const INDIFFERENT_KEYS: [&str; 11] = [
    "data",
    "out_folder",
    "out_model_name",
    "batch_size_inference",
    "num_workers",
    "accelerator",
    "gpus_per_node",
    "num_nodes",
    "strategy",
    "enable_progress_bar",
    "progress_rate",
];

/// Keys that are for training alone.
const TRAINING_KEYS: [&str; 12] = [
    "w_unet_utae",
    "use_augmentation",
    "weights_aerial_satellite",
    "num_epochs",
    "batch_size",
    "lr",
    "flair_bench.optimizer",
    "flair_bench.schedule",
    "flair_bench.accumulate",
    "flair_bench.norm_momentum",
    "flair_bench.clip",
    "flair_bench.patience",
];
/// Keys that do not affect the U-Net alone.
const SATELLITE_KEYS: [&str; 20] = [
    "sat_patch_size",
    "drop_utae_modality",
    "filter_clouds",
    "average_month",
    "num_channels_sat",
    "encoder_widths",
    "decoder_widths",
    "out_conv",
    "str_conv_k",
    "str_conv_s",
    "str_conv_p",
    "agg_mode",
    "encoder_norm",
    "n_head",
    "d_model",
    "d_k",
    "ref_year",
    "ref_date",
    "pad_value",
    "padding_mode",
];
/// Keys that only the encoding of metadata depends on.
const METADATA_KEYS: [&str; 2] = ["geo_enc_size", "flair_bench.fidelity"];
/// The section of ours.
const OURS: &str = "flair_bench";
/// Its keys that select the validation patches.
const SPLIT_KEYS: [&str; 2] = ["flair_bench.validation", "flair_bench.seed"];
/// Longest value of a setting that is read from a file of weights.
const MAX_VALUE: usize = 1000;

impl Config {
    /// All settings that a number may depend on.
    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        // Empty settings would make any two configurations equal.
        let mut all = match serde_json::to_value(self) {
            Ok(Value::Object(all)) => all,
            Ok(_) => return Err(ConfigError::Unwritable("it is no object".to_owned())),
            Err(error) => return Err(ConfigError::Unwritable(error.to_string())),
        };
        let ours =
            all.remove(OURS).and_then(|section| if let Value::Object(ours) = section { Some(ours) } else { None });
        let ours = ours.into_iter().flatten().map(|(key, value)| (format!("{OURS}.{key}"), value));
        let counts = |(key, _): &(String, Value)| !INDIFFERENT_KEYS.contains(&key.as_str());
        Ok(all.into_iter().filter(counts).chain(ours).map(|(key, value)| (key, value.to_string())).collect())
    }

    /// The settings that are saved with weights: all except those that affect training only.
    ///
    /// # Errors
    /// [`ConfigError::Unwritable`], which no user can cause.
    pub fn weights_settings(&self) -> Result<Settings, ConfigError> {
        let mut settings = self.settings()?;
        settings.retain(|key, _| !TRAINING_KEYS.contains(&key.as_str()));
        Ok(settings)
    }

    /// Of these all that a prediction depends on, beside weights and data: two configurations that agree in it predict
    /// the same.
    ///
    /// # Errors
    /// As [`Config::weights_settings`].
    pub fn prediction_settings(&self) -> Result<Settings, ConfigError> {
        let mut settings = self.weights_settings()?;
        let is_unet = self.flair_bench.model == Model::Unet;
        settings.retain(|key, _| {
            let key = key.as_str();
            !(SPLIT_KEYS.contains(&key)
                || is_unet && SATELLITE_KEYS.contains(&key)
                || !self.aerial_metadata && METADATA_KEYS.contains(&key))
        });
        // Modality dropout below 1 does not affect predictions; with 1 the branch is never used.
        if self.drop_utae_modality < 1.0 {
            settings.remove("drop_utae_modality");
        }
        Ok(settings)
    }

    /// The settings that divide the patches into training and validation.
    ///
    /// # Errors
    /// As [`Config::weights_settings`].
    pub fn split_settings(&self) -> Result<Settings, ConfigError> {
        let mut settings = self.weights_settings()?;
        let is_random = self.flair_bench.validation == Validation::Random;
        settings.retain(|key, _| SPLIT_KEYS.contains(&key.as_str()) && (is_random || key != "flair_bench.seed"));
        Ok(settings)
    }

    /// The configuration of the training of weights, except settings that affect training only. `origin`
    /// is the name of the settings in messages.
    ///
    /// # Errors
    /// As [`Config::set_all`] if a key is not one of [`Config::weights_settings`] or one of these is missing, or a
    /// value is out of its range: they may come from a stranger's file.
    pub fn from_weights_settings(settings: &Settings, origin: &str) -> Result<Self, ConfigError> {
        let mut config = Self::preset(Model::Utt.name())?;
        let known = config.weights_settings()?;
        if let Some(key) = settings.keys().find(|key| !known.contains_key(*key)) {
            return Err(ConfigError::Stray { key: key.clone() });
        }
        if let Some(key) = known.keys().find(|key| !settings.contains_key(*key)) {
            return Err(ConfigError::Lacking { key: key.clone() });
        }
        // The reason may quote the value.
        let is_odd = |value: &str| value.len() > MAX_VALUE || value.chars().any(char::is_control);
        if let Some((key, value)) = settings.iter().find(|(_, value)| is_odd(value)) {
            let reason = format!("{} bytes, expected at most {MAX_VALUE} without control characters", value.len());
            let value = value.chars().take(20).chain("…".chars()).collect();
            return Err(ConfigError::Value { key: key.clone(), value, reason });
        }
        let assignments: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        config.assign_all(&assignments, origin)?;
        Ok(config)
    }

    /// The preset nearest to this configuration in the settings saved with weights, and the differing settings.
    ///
    /// # Errors
    /// As [`Config::weights_settings`].
    pub fn nearest_preset(&self) -> Result<NearestPreset, ConfigError> {
        let settings = self.weights_settings()?;
        let mut near = Vec::new();
        for (name, _) in PRESETS {
            let preset = Self::preset(name)?;
            if preset.flair_bench.model == self.flair_bench.model {
                near.push(NearestPreset { name, otherwise: deviations(&settings, &preset.weights_settings()?) });
            }
        }
        let near = near.into_iter().min_by_key(|near| near.otherwise.len());
        Ok(near.unwrap_or(NearestPreset { name: self.flair_bench.model.name(), otherwise: Vec::new() }))
    }
}

/// A preset, and the differences of a configuration from it: `utt-filt-avg-aug, sat_patch_size=48`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestPreset {
    /// Its name.
    pub name: &'static str,
    /// `key=value`, as `--set` takes them.
    pub otherwise: Vec<String>,
}

impl fmt::Display for NearestPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.otherwise.iter().try_for_each(|setting| write!(f, ", {setting}"))
    }
}

/// `key=value` for each of `settings` that `others` has not, or has another value of.
#[must_use]
pub fn deviations(settings: &Settings, others: &Settings) -> Vec<String> {
    let deviates = |(key, value): &(&String, &String)| others.get(*key) != Some(value);
    settings.iter().filter(deviates).map(|(key, value)| format!("{key}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Fidelity;

    fn config(preset: &str, assignments: &[&str]) -> Config {
        let mut config = Config::preset(preset).unwrap();
        config.set_all(assignments).unwrap();
        config
    }

    #[test]
    fn settings_make_the_configuration_again() {
        for (name, _) in PRESETS {
            let trained = config(
                name,
                &[
                    "sat_patch_size=48",
                    "flair_bench.fidelity=corrected",
                    "flair_bench.validation=random",
                    "flair_bench.seed=7",
                    "ref_date=06-01",
                    "lr=0.5",
                ],
            );
            let again = Config::from_weights_settings(&trained.weights_settings().unwrap(), "the test").unwrap();
            assert_eq!(again.weights_settings().unwrap(), trained.weights_settings().unwrap());
            assert_eq!(again.flair_bench.fidelity, Fidelity::Corrected);
            assert_eq!((again.flair_bench.validation, again.flair_bench.seed), (Validation::Random, 7));
            // Settings that affect training only are the preset's.
            assert!((again.lr - 0.001).abs() < 1e-12);
        }
    }

    #[test]
    fn the_nearest_preset_is_named_with_the_differences() {
        for (name, _) in PRESETS {
            assert_eq!(config(name, &["lr=1"]).nearest_preset().unwrap().to_string(), name);
        }
        let near = config("utt-filt-avg-aug", &["sat_patch_size=48", "flair_bench.fidelity=corrected"]);
        insta::assert_snapshot!(near.nearest_preset().unwrap(), @r#"utt-filt-avg-aug, flair_bench.fidelity="corrected", sat_patch_size=48"#);
        insta::assert_snapshot!(config("unet-mtd-aug", &["ref_date=05-16"]).nearest_preset().unwrap(), @r#"unet-mtd-aug, ref_date="05-16""#);
    }

    #[test]
    fn a_strangers_settings_are_checked() {
        let error = |key: &str, value: &str| {
            let mut settings = config("utt", &[]).weights_settings().unwrap();
            settings.insert(key.to_owned(), value.to_owned());
            Config::from_weights_settings(&settings, "`x.safetensors`").unwrap_err().to_string()
        };
        let lacking = Config::from_weights_settings(&Settings::new(), "`x.safetensors`").unwrap_err();
        insta::assert_snapshot!(lacking, @"`aerial_metadata` is missing");
        insta::assert_snapshot!(error("sat_patch_size", "41"), @"
        `x.safetensors` has values that cannot be used:
          `sat_patch_size` is 41: expected 8 to 112, a multiple of 8
        ");
        insta::assert_snapshot!(error("sat_patch_sise", "40"), @"`sat_patch_sise` is not a setting that is saved with weights");
        insta::assert_snapshot!(error("average_month", "[[["), @"`[[[` is not a valid value of `average_month`: unclosed bracket '['");
        // Keys that are not saved with weights, and terminal control characters.
        insta::assert_snapshot!(error("lr", "1"), @"`lr` is not a setting that is saved with weights");
        insta::assert_snapshot!(error("data.path_aerial_test", "\"/\""), @"`data.path_aerial_test` is not a setting that is saved with weights");
        insta::assert_snapshot!(error("evil\n\u{1b}[2J", "1"), @r"`evil\u{a}\u{1b}[2J` is not a setting that is saved with weights");
        insta::assert_snapshot!(error("agg_mode", &"\u{1b}".repeat(2000)), @r"`\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}\u{1b}…` is not a valid value of `agg_mode`: 2000 bytes, expected at most 1000 without control characters");
    }

    #[test]
    fn only_what_changes_predictions_deviates() {
        let utt = config("utt", &[]).prediction_settings().unwrap();
        let deviating =
            |assignment: &str| deviations(&utt, &config("utt", &[assignment]).prediction_settings().unwrap());
        assert_eq!(deviating("average_month=true"), ["average_month=false"]);
        assert_eq!(deviating("pad_value=1"), ["pad_value=0.0"]);
        let training =
            ["lr=1", "num_workers=3", "drop_utae_modality=0.5", "flair_bench.seed=1", "flair_bench.validation=random"];
        // The month of the metadata is all that fidelity changes here.
        for indifferent in training.into_iter().chain(["flair_bench.fidelity=corrected", "geo_enc_size=64"]) {
            assert_eq!(deviating(indifferent), [""; 0], "{indifferent}");
        }
        let with_metadata = config("unet-mtd-aug", &[]).prediction_settings().unwrap();
        let corrected = config("unet-mtd-aug", &["flair_bench.fidelity=corrected", "filter_clouds=true"]);
        assert_eq!(
            deviations(&corrected.prediction_settings().unwrap(), &with_metadata),
            ["flair_bench.fidelity=\"corrected\""]
        );
    }

    #[test]
    fn a_seed_draws_random_splits_only() {
        let keys = |validation: &str| {
            let config = config("unet", &[&format!("flair_bench.validation={validation}")]);
            config.split_settings().unwrap().into_keys().collect::<Vec<_>>()
        };
        assert_eq!(keys("hf"), ["flair_bench.validation"]);
        assert_eq!(keys("random"), ["flair_bench.seed", "flair_bench.validation"]);
    }
}
