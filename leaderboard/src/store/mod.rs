//! Entries as files: one file per entry, `{benchmark}/{name}.json`, both as slugs. The entry's benchmark and name
//! identify it; a file name only has to be free.

mod benchmarks;
mod choice;
mod published;
mod record;
mod run;

pub use benchmarks::Benchmarks;
pub use published::published;
pub use run::Description;

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use flair_scoring::{
    files::{read_text, write_atomically},
    text::counted,
};

use crate::{
    Entry, LeaderboardError, benchmark_key,
    entry::{earlier_slug, folder_name, is_plain, slug_with_digest},
    slug,
};

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

    /// Reads all entries, sorted by path. A missing folder has none.
    ///
    /// # Errors
    /// A file that isn't an entry, has an unknown field, or another path than its benchmark and name give; two entries of
    /// one benchmark and name. The error names the file. Files that don't end with `.json` are ignored.
    pub fn read(&self) -> Result<Vec<Entry>, LeaderboardError> {
        Ok(self.read_files()?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The entries and their paths.
    fn read_files(&self) -> Result<Vec<(PathBuf, Entry)>, LeaderboardError> {
        if !self.root.exists() {
            return Ok(Vec::new());
        }
        let mut files: Vec<(PathBuf, Entry)> = Vec::new();
        for folder in sorted(&self.root)?.iter().filter(|path| path.is_dir()) {
            for path in sorted(folder)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
                let entry = read_one(&path)?;
                if let Some((first, _)) = files.iter().find(|(_, other)| other.has_identity_of(&entry)) {
                    let reason = format!("`{}` has the same benchmark and name: remove one", first.display());
                    return Err(LeaderboardError::file(path, reason));
                }
                files.push((path, entry));
            }
        }
        Ok(files)
    }

    /// Writes an entry to its file, atomically; returns the path. The entry's benchmark should be by its known name, see
    /// [`Benchmarks::name`].
    ///
    /// # Errors
    /// The entry isn't valid; it exists already ([`Existing::Keep`]); a published one has its name; it was scored on other
    /// patches or masks than the benchmark's entries; a file cannot be read or written.
    pub fn add(&self, entry: &Entry, existing: Existing) -> Result<PathBuf, LeaderboardError> {
        entry.validate()?;
        let files = self.read_files()?;
        let published = published()?;
        let of_benchmark: Vec<_> = files
            .iter()
            .filter(|(_, other)| benchmark_key(&other.benchmark) == benchmark_key(&entry.benchmark))
            .collect();
        let present = of_benchmark.iter().find(|(_, other)| other.has_identity_of(entry));
        let path = match present {
            Some((path, _)) if existing == Existing::Keep => {
                return Err(LeaderboardError::Exists { path: path.clone() });
            }
            Some((path, _)) => path.clone(),
            None if published.iter().any(|other| other.has_identity_of(entry)) => {
                let (name, benchmark) = (entry.name.clone(), entry.benchmark.clone());
                return Err(LeaderboardError::Published { name, benchmark });
            }
            None => {
                let folder = of_benchmark.first().and_then(|(path, _)| path.parent());
                self.free_path(entry, folder)?
            }
        };
        for (_, other) in of_benchmark.iter().filter(|(_, other)| !other.has_identity_of(entry)) {
            compare_test_sets(entry, other)?;
        }
        write_atomically(&path, |file| file.write_all(entry.to_json().as_bytes()))
            .map_err(LeaderboardError::io(&path))?;
        Ok(path)
    }

    /// The path of a new entry: its slug, with a digest where the slug alone does not show the name or is taken.
    fn free_path(&self, entry: &Entry, folder: Option<&Path>) -> Result<PathBuf, LeaderboardError> {
        let folder = folder.map_or_else(|| self.root.join(folder_name(&entry.benchmark)), Path::to_owned);
        let name = entry.name.trim();
        let [plain, with_digest] = [slug(name), slug_with_digest(name, name)].map(|stem| folder.join(stem + ".json"));
        let is_free = |path: &Path| fs::symlink_metadata(path).is_err();
        if is_plain(name) && is_free(&plain) {
            return Ok(plain);
        }
        if is_free(&with_digest) {
            return Ok(with_digest);
        }
        Err(LeaderboardError::Taken { name: entry.name.clone(), path: with_digest })
    }
}

/// Reads one entry, whose path must follow from its benchmark and name.
fn read_one(path: &Path) -> Result<Entry, LeaderboardError> {
    let text = read_text(path, MAX_FILE).map_err(LeaderboardError::io(path))?;
    let entry = Entry::from_json(&text).map_err(|reason| LeaderboardError::file(path, reason))?;
    let (name, benchmark) = (entry.name.trim(), entry.benchmark.trim());
    let folders = [folder_name(benchmark), slug(benchmark), earlier_slug(benchmark)];
    let stems = [slug(name), slug_with_digest(name, name), earlier_slug(name)];
    let is_one_of = |found: Option<&OsStr>, due: &[String]| due.iter().any(|due| found == Some(OsStr::new(due)));
    if !is_one_of(path.parent().and_then(Path::file_name), &folders) || !is_one_of(path.file_stem(), &stems) {
        let reason = format!("its path must be `{}/{}.json`", folders[0], stems[usize::from(!is_plain(name))]);
        return Err(LeaderboardError::file(path, reason));
    }
    Ok(entry)
}

/// Refuses an entry that was scored on something else than another one of its benchmark.
fn compare_test_sets(entry: &Entry, other: &Entry) -> Result<(), LeaderboardError> {
    let reason = match (&entry.test_set, &other.test_set) {
        (Some(this), Some(theirs)) if this.ids != theirs.ids => format!(
            "it was scored on {}, which are not the {} of its entry `{}`; name another benchmark",
            counted(this.patches, "patch"),
            theirs.patches,
            other.name
        ),
        (Some(this), Some(theirs)) if this.masks != theirs.masks && entry.protocol == other.protocol => {
            format!("it was scored with other masks than its entry `{}`; name another benchmark", other.name)
        }
        (None, Some(_)) => format!(
            "its score.json does not name the patches, as that of the entry `{}` does; score the predictions again",
            other.name
        ),
        _ => return Ok(()),
    };
    let (name, benchmark) = (entry.name.clone(), entry.benchmark.clone());
    Err(LeaderboardError::TestSet { name, benchmark, reason })
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
    use crate::{TestSet, entry::tests::entry};

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
        assert!(dir.path().join("entries/a/1-5-x.json").is_file());
        assert!(store.add(&entry("a", "", 0.5), Existing::Replace).is_err());
    }

    #[test]
    fn an_entry_replaces_only_the_one_of_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let names = ["日本", "中国", "\u{1f6f0}", "2", "2!", "A b", "a-b", "a b", "café", "cafe", "!", "?"];
        let mut entries: Vec<_> = names.iter().map(|name| entry("x", name, 0.5)).collect();
        let paths: Vec<_> = entries.iter().map(|entry| store.add(entry, Existing::Keep).unwrap()).collect();
        assert_eq!(store.read().unwrap().len(), names.len());
        assert!(paths[0].file_name().unwrap().to_str().unwrap().starts_with("ri-ben-"), "{}", paths[0].display());
        assert!(paths[3].ends_with("x/2.json") && paths[5].ends_with("x/a-b.json"));
        for (entry, path) in entries.iter_mut().zip(&paths) {
            let error = store.add(entry, Existing::Keep).unwrap_err();
            assert!(matches!(error, LeaderboardError::Exists { path: found } if found == *path));
            entry.miou = 0.6;
            assert_eq!(store.add(entry, Existing::Replace).unwrap(), *path);
        }
        let found = store.read().unwrap();
        assert!(found.len() == names.len() && entries.iter().all(|entry| found.contains(entry)));
    }

    #[test]
    fn files_of_earlier_versions_keep_their_paths() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let old = entry("日本", "日本", 0.5);
        let path = dir.path().join("unnamed/unnamed.json");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, old.to_json()).unwrap();
        let other = store.add(&entry("日本", "中国", 0.6), Existing::Replace).unwrap();
        assert_eq!(store.add(&Entry { miou: 0.7, ..old.clone() }, Existing::Replace).unwrap(), path);
        assert_eq!(store.read().unwrap().len(), 2);
        fs::write(path.with_file_name(format!("{}.json", slug("日本"))), old.to_json()).unwrap();
        let error = store.read().unwrap_err().to_string();
        assert!(error.contains("has the same benchmark and name: remove one"), "{error}");
        assert!(other.is_file());
    }

    #[test]
    fn a_file_of_another_entry_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let squatter = entry("x", &slug_with_digest("日本", "日本"), 0.9);
        let path = store.add(&squatter, Existing::Keep).unwrap();
        let error = store.add(&entry("x", "日本", 0.1), Existing::Replace).unwrap_err();
        assert!(matches!(error, LeaderboardError::Taken { path: found, .. } if found == path));
        assert_eq!(store.read().unwrap(), [squatter]);
    }

    #[test]
    fn a_published_name_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let error = store.add(&entry("FLAIR2 test", "strakajk", 0.9), Existing::Replace).unwrap_err().to_string();
        assert_eq!(error, "`strakajk` is a published entry of `FLAIR2 test`: choose another name");
        store.add(&entry("FLAIR#2 test", "Strakajk!", 0.1), Existing::Keep).unwrap();
    }

    #[test]
    fn a_benchmark_has_one_test_set() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let on = |name: &str, ids: &str, masks: &str| {
            let test_set = TestSet { patches: 3, ids: ids.to_owned(), masks: masks.to_owned() };
            Entry { test_set: Some(test_set), ..entry("x", name, 0.5) }
        };
        store.add(&on("a", "1", "1"), Existing::Keep).unwrap();
        store.add(&on("b", "1", "1"), Existing::Keep).unwrap();
        store.add(&Entry { protocol: "other".to_owned(), ..on("c", "1", "2") }, Existing::Keep).unwrap();
        let refused = [on("d", "2", "2"), on("d", "1", "2"), entry("x", "d", 0.5), on("a", "2", "2")];
        let errors = refused.map(|entry| store.add(&entry, Existing::Replace).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r"
        cannot add `d` to `x`: it was scored on 3 patches, which are not the 3 of its entry `a`; name another benchmark
        cannot add `d` to `x`: it was scored with other masks than its entry `a`; name another benchmark
        cannot add `d` to `x`: its score.json does not name the patches, as that of the entry `a` does; score the predictions again
        cannot add `a` to `x`: it was scored on 3 patches, which are not the 3 of its entry `b`; name another benchmark
        ");
        assert_eq!(store.read().unwrap().len(), 3);
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
        `a/x.json`: unknown field `mIoU`, expected one of `schema`, `benchmark`, `name`, `test_set`, `rank`, `miou`, `std`, `protocol`, `input`, `notes`, `source`, `date`, `class_ious`, `timing`, `untrained` at line 5 column 8
        `a/x.json`: its path must be `a/y.json`
        ");
    }
}
