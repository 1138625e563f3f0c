//! The dataset's own facts: its classes, its patches, the names of its domains and zones, its metadata.

pub mod classes;
mod metadata;
mod names;
mod patch;
pub mod places;

pub use classes::{CLASS_COUNT, CLASSES, Class, ClassId, RawLabel};
pub use metadata::image_key;
pub use names::{is_domain, is_zone};
pub use patch::{InvalidPatchId, PATCH_SIZE, PatchId, fold_ranges};
pub use places::{Place, PlaceError, Places, Unit};
