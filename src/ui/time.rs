//! The challenge's two rules on time, in words.

use flair_scoring::timing::{Hms, Outcome, Verdict};

/// What one rule says; `unjudged` where it says nothing.
pub(crate) fn rule(outcome: Outcome, unjudged: &str) -> String {
    match outcome {
        Outcome::Pass { used, limit } => format!("within: {} of {}", Hms(used), Hms(limit)),
        Outcome::Fail { used, limit } => format!("TOO LONG: {} of {}", Hms(used), Hms(limit)),
        Outcome::NotJudged => unjudged.to_owned(),
    }
}

/// Both rules on one line.
pub(crate) fn rules(verdict: &Verdict) -> String {
    let unjudged = "not judged";
    format!("absolute {}; relative {}", rule(verdict.absolute, unjudged), rule(verdict.relative, unjudged))
}
