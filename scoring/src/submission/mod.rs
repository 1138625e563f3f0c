//! The contract of a submission: which files it holds, what is wrong with them, how they become an archive.

mod archive;
#[cfg(test)]
mod crafted;
pub mod source;

pub use source::{Defect, Entry, Kind, ReadError, Source, SourceError};
