//! The logits of a batch of patches, each computed as if it were alone: what prediction and validation need.

use candle_core::{Result, Tensor};

use super::{
    Collapse, Logits, Network,
    inputs::{images, metadata, to_device},
};
use crate::{
    data::{Sample, SuperPatch},
    nn::Mode,
};

/// Logits of a batch, `[B, 13, 512, 512]`, each patch as if it were alone: the U-TAE, whose norms run over the dates,
/// sees one series at a time; the aerial network treats the images of a batch apart by itself.
///
/// # Errors
/// If the device fails.
pub fn logits(network: &Network, batch: &[Sample]) -> Result<Tensor> {
    let (maps, _) = fused(network, batch.iter())?;
    network.layers.aerial.decode(&maps, Mode::EVAL)
}

/// The logits of both branches, as [`logits`] has them: what a validation's loss needs.
///
/// # Errors
/// If the device fails.
pub fn logits_of_branches<'a>(network: &Network, batch: impl Iterator<Item = &'a Sample> + Clone) -> Result<Logits> {
    let layers = &network.layers;
    let (maps, ground) = fused(network, batch)?;
    let satellite = layers.satellite.as_ref().zip(ground).map(|(branch, ground)| branch.classify(&ground, Mode::EVAL));
    Ok(Logits { aerial: layers.aerial.decode(&maps, Mode::EVAL)?, satellite: satellite.transpose()? })
}

/// The aerial encoder's maps with what the series add to them, and what the satellite branch sees.
fn fused<'a>(
    network: &Network,
    batch: impl Iterator<Item = &'a Sample> + Clone,
) -> Result<(Vec<Tensor>, Option<Tensor>)> {
    let Network { layers, parameters } = network;
    let images = images(batch.clone(), parameters)?;
    let maps = layers.encode(&images, metadata(batch.clone(), parameters)?.as_ref(), Mode::EVAL)?;
    let Some(branch) = &layers.satellite else { return Ok((maps, None)) };
    let observe = |sample: &Sample| {
        let Some(series) = &sample.series else { candle_core::bail!("no Sentinel-2 series was read") };
        let SuperPatch { t, channels, size, .. } = *series;
        let images = to_device(&series.values, &[1, t, channels, size, size], parameters)?;
        branch.observe(&images, &to_device(&series.positions, &[1, t], parameters)?, Mode::EVAL)
    };
    let ground = Tensor::cat(&batch.map(observe).collect::<Result<Vec<_>>>()?, 0)?;
    Ok((branch.fuse(&maps, &ground, Collapse::Each, Mode::EVAL)?, Some(ground)))
}
