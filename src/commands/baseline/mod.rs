//! `flair-bench run baseline`: data and weights in; predictions, timing, score, figures and an archive out.

mod plan;
mod record;
mod summary;

use std::{collections::BTreeSet, fs, io::Write, path::Path};

use anyhow::anyhow;
use flair_baselines::{
    config::Model,
    data::Preprocessor,
    predict::{self, CLOCK_COVERS, PredictError, PredictOptions, Predicted},
    runtime::Environment,
};
use flair_leaderboard::{Description, Entry};
use flair_scoring::{
    PatchId, ScoreReport,
    evaluate::Options,
    pairing::Masks,
    submission::{ArchiveName, CheckOptions, PackError, Packed, Source, Times, pack},
    timing::{Devices, Limits, MonotonicClock, Timing, judge},
};

use self::{plan::Plan, record::RunRecord, summary::Summary};
use super::score::{score, write_all, write_file};
use crate::{
    cli::BaselineArgs,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, say, write_findings},
};

/// What every output of a network without weights says.
const UNTRAINED: &str = "the model is untrained: its weights are random, and so is what it predicts";
/// What every output of a run on the toy dataset says.
const TOY: &str = "the data are synthetic: the score says nothing of the challenge";

pub(crate) fn run(arguments: &BaselineArgs) -> Outcome {
    let bars = Bars::new();
    let plan = Plan::new(arguments, &bars)?;
    let environment = Environment::of(plan.device());
    let limits = limits(arguments)?;
    let record = RunRecord::begin(&plan, environment.clone())?;
    for note in plan.notes() {
        say(&format!("note: {note}"));
    }

    let predictions = plan.out.join("predictions");
    let predicted = predict(&plan, &predictions, &bars)?;
    report_findings(&predicted)?;
    let timing = timing(&plan, &environment, &predicted)?;
    let verdict = judge(&timing, &limits);

    let source = Source::open(&predictions).or_environment()?;
    let score = score_labelled(&plan, &source, &bars)?;
    if let Some(report) = &score {
        write_all(&plan.out, report)?;
    }
    let packed = package(&plan, &source, &timing, arguments, &bars)?;
    record.finish()?;
    if score.is_some() {
        write_entry(&plan)?;
    }

    let is_negative = verdict.is_over() || packed.is_err();
    let summary =
        Summary { plan: &plan, timing: &timing, verdict: &verdict, score: score.as_ref(), packed: packed.as_ref() };
    write!(std::io::stdout(), "{summary}")?;
    Ok(if is_negative { Exit::Negative } else { Exit::Done })
}

fn limits(arguments: &BaselineArgs) -> Outcome<Limits> {
    let limits = Limits {
        device_seconds: arguments.time_limit,
        factor: arguments.time_factor,
        baseline_seconds: arguments.baseline_time.map(|time| time.duration().as_secs_f64()),
    };
    let is_sound = |value: f64| value.is_finite() && value > 0.0;
    if is_sound(limits.device_seconds) && is_sound(limits.factor) {
        Ok(limits)
    } else {
        Err(anyhow!("--time-limit and --time-factor must be above 0")).or_usage()
    }
}

fn predict(plan: &Plan, out: &Path, bars: &Bars) -> Outcome<Predicted> {
    let preprocessor = Preprocessor::new(&plan.config, &plan.dataset).or_input()?;
    let options = PredictOptions { batch_size: plan.batch_size, workers: plan.workers };
    let result =
        predict::predict(&plan.network, &preprocessor, &plan.patches, out, options, &MonotonicClock::default(), bars);
    match result {
        Err(error @ (PredictError::Device { .. } | PredictError::Write { .. })) => Err(error).or_environment(),
        other => other.or_input(),
    }
}

fn report_findings(predicted: &Predicted) -> Outcome<()> {
    if predicted.kept > 0 {
        say(&format!("note: {} predictions of an earlier, stopped run were kept", predicted.kept));
    }
    write_findings(&mut std::io::stderr(), &predicted.findings)?;
    Ok(())
}

/// The record of the time, and its file. A run that had nothing left to do keeps the record that it has.
fn timing(plan: &Plan, environment: &Environment, predicted: &Predicted) -> Outcome<Timing> {
    let path = plan.out.join("timing.json");
    if predicted.predicted == 0 {
        let earlier = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str(&text).ok());
        if let Some(earlier) = earlier {
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
        notes: plan.notes(),
        ..Timing::new(predicted.elapsed, predicted.predicted, Devices { nodes: 1, per_node: 1 })
    };
    write_json(&path, &timing)?;
    Ok(timing)
}

/// The score, where every patch of the run has a mask.
fn score_labelled(plan: &Plan, source: &Source, bars: &Bars) -> Outcome<Option<ScoreReport>> {
    let mut masks = Masks::default();
    for record in plan.patches.iter().filter_map(|id| plan.dataset.patches.get(id)) {
        if let Some(mask) = &record.mask {
            masks.add(record.id, mask.clone());
        }
    }
    let without = plan.patches.len() - masks.len();
    if without > 0 {
        say(&format!("note: not scored, since {without} of {} patches have no mask", plan.patches.len()));
        return Ok(None);
    }
    let mut report = score(&masks, source, &Options::default(), bars)?;
    report.notes.extend(plan.notes());
    Ok(Some(report))
}

/// The submission archive, or why there is none.
fn package(
    plan: &Plan,
    source: &Source,
    timing: &Timing,
    arguments: &BaselineArgs,
    bars: &Bars,
) -> Outcome<Result<Packed, PackError>> {
    let submission = timing.elapsed().unwrap_or_default().into();
    // A time that does not cover the whole run has no place in the archive's name.
    let baseline = arguments.baseline_time.filter(|_| timing.is_whole());
    let times = baseline.map(|baseline| Times { baseline, submission });
    let name = if plan.is_untrained() { format!("{}-untrained", plan.name) } else { plan.name.clone() };
    let name = ArchiveName::new(&name, times).or_usage()?;
    let expected: BTreeSet<PatchId> = plan.patches.iter().copied().collect();
    match pack(source, Some(&expected), &CheckOptions::default(), &plan.out.join("submission"), &name, bars) {
        Err(error) if error.report().is_none() => Err(error).or_environment(),
        other => Ok(other),
    }
}

/// `leaderboard.json`: the run's row, ready to be added.
fn write_entry(plan: &Plan) -> Outcome<()> {
    let description = Description {
        name: plan.out.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        input: match plan.config.flair_bench.model {
            Model::Unet => "aerial".to_owned(),
            Model::Utt => "aerial+S2".to_owned(),
        },
        date: Some(jiff::Zoned::now().date().to_string()),
        ..Description::default()
    };
    match Entry::from_run(&plan.out, &description) {
        Ok(entry) => write_file(&plan.out.join("leaderboard.json"), entry.to_json().as_bytes()),
        // Masks of classes that are all outside the mean have no mIoU, and make no row.
        Err(error) => {
            say(&format!("note: no leaderboard row: {error}"));
            Ok(())
        }
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Outcome<()> {
    let mut text = serde_json::to_string_pretty(value).or_environment()?;
    text.push('\n');
    write_file(path, text.as_bytes())
}
