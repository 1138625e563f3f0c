//! `flair-bench run baseline`, and its two halves `train` and `predict`; `finish` joins the shards of a prediction.

mod conclusion;
mod finish;
mod folder;
mod prediction;
mod ranks;
mod record;
mod setup;
mod shard;
mod summary;
mod training;
mod weights;

use anyhow::anyhow;
use flair_baselines::ranks::{Job as OfProcess, Ranks};

use self::{
    conclusion::limits,
    folder::Sharing,
    prediction::Job,
    ranks::joined,
    setup::{Purpose, Setup},
    training::Ended,
    weights::Weights,
};
use crate::{
    cli::{BaselineArgs, FinishArgs, PredictArgs, TrainArgs},
    exit::{Exit, OrExit, Outcome},
    ui::Bars,
};

pub(crate) fn baseline(arguments: &BaselineArgs) -> Outcome {
    joined(|ranks| {
        if !ranks.is_alone() {
            return Err(anyhow!(
                "`run baseline` is one process: with {} ranks, start `train`, and then `predict` with its weights",
                ranks.size()
            ))
            .or_usage();
        }
        let bars = Bars::new();
        // Check the arguments of the second half before the first one runs for hours.
        limits(&arguments.prediction.rule)?;
        if let Some(weights) = &arguments.weights {
            let purpose = Purpose::Prediction(Some(weights), arguments.prediction.split);
            let setup = Setup::new(&arguments.setup, purpose, Sharing::Alone, ranks, &bars)?;
            return Job::new(setup, &arguments.prediction)?.run(&bars);
        }
        let purpose = Purpose::Training(training::beginning(&arguments.training));
        let mut setup = Setup::new(&arguments.setup, purpose, Sharing::Alone, ranks, &bars)?;
        let predicted = prediction::patches(&setup, &arguments.prediction)?;
        let trained = match training::train(&setup, &arguments.training, &predicted, ranks, &bars)? {
            Ended::Interrupted => return Ok(Exit::Interrupted),
            // The prediction writes its own record.
            Ended::Done(trained, _) => trained,
        };
        let file = training::weights_of(&trained, arguments.which)?;
        setup.weights = Some(Weights::trained_here(&file, &setup.network)?);
        Job::new(setup, &arguments.prediction)?.run(&bars)
    })
}

pub(crate) fn train(arguments: &TrainArgs) -> Outcome {
    joined(|ranks| {
        let bars = Bars::new();
        let purpose = Purpose::Training(training::beginning(&arguments.training));
        let setup = Setup::new(&arguments.setup, purpose, Sharing::Alone, ranks, &bars)?;
        match training::train(&setup, &arguments.training, &[], ranks, &bars)? {
            Ended::Interrupted => Ok(Exit::Interrupted),
            Ended::Done(trained, record) => {
                record.map(|mut record| record.finish()).transpose()?;
                training::summarise(&arguments.setup, &setup, &trained)
            }
        }
    })
}

pub(crate) fn predict(arguments: &PredictArgs) -> Outcome {
    let command = |ranks: &Ranks| {
        let bars = Bars::new();
        let shard = shard::choose(arguments.shard, arguments.setup.out.as_deref(), ranks)?;
        let purpose = Purpose::Prediction(arguments.weights.as_deref(), arguments.prediction.split);
        let sharing = if shard.is_some() { Sharing::Shards } else { Sharing::Alone };
        let setup = Setup::new(&arguments.setup, purpose, sharing, ranks, &bars)?;
        let out = setup.out.clone();
        let job = Job::new(setup, &arguments.prediction)?;
        let Some(shard) = shard else { return job.run(&bars) };
        let exit = job.run_shard(shard, ranks, &bars)?;
        if ranks.is_alone() {
            return Ok(exit);
        }
        // Leaves the folder to rank 0.
        drop(job);
        ranks.barrier().or_environment()?;
        if ranks.is_first() {
            finish::join(&out, arguments.setup.data.as_deref(), &arguments.prediction.rule)
        } else {
            Ok(exit)
        }
    };
    // Tasks that know their shards need not know each other.
    match OfProcess::of_process() {
        OfProcess::Tasks(_) if arguments.shard.is_some() => command(&Ranks::alone()),
        _ => joined(command),
    }
}

pub(crate) fn finish(arguments: &FinishArgs) -> Outcome {
    finish::join(&arguments.run, arguments.data.as_deref(), &arguments.rule)
}
