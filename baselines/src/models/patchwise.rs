//! Logits for prediction and validation, independent of how patches are batched.

use candle_core::{Result, Tensor};

use super::{
    Collapse, Logits, Network,
    inputs::{images, metadata, to_device},
};
use crate::{
    data::{Sample, SuperPatch},
    nn::Mode,
};

/// Logits of a batch, `[B, 13, 512, 512]`. A patch's logits do not depend on the batch: the U-TAE, whose norms include
/// the dates, gets one series at a time, and the aerial network treats the images of a batch independently.
///
/// # Errors
/// If the device fails.
pub fn logits(network: &Network, batch: &[Sample]) -> Result<Tensor> {
    let (maps, _) = fused(network, batch.iter())?;
    network.layers.aerial.decode(&maps, Mode::EVAL)
}

/// The logits of both branches, computed as in [`logits`], for the validation loss.
///
/// # Errors
/// If the device fails.
pub fn logits_of_branches<'a>(network: &Network, batch: impl Iterator<Item = &'a Sample> + Clone) -> Result<Logits> {
    let layers = &network.layers;
    let (maps, satellite_features) = fused(network, batch)?;
    let satellite = layers
        .satellite
        .as_ref()
        .zip(satellite_features)
        .map(|(branch, features)| branch.classify(&features, Mode::EVAL));
    Ok(Logits { aerial: layers.aerial.decode(&maps, Mode::EVAL)?, satellite: satellite.transpose()? })
}

/// The aerial encoder's maps after fusion, and the satellite features.
fn fused<'a>(
    network: &Network,
    batch: impl Iterator<Item = &'a Sample> + Clone,
) -> Result<(Vec<Tensor>, Option<Tensor>)> {
    let Network { layers, parameters } = network;
    let images = images(batch.clone(), parameters)?;
    let maps = layers.encode(&images, metadata(batch.clone(), parameters)?.as_ref(), Mode::EVAL)?;
    let Some(branch) = &layers.satellite else { return Ok((maps, None)) };
    let encode = |sample: &Sample| {
        let Some(series) = &sample.series else { candle_core::bail!("no Sentinel-2 series was read") };
        let SuperPatch { t, channels, size, .. } = *series;
        let images = to_device(&series.values, &[1, t, channels, size, size], parameters)?;
        branch.encode_series(&images, &to_device(&series.positions, &[1, t], parameters)?, Mode::EVAL)
    };
    let satellite_features = Tensor::cat(&batch.map(encode).collect::<Result<Vec<_>>>()?, 0)?;
    Ok((branch.fuse(&maps, &satellite_features, Collapse::Each, Mode::EVAL)?, Some(satellite_features)))
}
