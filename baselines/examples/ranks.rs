//! What the time of a training by several ranks is made of, beside the computation (`--example step`): the sum of the
//! U-Net's gradients over the ranks, and the reading of patches by one core.
//!
//! `cargo run --release -p flair-baselines --example ranks -- DATA`, or under `mpirun -n N` with `--features mpi`.
#![expect(clippy::print_stdout, reason = "an example")]

use std::{env, error::Error, time::Instant};

use flair_baselines::{
    DType, Device,
    config::Config,
    data::{Dataset, Preprocessor, Split},
    models::Network,
    ranks::{Job, Ranks},
    runtime::{Allocator, keep_freed_memory},
};

/// The binary's, so that the times are those of its users.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Sums that are timed, after a first one.
const SUMS: usize = 10;
/// Values of a bucket: 25 MiB.
const BUCKET: usize = (25 << 20) / 4;
/// Patches that are read, each twice: the second time out of the page cache.
const PATCHES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    keep_freed_memory();
    let data = env::args().nth(1).ok_or("usage: ranks DATA, a dataset's folder")?;
    let ranks = Ranks::join(Job::of_process())?;
    let weights =
        Network::new(&Config::preset("unet")?.network(), DType::F32, &Device::Cpu, 1)?.parameters.weight_count();
    // In buckets, as in a training.
    let sizes = (0..weights.div_ceil(BUCKET)).map(|bucket| BUCKET.min(weights - bucket * BUCKET));
    let buckets: Vec<_> =
        sizes.map(|size| candle_core::Tensor::ones(size, DType::F32, &Device::Cpu)).collect::<Result<_, _>>()?;
    let sum = || -> Result<(), Box<dyn Error>> {
        let sums: Vec<_> = buckets.iter().map(|bucket| ranks.sum(bucket.clone())).collect::<Result<_, _>>()?;
        for sum in sums {
            sum.wait()?;
        }
        Ok(())
    };
    sum()?;
    ranks.barrier()?;
    let start = Instant::now();
    for _ in 0..SUMS {
        sum()?;
    }
    let each = start.elapsed().as_secs_f64() / SUMS as f64;
    let megabytes = (4 * weights) as f64 / 1e6;
    if ranks.is_first() {
        println!("{} ranks: {megabytes:.0} MB are summed in {:.1} ms", ranks.size(), 1e3 * each);
        for preset in ["unet", "utt", "utt-filt-avg-aug"] {
            let config = Config::preset(preset)?;
            let dataset = Dataset::open(Some(data.as_ref()), &config.data)?;
            let preprocessor = Preprocessor::new(&config.inputs(), &dataset)?;
            let patches = Split::All.patches(&dataset, &config.split())?;
            let mut seconds = Vec::new();
            for _ in 0..2 {
                let start = Instant::now();
                for &id in patches.iter().cycle().take(PATCHES) {
                    preprocessor.sample(id)?;
                }
                seconds.push(start.elapsed().as_secs_f64() / PATCHES as f64);
            }
            println!("{preset}: a core reads a patch in {:.1} ms", 1e3 * seconds[1]);
        }
    }
    ranks.barrier()?;
    Ok(())
}
