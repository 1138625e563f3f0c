//! Parity with upstream's code: the networks' inputs, every stored intermediate, the logits, the predictions.
//!
//! Patches, variants and expectations come from the folders that `FLAIR_BENCH_SAMPLE` and `FLAIR_BENCH_GOLDEN` name;
//! see the README for how to run these tests. `FLAIR_BENCH_DEVICE` names another device, and `FLAIR_BENCH_KERNELS=off`
//! asks for plain tensors.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::cast_possible_truncation, reason = "tests")]

mod surroundings;

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, IndexOp, Tensor};
use flair_baselines::{
    config::Config,
    data::{Dataset, Preprocessor},
    models::{Collapse, Network, utt::UttConfig},
    nn::{Map, Mode, Plan, at_each_level, with_plain_tensors},
    weights,
};
use flair_scoring::PatchId;
use serde_json::Value;

use surroundings::{device, folder, on_chosen_kernels, sample};

/// f32 may stray from upstream's f32 by this many times what upstream's f32 strays from f64 itself: both are sums of
/// the same numbers in other orders.
const NOISE_FACTOR: f64 = 6.0;
/// And by this share of a tensor's largest value, where upstream happens to be nearly exact.
const NOISE_FLOOR: f64 = 1e-6;
/// In f64 only the order of sums differs; a wrong formula cannot hide behind rounding.
const F64_TOLERANCE: f64 = 1e-6;

/// One patch of one variant: upstream's inputs and outputs.
struct Case {
    name: String,
    patch: PatchId,
    /// Number of acquisitions, or months, of its series.
    dates_kept: Value,
    /// On the CPU, where the comparisons are made.
    expected: BTreeMap<String, Tensor>,
    noise: Value,
    /// On the device.
    aerial: Tensor,
}

impl Case {
    /// Dates, images and metadata as upstream's loader made them, in `dtype` on the device.
    fn input(&self, name: &str, dtype: DType) -> Tensor {
        let input = self.expected[name].to_dtype(dtype).unwrap();
        // Metadata that a variant lacks have no numbers, and CUDA allocates no memory of length 0.
        if input.elem_count() == 0 { input } else { input.to_device(self.aerial.device()).unwrap() }
    }

    /// Largest absolute difference to the stored tensor `name`, and the largest absolute value of that.
    fn distance(&self, found: &Tensor, name: &str) -> (f64, f64) {
        let expected = self.expected[name].to_dtype(DType::F64).unwrap();
        let found = found.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
        assert_eq!(found.dims(), expected.dims(), "{}: {name}", self.name);
        let largest = |t: &Tensor| t.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        (largest(&(found - &expected).unwrap()), largest(&expected))
    }

    fn assert_f32(&self, found: &Tensor, name: &str) {
        let (distance, largest) = self.distance(found, name);
        let noise = self.noise[name]["f32_vs_f64"].as_f64().unwrap();
        let allowed = NOISE_FACTOR * noise + NOISE_FLOOR * largest;
        println!("{} {name}: {distance:.3e} of {largest:.3e}, {:.2} x noise", self.name, distance / noise);
        assert!(distance <= allowed, "{}: {name} is off by {distance:e}, allowed are {allowed:e}", self.name);
    }

    fn assert_f64(&self, found: &Tensor, name: &str) {
        let (distance, largest) = self.distance(found, name);
        println!("{} {name}: relative {:.3e}", self.name, distance / largest);
        assert!(distance <= F64_TOLERANCE * largest, "{}: {name} is off by {distance:e} of {largest:e}", self.name);
    }

    /// Predictions must agree wherever upstream's f64 margin is wide enough for any honest f32 computation.
    fn assert_argmax(&self, logits: &Tensor, argmax: &str, sure: &str) {
        let found = logits.argmax(1).unwrap().flatten_all().unwrap().to_vec1::<u32>().unwrap();
        let [expected, sure] =
            [argmax, sure].map(|name| self.expected[name].flatten_all().unwrap().to_vec1::<u8>().unwrap());
        let wrong =
            found.iter().zip(&expected).zip(&sure).filter(|&((f, e), s)| *s == 1 && *f != u32::from(*e)).count();
        assert!(sure.contains(&1));
        assert_eq!(wrong, 0, "{}: {argmax}", self.name);
    }
}

/// The distance of two numbers in ulps of f32.
fn ulps(a: f32, b: f32) -> u32 {
    let ordered =
        |x: f32| if x.is_sign_negative() { -i64::from(x.to_bits() & 0x7fff_ffff) } else { i64::from(x.to_bits()) };
    u32::try_from((ordered(a) - ordered(b)).unsigned_abs()).unwrap()
}

/// Each `step`-th pixel of both last axes, as the golden files store large maps.
fn every(x: &Tensor, step: usize) -> Tensor {
    let indices = |size: usize| Tensor::arange_step(0u32, size as u32, step as u32, x.device()).unwrap();
    let rows = indices(x.dim(D::Minus2).unwrap());
    let columns = indices(x.dim(D::Minus1).unwrap());
    x.contiguous().unwrap().index_select(&rows, 2).unwrap().index_select(&columns, 3).unwrap()
}

/// The first 8 channels of a map, thinned to 16 pixels a side.
fn thinned(map: &Map) -> Tensor {
    let map = map.tensor().unwrap();
    every(&map.i((.., ..8)).unwrap(), (map.dim(D::Minus1).unwrap() / 16).max(1))
}

fn aerial(id: &str) -> Tensor {
    let path = sample(&format!("IMG_{id}.tif"));
    let raster = flair_scoring::raster::read(&path, &flair_scoring::raster::Limits::default()).unwrap();
    let (bands, height, width) = (raster.bands(), raster.height(), raster.width());
    let values: Vec<f32> = raster.samples().iter().map(|&v| (f64::from(v) * (1.0 / 255.0)) as f32).collect();
    Tensor::from_vec(values, (1, bands, height, width), &device()).unwrap()
}

/// Every variant with its configuration and its patches.
fn variants() -> Vec<(String, Config, Vec<Case>)> {
    let golden = folder("FLAIR_BENCH_GOLDEN");
    let index: Value = serde_json::from_slice(&std::fs::read(golden.join("golden.json")).unwrap()).unwrap();
    let variants = index["variants"].as_object().unwrap();
    assert!(!variants.is_empty());
    let variant = |(name, variant): (&String, &Value)| {
        let mut config = Config::preset("utt").unwrap();
        for (key, value) in variant["config"].as_object().unwrap() {
            config.set(&format!("{key}={value}")).unwrap();
        }
        let case = |(id, patch): (&String, &Value)| Case {
            name: format!("{name}-{id}"),
            patch: id.parse().unwrap(),
            dates_kept: patch["dates_kept"].clone(),
            expected: weights::read(&golden.join(format!("{name}-{id}.safetensors"))).unwrap().tensors,
            noise: patch["noise"].clone(),
            aerial: aerial(id),
        };
        (name.clone(), config, variant["patches"].as_object().unwrap().iter().map(case).collect())
    };
    variants.iter().map(variant).collect()
}

fn network(variant: &str, config: &UttConfig, dtype: DType) -> Network {
    let network = Network::new(config, dtype, &device(), 0).unwrap();
    weights::load(&folder("FLAIR_BENCH_GOLDEN").join(format!("{variant}.ckpt")), &network).unwrap();
    network
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_inputs_are_upstreams() {
    let dataset = Dataset::discover(&folder("FLAIR_BENCH_SAMPLE")).unwrap();
    for (_, config, cases) in variants() {
        let preprocessor = Preprocessor::new(&config.inputs(), &dataset).unwrap();
        for case in cases {
            let sample = preprocessor.sample(case.patch).unwrap();
            let near = |name: &str, shape: &[usize], values: &[f32]| {
                let expected = &case.expected[name];
                assert_eq!((expected.dims(), expected.dtype()), (shape, DType::F32), "{}: {name}", case.name);
                let expected = expected.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(expected.len(), values.len(), "{}: {name}", case.name);
                // Tolerance 1 ulp of f32: upstream rounds once, at the end, and so does this crate.
                let far = expected.iter().zip(values).map(|(a, b)| ulps(*a, *b)).max().unwrap_or(0);
                assert!(far <= 1, "{}: {name} is off by {far} ulps", case.name);
            };
            let series = sample.series.unwrap();
            near("spatch", &[1, series.t, series.channels, series.size, series.size], &series.values);
            near("dates", &[1, series.t], &series.positions);
            let metadata = sample.metadata.unwrap_or_default();
            near("mtd", &[1, metadata.len()], &metadata);
            assert_eq!(case.dates_kept, series.t, "{}", case.name);
        }
    }
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_forward_in_f32_at_every_stage() {
    on_chosen_kernels(|| forward_in_f32(Mode::EVAL));
}

/// What has no kernel on a GPU is computed this way there, and predictions fold their norms.
#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_forward_in_f32_on_plain_tensors_with_folded_norms() {
    with_plain_tensors(|| forward_in_f32(Mode::predict(&Plan::default())));
}

/// As predictions are computed on the CPU.
#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_forward_in_f32_by_a_plan_at_each_level_of_instructions() {
    at_each_level(|level| {
        println!("{level}");
        forward_in_f32(Mode::predict(&Plan::default()));
    });
}

fn forward_in_f32(mode: Mode<'_>) {
    for (variant, config, cases) in variants() {
        let network = network(&variant, &config.network(), DType::F32);
        let branch = network.layers.satellite.as_ref().unwrap();
        for case in cases {
            let [images, dates, metadata] = ["spatch", "dates", "mtd"].map(|name| case.input(name, DType::F32));
            let maps = branch.maps(&images, &dates, mode).unwrap();
            case.assert_f32(&maps[0], "utae_map0");
            let satellite_features = maps.last().unwrap();
            case.assert_f32(satellite_features, "utae_map_last");
            let encoded = network.layers.encode(&case.aerial, Some(&metadata), mode).unwrap();
            let fused = branch.fuse(encoded, satellite_features, Collapse::Each, mode).unwrap();
            // The stored encoder maps do not include the metadata.
            let plain = network.layers.aerial.encoder.forward(&case.aerial.clone().into(), mode).unwrap();
            for (level, (before, after)) in (1..).zip(plain.iter().zip(&fused)) {
                case.assert_f32(&thinned(before), &format!("encoder{level}"));
                case.assert_f32(&thinned(after), &format!("fused{level}"));
            }
            let decoded = network.layers.aerial.decoder.forward(fused.clone(), mode).unwrap();
            case.assert_f32(&every(&decoded.tensor().unwrap(), 16), "decoder");
            let logits = network
                .layers
                .forward(&case.aerial, Some((&images, &dates)), Some(&metadata), Collapse::FirstOfBatch, mode)
                .unwrap();
            case.assert_f32(&every(&logits.aerial, 8), "logits");
            case.assert_f32(&every(&logits.satellite.unwrap(), 32), "aux_logits");
            case.assert_argmax(&logits.aerial, "argmax", "sure");
        }
    }
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_forward_in_f64() {
    on_chosen_kernels(|| {
        for (variant, config, cases) in variants() {
            let network = network(&variant, &config.network(), DType::F64);
            for case in cases {
                let [images, dates, metadata] = ["spatch", "dates", "mtd"].map(|name| case.input(name, DType::F64));
                let aerial = case.aerial.to_dtype(DType::F64).unwrap();
                let logits = network
                    .layers
                    .forward(&aerial, Some((&images, &dates)), Some(&metadata), Collapse::Each, Mode::EVAL)
                    .unwrap();
                case.assert_f64(&every(&logits.aerial, 8), "logits_f64");
                case.assert_f64(&every(&logits.satellite.unwrap(), 32), "aux_logits_f64");
                case.assert_argmax(&logits.aerial, "argmax", "sure");
            }
        }
    });
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_forward_of_the_unet_alone() {
    on_chosen_kernels(|| {
        for (variant, config, cases) in variants() {
            let config = UttConfig { utae: None, metadata: None, ..config.network() };
            let network = Network::new(&config, DType::F32, &device(), 0).unwrap();
            let checkpoint = weights::read(&folder("FLAIR_BENCH_GOLDEN").join(format!("{variant}.ckpt"))).unwrap();
            let unet = checkpoint.tensors.into_iter().filter_map(|(name, tensor)| {
                let name = name.strip_prefix("model.")?.to_owned();
                name.starts_with("arch_vhr.").then_some((name, tensor))
            });
            network.assign(&unet.collect()).unwrap().unwrap();
            for case in cases {
                let logits =
                    network.layers.forward(&case.aerial, None, None, Collapse::Each, Mode::EVAL).unwrap().aerial;
                case.assert_f32(&every(&logits, 8), "unet_logits");
                case.assert_argmax(&logits, "unet_argmax", "unet_sure");
            }
        }
    });
}
