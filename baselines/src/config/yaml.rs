//! Reads configurations: files in upstream's format, and the presets.

use super::{Config, ConfigError, assign::nearest_keys, presets::PRESETS};

impl Config {
    /// Reads a configuration in upstream's format. `origin` is its name in messages, such as its path.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] with the location where the text is not YAML, has an unknown or missing key, or a value
    /// of the wrong type; [`ConfigError::Invalid`] with all values that are out of their range.
    pub fn from_yaml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_saphyr::from_str(text).map_err(|error| syntax(text, origin, &error))?;
        config.check(origin)?;
        Ok(config)
    }

    /// One of [`PRESETS`] by its name.
    ///
    /// # Errors
    /// [`ConfigError::UnknownPreset`] if no preset has that name.
    pub fn preset(name: &str) -> Result<Self, ConfigError> {
        match PRESETS.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Self::from_yaml(text, &format!("the preset `{name}`")),
            None => Err(ConfigError::UnknownPreset { name: name.to_owned() }),
        }
    }
}

/// The error of a text that is not a configuration.
fn syntax(text: &str, origin: &str, error: &serde_saphyr::Error) -> ConfigError {
    let full = error.without_snippet().to_string();
    let what = full.split(" at line ").next().unwrap_or(&full);
    // serde-saphyr's advice is for programmers.
    let what = what.split(", set DuplicateKeyPolicy").next().unwrap_or(what);
    let unknown = what.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    let message = match (unknown, error.location()) {
        // The location reported for a missing key is meaningless.
        _ if what.starts_with("missing field") => format!(": {what}"),
        (_, None) => format!(": {what}"),
        (unknown, Some(location)) => {
            let (number, column) = (location.line(), location.column());
            // The nearest keys help more than a list of all forty.
            let what = match (unknown, Config::preset("utt")) {
                (Some(key), Ok(known)) => {
                    format!("unknown key `{key}`: nearest are {}", nearest_keys(&known, key).join(", "))
                }
                _ => what.to_owned(),
            };
            let line = usize::try_from(number).ok().and_then(|n| text.lines().nth(n.saturating_sub(1))).unwrap_or("");
            let indent = usize::try_from(column).unwrap_or(1).saturating_sub(1).min(line.len());
            format!(", line {number}, column {column}: {what}\n  {line}\n  {:indent$}^", "")
        }
    };
    ConfigError::Syntax { origin: origin.to_owned(), message }
}
