//! Validation: the loss, the challenge's mIoU and upstream's `val_miou`.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Tensor};
use flair_scoring::{CLASS_COUNT, ClassId, ConfusionMatrix, Event, Metrics, OutOfRange, PatchId, Progress, Protocol};
use serde::{Deserialize, Serialize};

use super::{
    LossWeights, TrainError,
    batch::{Batch, Example, Examples},
    error::listed,
    reports::{PartOfValidation, bits, gather},
    two_branch,
};
use crate::{
    data::prefetch::{Prefetch, in_order},
    models::{
        Network,
        patchwise::{Inputs, logits_of_branches},
    },
    nn::{Mode, Plan, on_pool},
    ranks::{Ranks, RanksError},
};

/// Metrics of one validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Unweighted mean of the batches' losses, as Lightning and upstream compute it (`src/task_module.py`). An
    /// incomplete last batch counts, which upstream drops. `None` if it is not finite: the epoch is then never the
    /// best.
    pub loss: Option<f64>,
    /// The challenge's mIoU: one confusion matrix over all patches, 12 classes; `None` if none of them occurs.
    pub miou: Option<f64>,
    /// Upstream's `val_miou`, torchmetrics' `JaccardIndex`: the mean over 13 classes, "other" among them, of which
    /// classes absent from both masks and predictions count as 1. Not comparable with a score.
    pub miou_upstream: f64,
    /// `IoU` of each class; `None` if absent from both masks and predictions.
    pub iou: [Option<f64>; CLASS_COUNT],
}

impl Validation {
    /// Counts are summed as integers, and losses as if one rank had computed the batches in turn.
    fn of_parts(parts: &[PartOfValidation]) -> Result<Self, TrainError> {
        let mut matrix = ConfusionMatrix::empty(CLASS_COUNT);
        for part in parts {
            let of_rank = ConfusionMatrix::new(CLASS_COUNT, part.counts.clone(), 0, 0);
            matrix.merge(&of_rank.ok_or_else(|| RanksError::Different("the ranks count other classes".to_owned()))?);
        }
        let most = parts.iter().map(|part| part.losses.len()).max().unwrap_or_default();
        let in_turn = (0..most).flat_map(|batch| parts.iter().filter_map(move |part| part.losses.get(batch)));
        let losses: Vec<f64> = in_turn.copied().map(f64::from_bits).collect();
        Ok(Self::new(losses.iter().sum::<f64>() / losses.len().max(1) as f64, &matrix))
    }

    fn new(loss: f64, matrix: &ConfusionMatrix) -> Self {
        let metrics = Metrics::of(matrix, &Protocol::flair2());
        let iou: [_; CLASS_COUNT] = std::array::from_fn(|class| metrics.classes[class].iou);
        let miou_upstream = iou.iter().map(|iou| iou.unwrap_or(1.0)).sum::<f64>() / CLASS_COUNT as f64;
        Self { loss: Some(loss).filter(|loss| loss.is_finite()), miou: metrics.means.miou, miou_upstream, iou }
    }
}

/// Metrics of a finished epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochMetrics {
    /// Its number, from 1.
    pub epoch: usize,
    /// Optimiser steps from the start of the run to the end of the epoch.
    pub step: usize,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Mean of its batches' losses.
    pub train_loss: f64,
    /// The validation at its end; `None` without validation patches.
    pub validation: Option<Validation>,
}

impl EpochMetrics {
    /// The loss that selects the best epoch: the validation loss, or the training loss without a validation. `None` if
    /// it is not finite.
    pub fn monitored_loss(&self) -> Option<f64> {
        self.validation.map_or(Some(self.train_loss), |validation| validation.loss)
    }
}

/// A patch with its mask and prediction, for the logs.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// `[3, H, W]`, red, green and blue, `0..=1`.
    pub(super) colours: Vec<f32>,
    /// Classes, `[H, W]`.
    pub(super) mask: Vec<u8>,
    /// Classes, `[H, W]`.
    pub(super) prediction: Vec<u8>,
}

/// Runs the network over the validation patches.
pub(super) struct Validator<'a> {
    pub(super) network: &'a Network,
    pub(super) examples: &'a dyn Examples,
    /// All of them; each rank has its part.
    pub(super) patches: &'a [PatchId],
    pub(super) ranks: &'a Ranks,
    pub(super) batch_size: usize,
    pub(super) prefetch: Prefetch,
    pub(super) weights: &'a LossWeights,
}

impl Validator<'_> {
    /// Returns the metrics and the first patch for the logs; `None` if `stop` was set before the end.
    pub(super) fn run(
        &self,
        stop: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Option<(Validation, Option<Shown>)>, TrainError> {
        // Without the padding of an epoch's order: no patch is counted twice.
        let own: Vec<PatchId> =
            self.patches.iter().copied().skip(self.ranks.rank()).step_by(self.ranks.size()).collect();
        progress.event(Event::Started { stage: "validation", steps: own.len() as u64 });
        let (mut matrix, mut losses, mut shown) = (ConfusionMatrix::empty(CLASS_COUNT), Vec::new(), None);
        // The weights have changed since the last validation.
        let plan = Plan::default();
        let make = |i: usize| self.examples.example(own[i]);
        let is_whole = in_order(own.len(), self.prefetch, make, |examples| {
            loop {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let batch = (&mut *examples).take(self.batch_size).collect::<Result<Vec<_>, _>>()?;
                if batch.is_empty() {
                    return Ok::<_, TrainError>(true);
                }
                let (loss, predictions) = self.batch(&batch, &plan)?;
                losses.push(loss);
                for (example, prediction) in batch.into_iter().zip(predictions) {
                    count(&mut matrix, &example.target, &prediction)?;
                    progress.event(Event::Step { patch: Some(example.sample.id) });
                    if shown.is_none() {
                        let mut colours = example.sample.aerial;
                        colours.truncate(3 * example.target.len());
                        shown = Some(Shown { colours, mask: example.target, prediction });
                    }
                }
            }
        })?;
        let all =
            gather(self.ranks, PartOfValidation { losses: bits(losses), counts: matrix.counts().to_vec(), is_whole })?;
        if !all.iter().all(|part| part.is_whole) {
            progress.event(Event::Finished);
            return Ok(None);
        }
        let validation = Validation::of_parts(&all)?;
        let loss = validation.loss.map_or_else(|| "not finite".to_owned(), |loss| format!("{loss:.4}"));
        let miou = validation.miou.map_or_else(String::new, |miou| format!(", mIoU {miou:.4}"));
        progress.event(Event::Detail { text: &format!("loss {loss}{miou}") });
        progress.event(Event::Finished);
        Ok(Some((validation, shown)))
    }

    /// The loss of a batch, and the predicted class ids of its patches. Patches are predicted one by one, as in
    /// prediction.
    fn batch(&self, examples: &[Example], plan: &Plan) -> Result<(f64, Vec<Vec<u8>>), TrainError> {
        let ids: Vec<PatchId> = examples.iter().map(|example| example.sample.id).collect();
        let compute = || {
            let inputs = Inputs::of(examples.iter().map(|example| &example.sample), &self.network.parameters)?;
            let logits = logits_of_branches(self.network, &inputs, Mode::predict(plan))?;
            let target = Batch::targets(examples, self.network.parameters.device())?;
            let losses = two_branch(&logits, &target, &target, self.weights)?;
            Ok::<_, candle_core::Error>((scalar(&losses.total)?, classes(&logits.aerial)?))
        };
        let computed = on_pool(self.network.parameters.device(), compute);
        let (loss, classes) = computed.map_err(|source| TrainError::device(&ids, source))?;
        if !loss.is_finite() {
            tracing::warn!("the validation loss is not finite on {}: the epoch cannot be the best", listed(&ids));
        }
        Ok((loss, classes))
    }
}

/// The value of a scalar tensor.
fn scalar(tensor: &Tensor) -> candle_core::Result<f64> {
    tensor.to_dtype(DType::F64)?.to_scalar()
}

/// The argmax of logits `[B, K, H, W]`.
fn classes(logits: &Tensor) -> candle_core::Result<Vec<Vec<u8>>> {
    logits.argmax(1)?.to_dtype(DType::U8)?.flatten_from(1)?.to_vec2()
}

/// Adds target and predicted class ids to the confusion matrix.
fn count(matrix: &mut ConfusionMatrix, target: &[u8], prediction: &[u8]) -> Result<(), TrainError> {
    debug_assert!(target.iter().all(|class| ClassId::new(*class).is_some()));
    let labels: Vec<u8> = target.iter().map(|class| class + 1).collect();
    matrix.add(Protocol::flair2().labels(), &labels, prediction, OutOfRange::Reject).map_err(TrainError::Count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_means_come_from_one_matrix() {
        let mut matrix = ConfusionMatrix::empty(CLASS_COUNT);
        // Class 0: 2 of 3; class 12: 1 of 2. The others do not occur.
        count(&mut matrix, &[0, 0, 0, 12], &[0, 0, 12, 12]).unwrap();
        let validation = Validation::new(1.5, &matrix);
        assert_eq!((validation.loss, validation.miou), (Some(1.5), Some(2.0 / 3.0)));
        // A loss that is no number survives the checkpoint's JSON.
        let broken = Validation::new(f64::NAN, &matrix);
        let json = serde_json::to_string(&broken).unwrap();
        assert_eq!(serde_json::from_str::<Validation>(&json).unwrap(), broken);
        assert_eq!(broken.loss, None);
        assert!((validation.miou_upstream - (2.0 / 3.0 + 0.5 + 11.0) / 13.0).abs() < 1e-12);
        assert_eq!((validation.iou[12], validation.iou[4]), (Some(0.5), None));
        assert!(count(&mut matrix, &[0], &[13]).is_err());
    }
}
