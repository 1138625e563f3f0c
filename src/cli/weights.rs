use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsCommand {
    /// Convert a checkpoint to .safetensors, with upstream's names
    Convert(ConvertArgs),
    /// List the tensors of a checkpoint
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// A .pth or .ckpt that torch or Lightning saved, or .safetensors
    #[arg(value_name = "FROM")]
    pub(crate) from: PathBuf,

    /// The .safetensors file to write
    #[arg(value_name = "TO")]
    pub(crate) to: PathBuf,

    /// Only tensors whose names begin with PREFIX: `arch_vhr.` takes the U-Net out of a U-T&T
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The checkpoint
    pub(crate) file: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
