//! The command line: what can be said, not what is done.

mod bundle;
mod check;
mod codalab;
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
#[cfg(feature = "baselines")]
mod weights;

pub(crate) use bundle::{BundleArgs, PlatformArg};
pub(crate) use check::CheckArgs;
pub(crate) use codalab::CodalabArgs;
#[cfg(feature = "baselines")]
pub(crate) use data::{AuditArgs, DataCommand, ToyArgs};
pub(crate) use depth::{DepthArgs, UnitArg};
pub(crate) use generate::{CompletionsArgs, ManArgs};
pub(crate) use leaderboard::{AddArgs, LeaderboardArgs, LeaderboardCommand};
pub(crate) use package::PackageArgs;
pub(crate) use protocol::ProtocolArgs;
#[cfg(feature = "baselines")]
pub(crate) use run::{
    BaselineArgs, PredictArgs, PredictionArgs, RunCommand, SetupArgs, TrainArgs, TrainingArgs, UseArg,
};
pub(crate) use score::{FormatArg, OutOfRangeArg, ScoreArgs};
#[cfg(feature = "baselines")]
pub(crate) use weights::{ConvertArgs, InspectArgs, WeightsCommand};

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 done, and the verdict is negative (invalid submission, over time); 2 wrong usage or \
configuration; 3 input data bad or missing; 4 device, disk or system failed; 70 internal error.";

/// Evaluation and submission toolkit of the FLAIR #2 land-cover challenge
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say more of what is done (-v), or everything (-vv); `FLAIR_BENCH_LOG` takes finer filters
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a baseline: data in; weights, predictions, timing, score, figures and a submission archive out
    #[cfg(feature = "baselines")]
    #[command(subcommand)]
    Run(RunCommand),
    /// Train a baseline: the first half of `run baseline`
    #[cfg(feature = "baselines")]
    Train(TrainArgs),
    /// Predict with weights: the second half of `run baseline`
    #[cfg(feature = "baselines")]
    Predict(PredictArgs),
    /// Score predictions against masks, exactly as the challenge does
    Score(ScoreArgs),
    /// Check a submission, a folder or a zip, and tell everything that is wrong with it
    Check(CheckArgs),
    /// Pack predictions into a submission archive, if they pass the check
    Package(PackageArgs),
    /// Show the protocols and class lists that there are, or an example to begin your own with, or check a file
    Protocol(ProtocolArgs),
    /// Show the leaderboards, write them into a Markdown file, or add a run to them
    Leaderboard(LeaderboardArgs),
    /// Score a submission as a platform's scoring program: INPUT/ref and INPUT/res in, OUTPUT/scores.txt out
    Codalab(CodalabArgs),
    /// Make the bundle of a challenge for Codabench and CodaLab
    Bundle(BundleArgs),
    /// Convert and inspect the weights of networks
    #[cfg(feature = "baselines")]
    #[command(subcommand)]
    Weights(WeightsCommand),
    /// Audit a dataset, or make a synthetic one
    #[cfg(feature = "baselines")]
    #[command(subcommand)]
    Data(DataCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// Which patches a submission must hold.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ExpectedArgs {
    /// Dataset whose test patches are expected (the folder that holds `flair_2_aerial_test` and so on)
    #[cfg(feature = "baselines")]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Expect the challenge's 16,050 test patches, 077413 to 093462
    #[arg(long)]
    pub(crate) official: bool,

    /// File with the expected patches: a number, a file name or a range (`077413-093462`) a line, `#` for comments
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
}

/// By which classes and rules is scored, and what a prediction may hold.
#[derive(Debug, Args)]
pub(crate) struct ByArgs {
    /// Classes and rules of the mean: flair2 (the challenge's), flair-hub (IGN's later programs), or a file of your own
    /// that ends in .yml (`flair-bench protocol --example` shows how one looks)
    #[arg(long, value_name = "NAME|FILE", default_value = "flair2")]
    pub(crate) protocol: String,

    /// Other classes for the same rules: flair2-13, flair-19, flair-hub-19, or a file that ends in .yml
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) nomenclature: Option<String>,
}

/// By which rules a submission is checked.
#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// How many times the baseline's time a submission may declare
    #[arg(long, value_name = "TIMES", default_value_t = 2.5, value_parser = codalab::above_0)]
    pub(crate) factor: f64,
}

/// How many findings are told.
#[derive(Debug, Args)]
pub(crate) struct FindingsArgs {
    /// Most findings to tell, the weightiest first; 0 tells all [default: 50, or all of them as JSON]
    #[arg(long, value_name = "N")]
    pub(crate) max_findings: Option<usize>,
}

impl FindingsArgs {
    /// Most findings for people to read.
    pub(crate) fn for_people(&self) -> usize {
        self.most().unwrap_or(50)
    }

    /// Most findings for a program to read.
    pub(crate) fn for_programs(&self) -> usize {
        self.most().unwrap_or(usize::MAX)
    }

    fn most(&self) -> Option<usize> {
        self.max_findings.map(|most| if most == 0 { usize::MAX } else { most })
    }
}
