//! Training by the ranks that MPI starts: `mpirun -n 4 ranks` compares them with one process that does the same work.
//!
//! It has no harness, since MPI starts once in a process. `tests/mpi.sh` builds and runs it. The same checks with other
//! networks and threads instead of processes are in `train/tests/ranks.rs`.

use std::{path::Path, process::ExitCode, sync::atomic::AtomicBool};

use flair_baselines::{
    DType, Device,
    config::Config,
    data::{Dataset, Preprocessor, Split},
    models::Network,
    nn::Kind,
    ranks::{Job, Ranks},
    toy::{self, ToyOptions},
    train::{Schedule, TrainOptions, Trained, Trainer},
};
use flair_scoring::{PatchId, progress::Silent};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let ranks = match Ranks::join(Job::of_process()) {
        Ok(ranks) => ranks,
        Err(error) => {
            report(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    if ranks.is_alone() {
        report("not run: start it with `mpirun -n 4` (tests/mpi.sh)");
        return ExitCode::SUCCESS;
    }
    match check(&ranks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("rank {}: {error}", ranks.rank()));
            ranks.abort(1);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test")]
fn report(line: &str) {
    println!("{line}");
}

fn check(ranks: &Ranks) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("flair-bench-ranks-{}", shared_number(ranks)?));
    let result = check_in(ranks, &folder);
    ranks.barrier()?;
    if ranks.is_first() {
        std::fs::remove_dir_all(&folder)?;
    }
    result
}

/// Rank 0's process, so that all ranks have the same folder.
fn shared_number(ranks: &Ranks) -> Result<u32> {
    let bytes = ranks.broadcast(std::process::id().to_le_bytes().to_vec())?;
    Ok(u32::from_le_bytes(bytes.as_slice().try_into()?))
}

fn check_in(ranks: &Ranks, folder: &Path) -> Result<()> {
    let data = folder.join("data");
    if ranks.is_first() {
        let options = ToyOptions { patches: 8, ..ToyOptions::default() };
        toy::generate(&data, &options, &Silent)?;
    }
    ranks.barrier()?;
    let mut config = Config::preset("unet")?;
    // A narrow network: what is compared are sums, not convolutions.
    config.set_all(&["batch_size=1", "flair_bench.unet_width=4", "flair_bench.fidelity=corrected"])?;
    let dataset = Dataset::open(Some(&data), &config.data)?;
    let preprocessor = Preprocessor::new(&config.inputs(), &dataset)?;
    let known = Split::Train.patches(&dataset, &config.split())?;
    let run =
        |(name, dtype, steps): (&str, DType, usize), ranks: &Ranks, accumulate: usize| -> Result<(Trained, Vec<f64>)> {
            let network = Network::new(&config.network(), dtype, &Device::Cpu, 1)?;
            let out = folder.join(format!("{name}-{dtype:?}"));
            // An epoch for each step, so that its loss is known.
            let train: Vec<PatchId> = known.iter().copied().cycle().take(ranks.size() * accumulate).collect();
            let options = TrainOptions {
                epochs: steps,
                // Rounding in f32 grows with the way that the weights take.
                learning_rate: if dtype == DType::F64 { 0.01 } else { 0.0001 },
                accumulate,
                workers: 1,
                schedule: Schedule::Constant,
                ranks: ranks.clone(),
                ..config.training(&out)?
            };
            let trained = Trainer::new(&network, &preprocessor, (&train, &[]), &options)?
                .run(&AtomicBool::new(false), &Silent)?;
            Ok((trained, weights_of(&network)?))
        };
    for (dtype, steps, tolerance) in [(DType::F64, 5, 1e-12), (DType::F32, 20, 1e-5)] {
        let (together, weights) = run(("together", dtype, steps), ranks, 1)?;
        let (_, again) = run(("again", dtype, steps), ranks, 1)?;
        if weights != again {
            return Err(format!("{dtype:?}: two runs of the same ranks differ").into());
        }
        if ranks.is_first() {
            let (alone, expected) = run(("alone", dtype, steps), &Ranks::alone(), ranks.size())?;
            let losses = |trained: &Trained| trained.history.iter().map(|e| e.train_loss).collect::<Vec<_>>();
            let (off, loss_off) = (distance(&expected, &weights), distance(&losses(&alone), &losses(&together)));
            report(&format!(
                "{dtype:?}, {} ranks, {} steps: weights off by {off:.1e}, losses by {loss_off:.1e}",
                ranks.size(),
                together.steps
            ));
            if !(off < tolerance && loss_off < tolerance) {
                return Err(format!("{dtype:?}: off by more than {tolerance:e}").into());
            }
        }
        ranks.barrier()?;
    }
    Ok(())
}

/// All trained values, in the order of the parameters' names.
fn weights_of(network: &Network) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for (_, parameter) in network.parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight) {
        all.extend(parameter.var().to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?);
    }
    Ok(all)
}

/// The largest difference, as a part of the largest value.
fn distance(expected: &[f64], found: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    expected.iter().zip(found).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / largest
}
