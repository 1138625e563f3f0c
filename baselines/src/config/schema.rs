//! The keys of `flair-2-config.yml`, in their order (IGNF/FLAIR-2@d713c29).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    data::{DataPaths, Fidelity, Validation, dates::MonthDay},
    models::{
        resnet34::WIDTH,
        utae::{Aggregation, EncoderNorm},
    },
    nn::{NORM_MOMENTUM, Padding},
    train::{OptimizerConfig, Schedule},
};

/// All settings of a run: upstream's keys, then ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "upstream's keys")]
pub struct Config {
    /// Paths of the data.
    #[serde(default)]
    pub data: DataPaths,
    /// Folder of new runs, if a configuration file names it and there is no `--out`.
    pub out_folder: String,
    /// Name of new runs in that folder.
    pub out_model_name: String,

    /// Side of the Sentinel-2 crop around a patch, in pixels of 10 m: 8 to 112, a multiple of 8.
    pub sat_patch_size: usize,
    /// Weights of the two losses: the *satellite* branch's, then the *aerial* branch's, whatever the key says
    /// (upstream `src/task_module.py:62`).
    pub w_unet_utae: [f64; 2],
    /// Modality dropout: probability that a training step skips the satellite branch, `0..=1`.
    pub drop_utae_modality: f64,

    /// Whether the network takes the aerial image's metadata.
    pub aerial_metadata: bool,
    /// Number of values that encode a patch's coordinates: a multiple of 4. Upstream's encoder knows 32 only
    /// (`src/load_data.py:68`).
    pub geo_enc_size: usize,
    /// Whether training augments patches by flips and rotations.
    pub use_augmentation: bool,

    /// Whether cloudy and snowy acquisitions are removed.
    pub filter_clouds: bool,
    /// Whether acquisitions are averaged by month.
    pub average_month: bool,

    /// For each class, in class order: its weight in the aerial loss and in the satellite loss. The names are free,
    /// the position counts (upstream `main.py` takes `list(values())`).
    pub weights_aerial_satellite: IndexMap<String, [f64; 2]>,

    /// Number of classes: 13.
    pub num_classes: usize,
    /// Bands of an aerial image: 5.
    pub num_channels_aerial: usize,
    /// Bands of a Sentinel-2 acquisition: 10.
    pub num_channels_sat: usize,
    /// Maximum number of epochs.
    pub num_epochs: usize,
    /// Patches per training batch.
    pub batch_size: usize,
    /// Patches per inference batch. Predictions do not depend on it.
    pub batch_size_inference: usize,
    /// Learning rate.
    pub lr: f64,

    /// Threads that read data.
    pub num_workers: usize,
    /// Lightning's accelerator: with `cpu`, the device `auto` is the CPU.
    pub accelerator: String,
    /// Lightning's devices of a node. Kept for compatibility, unused: a run uses one device, and times that one.
    pub gpus_per_node: usize,
    /// Lightning's nodes of a run. Kept for compatibility, unused.
    pub num_nodes: usize,
    /// Lightning's strategy. Kept for compatibility, unused.
    pub strategy: Option<String>,

    /// Channels of the U-TAE's encoder, finest level first.
    pub encoder_widths: Vec<usize>,
    /// Channels of the U-TAE's decoder, finest level first; the first and the last equal the encoder's.
    pub decoder_widths: Vec<usize>,
    /// Channels of the U-TAE's own output layers: computed upstream, never used.
    pub out_conv: Vec<usize>,
    /// Kernel of the U-TAE's down- and upsampling convolutions, in pixels.
    pub str_conv_k: usize,
    /// Their stride.
    pub str_conv_s: usize,
    /// Their padding.
    pub str_conv_p: usize,
    /// How acquisitions are merged in the skip connections.
    pub agg_mode: Aggregation,
    /// Normalisation in the U-TAE's encoder.
    pub encoder_norm: EncoderNorm,
    /// Attention heads of the L-TAE.
    pub n_head: usize,
    /// Width of the L-TAE, a multiple of `n_head`.
    pub d_model: usize,
    /// Width of a key of the L-TAE.
    pub d_k: usize,
    /// The year assigned to all acquisitions.
    pub ref_year: u16,
    /// Reference day of the temporal positions.
    pub ref_date: MonthDay,
    /// Value of the acquisitions that pad a batch.
    pub pad_value: f64,
    /// Padding mode of the U-TAE's convolutions.
    pub padding_mode: Padding,

    /// Whether to show progress.
    pub enable_progress_bar: bool,
    /// Steps between two updates of the progress bar.
    pub progress_rate: usize,

    /// Settings without a key upstream.
    #[serde(default)]
    pub flair_bench: Bench,
}

/// Our own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bench {
    /// The network.
    pub model: Model,
    /// Channels of the U-Net's finest map, to which all its other maps are in proportion. 64 is upstream's `ResNet34`; less
    /// is a thin network for trials.
    pub unet_width: usize,
    /// Whether upstream's quirks are reproduced.
    pub fidelity: Fidelity,
    /// The validation domains.
    pub validation: Validation,
    /// Seed of everything random.
    pub seed: u64,
    /// The optimiser; its learning rate is `lr`.
    pub optimizer: OptimizerConfig,
    /// The learning-rate schedule.
    pub schedule: Schedule,
    /// Batches whose gradients are averaged into one step.
    pub accumulate: usize,
    /// Momentum of batch norms: the fraction of a batch in the running statistics, which predictions use. The default
    /// of torch and upstream is 0.1; use a larger value for runs of few steps.
    pub norm_momentum: f64,
    /// Maximum global norm of a step's gradients; empty for no clipping.
    pub clip: Option<f64>,
    /// Early stopping: epochs without a better validation loss after which training ends; empty for never.
    pub patience: Option<usize>,
}

impl Default for Bench {
    fn default() -> Self {
        // Upstream's values (`main.py`): its seed, plain SGD, a constant rate, patience of 30.
        Self {
            model: Model::Utt,
            unet_width: WIDTH,
            fidelity: Fidelity::Upstream,
            validation: Validation::Hf,
            seed: 2022,
            optimizer: OptimizerConfig::default(),
            schedule: Schedule::default(),
            accumulate: 1,
            norm_momentum: NORM_MOMENTUM,
            clip: None,
            patience: Some(30),
        }
    }
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// The U-Net alone: aerial image, and metadata where `aerial_metadata` is set.
    Unet,
    /// U-T&T: the U-Net with the U-TAE's features of the Sentinel-2 series. Upstream's code knows this one only.
    Utt,
}

impl Model {
    /// Its name in configurations, which is also that of its plainest preset.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unet => "unet",
            Self::Utt => "utt",
        }
    }
}
