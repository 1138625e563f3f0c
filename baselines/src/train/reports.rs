//! What the ranks of a training tell each other of a step and of a validation.

use flair_scoring::PatchId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::ranks::{Ranks, RanksError};

/// Every rank's value, in the order of the ranks.
pub(super) fn gather<T: Serialize + DeserializeOwned>(ranks: &Ranks, own: T) -> Result<Vec<T>, RanksError> {
    if ranks.is_alone() {
        return Ok(vec![own]);
    }
    let all = ranks.gather(serde_json::to_vec(&own).map_err(broken(ranks))?)?;
    all.iter().map(|bytes| serde_json::from_slice(bytes).map_err(broken(ranks))).collect()
}

/// Rank 0's value for all.
pub(super) fn broadcast<T: Serialize + DeserializeOwned>(ranks: &Ranks, own: &T) -> Result<T, RanksError> {
    let bytes = ranks.broadcast(serde_json::to_vec(own).map_err(broken(ranks))?)?;
    serde_json::from_slice(&bytes).map_err(broken(ranks))
}

fn broken(ranks: &Ranks) -> impl Fn(serde_json::Error) -> RanksError {
    let rank = ranks.rank();
    move |error| RanksError::Broken { rank, why: error.to_string() }
}

/// Loss values that keep their bits in JSON, also where they are no numbers.
pub(super) fn bits(values: impl IntoIterator<Item = f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

/// What a rank tells of a step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StepReport {
    /// The bits of its batches' losses.
    losses: Vec<u64>,
    /// The patches of each batch.
    ids: Vec<Vec<u32>>,
    /// Whether it was asked to stop.
    is_last: bool,
}

impl StepReport {
    pub(super) fn new(losses: &[f64], ids: &[Vec<PatchId>], is_last: bool) -> Self {
        let ids = ids.iter().map(|batch| batch.iter().map(|id| id.number()).collect()).collect();
        Self { losses: bits(losses.iter().copied()), ids, is_last }
    }

    pub(super) fn losses(&self) -> impl Iterator<Item = f64> {
        self.losses.iter().copied().map(f64::from_bits)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PatchId> {
        self.ids.iter().flatten().copied().filter_map(PatchId::new)
    }

    /// The patches of the first batch whose loss is not finite.
    pub(super) fn not_finite(&self) -> Option<Vec<PatchId>> {
        let batch = self.losses().position(|loss| !loss.is_finite())?;
        Some(self.ids.get(batch)?.iter().copied().filter_map(PatchId::new).collect())
    }

    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }
}

/// What a rank counted in its part of a validation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PartOfValidation {
    /// The bits of its batches' losses.
    pub(super) losses: Vec<u64>,
    /// Its confusion matrix, row by row.
    pub(super) counts: Vec<u64>,
    /// Whether it was finished.
    pub(super) is_whole: bool,
}
