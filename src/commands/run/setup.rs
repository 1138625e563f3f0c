//! The setup of training and prediction: settings, data, network.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use flair_baselines::{
    DType, Device,
    config::{Config, ConfigError, Model, deviations},
    data::{DataPaths, Dataset, Preprocessor, Split},
    models::Network,
    nn::Arithmetic,
    ranks::Ranks,
    runtime::{DeviceChoice, DeviceError, Environment, TensorError},
    toy::{self, ToyOptions},
    train::{Beginning, Checkpoints},
    weights::{self, Checkpoint, Provenance},
};
use flair_scoring::{PatchId, files::read_text, lock::FolderLock, text::counted};

use super::{
    folder::{self, Sharing, Taken},
    ranks::{cores, log_to},
    weights::Weights,
};
use crate::{
    cli::SetupArgs,
    exit::{OrExit, Outcome},
    ui::{Bars, say, stderr, write_findings},
};

/// The toy dataset's folder.
const TOY_FOLDER: &str = "runs/toy-dataset";
/// Maximum size of a configuration, in bytes; real ones have a few kilobytes.
const MAX_CONFIG: u64 = 1 << 20;
/// Settings with which the networks learn the synthetic dataset in minutes. Upstream trains 100 epochs of 47,000
/// patches.
const TOY_RECIPE: [&str; 7] = [
    "num_epochs=8",
    "batch_size=2",
    "lr=0.004",
    "flair_bench.optimizer={name: adamw}",
    "flair_bench.schedule={name: one-cycle, pct_start: 0.2, div_factor: 4}",
    "flair_bench.patience=",
    // Upstream's augmentation rotates the image but not the series, so seasons are not learnt in minutes.
    "flair_bench.fidelity=corrected",
];

/// The parts of a run.
pub(super) struct Setup {
    /// The preset, or the configuration's name.
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) dataset: Dataset,
    /// The dataset's folder; `None` if the configuration names the parts one by one.
    pub(super) root: Option<PathBuf>,
    pub(super) is_toy: bool,
    /// The network, with weights that are drawn by the seed unless a file has them; a resumed training is yet to load them.
    pub(super) network: Network,
    /// The weights that are in the network; `None` if they are drawn.
    pub(super) weights: Option<Weights>,
    /// Number of reader threads.
    pub(super) workers: usize,
    pub(super) out: PathBuf,
    /// Number of processes of a training, if there are several.
    ranks: Option<usize>,
    /// The arithmetic of a GPU.
    arithmetic: Arithmetic,
    /// Keeps other processes out of the folder as long as the run lasts; those of its other shards may use it too.
    _lock: Option<FolderLock>,
    /// Training settings that the prediction deviates from, as `key=value`.
    pub(super) deviations: Vec<String>,
}

/// The purpose of a setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// Training, of a new network or one that a checkpoint in the run's folder resumes.
    Training(Beginning),
    /// Prediction of a split, with the weights of a file, or untrained.
    Prediction(Option<&'a Path>, Split),
}

impl Purpose<'_> {
    fn is_training(self) -> bool {
        matches!(self, Self::Training(_))
    }

    /// Whether a file has all the weights of the network.
    fn has_weights(self, out: &Path) -> bool {
        match self {
            Self::Training(beginning) => beginning.resumes(&Checkpoints::of(out)),
            Self::Prediction(weights, _) => weights.is_some(),
        }
    }
}

impl Setup {
    pub(super) fn new(
        arguments: &SetupArgs,
        purpose: Purpose<'_>,
        sharing: Sharing,
        ranks: &Ranks,
        bars: &Bars,
    ) -> Outcome<Self> {
        let given = match purpose {
            Purpose::Prediction(Some(file), _) => Some((file, read_weights(file)?)),
            _ => None,
        };
        let known = given.as_ref().map_or(Ok(Known::Nothing), |(file, read)| known(file, read, arguments))?;
        let (name, mut config) = configuration(arguments, &[], &known)?;
        let device = device(arguments, &config, ranks)?;
        let (root, is_toy) = data_root(arguments, &config, purpose, ranks, bars)?;
        let Taken { out, lock } = folder::take(arguments, &config, &name, sharing, ranks)?;
        log_to(&out, ranks)?;
        if is_toy && purpose.is_training() && arguments.config.is_none() {
            config = configuration(arguments, &TOY_RECIPE, &Known::Nothing)?.1;
            say("note: training by the synthetic dataset's own recipe; --set changes it");
        }
        let dataset = Dataset::open(root.as_deref(), &config.data).or_input()?;
        write_findings(&mut stderr(), &dataset.findings)?;
        let network = if purpose.has_weights(&out) {
            Network::zeros(&config.network(), DType::F32, &device)
        } else {
            Network::new(&config.network(), DType::F32, &device, config.flair_bench.seed)
        };
        let network = network.map_err(TensorError::from).or_else(with_exit_code)?.computing_in(arguments.arithmetic());
        let weights = given.map(|(file, read)| Weights::place(file, read, &network)).transpose()?;
        let deviations = match known {
            Known::Settings(trained) => deviating(&trained, &config, purpose).or_usage()?,
            Known::Parts(_) | Known::Nothing => Vec::new(),
        };
        Ok(Self {
            out,
            _lock: lock,
            // Upstream's default of ten readers is too many here: more readers than processors only wait.
            workers: config.num_workers.clamp(1, cores()),
            name,
            config,
            dataset,
            root,
            is_toy,
            network,
            ranks: (purpose.is_training() && !ranks.is_alone()).then(|| ranks.size()),
            arithmetic: arguments.arithmetic(),
            weights,
            deviations,
        })
    }

    /// The hardware, the software, and on a GPU the arithmetic.
    pub(super) fn environment(&self) -> Environment {
        let arithmetic = (!self.device().is_cpu()).then(|| self.arithmetic.to_string());
        Environment { arithmetic, ranks: self.ranks, ..Environment::of(self.device()) }
    }

    pub(super) fn device(&self) -> &Device {
        self.network.parameters.device()
    }
}

/// Chooses the exit code of an error when the network is built.
fn with_exit_code<T>(error: TensorError) -> Outcome<T> {
    match error {
        full if full.is_out_of_memory() => {
            let why = "the device has too little memory for the network, or other programs use it";
            Err(anyhow!("{why} (`nvidia-smi` lists them): {full}")).or_environment()
        }
        other => Err(anyhow!("the network cannot be built: {other}")).or_usage(),
    }
}

/// Reports everything that would stop a run on these patches, before the run starts.
pub(super) fn usable(preprocessor: &Preprocessor<'_>, patches: &[PatchId]) -> Outcome<()> {
    let findings = preprocessor.problems(patches);
    if findings.is_empty() {
        return Ok(());
    }
    write_findings(&mut stderr(), &findings)?;
    Err(anyhow!("{} of {} cannot be used; nothing was computed", findings.len(), counted(patches.len(), "patch")))
        .or_input()
}

/// Reads the weights once, before any other work.
fn read_weights(file: &Path) -> Outcome<Checkpoint> {
    if !file.is_file() {
        return Err(anyhow!("there is no file `{}` to take weights from", file.display())).or_input();
    }
    weights::read(file).or_input()
}

/// What weights say of their network.
enum Known {
    /// The settings of their training.
    Settings(Box<Config>),
    /// The parts that their tensors belong to; all other settings are the preset's.
    Parts(Box<Config>),
    Nothing,
}

/// The configuration and the name of the run. `recipe` is applied before the user's own `--set`. Without a preset or a
/// file, what the weights say of their network is used.
fn configuration(arguments: &SetupArgs, recipe: &[&str], known: &Known) -> Outcome<(String, Config)> {
    let (name, mut config) = match (&arguments.config, &arguments.preset, known) {
        (Some(path), ..) => {
            let text = read_config(path).or_usage()?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            (
                format!("config-{}", folder::file_name(&name)),
                Config::from_yaml(&text, &path.display().to_string()).or_usage()?,
            )
        }
        (None, None, Known::Settings(trained)) => {
            let near = trained.nearest_preset().or_usage()?;
            say(&format!("note: settings are those that the weights were trained with: {near}"));
            (near.name.to_owned(), trained.as_ref().clone())
        }
        (None, None, Known::Parts(config)) => {
            let near = config.nearest_preset().or_usage()?;
            say(&format!(
                "note: the weights do not record their settings; by their tensors they are of {near}: name --preset or \
                 --set, if the series were filtered or averaged in their training"
            ));
            (near.name.to_owned(), config.as_ref().clone())
        }
        (None, preset, _) => {
            let name = preset.as_deref().unwrap_or(Model::Unet.name());
            (name.to_owned(), Config::preset(name).or_usage()?)
        }
    };
    let settings: Vec<&str> = recipe.iter().copied().chain(arguments.set.iter().map(String::as_str)).collect();
    config.set_all(&settings).or_usage()?;
    if let Some(seed) = arguments.seed {
        config.flair_bench.seed = seed;
    }
    Ok((name, config))
}

/// The settings recorded in the weights, or else the parts of the network that their tensors belong to. An unusable record
/// is an error only if the user names no preset or configuration.
fn known(file: &Path, read: &Checkpoint, arguments: &SetupArgs) -> Outcome<Known> {
    let is_named = arguments.preset.is_some() || arguments.config.is_some();
    let Some(known) = Provenance::from_metadata(&read.metadata) else {
        return if is_named { Ok(Known::Nothing) } else { by_parts(read) };
    };
    let no_use = || format!("the settings recorded in `{}` cannot be used", file.display());
    match Config::from_weights_settings(&known.settings, "what they say") {
        Err(error) if is_named => {
            say(&format!("note: {}: {error}", no_use()));
            Ok(Known::Nothing)
        }
        Err(error) => Err(error).with_context(|| no_use() + ": name --preset or --config").or_input(),
        Ok(trained) => Ok(Known::Settings(Box::new(trained))),
    }
}

/// The network of weights that record nothing, by their tensors.
fn by_parts(read: &Checkpoint) -> Outcome<Known> {
    // Tensors share their data, so this copies names alone.
    let tensors = weights::adapted(read.tensors.clone());
    let Some(parts) = weights::parts(&tensors) else { return Ok(Known::Nothing) };
    let model = if parts.has_satellite { Model::Utt } else { Model::Unet };
    let mut config = Config::preset(model.name()).or_usage()?;
    config.aerial_metadata = parts.has_metadata;
    let width = format!("flair_bench.unet_width={}", parts.unet_width);
    // A width out of range is reported when the weights are loaded.
    Ok(config.set(&width).map_or(Known::Nothing, |()| Known::Parts(Box::new(config))))
}

/// The training settings that matter to a prediction and differ from the configuration's.
fn deviating(trained: &Config, config: &Config, purpose: Purpose<'_>) -> Result<Vec<String>, ConfigError> {
    let mut found = deviations(&trained.prediction_settings()?, &config.prediction_settings()?);
    // The training patches matter if the prediction may include them.
    if !matches!(purpose, Purpose::Prediction(_, Split::Test)) {
        found.extend(deviations(&trained.split_settings()?, &config.split_settings()?));
    }
    Ok(found)
}

fn read_config(path: &Path) -> anyhow::Result<String> {
    read_text(path, MAX_CONFIG).with_context(|| format!("cannot read the configuration `{}`", path.display()))
}

/// The dataset's folder, if it has one, and whether it is synthetic. If nothing is named, the toy dataset is made: whoever
/// names weights or a configuration has other data in mind.
fn data_root(
    arguments: &SetupArgs,
    config: &Config,
    purpose: Purpose<'_>,
    ranks: &Ranks,
    bars: &Bars,
) -> Outcome<(Option<PathBuf>, bool)> {
    if let Some(root) = &arguments.data {
        let is_toy = toy::marker(root).or_input()?.is_some();
        return Ok((Some(root.clone()), is_toy));
    }
    if config.data != DataPaths::default() {
        let paths = &config.data;
        let paths = [&paths.path_aerial_train, &paths.path_aerial_test, &paths.path_sp_centroids];
        for ancestor in paths.into_iter().flat_map(|path| Path::new(path).ancestors().take(3)) {
            if !ancestor.as_os_str().is_empty() && toy::marker(ancestor).or_input()?.is_some() {
                return Ok((None, true));
            }
        }
        return Ok((None, false));
    }
    let named = match (&arguments.config, purpose) {
        (Some(config), _) => Some(format!("the paths in the section `data` of `{}` are empty", config.display())),
        (None, Purpose::Prediction(Some(weights), _)) => Some(format!("there are weights, `{}`", weights.display())),
        _ => None,
    };
    if let Some(why) = named {
        return Err(anyhow!(
            "no data named, though {why}: name the dataset's folder with --data DIR (`flair-bench data toy DIR` makes a \
             synthetic one)"
        ))
        .or_usage();
    }
    say(&format!("note: no data named (--data DIR): using the synthetic dataset in {TOY_FOLDER}"));
    let root = PathBuf::from(TOY_FOLDER);
    if ranks.is_first() {
        toy::generate(&root, &ToyOptions::default(), bars).or_environment()?;
    }
    ranks.barrier().or_environment()?;
    Ok((Some(root), true))
}

/// The device: `--device`, and for `auto` the configuration's `accelerator`. Reports settings of the configuration that
/// have no effect.
fn device(arguments: &SetupArgs, config: &Config, ranks: &Ranks) -> Outcome<Device> {
    let is_set = |key: &str| {
        let of_key = |set: &String| set.split('=').next().is_some_and(|name| name.trim() == key);
        arguments.config.is_some() || arguments.set.iter().any(of_key)
    };
    let accelerator = Some(config.accelerator.as_str()).filter(|_| is_set("accelerator"));
    let choice = match (arguments.device, accelerator) {
        (DeviceChoice::Auto, Some("cpu")) => DeviceChoice::Cpu,
        (choice, _) => choice,
    };
    let device = match choice.open_as(ranks.local()) {
        Err(error @ (DeviceError::NotBuilt | DeviceError::Shared { .. })) => Err(error).or_usage()?,
        other => other.or_environment()?,
    };
    let arithmetic = arguments.arithmetic();
    arithmetic.choose(&device).or_usage()?;
    if let Environment { device, gpu: Some(gpu), .. } = Environment::of(&device) {
        say(&format!("note: computing on {device}, {gpu}, in {arithmetic}"));
    }
    match accelerator {
        Some(accelerator @ ("gpu" | "cuda")) if device.is_cpu() => {
            say(&format!("note: `accelerator: {accelerator}` has no effect: computing on the CPU"));
        }
        Some(accelerator) if !["gpu", "cuda", "cpu", "auto"].contains(&accelerator) => {
            say(&format!("note: `accelerator: {accelerator}` has no effect: --device names the device"));
        }
        _ => {}
    }
    let devices = config.gpus_per_node.saturating_mul(config.num_nodes);
    if devices > 1 && (is_set("gpus_per_node") || is_set("num_nodes")) {
        if ranks.is_alone() {
            say(&format!(
                "note: `gpus_per_node` × `num_nodes` is {devices}, without effect: this is one process, with one device \
                 (docs/cluster.md shows how to start several)"
            ));
        } else if devices != ranks.size() {
            return Err(anyhow!(
                "`gpus_per_node` × `num_nodes` is {devices}, but the job has {} ranks: start as many, or set both keys",
                ranks.size()
            ))
            .or_usage();
        }
    }
    ranks.agree("kind of device", if device.is_cpu() { b"cpu" } else { b"gpu" }).or_usage()?;
    Ok(device)
}
