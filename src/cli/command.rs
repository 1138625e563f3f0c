//! The program and its subcommands.

use clap::{Parser, Subcommand};

use super::{
    bundle::BundleArgs,
    check::CheckArgs,
    codalab::CodalabArgs,
    generate::{CompletionsArgs, ManArgs},
    leaderboard::LeaderboardArgs,
    package::PackageArgs,
    protocol::ProtocolArgs,
    score::ScoreArgs,
};
#[cfg(feature = "baselines")]
use super::{
    data::DataCommand,
    run::{FinishArgs, PredictArgs, RunCommand, TrainArgs},
    weights::WeightsCommand,
};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 done, and the verdict is negative (invalid submission, over time); 2 wrong usage or \
configuration; 3 input data bad or missing; 4 device, disk or system failed; 70 internal error; 130 interrupted.";

/// The example of `finish`.
#[cfg(feature = "baselines")]
const SHARDS: &str = "\
Example: a run in eight shards, the tasks of a Slurm array
  sbatch --array=0-7 --wrap \"flair-bench predict --weights best.safetensors --data /data/flair2 --out runs/a\"
  flair-bench finish runs/a
A task that failed is repeated with its --shard, such as 3/8.";

/// Evaluation and submission toolkit of the FLAIR #2 land-cover challenge
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Log more (-v), or everything (-vv); `FLAIR_BENCH_LOG` sets finer filters
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
    /// Finish a run that was predicted in shards: check that all are there, sum their times, score and pack
    ///
    /// It needs neither the weights nor the device of the shards, only their --out and the dataset. It writes what
    /// `predict` writes at its end, and can be repeated, for example with another --baseline-time.
    #[cfg(feature = "baselines")]
    #[command(after_long_help = SHARDS)]
    Finish(FinishArgs),
    /// Score predictions against masks, exactly as the challenge does
    Score(ScoreArgs),
    /// Check a submission, a folder or a zip, and report everything that is wrong with it
    Check(CheckArgs),
    /// Pack predictions into a submission archive, if they pass the check
    Package(PackageArgs),
    /// List the protocols and class lists, show one, check a file, or print an example to start from
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
