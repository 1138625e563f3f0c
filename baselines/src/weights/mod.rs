//! Weights on disk: `.safetensors`, and `PyTorch`'s `.pth` and `.ckpt`, Lightning's among them.
//!
//! Files come from strangers: no size that they claim is believed before it is compared with the file's own.

mod checkpoint;
mod pickle;
mod pytorch;

pub use checkpoint::{Checkpoint, WeightsError, adapted, load, read, save};
