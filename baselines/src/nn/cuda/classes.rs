//! The class of each pixel.

use candle_core::{Result, Tensor};

use super::{
    OnGpu, by_type,
    elementwise::int,
    launch::{elementwise, launch},
    tensor,
};
use crate::nn::geometry::sizes_of_logits;

/// The class with the largest of the logits `[B, K, …]` of each pixel: `[B, 1 + N]`, u8, of which the first byte is 1 if a
/// logit of the sample is not finite, else 0. It has no gradient.
pub(in crate::nn) fn largest_logits(logits: &Tensor) -> Result<Tensor> {
    let (batch, classes, pixels) = sizes_of_logits(logits.shape())?;
    let logits = logits.contiguous()?;
    let seen = OnGpu::of(&logits);
    let (storage, device) = (seen.storage()?, &seen.storage()?.device);
    let found = device.alloc_zeros::<u8>(batch * (1 + pixels))?;
    let (classes, plane, count) = (int(classes)?, pixels as u64, (batch * pixels) as u64);
    by_type!(storage, T => {
        let logits = seen.values::<T>()?;
        let config = elementwise(batch * pixels);
        launch!(device, T, "largest_logits", config; &logits, &found, &classes, &plane, &count);
    });
    Ok(tensor(found, device, (batch, 1 + pixels)))
}
