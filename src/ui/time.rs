//! The challenge's two time rules, as text.

use flair_scoring::timing::{Hms, Outcome, Verdict};

/// The outcome of one rule; `unjudged` if it was not judged.
pub(crate) fn rule(outcome: Outcome, unjudged: &str) -> String {
    match outcome {
        // Rounded up, so that a time over a limit never reads as the limit.
        Outcome::Pass { used, limit } => format!("within: {} of {}", Hms(used.ceil()), Hms(limit)),
        Outcome::Fail { used, limit } => format!("TOO LONG: {} of {}", Hms(used.ceil()), Hms(limit)),
        Outcome::NotJudged => unjudged.to_owned(),
    }
}

/// Both rules on one line.
pub(crate) fn rules(verdict: &Verdict) -> String {
    let unjudged = "not judged";
    format!("absolute {}; relative {}", rule(verdict.absolute, unjudged), rule(verdict.relative, unjudged))
}
