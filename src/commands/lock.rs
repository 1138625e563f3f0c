//! One process at a time in a folder of results, or several that share it.

use std::{fs, path::Path};

use anyhow::anyhow;
use flair_scoring::lock::{FolderLock, LockError};

use crate::{
    exit::{OrExit, Outcome},
    ui::say,
};

/// Takes a folder for this process. Refuses one in use, and names its user.
pub(super) fn take(folder: &Path) -> Outcome<FolderLock> {
    granted(FolderLock::take(folder, &holder()))
}

/// The lock that was asked for, or why there is none. Notes it if others are not kept out.
pub(super) fn granted(lock: Result<FolderLock, LockError>) -> Outcome<FolderLock> {
    let lock = free(lock)?;
    if let Some(error) = lock.unenforced() {
        let folder = lock.folder().display();
        say(&format!("note: `{folder}` cannot be locked, so start no second command with this --out: {error}"));
    }
    Ok(lock)
}

/// The lock that was asked for, or why there is none.
pub(super) fn free(lock: Result<FolderLock, LockError>) -> Outcome<FolderLock> {
    match lock {
        Err(error @ LockError::Held { .. }) => {
            Err(anyhow!("{error}: wait for its end, or choose another --out")).or_usage()
        }
        other => other.or_environment(),
    }
}

/// What others are told of the process that holds a folder.
pub(super) fn holder() -> String {
    let command = std::env::args().nth(1).unwrap_or_default();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.map(|host| format!(" on `{}`", host.trim())).unwrap_or_default();
    format!("`flair-bench {command}` (process {}{host}, since {})", std::process::id(), now())
}

/// The time, in UTC.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
