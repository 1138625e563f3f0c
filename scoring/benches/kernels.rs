//! What scoring spends its time in: counting pairs, decoding LZW, and a whole pair from bytes to counts.
//!
//! ```sh
//! cargo bench -p flair-scoring
//! ```
//!
//! Throughput of the count is in pixels (a byte of the mask and a byte of the prediction are one), that of LZW in
//! decoded bytes.

#![expect(clippy::cast_possible_truncation, reason = "numbers made to fit")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flair_scoring::{
    ConfusionMatrix, OutOfRange, PATCH_SIZE, Protocol,
    raster::{self, Limits, Raster},
};

const PIXELS: usize = PATCH_SIZE * PATCH_SIZE;

/// Land cover as it is: areas some tens of pixels wide with ragged edges. `offset` moves it.
fn cover(classes: u32, offset: usize) -> Vec<u8> {
    (0..PIXELS)
        .map(|i| {
            let (row, column) = ((i / PATCH_SIZE + offset) as u32, (i % PATCH_SIZE) as u32);
            let ragged = (row.wrapping_mul(0x9e37_79b1) >> 29) + ((column / 3).wrapping_mul(0x85eb_ca6b) >> 30);
            (((row + ragged) / 40 * 7 + (column + 2 * ragged) / 56 * 3) % classes) as u8
        })
        .collect()
}

/// The worst case: no two neighbours belong together.
fn noise(classes: u32, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % classes
    };
    (0..PIXELS).map(|_| next() as u8).collect()
}

fn count(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("count");
    group.throughput(Throughput::Bytes(PIXELS as u64));
    let protocol = Protocol::flair2();
    let cases = [("areas", cover(13, 0), cover(13, 3)), ("noise", noise(13, 1), noise(13, 2))];
    for (name, truth, prediction) in cases {
        let truth: Vec<u8> = truth.iter().map(|class| class + 1).collect();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let mut matrix = ConfusionMatrix::empty(protocol.class_count());
                let counted = matrix.add(protocol.labels(), &truth, black_box(&prediction), OutOfRange::Reject);
                assert!(counted.is_ok());
                matrix
            });
        });
    }
}

fn lzw(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode LZW");
    group.throughput(Throughput::Bytes(PIXELS as u64));
    for (name, samples) in [("areas", cover(13, 0)), ("noise", noise(13, 1))] {
        let Some(raster) = Raster::new(1, PATCH_SIZE, PATCH_SIZE, samples) else { continue };
        let bytes = raster::encode(&raster);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| raster::decode(black_box(&bytes), &Limits::default()));
        });
    }
}

criterion_group!(benches, count, lzw);
criterion_main!(benches);
