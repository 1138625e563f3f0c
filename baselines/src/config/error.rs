//! What can be wrong with settings.

use flair_scoring::finding::shown;

use super::{Config, PRESETS, Problem, assign::nearest_keys};

/// Why settings cannot be used. All of them are the user's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not a configuration; the message shows the place.
    #[error("{origin}{message}")]
    Syntax {
        /// Where the text comes from.
        origin: String,
        /// The place, what is wrong there, and the line.
        message: String,
    },
    /// Values are outside their ranges.
    #[error("{origin} has values that cannot be used:{}", list(problems))]
    Invalid {
        /// Where the values come from.
        origin: String,
        /// All of them.
        problems: Vec<Problem>,
    },
    /// No preset has that name.
    #[error("unknown preset `{name}`: expected one of {}", PRESETS.map(|(name, _)| name).join(", "))]
    UnknownPreset {
        /// What was asked for.
        name: String,
    },
    /// An assignment that is not of the form `key=value`.
    #[error("`{}` sets nothing: expected key=value, such as aerial_metadata=true", shown(text))]
    Assignment {
        /// The assignment.
        text: String,
    },
    /// No key has that name.
    #[error("unknown key `{}`: nearest are {}", shown(key), nearest.join(", "))]
    UnknownKey {
        /// The key that was to be set.
        key: String,
        /// The keys that resemble it most, the nearest first.
        nearest: Vec<String>,
    },
    /// A key that has no business beside weights.
    #[error("`{}` is no setting that travels with weights", shown(key))]
    Stray {
        /// The key.
        key: String,
    },
    /// A key that is missing beside weights.
    #[error("`{key}` is missing")]
    Lacking {
        /// The key.
        key: String,
    },
    /// A value of the wrong type.
    #[error("`{}` is no value of `{key}`: {reason}", shown(value))]
    Value {
        /// The key.
        key: String,
        /// The value, as it was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigError {
    /// The error of a text that cannot be read.
    pub(super) fn syntax(text: &str, origin: &str, error: &serde_saphyr::Error) -> Self {
        let full = error.without_snippet().to_string();
        let what = full.split(" at line ").next().unwrap_or(&full);
        // serde-saphyr's advice is for programmers.
        let what = what.split(", set DuplicateKeyPolicy").next().unwrap_or(what);
        let unknown = what.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let message = match (unknown, error.location()) {
            // The place that is told for a key that is not there means nothing.
            _ if what.starts_with("missing field") => format!(": {what}"),
            (_, None) => format!(": {what}"),
            (unknown, Some(place)) => {
                let (number, column) = (place.line(), place.column());
                // Of forty keys those that are meant say more than all.
                let what = match (unknown, Config::preset("utt")) {
                    (Some(key), Ok(known)) => {
                        format!("unknown key `{key}`: nearest are {}", nearest_keys(&known, key).join(", "))
                    }
                    _ => what.to_owned(),
                };
                let line =
                    usize::try_from(number).ok().and_then(|n| text.lines().nth(n.saturating_sub(1))).unwrap_or("");
                let indent = usize::try_from(column).unwrap_or(1).saturating_sub(1).min(line.len());
                format!(", line {number}, column {column}: {what}\n  {line}\n  {:indent$}^", "")
            }
        };
        Self::Syntax { origin: origin.to_owned(), message }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |list, problem| list + "\n  " + &problem.to_string())
}
