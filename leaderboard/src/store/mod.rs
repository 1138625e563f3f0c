//! Entries as files: one file per entry, `{benchmark}/{name}.json`, both as slugs.

mod published;
mod run;

pub use published::published;
pub use run::Description;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use flair_scoring::files::{read_text, write_atomically};

use crate::{Entry, LeaderboardError, slug};

/// Maximum size of an entry's file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A folder of entries.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// What to do if the entry exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep it, and fail.
    Keep,
    /// Replace it.
    Replace,
}

impl Store {
    /// The store in a folder, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of an entry, by its benchmark and name.
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.root.join(relative_path(entry))
    }

    /// Reads all entries, sorted by path. A missing folder has none.
    ///
    /// # Errors
    /// A file that isn't an entry, has an unknown field, or has another path than its benchmark and name give; the
    /// error names the file. Files that don't end with `.json` are ignored.
    pub fn read(&self) -> Result<Vec<Entry>, LeaderboardError> {
        if !self.root.exists() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for folder in sorted(&self.root)?.iter().filter(|path| path.is_dir()) {
            for path in sorted(folder)?.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
                entries.push(self.read_one(path)?);
            }
        }
        Ok(entries)
    }

    fn read_one(&self, path: &Path) -> Result<Entry, LeaderboardError> {
        let text = read_text(path, MAX_FILE).map_err(LeaderboardError::io(path))?;
        let entry = Entry::from_json(&text).map_err(|reason| LeaderboardError::file(path, reason))?;
        let due = relative_path(&entry);
        if path.strip_prefix(&self.root) != Ok(&due) {
            return Err(LeaderboardError::file(path, format!("its path must be `{}`", due.display())));
        }
        Ok(entry)
    }

    /// Writes an entry to its path, atomically.
    ///
    /// # Errors
    /// The entry isn't valid, it exists already ([`Existing::Keep`]), or it can't be written.
    pub fn add(&self, entry: &Entry, existing: Existing) -> Result<PathBuf, LeaderboardError> {
        entry.validate()?;
        let path = self.path(entry);
        if existing == Existing::Keep && path.exists() {
            return Err(LeaderboardError::Exists { path });
        }
        write_atomically(&path, |file| file.write_all(entry.to_json().as_bytes()))
            .map_err(LeaderboardError::io(&path))?;
        Ok(path)
    }
}

/// `{benchmark}/{name}.json`.
pub(crate) fn relative_path(entry: &Entry) -> PathBuf {
    Path::new(&slug(&entry.benchmark)).join(slug(&entry.name)).with_added_extension("json")
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, LeaderboardError> {
    let read = || fs::read_dir(folder)?.map(|found| Ok(found?.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = read().map_err(LeaderboardError::io(folder))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::entry;

    #[test]
    fn what_is_added_is_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("entries"));
        assert_eq!(store.read().unwrap(), []);
        let entries = [entry("a", "1.5 x", 0.1), entry("a", "2", 0.2), entry("b", "1", 0.3)];
        for entry in entries.iter().rev() {
            store.add(entry, Existing::Keep).unwrap();
        }
        assert_eq!(store.read().unwrap(), entries);
        assert!(store.path(&entries[0]).ends_with("a/1-5-x.json"));

        let other = entry("a", "2!", 0.9);
        assert!(matches!(store.add(&other, Existing::Keep), Err(LeaderboardError::Exists { .. })));
        store.add(&other, Existing::Replace).unwrap();
        assert_eq!(store.read().unwrap()[1], other);
        assert!(store.add(&entry("a", "", 0.5), Existing::Replace).is_err());
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let good = entry("a", "x", 0.5);
        let path = store.add(&good, Existing::Keep).unwrap();
        let mut errors = Vec::new();
        for text in ["{", &good.to_json().replace("miou", "mIoU"), &good.to_json().replace("\"x\"", "\"y\"")] {
            fs::write(&path, text).unwrap();
            errors.push(store.read().unwrap_err().to_string().replace(&path.display().to_string(), "a/x.json"));
        }
        insta::assert_snapshot!(errors.join("\n"), @r"
        `a/x.json`: EOF while parsing an object at line 1 column 1
        `a/x.json`: unknown field `mIoU`, expected one of `schema`, `benchmark`, `name`, `rank`, `miou`, `std`, `protocol`, `input`, `notes`, `source`, `date`, `class_ious`, `timing`, `untrained` at line 5 column 8
        `a/x.json`: its path must be `a/y.json`
        ");
    }
}
