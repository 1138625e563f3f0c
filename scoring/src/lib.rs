//! The FLAIR #2 challenge's contract with the outside world: its classes, its rasters, its score, its submissions
//! and its clock. No tensors, no command line, no terminal: a jury can read this crate alone.

pub mod classes;
pub mod files;
pub mod finding;
mod patch;
pub mod progress;
pub mod raster;
pub mod submission;
pub mod timing;

pub use classes::{CLASS_COUNT, CLASSES, Class, ClassId, RawLabel};
pub use finding::{Finding, Severity};
pub use patch::{InvalidPatchId, PATCH_SIZE, PatchId};
pub use progress::{Event, Progress};
