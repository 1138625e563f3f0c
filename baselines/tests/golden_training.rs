//! Training against upstream's own code: losses, gradients, and the network after some steps.
//!
//! Batches, variants and expectations come from the folders that `FLAIR_BENCH_SAMPLE` and `FLAIR_BENCH_GOLDEN` name;
//! see the README for how to run these tests. `FLAIR_BENCH_DEVICE` names another device, and `FLAIR_BENCH_KERNELS=off`
//! asks for plain tensors.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod surroundings;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType, Device, Tensor};
use flair_baselines::{
    config::Config,
    data::aerial,
    models::{Collapse, Network},
    nn::{Kind, Mode, with_plain_tensors},
    train::{Gradients, LossWeights, Optimizer, OptimizerConfig, two_branch},
    weights,
};
use serde_json::Value;

use surroundings::{device, folder, on_chosen_kernels, sample};

/// In f64 only the order of sums differs; a wrong formula cannot hide behind rounding.
const F64_TOLERANCE: f64 = 1e-6;
/// In f32 training is chaotic: weights moved by about one unit in their last place move the second loss by up to 9e-5
/// (six draws), upstream's own f32 is off by up to 5e-5. So the same rule as for forward passes: within 6 times what
/// upstream's own f32 strays from f64, or this share where that happened to stray little.
const NOISE_FACTOR: f64 = 6.0;
const F32_FLOORS: [f64; 2] = [1e-6, 1e-4];

/// A recorded training.
struct Training {
    variant: String,
    config: Config,
    expected: Value,
    tensors: BTreeMap<String, Tensor>,
}

/// The network's inputs, in the dtype of the training, on the device.
struct Batch {
    aerial: Tensor,
    images: Tensor,
    dates: Tensor,
    metadata: Option<Tensor>,
    target: Tensor,
}

/// The result of a step.
struct Step {
    losses: [f64; 3],
    gradients: Gradients,
}

fn trainings() -> Vec<Training> {
    let golden = folder("FLAIR_BENCH_GOLDEN");
    let index: Value = serde_json::from_slice(&std::fs::read(golden.join("golden.json")).unwrap()).unwrap();
    let training = |(variant, recorded): (&String, &Value)| {
        let mut config = Config::preset("utt").unwrap();
        for (key, value) in recorded["config"].as_object().unwrap() {
            config.set(&format!("{key}={value}")).unwrap();
        }
        let tensors = weights::read(&golden.join(format!("{variant}-training.safetensors"))).unwrap().tensors;
        Training { variant: variant.clone(), config, expected: recorded["training"].clone(), tensors }
    };
    let trainings: Vec<_> = index["variants"].as_object().unwrap().iter().map(training).collect();
    assert!(!trainings.is_empty());
    trainings
}

impl Training {
    fn steps(&self) -> &[Value] {
        self.expected["steps"].as_array().unwrap()
    }

    fn network(&self, dtype: DType) -> Network {
        let network = Network::new(&self.config.network(), dtype, &device(), 0).unwrap();
        weights::load(&folder("FLAIR_BENCH_GOLDEN").join(format!("{}.ckpt", self.variant)), &network).unwrap();
        network
    }

    /// The series are padded to the longest one, as upstream's `pad_collate` does: dates with 0.
    fn batch(&self, dtype: DType) -> Batch {
        let golden = folder("FLAIR_BENCH_GOLDEN");
        let ids: Vec<_> = self.expected["batch"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        let stored: Vec<_> = ids
            .iter()
            .map(|id| weights::read(&golden.join(format!("{}-{id}.safetensors", self.variant))).unwrap().tensors)
            .collect();
        let longest = stored.iter().map(|t| t["dates"].dims()[1]).max().unwrap();
        let device = device();
        let on_device = |t: &Tensor| t.to_device(&device).unwrap();
        let padded = |name: &str, value: f64| {
            let one = |tensors: &BTreeMap<String, Tensor>| {
                let x = &tensors[name];
                let mut dims = x.dims().to_vec();
                dims[1] = longest - dims[1];
                let filling = Tensor::full(value, dims, &Device::Cpu).unwrap().to_dtype(x.dtype()).unwrap();
                Tensor::cat(&[x, &filling], 1).unwrap()
            };
            on_device(&Tensor::cat(&stored.iter().map(one).collect::<Vec<_>>(), 0).unwrap().to_dtype(dtype).unwrap())
        };
        let stacked = |values: Vec<f32>, dims: &[usize]| Tensor::from_vec(values, dims, &Device::Cpu).unwrap();
        let (count, size) = (ids.len(), flair_scoring::PATCH_SIZE);
        let pixels = ids.iter().flat_map(|id| aerial::read_image(&sample(&format!("IMG_{id}.tif"))).unwrap());
        let labels = ids.iter().flat_map(|id| aerial::read_mask(&sample(&format!("MSK_{id}.tif"))).unwrap());
        Batch {
            aerial: on_device(&stacked(pixels.collect(), &[count, 5, size, size]).to_dtype(dtype).unwrap()),
            images: padded("spatch", self.config.pad_value),
            dates: padded("dates", 0.0),
            metadata: self.config.aerial_metadata.then(|| {
                let all: Vec<_> = stored.iter().map(|t| &t["mtd"]).collect();
                on_device(&Tensor::cat(&all, 0).unwrap().to_dtype(dtype).unwrap())
            }),
            target: Tensor::from_vec(labels.collect::<Vec<u8>>(), (count, size, size), &device).unwrap(),
        }
    }

    fn loss_weights(&self) -> LossWeights {
        let classes = |key: &str| self.expected[key].as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
        LossWeights {
            classes_aerial: classes("class_weights_aerial"),
            classes_satellite: classes("class_weights_satellite"),
            ..self.config.loss_weights()
        }
    }

    /// The first `count` steps of upstream's plain SGD; each is shown to `look` before the network moves.
    fn run(&self, network: &Network, count: usize, mut look: impl FnMut(usize, &Step)) {
        let batch = self.batch(network.parameters.dtype());
        let rate = self.expected["optimizer"].as_str().unwrap().strip_prefix("SGD lr=").unwrap().parse().unwrap();
        let weights = self.loss_weights();
        let mut optimizer = Optimizer::new(OptimizerConfig::default(), &network.parameters).unwrap();
        for step in 0..count {
            let start = std::time::Instant::now();
            let logits = network
                .layers
                .forward(
                    &batch.aerial,
                    Some((&batch.images, &batch.dates)),
                    batch.metadata.as_ref(),
                    Collapse::FirstOfBatch,
                    Mode::TRAIN_WITHOUT_DROPOUT,
                )
                .unwrap();
            let losses = two_branch(&logits, &batch.target, &batch.target, &weights).unwrap();
            let scalar = |t: &Tensor| t.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
            let gradients = Gradients::of(&losses.total, &network.parameters).unwrap();
            let losses = [scalar(&losses.total), scalar(&losses.aerial), scalar(&losses.satellite.unwrap())];
            let found = Step { losses, gradients };
            println!("{} step {step}: {losses:?} in {:.1} s", self.variant, start.elapsed().as_secs_f64());
            look(step, &found);
            optimizer.step(&found.gradients, rate).unwrap();
        }
    }
}

impl Training {
    /// Compares a step in f64 with upstream's: losses, gradients, and which parameters have none.
    fn compare(&self, network: &Network, step: usize, found: &Step, wrong: &mut Wrong) {
        let expected = &self.steps()[step];
        for (name, loss) in ["loss", "loss_aerial", "loss_satellite"].into_iter().zip(found.losses) {
            wrong.number(&format!("step {step} {name}"), loss, expected[name].as_f64().unwrap(), F64_TOLERANCE);
        }
        for (name, norm) in expected["grad_norm"].as_object().unwrap() {
            let found = found.gradients.get(name).unwrap().sqr().unwrap().sum_all().unwrap();
            let found = found.to_scalar::<f64>().unwrap().sqrt();
            wrong.number(&format!("step {step} norm of {name}"), found, norm.as_f64().unwrap(), F64_TOLERANCE);
        }
        let trained = network.parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight);
        let without: BTreeSet<_> =
            trained.map(|(name, _)| name).filter(|name| found.gradients.get(name).is_none()).collect();
        let expected = expected["without_gradient"].as_array().unwrap();
        assert_eq!(without, expected.iter().map(|name| name.as_str().unwrap()).collect());
        let stored = self.tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix("grad.")?, t)));
        for (name, expected) in stored.filter(|_| step == 0) {
            let found = first_entries(found.gradients.get(name).unwrap(), expected.elem_count());
            wrong.entries(&format!("gradient of {name}"), &found, expected);
        }
    }
}

/// As many entries as were stored, on the CPU, where the comparisons are made.
fn first_entries(tensor: &Tensor, count: usize) -> Tensor {
    tensor.flatten_all().unwrap().narrow(0, 0, count).unwrap().to_device(&Device::Cpu).unwrap()
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

/// Collects all that is off, so that one run shows which layers are wrong.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn number(&mut self, what: &str, found: f64, expected: f64, tolerance: f64) {
        let off = (found - expected).abs() / expected.abs();
        println!("{what}: off by {off:.2e}");
        if off.is_nan() || off > tolerance {
            self.0.push(format!("{what} is {found}, expected {expected} (off by {off:.2e})"));
        }
    }

    fn entries(&mut self, what: &str, found: &Tensor, expected: &Tensor) {
        let off = largest(&(found - expected).unwrap()) / largest(expected);
        println!("{what}: off by {off:.2e}");
        if off.is_nan() || off > F64_TOLERANCE {
            self.0.push(format!("{what} is off by {off:.2e}"));
        }
    }
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_training_in_f64_step_for_step() {
    on_chosen_kernels(|| {
        for training in trainings() {
            let mut wrong = Wrong::default();
            let network = training.network(DType::F64);
            let before = network.parameters.snapshot().unwrap();
            let steps = training.steps();
            training.run(&network, steps.len(), |step, found| training.compare(&network, step, found, &mut wrong));
            let prefix = format!("after{}.", steps.len());
            let stored: Vec<_> =
                training.tensors.iter().filter_map(|(n, t)| Some((n.strip_prefix(&prefix)?, t))).collect();
            assert!(!stored.is_empty());
            for (name, expected) in stored {
                let now = first_entries(network.parameters.get(name).unwrap().var(), expected.elem_count());
                wrong.entries(&format!("{prefix}{name}"), &now, expected);
                // The update is small compared with the value, and is compared separately.
                let start = first_entries(&before[name], expected.elem_count());
                let (way, expected_way) = ((now - &start).unwrap(), (expected - &start).unwrap());
                wrong.entries(&format!("way of {name}"), &way, &expected_way);
            }
            assert!(wrong.0.is_empty(), "{}:\n{}", training.variant, wrong.0.join("\n"));
        }
    });
}

/// What has no kernel on a GPU is computed this way there. One step of one training: these gradients are slow.
#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_training_in_f64_on_plain_tensors() {
    with_plain_tensors(|| {
        let (training, mut wrong) = (&trainings()[0], Wrong::default());
        let network = training.network(DType::F64);
        training.run(&network, 1, |step, found| training.compare(&network, step, found, &mut wrong));
        assert!(wrong.0.is_empty(), "{}:\n{}", training.variant, wrong.0.join("\n"));
    });
}

#[test]
#[ignore = "needs FLAIR_BENCH_SAMPLE and FLAIR_BENCH_GOLDEN"]
fn golden_training_in_f32_at_the_first_steps() {
    on_chosen_kernels(|| {
        for training in trainings() {
            let mut wrong = Wrong::default();
            let network = training.network(DType::F32);
            training.run(&network, F32_FLOORS.len(), |step, found| {
                let expected = training.steps()[step]["loss"].as_f64().unwrap();
                let upstream = training.steps()[step]["loss_in_f32"].as_f64().unwrap();
                let tolerance = (NOISE_FACTOR * (upstream / expected - 1.0).abs()).max(F32_FLOORS[step]);
                wrong.number(&format!("step {step} loss"), found.losses[0], expected, tolerance);
            });
            assert!(wrong.0.is_empty(), "{}:\n{}", training.variant, wrong.0.join("\n"));
        }
    });
}
