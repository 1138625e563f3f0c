//! Seconds of each convolution of the U-Net, as prediction computes it: one image, norm and rectifier included; and the
//! operations a second of the convolution's definition (`2 · k² · C · N · H' · W'`).
//!
//! `cargo bench -p flair-baselines`; `FLAIR_BENCH_SIMD=avx2` or `portable` masks better instructions.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flair_baselines::nn::{
    After, BatchNorm, Builder, Conv2d, Conv2dConfig, ConvInit, ConvNorm, Map, Mode, Padding, Plan,
};

/// Kernel, stride, channels in and out, and the side of the input.
const LAYERS: [(usize, usize, usize, usize, usize); 18] = [
    (7, 2, 5, 64, 512),
    (3, 1, 64, 64, 128),
    (3, 2, 64, 128, 128),
    (1, 2, 64, 128, 128),
    (3, 1, 128, 128, 64),
    (3, 2, 128, 256, 64),
    (3, 1, 256, 256, 32),
    (3, 2, 256, 512, 32),
    (3, 1, 512, 512, 16),
    (3, 1, 768, 256, 32),
    (3, 1, 384, 128, 64),
    (3, 1, 192, 64, 128),
    (3, 1, 128, 32, 256),
    (3, 1, 32, 32, 256),
    (3, 1, 32, 16, 512),
    (3, 1, 16, 16, 512),
    (3, 1, 16, 13, 512),
    (4, 2, 64, 64, 40),
];

fn convolutions(c: &mut Criterion) {
    let mut group = c.benchmark_group("convolution");
    for (kernel, stride, c_in, c_out, side) in LAYERS {
        let builder = Builder::new(DType::F32, &Device::Cpu, 1);
        let padding = if kernel == 4 { 1 } else { kernel / 2 };
        let config = Conv2dConfig { kernel, stride, padding, padding_mode: Padding::Zeros };
        let conv = Conv2d::without_bias(&builder.root().at("conv"), c_in, c_out, config, ConvInit::ResNet).unwrap();
        let layer = ConvNorm::new(conv, BatchNorm::new(&builder.root().at("norm"), c_out).unwrap());
        let values = (0..c_in * side * side).map(|i| (i * 37 % 256) as f32 / 255.0).collect::<Vec<_>>();
        let image = Map::from(Tensor::from_vec(values, (1, c_in, side, side), &Device::Cpu).unwrap());
        let plan = Plan::default();
        // The first layer reads planes, all others what a layer before them wrote: blocks.
        let image = if c_in < 16 { image } else { image.in_blocks(&plan).unwrap() };
        let of_output = kernel * kernel * c_in * c_out * (side / stride) * (side / stride);
        group.throughput(Throughput::Elements(2 * of_output as u64));
        group.bench_function(format!("{kernel}x{kernel}/{stride} {c_in}->{c_out} {side}²"), |b| {
            b.iter(|| layer.forward(black_box(&image), After::Relu, Mode::predict(&plan)).unwrap());
        });
    }
    group.finish();
}

criterion_group! {
    name = layers;
    config = Criterion::default().sample_size(20).without_plots();
    targets = convolutions
}
criterion_main!(layers);
