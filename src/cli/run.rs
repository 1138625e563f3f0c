use std::path::PathBuf;

use clap::{Args, Subcommand};
use flair_baselines::{data::Split, runtime::DeviceChoice};
use flair_scoring::submission::MinutesSeconds;

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Predict with a baseline, score it and pack the submission
    ///
    /// Without arguments a synthetic dataset is made and the U-Net runs on it. A run that was stopped goes on where it
    /// was if it is called again with the same --out: predictions that are whole are kept, and told.
    Baseline(BaselineArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    /// A row of the published table: unet, unet-mtd-aug, utt or utt-filt-avg-aug
    #[arg(long, value_name = "NAME", default_value = "unet", conflicts_with = "config", help_heading = "What")]
    pub(crate) preset: String,

    /// A configuration of your own, in the format of upstream's flair-2-config.yml
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub(crate) config: Option<PathBuf>,

    /// Change a key of the configuration, such as `aerial_metadata=true`; may be given again
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What")]
    pub(crate) set: Vec<String>,

    /// Weights: .safetensors, or a .pth or .ckpt that torch or Lightning saved; without them the network is untrained
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub(crate) weights: Option<PathBuf>,

    /// Seed of everything random (default: the configuration's, 2022)
    #[arg(long, value_name = "N", help_heading = "What")]
    pub(crate) seed: Option<u64>,

    /// Dataset: the folder that holds `flair_aerial_train` and so on, in one of the layouts in which FLAIR #2 is found
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) data: Option<PathBuf>,

    /// Which of its patches: test, val, train or all; `--set flair_bench.validation=hf|flair1|random` chooses val
    #[arg(long, value_name = "SPLIT", default_value = "test", help_heading = "Data")]
    pub(crate) split: Split,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", help_heading = "How")]
    pub(crate) device: DeviceChoice,

    /// Patches that go through the aerial network together (default: the configuration's); changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "How")]
    pub(crate) batch_size: Option<u16>,

    /// Device-seconds that a prediction may take
    #[arg(long, value_name = "SECONDS", default_value_t = 1500.0, help_heading = "Time rule")]
    pub(crate) time_limit: f64,

    /// What the challenge's baseline took on this machine, as M-S such as 5-57: judges the relative rule too
    #[arg(long, value_name = "M-S", help_heading = "Time rule")]
    pub(crate) baseline_time: Option<MinutesSeconds>,

    /// How many times the baseline's time a prediction may take
    #[arg(long, value_name = "FACTOR", default_value_t = 2.5, help_heading = "Time rule")]
    pub(crate) time_factor: f64,

    /// Folder of the results (default: runs/PRESET-N, the next number that is free)
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
}
