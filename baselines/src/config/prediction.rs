//! The settings that decide what weights predict: they travel with the weights.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Config, ConfigError, INDIFFERENT_KEYS, Model};

/// Keys that are for training alone.
const TRAINING_KEYS: [&str; 6] =
    ["w_unet_utae", "use_augmentation", "weights_aerial_satellite", "num_epochs", "batch_size", "lr"];

/// The section of which model and fidelity decide what is predicted.
const OURS: &str = "flair_bench";

impl Config {
    /// All that a prediction depends on beside weights and data: keys as `--set` takes them, values as JSON.
    #[must_use]
    pub fn prediction_settings(&self) -> BTreeMap<String, String> {
        let bench = &self.flair_bench;
        let ours = [
            ("flair_bench.model", serde_json::to_value(bench.model)),
            ("flair_bench.fidelity", serde_json::to_value(bench.fidelity)),
        ];
        let mut settings: BTreeMap<_, _> =
            ours.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.ok()?.to_string()))).collect();
        if let Ok(Value::Object(all)) = serde_json::to_value(self) {
            let decides = |key: &str| key != OURS && !INDIFFERENT_KEYS.contains(&key) && !TRAINING_KEYS.contains(&key);
            settings.extend(all.into_iter().filter(|(key, _)| decides(key)).map(|(key, v)| (key, v.to_string())));
        }
        settings
    }

    /// A configuration that predicts as these settings say, and the name of the preset that it is nearest to. `origin`
    /// is what messages call them.
    ///
    /// # Errors
    /// As [`Config::set_all`] where a key is unknown or a value out of its range: they may come from a stranger's file.
    pub fn from_prediction_settings(
        settings: &BTreeMap<String, String>,
        origin: &str,
    ) -> Result<(&'static str, Self), ConfigError> {
        let assignments: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut config = Self::preset(Model::Utt.name())?;
        config.assign_all(&assignments, origin)?;
        // Presets are told apart by what they predict with; fidelity is in none of their names.
        let known = config.prediction_settings();
        let is_near = |preset: &Self| {
            let mut preset = preset.clone();
            preset.flair_bench.fidelity = config.flair_bench.fidelity;
            preset.prediction_settings() == known
        };
        let near = super::PRESETS.iter().find(|(name, _)| Self::preset(name).is_ok_and(|preset| is_near(&preset)));
        Ok((near.map_or_else(|| config.flair_bench.model.name(), |(name, _)| name), config))
    }
}

/// `key=value` for each of `settings` that `others` has not, or has another value of.
#[must_use]
pub fn deviations(settings: &BTreeMap<String, String>, others: &BTreeMap<String, String>) -> Vec<String> {
    let deviates = |(key, value): &(&String, &String)| others.get(*key) != Some(value);
    settings.iter().filter(deviates).map(|(key, value)| format!("{key}={value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fidelity, PRESETS};

    #[test]
    fn settings_make_the_configuration_again() {
        for (name, _) in PRESETS {
            let mut config = Config::preset(name).unwrap();
            config.set_all(&["sat_patch_size=48", "flair_bench.fidelity=corrected", "ref_date=06-01"]).unwrap();
            config.set("lr=0.5").unwrap();
            let settings = config.prediction_settings();
            let (near, again) = Config::from_prediction_settings(&settings, "the test").unwrap();
            assert_eq!(again.prediction_settings(), settings);
            assert_eq!((near, again.flair_bench.fidelity), (again.flair_bench.model.name(), Fidelity::Corrected));
            // What training alone depends on is the preset's.
            assert!((again.lr - 0.001).abs() < 1e-12);
        }
    }

    #[test]
    fn the_nearest_preset_is_found() {
        for (name, _) in PRESETS {
            let mut config = Config::preset(name).unwrap();
            config.set("flair_bench.fidelity=corrected").unwrap();
            let (near, _) = Config::from_prediction_settings(&config.prediction_settings(), "the test").unwrap();
            assert_eq!(near, name);
        }
    }

    #[test]
    fn a_strangers_settings_are_checked() {
        let error = |key: &str, value: &str| {
            let settings = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            Config::from_prediction_settings(&settings, "`x.safetensors`").unwrap_err().to_string()
        };
        insta::assert_snapshot!(error("sat_patch_size", "41"), @"
        `x.safetensors` has values that cannot be used:
          `sat_patch_size` is 41: expected 8 to 112, a multiple of 8
        ");
        insta::assert_snapshot!(error("sat_patch_sise", "40"), @"unknown key `sat_patch_sise`: nearest are sat_patch_size");
        insta::assert_snapshot!(error("average_month", "[[["), @"`[[[` is no value of `average_month`: unclosed bracket '[' at line 1, column 3");
    }

    #[test]
    fn deviations_are_what_set_takes() {
        let mut config = Config::preset("utt").unwrap();
        let before = config.prediction_settings();
        config.set_all(&["average_month=true", "lr=1", "num_workers=3"]).unwrap();
        assert_eq!(deviations(&before, &config.prediction_settings()), ["average_month=false"]);
        assert_eq!(deviations(&config.prediction_settings(), &before), ["average_month=true"]);
    }
}
