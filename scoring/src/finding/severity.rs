//! Findings and their severities.

use serde::{Deserialize, Serialize};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Information.
    Note,
    /// Probably a mistake, but allowed by the rules.
    Warning,
    /// A violation of the rules: a submission with an error is not scored, packaged or sent.
    Error,
}

impl Severity {
    /// Its name: `note`, `warning`, `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One problem in a user's files. Only [`Kind::finding`](super::Kind::finding) creates it, so its code is always
/// registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// The code of its kind: stable, in kebab case, such as `missing-prediction`. Scripts may rely on it.
    pub code: String,
    /// The affected object: a file, an archive entry, a range of patches.
    pub subject: String,
    /// The problem and its fix, in one sentence.
    pub message: String,
}

impl Finding {
    /// The same finding with another severity, for a context whose rules rate it differently.
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

/// Keeps the first `most` findings and returns the number of removed ones.
pub fn truncate(findings: &mut Vec<Finding>, most: usize) -> usize {
    let removed = findings.len().saturating_sub(most);
    findings.truncate(most);
    removed
}
