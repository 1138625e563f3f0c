//! The whole training loop, on small synthetic patches.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use candle_core::{DType, Device, Tensor};
use flair_scoring::{Event, PatchId, Progress, progress::Silent};

use super::{
    batch::{Example, Examples},
    trainer::Trainer,
    *,
};
use crate::{
    data::{DataError, Fidelity, Sample, SuperPatch},
    models::{Network, fixture, resnet34::WIDTH, utae::UtaeConfig, utt::UttConfig},
    random::Generator,
    ranks::Ranks,
    weights::{self, Settings},
};

mod ranks;

const SIDE: usize = 32;

/// Patches of two halves, whose colours determine their classes. From number 100 on the labels are wrong.
struct MadeUp {
    /// Pixels of an image's side.
    side: usize,
    has_series: bool,
    broken: Option<PatchId>,
}

/// The same patches; the image of one lacks a value, so that no tensor can be made of it, as if the device had failed.
struct Short(PatchId);

impl Examples for Short {
    fn example(&self, id: PatchId) -> Result<Example, DataError> {
        let mut example = Self::ALL.example(id)?;
        if id == self.0 {
            example.sample.aerial.pop();
        }
        Ok(example)
    }

    fn identity(&self, ids: &[PatchId]) -> Result<String, DataError> {
        Self::ALL.identity(ids)
    }
}

impl Short {
    const ALL: MadeUp = MadeUp { side: SIDE, has_series: true, broken: None };
}

impl Examples for MadeUp {
    #[expect(clippy::cast_possible_truncation, reason = "any numbers will do")]
    fn example(&self, id: PatchId) -> Result<Example, DataError> {
        let (number, side): (usize, usize) = (id.to_string().parse().unwrap(), self.side);
        let mut noise = Generator::new(7, &format!("patch {id}"));
        let right = |i: usize| (i % side >= side / 8 * (1 + number % 6)) ^ (number % 2 == 1);
        let mut aerial: Vec<f32> = (0..5 * side * side)
            .map(|i| 0.1 + 0.1 * noise.uniform() as f32 + if right(i) { 0.6 } else { 0.0 })
            .collect();
        if self.broken == Some(id) {
            aerial[77] = f32::NAN;
        }
        let target = (0..side * side).map(|i| u8::from(right(i) ^ (number >= 100)) * 4).collect();
        let t = 2 + number % 2;
        let series = self.has_series.then(|| SuperPatch {
            t,
            channels: 10,
            size: 16,
            values: (0..t * 10 * 16 * 16).map(|_| noise.uniform() as f32).collect(),
            positions: (0..t).map(|t| 30.0 * t as f32 - 40.0).collect(),
            kept: (0..t).collect(),
            finding: None,
        });
        Ok(Example { sample: Sample { id, aerial, series, metadata: None }, target, satellite_target: None })
    }

    fn identity(&self, ids: &[PatchId]) -> Result<String, DataError> {
        // A digest of the files, of which the message shows the beginning; no patches have no files.
        Ok(if ids.is_empty() { String::new() } else { format!("{} {ids:?}", self.has_series) })
    }
}

fn ids(numbers: std::ops::Range<u32>) -> Vec<PatchId> {
    numbers.filter_map(PatchId::new).collect()
}

fn unet() -> UttConfig {
    UttConfig { patch_size: SIDE, unet_width: 16, ..fixture::unet() }
}

/// A small U-T&T.
fn utt() -> UttConfig {
    let utae = UtaeConfig {
        encoder_widths: vec![16, 32],
        decoder_widths: vec![16, 32],
        d_model: 32,
        heads: 4,
        ..fixture::utae()
    };
    UttConfig { utae: Some(utae), ..unet() }
}

fn network(sizes: &UttConfig, seed: u64) -> Network {
    Network::new(sizes, DType::F32, &Device::Cpu, seed).unwrap()
}

fn settings(pad_value: &str, norm_momentum: &str) -> Settings {
    let settings = [("pad_value", pad_value), ("flair_bench.norm_momentum", norm_momentum)];
    settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn options(out: &Path) -> TrainOptions<'_> {
    let class_weights = [vec![1.0; 12], vec![0.0]].concat();
    TrainOptions {
        losses: LossWeights {
            classes_aerial: class_weights.clone(),
            classes_satellite: class_weights,
            aerial: 1.0,
            satellite: 1.0,
        },
        is_augmented: false,
        fidelity: Fidelity::Upstream,
        pad_value: 0.0,
        epochs: 2,
        batch_size: 2,
        learning_rate: 0.02,
        optimizer: OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 },
        schedule: Schedule::Plateau { factor: 0.5, patience: 0, threshold: 0.5, cooldown: 0, minimum: 0.0 },
        accumulate: 1,
        clip: Some(5.0),
        patience: Some(30),
        seed: 3,
        workers: 2,
        settings: settings("0.0", "0.1"),
        ranks: Ranks::alone(),
        provenance: Settings::new(),
        out,
        beginning: Beginning::Fresh,
    }
}

/// Runs a closure at the n-th matching event, counted from 1.
struct At<F> {
    seen: Mutex<usize>,
    number: usize,
    is_counted: fn(&Event<'_>) -> bool,
    act: F,
}

impl<F: Fn() + Sync> At<F> {
    fn new(number: usize, is_counted: fn(&Event<'_>) -> bool, act: F) -> Self {
        Self { seen: Mutex::new(0), number, is_counted, act }
    }
}

impl<F: Fn() + Sync> Progress for At<F> {
    fn event(&self, event: Event<'_>) {
        let mut seen = self.seen.lock().unwrap();
        *seen += usize::from((self.is_counted)(&event));
        if (self.is_counted)(&event) && *seen == self.number {
            (self.act)();
        }
    }
}

fn is_step(event: &Event<'_>) -> bool {
    matches!(event, Event::Step { .. })
}

fn is_end(event: &Event<'_>) -> bool {
    matches!(event, Event::Finished)
}

struct Run<'a> {
    sizes: UttConfig,
    is_augmented: bool,
    out: &'a Path,
}

impl Run<'_> {
    fn go(&self, beginning: Beginning, stop: &AtomicBool, progress: &dyn Progress) -> Result<Trained, TrainError> {
        self.on(&MadeUp { side: SIDE, has_series: true, broken: None }, beginning, stop, progress)
    }

    fn on(
        &self,
        examples: &dyn Examples,
        beginning: Beginning,
        stop: &AtomicBool,
        progress: &dyn Progress,
    ) -> Result<Trained, TrainError> {
        // Other initial weights and another number of threads each time: neither may matter after a resumption.
        let (seed, workers) = if beginning == Beginning::Fresh { (1, 3) } else { (2, 1) };
        let is_augmented = self.is_augmented;
        let options = TrainOptions { is_augmented, workers, beginning, ..options(self.out) };
        let (train, val) = (ids(1..6), ids(11..14));
        Trainer::of(&network(&self.sizes, seed), examples, (&train, &val), &options)?.run(stop, progress)
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let names =
            ["best.safetensors", "last.safetensors", "last.state.safetensors"].map(|n| format!("checkpoints/{n}"));
        let names = names.into_iter().chain(["metrics.csv", "training.svg", "training.png"].map(str::to_owned));
        names.map(|name| (name.clone(), fs::read(self.out.join(name)).unwrap())).collect()
    }
}

fn assert_same(found: &Run<'_>, expected: &Run<'_>, what: &str) {
    for ((name, found), (_, expected)) in found.files().into_iter().zip(expected.files()) {
        assert!(found == expected, "{what}: {name} differs");
    }
}

#[test]
fn a_run_that_was_stopped_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    let [whole, stopped] = [&whole, &stopped].map(|out| Run { sizes: utt(), is_augmented: true, out });
    let trained = whole.go(Beginning::Fresh, &AtomicBool::new(false), &Silent).unwrap();
    assert_eq!((trained.stopped, trained.epochs, trained.steps), (Stopped::Finished, 2, 4));

    let stop_at = |step: usize, beginning, done: (usize, usize)| {
        let stop = AtomicBool::new(false);
        let progress = At::new(step, is_step, || stop.store(true, Ordering::Relaxed));
        let trained = stopped.go(beginning, &stop, &progress).unwrap();
        assert_eq!((trained.stopped, trained.epochs, trained.steps), (Stopped::Interrupted, done.0, done.1));
    };
    // An epoch is 4 patches of training and 3 of validation: in the middle of the first, then in its validation, and
    // then after the last step of the second.
    stop_at(1, Beginning::Fresh, (0, 1));
    stop_at(2 + 1, Beginning::Resume, (0, 2));
    stop_at(3 + 3, Beginning::Resume, (1, 4));
    let trained = stopped.go(Beginning::Resume, &AtomicBool::new(false), &Silent).unwrap();
    assert_eq!((trained.stopped, trained.epochs, trained.steps), (Stopped::Finished, 2, 4));
    assert_same(&stopped, &whole, "stopped");

    // The run is already finished: nothing changes.
    stopped.go(Beginning::Resume, &AtomicBool::new(false), &Silent).unwrap();
    assert_same(&stopped, &whole, "resumed at its end");
    // TensorBoard has one file for each of the four parts, and none for the resumption that had nothing to do.
    assert_eq!(fs::read_dir(stopped.out.join("tensorboard")).unwrap().count(), 4);
}

#[test]
fn a_run_that_died_between_two_writes_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("whole");
    let whole = Run { sizes: unet(), is_augmented: false, out: &out };
    whole.go(Beginning::Fresh, &AtomicBool::new(false), &Silent).unwrap();

    for victim in ["checkpoints/last.state.safetensors", "checkpoints/last.safetensors", "metrics.csv"] {
        let out = folder.path().join(victim.replace('/', "-"));
        let died = Run { sizes: unet(), is_augmented: false, out: &out };
        let (victim, aside) = (out.join(victim), out.join("aside"));
        // A folder with the file's name, created at the end of the last validation, makes writing fail.
        let obstruct = || {
            fs::rename(&victim, &aside).unwrap();
            fs::create_dir_all(victim.join("in the way")).unwrap();
        };
        let error = died.go(Beginning::Fresh, &AtomicBool::new(false), &At::new(4, is_end, obstruct)).unwrap_err();
        assert!(error.to_string().contains(victim.to_str().unwrap()), "{error}");
        fs::remove_dir_all(&victim).unwrap();
        fs::rename(&aside, &victim).unwrap();
        let trained = died.go(Beginning::Resume, &AtomicBool::new(false), &Silent).unwrap();
        assert_eq!((trained.epochs, trained.steps), (2, 4));
        assert_same(&died, &whole, victim.to_str().unwrap());
    }
}

#[test]
fn a_device_that_fails_loses_no_finished_step() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("whole");
    let whole = Run { sizes: utt(), is_augmented: false, out: &out };
    let goes_on = AtomicBool::new(false);
    whole.go(Beginning::Fresh, &goes_on, &Silent).unwrap();

    // An epoch has two steps of two patches: the device fails in the second step, and in the validation after it.
    let in_second_step = shuffle::order(&ids(1..6), options(&out).seed, 1)[2];
    for (patch, steps) in [(in_second_step, 1), (ids(11..14)[1], 2)] {
        let out = folder.path().join(patch.to_string());
        let failed = Run { sizes: utt(), is_augmented: false, out: &out };
        let error = failed.on(&Short(patch), Beginning::Fresh, &goes_on, &Silent).unwrap_err();
        assert!(matches!(error, TrainError::Device { .. }), "{error}");
        let computed = At::new(1, is_step, || ());
        let trained = failed.go(Beginning::Resume, &goes_on, &computed).unwrap();
        assert_eq!(trained.steps, 4);
        // Two epochs have 8 patches of training and 6 of validation.
        assert_eq!(*computed.seen.lock().unwrap(), 14 - 2 * steps, "a finished step was made again");
        assert_same(&failed, &whole, &format!("failed on {patch}"));
    }

    // A run without a step is not there.
    let out = folder.path().join("nothing");
    let failed = Run { sizes: utt(), is_augmented: false, out: &out };
    let in_first_step = shuffle::order(&ids(1..6), options(&out).seed, 1)[0];
    failed.on(&Short(in_first_step), Beginning::Fresh, &goes_on, &Silent).unwrap_err();
    assert!(!Checkpoints::of(&out).exist());
}

#[test]
fn lack_of_memory_names_the_batch_and_one_that_may_fit() {
    let full = |count: u32| {
        let text = r#"DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#;
        TrainError::device(&ids(1..1 + count), candle_core::Error::Msg(text.to_owned())).to_string()
    };
    insta::assert_snapshot!(full(10), @"the device has too little memory for a batch of 10 patches: out of memory (CUDA_ERROR_OUT_OF_MEMORY). Try `--set batch_size=5` in another folder; with twice the `flair_bench.accumulate` a step has as many patches as before");
    insta::assert_snapshot!(full(1), @"the device has too little memory for a batch of 1 patch: out of memory (CUDA_ERROR_OUT_OF_MEMORY). Choose a smaller network, or another device (`--device cpu`)");
}

#[test]
fn a_run_ends_early_where_validation_gets_no_better() {
    let out = tempfile::tempdir().unwrap();
    let options = TrainOptions { epochs: 40, patience: Some(2), ..options(out.path()) };
    let examples = MadeUp { side: SIDE, has_series: false, broken: None };
    // Wrong labels: the better the training, the worse the validation.
    let (train, val, network) = (ids(1..5), ids(100..102), network(&unet(), 1));
    let trainer = Trainer::of(&network, &examples, (&train, &val), &options).unwrap();
    let trained = trainer.run(&AtomicBool::new(false), &Silent).unwrap();
    let best = trained.best.unwrap();
    assert_eq!((trained.stopped, trained.epochs), (Stopped::Early, best.epoch + 2));
    // The best weights are those of the best epoch, and load like any others.
    crate::weights::load(&trained.checkpoints.best(), &network).unwrap();
    let steps = network.parameters.get("arch_vhr.encoder.bn1.num_batches_tracked").unwrap();
    assert_eq!(steps.var().to_scalar::<i64>().unwrap(), 2 * i64::try_from(best.epoch).unwrap());
}

#[test]
fn training_learns_classes_from_colours() {
    let out = tempfile::tempdir().unwrap();
    let optimizer = OptimizerConfig::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    let (learning_rate, schedule) = (2e-3, Schedule::Constant);
    let given = TrainOptions { is_augmented: true, ..options(out.path()) };
    let options =
        TrainOptions { epochs: 15, batch_size: 2, accumulate: 2, optimizer, learning_rate, schedule, ..given };
    let examples = MadeUp { side: SIDE, has_series: false, broken: None };
    // The thin network of the other tests learns more slowly.
    let sizes = UttConfig { unet_width: WIDTH, ..unet() };
    let (train, val, network) = (ids(1..9), ids(20..24), network(&sizes, 1));
    let trainer = Trainer::of(&network, &examples, (&train, &val), &options).unwrap();
    let trained = trainer.run(&AtomicBool::new(false), &Silent).unwrap();
    assert_eq!(trained.steps, 15 * 2);
    let (first, last) = (trained.history[0], trained.history[14]);
    assert!(last.train_loss < first.train_loss / 3.0, "{} {}", first.train_loss, last.train_loss);
    assert!(last.validation.unwrap().miou.unwrap() > 0.9, "{last:?}");
}

fn refusal(options: &TrainOptions<'_>, broken: Option<PatchId>) -> String {
    let train = ids(1..5);
    let network = network(&unet(), 1);
    let examples = MadeUp { side: SIDE, has_series: false, broken };
    let run = |trainer: Trainer<'_>| trainer.run(&AtomicBool::new(false), &Silent);
    let error = Trainer::of(&network, &examples, (&train, &[]), options).and_then(run).unwrap_err();
    error.to_string().replace(&options.out.display().to_string(), "OUT")
}

#[test]
fn errors_name_their_cause() {
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { epochs: 1, ..options(folder.path()) };
    let broken = TrainOptions { batch_size: 4, ..options.clone() };
    let message = refusal(&broken, PatchId::new(2));
    assert!(["000001", "000002", "000003", "000004"].iter().all(|id| message.contains(id)), "{message}");
    assert!(message.starts_with("the loss is not finite on patches 0000"), "{message}");

    let examples = MadeUp { side: SIDE, has_series: false, broken: None };
    let network = network(&unet(), 1);
    let (train, nothing) = (ids(1..5), AtomicBool::new(false));
    Trainer::of(&network, &examples, (&train, &[]), &options).unwrap().run(&nothing, &Silent).unwrap();
    insta::assert_snapshot!(refusal(&options, None), @"`OUT` already holds a training run: resume it (`--resume`), or choose another folder");
    let resumed = TrainOptions { beginning: Beginning::Resume, ..options.clone() };
    let resumed = TrainOptions { seed: 4, pad_value: 1.0, settings: settings("1.0", "0.1"), ..resumed };
    insta::assert_snapshot!(refusal(&resumed, None), @"
    `OUT/checkpoints/last.state.safetensors` belongs to a run with other settings, and cannot be resumed with these:
      `pad_value` was 0.0 and is 1.0
      `seed` was 3 and is 4
    ");
    // Another momentum of the batch norms, and other files under the same numbers.
    let resumed = TrainOptions { beginning: Beginning::Resume, settings: settings("0.0", "0.9"), ..options.clone() };
    let examples = MadeUp { side: SIDE, has_series: true, broken: None };
    let message = Trainer::of(&network, &examples, (&train, &[]), &resumed).err().unwrap().to_string();
    let lines: Vec<_> = message.lines().skip(1).map(str::trim).collect();
    assert_eq!(lines[0], "`flair_bench.norm_momentum` was 0.1 and is 0.9");
    assert!(lines.len() == 2 && lines[1].starts_with("`training patches` was 4 with the digest"), "{lines:?}");

    let checkpoints = Checkpoints::of(folder.path());
    fs::copy(checkpoints.last(), checkpoints.state()).unwrap();
    insta::assert_snapshot!(refusal(&TrainOptions { beginning: Beginning::Resume, ..options.clone() }, None), @"cannot resume training from `OUT/checkpoints/last.state.safetensors`: it holds no training state");
    let resumed = TrainOptions { beginning: Beginning::Resume, ..options.clone() };
    let old = BTreeMap::from([("flair-bench training".to_owned(), "{\"epoch\": 3}".to_owned())]);
    let tensors = BTreeMap::from([("a".to_owned(), Tensor::new(1f32, &Device::Cpu).unwrap())]);
    weights::save(&checkpoints.state(), &tensors, &old).unwrap();
    insta::assert_snapshot!(refusal(&resumed, None), @"cannot resume training from `OUT/checkpoints/last.state.safetensors`: it was written by another version of flair-bench: resume with that version, or start a new run in another folder");
    fs::write(checkpoints.state(), b"cut").unwrap();
    insta::assert_snapshot!(refusal(&resumed, None), @"cannot resume training from `OUT/checkpoints/last.state.safetensors`: it is neither a .safetensors file nor one that torch.save wrote; the weights beside it can still predict, but to train, start a new run in another folder");
    fs::remove_file(checkpoints.state()).unwrap();
    insta::assert_snapshot!(refusal(&resumed, None), @"cannot resume training from `OUT/checkpoints/last.state.safetensors`: it is missing; the weights beside it can still predict, but to train, start a new run in another folder");
    // Existing weights are not overwritten either.
    insta::assert_snapshot!(refusal(&options, None), @"`OUT` already holds a training run: resume it (`--resume`), or choose another folder");
}

#[test]
fn a_validation_loss_that_is_not_finite_is_recorded_and_training_continues() {
    let folder = tempfile::tempdir().unwrap();
    let (train, val) = (ids(1..5), ids(11..13));
    let examples = MadeUp { side: SIDE, has_series: false, broken: PatchId::new(12) };
    let run = |epochs, beginning| {
        let options = TrainOptions { epochs, beginning, ..options(folder.path()) };
        let network = network(&unet(), 1);
        let trainer = Trainer::of(&network, &examples, (&train, &val), &options).unwrap();
        trainer.run(&AtomicBool::new(false), &Silent).unwrap()
    };
    let trained = run(1, Beginning::Fresh);
    assert_eq!((trained.epochs, trained.best), (1, None));
    let resumed = run(2, Beginning::Resume);
    assert_eq!((resumed.epochs, resumed.best), (2, None));
    assert_eq!(resumed.history[0].validation.unwrap().loss, None);
    assert!(resumed.checkpoints.last().exists() && !resumed.checkpoints.best().exists());
    let table = fs::read_to_string(folder.path().join("metrics.csv")).unwrap();
    assert!(table.lines().skip(1).all(|row| row.split(',').nth(4) == Some("")), "{table}");
}

#[test]
fn a_damaged_state_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { epochs: 1, ..options(folder.path()) };
    let resumed = TrainOptions { epochs: 2, beginning: Beginning::Resume, ..options.clone() };
    let examples = MadeUp { side: SIDE, has_series: false, broken: None };
    let (network, train, nothing) = (network(&unet(), 1), ids(1..5), AtomicBool::new(false));
    Trainer::of(&network, &examples, (&train, &[]), &options).unwrap().run(&nothing, &Silent).unwrap();
    let path = Checkpoints::of(folder.path()).state();
    let intact = fs::read(&path).unwrap();
    // One bit of a weight, and one letter of the state.
    let letter = intact.windows(6).position(|window| window == b"epoch\\").unwrap();
    for (index, bit) in [(intact.len() - 1000, 1), (letter, 2)] {
        let mut bytes = intact.clone();
        bytes[index] ^= bit;
        fs::write(&path, bytes).unwrap();
        let message = refusal(&resumed, None);
        assert!(message.contains("its checksum differs"), "{message}");
    }
    fs::write(&path, intact).unwrap();
    Trainer::of(&network, &examples, (&train, &[]), &resumed).unwrap();
}
