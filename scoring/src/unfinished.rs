//! Files and folders that this process is still making. They are removed if their writer fails or the process is
//! interrupted; those of a killed process are removed by the next one that writes there.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What this process is making. Whoever creates or removes something unfinished holds the lock meanwhile.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn registry() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder under a temporary name. Unless it is [`finished`](Self::finish), it is removed on drop, also when
/// its writer panics, and by [`remove_all`].
#[derive(Debug)]
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// Creates a file; missing parent folders are created too. The file is locked as long as it is open, so that no
    /// other process takes it for the leftover of a killed one.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn file(path: PathBuf) -> io::Result<(Self, File)> {
        let mut registry = registry();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(&path)?;
        // A file system without locks has no protection from other processes; the name is distinct all the same.
        let _ = file.try_lock();
        registry.insert(path.clone());
        Ok((Self(path), file))
    }

    /// Creates a folder; missing parent folders are created too.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn folder(path: PathBuf) -> io::Result<Self> {
        let mut registry = registry();
        fs::create_dir_all(&path)?;
        registry.insert(path.clone());
        Ok(Self(path))
    }

    /// Removes a file that exists already, as if this had created it.
    pub(crate) fn adopted(path: PathBuf) -> Self {
        registry().insert(path.clone());
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps what is at the path, or what was moved from there.
    pub fn finish(self) {
        registry().remove(&self.0);
        std::mem::forget(self);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut registry = registry();
        remove(&self.0);
        registry.remove(&self.0);
    }
}

/// Removes everything unfinished before the process exits. No thread can create or finish anything afterwards: it
/// blocks.
pub fn remove_all() {
    let registry = registry();
    registry.iter().for_each(|path| remove(path));
    std::mem::forget(registry);
}

/// Removes a file or a folder. The error that a user needs is the one that led here; a leftover is harmless.
fn remove(path: &Path) {
    if !path.is_dir() {
        let _ = fs::remove_file(path);
        return;
    }
    // Threads may still finish files in the folder.
    for _ in 0..10 {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => thread::sleep(Duration::from_millis(5)),
            _ => return,
        }
    }
}

/// Whether no process is writing the file any more. True on file systems without locks.
pub fn is_abandoned(path: &Path) -> bool {
    let file = File::options().read(true).open(path);
    file.is_ok_and(|file| !matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_removed_and_what_is_finished_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (file, _open) = Unfinished::file(path("a/file")).unwrap();
        let folder = Unfinished::folder(path("b/folder")).unwrap();
        fs::write(folder.path().join("content"), "x").unwrap();
        drop((file, folder));
        assert!(!path("a/file").exists() && !path("b/folder").exists());
        let (file, _open) = Unfinished::file(path("a/file")).unwrap();
        file.finish();
        assert!(path("a/file").exists());
    }

    #[test]
    fn a_file_is_abandoned_once_its_writer_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let (unfinished, open) = Unfinished::file(path.clone()).unwrap();
        assert!(!is_abandoned(&path));
        drop(open);
        assert!(is_abandoned(&path));
        drop(unfinished);
        assert!(!is_abandoned(&path));
    }
}
