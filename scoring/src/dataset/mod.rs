//! The dataset: classes, patches, names of domains and zones, metadata.

pub mod classes;
mod metadata;
mod names;
mod patch;
pub mod places;

pub use classes::{CLASS_COUNT, CLASSES, Class, ClassId, RawLabel};
pub use metadata::image_key;
pub use names::{is_domain, is_zone};
pub use patch::{InvalidPatchId, PATCH_SIZE, PatchId, fold_ranges, list_ranges, patch_set};
pub use places::{Place, PlaceError, Places, Unit};
