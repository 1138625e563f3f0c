//! The contract of a submission: which files it holds, what is wrong with them, how they become an archive.

mod archive;
#[cfg(test)]
mod crafted;
pub mod name;
pub mod source;

pub use name::{ArchiveName, MinutesSeconds, Times};
pub use source::{Defect, Entry, Kind, ReadError, Source, SourceError};
