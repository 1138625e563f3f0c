use std::path::PathBuf;

use clap::Args;

use super::ExpectedArgs;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The submission: a folder, or a zip
    #[arg(value_name = "DIR|ZIP")]
    pub(crate) submission: PathBuf,

    #[command(flatten)]
    pub(crate) expected: ExpectedArgs,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
