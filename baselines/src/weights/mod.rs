//! Weights on disk: `.safetensors`, and `PyTorch`'s `.pth` and `.ckpt`, including Lightning's.
//!
//! Files are untrusted: a claimed size is compared with the file's size before use.

mod checkpoint;
mod diagnosis;
mod encoder;
mod error;
mod pickle;
mod provenance;
mod pytorch;
mod safetensors;

pub use checkpoint::{Checkpoint, adapted, load, place, read, save};
pub(crate) use checkpoint::{check_finite, digest};
pub use diagnosis::{Parts, parts};
pub use encoder::{EncoderWeights, load_encoder};
pub use error::WeightsError;
pub use provenance::{Provenance, Settings};
