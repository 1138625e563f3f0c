//! The best epoch, and early stopping.

use serde::{Deserialize, Serialize};

use super::validate::EpochMetrics;

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Its number, from 1.
    pub epoch: usize,
    /// Its validation loss; without a validation, its training loss.
    pub loss: f64,
}

impl Best {
    /// The better of the best epoch so far and the one that just ended: the one with the lower loss, or the earlier of
    /// equal ones, as Lightning's `ModelCheckpoint` and `EarlyStopping` with upstream's settings. An epoch whose loss is
    /// not finite is never the best (Lightning's `EarlyStopping` ends the training there).
    pub fn after(best: Option<Self>, epoch: &EpochMetrics) -> Option<Self> {
        let new = epoch.monitored_loss().map(|loss| Self { epoch: epoch.epoch, loss });
        match (best, new) {
            (Some(best), Some(new)) if new.loss < best.loss => Some(new),
            (best, new) => best.or(new),
        }
    }

    /// Whether the last `patience` epochs, up to `epoch`, were not better than `best`. Without a best epoch, all of them
    /// count.
    pub fn is_old(best: Option<Self>, epoch: usize, patience: usize) -> bool {
        epoch - best.map_or(0, |best| best.epoch) >= patience.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Validation;
    use flair_scoring::CLASS_COUNT;

    fn validated(epoch: usize, loss: Option<f64>) -> EpochMetrics {
        let validation = Validation { loss, miou: None, miou_upstream: 0.5, iou: [None; CLASS_COUNT] };
        EpochMetrics { epoch, step: 0, learning_rate: 0.1, train_loss: 1.0, validation: Some(validation) }
    }

    #[test]
    fn an_epoch_without_a_finite_loss_is_never_the_best() {
        let losses = [None, Some(3.0), None, Some(2.0), None, None];
        let (mut best, mut bests, mut stopped) = (None, Vec::new(), Vec::new());
        for (epoch, loss) in (1..).zip(losses) {
            best = Best::after(best, &validated(epoch, loss));
            bests.push(best.map(|best| best.epoch));
            stopped.push(Best::is_old(best, epoch, 2));
        }
        assert_eq!(bests, [None, Some(2), Some(2), Some(4), Some(4), Some(4)]);
        assert_eq!(stopped, [false, false, false, false, false, true]);
        // If no epoch ever has one, the run stops as well.
        assert!(Best::is_old(None, 2, 2));
    }

    #[test]
    fn a_run_stops_after_that_many_epochs_without_a_better_one() {
        let losses = [3.0, 2.0, 2.0, 2.5, 1.9, 2.0, 1.9, 4.0];
        let (mut best, mut stopped) = (None, Vec::new());
        for (epoch, train_loss) in (1..).zip(losses) {
            let metrics = EpochMetrics { epoch, step: 0, learning_rate: 0.1, train_loss, validation: None };
            best = Best::after(best, &metrics);
            stopped.push(Best::is_old(best, epoch, 3));
        }
        assert_eq!(best, Some(Best { epoch: 5, loss: 1.9 }));
        assert_eq!(stopped, [false, false, false, false, false, false, false, true]);
    }
}
