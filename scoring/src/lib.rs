//! The FLAIR #2 challenge's contract with the outside world: its classes, its rasters, its score, its submissions
//! and its clock. No tensors, no command line, no terminal: a jury can read this crate alone.

pub mod classes;
pub mod confusion;
pub mod files;
pub mod finding;
pub mod metrics;
pub mod pairing;
mod patch;
pub mod progress;
pub mod raster;
pub mod submission;
pub mod timing;

pub use classes::{CLASS_COUNT, CLASSES, Class, ClassId, RawLabel};
pub use confusion::{ConfusionMatrix, OutOfRange};
pub use finding::{Finding, Severity};
pub use metrics::{Metrics, Protocol};
pub use patch::{InvalidPatchId, PATCH_SIZE, PatchId};
pub use progress::{Event, Progress};
