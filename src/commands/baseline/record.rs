//! `run.json`: what a run was, and whether a folder holds this run or another.

use std::{fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, anyhow};
use flair_baselines::{config::Config, runtime::Environment};
use flair_scoring::{files::sha256, submission::fold_ranges};
use serde::{Deserialize, Serialize};

use super::{plan::Plan, write_json};
use crate::exit::{OrExit, Outcome};

/// The record of a run.
#[derive(Debug, Serialize)]
pub(super) struct RunRecord {
    schema: &'static str,
    /// SHA-256 of all that decides the predictions: a run with the same identity goes on where another stopped.
    identity: String,
    /// When it began last, in UTC.
    started: String,
    /// When it ended; `null` while it runs, or if it was stopped.
    finished: Option<String>,
    preset: String,
    /// Whether the weights are random.
    untrained: bool,
    /// `toy` or `real`.
    data_kind: &'static str,
    data: Option<PathBuf>,
    split: &'static str,
    patches: usize,
    patch_ranges: Vec<String>,
    seed: u64,
    weights: Option<Weights>,
    parameters: usize,
    notes: Vec<String>,
    config: Config,
    environment: Environment,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Clone, Debug, Serialize)]
struct Weights {
    file: PathBuf,
    sha256: String,
}

/// What is read of a record that is there already.
#[derive(Debug, Deserialize)]
struct Earlier {
    identity: String,
}

impl RunRecord {
    /// Writes the record of a run that begins. If its folder holds a run, it must be this one.
    pub(super) fn begin(plan: &Plan, environment: Environment) -> Outcome<Self> {
        let path = plan.out.join("run.json");
        let identity = identity(plan).or_environment()?;
        match fs::read_to_string(&path) {
            Ok(text) => {
                let earlier: Earlier = serde_json::from_str(&text)
                    .with_context(|| format!("`{}` is no record of a run: choose another --out", path.display()))
                    .or_usage()?;
                if earlier.identity != identity {
                    return Err(anyhow!(
                        "`{}` holds a run with other settings, weights or data: choose another --out",
                        plan.out.display()
                    ))
                    .or_usage();
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if plan.out.join("predictions").exists() {
                    return Err(anyhow!(
                        "`{}` holds predictions, but no record of their run: choose another --out",
                        plan.out.display()
                    ))
                    .or_usage();
                }
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read `{}`", path.display())).or_environment();
            }
        }
        let record = Self {
            schema: "flair-bench/run/1",
            identity,
            started: now(),
            finished: None,
            preset: plan.name.clone(),
            untrained: plan.is_untrained(),
            data_kind: if plan.is_toy { "toy" } else { "real" },
            data: plan.root.clone(),
            split: plan.split.name(),
            patches: plan.patches.len(),
            patch_ranges: fold_ranges(plan.patches.iter().copied()),
            seed: plan.config.flair_bench.seed,
            weights: plan.weights.clone().map(|(file, sha256)| Weights { file, sha256 }),
            parameters: plan.network.parameters.weight_count(),
            notes: plan.notes(),
            config: plan.config.clone(),
            environment,
            path,
        };
        write_json(&record.path, &record)?;
        Ok(record)
    }

    /// Writes down that the run is over.
    pub(super) fn finish(mut self) -> Outcome<()> {
        self.finished = Some(now());
        write_json(&self.path, &self)
    }
}

/// What decides the predictions: version, settings, weights, patches and where their data lies.
fn identity(plan: &Plan) -> anyhow::Result<String> {
    let root = plan.root.as_ref().map(fs::canonicalize).transpose()?;
    let weights = plan.weights.as_ref().map(|(_, sha256)| sha256);
    let patches: Vec<u32> = plan.patches.iter().map(|id| id.number()).collect();
    let text = serde_json::to_vec(&(env!("CARGO_PKG_VERSION"), &plan.config, weights, &patches, root))?;
    Ok(sha256(text.as_slice())?)
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
