//! Seconds of a preset's forward pass and of a training step on 512×512 images, how many cores they kept busy, and the memory
//! that they took.
//!
//! `cargo run --release -p flair-baselines --example step [-- PRESET [ROUNDS [BATCH]]]`
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::Instant;

use candle_core::{DType, Device, Error, Result, Tensor};
use flair_baselines::{
    config::Config,
    models::{Collapse, Network},
    nn::{Mode, Plan, on_pool},
    runtime::{Allocator, keep_freed_memory},
    train::{Gradients, Optimizer, OptimizerConfig, cross_entropy},
};

/// The binary's, so that the times are those of its users.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Runs `f` some times, and prints the minimum and median of its seconds, and the cores that were busy meanwhile.
fn timed(what: &str, rounds: usize, mut f: impl FnMut() -> Result<()> + Send) -> Result<()> {
    let mut f = || on_pool(&Device::Cpu, &mut f);
    // The first round finds cold caches and untouched memory.
    f()?;
    let (mut seconds, before) = (Vec::new(), processor_seconds());
    for _ in 0..rounds {
        let start = Instant::now();
        f()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let busy = (processor_seconds() - before) / seconds.iter().sum::<f64>();
    seconds.sort_by(f64::total_cmp);
    let (min, median) = (seconds[0], seconds[seconds.len() / 2]);
    println!("{what:28} min {min:.3} s  median {median:.3} s  busy cores {busy:.2}  peak {}", peak());
    Ok(())
}

/// Seconds that the processors spent on this process, on Linux; NaN elsewhere. The kernel counts them in hundredths.
fn processor_seconds() -> f64 {
    let statistics = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before the last bracket may have spaces. Then the user's and the kernel's time are numbers 12 and 13.
    let fields = statistics.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}

/// Peak memory of this process on Linux.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

/// Dates of a series.
const DATES: usize = 20;

/// Numbers in 0..1 without meaning.
fn pixels(dims: &[usize]) -> Result<Tensor> {
    let values: Vec<f32> = (0..dims.iter().product::<usize>()).map(|i| (i * 37 % 256) as f32 / 255.0).collect();
    Tensor::from_vec(values, dims, &Device::Cpu)
}

fn main() -> Result<()> {
    keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let preset = arguments.next().unwrap_or_else(|| "unet".to_owned());
    let mut numbers = arguments.filter_map(|text| text.parse::<usize>().ok());
    let (rounds, batch) = (numbers.next().unwrap_or(3).max(1), numbers.next().unwrap_or(2));
    let config = Config::preset(&preset).map_err(Error::wrap)?.network();
    let network = Network::new(&config, DType::F32, &Device::Cpu, 0)?;
    let images = pixels(&[batch, 5, 512, 512])?;
    let (series, dates) = (pixels(&[batch, DATES, 10, 40, 40])?, (pixels(&[batch, DATES])? * 365.0)?);
    let metadata = config.metadata.map(|length| pixels(&[batch, length])).transpose()?;
    let classes: Vec<u8> = (0..13).cycle().take(batch * 512 * 512).collect();
    let target = Tensor::from_vec(classes, (batch, 512, 512), &Device::Cpu)?;
    // Those of the challenge: the last class does not count.
    let weights: Vec<f64> = (0..13).map(|class| f64::from(u8::from(class < 12))).collect();
    let loss = |logits: &Tensor| cross_entropy(logits, &target, &weights);
    let forward = |count: usize, mode: Mode<'_>| {
        let first = |t: &Tensor| t.narrow(0, 0, count);
        let metadata = metadata.as_ref().map(first).transpose()?;
        let series = (first(&series)?, first(&dates)?);
        network.layers.forward(&first(&images)?, Some((&series.0, &series.1)), metadata.as_ref(), Collapse::Each, mode)
    };
    let plan = Plan::default();
    timed(&format!("{preset}: prediction, batch 1"), rounds, || forward(1, Mode::predict(&plan)).map(drop))?;
    drop(plan);
    // Plain SGD, as upstream.
    let mut optimizer = Optimizer::new(OptimizerConfig::default(), &network.parameters).map_err(Error::wrap)?;
    timed(&format!("{preset}: SGD step, batch {batch}"), rounds, || {
        let start = Instant::now();
        let logits = forward(batch, Mode::TRAIN_WITHOUT_DROPOUT)?;
        let loss = match &logits.satellite {
            Some(satellite) => (loss(&logits.aerial)? + loss(satellite)?)?,
            None => loss(&logits.aerial)?,
        };
        let forward = start.elapsed().as_secs_f64();
        let gradients = Gradients::of(&loss, &network.parameters)?;
        let backward = start.elapsed().as_secs_f64() - forward;
        optimizer.step(&gradients, 1e-3)?;
        println!("  forward {forward:.2} s, backward {backward:.2} s, loss {:.4}", loss.to_scalar::<f32>()?);
        Ok(())
    })
}
