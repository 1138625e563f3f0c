//! The transforms of Winograd's minimal filtering.

use super::super::lanes::Lanes;

/// Points, and input pixels of a tile, on an axis.
pub(super) const N: usize = 6;
/// Output pixels of a tile on an axis.
pub(super) const M: usize = 4;
/// Points of a tile.
pub(super) const POINTS: usize = N * N;

// The points are 0, ±A, ±B and ∞.
const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

/// The kernel's three taps at each point.
pub(super) const KERNEL: [[f64; 3]; N] = {
    let (a, b) = (A as f64, B as f64);
    let (at_0, at_a, at_b) = (1.0 / (a * a * b * b), 0.5 / (a * a * (a * a - b * b)), 0.5 / (b * b * (b * b - a * a)));
    [
        [at_0, 0.0, 0.0],
        [at_a, a * at_a, a * a * at_a],
        [at_a, -a * at_a, a * a * at_a],
        [at_b, b * at_b, b * b * at_b],
        [at_b, -b * at_b, b * b * at_b],
        [0.0, 0.0, 1.0],
    ]
};

/// A row of input pixels at each point.
#[inline(always)]
pub(super) fn input<L: Lanes>(lanes: L, [d0, d1, d2, d3, d4, d5]: [L::Vector; 6]) -> [L::Vector; 6] {
    let (even_a, odd_a) = (times(lanes, -B2, d2, d4), times(lanes, -B2, d1, d3));
    let (even_b, odd_b) = (times(lanes, -A2, d2, d4), times(lanes, -A2, d1, d3));
    [
        times(lanes, A2 * B2, d0, times(lanes, -A2 - B2, d2, d4)),
        times(lanes, A, odd_a, even_a),
        times(lanes, -A, odd_a, even_a),
        times(lanes, B, odd_b, even_b),
        times(lanes, -B, odd_b, even_b),
        times(lanes, A2 * B2, d1, times(lanes, -A2 - B2, d3, d5)),
    ]
}

/// Values at each point to a row of output pixels.
#[inline(always)]
pub(super) fn output<L: Lanes>(lanes: L, [m0, m1, m2, m3, m4, m5]: [L::Vector; 6]) -> [L::Vector; 4] {
    let (even_a, odd_a) = (lanes.add(m1, m2), lanes.sub(m1, m2));
    let (even_b, odd_b) = (lanes.add(m3, m4), lanes.sub(m3, m4));
    [
        lanes.add(m0, lanes.add(even_a, even_b)),
        times(lanes, A, odd_a, lanes.mul(lanes.splat(B), odd_b)),
        times(lanes, A2, even_a, lanes.mul(lanes.splat(B2), even_b)),
        times(lanes, A2 * A, odd_a, times(lanes, B2 * B, odd_b, m5)),
    ]
}

/// Gradients of a row of output pixels at each point: the transpose of [`output`].
#[inline(always)]
pub(super) fn spread<L: Lanes>(lanes: L, [g0, g1, g2, g3]: [L::Vector; 4]) -> [L::Vector; 6] {
    let (even_a, odd_a) = (times(lanes, A2, g2, g0), times(lanes, A2, g3, g1));
    let (even_b, odd_b) = (times(lanes, B2, g2, g0), times(lanes, B2, g3, g1));
    [
        g0,
        times(lanes, A, odd_a, even_a),
        times(lanes, -A, odd_a, even_a),
        times(lanes, B, odd_b, even_b),
        times(lanes, -B, odd_b, even_b),
        g3,
    ]
}

/// `factor · x + plus`. (A closure would not be compiled for the level's instructions.)
#[inline(always)]
fn times<L: Lanes>(lanes: L, factor: f32, x: L::Vector, plus: L::Vector) -> L::Vector {
    lanes.mul_add(lanes.splat(factor), x, plus)
}
