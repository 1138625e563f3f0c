//! What is wrong with somebody's files. Findings are data, all of them at once; an `Err` is for "could not look".
//!
//! A finding is made from its [`Kind`], and every kind stands in a registry that [`finding_codes!`](crate::finding_codes)
//! declares: [`Code`] here, the dataset's in the crate that reads datasets. So each has a stable code, a severity, a
//! meaning, a usual cause and a fix, and [`page`] makes `docs/findings.md` of them.

pub mod page;
pub(crate) mod remarks;
mod shown;

use serde::{Deserialize, Serialize};

pub use shown::shown;

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

/// What the registry says of a kind of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kind {
    /// Its stable word in kebab case, such as `missing-prediction`.
    pub code: &'static str,
    /// How much a finding of this kind weighs.
    pub severity: Severity,
    /// What it means: a clause, without a full stop.
    pub meaning: &'static str,
    /// How it usually comes about, in sentences.
    pub cause: &'static str,
    /// What to do about it, in sentences.
    pub fix: &'static str,
}

impl Kind {
    /// For [`finding_codes!`](crate::finding_codes): what is made elsewhere is in no registry.
    #[doc(hidden)]
    pub const fn new(
        code: &'static str,
        severity: Severity,
        meaning: &'static str,
        cause: &'static str,
        fix: &'static str,
    ) -> Self {
        Self { code, severity, meaning, cause, fix }
    }

    /// A finding of this kind.
    pub fn finding(&self, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        let (subject, message) = (subject.into(), message.into());
        Finding { severity: self.severity, code: self.code.to_owned(), subject, message }
    }
}

/// Declares a registry of findings: an enum, a variant a kind, in the order of a report (errors first).
///
/// ```
/// flair_scoring::finding_codes! {
///     /// What can be wrong with a tree.
///     pub enum TreeCode {
///         Fallen = "fallen", Error, "the tree lies on the ground",
///             cause: "A storm.",
///             fix: "Plant another one.";
///     }
/// }
/// let finding = TreeCode::Fallen.finding("oak 7", "it fell on the fence");
/// assert_eq!((finding.code.as_str(), TreeCode::KINDS.len()), ("fallen", 1));
/// ```
#[macro_export]
macro_rules! finding_codes {
    ($(#[$doc:meta])* $vis:vis enum $name:ident {
        $($variant:ident = $code:literal, $severity:ident, $meaning:literal, cause: $cause:literal, fix: $fix:literal;)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        $vis enum $name {
            $(#[doc = concat!("`", $code, "`: ", $meaning, ".")] $variant,)+
        }

        impl $name {
            /// All of them, in the order of a report.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// What the registry says of each, in the same order.
            pub const KINDS: &'static [$crate::finding::Kind] = &[$(
                $crate::finding::Kind::new($code, $crate::Severity::$severity, $meaning, $cause, $fix)
            ),+];

            /// What the registry says of it.
            pub const fn kind(self) -> &'static $crate::finding::Kind {
                &Self::KINDS[self as usize]
            }

            /// Its stable word.
            pub const fn code(self) -> &'static str {
                self.kind().code
            }

            /// A finding of this kind.
            pub fn finding(self, subject: impl Into<String>, message: impl Into<String>) -> $crate::Finding {
                self.kind().finding(subject, message)
            }
        }
    };
}

/// Number of findings of each severity: errors, warnings, notes.
pub fn tally(findings: &[Finding]) -> [usize; 3] {
    [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| findings.iter().filter(|finding| finding.severity == severity).count())
}

/// A number of things in words: `1 error`, `2 errors`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A message with `0` in the place of every number: what is the same of faults that differ in numbers alone.
pub fn without_numbers(message: &str) -> String {
    let mut kind = String::with_capacity(message.len());
    for c in message.chars() {
        match c {
            '0'..='9' if kind.ends_with('0') => {}
            '0'..='9' => kind.push('0'),
            _ => kind.push(c),
        }
    }
    kind
}

/// Keeps the first `most` findings; the number of those that went.
pub fn truncate(findings: &mut Vec<Finding>, most: usize) -> usize {
    let gone = findings.len().saturating_sub(most);
    findings.truncate(most);
    gone
}
