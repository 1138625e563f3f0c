//! Seconds of a preset's forward pass and of a training step on 512×512 images, and the memory that they took.
//!
//! `cargo run --release -p flair-baselines --example step [-- PRESET [ROUNDS [BATCH]]]`
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor, backprop::GradStore};
use flair_baselines::{
    config::Config,
    models::{Collapse, Network},
    nn::{Kind, Mode, Plan},
    runtime::{Allocator, keep_freed_memory},
    train::cross_entropy,
};

/// The binary's, so that the times are those of its users.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Minimum and median run time of `f` in seconds.
fn timed(what: &str, rounds: usize, mut f: impl FnMut() -> Result<()>) -> Result<()> {
    let mut seconds = Vec::new();
    for _ in 0..=rounds {
        let start = Instant::now();
        f()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    // The first round finds cold caches and untouched memory.
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    println!("{what:28} min {:.3} s  median {:.3} s  peak {}", seconds[0], seconds[seconds.len() / 2], peak());
    Ok(())
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
    let config = Config::preset(&preset).map_err(candle_core::Error::wrap)?.network();
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
    timed(&format!("{preset}: SGD step, batch {batch}"), rounds, || {
        let start = Instant::now();
        let logits = forward(batch, Mode::TRAIN_WITHOUT_DROPOUT)?;
        let loss = match &logits.satellite {
            Some(satellite) => (loss(&logits.aerial)? + loss(satellite)?)?,
            None => loss(&logits.aerial)?,
        };
        let forward = start.elapsed().as_secs_f64();
        let gradients: GradStore = loss.backward()?;
        let backward = start.elapsed().as_secs_f64() - forward;
        for (_, parameter) in network.parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight) {
            if let Some(gradient) = gradients.get(parameter.var()) {
                parameter.var().set(&(parameter.var().as_detached_tensor() - (gradient * 1e-3)?)?)?;
            }
        }
        println!("  forward {forward:.2} s, backward {backward:.2} s, loss {:.4}", loss.to_scalar::<f32>()?);
        Ok(())
    })
}
