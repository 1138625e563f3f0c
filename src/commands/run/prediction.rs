//! Prediction, the second half of a run: weights in; predictions, timing, score, figures and an archive out.

use std::{collections::BTreeSet, ffi::OsStr, io::Write, path::Path};

use anyhow::{Context, anyhow};
use flair_baselines::{
    data::{Files, Preprocessor, Split},
    predict::{self, CLOCK_COVERS, PredictError, PredictOptions, Predicted},
    runtime::Environment,
};
use flair_leaderboard::{Benchmarks, Description, Entry};
use flair_scoring::{
    PatchId,
    files::{MAX_RECORD, read_text},
    score::{Masks, Options},
    source::Source,
    submission::{ArchiveName, CheckOptions, Doubtful, PackError, Packed, Times, pack},
    text::counted,
    timing::{Devices, Limits, MonotonicClock, Timing, judge},
};

use super::{
    super::{
        results::{ENTRY, write_all, write_file},
        score::{Scored, score},
    },
    record::{Prediction, RunRecord, TIMING, write_json},
    setup::{Setup, usable},
    summary::{Summary, Unpacked},
};
use crate::{
    cli::PredictionArgs,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, rules, say, stderr, stdout, write_findings},
};

/// The note in every output on the toy dataset.
const TOY: &str = "the data are synthetic: the score says nothing of the challenge";
/// The note in every output of a network without weights.
const UNTRAINED: &str = "the model is untrained: its weights are random, and so is what it predicts";

/// The patches to predict.
pub(super) fn patches(setup: &Setup, arguments: &PredictionArgs) -> Outcome<Vec<PatchId>> {
    arguments.split.patches(&setup.dataset, &setup.config.split()).or_input()
}

/// The limits of the time rule.
pub(super) fn limits(arguments: &PredictionArgs) -> Outcome<Limits> {
    let PredictionArgs { time_limit, time_factor, baseline_time, .. } = arguments;
    let limits = Limits {
        device_seconds: *time_limit,
        factor: *time_factor,
        baseline_seconds: baseline_time.map(|time| time.duration().as_secs_f64()),
    };
    let is_sound = |value: f64| value.is_finite() && value > 0.0;
    if is_sound(limits.device_seconds) && is_sound(limits.factor) {
        Ok(limits)
    } else {
        Err(anyhow!("--time-limit and --time-factor must be above 0")).or_usage()
    }
}

/// A prediction and the steps after it: timing, score, archive, record.
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

    pub(super) fn run(&self, bars: &Bars) -> Outcome {
        let environment = self.setup.environment();
        let limits = limits(self.arguments)?;
        let predictions = self.setup.out.join("predictions");
        let preprocessor = Preprocessor::new(&self.setup.config.inputs(), &self.setup.dataset).or_input()?;
        usable(&preprocessor, &self.patches)?;
        let notes = self.notes();
        let data = preprocessor.identity(&self.patches, Files::Inputs).or_input()?;
        let mut record = RunRecord::begin(self.facts(&data, &notes), environment.clone(), &predictions)?;
        for note in &notes {
            say(&format!("note: {note}"));
        }
        let predicted = self.predict(&preprocessor, &predictions, bars)?;
        if predicted.kept > 0 {
            say(&format!("note: {} predictions were there already, and are kept", predicted.kept));
        }
        write_findings(&mut stderr(), &predicted.findings)?;
        if !predicted.failures.is_empty() {
            write_findings(&mut stderr(), &predicted.failures)?;
            return Err(anyhow!(
                "{} of {} cannot be predicted; the other predictions are in `{}`, without a score and an archive",
                predicted.failures.len(),
                counted(self.patches.len() as u64, "patch"),
                predictions.display()
            ))
            .or_input();
        }
        let timing = self.timing(&environment, &predicted, &limits)?;
        let verdict = judge(&timing, &limits);

        let source = Source::open(&predictions).or_environment()?;
        // Unusable masks prevent the score alone: the archive is made all the same.
        let (score, refused) = match self.score(&source, bars)? {
            Some(Scored::Report(report)) => (Some(report), None),
            Some(Scored::Refused(error, findings)) => {
                write_findings(&mut stderr(), &findings)?;
                (None, Some(error))
            }
            None => (None, None),
        };
        if let Some(report) = &score {
            record.begin_results()?;
            write_all(&self.setup.out, report)?;
        }
        let packed = match rules(&verdict) {
            _ if self.split != Split::Test => Err(Unpacked::OtherSplit(self.split)),
            broken if verdict.is_over() => Err(Unpacked::OverTime(broken)),
            _ => self.package(&source, &timing, bars)?,
        };
        let archive = packed.as_ref().ok().map(|packed| packed.path.as_path());
        record.judged(limits, verdict, archive, predicted.findings);
        record.finish()?;
        if score.is_some() {
            self.write_entry()?;
        }
        let is_negative = verdict.is_over() || matches!(packed, Err(Unpacked::OverTime(_) | Unpacked::Invalid(_)));
        let summary = Summary {
            out: &self.setup.out,
            notes: &notes,
            timing: &timing,
            verdict: &verdict,
            score: score.as_deref(),
            packed: packed.as_ref(),
        };
        write!(stdout(), "{summary}")?;
        if let Some(error) = refused {
            return Err(error).or_input();
        }
        Ok(if is_negative { Exit::Negative } else { Exit::Done })
    }

    fn predict(&self, preprocessor: &Preprocessor<'_>, out: &Path, bars: &Bars) -> Outcome<Predicted> {
        let Setup { network, workers, .. } = &self.setup;
        let options = PredictOptions { batch_size: self.batch_size(), workers: *workers };
        let clock = MonotonicClock::default();
        match predict::predict(network, preprocessor, &self.patches, out, options, &clock, bars) {
            Err(
                error @ (PredictError::Device { .. } | PredictError::OutOfMemory { .. } | PredictError::Write { .. }),
            ) => Err(error).or_environment(),
            other => other.or_input(),
        }
    }

    /// Writes the timing record and returns it. A resumed run keeps the earlier record if it predicted nothing more, or
    /// if that record was over time already.
    fn timing(&self, environment: &Environment, predicted: &Predicted, limits: &Limits) -> Outcome<Timing> {
        let path = self.setup.out.join(TIMING);
        if predicted.kept > 0 {
            let earlier = read_text(&path, MAX_RECORD).ok().and_then(|text| serde_json::from_str(&text).ok());
            let counts = |earlier: &Timing| predicted.predicted == 0 || judge(earlier, limits).is_over();
            if let Some(earlier) = earlier.filter(counts) {
                return Ok(earlier);
            }
        }
        let timing = Timing {
            kept_patches: predicted.kept,
            covers: CLOCK_COVERS.map(str::to_owned).into(),
            device: environment.device.clone(),
            hardware: environment.hardware(),
            threads: u32::try_from(environment.threads).unwrap_or(u32::MAX),
            version: environment.flair_bench.clone(),
            notes: self.notes(),
            ..Timing::new(predicted.elapsed, predicted.predicted, Devices { nodes: 1, per_node: 1 })
        };
        write_json(&path, &timing)?;
        Ok(timing)
    }

    /// The score; `None` if a patch of the run has no mask.
    fn score(&self, source: &Source, bars: &Bars) -> Outcome<Option<Scored>> {
        let records = self.patches.iter().filter_map(|id| self.setup.dataset.patches.get(id));
        let masks: Masks = records.filter_map(|record| Some((record.id, record.mask.clone()?))).collect();
        let without = self.patches.len() - masks.len();
        if without > 0 {
            say(&format!(
                "note: not scored, since {without} of {} have no mask: {}",
                counted(self.patches.len(), "patch"),
                self.where_masks_were_sought()
            ));
            return Ok(None);
        }
        let mut scored = score(&masks, source, &Options::default(), bars)?;
        if let Scored::Report(report) = &mut scored {
            report.notes.extend(self.notes());
        }
        Ok(Some(scored))
    }

    /// Where the dataset's masks were sought, for a message.
    fn where_masks_were_sought(&self) -> String {
        let Setup { root, config, .. } = &self.setup;
        let named = [&config.data.path_labels_train, &config.data.path_labels_test];
        let named = named.into_iter().filter(|path| !path.is_empty()).cloned();
        let folders: Vec<_> = match root {
            Some(root) => vec![format!("`{}`", root.display())],
            None => named.map(|path| format!("`{path}`")).collect(),
        };
        if folders.is_empty() {
            return "the configuration names no folder of masks (`data.path_labels_test`)".to_owned();
        }
        format!("no MSK_*.tif of theirs is below {}", folders.join(" or "))
    }

    /// The submission archive, or why there is none.
    fn package(&self, source: &Source, timing: &Timing, bars: &Bars) -> Outcome<Result<Packed, Unpacked>> {
        // A time that does not cover the whole run must not be declared in the archive's name.
        let baseline = self.arguments.baseline_time.filter(|_| timing.is_whole());
        let times =
            baseline.zip(timing.elapsed()).map(|(baseline, elapsed)| Times { baseline, submission: elapsed.into() });
        let name = &self.setup.name;
        let name = if self.is_untrained() { format!("{name}-untrained") } else { name.clone() };
        let name = ArchiveName::new(&name, times).or_usage()?;
        let expected: BTreeSet<PatchId> = self.patches.iter().copied().collect();
        let folder = self.setup.out.join("submission");
        // Our own networks count classes from 0: what looks otherwise is what they learnt.
        match pack(source, Some(&expected), &CheckOptions::default(), Doubtful::Accept, &folder, &name, bars) {
            Err(PackError::Refused(report)) => Ok(Err(Unpacked::Invalid(report))),
            Err(error) => Err(error).or_environment(),
            Ok(packed) => Ok(Ok(packed)),
        }
    }

    /// Writes `leaderboard.json`, the run's leaderboard entry.
    fn write_entry(&self) -> Outcome<()> {
        let out = &self.setup.out;
        // `--out .` has no name of its own.
        let absolute =
            out.canonicalize().with_context(|| format!("cannot find `{}`", out.display())).or_environment()?;
        let name = absolute.file_name().unwrap_or(OsStr::new("run"));
        let description = Description {
            name: name.to_string_lossy().into_owned(),
            input: self.setup.input().to_owned(),
            date: Some(jiff::Zoned::now().date().to_string()),
            doubtful: Doubtful::Accept,
            ..Description::default()
        };
        let entry = Benchmarks::known(&[]).and_then(|known| Entry::from_run(out, &description, &known));
        match entry {
            Ok(entry) => write_file(&out.join(ENTRY), entry.to_json().as_bytes()),
            // Masks that have only classes outside the mean have no mIoU, so the run has no entry.
            Err(error) => {
                say(&format!("note: no leaderboard row: {error}"));
                Ok(())
            }
        }
    }
}
