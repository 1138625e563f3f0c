//! The baselines of the FLAIR #2 challenge on candle: files become arrays, arrays become tensors, and tensors become
//! predictions.
//!
//! The rooms, from the roof down; each uses only those below it:
//!
//! - [`config`]: upstream's YAML and `--set`, turned into the settings of the other rooms; only the binary imports it.
//! - [`train`]: the training loop with losses, optimizers, schedules, logs and checkpoints. [`predict`]: prediction,
//!   timed by the challenge's rule.
//! - [`weights`]: checkpoints in safetensors and PyTorch's formats.
//! - [`models`]: the networks, one a file, with upstream's parameter names.
//! - [`nn`]: layers and their gradients.
//! - [`toy`]: the synthetic dataset. [`audit`]: problems of a dataset.
//! - [`data`]: the dataset's files as arrays.
//! - [`ranks`]: the processes of a run. [`runtime`]: devices and threads. [`random`]: the seeded generator.
//!
//! Predictions are scored by `flair-scoring`, which knows no tensors.

pub use candle_core::{DType, Device};

pub mod audit;
pub mod config;
pub mod data;
pub mod models;
pub mod nn;
pub mod predict;
pub mod random;
pub mod ranks;
pub mod runtime;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/seeds.rs"]
mod seeds;
pub mod toy;
pub mod train;
pub mod weights;
