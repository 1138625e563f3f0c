//! Training by several ranks, as threads.

use std::sync::Arc;

use super::*;
use crate::{
    data::prefetch::Prefetch,
    models::Collapse,
    nn::{Kind, Mode},
    ranks::{Ranks, threads},
    train::{batch::Batch, reduction::Buckets, shuffle, validate::Validator},
};

/// Batches of one patch need larger ones: a norm needs more than one value.
const EXAMPLES: MadeUp = MadeUp { side: 2 * SIDE, has_series: true, broken: None };

fn larger(sizes: UttConfig) -> UttConfig {
    UttConfig { patch_size: EXAMPLES.side, ..sizes }
}

/// All trained values, in the order of the parameters' names.
fn weights_of(network: &Network) -> Vec<f64> {
    let trained = network.parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight);
    let values = trained.map(|(_, p)| p.var().to_dtype(DType::F64).unwrap().flatten_all().unwrap());
    values.flat_map(|values| values.to_vec1::<f64>().unwrap()).collect()
}

/// The largest difference, as a part of the largest value.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    a.iter().zip(b).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / largest
}

fn trained_by(
    ranks: &Ranks,
    network: &Network,
    train: &[PatchId],
    options: TrainOptions<'_>,
) -> Result<Trained, TrainError> {
    let options = TrainOptions { ranks: ranks.clone(), ..options };
    let val = ids(11..14);
    Trainer::of(network, &EXAMPLES, (train, &val), &options)?.run(&AtomicBool::new(false), &Silent)
}

fn losses(trained: &Trained) -> Vec<f64> {
    trained.history.iter().map(|epoch| epoch.train_loss).collect()
}

/// The schedule depends on the validation, so on running statistics, which are those of rank 0.
fn constant(out: &Path) -> TrainOptions<'_> {
    TrainOptions { schedule: Schedule::Constant, ..options(out) }
}

#[test]
fn ranks_with_a_patch_each_equal_a_process_that_accumulates_as_many() {
    for (dtype, size, tolerance) in [(DType::F64, 2, 1e-12), (DType::F64, 4, 1e-12), (DType::F32, 4, 1e-5)] {
        let folder = tempfile::tempdir().unwrap();
        // An epoch for each step, so that its loss is known.
        let train: Vec<PatchId> = ids(1..5).into_iter().take(size).collect();
        let epochs = if dtype == DType::F32 { 20 } else { 5 };
        let made = || Network::new(&larger(unet()), dtype, &Device::Cpu, 1).unwrap();
        let alone = folder.path().join("alone");
        let one = made();
        let recipe = |out| TrainOptions { batch_size: 1, epochs, is_augmented: true, ..constant(out) };
        let expected = trained_by(&Ranks::alone(), &one, &train, TrainOptions { accumulate: size, ..recipe(&alone) });
        let expected = expected.unwrap();
        let together = folder.path().join("together");
        let found = threads::run(size, |ranks| {
            let network = made();
            let trained = trained_by(&ranks, &network, &train, recipe(&together)).unwrap();
            (trained, weights_of(&network))
        });
        for (trained, weights) in &found {
            assert_eq!(trained.steps, epochs);
            let (off, loss_off) =
                (distance(&weights_of(&one), weights), distance(&losses(&expected), &losses(trained)));
            assert!(off < tolerance && loss_off < tolerance, "{dtype:?}, {size} ranks: {off:e}, {loss_off:e}");
            assert_eq!(*weights, found[0].1, "all ranks have the same bits");
        }
    }
}

/// A training in one process that takes the patches in the groups that ranks take, with their generators for dropout.
fn in_groups(network: &Network, train: &[PatchId], ranks: usize, options: &TrainOptions<'_>) {
    let mut optimizer = Optimizer::new(options.optimizer, &network.parameters).unwrap();
    let stream = |rank| if rank == 0 { "dropout".to_owned() } else { format!("dropout of rank {rank}") };
    let dropout: Vec<_> = (0..ranks).map(|rank| Mutex::new(Generator::new(options.seed, &stream(rank)))).collect();
    for epoch in 1..=options.epochs {
        let order = shuffle::order(train, options.seed, epoch);
        let shares: Vec<_> = (0..ranks).map(|rank| shuffle::deal(&order, rank, ranks)).collect();
        for step in 0..shares[0].len() / options.batch_size {
            let mut sum = Gradients::default();
            for (share, dropout) in shares.iter().zip(&dropout) {
                let own = &share[step * options.batch_size..][..options.batch_size];
                let examples: Vec<_> = own.iter().map(|&id| EXAMPLES.example(id).unwrap()).collect();
                let batch = Batch::new(&examples, options.pad_value, &network.parameters).unwrap();
                let series = batch.series.as_ref().map(|(images, dates)| (images, dates));
                let logits = network
                    .layers
                    .forward(&batch.aerial, series, None, Collapse::FirstOfBatch, Mode::train(dropout))
                    .unwrap();
                let loss = two_branch(&logits, &batch.target, &batch.satellite_target, &options.losses).unwrap().total;
                sum.add(Gradients::of(&loss, &network.parameters).unwrap()).unwrap();
            }
            sum.scale(1.0 / ranks as f64).unwrap();
            let norm = sum.norm_with(&[]).unwrap().1;
            sum.clip(norm, options.clip.unwrap()).unwrap();
            optimizer.step(&sum, options.learning_rate).unwrap();
        }
    }
}

#[test]
fn ranks_with_batches_equal_a_process_that_takes_the_same_groups() {
    let folder = tempfile::tempdir().unwrap();
    // 13 patches: for 3 ranks the order is continued, and 2 batches of 2 patches leave one patch of 5 out.
    let train = ids(1..14);
    let made = || Network::new(&larger(utt()), DType::F64, &Device::Cpu, 1).unwrap();
    let one = made();
    in_groups(&one, &train, 3, &TrainOptions { batch_size: 2, ..constant(folder.path()) });
    let found = threads::run(3, |ranks| {
        let network = made();
        let options = TrainOptions { batch_size: 2, ..constant(folder.path()) };
        assert_eq!(trained_by(&ranks, &network, &train, options).unwrap().steps, 4);
        weights_of(&network)
    });
    for weights in found {
        let off = distance(&weights_of(&one), &weights);
        assert!(off < 1e-12, "{off:e}");
    }
}

/// Runs three ranks in a folder, and stops rank 1 after some steps.
fn three(out: &Path, beginning: Beginning, stop_after: Option<usize>) -> Vec<Result<Trained, String>> {
    threads::run(3, |ranks| {
        let stop = AtomicBool::new(false);
        let number = stop_after.filter(|_| ranks.rank() == 1).unwrap_or(usize::MAX);
        let progress = At::new(number, is_step, || stop.store(true, Ordering::Relaxed));
        let seed = if beginning == Beginning::Fresh { 1 } else { 2 };
        let network = network(&larger(utt()), seed);
        let options = TrainOptions { ranks, beginning, is_augmented: true, batch_size: 1, ..options(out) };
        let (train, val) = (ids(1..8), ids(11..15));
        let trained = Trainer::of(&network, &EXAMPLES, (&train, &val), &options).and_then(|t| t.run(&stop, &progress));
        trained.map_err(|error| error.to_string())
    })
}

#[test]
fn ranks_that_were_stopped_end_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, again, stopped] = ["whole", "again", "stopped"].map(|name| folder.path().join(name));
    for out in [&whole, &again] {
        for trained in three(out, Beginning::Fresh, None) {
            let trained = trained.unwrap();
            assert_eq!((trained.stopped, trained.steps), (Stopped::Finished, 6));
        }
    }
    // Within both epochs, after the step that is left, a patch of validation, and a step: one rank is asked to stop, and all do after the same step.
    for (beginning, after, steps) in [(Beginning::Fresh, Some(2), 2), (Beginning::Resume, Some(3), 4)] {
        for trained in three(&stopped, beginning, after) {
            let trained = trained.unwrap();
            assert_eq!((trained.stopped, trained.steps), (Stopped::Interrupted, steps));
        }
    }
    // Within an epoch the run belongs to as many ranks.
    let options = TrainOptions { beginning: Beginning::Resume, is_augmented: true, batch_size: 1, ..options(&stopped) };
    let (train, val, alone) = (ids(1..8), ids(11..15), network(&larger(utt()), 2));
    let refused = Trainer::of(&alone, &EXAMPLES, (&train, &val), &options).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("stopped in the middle of epoch 2, with 3 ranks"), "{refused}");
    for trained in three(&stopped, Beginning::Resume, None) {
        assert_eq!(trained.unwrap().steps, 6);
    }

    let run = |out| Run { sizes: larger(utt()), is_augmented: true, out };
    assert_same(&run(&again), &run(&whole), "again");
    assert_same(&run(&stopped), &run(&whole), "stopped");

    // At its end, any number of ranks may continue.
    let options = TrainOptions { epochs: 3, ..options };
    let trainer = Trainer::of(&alone, &EXAMPLES, (&train, &val), &options).unwrap();
    assert_eq!(trainer.ranks_before(), Some(3));
    let trained = trainer.run(&AtomicBool::new(false), &Silent).unwrap();
    assert_eq!((trained.epochs, trained.steps), (3, 6 + 7));
    let trainer = Trainer::of(&alone, &EXAMPLES, (&train, &val), &options).unwrap();
    assert_eq!(trainer.ranks_before(), None);
}

#[test]
fn a_loss_that_is_no_number_ends_all_ranks_with_the_patch() {
    let folder = tempfile::tempdir().unwrap();
    let broken = PatchId::new(5);
    let ends = threads::run(2, |ranks| {
        let options = TrainOptions { ranks, batch_size: 1, ..options(folder.path()) };
        let (train, network) = (ids(1..7), network(&larger(unet()), 1));
        let examples = MadeUp { broken, ..EXAMPLES };
        let trainer = Trainer::of(&network, &examples, (&train, &[]), &options).unwrap();
        trainer.run(&AtomicBool::new(false), &Silent).map(|_| ()).unwrap_err().to_string()
    });
    for end in ends {
        assert!(end.starts_with("the loss is not finite on patch 000005:"), "{end}");
    }
}

#[test]
fn ranks_validate_every_patch_once() {
    let patches = ids(11..18);
    let weights = options(Path::new("")).losses;
    let validated = |ranks: &Ranks| {
        let network = network(&larger(utt()), 1);
        let validator = Validator {
            network: &network,
            examples: &EXAMPLES,
            patches: &patches,
            ranks,
            batch_size: 1,
            prefetch: Prefetch { workers: 1, ahead: 1 },
            weights: &weights,
        };
        validator.run(&AtomicBool::new(false), &Silent).unwrap().unwrap().0
    };
    let expected = validated(&Ranks::alone());
    for size in [2, 4, 9] {
        // More ranks than patches too. The losses are summed in the same order, so that all bits are the same.
        threads::run(size, |ranks| assert_eq!(validated(&ranks), expected, "{size} ranks"));
    }
}

#[test]
fn ranks_with_other_settings_or_weights_do_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let begin = |change: fn(&mut TrainOptions<'_>, usize) -> u64| {
        let begun = threads::run(2, |ranks| {
            let rank = ranks.rank();
            let mut options = TrainOptions { ranks, ..options(folder.path()) };
            let seed = change(&mut options, rank);
            let train = ids(1..7);
            Trainer::of(&network(&larger(unet()), seed), &EXAMPLES, (&train, &[]), &options)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        });
        assert_eq!(begun[0], begun[1]);
        begun[0].clone()
    };
    let settings = begin(|options, rank| {
        options.batch_size += rank;
        1
    });
    assert_eq!(settings, "rank 1 has another configuration or list of patches than rank 0");
    assert_eq!(begin(|_, rank| rank as u64), "rank 1 has another set of weights than rank 0");
}

#[test]
fn every_parameter_has_its_place_in_a_bucket() {
    let network = network(&larger(utt()), 1);
    let buckets = Arc::new(Buckets::of(&network.parameters));
    let trained = network.parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight).count();
    assert_eq!(buckets.parameters(), trained);
}
