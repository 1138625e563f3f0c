//! The training loop: each epoch is followed by a validation and a checkpoint.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use candle_core::Tensor;
use flair_scoring::{Event, PatchId, Progress};

use super::{
    Batch, Beginning, Checkpoints, Gradients, Optimizer, Position, Scheduler, Stopped, TrainError, TrainOptions,
    Trained,
    batch::{Augmenting, Example, Examples},
    checkpoint::RunState,
    logs::Logs,
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
    nn::Mode,
    random::Generator,
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
    /// Up to date, except for the states of scheduler and generator, which are copied here before saving.
    state: RunState,
    logs: Logs,
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
        let identity = options.identity(examples, train, val)?;
        let saved = match options.beginning {
            Beginning::Resume => checkpoints.restore(network, &mut optimizer, &identity)?,
            Beginning::Fresh if checkpoints.exist() => {
                return Err(TrainError::Occupied { path: options.out.to_owned() });
            }
            Beginning::Fresh => None,
        };
        let is_resumed = saved.is_some();
        let state = saved.unwrap_or_else(|| RunState {
            identity,
            epoch: 1,
            steps: 0,
            total: 0,
            losses: (0.0, 0),
            dropout: Generator::new(options.seed, "dropout").state(),
            schedule: scheduler.state(),
            best: None,
            history: Vec::new(),
        });
        scheduler.restore(state.schedule);
        let logs = Logs::new(options.out, state.total + 1);
        if is_resumed {
            // The state is complete, but the files derived from it may be older or newer.
            checkpoints.save_weights(network, &options.provenance, &state)?;
            logs.history(&state.history)?;
        }
        Ok(Self {
            network,
            examples,
            train,
            val,
            options,
            cut: Cut::new(train.len(), options.batch_size, options.accumulate),
            augmenting: Augmenting { is_on: options.is_augmented, fidelity: options.fidelity, seed: options.seed },
            checkpoints,
            optimizer,
            scheduler,
            dropout: Mutex::new(Generator::from(state.dropout)),
            state,
            logs,
        })
    }

    /// Whether the run is finished.
    pub fn is_over(&self) -> bool {
        self.state.epoch > self.options.epochs || self.is_patience_exhausted()
    }

    /// Trains until the last epoch or early stopping. If another thread sets `stop`, the current step is finished, a
    /// checkpoint is written, and the run ends as [`Stopped::Interrupted`].
    ///
    /// # Errors
    /// If a patch cannot be read, the device fails, a file cannot be written, or a loss or gradient is not finite. The
    /// checkpoint of the last epoch stays; if the device fails, the steps since then are saved too, so that no step is
    /// lost to one that needs more memory than there is.
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
        let todo = &order[self.cut.indices(self.state.steps).start..self.cut.batches * self.cut.batch_size];
        let stage = format!("epoch {epoch}/{}", self.options.epochs);
        progress.event(Event::Started { stage: &stage, steps: todo.len() as u64 });
        let (source, augmenting, prefetch) = (self.examples, self.augmenting, self.prefetch());
        let make = |i: usize| Ok(augmenting.apply(source.example(todo[i])?, epoch));
        let end = in_order(todo.len(), prefetch, make, |examples| {
            while self.state.steps < self.cut.steps() {
                self.step(examples, progress)?;
                if stop.load(Ordering::Relaxed) {
                    return Ok::<_, TrainError>(End::Interrupted);
                }
            }
            Ok(End::Reached)
        })?;
        progress.event(Event::Finished);
        Ok(end)
    }

    /// One optimiser step on the mean of its batches' gradients.
    fn step(
        &mut self,
        examples: &mut dyn Iterator<Item = Result<Example, DataError>>,
        progress: &dyn Progress,
    ) -> Result<(), TrainError> {
        let batches = self.cut.indices(self.state.steps).len() / self.cut.batch_size;
        let (mut ids, mut losses, mut sum) = (Vec::<Vec<PatchId>>::new(), Vec::new(), Gradients::default());
        for _ in 0..batches {
            let taken = (&mut *examples).take(self.cut.batch_size).collect::<Result<Vec<_>, _>>()?;
            let of_batch: Vec<PatchId> = taken.iter().map(|example| example.sample.id).collect();
            let computed = self.gradients(taken).map_err(|source| TrainError::device(&of_batch, source));
            let (loss, gradients) = computed.map_err(|error| self.save_before(error))?;
            sum.add(gradients).map_err(|source| TrainError::device(&of_batch, source))?;
            losses.push(loss);
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
        if let Some(batch) = losses.iter().position(|loss| !loss.is_finite()) {
            return Err(TrainError::NotFinite { what: "loss", ids: ids.swap_remove(batch) });
        }
        if !norm.is_finite() {
            return Err(TrainError::NotFinite { what: "gradient", ids: ids.concat() });
        }
        let loss: f64 = losses.iter().sum();
        progress.event(Event::Detail { text: &format!("loss {:.4}", loss / batches as f64) });
        self.state.steps += 1;
        self.state.total += 1;
        self.state.losses.0 += loss;
        self.state.losses.1 += batches;
        self.logs.step(self.state.total, loss / batches as f64, rate, norm)
    }

    /// The loss of a batch, a scalar on the device, and its gradients.
    fn gradients(&self, examples: Vec<Example>) -> candle_core::Result<(Tensor, Gradients)> {
        let collapse = match self.options.fidelity {
            Fidelity::Upstream => Collapse::FirstOfBatch,
            Fidelity::Corrected => Collapse::Each,
        };
        let batch = Batch::new(&examples, self.options.pad_value, &self.network.parameters)?;
        drop(examples);
        let series = batch.series.as_ref().map(|(images, dates)| (images, dates));
        let (metadata, mode) = (batch.metadata.as_ref(), Mode::train(&self.dropout));
        let logits = self.network.layers.forward(&batch.aerial, series, metadata, collapse, mode)?;
        let loss = two_branch(&logits, &batch.target, &batch.satellite_target, &self.options.losses)?.total;
        let gradients = Gradients::of(&loss, &self.network.parameters)?;
        Ok((loss.detach(), gradients))
    }

    /// Updates the weights, unless the losses or the gradients are not finite. Returns the losses, and the gradients' norm
    /// before clipping. This is the one place of a step that waits for the device.
    fn update_weights(
        &mut self,
        mut sum: Gradients,
        losses: &[Tensor],
        rate: f64,
    ) -> candle_core::Result<(Vec<f64>, f64)> {
        if losses.len() > 1 {
            sum.scale(1.0 / losses.len() as f64)?;
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
        let steps = self.cut.steps() * self.options.epochs;
        self.scheduler.learning_rate(Position { step: self.state.total, steps })
    }

    /// Runs the validation; returns its metrics and the first patch for the logs, `None` if interrupted.
    #[expect(clippy::type_complexity, reason = "two things that may each be missing")]
    fn validate(
        &self,
        stop: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Option<(Option<Validation>, Option<Shown>)>, TrainError> {
        if self.val.is_empty() {
            return Ok(Some((None, None)));
        }
        let validator = Validator {
            network: self.network,
            examples: self.examples,
            patches: self.val,
            batch_size: self.cut.batch_size,
            prefetch: self.prefetch(),
            weights: &self.options.losses,
        };
        let validated = validator.run(stop, progress)?;
        Ok(validated.map(|(validation, shown)| (Some(validation), shown)))
    }

    /// Records the epoch's metrics, and begins the next epoch.
    fn end_epoch(&mut self, validation: Option<Validation>, shown: Option<&Shown>) -> Result<(), TrainError> {
        let last = Position { step: self.state.total - 1, steps: self.cut.steps() * self.options.epochs };
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
        self.logs.epoch(&epoch, shown)?;
        self.save()?;
        self.logs.history(&self.state.history)
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
            && self.state.total > 0
            && let Err(unsaved) = self.save()
        {
            tracing::warn!("the steps since the last epoch cannot be saved: {unsaved}");
        }
        error
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.state.schedule = self.scheduler.state();
        self.state.dropout = self.dropout.get_mut().unwrap_or_else(PoisonError::into_inner).state();
        self.checkpoints.save(self.network, &self.optimizer, &self.options.provenance, &self.state)
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
