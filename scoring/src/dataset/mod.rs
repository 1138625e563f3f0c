//! The dataset: classes, patches, names of domains and zones, metadata.

pub mod classes;
pub mod locations;
mod metadata;
mod names;
mod patch;

pub use classes::{CLASS_COUNT, CLASSES, Class, ClassId, RawLabel};
pub use locations::{Location, LocationError, Locations, Unit};
pub use metadata::image_key;
pub use names::{is_domain, is_zone};
pub use patch::{InvalidPatchId, PATCH_SIZE, PatchId, fold_ranges, list_ranges, patch_set};
