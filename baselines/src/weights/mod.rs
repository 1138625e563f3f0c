//! Weights on disk: `.safetensors`, and `PyTorch`'s `.pth` and `.ckpt`, Lightning's among them.
//!
//! Files come from strangers: no size that they claim is believed before it is compared with the file's own.

mod checkpoint;
mod encoder;
mod error;
mod pickle;
mod provenance;
mod pytorch;

pub use checkpoint::{Checkpoint, adapted, load, read, save};
pub use encoder::{EncoderWeights, load_encoder};
pub use error::WeightsError;
pub use provenance::{Provenance, Settings};
