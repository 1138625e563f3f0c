//! Layers with correct gradients and PyTorch's names, shapes and defaults.
//!
//! candle 0.11.1 lacks some operations that the baselines need, and some of its backward passes are silently wrong. The
//! layers here use only operations with correct gradients, or implement their own. `clippy.toml` lists the banned
//! calls, with the reason for each.
//!
//! The expensive layers run on our own kernels: on the CPU (`cpu`, and beside each layer), and on a GPU (`cuda`), where
//! convolutions are cuDNN's. Each is also composed of candle's operations ([`with_plain_tensors`]). Tests compare both
//! implementations, and every gradient with finite differences.

mod activation;
mod arithmetic;
mod arrivals;
mod classes;
mod constants;
mod conv;
mod conv_norm;
mod cpu;
mod cross_entropy;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
#[path = "cuda/as_c.rs"]
mod cuda_as_c;
mod dropout;
mod geometry;
#[cfg(test)]
mod gradcheck;
mod init;
mod kernels;
mod linear;
mod map;
mod mode;
mod norm;
mod on_device;
mod padding;
mod parameters;
mod plan;
mod pool;
mod resize;

pub use activation::relu;
pub(crate) use arithmetic::wide;
pub use arithmetic::{Arithmetic, ArithmeticError, InvalidPrecision, Precision};
pub use arrivals::Arrivals;
pub use classes::Classes;
pub(crate) use constants::constant;
pub use conv::{Conv2d, ConvTranspose2d};
pub use conv_norm::{After, ConvNorm, conv_then_norm, convolve};
pub use cpu::at_each_level;
pub(crate) use cpu::with_values;
pub(crate) use cross_entropy::cross_entropy;
pub use dropout::Dropout;
pub use geometry::Conv2dConfig;
pub use init::{ConvInit, Init};
pub use kernels::{on_pool, with_plain_tensors};
pub(crate) use kernels::{take_on_cpu, take_on_gpu};
pub use linear::Linear;
pub use map::Map;
pub use mode::Mode;
pub(crate) use norm::standardise;
pub use norm::{BatchNorm, GroupNorm};
pub(crate) use on_device::on_device;
pub use padding::Padding;
pub use parameters::{Builder, Kind, Mismatch, NORM_MOMENTUM, Parameter, Parameters, Scope};
pub use plan::Plan;
pub use pool::{average_pool, max_pool_3x3_s2};
pub use resize::{bilinear, center_crop, nearest};
