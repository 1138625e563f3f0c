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
mod names;
pub mod page;
mod platform;
mod rules;
pub mod schema;
pub mod times;
mod zip;

pub use bundle::{BundleError, Made, Plan, bundle_path, make};
pub use challenge::{Challenge, ChallengeError, Phase};
pub use codes::HostingCode;
pub use input::{Input, InputError};
pub use leaderboard::{Column, Scores, columns};
pub use platform::Platform;
pub use times::Declared;
