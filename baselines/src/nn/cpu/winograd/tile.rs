//! The transforms of Winograd's minimal filtering.

use super::super::lanes::Lanes;

/// The transforms of one axis.
pub(super) trait Tile<const N: usize, const M: usize> {
    /// Input pixels of a tile.
    const N: usize = N;
    /// The kernel's three taps at each point.
    const KERNEL: [[f64; 3]; N];
    /// A row of input pixels at each point.
    fn input<L: Lanes>(lanes: L, pixels: [L::Vector; N]) -> [L::Vector; N];
    /// Values at each point to a row of output pixels.
    fn output<L: Lanes>(lanes: L, values: [L::Vector; N]) -> [L::Vector; M];
    /// Gradients of a row of output pixels at each point: the transpose of `output`.
    fn spread<L: Lanes>(lanes: L, gradients: [L::Vector; M]) -> [L::Vector; N];
}

/// Tiles of 2×2, points 0, 1, -1, ∞.
pub(super) struct Two;

impl Tile<4, 2> for Two {
    const KERNEL: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn input<L: Lanes>(lanes: L, [d0, d1, d2, d3]: [L::Vector; 4]) -> [L::Vector; 4] {
        [lanes.sub(d0, d2), lanes.add(d1, d2), lanes.sub(d2, d1), lanes.sub(d3, d1)]
    }

    #[inline(always)]
    fn output<L: Lanes>(lanes: L, [m0, m1, m2, m3]: [L::Vector; 4]) -> [L::Vector; 2] {
        let (sum, difference) = (lanes.add(m1, m2), lanes.sub(m1, m2));
        [lanes.add(m0, sum), lanes.add(difference, m3)]
    }

    #[inline(always)]
    fn spread<L: Lanes>(lanes: L, [g0, g1]: [L::Vector; 2]) -> [L::Vector; 4] {
        [g0, lanes.add(g0, g1), lanes.sub(g0, g1), g1]
    }
}

/// Tiles of 4×4, points 0, ±A, ±B, ∞.
pub(super) struct Four;

const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;

impl Tile<6, 4> for Four {
    const KERNEL: [[f64; 3]; 6] = {
        let (a, b) = (A as f64, B as f64);
        let (at_0, at_a, at_b) =
            (1.0 / (a * a * b * b), 0.5 / (a * a * (a * a - b * b)), 0.5 / (b * b * (b * b - a * a)));
        [
            [at_0, 0.0, 0.0],
            [at_a, a * at_a, a * a * at_a],
            [at_a, -a * at_a, a * a * at_a],
            [at_b, b * at_b, b * b * at_b],
            [at_b, -b * at_b, b * b * at_b],
            [0.0, 0.0, 1.0],
        ]
    };

    #[inline(always)]
    fn input<L: Lanes>(lanes: L, [d0, d1, d2, d3, d4, d5]: [L::Vector; 6]) -> [L::Vector; 6] {
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

    #[inline(always)]
    fn output<L: Lanes>(lanes: L, [m0, m1, m2, m3, m4, m5]: [L::Vector; 6]) -> [L::Vector; 4] {
        let (even_a, odd_a) = (lanes.add(m1, m2), lanes.sub(m1, m2));
        let (even_b, odd_b) = (lanes.add(m3, m4), lanes.sub(m3, m4));
        [
            lanes.add(m0, lanes.add(even_a, even_b)),
            times(lanes, A, odd_a, lanes.mul(lanes.splat(B), odd_b)),
            times(lanes, A2, even_a, lanes.mul(lanes.splat(B2), even_b)),
            times(lanes, A2 * A, odd_a, times(lanes, B2 * B, odd_b, m5)),
        ]
    }

    #[inline(always)]
    fn spread<L: Lanes>(lanes: L, [g0, g1, g2, g3]: [L::Vector; 4]) -> [L::Vector; 6] {
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
}

/// `factor · x + plus`. (A closure would not be compiled for the level's instructions.)
#[inline(always)]
fn times<L: Lanes>(lanes: L, factor: f32, x: L::Vector, plus: L::Vector) -> L::Vector {
    lanes.mul_add(lanes.splat(factor), x, plus)
}
