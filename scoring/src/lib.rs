//! The rules of the FLAIR #2 challenge: classes, rasters, scores, submissions and timing.
//!
//! The crate has no tensors, no command line and no terminal output, so a jury can review it alone.
//!
//! The rooms, from the roof down; each uses only those below it:
//!
//! - [`report`]: a score as files: the record `score.json`, CSV tables, the confusion matrix as a figure.
//! - [`analysis`]: intervals, groups of patches, comparisons, the costliest confusions.
//! - [`score`](mod@score): pairs of masks and predictions, their confusion matrix, and its metrics.
//! - [`submission`]: the contract: names, expected patches, checks, packing.
//! - [`source`]: a folder or archive from anybody, listed and read within limits.
//! - [`finding`]: problems as data, with registered codes.
//! - [`protocol`], [`dataset`], [`raster`]: rules of the mean, facts of the dataset, TIFF files.
//! - [`timing`], [`progress`], [`files`], [`text`], [`yaml`]: the clock, events of long work, safe file access, text for
//!   messages, and files of settings.
//! - [`lock`], [`unfinished`]: one process at a time in a folder; temporary files, removed when a process is interrupted.
//!
//! Challenges on Codabench, CodaLab and `EvalAI` are the crate `flair-hosting`, which builds on this one.
//!
//! Scoring a folder of predictions against a folder of masks:
//!
//! ```
//! use flair_scoring::{ScoreReport, score::{evaluate::Options, pairing::Masks}, progress::Silent, source::Source};
//! use flair_scoring::raster::{self, Raster};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let (truth, predictions) = (dir.path().join("truth"), dir.path().join("predictions"));
//! // Mask labels start at 1, predicted classes at 0.
//! let (mask, prediction) = (Raster::new(1, 2, 2, vec![1, 1, 5, 19]), Raster::new(1, 2, 2, vec![0, 0, 4, 4]));
//! raster::write(&truth.join("D004_2021/Z10_AU/msk/MSK_000826.tif"), &mask.ok_or("4 samples")?)?;
//! raster::write(&predictions.join("PRED_000826.tif"), &prediction.ok_or("4 samples")?)?;
//!
//! let (masks, source) = (Masks::find(&truth)?, Source::open(&predictions)?);
//! let evaluation = flair_scoring::evaluate(&masks, &source, &Options::default(), &Silent)?;
//! let report = ScoreReport::new(&evaluation);
//! // `IoU`: building 1, water 1/2 (one pixel of "other" was predicted as water); no other class is averaged.
//! assert_eq!((report.means.miou, report.means.classes_averaged), (Some(0.75), 2));
//! # Ok(())
//! # }
//! ```

pub mod analysis;
pub mod dataset;
pub mod files;
pub mod finding;
pub mod lock;
pub mod progress;
pub mod protocol;
pub mod raster;
pub mod report;
pub mod score;
#[cfg(test)]
#[path = "../fuzz/exercise/seeds.rs"]
mod seeds;
pub mod source;
pub mod submission;
pub mod text;
pub mod timing;
pub mod unfinished;
pub mod yaml;

pub use dataset::{CLASS_COUNT, CLASSES, Class, ClassId, InvalidPatchId, PATCH_SIZE, PatchId, RawLabel};
pub use finding::{Finding, Severity};
pub use progress::{Event, Progress};
pub use protocol::Protocol;
pub use report::ScoreReport;
pub use score::{ConfusionMatrix, Metrics, OutOfRange, evaluate};
pub use submission::Code;
