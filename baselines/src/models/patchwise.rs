//! Logits for prediction and validation, independent of how patches are batched.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};

use super::{
    Collapse, Logits, Network,
    inputs::{images, metadata, to_device},
};
use crate::{
    data::{Sample, SuperPatch},
    nn::{Map, Mode, Parameters},
};

/// The inputs of a batch of patches, on the network's device.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `[B, 5, H, W]`.
    images: Tensor,
    /// `[B, length]`.
    metadata: Option<Tensor>,
    series: Vec<Series>,
}

/// Series of one length.
#[derive(Clone, Debug)]
struct Series {
    /// Their indices in the batch.
    of: Vec<usize>,
    /// `[N, T, 10, h, w]`.
    images: Tensor,
    /// `[N, T]`, days.
    dates: Tensor,
}

impl Inputs {
    /// Copies the inputs of a batch to the device of the network's parameters.
    ///
    /// # Errors
    /// If the shapes of the samples differ, or the device fails.
    pub fn of<'a>(batch: impl Iterator<Item = &'a Sample> + Clone, parameters: &Parameters) -> Result<Self> {
        let mut groups = BTreeMap::<(usize, usize), Vec<(usize, &SuperPatch)>>::new();
        for (i, sample) in batch.clone().enumerate() {
            if let Some(series) = &sample.series {
                // On the CPU each series is computed on its own, so that the bits do not depend on the batch.
                let key = if parameters.device().is_cpu() { (0, i) } else { (series.t, 0) };
                groups.entry(key).or_default().push((i, series));
            }
        }
        let series = groups.into_values().map(|group| {
            let images = group.iter().map(|(_, series)| {
                let SuperPatch { t, channels, size, .. } = **series;
                to_device(&series.values, &[1, t, channels, size, size], parameters)
            });
            let dates = group.iter().map(|(_, series)| to_device(&series.positions, &[1, series.t], parameters));
            Ok(Series {
                of: group.iter().map(|(i, _)| *i).collect(),
                images: Tensor::cat(&images.collect::<Result<Vec<_>>>()?, 0)?.to_dtype(parameters.computed())?,
                dates: Tensor::cat(&dates.collect::<Result<Vec<_>>>()?, 0)?,
            })
        });
        Ok(Self {
            images: images(batch.clone(), parameters)?,
            metadata: metadata(batch, parameters)?,
            series: series.collect::<Result<_>>()?,
        })
    }
}

/// Logits of a batch, `[B, 13, 512, 512]`. On the CPU a patch's logits do not depend on the batch: the U-TAE, whose norms
/// include the dates, gets one series at a time, and the aerial network treats the images of a batch independently. On a
/// GPU series of one length are computed together, and the last bits may depend on the batch.
///
/// # Errors
/// If the device fails.
pub fn logits(network: &Network, inputs: &Inputs, mode: Mode<'_>) -> Result<Map> {
    let (maps, _) = fused(network, inputs, mode)?;
    network.layers.aerial.decode(maps, mode)
}

/// The logits of both branches, computed as in [`logits`], for the validation loss.
///
/// # Errors
/// If the device fails.
pub fn logits_of_branches(network: &Network, inputs: &Inputs, mode: Mode<'_>) -> Result<Logits> {
    let layers = &network.layers;
    let (maps, satellite_features) = fused(network, inputs, mode)?;
    let satellite =
        layers.satellite.as_ref().zip(satellite_features).map(|(branch, features)| branch.classify(&features, mode));
    Ok(Logits { aerial: layers.aerial.decode(maps, mode)?.tensor()?, satellite: satellite.transpose()? })
}

/// The aerial encoder's maps after fusion, and the satellite features.
fn fused(network: &Network, inputs: &Inputs, mode: Mode<'_>) -> Result<(Vec<Map>, Option<Tensor>)> {
    let layers = &network.layers;
    let maps = layers.encode(&inputs.images, inputs.metadata.as_ref(), mode)?;
    let Some(branch) = &layers.satellite else { return Ok((maps, None)) };
    let encode = |series: &Series| branch.encode_series(&series.images, &series.dates, mode);
    let features = inputs.series.iter().map(encode).collect::<Result<Vec<_>>>()?;
    let order: Vec<usize> = inputs.series.iter().flat_map(|series| series.of.iter().copied()).collect();
    if order.len() != inputs.images.dim(0)? {
        candle_core::bail!("no Sentinel-2 series was read");
    }
    let features = Tensor::cat(&features, 0)?;
    let features = if order.is_sorted() {
        features
    } else {
        let mut places = vec![0u32; order.len()];
        order.iter().zip(0..).for_each(|(&patch, place)| places[patch] = place);
        features.index_select(&Tensor::new(places, features.device())?, 0)?
    };
    Ok((branch.fuse(maps, &features, Collapse::Each, mode)?, Some(features)))
}
