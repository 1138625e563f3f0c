//! The training loop: each epoch is followed by a validation and a checkpoint.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use candle_core::Tensor;
use flair_scoring::{Event, PatchId, Progress};

use super::{
    Batch, Beginning, Checkpoints, Gradients, Optimizer, Position, Scheduler, Stopped, TrainError, TrainOptions,
    Trained,
    batch::{Augmenting, Example, Examples},
    checkpoint::{RunState, ranks_of},
    exchange,
    logs::Logs,
    reduction::{Buckets, Reduction},
    reports::{StepReport, gather},
    shuffle::{self, Cut},
    stopping::Best,
    two_branch,
    validate::{EpochMetrics, Shown, Validation, Validator},
};
use crate::{
    data::{
        DataError, Fidelity, Preprocessor,
        prefetch::{Prefetch, in_order},
    },
    models::{Collapse, Network},
    nn::{Arrivals, Mode, on_pool},
    random::Generator,
    ranks::Ranks,
};

/// Batches that are prefetched.
const BATCHES_AHEAD: usize = 2;

/// A training run.
///
/// It starts from the network's weights and updates them in place. It writes `checkpoints/` (see [`Checkpoints`]),
/// `metrics.csv`, `training.svg`, `training.png` and `tensorboard/` to the folder [`TrainOptions::out`].
pub struct Trainer<'a> {
    network: &'a Network,
    examples: &'a dyn Examples,
    train: &'a [PatchId],
    val: &'a [PatchId],
    options: &'a TrainOptions<'a>,
    cut: Cut,
    augmenting: Augmenting,
    checkpoints: Checkpoints,
    optimizer: Optimizer,
    scheduler: Scheduler,
    dropout: Mutex<Generator>,
    /// Up to date, except for the states of scheduler and generators, which are copied here before saving.
    state: RunState,
    /// Of rank 0.
    logs: Option<Logs>,
    ranks: &'a Ranks,
    buckets: Arc<Buckets>,
    /// The number of ranks that the run had until now, if it was another one.
    ranks_before: Option<usize>,
    /// How long this epoch's steps waited for sums of gradients.
    waited: Duration,
    /// How long the ranks' sums had taken before this epoch.
    summed_before: Duration,
}

/// Whether a loop was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Reached,
    Interrupted,
}

impl<'a> Trainer<'a> {
    /// Prepares training on the first list of `patches`, with validation on the second after every epoch, as a new or a
    /// resumed run. Without validation patches, epochs are compared by their training loss. `preprocessor` makes the
    /// network's inputs.
    ///
    /// # Errors
    /// If there are no training patches, a setting is out of its range, the folder already holds a run that is not to
    /// be resumed, or the checkpoint cannot be resumed.
    pub fn new(
        network: &'a Network,
        preprocessor: &'a Preprocessor<'a>,
        patches: (&'a [PatchId], &'a [PatchId]),
        options: &'a TrainOptions<'a>,
    ) -> Result<Self, TrainError> {
        Self::of(network, preprocessor, patches, options)
    }

    pub(super) fn of(
        network: &'a Network,
        examples: &'a dyn Examples,
        (train, val): (&'a [PatchId], &'a [PatchId]),
        options: &'a TrainOptions<'a>,
    ) -> Result<Self, TrainError> {
        if train.is_empty() {
            return Err(TrainError::NoPatches);
        }
        let checkpoints = Checkpoints::of(options.out);
        let mut optimizer = Optimizer::new(options.optimizer, &network.parameters)?;
        let mut scheduler = Scheduler::new(options.schedule, options.learning_rate)?;
        let ranks = &options.ranks;
        let identity = exchange::identity(ranks, options, examples, train, val)?;
        let saved = match options.beginning {
            Beginning::Resume => checkpoints.restore(network, &mut optimizer, &identity)?,
            Beginning::Fresh if checkpoints.exist() => {
                return Err(TrainError::Occupied { path: options.out.to_owned() });
            }
            Beginning::Fresh => None,
        };
        exchange::agree_on_checkpoint(ranks, saved.as_ref())?;
        let is_resumed = saved.is_some();
        let mut ranks_before = None;
        let saved = saved.map(|mut saved| {
            if saved.identity != identity {
                ranks_before = Some(ranks_of(&saved.identity));
                saved.identity.clone_from(&identity);
            }
            saved
        });
        let state = saved.unwrap_or_else(|| RunState {
            identity,
            epoch: 1,
            steps: 0,
            total: 0,
            losses: (0.0, 0),
            dropout: Generator::new(options.seed, "dropout").state(),
            dropout_of_others: Vec::new(),
            schedule: scheduler.state(),
            best: None,
            history: Vec::new(),
        });
        scheduler.restore(state.schedule);
        let logs = ranks.is_first().then(|| Logs::new(options.out, state.total + 1));
        if let (true, Some(logs)) = (is_resumed, &logs) {
            // The state is complete, but the files derived from it may be older or newer.
            checkpoints.save_weights(network, &options.provenance, &state)?;
            logs.history(&state.history)?;
        }
        let dropout = exchange::dropout_of(ranks, &state, options.seed, ranks_before.is_some());
        exchange::agree_on_weights(ranks, network)?;
        Ok(Self {
            network,
            examples,
            train,
            val,
            options,
            cut: Cut::new(shuffle::share(train.len(), ranks.size()), options.batch_size, options.accumulate),
            augmenting: Augmenting { is_on: options.is_augmented, fidelity: options.fidelity, seed: options.seed },
            checkpoints,
            optimizer,
            scheduler,
            dropout: Mutex::new(dropout),
            state,
            logs,
            ranks,
            buckets: Arc::new(Buckets::of(&network.parameters)),
            ranks_before,
            waited: Duration::ZERO,
            summed_before: ranks.summing(),
        })
    }

    /// Whether the run is finished.
    pub fn is_over(&self) -> bool {
        self.state.epoch > self.options.epochs || self.is_patience_exhausted()
    }

    /// The number of ranks that a resumed run had until now, if it was another one: its steps now have other patches.
    pub fn ranks_before(&self) -> Option<usize> {
        self.ranks_before
    }

    /// Trains until the last epoch or early stopping. If another thread sets `stop`, the current step is finished, a
    /// checkpoint is written, and the run ends as [`Stopped::Interrupted`].
    ///
    /// # Errors
    /// If a patch cannot be read, the device fails, a file cannot be written, or a loss or gradient is not finite. The
    /// checkpoint of the last epoch stays; if the device fails, the steps since then are saved too, so that no step is
    /// lost to one that needs more memory than there is. Of several ranks, none can save those for all.
    pub fn run(mut self, stop: &AtomicBool, progress: &dyn Progress) -> Result<Trained, TrainError> {
        while !self.is_over() {
            if self.train_epoch(stop, progress)? == End::Interrupted {
                return self.interrupted();
            }
            let validated = self.validate(stop, progress).map_err(|error| self.save_before(error))?;
            let Some((validation, shown)) = validated else { return self.interrupted() };
            self.end_epoch(validation, shown.as_ref())?;
        }
        let has_epochs_left = self.state.epoch <= self.options.epochs;
        Ok(self.trained(if has_epochs_left { Stopped::Early } else { Stopped::Finished }))
    }

    /// Runs the remaining steps of the epoch.
    fn train_epoch(&mut self, stop: &AtomicBool, progress: &dyn Progress) -> Result<End, TrainError> {
        let epoch = self.state.epoch;
        let order = shuffle::order(self.train, self.options.seed, epoch);
        let order = shuffle::deal(&order, self.ranks.rank(), self.ranks.size());
        let todo = &order[self.cut.indices(self.state.steps).start..self.cut.batches * self.cut.batch_size];
        let stage = format!("epoch {epoch}/{}", self.options.epochs);
        progress.event(Event::Started { stage: &stage, steps: todo.len() as u64 });
        let (source, augmenting, prefetch) = (self.examples, self.augmenting, self.prefetch());
        let make = |i: usize| Ok(augmenting.apply(source.example(todo[i])?, epoch));
        let end = in_order(todo.len(), prefetch, make, |examples| {
            while self.state.steps < self.cut.steps() {
                if self.step(examples, stop, progress)? == End::Interrupted {
                    return Ok::<_, TrainError>(End::Interrupted);
                }
            }
            Ok(End::Reached)
        })?;
        progress.event(Event::Finished);
        Ok(end)
    }

    /// One optimiser step on the mean of its batches' gradients, over all ranks. They end in the same way.
    fn step(
        &mut self,
        examples: &mut dyn Iterator<Item = Result<Example, DataError>>,
        stop: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<End, TrainError> {
        let batches = self.cut.indices(self.state.steps).len() / self.cut.batch_size;
        let (mut ids, mut losses, mut sum) = (Vec::<Vec<PatchId>>::new(), Vec::new(), Gradients::default());
        for batch in 1..=batches {
            let taken = (&mut *examples).take(self.cut.batch_size).collect::<Result<Vec<_>, _>>()?;
            let of_batch: Vec<PatchId> = taken.iter().map(|example| example.sample.id).collect();
            let failed = |source| TrainError::device(&of_batch, source);
            if batch < batches || self.ranks.is_alone() {
                let computed = self.gradients(taken, None).map_err(failed);
                let (loss, gradients) = computed.map_err(|error| self.save_before(error))?;
                sum.add(gradients).map_err(failed)?;
                losses.push(loss);
            } else {
                let reduction = Arc::new(Reduction::new(self.ranks, &self.buckets, mem::take(&mut sum)));
                let arrivals: Arc<dyn Arrivals> = reduction.clone();
                losses.push(self.gradients(taken, Some(&arrivals)).map_err(failed)?.0);
                let start = Instant::now();
                sum = reduction.finish()?;
                self.waited += start.elapsed();
            }
            for &id in &of_batch {
                progress.event(Event::Step { patch: Some(id) });
            }
            ids.push(of_batch);
        }
        let rate = self.learning_rate();
        // The last batch alone: the number of patches in a message is that of a batch.
        let last = ids.last().map_or(&[][..], Vec::as_slice);
        let (losses, norm) =
            self.update_weights(sum, &losses, rate).map_err(|source| TrainError::device(last, source))?;
        let reports = gather(self.ranks, StepReport::new(&losses, &ids, stop.load(Ordering::Relaxed)))?;
        if let Some(ids) = reports.iter().find_map(StepReport::not_finite) {
            return Err(TrainError::NotFinite { what: "loss", ids });
        }
        if !norm.is_finite() {
            return Err(TrainError::NotFinite {
                what: "gradient",
                ids: reports.iter().flat_map(StepReport::ids).collect(),
            });
        }
        let batches = batches * reports.len();
        let loss: f64 = reports.iter().flat_map(StepReport::losses).sum();
        progress.event(Event::Detail { text: &format!("loss {:.4}", loss / batches as f64) });
        self.state.steps += 1;
        self.state.total += 1;
        self.state.losses.0 += loss;
        self.state.losses.1 += batches;
        if let Some(logs) = &mut self.logs {
            logs.step(self.state.total, loss / batches as f64, rate, norm)?;
        }
        Ok(if reports.iter().any(StepReport::is_last) { End::Interrupted } else { End::Reached })
    }

    /// The loss of a batch, a scalar on the device, and its gradients, of which `arrivals` is told one by one.
    fn gradients(
        &self,
        examples: Vec<Example>,
        arrivals: Option<&Arc<dyn Arrivals>>,
    ) -> candle_core::Result<(Tensor, Gradients)> {
        let collapse = match self.options.fidelity {
            Fidelity::Upstream => Collapse::FirstOfBatch,
            Fidelity::Corrected => Collapse::Each,
        };
        let batch = Batch::new(&examples, self.options.pad_value, &self.network.parameters)?;
        drop(examples);
        let series = batch.series.as_ref().map(|(images, dates)| (images, dates));
        let (metadata, mode) = (batch.metadata.as_ref(), Mode::train(&self.dropout));
        let mode = arrivals.map_or(mode, |arrivals| mode.telling(arrivals));
        let Network { layers, parameters, .. } = self.network;
        let losses = &self.options.losses;
        on_pool(parameters.device(), || {
            let logits = layers.forward(&batch.aerial, series, metadata, collapse, mode)?;
            let loss = two_branch(&logits, &batch.target, &batch.satellite_target, losses)?.total;
            let gradients = Gradients::of(&loss, parameters)?;
            Ok((loss.detach(), gradients))
        })
    }

    /// Updates the weights, unless the losses or the gradients are not finite. Returns the losses, and the gradients' norm
    /// before clipping. This is the one place of a step that waits for the device.
    fn update_weights(
        &mut self,
        mut sum: Gradients,
        losses: &[Tensor],
        rate: f64,
    ) -> candle_core::Result<(Vec<f64>, f64)> {
        let batches = losses.len() * self.ranks.size();
        if batches > 1 {
            sum.scale(1.0 / batches as f64)?;
        }
        let (losses, norm) = sum.norm_with(losses)?;
        if norm.is_finite() && losses.iter().all(|loss| loss.is_finite()) {
            if let Some(largest) = self.options.clip {
                sum.clip(norm, largest)?;
            }
            self.optimizer.step(&sum, rate)?;
        }
        Ok((losses, norm))
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64 {
        self.scheduler.learning_rate(self.position(self.state.steps))
    }

    /// The position in the run of a step of this epoch, as if it had as many ranks from its beginning.
    fn position(&self, step: usize) -> Position {
        let by_epoch = self.cut.steps();
        Position { step: (self.state.epoch - 1) * by_epoch + step, steps: by_epoch * self.options.epochs }
    }

    /// Runs the validation, with rank 0's running statistics; returns its metrics and the first patch for the logs, `None`
    /// if interrupted.
    #[expect(clippy::type_complexity, reason = "two things that may each be missing")]
    fn validate(
        &self,
        stop: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Option<(Option<Validation>, Option<Shown>)>, TrainError> {
        if self.val.is_empty() {
            return Ok(Some((None, None)));
        }
        exchange::share_statistics(self.ranks, self.network)?;
        exchange::agree_on_weights(self.ranks, self.network)?;
        let validator = Validator {
            network: self.network,
            examples: self.examples,
            patches: self.val,
            ranks: self.ranks,
            batch_size: self.cut.batch_size,
            prefetch: self.prefetch(),
            weights: &self.options.losses,
        };
        let validated = validator.run(stop, progress)?;
        Ok(validated.map(|(validation, shown)| (Some(validation), shown)))
    }

    /// Records the epoch's metrics, and begins the next epoch.
    fn end_epoch(&mut self, validation: Option<Validation>, shown: Option<&Shown>) -> Result<(), TrainError> {
        let last = self.position(self.cut.steps() - 1);
        let (waited, summed) = (mem::take(&mut self.waited), self.ranks.summing());
        let took = summed.saturating_sub(mem::replace(&mut self.summed_before, summed));
        if !self.ranks.is_alone() {
            tracing::info!(
                "epoch {}: waited {waited:.1?} for sums of gradients, which took {took:.1?}",
                self.state.epoch
            );
        }
        let (sum, batches) = self.state.losses;
        let epoch = EpochMetrics {
            epoch: self.state.epoch,
            step: self.state.total,
            learning_rate: self.scheduler.learning_rate(last),
            train_loss: sum / batches as f64,
            validation,
        };
        self.state.best = Best::after(self.state.best, &epoch);
        self.scheduler.epoch_ended(epoch.monitored_loss().unwrap_or(f64::INFINITY));
        self.state.history.push(epoch);
        self.state.epoch += 1;
        self.state.steps = 0;
        self.state.losses = (0.0, 0);
        // TensorBoard first: a resumed run discards events that are newer than its checkpoint.
        if let Some(logs) = &mut self.logs {
            logs.epoch(&epoch, shown)?;
        }
        self.save()?;
        match &self.logs {
            Some(logs) => logs.history(&self.state.history),
            None => Ok(()),
        }
    }

    fn is_patience_exhausted(&self) -> bool {
        self.options.patience.is_some_and(|patience| Best::is_old(self.state.best, self.state.epoch - 1, patience))
    }

    fn interrupted(mut self) -> Result<Trained, TrainError> {
        self.save()?;
        Ok(self.trained(Stopped::Interrupted))
    }

    /// Saves the finished steps if `error` is the device's, and returns it. Only for where weights and moments are
    /// whole, so not within an update. The norms' running statistics and the draws of dropout may have gone on with the
    /// failed batch, which a resumed run computes again.
    fn save_before(&mut self, error: TrainError) -> TrainError {
        let is_of_device = matches!(error, TrainError::Device { .. } | TrainError::OutOfMemory { .. });
        // A run that has learnt nothing must not stand in the way of its repetition.
        if is_of_device
            && self.ranks.is_alone()
            && self.state.total > 0
            && let Err(unsaved) = self.save()
        {
            tracing::warn!("the steps since the last epoch cannot be saved: {unsaved}");
        }
        error
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.state.schedule = self.scheduler.state();
        let own = self.dropout.get_mut().unwrap_or_else(PoisonError::into_inner).state();
        (self.state.dropout, self.state.dropout_of_others) = exchange::dropout_of_all(self.ranks, own)?;
        if self.ranks.is_first() {
            self.checkpoints.save(self.network, &self.optimizer, &self.options.provenance, &self.state)?;
        }
        // No rank ends before the checkpoint is whole: a launcher may then end the others.
        Ok(self.ranks.barrier()?)
    }

    fn prefetch(&self) -> Prefetch {
        Prefetch { workers: self.options.workers, ahead: self.cut.batch_size * BATCHES_AHEAD }
    }

    fn trained(self, stopped: Stopped) -> Trained {
        Trained {
            stopped,
            epochs: self.state.history.len(),
            steps: self.state.total,
            best: self.state.best,
            history: self.state.history,
            checkpoints: self.checkpoints,
            out: self.options.out.to_owned(),
        }
    }
}
