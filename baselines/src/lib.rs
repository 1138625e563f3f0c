//! The baselines of the FLAIR #2 challenge on candle: data, networks, weights, training and prediction.

pub use candle_core::{DType, Device};

pub mod audit;
pub mod config;
pub mod data;
pub mod models;
pub mod nn;
pub mod predict;
pub mod random;
pub mod runtime;
#[cfg(test)]
#[path = "../../scoring/fuzz/exercise/seeds.rs"]
mod seeds;
pub mod toy;
pub mod train;
pub mod weights;
