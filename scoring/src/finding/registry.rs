//! Registries of findings: each kind has a stable code, a severity, a meaning, a cause and a fix.

use super::severity::{Finding, Severity};

/// A registered kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kind {
    /// Its stable code in kebab case, such as `missing-prediction`.
    pub code: &'static str,
    /// The severity of findings of this kind.
    pub severity: Severity,
    /// Its meaning: a clause, without a full stop.
    pub meaning: &'static str,
    /// Its usual cause, in sentences.
    pub cause: &'static str,
    /// How to fix it, in sentences.
    pub fix: &'static str,
}

impl Kind {
    /// Only for [`finding_codes!`](crate::finding_codes): a kind created elsewhere belongs to no registry.
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

    /// Creates a finding of this kind.
    pub fn finding(&self, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        let (subject, message) = (subject.into(), message.into());
        Finding { severity: self.severity, code: self.code.to_owned(), subject, message }
    }
}

/// A registry of findings: an enum that [`finding_codes!`](crate::finding_codes) declares.
pub trait Registry: Copy + Ord {
    /// The registered kind of this variant.
    fn kind(self) -> &'static Kind;
}

/// Declares a registry of findings: an enum with one variant per kind, in report order (errors first).
///
/// ```
/// flair_scoring::finding_codes! {
///     /// Problems of a tree.
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
            /// All variants, in report order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The kind of each variant, in the same order.
            pub const KINDS: &'static [$crate::finding::Kind] = &[$(
                $crate::finding::Kind::new($code, $crate::Severity::$severity, $meaning, $cause, $fix)
            ),+];

            /// The registered kind of this variant.
            pub const fn kind(self) -> &'static $crate::finding::Kind {
                &Self::KINDS[self as usize]
            }

            /// Its stable code.
            pub const fn code(self) -> &'static str {
                self.kind().code
            }

            /// Creates a finding of this kind.
            pub fn finding(self, subject: impl Into<String>, message: impl Into<String>) -> $crate::Finding {
                self.kind().finding(subject, message)
            }
        }

        impl $crate::finding::Registry for $name {
            fn kind(self) -> &'static $crate::finding::Kind {
                // The constant function of the same name.
                Self::kind(self)
            }
        }
    };
}
