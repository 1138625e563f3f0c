//! `flair-bench run baseline`, and its two halves `train` and `predict`.

mod folder;
mod prediction;
mod record;
mod setup;
mod summary;
mod training;
mod weights;

use self::{
    prediction::Job,
    setup::{Purpose, Setup},
    training::Ended,
    weights::Weights,
};
use crate::{
    cli::{BaselineArgs, PredictArgs, TrainArgs},
    exit::{Exit, Outcome},
    ui::Bars,
};

pub(crate) fn baseline(arguments: &BaselineArgs) -> Outcome {
    let bars = Bars::new();
    // Check the arguments of the second half before the first one runs for hours.
    prediction::limits(&arguments.prediction)?;
    if let Some(weights) = &arguments.weights {
        let purpose = Purpose::Prediction(Some(weights), arguments.prediction.split);
        let setup = Setup::new(&arguments.setup, purpose, &bars)?;
        return Job::new(setup, &arguments.prediction)?.run(&bars);
    }
    let mut setup = Setup::new(&arguments.setup, Purpose::Training, &bars)?;
    let predicted = prediction::patches(&setup, &arguments.prediction)?;
    let trained = match training::train(&setup, &arguments.training, &predicted, &bars)? {
        Ended::Interrupted => return Ok(Exit::Interrupted),
        // The prediction writes its own record.
        Ended::Done(trained, _) => trained,
    };
    let file = training::weights_of(&trained, arguments.which)?;
    setup.weights = Some(Weights::trained_here(&file, &setup.network)?);
    Job::new(setup, &arguments.prediction)?.run(&bars)
}

pub(crate) fn train(arguments: &TrainArgs) -> Outcome {
    let bars = Bars::new();
    let setup = Setup::new(&arguments.setup, Purpose::Training, &bars)?;
    match training::train(&setup, &arguments.training, &[], &bars)? {
        Ended::Interrupted => Ok(Exit::Interrupted),
        Ended::Done(trained, record) => {
            record.map(|record| record.finish()).transpose()?;
            training::summarise(&arguments.setup, &setup, &trained)
        }
    }
}

pub(crate) fn predict(arguments: &PredictArgs) -> Outcome {
    let bars = Bars::new();
    let purpose = Purpose::Prediction(arguments.weights.as_deref(), arguments.prediction.split);
    let setup = Setup::new(&arguments.setup, purpose, &bars)?;
    Job::new(setup, &arguments.prediction)?.run(&bars)
}
