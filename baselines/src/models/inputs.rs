//! Samples as a network's input tensors.

use candle_core::{Result, Tensor};

use crate::{
    data::{Sample, aerial},
    nn::{Parameters, on_device},
};

/// The aerial images of a batch, `[B, 5, H, W]`, on the network's device.
pub(crate) fn images<'a>(batch: impl Iterator<Item = &'a Sample>, parameters: &Parameters) -> Result<Tensor> {
    let image = |s: &Sample| {
        let side = (s.aerial.len() / aerial::BANDS).isqrt();
        to_device(&s.aerial, &[1, aerial::BANDS, side, side], parameters)
    };
    Tensor::cat(&batch.map(image).collect::<Result<Vec<_>>>()?, 0)?.to_dtype(parameters.computed())
}

/// The metadata of a batch, `[B, length]`, if its patches have them.
pub(crate) fn metadata<'a>(batch: impl Iterator<Item = &'a Sample>, parameters: &Parameters) -> Result<Option<Tensor>> {
    let vector = |s: &'a Sample| s.metadata.as_ref().map(|values| to_device(values, &[1, values.len()], parameters));
    let vectors = batch.filter_map(vector).collect::<Result<Vec<_>>>()?;
    if vectors.is_empty() { Ok(None) } else { Tensor::cat(&vectors, 0).map(Some) }
}

/// Values as a tensor with the network's dtype and device.
pub(crate) fn to_device(values: &[f32], shape: &[usize], parameters: &Parameters) -> Result<Tensor> {
    on_device(values, shape, parameters.device())?.to_dtype(parameters.dtype())
}
