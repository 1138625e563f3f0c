//! Everything that is decided before the clock starts.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, anyhow};
use flair_baselines::{
    DType, Device,
    config::{Config, DataPaths},
    data::{
        Dataset, Split,
        toy::{self, ToyOptions},
    },
    models::{Network, utt::UttConfig},
    runtime::DeviceError,
    weights,
};
use flair_scoring::PatchId;

use super::{TOY, UNTRAINED};
use crate::{
    cli::BaselineArgs,
    exit::{OrExit, Outcome},
    ui::{Bars, say, write_findings},
};

/// Folder of runs, and of the toy dataset, where nothing else is said.
const RUNS: &str = "runs";
/// The toy dataset in it.
const TOY_FOLDER: &str = "runs/toy-dataset";
/// Configurations are a few kilobytes.
const MAX_CONFIG: u64 = 1 << 20;

/// What a run consists of.
pub(super) struct Plan {
    /// The preset, or the configuration's name.
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) dataset: Dataset,
    /// Where the dataset was found; `None` where the configuration names its parts.
    pub(super) root: Option<PathBuf>,
    pub(super) is_toy: bool,
    pub(super) split: Split,
    pub(super) patches: Vec<PatchId>,
    pub(super) network: Network,
    /// The weights' file and its SHA-256.
    pub(super) weights: Option<(PathBuf, String)>,
    pub(super) batch_size: usize,
    pub(super) workers: usize,
    pub(super) out: PathBuf,
}

impl Plan {
    pub(super) fn new(arguments: &BaselineArgs, bars: &Bars) -> Outcome<Self> {
        let (name, config) = configuration(arguments)?;
        let device = arguments.device.open();
        let device = match device {
            Err(error @ DeviceError::NotBuilt) => Err(error).or_usage()?,
            other => other.or_environment()?,
        };
        if let Some(weights) = arguments.weights.as_ref().filter(|weights| !weights.is_file()) {
            return Err(anyhow!("there is no file `{}` to take weights from", weights.display())).or_input();
        }
        let (root, is_toy) = data_root(arguments, &config, bars)?;
        let dataset = Dataset::open(root.as_deref(), &config).or_input()?;
        tell_findings(&dataset)?;
        let patches = arguments.split.patches(&dataset, &config.flair_bench).or_input()?;
        let network = Network::new(&UttConfig::from(&config), DType::F32, &device, config.flair_bench.seed)
            .map_err(|error| anyhow!("the network cannot be built: {error}"))
            .or_usage()?;
        let weights = match &arguments.weights {
            Some(path) => Some((path.clone(), weights::load(path, &network).or_input()?.sha256)),
            None => None,
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            out: arguments.out.clone().unwrap_or_else(|| next_free(&name)),
            batch_size: arguments.batch_size.map_or(config.batch_size_inference, usize::from).max(1),
            // Upstream's ten readers suit its own speed; more than there are processors only wait.
            workers: config.num_workers.clamp(1, processors),
            split: arguments.split,
            name,
            config,
            dataset,
            root,
            is_toy,
            patches,
            network,
            weights,
        })
    }

    pub(super) fn is_untrained(&self) -> bool {
        self.weights.is_none()
    }

    pub(super) fn device(&self) -> &Device {
        self.network.parameters.device()
    }

    /// What every output of this run must say.
    pub(super) fn notes(&self) -> Vec<String> {
        let notes = [(self.is_untrained(), UNTRAINED), (self.is_toy, TOY)];
        notes.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note.to_owned()).collect()
    }
}

/// The configuration, and the name that the run goes by.
fn configuration(arguments: &BaselineArgs) -> Outcome<(String, Config)> {
    let (name, mut config) = match &arguments.config {
        Some(path) => {
            let text = read_config(path).or_input()?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let name: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
            let name = name.trim_start_matches(['-', '.']);
            (format!("config-{name}"), Config::from_yaml(&text, &path.display().to_string()).or_usage()?)
        }
        None => (arguments.preset.clone(), Config::preset(&arguments.preset).or_usage()?),
    };
    config.set_all(&arguments.set).or_usage()?;
    if let Some(seed) = arguments.seed {
        config.flair_bench.seed = seed;
    }
    Ok((name, config))
}

fn read_config(path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot read the configuration `{}`", path.display());
    let size = fs::metadata(path).with_context(context)?.len();
    if size > MAX_CONFIG {
        return Err(anyhow!("`{}` is no configuration: it has {size} bytes", path.display()));
    }
    fs::read_to_string(path).with_context(context)
}

/// The dataset's folder, if it is one folder, and whether it is synthetic. Where no data is named, the toy is made.
fn data_root(arguments: &BaselineArgs, config: &Config, bars: &Bars) -> Outcome<(Option<PathBuf>, bool)> {
    if let Some(root) = &arguments.data {
        let is_toy = toy::marker(root).or_input()?.is_some();
        return Ok((Some(root.clone()), is_toy));
    }
    if config.data != DataPaths::default() {
        return Ok((None, false));
    }
    say(&format!("note: no data named (--data DIR): using the synthetic dataset in {TOY_FOLDER}"));
    let root = PathBuf::from(TOY_FOLDER);
    toy::generate(&root, &ToyOptions::default(), bars).or_environment()?;
    Ok((Some(root), true))
}

/// `runs/{name}-{n}` with the smallest `n` that is free.
fn next_free(name: &str) -> PathBuf {
    let mut number = 1u32;
    loop {
        let folder = Path::new(RUNS).join(format!("{name}-{number}"));
        if !folder.exists() {
            return folder;
        }
        number += 1;
    }
}

/// What was noticed while the dataset was found.
fn tell_findings(dataset: &Dataset) -> Outcome<()> {
    write_findings(&mut std::io::stderr(), &dataset.findings)?;
    Ok(())
}
