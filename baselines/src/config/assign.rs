//! `--set key=value`: overrides one setting, named as in the configuration file.

use flair_scoring::yaml;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strsim::levenshtein;

use super::{Config, ConfigError};

/// Longest prefix of an unknown key that is compared with the known ones, in characters; every known key is shorter.
const MAX_KEY: usize = 100;

/// A configuration as a tree. `serde_json::Value` will not do: its maps lose the order of the class weights.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Node {
    Section(IndexMap<String, Node>),
    Leaf(Value),
}

impl Config {
    /// Sets one key: `aerial_metadata=true`, `data.path_aerial_train=D:/flair`, `weights_aerial_satellite.water=[1,1]`.
    /// The value is YAML; strings need no quotes.
    ///
    /// # Errors
    /// As [`Config::set_all`]. Use that for keys that must change together.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        self.set_all(&[assignment])
    }

    /// Sets several keys, then checks the ranges of all values. On an error the configuration is unchanged.
    ///
    /// # Errors
    /// If an assignment has no `=`, a key is unknown (the message suggests similar ones), a value has the wrong type,
    /// or a value is out of range.
    pub fn set_all(&mut self, assignments: &[impl AsRef<str>]) -> Result<(), ConfigError> {
        self.assign_all(assignments, "the configuration with `--set`")
    }

    /// As [`Config::set_all`]; `origin` names the resulting configuration in messages.
    pub(super) fn assign_all(&mut self, assignments: &[impl AsRef<str>], origin: &str) -> Result<(), ConfigError> {
        let mut changed = self.clone();
        for assignment in assignments {
            let text = assignment.as_ref();
            let (key, value) = text.split_once('=').ok_or_else(|| ConfigError::Assignment { text: text.to_owned() })?;
            changed = changed.with(key.trim(), value.trim())?;
        }
        changed.check(origin)?;
        *self = changed;
        Ok(())
    }

    fn with(&self, key: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = |reason: String| ConfigError::Value { key: key.to_owned(), value: text.to_owned(), reason };
        // serde_json appends a position in JSON that the user never sees.
        let wrong_type = |error: serde_json::Error| {
            let reason = error.to_string();
            wrong(reason.split_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason).to_owned())
        };
        let mut tree = Node::of(self).map_err(wrong_type)?;
        let Some(node) = tree.find(key) else {
            return Err(ConfigError::UnknownKey { key: key.to_owned(), nearest: tree.nearest(key) });
        };
        let value = if text.is_empty() {
            Node::Leaf(Value::Null)
        } else {
            yaml::from_str(text).map_err(|error| wrong(error.problem))?
        };
        *node = match (&*node, value) {
            // An unquoted string may parse as a number, a date or null.
            (Node::Leaf(Value::String(_)), Node::Leaf(value)) if !value.is_string() => {
                Node::Leaf(Value::String(text.to_owned()))
            }
            // `flair_bench.optimizer=adamw` is short for `{name: adamw}`.
            (Node::Section(entries), Node::Leaf(name @ Value::String(_))) if entries.contains_key("name") => {
                Node::Section(IndexMap::from([("name".to_owned(), Node::Leaf(name))]))
            }
            (_, value) => value,
        };
        let json = serde_json::to_string(&tree).map_err(wrong_type)?;
        serde_json::from_str(&json).map_err(wrong_type)
    }
}

impl Node {
    fn of(config: &Config) -> serde_json::Result<Self> {
        serde_json::from_str(&serde_json::to_string(config)?)
    }

    /// The node at `key`: `name` or `section.name`.
    fn find(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Section(entries) = self else { return None };
        if entries.contains_key(key) {
            return entries.get_mut(key);
        }
        let (section, rest) = key.split_once('.')?;
        entries.get_mut(section)?.find(rest)
    }

    /// The known keys most similar to `key`, at most three.
    fn nearest(&self, key: &str) -> Vec<String> {
        // The time of a comparison grows with the product of both lengths.
        let key = &key.chars().take(MAX_KEY).collect::<String>();
        let mut known = Vec::new();
        self.keys("", &mut known);
        // Users forget the section, or the end of a name.
        let distance = |known: &str| {
            let name = known.rsplit_once('.').map_or(known, |(_, name)| name);
            if known.contains(key) { 0 } else { levenshtein(key, known).min(levenshtein(key, name)) }
        };
        known.sort_by_cached_key(|known| distance(known));
        let least = known.first().map_or(0, |best| distance(best));
        known.into_iter().take_while(|known| distance(known) <= least + 2).take(3).collect()
    }

    fn keys(&self, prefix: &str, into: &mut Vec<String>) {
        let Self::Section(entries) = self else { return };
        for (name, entry) in entries {
            let key = format!("{prefix}{name}");
            match entry {
                Self::Section(_) => entry.keys(&format!("{key}."), into),
                Self::Leaf(_) => into.push(key),
            }
        }
    }
}

/// The keys most similar to `key`, at most three, the nearest first.
pub(super) fn nearest_keys(config: &Config, key: &str) -> Vec<String> {
    Node::of(config).map(|tree| tree.nearest(key)).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;
    use flair_scoring::CLASSES;

    use crate::{config::PRESETS, data::Fidelity, nn::Padding};

    fn utt() -> Config {
        Config::preset("utt").unwrap()
    }

    fn set(assignment: &str) -> Config {
        let mut config = utt();
        config.set(assignment).unwrap();
        config
    }

    fn error(assignments: &[&str]) -> String {
        let mut config = utt();
        let message = config.set_all(assignments).unwrap_err().to_string();
        assert_eq!(config, utt(), "an error sets nothing");
        message
    }

    #[test]
    fn keys_of_all_kinds_are_set() {
        assert!(set("aerial_metadata=true").aerial_metadata);
        assert!(set("aerial_metadata = True").aerial_metadata);
        assert_eq!(set("lr=1e-2").lr, 1e-2);
        assert_eq!(set("lr=1").lr, 1.0);
        assert_eq!(set("data.path_aerial_train=/data/a=b").data.path_aerial_train, "/data/a=b");
        assert_eq!(set("data.path_aerial_train=").data.path_aerial_train, "");
        assert_eq!(set("out_model_name=2023").out_model_name, "2023");
        assert_eq!(set("out_model_name='2023'").out_model_name, "2023");
        assert_eq!(set("strategy=ddp").strategy.as_deref(), Some("ddp"));
        assert_eq!(set("ref_date=06-30").ref_date.to_string(), "06-30");
        assert_eq!(set("padding_mode=zeros").padding_mode, Padding::Zeros);
        assert_eq!(
            set("flair_bench.schedule=cosine").flair_bench.schedule,
            set("flair_bench.schedule={name: cosine}").flair_bench.schedule
        );
        assert_eq!(set("flair_bench.fidelity=corrected").flair_bench.fidelity, Fidelity::Corrected);
        assert_eq!(set("flair_bench.seed=18446744073709551615").flair_bench.seed, u64::MAX);
    }

    #[test]
    fn class_weights_stay_in_class_order() {
        let config = set("weights_aerial_satellite.pervious surface=[2, 0.5]");
        assert_eq!(config.weights_aerial_satellite["pervious surface"], [2.0, 0.5]);
        assert!(config.weights_aerial_satellite.keys().eq(utt().weights_aerial_satellite.keys()));
        // Upstream's spelling is accepted; another order is not, since it would weight other classes.
        let names = CLASSES.map(|class| if class.name.starts_with("agri") { "agricutural land" } else { class.name });
        let listed = |names: &[&str]| {
            let entries: Vec<_> = names.iter().map(|name| format!("{name}: [1, 0]")).collect();
            format!("weights_aerial_satellite={{{}}}", entries.join(", "))
        };
        assert_eq!(set(&listed(&names)).weights_aerial_satellite[12], [1.0, 0.0]);
        let mut swapped = names;
        swapped.swap(3, 4);
        let text = error(&[&listed(&swapped)]);
        assert!(text.contains("water") && text.contains("expected the class `bare soil` at this position"), "{text}");
    }

    #[test]
    fn ranges_are_checked_when_all_is_set() {
        insta::assert_snapshot!(error(&["encoder_widths=[32,64,128,128]"]), @"
        the configuration with `--set` has values that cannot be used:
          `decoder_widths` is [64, 64, 128, 128]: expected as many widths as `encoder_widths`, [32, 64, 128, 128], with the same first and last
        ");
        let mut config = utt();
        config.set_all(&["encoder_widths=[32,64,128,128]", "decoder_widths=[32,64,128,128]"]).unwrap();
        assert_eq!(config.decoder_widths, [32, 64, 128, 128]);
    }

    #[test]
    fn mistakes_name_key_and_value() {
        insta::assert_snapshot!(error(&["aerial_metadta=true"]), @"unknown key `aerial_metadta`: nearest are aerial_metadata");
        insta::assert_snapshot!(error(&["fidelity=corrected"]), @"unknown key `fidelity`: nearest are flair_bench.fidelity");
        insta::assert_snapshot!(error(&["data.path=x"]), @"unknown key `data.path`: nearest are data.path_aerial_train, data.path_sen_train, data.path_labels_train");
        insta::assert_snapshot!(error(&["aerial_metadata"]), @"`aerial_metadata` sets nothing: expected key=value, such as aerial_metadata=true");
        insta::assert_snapshot!(error(&["aerial_metadata=maybe"]), @r#"`maybe` is not a valid value of `aerial_metadata`: invalid type: string "maybe", expected a boolean"#);
        insta::assert_snapshot!(error(&["agg_mode=max"]), @"`max` is not a valid value of `agg_mode`: unknown variant `max`, expected one of `att_group`, `att_mean`, `mean`");
        insta::assert_snapshot!(error(&["sat_patch_size=-8"]), @"`-8` is not a valid value of `sat_patch_size`: invalid value: integer `-8`, expected usize");
        insta::assert_snapshot!(error(&["weights_aerial_satellite.water=[1]"]), @"`[1]` is not a valid value of `weights_aerial_satellite.water`: invalid length 1, expected an array of length 2");
        insta::assert_snapshot!(error(&["encoder_widths=[64,"]), @"`[64,` is not a valid value of `encoder_widths`: unclosed bracket '['");
        insta::assert_snapshot!(error(&["ref_date=02-30"]), @"`02-30` is not a valid value of `ref_date`: `02-30` is not a month and a day: expected MM-DD, such as 05-15");
        insta::assert_snapshot!(error(&["data={path: x}"]), @"`{path: x}` is not a valid value of `data`: unknown field `path`, expected one of `path_aerial_train`, `path_sen_train`, `path_labels_train`, `path_aerial_test`, `path_sen_test`, `path_labels_test`, `path_sp_centroids`, `path_metadata_aerial`");
    }

    #[test]
    fn setting_a_key_to_its_own_value_changes_nothing() {
        for (name, _) in PRESETS {
            let mut config = Config::preset(name).unwrap();
            let Node::Section(entries) = Node::of(&config).unwrap() else { panic!("no section") };
            for (key, value) in entries {
                config.set(&format!("{key}={}", serde_json::to_string(&value).unwrap())).unwrap();
            }
            assert_eq!(config, Config::preset(name).unwrap());
        }
    }
}
