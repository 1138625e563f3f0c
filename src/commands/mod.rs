//! What the subcommands do: arguments in, library calls, an exit code out. One file each.

mod bundle;
mod check;
mod codalab;
mod expected;
mod generate;
mod leaderboard;
mod lock;
mod package;
mod protocol;
mod results;
mod score;

#[cfg(feature = "baselines")]
mod data;
#[cfg(feature = "baselines")]
mod run;
#[cfg(feature = "baselines")]
mod weights;

#[cfg(feature = "baselines")]
use crate::cli::{DataCommand, RunCommand, WeightsCommand};
use crate::{
    cli::{Cli, Command},
    exit::Outcome,
};

pub(crate) fn dispatch(cli: Cli) -> Outcome {
    match cli.command {
        #[cfg(feature = "baselines")]
        Command::Run(RunCommand::Baseline(arguments)) => arguments.setup.on_kernels(|| run::baseline(&arguments)),
        #[cfg(feature = "baselines")]
        Command::Train(arguments) => arguments.setup.on_kernels(|| run::train(&arguments)),
        #[cfg(feature = "baselines")]
        Command::Predict(arguments) => arguments.setup.on_kernels(|| run::predict(&arguments)),
        #[cfg(feature = "baselines")]
        Command::Finish(arguments) => run::finish(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Package(arguments) => package::run(&arguments),
        Command::Protocol(arguments) => protocol::run(&arguments),
        Command::Leaderboard(arguments) => leaderboard::run(&arguments),
        Command::Codalab(arguments) => codalab::run(&arguments),
        Command::Bundle(arguments) => bundle::run(&arguments),
        #[cfg(feature = "baselines")]
        Command::Weights(WeightsCommand::Convert(arguments)) => weights::convert(&arguments),
        #[cfg(feature = "baselines")]
        Command::Weights(WeightsCommand::Inspect(arguments)) => weights::inspect(&arguments),
        #[cfg(feature = "baselines")]
        Command::Data(DataCommand::Audit(arguments)) => data::audit(&arguments),
        #[cfg(feature = "baselines")]
        Command::Data(DataCommand::Toy(arguments)) => data::toy(&arguments),
        Command::Completions(arguments) => generate::completions(&arguments),
        Command::Man(arguments) => generate::man(&arguments),
    }
}
