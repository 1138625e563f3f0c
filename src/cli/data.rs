use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::shared::FindingsArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Read every file of a dataset, and report everything that is missing or wrong
    Audit(AuditArgs),
    /// Make a synthetic dataset in the official layout: plausible landscapes, all 13 classes
    Toy(ToyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The dataset's folder
    #[arg(value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Side of the Sentinel-2 crop that must fit around every patch, in pixels of 10 m
    #[arg(long, value_name = "PIXELS", default_value_t = 40)]
    pub(crate) crop_size: usize,

    /// Show a row for each zone, not only for each domain
    #[arg(long)]
    pub(crate) zones: bool,

    #[command(flatten)]
    pub(crate) findings: FindingsArgs,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ToyArgs {
    /// The folder to make
    #[arg(value_name = "DIR")]
    pub(crate) root: PathBuf,

    /// Seed of the landscapes
    #[arg(long, value_name = "N", default_value_t = flair_baselines::toy::ToyOptions::default().seed)]
    pub(crate) seed: u64,

    /// Number of patches, training and test together
    #[arg(long, value_name = "N", default_value_t = flair_baselines::toy::ToyOptions::default().patches)]
    pub(crate) patches: usize,
}
