use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    depth::DepthArgs,
    shared::{ByArgs, FindingsArgs},
};

/// What to do with values above 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutOfRangeArg {
    /// Refuse to score
    Reject,
    /// Leave those pixels out, as upstream's scorer does silently, and report their number
    Drop,
}

/// Format of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// A table
    Table,
    /// The result of `EvalAI`'s `evaluate()`, as JSON
    Evalai,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Folder with the masks, MSK_*.tif at any depth
    #[arg(long, value_name = "DIR")]
    pub(crate) truth: PathBuf,

    /// Predictions, PRED_*.tif: a folder or a submission archive
    #[arg(long, value_name = "DIR|ZIP")]
    pub(crate) pred: PathBuf,

    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// What to do with values in a prediction that are not a class (in the challenge: above 12)
    #[arg(long, value_enum, default_value = "reject")]
    pub(crate) out_of_range: OutOfRangeArg,

    /// Format of standard output
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: FormatArg,

    /// Codename of the dataset's split in the result for `EvalAI`
    #[arg(long, value_name = "NAME", default_value = "test_split")]
    pub(crate) split: String,

    /// Write score.json, score.csv, and the confusion matrix into this folder: confusion.csv, confusion-rows.csv,
    /// confusion-columns.csv, confusion.svg and confusion.png; with --by score-by-UNIT.csv, with --against comparison.csv
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Write the score as JSON; `-` prints it instead of the table, or the findings if there is no score
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write the score as CSV, one row per class; `-` prints it instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,

    /// Draw the row-normalised confusion matrix into a file that ends in .svg or .png
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    pub(crate) figure: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) findings: FindingsArgs,

    #[command(flatten)]
    pub(crate) depth: DepthArgs,
}
