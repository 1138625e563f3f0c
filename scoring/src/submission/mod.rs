//! The contract of a submission: which files it holds, what is wrong with them, how they become an archive.

mod age;
#[cfg(test)]
mod catalogue;
pub mod check;
mod codes;
mod content;
mod declared;
pub mod expected;
pub(crate) mod hints;
#[cfg(test)]
mod hostile;
pub mod name;
pub mod pack;
mod patches;
#[cfg(test)]
mod tests;

pub use check::{CheckOptions, CheckReport, Counts, check, check_path};
pub use codes::Code;
pub use expected::{IdsError, official_test, read_ids};
pub use name::{ArchiveName, MinutesSeconds, Times};
pub use pack::{PackError, Packed, pack};

use crate::{
    PatchId,
    source::{Entry, Source},
};

/// The entries of a source that are named like predictions, `PRED_077413.tif` in any folder, with their patches, in
/// the order of the source. The same patch may come more than once.
pub fn predictions(source: &Source) -> impl Iterator<Item = (PatchId, &Entry)> {
    source.entries().iter().filter_map(|entry| match hints::by_name(&entry.name) {
        hints::Named::Prediction(id) => Some((id, entry)),
        _ => None,
    })
}
