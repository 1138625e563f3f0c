//! Reads configurations: files in upstream's format, and the presets.

use flair_scoring::yaml::{self, YamlError};

use super::{Config, ConfigError, assign::nearest_keys, presets::PRESETS};

impl Config {
    /// Reads a configuration in upstream's format. `origin` is its name in messages, such as its path.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] with the location where the text is not YAML, has an unknown or missing key, or a value
    /// of the wrong type; [`ConfigError::Invalid`] with all values that are out of their range.
    pub fn from_yaml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let config: Self = yaml::from_str(text).map_err(|error| syntax(origin, error))?;
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
fn syntax(origin: &str, error: YamlError) -> ConfigError {
    let YamlError { problem, location } = &error;
    let unknown = problem.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    // The nearest keys help more than a list of all forty.
    let problem = match (unknown, Config::preset("utt")) {
        (Some(key), Ok(known)) => {
            format!("unknown key `{key}`: nearest are {}", nearest_keys(&known, key).join(", "))
        }
        _ => problem.clone(),
    };
    let before = if location.is_some() { ", " } else { ": " };
    let message = format!("{before}{}", YamlError { problem, ..error });
    ConfigError::Syntax { origin: origin.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_a_long_line_is_shown_in_part() {
        // Formatting cannot pad by more than 65,535 columns.
        let text = format!("batch_size: [{}", "1, ".repeat(300_000));
        let message = Config::from_yaml(&text, "long.yml").unwrap_err().to_string();
        assert!(message.len() < 2000 && message.ends_with('^'), "{} bytes", message.len());
        let key = "k".repeat(1_000_000);
        let message = Config::from_yaml(&format!("{key}: 1"), "long.yml").unwrap_err().to_string();
        assert!(message.len() < 3000, "{} bytes", message.len());
        let wide = format!("paths: {{{}unknown: 1}}", " ".repeat(70_000));
        let message = Config::from_yaml(&wide, "wide.yml").unwrap_err().to_string();
        assert!(message.len() < 2000 && message.contains("unknown"), "{message:.2000}");
    }
}
