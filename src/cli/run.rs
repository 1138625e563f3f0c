use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use flair_baselines::{data::Split, runtime::DeviceChoice};
use flair_scoring::submission::MinutesSeconds;

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Train a baseline, predict with it, score it and pack the submission
    ///
    /// Without arguments a synthetic dataset is made, and the U-Net learns and is tested on it. With --weights nothing
    /// is trained. A run that was stopped goes on where it was if it is called again with the same --out and --resume.
    Baseline(BaselineArgs),
}

/// What is run, on what data, where.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// A row of the published table: unet, unet-mtd-aug, utt or utt-filt-avg-aug (default: unet; weights that
    /// know what they were trained with bring that along)
    #[arg(long, value_name = "NAME", conflicts_with = "config", help_heading = "What")]
    pub(crate) preset: Option<String>,

    /// A configuration of your own, in the format of upstream's flair-2-config.yml
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub(crate) config: Option<PathBuf>,

    /// Change a key of the configuration, such as `aerial_metadata=true`; may be given again
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What")]
    pub(crate) set: Vec<String>,

    /// Seed of everything random (default: the configuration's, 2022)
    #[arg(long, value_name = "N", help_heading = "What")]
    pub(crate) seed: Option<u64>,

    /// Dataset: the folder that holds `flair_aerial_train` and so on, in one of the layouts in which FLAIR #2 is found
    #[arg(long, value_name = "DIR", help_heading = "What")]
    pub(crate) data: Option<PathBuf>,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", help_heading = "How")]
    pub(crate) device: DeviceChoice,

    /// Folder of the results (default: runs/PRESET-N, the next number that is free)
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
}

/// How to train. What the configuration has a key for is set with `--set`: `num_epochs`, `batch_size`, `lr`, …
#[derive(Debug, Args)]
pub(crate) struct TrainingArgs {
    // Without the backticks that the documentation of code wants, since it is shown as it stands.
    #[arg(
        long,
        value_name = "FILE|DIR",
        help_heading = "Training",
        help = "ImageNet weights for the ResNet34 encoder as torchvision, timm or SMP save them: a file or its folder"
    )]
    pub(crate) encoder_weights: Option<PathBuf>,

    /// Go on with the run in --out where it was stopped
    #[arg(long, requires = "out", help_heading = "Training")]
    pub(crate) resume: bool,
}

/// What to predict, and how long it may take.
#[derive(Debug, Args)]
pub(crate) struct PredictionArgs {
    /// Which patches to predict: test, val, train or all; `--set flair_bench.validation=hf|flair1|random` chooses val
    #[arg(long, value_name = "SPLIT", default_value = "test", help_heading = "Prediction")]
    pub(crate) split: Split,

    /// Patches that go through the aerial network together (default: the configuration's); changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Prediction")]
    pub(crate) batch_size: Option<u16>,

    /// Device-seconds that a prediction may take
    #[arg(long, value_name = "SECONDS", default_value_t = 1500.0, help_heading = "Time rule")]
    pub(crate) time_limit: f64,

    /// What the challenge's baseline took on this machine, as M-S such as 5-57: judges the relative rule too
    #[arg(long, value_name = "M-S", value_parser = MinutesSeconds::parse_taken, help_heading = "Time rule")]
    pub(crate) baseline_time: Option<MinutesSeconds>,

    /// How many times the baseline's time a prediction may take
    #[arg(long, value_name = "FACTOR", default_value_t = 2.5, help_heading = "Time rule")]
    pub(crate) time_factor: f64,
}

/// Which weights of a training predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UseArg {
    /// Those of the epoch with the lowest validation loss
    Best,
    /// The latest, as upstream does
    Last,
}

#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    #[command(flatten)]
    pub(crate) setup: SetupArgs,

    /// Weights: .safetensors, or a .pth or .ckpt that torch or Lightning saved; nothing is trained then
    #[arg(long, value_name = "FILE", help_heading = "What", conflicts_with_all = ["encoder_weights", "resume", "which"])]
    pub(crate) weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) training: TrainingArgs,

    /// Which weights of the training predict
    #[arg(long = "use", id = "which", value_enum, default_value = "best", help_heading = "Prediction")]
    pub(crate) which: UseArg,

    #[command(flatten)]
    pub(crate) prediction: PredictionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) setup: SetupArgs,

    #[command(flatten)]
    pub(crate) training: TrainingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) setup: SetupArgs,

    /// Weights: .safetensors, or a .pth or .ckpt that torch or Lightning saved; without them the network is untrained,
    /// and all that it leaves behind says so
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub(crate) weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) prediction: PredictionArgs,
}
