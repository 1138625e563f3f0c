//! Training, the first half of a run: data in, checkpoints and curves out.

use std::{collections::BTreeSet, io::Write, path::PathBuf};

use anyhow::anyhow;

use flair_baselines::{
    data::{DataError, Preprocessor, Split},
    models::Network,
    ranks::{Ranks, RanksError},
    runtime::Environment,
    train::{Beginning, Checkpoints, Stopped, TrainError, TrainOptions, Trained, Trainer},
    weights::{self, EncoderWeights, WeightsError},
};
use flair_scoring::{PatchId, text::counted};

use super::{
    record::RunRecord,
    setup::{Setup, usable},
    weights::with_exit_code as weights_with_exit_code,
};
use crate::{
    cli::{SetupArgs, TrainingArgs, UseArg},
    exit::{Exit, OrExit, Outcome},
    interrupt::stoppable,
    ui::{Bars, figure, quoted, say, stdout},
};

/// How a training ended.
pub(super) enum Ended {
    /// Done. The record is `None` if nothing was left to train.
    Done(Box<Trained>, Option<Box<RunRecord>>),
    Interrupted,
}

/// Trains by the configuration, into the run's folder. Checks the patches to predict afterwards too, before hours of
/// training.
pub(super) fn train(
    setup: &Setup,
    arguments: &TrainingArgs,
    predicted: &[PatchId],
    ranks: &Ranks,
    bars: &Bars,
) -> Outcome<Ended> {
    let Setup { config, dataset, network, .. } = setup;
    let beginning = beginning(arguments);
    let patches = Split::Train.patches(dataset, &config.split()).or_input()?;
    let validation = match Split::Val.patches(dataset, &config.split()) {
        Err(error @ DataError::EmptySplit { .. }) => {
            say(&format!("note: training without validation, best is the lowest training loss: {error}"));
            Vec::new()
        }
        other => other.or_input()?,
    };
    let preprocessor = Preprocessor::new(&config.inputs(), dataset).or_input()?;
    let all: BTreeSet<_> = patches.iter().chain(&validation).chain(predicted).copied().collect();
    // Rank 0 for all: many ranks would be many times the load.
    if ranks.is_first() {
        usable(&preprocessor, &Vec::from_iter(all))?;
    }
    let encoder = if beginning.resumes(&Checkpoints::of(&setup.out)) {
        say(&format!("continuing the training in {}", setup.out.display()));
        None
    } else {
        if beginning == Beginning::Resume {
            say(&format!("note: there is nothing to resume in {}: starting a new run", setup.out.display()));
        }
        encoder(arguments, network)?
    };
    // Rank 0 writes.
    let record = if ranks.is_first() { Some(RunRecord::of_training(setup, encoder, beginning)?) } else { None };
    say(&format!("training on {}, {}", count(&patches, "to learn from"), count(&validation, "to validate on")));
    let options = config.training(&setup.out).or_usage()?;
    let ranks = ranks.clone().on(setup.device()).or_environment()?;
    if !ranks.is_alone() {
        say(&format!(
            "note: {} ranks × batches of {} = {} patches a step; the learning rate stays {}",
            ranks.size(),
            options.batch_size * options.accumulate,
            ranks.size() * options.batch_size * options.accumulate,
            options.learning_rate
        ));
    }
    let mut options = TrainOptions { workers: setup.workers, beginning, ranks, ..options };
    // On the CPU the bits depend on nothing else. Its runs keep the identity that they had before there were GPUs.
    let Environment { gpu, arithmetic, .. } = setup.environment();
    if let Some(arithmetic) = arithmetic {
        let gpu = gpu.map_or_else(|| "unknown GPU".to_owned(), |gpu| gpu.name);
        options.settings.insert("device".to_owned(), format!("{gpu}, {arithmetic}"));
    }
    let trainer = Trainer::new(network, &preprocessor, (&patches, &validation), &options).or_else(with_exit_code)?;
    if let Some(before) = trainer.ranks_before().filter(|_| !trainer.is_over()) {
        say(&format!(
            "note: the number of ranks changes from {before} to {}: a step has other patches from here on, and the result \
             differs from that of a run with one number",
            options.ranks.size()
        ));
    }
    let mut record = record.filter(|_| !trainer.is_over());
    if let Some(record) = &mut record {
        record.begin_training(&setup.out)?;
    }
    let trained = stoppable(|stop| trainer.run(stop, bars)).or_else(with_exit_code)?;
    if trained.stopped == Stopped::Interrupted {
        say(&format!(
            "stopped after step {}, and saved; repeat the command with --out {} --resume to continue",
            trained.steps,
            quoted(&setup.out.to_string_lossy())
        ));
        return Ok(Ended::Interrupted);
    }
    Ok(Ended::Done(Box::new(trained), record.map(Box::new)))
}

/// Whether the user has a training resumed.
pub(super) fn beginning(arguments: &TrainingArgs) -> Beginning {
    if arguments.resume { Beginning::Resume } else { Beginning::Fresh }
}

/// Chooses the exit code of a training error.
fn with_exit_code<T>(error: TrainError) -> Outcome<T> {
    match error {
        TrainError::Setting(_)
        | TrainError::Occupied { .. }
        | TrainError::OtherRun { .. }
        | TrainError::OtherRanks { .. }
        | TrainError::Ranks(RanksError::Different(_)) => Err(error).or_usage(),
        TrainError::Device { .. }
        | TrainError::OutOfMemory { .. }
        | TrainError::Write { .. }
        | TrainError::Ranks(_) => Err(error).or_environment(),
        // A full disk is a fault of the environment, not of the data.
        TrainError::Weights(error) if matches!(*error, WeightsError::Io { .. } | WeightsError::Device { .. }) => {
            Err(error).or_environment()
        }
        _ => Err(error).or_input(),
    }
}

/// Loads the user's encoder weights, if any.
fn encoder(arguments: &TrainingArgs, network: &Network) -> Outcome<Option<EncoderWeights>> {
    if let Some(path) = &arguments.encoder_weights {
        let encoder = weights::load_encoder(path, network).or_else(weights_with_exit_code)?;
        say(&format!("the encoder starts with {}", encoder.path.display()));
        return Ok(Some(encoder));
    }
    say("note: the encoder starts with random weights; upstream's starts with ImageNet's, learns faster and scores \
         higher (--encoder-weights)");
    Ok(None)
}

/// The weights of a training to predict with.
pub(super) fn weights_of(trained: &Trained, which: UseArg) -> Outcome<PathBuf> {
    match which {
        UseArg::Best if trained.best.is_none() => {
            let why = "no epoch had a finite validation loss, so that no weights are the best";
            Err(anyhow!("{why}: check the data of the validation patches, or predict with `--use last`")).or_input()
        }
        UseArg::Best => Ok(trained.checkpoints.best()),
        UseArg::Last => Ok(trained.checkpoints.last()),
    }
}

/// Prints the summary of a training.
pub(super) fn summarise(arguments: &SetupArgs, setup: &Setup, trained: &Trained) -> Outcome {
    let mut out = stdout();
    let why = match trained.stopped {
        Stopped::Early => " (validation stopped improving)",
        _ => "",
    };
    writeln!(out, "epochs      {}{why}, {}", trained.epochs, counted(trained.steps, "step"))?;
    if let Some(best) = trained.best {
        writeln!(out, "best        epoch {}, loss {:.4}", best.epoch, best.loss)?;
        let validation =
            trained.history.iter().find(|epoch| epoch.epoch == best.epoch).and_then(|e| e.validation.as_ref());
        if let Some(validation) = validation {
            writeln!(out, "            validation mIoU {}", figure(validation.miou, 5))?;
        }
    }
    let weights = weights_of(trained, UseArg::Best).unwrap_or_else(|_| trained.checkpoints.last());
    writeln!(out, "weights     {}", weights.display())?;
    if trained.best.is_some() {
        writeln!(out, "            {}", trained.checkpoints.last().display())?;
    } else {
        writeln!(out, "            no epoch had a finite validation loss: no weights are the best")?;
    }
    writeln!(out, "curves      {}", setup.out.join("training.svg").display())?;
    writeln!(
        out,
        "next        flair-bench predict --weights {}{}",
        quoted(&weights.to_string_lossy()),
        where_data_are(arguments)
    )?;
    Ok(Exit::Done)
}

/// The arguments that a prediction needs to find the data of a training. The weights record the other settings, unless
/// the user named a configuration.
fn where_data_are(arguments: &SetupArgs) -> String {
    let flag = |flag: &str, value: &str| format!(" --{flag} {}", quoted(value));
    let path = |name: &str, path: &Option<PathBuf>| path.as_ref().map(|path| flag(name, &path.to_string_lossy()));
    let set = arguments.set.iter().filter(|set| arguments.config.is_some() || set.starts_with("data."));
    let paths = [path("config", &arguments.config), path("data", &arguments.data)];
    paths.into_iter().flatten().chain(set.map(|set| flag("set", set))).collect()
}

/// Numbers of patches, for messages.
fn count(patches: &[PatchId], what: &str) -> String {
    format!("{} {what}", counted(patches.len(), "patch"))
}
