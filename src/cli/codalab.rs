use std::path::PathBuf;

use clap::Args;

use super::shared::{ByArgs, above_0};

#[derive(Debug, Args)]
pub(crate) struct CodalabArgs {
    /// Folder with the masks in `ref` and the submission in `res`, unpacked or as one zip
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,

    /// Folder for scores.txt, scores.json and the page with the details
    #[arg(value_name = "OUTPUT")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// Maximum number of device-seconds that a submission may declare
    #[arg(long, value_name = "SECONDS", default_value_t = 1500.0, value_parser = above_0)]
    pub(crate) device_seconds: f64,

    /// Maximum time that a submission may declare, as a multiple of the baseline's time
    #[arg(long, value_name = "TIMES", default_value_t = 2.5, value_parser = above_0)]
    pub(crate) factor: f64,
}
