//! Whether upstream's quirks are kept.

use serde::{Deserialize, Serialize};

/// Whether upstream's quirks are kept where they move numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// As upstream computes: what published weights were trained with.
    Upstream,
    /// As upstream meant.
    Corrected,
}
