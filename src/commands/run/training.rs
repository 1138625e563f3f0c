//! The first half: data in, checkpoints and curves out.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
};

use flair_baselines::{
    data::{DataError, Preprocessor, Split},
    train::{self, Beginning, Stopped, TrainError, TrainOptions, Trained},
    weights,
};

use super::{count, prediction::usable, record, setup::Setup};
use crate::{
    cli::{SetupArgs, TrainingArgs},
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, figure, say},
};

/// How a training ended.
pub(super) enum Ended {
    Done(Box<Trained>),
    Interrupted,
}

/// Set by Ctrl-C and SIGTERM while a training listens.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether one does.
static LISTENS: AtomicBool = AtomicBool::new(false);

/// Trains as the configuration says, into the run's folder.
pub(super) fn train(setup: &Setup, arguments: &TrainingArgs, bars: &Bars) -> Outcome<Ended> {
    let Setup { config, dataset, network, .. } = setup;
    let beginning = if arguments.resume { Beginning::Resume } else { Beginning::Fresh };
    record::begin_training(setup, beginning)?;
    let patches = Split::Train.patches(dataset, &config.flair_bench).or_input()?;
    let validation = match Split::Val.patches(dataset, &config.flair_bench) {
        Err(error @ DataError::EmptySplit { .. }) => {
            say(&format!("note: training without validation, best is the lowest training loss: {error}"));
            Vec::new()
        }
        other => other.or_input()?,
    };
    let preprocessor = Preprocessor::new(config, dataset).or_input()?;
    let all: Vec<_> = patches.iter().chain(&validation).copied().collect();
    usable(&preprocessor, &all)?;
    match &arguments.encoder_weights {
        Some(path) => {
            weights::load_encoder(path, network).or_input()?;
        }
        None => say(
            "note: the encoder begins with random weights; upstream's begins with ImageNet's, learns faster and scores \
             higher (--encoder-weights)",
        ),
    }
    say(&format!("training on {}, {}", count(&patches, "to learn from"), count(&validation, "to validate on")));
    let options = TrainOptions { workers: setup.workers, beginning, ..TrainOptions::new(config, &setup.out) };
    listen();
    LISTENS.store(true, Ordering::SeqCst);
    let trained = train::train(network, dataset, &patches, &validation, &options, &STOP, bars);
    LISTENS.store(false, Ordering::SeqCst);
    let trained = match trained {
        Err(error @ (TrainError::Setting(_) | TrainError::Occupied { .. } | TrainError::OtherRun { .. })) => {
            Err(error).or_usage()?
        }
        Err(error @ (TrainError::Device { .. } | TrainError::Write { .. })) => Err(error).or_environment()?,
        other => other.or_input()?,
    };
    if trained.stopped == Stopped::Interrupted {
        say(&format!(
            "stopped after step {}, with all that was learnt; go on with --out {} --resume",
            trained.steps,
            setup.out.display()
        ));
        return Ok(Ended::Interrupted);
    }
    Ok(Ended::Done(Box::new(trained)))
}

/// Says what a training came to.
pub(super) fn summarise(arguments: &SetupArgs, setup: &Setup, trained: &Trained) -> Outcome {
    let mut out = std::io::stdout().lock();
    let why = match trained.stopped {
        Stopped::Early => " (validation stopped to improve)",
        _ => "",
    };
    writeln!(out, "epochs      {}{why}, {} steps", trained.epochs, trained.steps)?;
    if let Some(best) = trained.best {
        writeln!(out, "best        epoch {}, loss {:.4}", best.epoch, best.loss)?;
        let validation =
            trained.history.iter().find(|epoch| epoch.epoch == best.epoch).and_then(|e| e.validation.as_ref());
        if let Some(validation) = validation {
            writeln!(out, "            validation mIoU {}", figure(validation.miou, 5))?;
        }
    }
    writeln!(out, "weights     {}", trained.checkpoints.best().display())?;
    writeln!(out, "            {}", trained.checkpoints.last().display())?;
    writeln!(out, "curves      {}", setup.out.join("training.svg").display())?;
    // The weights know the other settings.
    let data = match (&arguments.data, &arguments.config) {
        (Some(data), _) => format!(" --data {}", data.display()),
        (None, Some(config)) => format!(" --config {}", config.display()),
        (None, None) => String::new(),
    };
    writeln!(out, "next        flair-bench predict --weights {}{data}", trained.checkpoints.best().display())?;
    Ok(Exit::Done)
}

/// Ctrl-C and SIGTERM: a training finishes its step and saves; anything else ends at once, and can be resumed.
fn listen() {
    let handler = || {
        if !LISTENS.load(Ordering::SeqCst) || STOP.swap(true, Ordering::SeqCst) {
            #[expect(clippy::exit, reason = "the user asked for it, the second time in a training")]
            std::process::exit(130);
        }
        say("stopping after this step; once more to stop at once");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        say(&format!("warning: Ctrl-C will stop at once, without saving: {error}"));
    }
}
