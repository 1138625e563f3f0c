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

/// Whether a check computes the digests of the predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digests {
    /// No digests.
    None,
    /// The SHA-256 of each prediction, in hex.
    Sha256,
}

/// What packing does with predictions that look like a usual mistake, see
/// [`CheckReport::is_doubtful`](super::CheckReport::is_doubtful).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doubtful {
    /// They are not packed.
    #[default]
    Refuse,
    /// They are packed as they are.
    Pack,
}
