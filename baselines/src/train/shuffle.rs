//! The order of an epoch's patches, and how they fall into batches.

use std::ops::Range;

use flair_scoring::PatchId;

use crate::random::Generator;

/// The patches in the order of epoch `epoch`: it follows from the seed and the epoch alone, so that a run which goes on
/// from a checkpoint meets the same order.
pub fn order(patches: &[PatchId], seed: u64, epoch: usize) -> Vec<PatchId> {
    let mut order = patches.to_vec();
    Generator::new(seed, &format!("order of epoch {epoch}")).shuffle(&mut order);
    order
}

/// How a training set is cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Patches of a batch.
    pub batch_size: usize,
    /// Batches of an epoch. An incomplete last one is left out, as upstream does (`src/datamodule.py`), whose batch
    /// norms would take it for as much as a whole one; of a set that is smaller than a batch, all is one batch.
    pub batches: usize,
    /// Batches of a step of the optimiser, but for the last of an epoch, which may have fewer.
    pub accumulate: usize,
}

impl Cut {
    /// Of that many patches.
    pub fn new(patches: usize, batch_size: usize, accumulate: usize) -> Self {
        let batch_size = batch_size.clamp(1, patches.max(1));
        Self { batch_size, batches: patches / batch_size, accumulate: accumulate.max(1) }
    }

    /// Steps of an epoch.
    pub fn steps(self) -> usize {
        self.batches.div_ceil(self.accumulate)
    }

    /// The places in the epoch's order that step `step` of it takes, counted from 0.
    pub fn places(self, step: usize) -> Range<usize> {
        let batch = |step: usize| (step * self.accumulate).min(self.batches);
        batch(step) * self.batch_size..batch(step + 1) * self.batch_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_an_order_of_its_own_and_the_same_again() {
        let patches: Vec<_> = (0..100).filter_map(PatchId::new).collect();
        let first = order(&patches, 1, 1);
        assert_eq!(order(&patches, 1, 1), first);
        for other in [order(&patches, 1, 2), order(&patches, 2, 1)] {
            assert_ne!(other, first);
            let sorted: std::collections::BTreeSet<_> = other.into_iter().collect();
            assert!(sorted.into_iter().eq(patches.iter().copied()));
        }
    }

    #[test]
    fn incomplete_batches_are_left_out_unless_there_is_no_other() {
        let places = |cut: Cut| (0..cut.steps()).map(|step| cut.places(step)).collect::<Vec<_>>();
        assert_eq!(places(Cut::new(11, 3, 2)), [0..6, 6..9]);
        assert_eq!(places(Cut::new(6, 3, 1)), [0..3, 3..6]);
        assert_eq!(places(Cut::new(2, 10, 4)).first(), Some(&(0..2)));
        assert_eq!(Cut::new(0, 10, 1).steps(), 0);
    }
}
