//! Options of a check.

use crate::{protocol::Protocol, raster::Limits, timing};

/// Options of a check.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Limits on the size of a prediction file.
    pub limits: Limits,
    /// The classes that a prediction may hold.
    pub protocol: Protocol,
    /// Maximum declared time, as a multiple of the baseline's time.
    pub factor: f64,
}

impl Default for CheckOptions {
    /// 16 MiB per file and 16 Mi samples: 60 times a prediction, so that files with scores of 13 classes are still read
    /// and get a specific finding. Classes and times are the challenge's.
    fn default() -> Self {
        Self {
            limits: Limits { file_bytes: 16 << 20, samples: 16 << 20 },
            protocol: Protocol::flair2(),
            factor: timing::Limits::default().factor,
        }
    }
}
