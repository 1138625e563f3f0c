//! What an entry was scored on.

use flair_scoring::{ScoreReport, files::sha256_of};
use serde::{Deserialize, Serialize};

/// The patches and masks of a score. Digests identify them: scores can be compared only if these are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestSet {
    /// Number of patches.
    pub patches: u64,
    /// Digest of their IDs, see `flair_scoring::dataset::patch_set`.
    pub ids: String,
    /// Digest of the IDs and of the number of mask pixels of each class, by the score's protocol: two synthetic datasets
    /// have the same IDs, and other masks.
    pub masks: String,
}

impl TestSet {
    /// The test set of a score; `None` if the record does not name its patches.
    pub fn of(score: &ScoreReport) -> Option<Self> {
        let ids = score.patch_set.clone()?;
        let pixels: Vec<_> = score.classes.iter().map(|class| class.scores.support.to_string()).collect();
        let masks = sha256_of(format!("{ids}\n{}", pixels.join(" ")).as_bytes());
        Some(Self { patches: score.patches, ids, masks })
    }
}
