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
