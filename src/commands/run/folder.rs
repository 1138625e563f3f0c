//! A run's folder: its name, its lock, and what a killed process left in it.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use flair_baselines::{config::Config, ranks::Ranks};
use flair_scoring::{
    files::remove_parts,
    lock::{FolderLock, LockError},
};

use super::super::lock::{free, granted, holder};
use crate::{
    cli::SetupArgs,
    exit::{OrExit, Outcome},
    ui::say,
};

/// The folder of the predictions, in a run's.
pub(super) const PREDICTIONS: &str = "predictions";
/// Default folder of runs.
const RUNS: &str = "runs";
/// How long a shard waits for another one that ends its share of the folder at this moment.
const MOMENT: Duration = Duration::from_secs(2);

/// Who may use a run's folder at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// One process.
    Alone,
    /// The processes that predict shards of the run.
    Shards,
}

/// A run's folder.
pub(super) struct Taken {
    pub(super) out: PathBuf,
    /// Keeps other processes out. Of several ranks, rank 0 has it for all.
    pub(super) lock: Option<FolderLock>,
}

impl From<FolderLock> for Taken {
    fn from(lock: FolderLock) -> Self {
        Self { out: lock.folder().to_owned(), lock: Some(lock) }
    }
}

/// Takes the run's folder for this process, or for all ranks: `--out`, or a new one. A process that has it alone removes
/// what a killed one left incomplete.
pub(super) fn take(
    arguments: &SetupArgs,
    config: &Config,
    name: &str,
    sharing: Sharing,
    ranks: &Ranks,
) -> Outcome<Taken> {
    match (&arguments.out, sharing) {
        (Some(out), Sharing::Shards) => return Ok(share(out)?.into()),
        (None, Sharing::Shards) => return Err(anyhow!("--shard needs --out")).or_usage(),
        (_, Sharing::Alone) => {}
    }
    let mut taken = None;
    if ranks.is_first() {
        let lock = granted(match &arguments.out {
            Some(out) => FolderLock::take(out, &holder()),
            None => next_free(arguments, config, name),
        })?;
        remove_incomplete(lock.folder())?;
        taken = Some(Taken::from(lock));
    }
    let own = taken.as_ref().map(|taken| taken.out.to_string_lossy().into_owned()).unwrap_or_default();
    let out = ranks.broadcast(own.into_bytes()).or_environment()?;
    // Names that are no UTF-8 come from --out alone.
    let out = || arguments.out.clone().unwrap_or_else(|| PathBuf::from(String::from_utf8_lossy(&out).into_owned()));
    Ok(taken.unwrap_or_else(|| Taken { out: out(), lock: None }))
}

/// Shares a run's folder with the processes that predict its other shards.
fn share(out: &Path) -> Outcome<FolderLock> {
    let shards = format!("shards of a prediction, the latest by {}", holder());
    let lock = free(patiently(MOMENT, || FolderLock::share(out, &shards)))?;
    if let Some(error) = lock.unenforced() {
        let folder = lock.folder().display();
        say(&format!(
            "note: `{folder}` cannot be locked: start each shard once, no other command with this --out, and `finish` \
             after the last one: {error}"
        ));
    }
    Ok(lock)
}

/// Asks for a lock until it is granted, at most for the time of `patience`: for locks that others hold only briefly.
pub(super) fn patiently(
    patience: Duration,
    ask: impl Fn() -> Result<FolderLock, LockError>,
) -> Result<FolderLock, LockError> {
    let begun = Instant::now();
    loop {
        match ask() {
            Err(LockError::Held { .. }) if begun.elapsed() < patience => thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}

/// A new folder `{name}-{n}` with the smallest free `n`, in `runs`. For a configuration of the user's, parent and name
/// are its `out_folder` and `out_model_name`, if it has them.
fn next_free(arguments: &SetupArgs, config: &Config, name: &str) -> Result<FolderLock, LockError> {
    let named = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty() && arguments.config.is_some());
    let parent = named(&config.out_folder).unwrap_or_else(|| RUNS.to_owned());
    let name = named(&config.out_model_name).map_or_else(|| name.to_owned(), |name| file_name(&name));
    let mut number = 1u32;
    loop {
        let folder = Path::new(&parent).join(format!("{name}-{number}"));
        if !folder.exists() {
            match FolderLock::take(&folder, &holder()) {
                // Another run takes the same name at the same time.
                Ok(lock) if !lock.is_new() => {}
                Err(LockError::Held { .. }) => {}
                other => return other,
            }
        }
        number += 1;
    }
}

/// A text as part of a file's name.
pub(super) fn file_name(text: &str) -> String {
    let name = text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' });
    name.collect::<String>().trim_start_matches(['-', '.']).to_owned()
}

/// Removes the incomplete files that killed processes left in a run's folder. This process has it alone.
pub(super) fn remove_incomplete(out: &Path) -> Outcome<()> {
    let folders = ["checkpoints", PREDICTIONS, "submission"].map(|name| out.join(name));
    for folder in folders.into_iter().chain([out.to_owned()]) {
        let context = || format!("cannot clear up `{}`", folder.display());
        remove_parts(&folder, "").with_context(context).or_environment()?;
    }
    Ok(())
}
