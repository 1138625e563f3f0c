//! Reads configurations: files in upstream's format, and the presets.

use flair_scoring::text::is_unsafe;

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
    let what = &excerpt(what, 0).0;
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
            let (excerpt, indent) = excerpt(line, usize::try_from(column).unwrap_or(1).saturating_sub(1));
            format!(", line {number}, column {column}: {what}\n  {excerpt}\n  {}^", " ".repeat(indent))
        }
    };
    ConfigError::Syntax { origin: origin.to_owned(), message }
}

/// Maximum number of characters shown of a line, or of a problem.
const SHOWN: usize = 400;

/// The characters of a text around one of them, safe to show, and the index of that one among them.
fn excerpt(text: &str, at: usize) -> (String, usize) {
    let count = text.chars().count();
    let at = at.min(count);
    let start = if count > SHOWN { at.saturating_sub(SHOWN / 2) } else { 0 };
    let mut shown = String::from(if start > 0 { "…" } else { "" });
    // One character for one, so that the mark below points to the right one.
    let safe = |c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c };
    shown.extend(text.chars().skip(start).take(SHOWN).map(safe));
    if count > start + SHOWN {
        shown.push('…');
    }
    (shown, at - start + usize::from(start > 0))
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

    #[test]
    fn the_mark_is_below_its_character() {
        assert_eq!(excerpt("a: b", 3), ("a: b".to_owned(), 3));
        assert_eq!(excerpt("\u{1b}é", 9), ("\u{fffd}é".to_owned(), 2));
        let (shown, at) = excerpt(&format!("{}!{}", "x".repeat(70_000), "y".repeat(70_000)), 70_000);
        assert_eq!((shown.chars().nth(at), shown.chars().count()), (Some('!'), SHOWN + 2));
    }
}
