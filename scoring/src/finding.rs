//! What is wrong with somebody's files. Findings are data, all of them at once; an `Err` is for "could not look".

use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Likely a mistake, but the rules allow it.
    Warning,
    /// Against the rules: what carries it is not scored, not packaged, not sent.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// Its kind: a stable word in kebab case, such as `missing-prediction`. Scripts may rely on it.
    pub code: String,
    /// What it is about: a file, an archive's entry, a range of patches.
    pub subject: String,
    /// What is wrong, and what to do about it, in a sentence.
    pub message: String,
}

impl Finding {
    /// A finding that forbids what carries it.
    pub fn error(code: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, subject, message)
    }

    /// A finding that is likely a mistake.
    pub fn warning(code: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, subject, message)
    }

    /// A finding that is good to know.
    pub fn note(code: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, subject, message)
    }

    fn new(severity: Severity, code: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity, code: code.to_owned(), subject: subject.into(), message: message.into() }
    }
}
