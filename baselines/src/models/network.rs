//! A network with its parameters: built from sizes, filled from a checkpoint.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use super::utt::{Utt, UttConfig};
use crate::nn::{Arithmetic, Builder, Mismatch, Parameters};

/// A network and its parameters.
#[derive(Clone, Debug)]
pub struct Network {
    /// The layers.
    pub layers: Utt,
    /// Their parameters, by upstream's names.
    pub parameters: Parameters,
}

impl Network {
    /// With initial weights drawn from `seed`, of type `dtype` (f32 or f64) on `device`.
    ///
    /// # Errors
    /// If the sizes do not fit each other, or the device fails.
    pub fn new(config: &UttConfig, dtype: DType, device: &Device, seed: u64) -> Result<Self> {
        Self::of(config, Builder::new(dtype, device, seed))
    }

    /// With weights of 0, which a checkpoint is to replace: without the second that drawing them takes.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn zeros(config: &UttConfig, dtype: DType, device: &Device) -> Result<Self> {
        Self::of(config, Builder::zeros(dtype, device))
    }

    fn of(config: &UttConfig, builder: Builder) -> Result<Self> {
        let builder = builder.with_norm_momentum(config.norm_momentum);
        let layers = Utt::new(&builder.root(), config)?;
        Ok(Self { layers, parameters: builder.finish() })
    }

    /// The same network, which computes in an arithmetic.
    #[must_use]
    pub fn computing_in(mut self, arithmetic: Arithmetic) -> Self {
        self.parameters.compute_in(arithmetic.computed(self.parameters.dtype()));
        self
    }

    /// Loads a checkpoint's weights; see [`Parameters::assign`].
    ///
    /// # Errors
    /// The inner `Result` lists every missing, unexpected and misshapen tensor; the outer one fails if the device
    /// fails.
    pub fn assign(&self, tensors: &BTreeMap<String, Tensor>) -> Result<std::result::Result<(), Mismatch>> {
        self.parameters.assign(tensors)
    }

    /// Loads a checkpoint's weights without a copy; see [`Parameters::take`].
    ///
    /// # Errors
    /// As [`Network::assign`].
    pub fn take(&self, tensors: BTreeMap<String, Tensor>) -> Result<std::result::Result<(), Mismatch>> {
        self.parameters.take(tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{
        Collapse,
        fixture::{unet, utae, utt},
        utae::{Aggregation, EncoderNorm, UtaeConfig},
        utt::UttConfig,
    };
    use crate::nn::{Kind, Mode, Padding, with_plain_tensors};

    fn network(config: &UttConfig) -> Network {
        Network::new(config, DType::F32, &Device::Cpu, 1).unwrap()
    }

    #[test]
    fn parameters_are_as_many_as_upstreams() {
        // Counted from upstream's code.
        let with_metadata = UttConfig { metadata: Some(45), ..utt() };
        for (config, count) in [(unet(), 24_444_381), (utt(), 27_254_744), (with_metadata, 27_260_296)] {
            assert_eq!(network(&config).parameters.weight_count(), count);
        }
    }

    #[test]
    fn a_part_has_the_same_initial_values_in_every_network() {
        let (unet, utt) = (network(&unet()), network(&UttConfig { metadata: Some(45), ..utt() }));
        for (name, parameter) in unet.parameters.iter() {
            let [a, b] = [parameter, utt.parameters.get(name).unwrap()].map(|p| p.var().flatten_all().unwrap());
            if parameter.kind() == Kind::Weight {
                assert_eq!(a.to_vec1::<f32>().unwrap(), b.to_vec1::<f32>().unwrap(), "{name}");
            }
        }
    }

    #[test]
    fn half_precision_goes_through_every_layer_and_back() {
        // candle has no products in bf16 on the CPU. The layers take their type from the input, whatever it is.
        let small = UtaeConfig { encoder_widths: vec![16, 32], decoder_widths: vec![16, 32], ..utae() };
        let config = UttConfig { patch_size: 32, unet_width: 16, metadata: Some(3), utae: Some(small), ..unet() };
        let pixels = |dims: &[usize]| {
            let values = (0..dims.iter().product()).map(|i: usize| ((i * 7) % 251) as f32 / 251.0).collect::<Vec<_>>();
            Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
        };
        let (aerial, images) = (pixels(&[2, 5, 32, 32]), pixels(&[2, 2, 10, 16, 16]));
        let (dates, metadata) = (Tensor::new(&[[100f32, 3.0], [80.0, 2.0]], &Device::Cpu).unwrap(), pixels(&[2, 3]));
        let network = network(&config);
        let loss = |dtype: DType, mode: Mode<'_>| {
            let [aerial, images] = [&aerial, &images].map(|t| t.to_dtype(dtype).unwrap());
            let series = Some((&images, &dates));
            let run = || network.layers.forward(&aerial, series, Some(&metadata), Collapse::Each, mode).unwrap();
            // The CPU's kernels are for f32 and f64.
            let logits = if dtype == DType::F32 { run() } else { with_plain_tensors(run) };
            assert_eq!((logits.aerial.dtype(), logits.satellite.as_ref().unwrap().dtype()), (dtype, DType::F32));
            let target = Tensor::zeros((2, 32, 32), DType::U8, &Device::Cpu).unwrap();
            crate::train::cross_entropy(&logits.aerial, &target, &[1.0; 13]).unwrap()
        };
        for mode in [Mode::EVAL, Mode::TRAIN_WITHOUT_DROPOUT] {
            let [exact, near] = [DType::F32, DType::F16].map(|dtype| loss(dtype, mode).to_scalar::<f32>().unwrap());
            assert!((exact - near).abs() < 0.01 * exact, "{exact} {near}");
        }
        let gradients = loss(DType::F16, Mode::TRAIN_WITHOUT_DROPOUT).backward().unwrap();
        for (name, parameter) in network.parameters.iter().filter(|(name, _)| name.starts_with("arch_vhr")) {
            if let Some(gradient) = gradients.get(parameter.var()) {
                assert_eq!(gradient.dtype(), DType::F32, "{name}");
            }
        }
    }

    /// Every variant of the configuration gives logits of the right shape; a small patch keeps the test fast.
    #[test]
    fn every_configuration_runs() {
        let pixels = |seed: usize, dims: &[usize]| {
            let values =
                (0..dims.iter().product()).map(|i: usize| ((i * seed) % 251) as f32 / 251.0).collect::<Vec<_>>();
            Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
        };
        let (aerial, images) = (pixels(7, &[2, 5, 64, 64]), pixels(13, &[2, 3, 10, 16, 16]));
        let dates = Tensor::new(&[[100f32, 3.0, -90.0], [80.0, 2.0, 0.0]], &Device::Cpu).unwrap();
        // The last date of the second series is padding.
        let empty = images.narrow(0, 1, 1).unwrap().narrow(1, 2, 1).unwrap().zeros_like().unwrap();
        let images = images.slice_assign(&[1..2, 2..3, 0..10, 0..16, 0..16], &empty).unwrap();
        for aggregation in [Aggregation::AttGroup, Aggregation::AttMean, Aggregation::Mean] {
            for encoder_norm in [EncoderNorm::Group, EncoderNorm::Batch, EncoderNorm::Instance] {
                let small = UtaeConfig {
                    aggregation,
                    encoder_norm,
                    encoder_widths: vec![16, 32],
                    decoder_widths: vec![16, 32],
                    padding: Padding::Replicate,
                    ..utae()
                };
                let network = network(&UttConfig { patch_size: 64, unet_width: 16, utae: Some(small), ..unet() });
                let logits =
                    network.layers.forward(&aerial, Some((&images, &dates)), None, Collapse::Each, Mode::EVAL).unwrap();
                for logits in [logits.aerial, logits.satellite.unwrap()] {
                    assert_eq!(logits.dims(), [2, 13, 64, 64]);
                    let sum = logits.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
                    assert!(sum.is_finite() && sum > 0.0);
                }
            }
        }
    }
}
