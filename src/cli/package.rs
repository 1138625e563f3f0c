use std::path::PathBuf;

use clap::Args;
use flair_scoring::submission::MinutesSeconds;

use super::shared::{ExpectedArgs, FindingsArgs, RulesArgs};

#[derive(Debug, Args)]
pub(crate) struct PackageArgs {
    /// Folder with the predictions, PRED_*.tif
    #[arg(value_name = "DIR")]
    pub(crate) predictions: PathBuf,

    /// Name of the approach, the first part of the archive's name
    #[arg(long)]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) expected: ExpectedArgs,

    #[command(flatten)]
    pub(crate) rules: RulesArgs,

    #[command(flatten)]
    pub(crate) findings: FindingsArgs,

    /// timing.json of the run, for the time in the archive's name
    #[arg(long, value_name = "FILE", requires = "baseline_time")]
    pub(crate) timing: Option<PathBuf>,

    /// Time of the challenge's baseline on the same machine, as M-S such as 5-57
    #[arg(long, value_name = "M-S", value_parser = MinutesSeconds::parse_taken, requires = "timing")]
    pub(crate) baseline_time: Option<MinutesSeconds>,

    /// Pack predictions that look like a usual mistake, such as classes counted from 1
    #[arg(long)]
    pub(crate) as_is: bool,

    /// Folder of the archive
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
}
