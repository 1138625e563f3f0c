//! Options of a check.

use crate::{protocol::Protocol, raster::Limits, timing};

/// Options of a check.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Limits on each file, the same as in scoring.
    pub limits: Limits,
    /// The classes that a prediction may hold.
    pub protocol: Protocol,
    /// Maximum declared time, as a multiple of the baseline's time.
    pub factor: f64,
}

impl Default for CheckOptions {
    /// Classes and times are the challenge's.
    fn default() -> Self {
        Self { limits: Limits::default(), protocol: Protocol::flair2(), factor: timing::Limits::default().factor }
    }
}

/// Whether a check computes the digests of the predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digests {
    /// No digests.
    None,
    /// The SHA-256 of each prediction, in hex.
    Sha256,
}

/// What to do with predictions that look like a usual mistake, see
/// [`CheckReport::is_doubtful`](super::CheckReport::is_doubtful).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doubtful {
    /// They are refused.
    #[default]
    Refuse,
    /// They are taken as they are.
    Accept,
}
