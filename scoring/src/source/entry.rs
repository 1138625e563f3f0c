//! One file of a source, and its defects.

use std::time::SystemTime;

/// One file of a [`Source`](super::Source).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the source, parts joined by `/`; in an archive exactly as stored. Bytes that are not UTF-8 are
    /// replaced; such an entry has [`Defect::NotUtf8`].
    pub name: String,
    /// The last part of [`Entry::name`].
    pub file_name: String,
    /// Its size in bytes; in an archive the size that the directory claims, which [`Source::read`](super::Source::read)
    /// verifies.
    pub size: u64,
    /// Number of bytes that it takes in an archive, compressed or not; in a folder its size.
    pub stored: u64,
    /// Modification time from the file system or the archive (the latter in local time, to 2 seconds).
    pub modified: Option<SystemTime>,
    /// Reasons not to treat it as a plain file.
    pub defects: Vec<Defect>,
    /// Its index in the archive's directory.
    pub(super) index: usize,
}

/// A reason why an entry is not a plain file that every reader treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Defect {
    /// The path has a part that is `..`, `.` or empty.
    Traversal,
    /// The path starts with a root or a drive.
    Absolute,
    /// The path has a backslash, which is a separator only on some systems.
    Backslash,
    /// The path has a control character.
    ControlCharacter,
    /// The path isn't UTF-8.
    NotUtf8,
    /// A symbolic link (in an archive; in a folder links are followed).
    Symlink,
    /// A symbolic link in a folder whose target does not exist.
    DanglingLink,
    /// Neither a file nor a folder: a pipe, a socket, a device.
    NotAFile,
    /// Encrypted.
    Encrypted,
    /// Compressed by a method other than "stored" and "deflate".
    Method,
    /// Another entry of the archive has the same path.
    Duplicate,
    /// Its bytes in the archive also belong to another entry.
    Overlap,
}

impl Defect {
    /// The defect in words, as the predicate of a sentence about the entry.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Traversal => "has `..`, `.` or empty parts in its path",
            Self::Absolute => "has an absolute path",
            Self::Backslash => "has a backslash in its path",
            Self::ControlCharacter => "has a control character in its path",
            Self::NotUtf8 => "has a path that is not UTF-8",
            Self::Symlink => "is a symbolic link",
            Self::DanglingLink => "is a symbolic link whose target does not exist",
            Self::NotAFile => "is not a regular file",
            Self::Encrypted => "is encrypted",
            Self::Method => "is compressed by a method other than stored and deflate",
            Self::Duplicate => "is in the archive several times",
            Self::Overlap => "shares its bytes with another entry",
        }
    }
}

impl Entry {
    pub(crate) fn new(name: String, size: u64, index: usize, defects: Vec<Defect>) -> Self {
        let file_name = name.rsplit('/').next().unwrap_or_default().to_owned();
        Self { name, file_name, size, stored: size, modified: None, defects, index }
    }
}
