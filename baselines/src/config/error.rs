//! Errors in configurations.

use flair_scoring::text::shown;

use super::presets::PRESETS;

/// A value out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}: expected {expected}")]
pub struct Problem {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// The allowed values.
    pub expected: String,
}

/// Errors in configurations. The user can fix all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not a configuration; the message shows the location.
    #[error("{origin}{message}")]
    Syntax {
        /// Origin of the text.
        origin: String,
        /// Location, problem, and the line.
        message: String,
    },
    /// Values are outside their ranges.
    #[error("{origin} has values that cannot be used:{}", list(problems))]
    Invalid {
        /// Origin of the values.
        origin: String,
        /// All of them.
        problems: Vec<Problem>,
    },
    /// No preset has that name.
    #[error("unknown preset `{name}`: expected one of {}", PRESETS.map(|(name, _)| name).join(", "))]
    UnknownPreset {
        /// The requested name.
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
    #[error("`{}` is not a setting that is saved with weights", shown(key))]
    Stray {
        /// The key.
        key: String,
    },
    /// A key is missing in the settings saved with weights.
    #[error("`{key}` is missing")]
    Lacking {
        /// The key.
        key: String,
    },
    /// The configuration cannot be represented as JSON: a fault of flair-bench.
    #[error("the configuration cannot be written as JSON: {0}")]
    Unwritable(String),
    /// A value of the wrong type.
    #[error("`{}` is not a valid value of `{key}`: {reason}", shown(value))]
    Value {
        /// The key.
        key: String,
        /// The value, as it was given.
        value: String,
        /// Why it is invalid.
        reason: String,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |list, problem| list + "\n  " + &problem.to_string())
}
