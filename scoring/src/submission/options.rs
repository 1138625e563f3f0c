//! How a submission is checked.

use crate::{protocol::Protocol, raster::Limits, timing};

/// How a check is done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckOptions {
    /// What a prediction's file may ask for.
    pub limits: Limits,
    /// The classes that a prediction may hold.
    pub protocol: Protocol,
    /// How many times the baseline's time an archive's name may declare.
    pub factor: f64,
}

impl Default for CheckOptions {
    /// 16 MiB a file, and as many samples: 60 times a prediction, so that the scores of 13 classes are told from damage.
    /// Classes and times are the challenge's.
    fn default() -> Self {
        Self {
            limits: Limits { file_bytes: 16 << 20, samples: 16 << 20 },
            protocol: Protocol::flair2(),
            factor: timing::Limits::default().factor,
        }
    }
}
