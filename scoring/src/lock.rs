//! One process at a time in a folder, or several that share it.

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

/// The use of a folder, alone or shared. The operating system ends it with the process, so that a killed process leaves
/// no lock. On drop, the lock file is removed, unless others share it, and so are the folders that were created for it
/// and are still empty.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
    mode: Mode,
    /// Removes the lock file of an exclusive lock, unless the lock is not enforced: others may then use it.
    entry: Option<Unfinished>,
    /// Folders that [`FolderLock::take`] created, the outermost first.
    created: Vec<PathBuf>,
    unenforced: Option<io::Error>,
}

/// How many processes may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// One.
    Exclusive,
    /// All that share it.
    Shared,
}

impl FolderLock {
    /// Locks a folder for this process alone. The folder is created if it is missing. `holder` describes this process
    /// to others, in one line.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process holds the lock, [`LockError::Io`] if the lock file cannot be made.
    pub fn take(folder: &Path, holder: &str) -> Result<Self, LockError> {
        Self::lock(folder, holder, Mode::Exclusive)
    }

    /// Locks a folder together with all other processes that share it, as [`FolderLock::take`] does otherwise. Others
    /// see the `holder` of the process that began last, so it should name what these processes have in common.
    ///
    /// A process that ends its share holds the folder alone for a moment: ask again before you give up.
    ///
    /// # Errors
    /// [`LockError::Held`] if a process has the folder alone, [`LockError::Io`] if the lock file cannot be made.
    pub fn share(folder: &Path, holder: &str) -> Result<Self, LockError> {
        Self::lock(folder, holder, Mode::Shared)
    }

    fn lock(folder: &Path, holder: &str, mode: Mode) -> Result<Self, LockError> {
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
            let granted = match mode {
                Mode::Exclusive => file.try_lock(),
                Mode::Shared => file.try_lock_shared(),
            };
            let unenforced = match granted {
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
            let is_own = cfg!(unix) && unenforced.is_none() && mode == Mode::Exclusive;
            let entry = is_own.then(|| Unfinished::adopted(path.clone()));
            let mut lock = Self { file, path, mode, entry, created, unenforced };
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

    /// Ends this process's share of the folder. The last of those that share it removes the lock file.
    fn end_share(&self) {
        if !cfg!(unix) || self.unenforced.is_some() {
            return;
        }
        // The file may be another one by now, if a process took the folder between the two calls.
        if self.file.unlock().is_ok() && self.file.try_lock().is_ok() && is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        drop(self.entry.take());
        if self.mode == Mode::Shared {
            self.end_share();
        }
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
    fn those_that_share_a_folder_keep_out_one_that_wants_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a");
        let first = FolderLock::share(&folder, "shards, the latest 1").unwrap();
        let second = FolderLock::share(&folder, "shards, the latest 22").unwrap();
        assert_eq!((first.is_new(), second.is_new()), (true, false));
        let alone = || FolderLock::take(&folder, "one").unwrap_err().to_string();
        assert_eq!(alone(), format!("`{}` is in use by shards, the latest 22", folder.display()));
        drop(second);
        assert!(folder.join(LOCK_FILE).exists());
        assert!(alone().contains("is in use by shards"));
        drop(first);
        assert!(!folder.exists());
        let one = FolderLock::take(&folder, "one").unwrap();
        let error = FolderLock::share(&folder, "shards").unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is in use by one", folder.display()));
        drop(one);
        assert!(FolderLock::share(&folder, "shards").is_ok());
    }

    #[test]
    fn of_many_at_once_one_has_the_folder_or_many_share_it() {
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a");
        let (alone, sharing) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (folder, alone, sharing) = (&folder, &alone, &sharing);
                scope.spawn(move || {
                    for _ in 0..50 {
                        if thread % 2 == 0 {
                            let Ok(_lock) = FolderLock::share(folder, "one of many") else { continue };
                            sharing.fetch_add(1, SeqCst);
                            assert_eq!(alone.load(SeqCst), 0);
                            std::thread::yield_now();
                            sharing.fetch_sub(1, SeqCst);
                        } else {
                            let Ok(_lock) = FolderLock::take(folder, "one") else { continue };
                            assert_eq!((alone.fetch_add(1, SeqCst), sharing.load(SeqCst)), (0, 0));
                            std::thread::yield_now();
                            alone.fetch_sub(1, SeqCst);
                        }
                    }
                });
            }
        });
        assert!(!folder.join(LOCK_FILE).exists());
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
