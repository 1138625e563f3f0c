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
    /// equal ones, as Lightning's `ModelCheckpoint` and `EarlyStopping` with upstream's settings.
    pub fn after(best: Option<Self>, epoch: &EpochMetrics) -> Self {
        let new = Self { epoch: epoch.epoch, loss: epoch.monitored_loss() };
        best.filter(|best| best.loss <= new.loss).unwrap_or(new)
    }

    /// Whether the last `patience` epochs, up to `epoch`, were not better.
    pub fn is_old(self, epoch: usize, patience: usize) -> bool {
        epoch - self.epoch >= patience.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stops_after_that_many_epochs_without_a_better_one() {
        let losses = [3.0, 2.0, 2.0, 2.5, 1.9, 2.0, 1.9, 4.0];
        let (mut best, mut stopped) = (None, Vec::new());
        for (epoch, train_loss) in (1..).zip(losses) {
            let metrics = EpochMetrics { epoch, step: 0, learning_rate: 0.1, train_loss, validation: None };
            let now = Best::after(best, &metrics);
            stopped.push(now.is_old(epoch, 3));
            best = Some(now);
        }
        assert_eq!(best, Some(Best { epoch: 5, loss: 1.9 }));
        assert_eq!(stopped, [false, false, false, false, false, false, false, true]);
    }
}
