//! Prediction, the second half of a run: weights in; predictions and their time out, of all patches or of a shard.

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::anyhow;
use flair_baselines::{
    data::{Files, Preprocessor, Shard, Split},
    predict::{self, CLOCK_COVERS, PredictError, PredictOptions, Predicted},
    ranks::{Ranks, RanksError},
    runtime::Environment,
};
use flair_scoring::{
    PatchId,
    files::{MAX_RECORD, read_text},
    text::counted,
    timing::{Devices, Limits, MonotonicClock, Timing, judge},
};

use super::{
    conclusion::{Conclusion, limits},
    folder::PREDICTIONS,
    record::{Extent, Prediction, RunRecord, TIMING, identity, write_json},
    setup::{Setup, usable},
    shard::{Turn, refuse_shards},
    summary::ShardSummary,
};
use crate::{
    cli::PredictionArgs,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, say, stderr, stdout, write_findings},
};

/// The note in every output on the toy dataset.
const TOY: &str = "the data are synthetic: the score says nothing of the challenge";
/// The note in every output of a network without weights.
const UNTRAINED: &str = "the model is untrained: its weights are random, and so is what it predicts";

/// The patches to predict.
pub(super) fn patches(setup: &Setup, arguments: &PredictionArgs) -> Outcome<Vec<PatchId>> {
    arguments.split.patches(&setup.dataset, &setup.config.split()).or_input()
}

/// A prediction of a run's patches.
pub(super) struct Job<'a> {
    setup: Setup,
    split: Split,
    patches: Vec<PatchId>,
    arguments: &'a PredictionArgs,
}

impl<'a> Job<'a> {
    pub(super) fn new(setup: Setup, arguments: &'a PredictionArgs) -> Outcome<Self> {
        let patches = patches(&setup, arguments)?;
        Ok(Self { setup, split: arguments.split, patches, arguments })
    }

    fn is_untrained(&self) -> bool {
        self.setup.weights.is_none()
    }

    /// Notes that every output must show.
    fn notes(&self) -> Vec<String> {
        let notes = [(self.is_untrained(), UNTRAINED), (self.setup.is_toy, TOY)];
        let notes = notes.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note.to_owned());
        let deviations = &self.setup.deviations;
        let deviates =
            || format!("the weights were trained with {}, and predict with another value", deviations.join(", "));
        notes.chain((!deviations.is_empty()).then(deviates)).collect()
    }

    fn batch_size(&self) -> usize {
        self.arguments.batch_size.map_or(self.setup.config.batch_size_inference, usize::from)
    }

    fn facts<'b>(&'b self, data: &'b str, notes: &'b [String]) -> Prediction<'b> {
        let Self { setup, split, patches, .. } = self;
        Prediction { setup, split: *split, batch_size: self.batch_size(), patches, data, notes }
    }

    /// Predicts all patches, and finishes the run.
    pub(super) fn run(&self, bars: &Bars) -> Outcome {
        let limits = limits(&self.arguments.rule)?;
        let out = &self.setup.out;
        refuse_shards(out)?;
        let ready = self.ready()?;
        let facts = self.facts(&ready.data, &ready.notes);
        let environment = ready.environment.clone();
        let record = RunRecord::begin(facts, &ready.identity, Extent::Whole, environment, &ready.predictions)?;
        let predicted = self.predict(&ready, &self.patches, bars)?;
        complete(&ready, &predicted, &self.patches)?;
        let path = out.join(TIMING);
        let earlier = read_text(&path, MAX_RECORD).ok().and_then(|text| serde_json::from_str(&text).ok());
        let timing = timing(&ready, &predicted, earlier.as_ref(), &limits);
        write_json(&path, &timing)?;
        let conclusion = Conclusion {
            out,
            dataset: &self.setup.dataset,
            split: self.split,
            patches: &self.patches,
            rule: &self.arguments.rule,
            record,
        };
        conclusion.write(&timing, predicted.findings, bars)
    }

    /// Predicts the patches of a shard; `flair-bench finish` finishes the run.
    /// Of several ranks, the time of each lasts until the last one has ended, as the challenge counts the time of nodes and
    /// devices.
    pub(super) fn run_shard(&self, shard: Shard, ranks: &Ranks, bars: &Bars) -> Outcome {
        let limits = limits(&self.arguments.rule)?;
        let out = &self.setup.out;
        let ready = self.ready()?;
        // Rank 0 first: it may have to make the run's record, and not every disk has locks.
        if !ranks.is_first() {
            ranks.barrier().or_environment()?;
        }
        let turn = Turn::wait(out, shard)?;
        let earlier = turn.earlier(&ready.identity)?;
        let facts = self.facts(&ready.data, &ready.notes);
        RunRecord::begin(facts, &ready.identity, turn.extent, ready.environment.clone(), &ready.predictions)?;
        let mut begun = turn.begin(earlier, ready.identity.clone(), ready.data.clone(), ready.environment.clone())?;
        if ranks.is_first() {
            ranks.barrier().or_environment()?;
        }
        ranks.barrier().or_environment()?;
        let own = shard.of(&self.patches);
        let mut predicted = self.predict(&ready, own, bars)?;
        // The other ranks finish their patches, whatever this one could not predict.
        predicted.elapsed = longest(ranks, predicted.elapsed).or_environment()?;
        complete(&ready, &predicted, own)?;
        let timing = timing(&ready, &predicted, begun.earlier_timing(), &limits);
        let record = begun.finish(timing.clone(), predicted.findings)?;
        if ranks.is_alone() {
            write!(stdout(), "{}", ShardSummary { out, shard, timing: &timing, record })?;
        }
        Ok(Exit::Done)
    }

    /// Looks through all patches of the run, also those of other shards.
    fn ready(&self) -> Outcome<Ready<'_>> {
        let preprocessor = Preprocessor::new(&self.setup.config.inputs(), &self.setup.dataset).or_input()?;
        usable(&preprocessor, &self.patches)?;
        let notes = self.notes();
        let data = preprocessor.identity(&self.patches, Files::Inputs).or_input()?;
        Ok(Ready {
            preprocessor,
            environment: self.setup.environment(),
            identity: identity(self.facts(&data, &notes)).or_environment()?,
            data,
            notes,
            predictions: self.setup.out.join(PREDICTIONS),
        })
    }

    /// Predicts patches, and reports on their data.
    fn predict(&self, ready: &Ready<'_>, patches: &[PatchId], bars: &Bars) -> Outcome<Predicted> {
        for note in &ready.notes {
            say(&format!("note: {note}"));
        }
        let Setup { network, workers, .. } = &self.setup;
        // The prediction is the last that a process does with its network.
        let options = PredictOptions { batch_size: self.batch_size(), workers: *workers, releases_weights: true };
        let clock = MonotonicClock::default();
        let out = &ready.predictions;
        let predicted = match predict::predict(network, &ready.preprocessor, patches, out, options, &clock, bars) {
            Err(
                error @ (PredictError::Device { .. } | PredictError::OutOfMemory { .. } | PredictError::Write { .. }),
            ) => Err(error).or_environment(),
            other => other.or_input(),
        }?;
        if predicted.kept > 0 {
            say(&format!("note: {} predictions were there already, and are kept", predicted.kept));
        }
        write_findings(&mut stderr(), &predicted.findings)?;
        Ok(predicted)
    }
}

/// Checks that all patches were predicted.
fn complete(ready: &Ready<'_>, predicted: &Predicted, patches: &[PatchId]) -> Outcome<()> {
    if !predicted.failures.is_empty() {
        write_findings(&mut stderr(), &predicted.failures)?;
        return Err(anyhow!(
            "{} of {} cannot be predicted; the other predictions are in `{}`, without a score and an archive",
            predicted.failures.len(),
            counted(patches.len() as u64, "patch"),
            ready.predictions.display()
        ))
        .or_input();
    }
    Ok(())
}

/// The longest of the ranks' times.
fn longest(ranks: &Ranks, own: Duration) -> Result<Duration, RanksError> {
    let nanoseconds = u64::try_from(own.as_nanos()).unwrap_or(u64::MAX);
    let all = ranks.gather(nanoseconds.to_le_bytes().to_vec())?;
    let all = all.iter().filter_map(|bytes| Some(u64::from_le_bytes(bytes.as_slice().try_into().ok()?)));
    Ok(Duration::from_nanos(all.max().unwrap_or(nanoseconds)))
}

/// A run whose patches can be used.
struct Ready<'a> {
    preprocessor: Preprocessor<'a>,
    environment: Environment,
    /// The identity of the run.
    identity: String,
    /// The identity of its data.
    data: String,
    /// Notes that every output must show.
    notes: Vec<String>,
    /// The folder of the predictions.
    predictions: PathBuf,
}

/// The time of a prediction. A resumed one keeps the earlier time if it predicted nothing more, or if that was over the
/// limits already.
fn timing(ready: &Ready<'_>, predicted: &Predicted, earlier: Option<&Timing>, limits: &Limits) -> Timing {
    let Ready { environment, notes, .. } = ready;
    let counts = |earlier: &&Timing| predicted.predicted == 0 || judge(earlier, limits).is_over();
    if let Some(earlier) = earlier.filter(|_| predicted.kept > 0).filter(counts) {
        return earlier.clone();
    }
    Timing {
        kept_patches: predicted.kept,
        covers: CLOCK_COVERS.map(str::to_owned).into(),
        device: environment.device.clone(),
        hardware: environment.hardware(),
        threads: u32::try_from(environment.threads).unwrap_or(u32::MAX),
        version: environment.flair_bench.clone(),
        notes: notes.clone(),
        ..Timing::new(predicted.elapsed, predicted.predicted, Devices { nodes: 1, per_node: 1 })
    }
}
