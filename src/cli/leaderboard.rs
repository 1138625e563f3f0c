use std::path::PathBuf;

use clap::{Args, Subcommand};
use flair_leaderboard::Format;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LeaderboardArgs {
    #[command(subcommand)]
    pub(crate) command: Option<LeaderboardCommand>,

    /// Only this benchmark, such as `FLAIR#2 test` (default: a table for each)
    #[arg(long, value_name = "BENCHMARK")]
    pub(crate) benchmark: Option<String>,

    /// How to write the tables: terminal, markdown, csv or json
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    pub(crate) format: Format,

    /// Folder of further entries; the published ones are built in
    #[arg(long, value_name = "DIR")]
    pub(crate) entries: Option<PathBuf>,

    /// Write the tables between the markers of this Markdown file: of the benchmark that a marker names, or of all
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub(crate) write: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeaderboardCommand {
    /// Add an entry made from a run's folder
    Add(AddArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The run's folder, with score.json
    #[arg(value_name = "RUN_DIR")]
    pub(crate) run: PathBuf,

    /// Name of the team or of the model
    #[arg(long)]
    pub(crate) name: String,

    /// Input data of the network, such as `aerial+S2`
    #[arg(long, default_value = "")]
    pub(crate) input: String,

    /// Notes for readers
    #[arg(long, default_value = "")]
    pub(crate) notes: String,

    /// Source of the result: a repository, a paper
    #[arg(long, default_value = "")]
    pub(crate) source: String,

    /// Benchmark of the entry (default: derived from the data that the run was scored on)
    #[arg(long)]
    pub(crate) benchmark: Option<String>,

    /// Replace the entry of exactly this name and benchmark
    #[arg(long)]
    pub(crate) replace: bool,

    /// Add predictions that look like a mistake, such as classes counted from 1, as they are
    #[arg(long)]
    pub(crate) as_is: bool,

    /// Folder of the entries
    #[arg(long, value_name = "DIR", default_value = "leaderboard/entries")]
    pub(crate) entries: PathBuf,
}
