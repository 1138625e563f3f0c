//! One process at a time in a folder.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process,
};

use crate::{text::shown, unfinished::Unfinished};

/// Name of the file that is locked. Its text tells who holds the lock.
pub const LOCK_FILE: &str = ".flair-bench.lock";

/// Maximum size of that text, in bytes.
const MAX_HOLDER: u64 = 1 << 10;

/// Errors of [`FolderLock::take`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process holds the lock.
    #[error("`{}` is in use by {holder}", folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The other process, as it describes itself.
        holder: String,
    },
    /// The folder or the lock file cannot be made.
    #[error("cannot lock `{}`: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// `.{name}.{process}.part`: the name of this process's unfinished folder, which [`remove_abandoned`] knows.
pub fn part_name(name: &str) -> String {
    format!(".{name}.{}.part", process::id())
}

/// Removes the folders of the name [`part_name`] in `parent` that killed processes left: nobody holds their locks.
///
/// # Errors
/// A folder cannot be listed or removed.
pub fn remove_abandoned(parent: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let process = entry.file_name().to_str().and_then(|file| {
            file.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".part").map(str::to_owned)
        });
        let is_part = process.is_some_and(|process| !process.is_empty() && process.bytes().all(|b| b.is_ascii_digit()));
        if !is_part || !entry.file_type()?.is_dir() {
            continue;
        }
        if let Ok(lock) = FolderLock::take(&entry.path(), "a process that removes it") {
            fs::remove_dir_all(lock.folder())?;
        }
    }
    Ok(())
}

/// The exclusive use of a folder. The operating system ends it with the process, so that a killed process leaves no
/// lock. On drop, the lock file is removed, and so are the folders that were created for it and are still empty.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
    /// Removes the lock file, unless the lock is not enforced: others may then use it.
    entry: Option<Unfinished>,
    /// Folders that [`FolderLock::take`] created, the outermost first.
    created: Vec<PathBuf>,
    unenforced: Option<io::Error>,
}

impl FolderLock {
    /// Locks a folder, which is created if it is missing. `holder` describes this process to others, in one line.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process holds the lock, [`LockError::Io`] if the lock file cannot be made.
    pub fn take(folder: &Path, holder: &str) -> Result<Self, LockError> {
        let path = folder.join(LOCK_FILE);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { path, source }
        };
        let mut created = Vec::new();
        loop {
            created.extend(create_folders(folder).map_err(failed(folder))?);
            let file = match File::options().read(true).write(true).create(true).truncate(false).open(&path) {
                // The previous holder has just removed the folder that it had created.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(failed(&path))?,
            };
            let unenforced = match file.try_lock() {
                Ok(()) => None,
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { folder: folder.to_owned(), holder: held_by(file) });
                }
                Err(TryLockError::Error(error)) => Some(error),
            };
            // The previous holder may have removed the file between its opening and its locking.
            if unenforced.is_none() && !is_at(&file, &path) {
                continue;
            }
            // An open file cannot be removed on other systems. A lock file that stays is harmless.
            let entry = (cfg!(unix) && unenforced.is_none()).then(|| Unfinished::adopted(path.clone()));
            let mut lock = Self { file, path, entry, created, unenforced };
            lock.describe(holder).map_err(failed(&lock.path))?;
            return Ok(lock);
        }
    }

    /// Whether [`FolderLock::take`] created the folder.
    pub fn is_new(&self) -> bool {
        self.created.last().map(PathBuf::as_path) == Some(self.folder())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Why other processes are not kept out: the file system has no locks.
    pub fn unenforced(&self) -> Option<&io::Error> {
        self.unenforced.as_ref()
    }

    fn describe(&mut self, holder: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(holder.as_bytes())?;
        self.file.flush()
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        drop(self.entry.take());
        // Folders with something in them stay.
        for folder in self.created.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Creates a folder and its missing parents; returns those that this call created, the outermost first.
fn create_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    let mut created = Vec::new();
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Ok(()) => created.push(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(created)
}

/// The text of the lock file, made safe to show.
fn held_by(file: File) -> String {
    let mut text = Vec::new();
    // The holder may not have written its text yet.
    let _ = file.take(MAX_HOLDER).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    if text.trim().is_empty() { "another process".to_owned() } else { shown(text.trim()) }
}

/// Whether the open file is the one at the path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: io::Result<fs::Metadata>| metadata.map(|m| (m.dev(), m.ino())).ok();
    let open = identity(file.metadata());
    open.is_some() && open == identity(fs::metadata(path))
}

/// Whether the open file is the one at the path: always, since no lock file is removed here.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_the_folder_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("runs/a");
        let lock = FolderLock::take(&folder, "`flair-bench train` (process 7)").unwrap();
        assert!(lock.is_new() && lock.unenforced().is_none());
        let error = FolderLock::take(&folder, "another").unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is in use by `flair-bench train` (process 7)", folder.display()));
        drop(lock);
        assert!(!dir.path().join("runs").exists());
    }

    #[test]
    fn what_is_in_the_folder_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a");
        let lock = FolderLock::take(&folder, "one").unwrap();
        fs::write(folder.join("result"), "x").unwrap();
        drop(lock);
        let lock = FolderLock::take(&folder, "two").unwrap();
        assert!(!lock.is_new());
        drop(lock);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_lock_file_without_a_process_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK_FILE), "a killed process, with a long description").unwrap();
        let lock = FolderLock::take(dir.path(), "new").unwrap();
        assert_eq!(fs::read_to_string(&lock.path).unwrap(), "new");
    }

    #[test]
    fn of_many_at_once_one_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let Ok(_lock) = FolderLock::take(&folder, "one of many") else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        // Whoever was refused may have created the folder for the one who has it; then it stays, and is empty.
        assert!(!folder.exists() || std::fs::read_dir(&folder).unwrap().next().is_none());
    }
}
