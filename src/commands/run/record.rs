//! `run.json`, the record of a run, and the check that a folder belongs to this run.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use flair_baselines::{
    config::Config,
    data::Split,
    runtime::Environment,
    train::{Beginning, Checkpoints},
    weights::EncoderWeights,
};
use flair_scoring::{
    Finding, PatchId,
    dataset::fold_ranges,
    files::{MAX_RECORD, read_text, sha256},
    source::Source,
    submission::predictions,
    timing::{Limits, Verdict},
};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        lock::now,
        results::{self, write_file},
    },
    setup::Setup,
    weights::Origin,
};
use crate::{
    exit::{OrExit, Outcome},
    ui::say,
};

/// The file of the run's record.
const RUN: &str = "run.json";
/// The file of the timing record.
pub(super) const TIMING: &str = "timing.json";

/// The schema of [`RunRecord`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum RunSchema {
    #[serde(rename = "flair-bench/run/1")]
    V1,
}

/// The origin of the data.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DataKind {
    Toy,
    Real,
}

/// The record of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunRecord {
    schema: RunSchema,
    /// SHA-256 of everything that determines the predictions. A run continues a stopped one if their identities are
    /// equal. `null` during training.
    pub(super) identity: Option<String>,
    /// Start of the last invocation, in UTC.
    started: String,
    /// End of the run, in UTC; `null` while it runs, or if it was stopped.
    finished: Option<String>,
    pub(super) preset: String,
    /// Whether the weights are random.
    pub(super) untrained: bool,
    data_kind: DataKind,
    /// The dataset's folder; `null` if the configuration names its parts one by one.
    pub(super) data: Option<PathBuf>,
    pub(super) split: Option<Split>,
    patches: usize,
    pub(super) patch_ranges: Vec<String>,
    seed: u64,
    weights: Option<WeightsRecord>,
    /// The initial weights of the encoder; `null` if they were random, or if nothing was trained.
    encoder_weights: Option<FileRecord>,
    parameters: usize,
    pub(super) notes: Vec<String>,
    /// The limits of the time rule, and its verdict.
    time_rule: Option<TimeRule>,
    /// Name of the archive in `submission/`; `null` without an archive.
    archive: Option<String>,
    /// Whether the run has written score, figures or leaderboard entry. Without it, such files are not the run's.
    results: bool,
    /// Findings about the data, made during the prediction.
    findings: Vec<Finding>,
    pub(super) config: Config,
    environment: Environment,
    #[serde(skip)]
    path: PathBuf,
}

/// The facts of a prediction that its record needs.
#[derive(Clone, Copy)]
pub(super) struct Prediction<'a> {
    pub(super) setup: &'a Setup,
    pub(super) split: Split,
    /// Patches that the network is given at once.
    pub(super) batch_size: usize,
    /// In ascending order.
    pub(super) patches: &'a [PatchId],
    /// The identity of their data ([`Preprocessor::identity`]).
    ///
    /// [`Preprocessor::identity`]: flair_baselines::data::Preprocessor::identity
    pub(super) data: &'a str,
    /// Notes that every output must show.
    pub(super) notes: &'a [String],
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WeightsRecord {
    file: PathBuf,
    sha256: String,
    /// Whether this run trained them.
    trained_here: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FileRecord {
    file: PathBuf,
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct TimeRule {
    limits: Limits,
    verdict: Verdict,
}

/// How much of its run a process predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All patches.
    Whole,
    /// A shard, the first one of the run that begins.
    FirstShard,
    /// A shard of a run of which shards have begun before.
    FurtherShard,
}

/// The fields that are read from an existing record.
#[derive(Debug, Default, Deserialize)]
struct Earlier {
    identity: Option<String>,
    finished: Option<String>,
    split: Option<Split>,
    encoder_weights: Option<FileRecord>,
    archive: Option<String>,
    /// Missing in records of earlier versions.
    results: Option<bool>,
    weights: Option<EarlierWeights>,
}

impl Earlier {
    /// Whether results in the folder are the run's.
    fn owns_results(&self) -> bool {
        self.results.unwrap_or(self.identity.is_some())
    }
}

#[derive(Debug, Deserialize)]
struct EarlierWeights {
    trained_here: bool,
}

/// Reads the record of a folder; `None` without one.
fn earlier(path: &Path) -> Outcome<Option<Earlier>> {
    match read_text(path, MAX_RECORD) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("`{}` is not a record of a run: choose another --out", path.display()))
            .or_usage(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())).or_environment(),
    }
}

impl RunRecord {
    /// Makes the record of a run that starts or resumes a training, without writing it. Refuses a folder with another
    /// run, unless that run failed before its first checkpoint and predicted nothing.
    pub(super) fn of_training(setup: &Setup, encoder: Option<EncoderWeights>, beginning: Beginning) -> Outcome<Self> {
        let path = setup.out.join(RUN);
        let earlier = earlier(&path)?;
        let has_learnt = Checkpoints::of(&setup.out).exist();
        let goes_on = has_learnt && beginning == Beginning::Resume;
        let is_taken = has_learnt || holds_something(&setup.out.join("predictions"))?;
        if is_taken && !goes_on {
            let way =
                if has_learnt { "continue with --resume, or choose another --out" } else { "choose another --out" };
            return Err(anyhow!("`{}` holds a run already: {way}", setup.out.display())).or_usage();
        }
        check_results(&setup.out, earlier.as_ref().map(Earlier::owns_results))?;
        let Earlier { identity, encoder_weights, archive, results, .. } = earlier.unwrap_or_default();
        let encoder = encoder.map(|encoder| FileRecord { file: encoder.path, sha256: encoder.sha256 });
        Ok(Self {
            identity,
            untrained: false,
            encoder_weights: if goes_on { encoder_weights } else { encoder },
            archive,
            results: results.unwrap_or(false),
            ..Self::new(setup, setup.environment(), path)
        })
    }

    /// Writes the record before the first step, and removes the results of the weights that the training replaces.
    pub(super) fn begin_training(&mut self, out: &Path) -> Outcome<()> {
        // Predictions and their time stay: the training may not improve the best weights.
        remove_results(out, self.archive.take().as_deref())?;
        self.results = false;
        self.write()
    }

    /// Writes the record in its current state.
    pub(super) fn write(&self) -> Outcome<()> {
        write_json(&self.path, self)
    }

    fn new(setup: &Setup, environment: Environment, path: PathBuf) -> Self {
        Self {
            schema: RunSchema::V1,
            identity: None,
            started: now(),
            finished: None,
            preset: setup.name.clone(),
            untrained: true,
            data_kind: if setup.is_toy { DataKind::Toy } else { DataKind::Real },
            data: setup.root.clone(),
            split: None,
            patches: 0,
            patch_ranges: Vec::new(),
            seed: setup.config.flair_bench.seed,
            weights: None,
            encoder_weights: None,
            parameters: setup.network.parameters.weight_count(),
            notes: Vec::new(),
            time_rule: None,
            archive: None,
            results: false,
            findings: Vec::new(),
            config: setup.config.clone(),
            environment,
            path,
        }
    }

    /// Reads the record of a run, to finish it.
    pub(super) fn read(out: &Path) -> Outcome<Self> {
        let path = out.join(RUN);
        let text = match read_text(&path, MAX_RECORD) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(anyhow!("`{}` holds no run: there is no `{RUN}` in it", out.display())).or_input()
            }
            other => other.with_context(|| format!("cannot read `{}`", path.display())).or_environment(),
        }?;
        let read = serde_json::from_str(&text);
        let record: Self = read.with_context(|| format!("`{}` is not a record of a run", path.display())).or_input()?;
        Ok(Self { path, ..record })
    }

    /// Removes the results of a run whose end follows once more, and records that it has not ended.
    pub(super) fn reopen(&mut self, out: &Path) -> Outcome<()> {
        check_results(out, Some(self.results))?;
        remove_results(out, self.archive.take().as_deref())?;
        (self.finished, self.time_rule, self.results) = (None, None, false);
        self.findings.clear();
        self.write()
    }

    /// Writes the record of a prediction that starts. Predictions already in the folder must be this run's. Those of
    /// earlier weights of this run are removed, and predicted again.
    pub(super) fn begin(
        prediction: Prediction<'_>,
        identity: &str,
        extent: Extent,
        environment: Environment,
        folder: &Path,
    ) -> Outcome<Self> {
        let Prediction { setup, split, patches, notes, .. } = prediction;
        let weights = setup.weights.as_ref();
        let out = &setup.out;
        let path = out.join(RUN);
        let is_same = |earlier: &Earlier| earlier.identity.as_deref() == Some(identity);
        let is_trained_here = weights.is_some_and(|weights| weights.origin == Origin::TrainedHere);
        check_strays(folder, patches)?;
        let earlier = earlier(&path)?;
        let refusal = |what: &str| Err(anyhow!("`{}` holds {what}: choose another --out", out.display())).or_usage();
        let is_of_own_weights = |earlier: &Earlier| earlier.weights.as_ref().is_none_or(|weights| weights.trained_here);
        match &earlier {
            _ if !is_trained_here && Checkpoints::of(out).exist() => return refusal("a training"),
            Some(earlier) if is_same(earlier) => match extent {
                Extent::FirstShard if earlier.finished.is_some() => {
                    return refusal("a finished run, predicted without shards");
                }
                Extent::FurtherShard if earlier.split != Some(split) => return refusal("shards of another --split"),
                _ => {}
            },
            Some(_) if extent == Extent::FurtherShard => {
                return refusal("shards of a run with other settings, weights, data or device");
            }
            None if extent == Extent::FurtherShard => return refusal("shards, but no record of their run"),
            // A run without predictions may be overwritten.
            Some(_) if !holds_something(folder)? => {}
            Some(earlier) if is_trained_here && is_of_own_weights(earlier) => remove_stale(folder)?,
            Some(_) => return refusal("a run with other settings, weights or data"),
            None if folder.exists() => return refusal("predictions, but no record of their run"),
            None => {}
        }
        check_results(out, earlier.as_ref().map(Earlier::owns_results))?;
        let weights = weights.map(|weights| WeightsRecord {
            file: weights.file.clone(),
            sha256: weights.sha256.clone(),
            trained_here: is_trained_here,
        });
        if let Some(earlier) = &earlier {
            remove_results(out, earlier.archive.as_deref())?;
            // The timing record belongs to the existing predictions: keep it only with them.
            if !is_same(earlier) {
                remove(&out.join(TIMING))?;
            }
        }
        let record = Self {
            identity: Some(identity.to_owned()),
            untrained: weights.is_none(),
            encoder_weights: earlier.and_then(|earlier| earlier.encoder_weights).filter(|_| is_trained_here),
            split: Some(split),
            patches: patches.len(),
            patch_ranges: fold_ranges(patches.iter().copied()),
            weights,
            notes: notes.to_vec(),
            ..Self::new(setup, environment, path)
        };
        record.write()?;
        Ok(record)
    }

    /// Records that results follow, before the first of them is written.
    pub(super) fn begin_results(&mut self) -> Outcome<()> {
        self.results = true;
        self.write()
    }

    /// Records the time rule's verdict, the archive and the findings.
    pub(super) fn judged(&mut self, limits: Limits, verdict: Verdict, archive: Option<&Path>, findings: Vec<Finding>) {
        self.time_rule = Some(TimeRule { limits, verdict });
        self.archive = archive.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        self.findings = findings;
    }

    /// Records the end of the run.
    pub(super) fn finish(&mut self) -> Outcome<()> {
        self.finished = Some(now());
        self.write()
    }
}

/// Refuses a folder with results that its run did not make: `score --out` may have written them there.
/// `is_owner` is whether its run has written results; `None` without a record of a run.
fn check_results(out: &Path, is_owner: Option<bool>) -> Outcome<()> {
    if is_owner == Some(true) {
        return Ok(());
    }
    match results::of_run().find(|result| out.join(result).exists()) {
        Some(result) => {
            let what = if is_owner.is_some() { "its run did not make" } else { "no run made" };
            Err(anyhow!("`{}` holds `{result}`, which {what}: move it, or choose another --out", out.display()))
                .or_usage()
        }
        None => Ok(()),
    }
}

fn holds_something(folder: &Path) -> Outcome<bool> {
    Ok(folder.is_dir() && fs::read_dir(folder).or_environment()?.next().is_some())
}

/// Removes the files derived from the predictions: an archive or a score must never belong to other predictions.
fn remove_results(out: &Path, archive: Option<&str>) -> Outcome<()> {
    // The record may have been edited: use the name of its path alone, so that nothing outside is removed.
    let archive = archive.and_then(|name| Path::new(name).file_name()).map(|name| out.join("submission").join(name));
    results::of_run().map(|result| out.join(result)).chain(archive).try_for_each(|path| remove(&path))
}

/// Removes a file, if it exists.
fn remove(path: &Path) -> Outcome<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", path.display())).or_environment()
        }
        _ => Ok(()),
    }
}

/// Removes the predictions of this run's earlier weights.
fn remove_stale(folder: &Path) -> Outcome<()> {
    if !folder.exists() {
        return Ok(());
    }
    let source = Source::open(folder).or_environment()?;
    let names: Vec<_> = predictions(&source).map(|(_, entry)| folder.join(&entry.name)).collect();
    names.iter().try_for_each(|path| remove(path))?;
    if !names.is_empty() {
        say(&format!("note: {} predictions of this run's earlier weights are made again", names.len()));
    }
    Ok(())
}

/// Refuses a folder with predictions of patches that are not the run's.
pub(super) fn check_strays(folder: &Path, patches: &[PatchId]) -> Outcome<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let source = Source::open(folder).or_environment()?;
    let mut strays = predictions(&source).filter(|(id, _)| patches.binary_search(id).is_err());
    match strays.next() {
        Some((_, stray)) => Err(anyhow!(
            "`{}` holds {} predictions of other patches, such as `{}`: remove them, or choose another --out",
            folder.display(),
            1 + strays.count(),
            stray.name
        ))
        .or_usage(),
        None => Ok(()),
    }
}

/// Hash of everything that determines the predictions: version, device, on a GPU its arithmetic and the batch size, network, weights (or their seed), patches and
/// their data.
pub(super) fn identity(prediction: Prediction<'_>) -> anyhow::Result<String> {
    let Prediction { setup, patches, data, batch_size, .. } = prediction;
    let settings = setup.config.prediction_settings()?;
    let weights = match &setup.weights {
        Some(weights) => weights.sha256.clone(),
        None => format!("seed {}", setup.config.flair_bench.seed),
    };
    let patches: Vec<u32> = patches.iter().map(|id| id.number()).collect();
    let is_cpu = setup.device().is_cpu();
    let text = serde_json::to_vec(&(env!("CARGO_PKG_VERSION"), is_cpu, settings, weights, patches, data))?;
    if is_cpu {
        return Ok(sha256(text.as_slice())?);
    }
    // On a GPU the last bits also depend on the model, the arithmetic, and the batch that a patch is in.
    let Environment { gpu, arithmetic, .. } = setup.environment();
    let of_gpu = serde_json::to_vec(&(gpu.map(|gpu| gpu.name), arithmetic, batch_size))?;
    Ok(sha256([text, of_gpu].concat().as_slice())?)
}

pub(super) fn write_json(path: &Path, value: &impl serde::Serialize) -> Outcome<()> {
    let mut text = serde_json::to_string_pretty(value).or_environment()?;
    text.push('\n');
    write_file(path, text.as_bytes())
}
