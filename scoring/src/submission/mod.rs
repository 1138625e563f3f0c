//! Submissions: which files are expected, the check of their names and content, and packing into an archive.

mod age;
#[cfg(test)]
mod catalogue;
pub mod check;
mod codes;
pub(crate) mod content;
mod declared;
pub mod expected;
mod hints;
#[cfg(test)]
mod hostile;
pub mod name;
pub(crate) mod named;
mod options;
pub mod pack;
mod patches;
#[cfg(test)]
mod tests;

pub use check::{CheckReport, Counts, check, check_path};
pub use codes::Code;
pub use expected::{IdsError, official_test, read_ids};
pub use name::{ArchiveName, MalformedTimes, MinutesSeconds, Times, split_times, stem_of};
pub use named::{nested_archives, predictions};
pub use options::{CheckOptions, Doubtful};
pub use pack::{PackError, Packed, pack};
