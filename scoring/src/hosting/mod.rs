//! Challenges on hosting platforms: a scoring program by their conventions, and the bundles that set a challenge up.
//!
//! What the platforms do was read from their sources: Codabench (codalab/codabench, `compute_worker.py` and
//! `src/apps/competitions/unpackers/v2.py`), CodaLab 1.5 (codalab/codalab-competitions,
//! `codalab/apps/web/models.py` and `tasks.py`; codalab/competitions-v1-compute-worker, `worker.py`) and `EvalAI`
//! (Cloud-CV/EvalAI, `scripts/workers/submission_worker.py`).

pub mod bundle;
pub mod challenge;
mod codes;
pub mod evalai;
pub mod input;
pub mod leaderboard;
pub mod page;
mod rules;
pub mod schema;
pub mod times;
mod zip;

pub use bundle::{BundleError, Made, Plan, make};
pub use challenge::{Challenge, ChallengeError, Phase};
pub use codes::HostingCode;
pub use input::{Input, InputError};
pub use leaderboard::{Column, Scores, columns};
pub use times::Declared;

use std::fmt;

/// A platform that challenges are hosted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Codabench: `competition.yaml` of version 2.
    Codabench,
    /// CodaLab 1.5.
    Codalab,
}

impl Platform {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Codabench, Self::Codalab];

    /// Its name in lower case, as files are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Codabench => "codabench",
            Self::Codalab => "codalab",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Codabench => "Codabench",
            Self::Codalab => "CodaLab 1.5",
        })
    }
}
