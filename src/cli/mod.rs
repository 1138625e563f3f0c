//! The arguments of each subcommand. What a subcommand does is in `commands`.

mod bundle;
mod check;
mod codalab;
mod command;
#[cfg(feature = "baselines")]
mod data;
mod depth;
mod generate;
mod leaderboard;
mod package;
mod protocol;
#[cfg(feature = "baselines")]
mod run;
mod score;
mod shared;
#[cfg(feature = "baselines")]
mod weights;

pub(crate) use bundle::{BundleArgs, PlatformArg};
pub(crate) use check::CheckArgs;
pub(crate) use codalab::CodalabArgs;
pub(crate) use command::{Cli, Command};
#[cfg(feature = "baselines")]
pub(crate) use data::{AuditArgs, DataCommand, ToyArgs};
pub(crate) use depth::{DepthArgs, UnitArg};
pub(crate) use generate::{CompletionsArgs, ManArgs};
pub(crate) use leaderboard::{AddArgs, LeaderboardArgs, LeaderboardCommand};
pub(crate) use package::PackageArgs;
pub(crate) use protocol::ProtocolArgs;
#[cfg(feature = "baselines")]
pub(crate) use run::{
    BaselineArgs, FinishArgs, PredictArgs, PredictionArgs, RunCommand, SetupArgs, TimeRuleArgs, TrainArgs,
    TrainingArgs, UseArg,
};
pub(crate) use score::{FormatArg, OutOfRangeArg, ScoreArgs};
pub(crate) use shared::{ByArgs, ExpectedArgs, FindingsArgs, RulesArgs};
#[cfg(feature = "baselines")]
pub(crate) use weights::{ConvertArgs, InspectArgs, WeightsCommand};
