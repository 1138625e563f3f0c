//! Layers with gradients that can be trusted, and PyTorch's names, shapes and defaults.
//!
//! candle 0.11.1 lacks some of what the baselines need, and gets some of the backward passes wrong without a word.
//! What is here is written with operations whose gradients are right, or brings its own. See `clippy.toml` for the
//! calls that are banned, with the reason for each.
//!
//! On the processor the costly layers run on kernels of our own (`cpu`, and beside each layer); elsewhere the same is
//! composed of candle's operations. Tests hold both ways against each other, and every gradient against differences.

mod activation;
mod conv;
mod cpu;
mod dropout;
#[cfg(test)]
mod gradcheck;
mod init;
mod linear;
mod mode;
mod norm;
mod padding;
mod parameters;
mod pool;
mod resize;

pub use activation::relu;
pub use conv::{Conv2d, Conv2dConfig, ConvTranspose2d};
pub use dropout::Dropout;
pub use init::{ConvInit, Init};
pub use linear::Linear;
pub use mode::Mode;
pub(crate) use norm::standardise;
pub use norm::{BatchNorm, GroupNorm};
pub use padding::Padding;
pub use parameters::{Builder, Kind, Mismatch, NORM_MOMENTUM, Parameter, Parameters, Scope};
pub use pool::{average_pool, max_pool_3x3_s2};
pub use resize::{bilinear, center_crop, nearest};
