//! A run's folder: its name, its lock, and what a killed process left in it.

use std::path::Path;

use anyhow::Context;
use flair_baselines::config::Config;
use flair_scoring::{
    files::remove_parts,
    lock::{FolderLock, LockError},
};

use super::super::lock::{granted, holder};
use crate::{
    cli::SetupArgs,
    exit::{OrExit, Outcome},
};

/// Default folder of runs.
const RUNS: &str = "runs";

/// Takes the run's folder for this process: `--out`, or a new one. Removes what a killed process left incomplete.
pub(super) fn take(arguments: &SetupArgs, config: &Config, name: &str) -> Outcome<FolderLock> {
    let lock = match &arguments.out {
        Some(out) => FolderLock::take(out, &holder()),
        None => next_free(arguments, config, name),
    };
    let lock = granted(lock)?;
    remove_incomplete(lock.folder())?;
    Ok(lock)
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

/// Removes the incomplete files that a killed process left in a run's folder. This process has its lock.
fn remove_incomplete(out: &Path) -> Outcome<()> {
    for folder in [out.to_owned(), out.join("checkpoints"), out.join("predictions"), out.join("submission")] {
        let context = || format!("cannot clear up `{}`", folder.display());
        remove_parts(&folder, "").with_context(context).or_environment()?;
    }
    Ok(())
}
