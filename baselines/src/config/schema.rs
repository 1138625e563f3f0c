//! The keys of `flair-2-config.yml`, in their order (IGNF/FLAIR-2@d713c29).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    data::{DataPaths, Fidelity, Validation, dates::MonthDay},
    models::utae::{Aggregation, EncoderNorm},
    nn::{NORM_MOMENTUM, Padding},
    train::{OptimizerConfig, Schedule},
};

/// All settings of a run: upstream's keys, then ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "upstream's keys")]
pub struct Config {
    /// Where the data lies.
    #[serde(default)]
    pub data: DataPaths,
    /// Folder for results. Kept for upstream's sake: `--out` decides here.
    pub out_folder: String,
    /// Name of the run. Kept for upstream's sake.
    pub out_model_name: String,

    /// Side of the Sentinel-2 crop around a patch, in pixels of 10 m: 8 to 112, a multiple of 8.
    pub sat_patch_size: usize,
    /// Weights of the two losses: the *satellite* branch's, then the *aerial* branch's, whatever the key says
    /// (upstream `src/task_module.py:62`).
    pub w_unet_utae: [f64; 2],
    /// Probability that a training step leaves the satellite branch out, `0..=1`.
    pub drop_utae_modality: f64,

    /// Whether the network takes the aerial image's metadata.
    pub aerial_metadata: bool,
    /// Number of values that encode a patch's coordinates: a multiple of 4. Upstream's encoder knows 32 only
    /// (`src/load_data.py:68`).
    pub geo_enc_size: usize,
    /// Whether training flips and turns the patches.
    pub use_augmentation: bool,

    /// Whether clouded and snowed-in acquisitions are left out.
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
    /// Most epochs of a training.
    pub num_epochs: usize,
    /// Patches of a training step.
    pub batch_size: usize,
    /// Patches predicted at once. A patch's prediction doesn't depend on it.
    pub batch_size_inference: usize,
    /// Learning rate.
    pub lr: f64,

    /// Threads that read data.
    pub num_workers: usize,
    /// Lightning's accelerator. Kept for upstream's sake: `--device` decides here.
    pub accelerator: String,
    /// Devices of a node: with `num_nodes` the factor from seconds to device-seconds.
    pub gpus_per_node: usize,
    /// Nodes of a run.
    pub num_nodes: usize,
    /// Lightning's strategy. Kept for upstream's sake.
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
    /// The year in which all acquisitions are placed.
    pub ref_year: u16,
    /// The day from which positions are counted.
    pub ref_date: MonthDay,
    /// Value of the acquisitions that only fill up a batch.
    pub pad_value: f64,
    /// How the U-TAE's convolutions see what lies outside.
    pub padding_mode: Padding,

    /// Whether progress is shown.
    pub enable_progress_bar: bool,
    /// Steps between two updates of it.
    pub progress_rate: usize,

    /// What upstream has no key for.
    #[serde(default)]
    pub flair_bench: Bench,
}

/// Our own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bench {
    /// Which network.
    pub model: Model,
    /// Whether upstream's quirks are kept.
    pub fidelity: Fidelity,
    /// Which domains validate.
    pub validation: Validation,
    /// Seed of everything random.
    pub seed: u64,
    /// The optimiser; its learning rate is `lr`.
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes.
    pub schedule: Schedule,
    /// Batches whose gradients are averaged for one step.
    pub accumulate: usize,
    /// Share of a batch in the running statistics of batch norms, which predictions use; torch's and upstream's is 0.1.
    /// Larger where there are few steps.
    pub norm_momentum: f64,
    /// Largest global norm of a step's gradients; none where empty.
    pub clip: Option<f64>,
    /// Epochs without a better validation loss after which training ends; never where empty.
    pub patience: Option<usize>,
}

impl Default for Bench {
    fn default() -> Self {
        // Upstream's (`main.py`): its seed, plain SGD, a constant rate, patience of 30.
        Self {
            model: Model::Utt,
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
