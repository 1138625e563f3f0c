//! The end of a run: complete predictions and their time in; verdict of the time rule, score, figures, archive, record and
//! leaderboard entry out.

use std::{collections::BTreeSet, ffi::OsStr, io::Write, path::Path};

use anyhow::{Context, anyhow};
use flair_baselines::{
    config::{Config, Model},
    data::{Dataset, Split},
};
use flair_leaderboard::{Benchmarks, Description, Entry};
use flair_scoring::{
    Finding, PatchId,
    score::{Masks, Options},
    source::Source,
    submission::{ArchiveName, CheckOptions, Doubtful, PackError, Packed, Times, pack},
    text::counted,
    timing::{Limits, Timing, judge},
};

use super::{
    super::{
        results::{ENTRY, write_all, write_file},
        score::{Scored, score},
    },
    folder::PREDICTIONS,
    record::RunRecord,
    summary::{Summary, Unpacked},
};
use crate::{
    cli::TimeRuleArgs,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, rules, say, stderr, stdout, write_findings},
};

/// The limits of the time rule.
pub(super) fn limits(arguments: &TimeRuleArgs) -> Outcome<Limits> {
    let TimeRuleArgs { time_limit, time_factor, baseline_time } = arguments;
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

/// A run whose patches are all predicted.
pub(super) struct Conclusion<'a> {
    /// The run's folder.
    pub(super) out: &'a Path,
    pub(super) dataset: &'a Dataset,
    pub(super) split: Split,
    /// All patches of the run.
    pub(super) patches: &'a [PatchId],
    pub(super) rule: &'a TimeRuleArgs,
    pub(super) record: RunRecord,
}

impl Conclusion<'_> {
    /// Judges the time, scores and packs the predictions, and writes everything but the timing record. `findings` are
    /// those about the data, made during the prediction.
    pub(super) fn write(mut self, timing: &Timing, findings: Vec<Finding>, bars: &Bars) -> Outcome {
        let limits = limits(self.rule)?;
        let verdict = judge(timing, &limits);
        let source = Source::open(&self.out.join(PREDICTIONS)).or_environment()?;
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
            self.record.begin_results()?;
            write_all(self.out, report)?;
        }
        let packed = match rules(&verdict) {
            _ if self.split != Split::Test => Err(Unpacked::OtherSplit(self.split)),
            broken if verdict.is_over() => Err(Unpacked::OverTime(broken)),
            _ => self.package(&source, timing, bars)?,
        };
        let archive = packed.as_ref().ok().map(|packed| packed.path.as_path());
        self.record.judged(limits, verdict, archive, findings);
        self.record.finish()?;
        if score.is_some() {
            self.write_entry()?;
        }
        let is_negative = verdict.is_over() || matches!(packed, Err(Unpacked::OverTime(_) | Unpacked::Invalid(_)));
        let summary = Summary {
            out: self.out,
            notes: &self.record.notes,
            timing,
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

    /// The score; `None` if a patch of the run has no mask.
    fn score(&self, source: &Source, bars: &Bars) -> Outcome<Option<Scored>> {
        let records = self.patches.iter().filter_map(|id| self.dataset.patches.get(id));
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
            report.notes.extend(self.record.notes.iter().cloned());
        }
        Ok(Some(scored))
    }

    /// Where the dataset's masks were sought, for a message.
    fn where_masks_were_sought(&self) -> String {
        let RunRecord { data: root, config, .. } = &self.record;
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
        let baseline = self.rule.baseline_time.filter(|_| timing.is_whole());
        let times =
            baseline.zip(timing.elapsed()).map(|(baseline, elapsed)| Times { baseline, submission: elapsed.into() });
        let name = &self.record.preset;
        let name = if self.record.untrained { format!("{name}-untrained") } else { name.clone() };
        let name = ArchiveName::new(&name, times).or_usage()?;
        let expected: BTreeSet<PatchId> = self.patches.iter().copied().collect();
        let folder = self.out.join("submission");
        // Our own networks count classes from 0: what looks otherwise is what they learnt.
        match pack(source, Some(&expected), &CheckOptions::default(), Doubtful::Accept, &folder, &name, bars) {
            Err(PackError::Refused(report)) => Ok(Err(Unpacked::Invalid(report))),
            Err(error) => Err(error).or_environment(),
            Ok(packed) => Ok(Ok(packed)),
        }
    }

    /// Writes `leaderboard.json`, the run's leaderboard entry.
    fn write_entry(&self) -> Outcome<()> {
        let out = self.out;
        // `--out .` has no name of its own.
        let absolute =
            out.canonicalize().with_context(|| format!("cannot find `{}`", out.display())).or_environment()?;
        let name = absolute.file_name().unwrap_or(OsStr::new("run"));
        let description = Description {
            name: name.to_string_lossy().into_owned(),
            input: input(&self.record.config).to_owned(),
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

/// The input data of the network, as a leaderboard entry names them.
fn input(config: &Config) -> &'static str {
    match config.flair_bench.model {
        Model::Unet => "aerial",
        Model::Utt => "aerial+S2",
    }
}
