//! The order of an epoch's patches, and their division into batches.

use std::ops::Range;

use flair_scoring::PatchId;

use crate::random::Generator;

/// The patches in the order of epoch `epoch`. The order depends on the seed and the epoch only, so a resumed run
/// repeats it.
pub fn order(patches: &[PatchId], seed: u64, epoch: usize) -> Vec<PatchId> {
    let mut order = patches.to_vec();
    Generator::new(seed, &format!("order of epoch {epoch}")).shuffle(&mut order);
    order
}

/// Patches that each of `size` ranks has of `patches`.
pub fn share(patches: usize, size: usize) -> usize {
    patches.div_ceil(size.max(1))
}

/// The patches of an epoch that a rank has: each `size`-th of its order, from `rank` on. The order is continued from its
/// beginning until all ranks have the same number, as torch's `DistributedSampler` does.
pub fn deal(order: &[PatchId], rank: usize, size: usize) -> Vec<PatchId> {
    (0..share(order.len(), size))
        .filter_map(|turn| order.get((turn * size + rank) % order.len().max(1)).copied())
        .collect()
}

/// Division of a training set into batches and steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Patches per batch.
    pub batch_size: usize,
    /// Batches per epoch. An incomplete last batch is dropped, as upstream does (`src/datamodule.py`), because batch
    /// norms would weigh it like a whole one. A set smaller than a batch is one batch.
    pub batches: usize,
    /// Batches per optimiser step; the last step of an epoch may have fewer.
    pub accumulate: usize,
}

impl Cut {
    /// Divides `patches` patches.
    pub fn new(patches: usize, batch_size: usize, accumulate: usize) -> Self {
        let batch_size = batch_size.clamp(1, patches.max(1));
        Self { batch_size, batches: patches / batch_size, accumulate: accumulate.max(1) }
    }

    /// Steps per epoch.
    pub fn steps(self) -> usize {
        self.batches.div_ceil(self.accumulate)
    }

    /// Indices into the epoch's order of the patches of step `step`; both count from 0.
    pub fn indices(self, step: usize) -> Range<usize> {
        let batch = |step: usize| (step * self.accumulate).min(self.batches);
        batch(step) * self.batch_size..batch(step + 1) * self.batch_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_differs_between_epochs_and_is_reproducible() {
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
    fn ranks_have_equal_shares_and_together_all() {
        let order: Vec<_> = (1..8).filter_map(PatchId::new).collect();
        let numbers = |rank, size| deal(&order, rank, size).iter().map(|id| id.number()).collect::<Vec<_>>();
        // torch.utils.data.DistributedSampler(range(1, 8), num_replicas=3, rank=…, shuffle=False)
        assert_eq!([0, 1, 2].map(|rank| numbers(rank, 3)), [[1, 4, 7], [2, 5, 1], [3, 6, 2]]);
        assert_eq!(numbers(0, 1), [1, 2, 3, 4, 5, 6, 7]);
        // More ranks than patches: some are repeated more than once.
        assert_eq!(
            (0..16).flat_map(|rank| numbers(rank, 16)).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2]
        );
        assert_eq!(deal(&[], 0, 2), []);
    }

    #[test]
    fn incomplete_batches_are_left_out_unless_there_is_no_other() {
        let indices = |cut: Cut| (0..cut.steps()).map(|step| cut.indices(step)).collect::<Vec<_>>();
        assert_eq!(indices(Cut::new(11, 3, 2)), [0..6, 6..9]);
        assert_eq!(indices(Cut::new(6, 3, 1)), [0..3, 3..6]);
        assert_eq!(indices(Cut::new(2, 10, 4)).first(), Some(&(0..2)));
        assert_eq!(Cut::new(0, 10, 1).steps(), 0);
    }
}
