//! Whether upstream's quirks are reproduced.

use serde::{Deserialize, Serialize};

/// Whether upstream's quirks that change results are reproduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// As upstream's code computes; published weights were trained this way.
    Upstream,
    /// As upstream intended.
    Corrected,
}
