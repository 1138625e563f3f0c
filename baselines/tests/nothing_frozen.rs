//! After one backward pass of every model, each trainable parameter has a gradient: some of candle's operations lose it
//! silently.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor};
use flair_baselines::{
    config::Config,
    models::{Collapse, Network, utt::UttConfig},
    nn::{Kind, Mode},
    train::{Gradients, two_branch},
};

/// Fraction of the largest gradient that may be rounding error in f64.
const ROUNDING: f64 = 1e-13;

/// Unused parameters: the fusion's for the image itself, and U-TAE's own head. Upstream has them too.
fn is_unread(name: &str) -> bool {
    ["arch_hr.out_conv.", "fm_utae_featmap_collapsed.mlps.0.", "fm_utae_featmap_cropped.conv_list.0."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Biases that later layers cancel: a batch norm subtracts the mean of each channel, and the softmax over dates is
/// invariant to a constant added to all keys. Their gradient is 0 up to rounding, in torch too.
fn is_cancelled(name: &str) -> bool {
    let temporal = ["attention_heads.fc1_k.bias", "in_norm.bias", "inconv.bias", "mlp.0.bias"];
    match name.strip_prefix("arch_hr.") {
        Some(name) => match name.strip_prefix("temporal_encoder.") {
            Some(name) => temporal.contains(&name),
            None => name.starts_with("up_blocks.") && name.ends_with(".0.bias"),
        },
        None => false,
    }
}

fn pixels(dims: &[usize], seed: f64) -> Tensor {
    let value = |i: usize| ((i as f64 * 0.731 + seed).sin() * 43.0).fract().abs();
    Tensor::from_vec((0..dims.iter().product()).map(value).collect::<Vec<f64>>(), dims, &Device::Cpu).unwrap()
}

#[test]
fn every_parameter_of_every_model_learns() {
    for preset in ["unet", "unet-mtd-aug", "utt", "utt-mtd"] {
        let mut config = Config::preset(preset.strip_suffix("-mtd").unwrap_or(preset)).unwrap();
        config.aerial_metadata = preset.contains("-mtd");
        let sizes = UttConfig { patch_size: 64, ..config.network() };
        let network = Network::new(&sizes, DType::F64, &Device::Cpu, 3).unwrap();
        let (aerial, images) = (pixels(&[2, 5, 64, 64], 1.0), pixels(&[2, 3, 10, 16, 16], 2.0));
        let dates = Tensor::new(&[[100f64, 3.0, -90.0], [80.0, 2.0, -7.0]], &Device::Cpu).unwrap();
        let metadata = pixels(&[2, 45], 3.0);
        let labels: Vec<u8> = (0..2 * 64 * 64u32).map(|i| (i / 7 % 13) as u8).collect();
        let target = Tensor::from_vec(labels, (2, 64, 64), &Device::Cpu).unwrap();
        let mode = Mode::TRAIN_WITHOUT_DROPOUT;
        let series = sizes.utae.is_some().then_some((&images, &dates));
        let metadata = sizes.metadata.map(|_| &metadata);
        let logits = network.layers.forward(&aerial, series, metadata, Collapse::Each, mode).unwrap();
        let losses = two_branch(&logits, &target, &target, &config.loss_weights()).unwrap();
        let gradients = Gradients::of(&losses.total, &network.parameters).unwrap();
        let size = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        let largest = gradients.iter().map(|(_, gradient)| size(gradient)).fold(0.0, f64::max);
        assert!(largest.is_finite() && largest > 0.0);
        let mut wrong = BTreeSet::new();
        for (name, parameter) in network.parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight) {
            let found = gradients.get(name).map(size);
            let is_right = match found {
                None => is_unread(name),
                Some(size) if is_cancelled(name) => size <= ROUNDING * largest,
                Some(size) => {
                    !is_unread(name)
                        && size.is_finite()
                        && size > ROUNDING * largest
                        && gradients.get(name).map(Tensor::dims) == Some(parameter.var().dims())
                }
            };
            if !is_right {
                wrong.insert(format!("{name}: {found:?}"));
            }
        }
        assert!(wrong.is_empty(), "{preset}, largest {largest:e}: {wrong:#?}");
    }
}
