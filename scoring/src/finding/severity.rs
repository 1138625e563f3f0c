//! What was found, and how much it weighs.

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

impl Severity {
    /// Its word: `note`, `warning`, `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was found. Made by [`Kind::finding`] alone, so that each has a registered code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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
    /// The same finding with another severity, where the rules at hand weigh it otherwise.
    #[must_use]
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// Number of findings of each severity: errors, warnings, notes.
pub fn tally(findings: &[Finding]) -> [usize; 3] {
    [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| findings.iter().filter(|finding| finding.severity == severity).count())
}

/// Keeps the first `most` findings; the number of those that went.
pub fn truncate(findings: &mut Vec<Finding>, most: usize) -> usize {
    let gone = findings.len().saturating_sub(most);
    findings.truncate(most);
    gone
}
