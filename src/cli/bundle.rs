use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::shared::ByArgs;

/// The platform of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlatformArg {
    /// Codabench (competition.yaml of version 2)
    Codabench,
    /// CodaLab 1.5
    Codalab,
    /// One for each
    Both,
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// Folder for codabench.zip and codalab.zip
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,

    /// Folder with the masks, MSK_*.tif at any depth: the reference data are these and nothing else
    #[arg(long, value_name = "DIR")]
    pub(crate) truth: PathBuf,

    #[command(flatten)]
    pub(crate) by: ByArgs,

    /// Platform of the bundle
    #[arg(long, value_enum, default_value = "both")]
    pub(crate) platform: PlatformArg,

    /// Settings as YAML: title, phases, limits (see docs/hosting.md)
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// Title of the challenge
    #[arg(long)]
    pub(crate) title: Option<String>,

    /// Start of the first phase: YYYY-MM-DD or "YYYY-MM-DD HH:MM:SS", UTC
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,

    /// End of the last phase
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,

    /// Maximum number of submissions per participant and day, in every phase
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_per_day: Option<u32>,

    /// Replace bundles that are already in OUT
    #[arg(long)]
    pub(crate) replace: bool,

    /// Folder with pages that replace the default ones: overview.html, evaluation.html, terms.html, data.html
    #[arg(long, value_name = "DIR")]
    pub(crate) pages: Option<PathBuf>,

    /// Picture that replaces the default logo
    #[arg(long, value_name = "FILE.png")]
    pub(crate) logo: Option<PathBuf>,

    /// The scoring program: a statically linked flair-bench (default: this program, if it is linked so)
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}
