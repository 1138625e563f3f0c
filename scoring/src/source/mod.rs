//! One interface to a folder or a zip archive: a sorted list of entries, readable one by one from many threads.
//!
//! Nothing is unpacked to disk, and names in an archive stay as stored. Defects of a malicious archive are reported
//! ([`Defect`]), never repaired.

#[cfg(test)]
pub(crate) mod crafted;
mod entry;
mod error;
mod folder;
pub(crate) mod magic;
mod zip;

use std::{
    fmt,
    path::{Path, PathBuf},
};

pub use entry::{Defect, Entry};
pub use error::{ReadError, SourceError};

use crate::files::{open_regular, read_up_to};

/// Maximum number of listed entries; the whole dataset has fewer.
pub const MAX_ENTRIES: usize = 500_000;

/// The files of a folder (with its subfolders) or of a zip archive.
///
/// Created by [`Source::open`]; it can be shared between threads.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    storage: Storage,
    entries: Vec<Entry>,
    left_out: usize,
}

#[derive(Debug)]
enum Storage {
    Folder,
    Archive(zip::Archive),
}

/// The type of a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder with its subfolders.
    Folder,
    /// A zip archive.
    Archive,
}

impl Source {
    /// Lists a folder with its subfolders, or a zip archive.
    ///
    /// Entries are sorted by path (bytewise), so results do not depend on the file system's order.
    ///
    /// # Errors
    /// [`SourceError::Io`] if `path` or a subfolder cannot be read; [`SourceError::Archive`] if a file is not a zip
    /// archive.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        Self::open_limited(path, MAX_ENTRIES)
    }

    pub(super) fn open_limited(path: &Path, most: usize) -> Result<Self, SourceError> {
        let io = |error| SourceError::Io { path: path.to_owned(), error };
        let (storage, mut entries, left_out) = if std::fs::metadata(path).map_err(io)?.is_dir() {
            let (entries, left_out) = folder::walk(path, most)?;
            (Storage::Folder, entries, left_out)
        } else {
            let (archive, entries, left_out) = zip::Archive::open(path, most)?;
            (Storage::Archive(archive), entries, left_out)
        };
        entries.sort_by(|a, b| (&a.name, a.index).cmp(&(&b.name, b.index)));
        Ok(Self { path: path.to_owned(), storage, entries, left_out })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a folder or an archive.
    pub fn kind(&self) -> Kind {
        match self.storage {
            Storage::Folder => Kind::Folder,
            Storage::Archive(_) => Kind::Archive,
        }
    }

    /// Why other readers may see different files in this archive, or none: bytes before its first entry or after its
    /// end, for example because two archives were concatenated.
    pub fn ambiguity(&self) -> Option<&'static str> {
        match &self.storage {
            Storage::Folder => None,
            Storage::Archive(archive) => archive.ambiguity,
        }
    }

    /// Its files, sorted by path; folders are left out.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of files beyond [`MAX_ENTRIES`], which are not listed.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Reads an entry of this source; holds at most `limit` bytes in memory.
    ///
    /// In an archive, the data must match the directory: name, size and CRC-32.
    ///
    /// # Errors
    /// [`ReadError`]: larger than `limit`, unreadable, refused because of a [`Defect`], or damaged.
    pub fn read(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>, ReadError> {
        let hiding = [
            Defect::NotAFile,
            Defect::Symlink,
            Defect::DanglingLink,
            Defect::Encrypted,
            Defect::Method,
            // Otherwise a small archive could decompress the same bytes again and again, to any size.
            Defect::Overlap,
        ];
        if let Some(&defect) = entry.defects.iter().find(|d| hiding.contains(d)) {
            return Err(ReadError::Refused { name: entry.name.clone(), defect });
        }
        if entry.size > limit {
            return Err(ReadError::TooLarge { name: entry.name.clone(), limit });
        }
        match &self.storage {
            Storage::Archive(archive) => archive.read(&self.path, entry, limit),
            Storage::Folder => open_regular(&self.path.join(&entry.name))
                .and_then(|file| read_up_to(file, entry.size, limit))
                .map_err(|error| ReadError::Io { name: entry.name.clone(), error })?
                .ok_or_else(|| ReadError::TooLarge { name: entry.name.clone(), limit }),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "folder",
            Self::Archive => "archive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &Source) -> Vec<&str> {
        source.entries().iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn a_folder_is_listed_in_order_and_read_within_limits() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("z/a")).unwrap();
        for name in ["z/a/two.tif", "z/b.tif", "a.tif"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let source = Source::open(dir.path()).unwrap();
        assert_eq!(names(&source), ["a.tif", "z/a/two.tif", "z/b.tif"]);
        let entry = &source.entries()[1];
        assert_eq!((entry.file_name.as_str(), entry.size, source.kind()), ("two.tif", 11, Kind::Folder));
        assert_eq!(source.read(entry, 11).unwrap(), b"z/a/two.tif");
        assert!(matches!(source.read(entry, 10), Err(ReadError::TooLarge { limit: 10, .. })));
        // It grew since it was listed.
        std::fs::write(dir.path().join(&entry.name), [0; 100]).unwrap();
        assert!(matches!(source.read(entry, 20), Err(ReadError::TooLarge { .. })));
    }

    #[test]
    fn a_missing_path_or_a_damaged_archive_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Source::open(&dir.path().join("none")), Err(SourceError::Io { .. })));
        let text = dir.path().join("text.zip");
        std::fs::write(&text, "not a zip").unwrap();
        assert!(matches!(Source::open(&text), Err(SourceError::Archive { .. })));
        std::fs::write(&text, "").unwrap();
        assert!(matches!(Source::open(&text), Err(SourceError::Archive { .. })));
    }

    #[test]
    fn entries_beyond_the_limit_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let parts = [b"a", b"b", b"c"].map(|name| crafted::Part::new(name, name));
        std::fs::write(dir.path().join("c"), crafted::zip(&parts)).unwrap();
        for path in [dir.path(), &dir.path().join("c")] {
            let source = Source::open_limited(path, 2).unwrap();
            assert_eq!((source.entries().len(), source.left_out()), (2, 1));
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_sockets_are_not_read() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("real"), "there").unwrap();
        std::os::unix::fs::symlink(other.path().join("real"), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("broken")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let source = Source::open(dir.path()).unwrap();
        assert_eq!(names(&source), ["broken", "link", "socket"]);
        assert_eq!(source.read(&source.entries()[1], 5).unwrap(), b"there");
        for (index, defect) in [(0, Defect::DanglingLink), (2, Defect::NotAFile)] {
            let entry = &source.entries()[index];
            assert_eq!(entry.defects, [defect]);
            assert!(matches!(source.read(entry, 5), Err(ReadError::Refused { .. })));
        }
    }
}
