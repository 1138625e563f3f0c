use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use flair_baselines::{
    data::{Shard, Split},
    nn::{Arithmetic, Precision, with_plain_tensors},
    runtime::DeviceChoice,
};
use flair_scoring::submission::MinutesSeconds;

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Train a baseline, predict with it, score it and pack the submission
    ///
    /// Without arguments it makes a synthetic dataset, and trains and tests the U-Net on it. With --weights it trains
    /// nothing. To continue a stopped run, repeat the command with the same --out and --resume.
    Baseline(BaselineArgs),
}

/// Model, data, device and output folder.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// A row of the published table: unet, unet-mtd-aug, utt or utt-filt-avg-aug (default: the settings
    /// that the weights record, else unet)
    #[arg(long, value_name = "NAME", conflicts_with = "config", help_heading = "What")]
    pub(crate) preset: Option<String>,

    /// A configuration of your own, in the format of upstream's flair-2-config.yml
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub(crate) config: Option<PathBuf>,

    /// Change a key of the configuration, such as `aerial_metadata=true`; repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = "What")]
    pub(crate) set: Vec<String>,

    /// Seed of everything random (default: the configuration's, 2022)
    #[arg(long, value_name = "N", help_heading = "What")]
    pub(crate) seed: Option<u64>,

    /// Dataset: the folder that holds `flair_aerial_train` and so on, in any published layout of FLAIR #2
    #[arg(long, value_name = "DIR", help_heading = "What")]
    pub(crate) data: Option<PathBuf>,

    /// Device to compute on: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", help_heading = "How")]
    pub(crate) device: DeviceChoice,

    /// Precision of a GPU: f32, tf32 (the factors of products rounded to 10 bits) or bf16 (tensors of half the size)
    #[arg(long, value_name = "PRECISION", default_value = "f32", help_heading = "How")]
    pub(crate) precision: Precision,

    /// On a GPU, choose only algorithms whose sums have a fixed order, so that equal runs give equal bytes
    #[arg(long, help_heading = "How")]
    pub(crate) deterministic: bool,

    /// Compute on plain tensors instead of our own kernels, for tests
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = ["on", "off"], hide = true)]
    pub(crate) kernels: String,

    /// Folder of the results (default: runs/PRESET-N with the next free number)
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) out: Option<PathBuf>,
}

impl SetupArgs {
    /// The arithmetic of a GPU.
    pub(crate) fn arithmetic(&self) -> Arithmetic {
        Arithmetic { precision: self.precision, is_deterministic: self.deterministic }
    }

    /// Runs a command on the kernels that were asked for.
    pub(crate) fn on_kernels<R>(&self, command: impl FnOnce() -> R) -> R {
        if self.kernels == "off" { with_plain_tensors(command) } else { command() }
    }
}

/// Training options. Keys of the configuration are set with `--set`: `num_epochs`, `batch_size`, `lr`, …
#[derive(Debug, Args)]
pub(crate) struct TrainingArgs {
    // Not a doc comment: clippy would demand backticks in it, and the help would show them.
    #[arg(
        long,
        value_name = "FILE|DIR",
        help_heading = "Training",
        help = "ImageNet weights for the ResNet34 encoder as torchvision, timm or SMP save them: a file or its folder"
    )]
    pub(crate) encoder_weights: Option<PathBuf>,

    /// Continue the stopped run in --out
    #[arg(long, requires = "out", help_heading = "Training")]
    pub(crate) resume: bool,
}

/// Prediction options.
#[derive(Debug, Args)]
pub(crate) struct PredictionArgs {
    /// Which patches to predict: test, val, train or all; `--set flair_bench.validation=hf|flair1|random` chooses val
    #[arg(long, value_name = "SPLIT", default_value = "test", help_heading = "Prediction")]
    pub(crate) split: Split,

    /// Patches per batch of the aerial network (default: the configuration's); does not change the results
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Prediction")]
    pub(crate) batch_size: Option<u16>,

    #[command(flatten)]
    pub(crate) rule: TimeRuleArgs,
}

/// The limits of the time rule.
#[derive(Debug, Args)]
pub(crate) struct TimeRuleArgs {
    /// Maximum number of device-seconds of the prediction
    #[arg(long, value_name = "SECONDS", default_value_t = 1500.0, help_heading = "Time rule")]
    pub(crate) time_limit: f64,

    /// Time of the challenge's baseline on this machine, as M-S such as 5-57; the relative rule needs it
    #[arg(long, value_name = "M-S", value_parser = MinutesSeconds::parse_taken, help_heading = "Time rule")]
    pub(crate) baseline_time: Option<MinutesSeconds>,

    /// Maximum time of the prediction, as a multiple of the baseline's time
    #[arg(long, value_name = "FACTOR", default_value_t = 2.5, help_heading = "Time rule")]
    pub(crate) time_factor: f64,
}

/// The weights of a training to predict with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UseArg {
    /// The epoch with the lowest validation loss
    Best,
    /// The latest, as upstream does
    Last,
}

#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    #[command(flatten)]
    pub(crate) setup: SetupArgs,

    /// Weights: .safetensors, or a .pth or .ckpt that torch or Lightning saved; skips the training
    #[arg(long, value_name = "FILE", help_heading = "What", conflicts_with_all = ["encoder_weights", "resume", "which"])]
    pub(crate) weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) training: TrainingArgs,

    /// Weights of the training to predict with
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
    /// and every output says so
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub(crate) weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) prediction: PredictionArgs,

    /// Predict only shard I of N, from 0/N to N-1/N: several processes, also on several machines with a shared disk,
    /// predict the shards of one run into one --out, and `flair-bench finish` joins them (default: the task of a Slurm
    /// array, if this is one; else all patches, in one process)
    #[arg(long, value_name = "I/N", requires = "out", help_heading = "Prediction")]
    pub(crate) shard: Option<Shard>,
}

#[derive(Debug, Args)]
pub(crate) struct FinishArgs {
    /// Folder of the run: the --out of its shards
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,

    /// Folder of the dataset, if it is not where the shards found it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) rule: TimeRuleArgs,
}
