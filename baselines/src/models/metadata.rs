//! Adds the flight's metadata to the U-Net's coarsest map (upstream `src/backbones/fusion_utils.py`,
//! `txt_model.py:79-82`).

use candle_core::{Result, Tensor};

use super::fusion::Mlp;
use crate::nn::{Mode, Scope};

/// MLP from the encoded metadata to one value for each row of the coarsest map. Names: `enc_mlp.{0,3,6}`.
#[derive(Clone, Debug)]
pub struct MetadataMlp {
    mlp: Mlp,
}

impl MetadataMlp {
    /// An MLP from `length` values to `rows` rows.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, length: usize, rows: usize) -> Result<Self> {
        Ok(Self { mlp: Mlp::new(&scope.at("enc_mlp"), [length, 64, 32, rows], 0.5)? })
    }

    /// Adds the MLP's output for `metadata` (`[B, length]`) to a map (`[B, C, rows, W]`), one value per row, broadcast
    /// over channels and columns as upstream does.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn add_to(&self, map: &Tensor, metadata: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        map.broadcast_add(&self.mlp.forward(metadata, mode)?.to_dtype(map.dtype())?.unsqueeze(1)?.unsqueeze(3)?)
    }
}
