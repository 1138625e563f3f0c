//! Adds a small map in blocks to a large one, resized.

use rayon::prelude::*;

use super::lanes::{BLOCK, Block, Lanes, Level, Task, ZEROS};
use crate::nn::resize::between;

/// `x + small`, `small` resized bilinearly to the size of `x` (`align_corners=False`): `[…, H, W]` and `[…, h, w]` to
/// `[…, H, W]`.
pub(crate) fn add_resized(
    x: &[Block],
    size: (usize, usize),
    small: &[Block],
    small_size: (usize, usize),
    y: &mut [Block],
    level: Level,
) {
    let (height, width) = size;
    let lines: Vec<_> = (0..height).map(|i| in_f32(between(i, small_size.0, height))).collect();
    let columns: Vec<_> = (0..width).map(|i| in_f32(between(i, small_size.1, width))).collect();
    let planes = x.par_chunks_exact(height * width).zip(small.par_chunks_exact(small_size.0 * small_size.1));
    y.par_chunks_exact_mut(height * width).zip(planes).for_each(|(y, (x, small))| {
        level.run(Add { x, small, width: small_size.1, lines: &lines, columns: &columns, y });
    });
}

#[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
fn in_f32((low, high, share): (usize, usize, f64)) -> (usize, usize, f32) {
    (low, high, share as f32)
}

struct Add<'a> {
    x: &'a [Block],
    small: &'a [Block],
    /// Pixels of a row of the small map.
    width: usize,
    /// For each row the two that it is between, and the second one's share.
    lines: &'a [(usize, usize, f32)],
    columns: &'a [(usize, usize, f32)],
    y: &'a mut [Block],
}

impl Task for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { x, small, width, lines, columns, y } = self;
        let mut line = vec![ZEROS; width];
        let rows = x.chunks_exact(columns.len()).zip(y.chunks_exact_mut(columns.len()));
        for ((x, y), &(low, high, share)) in rows.zip(lines) {
            let (above, below) = (&small[low * width..][..width], &small[high * width..][..width]);
            for ((value, above), below) in line.iter_mut().zip(above).zip(below) {
                for from in (0..BLOCK).step_by(L::WIDTH) {
                    lanes.store(value, from, mix(lanes, lanes.load(above, from), lanes.load(below, from), share));
                }
            }
            for ((x, y), &(low, high, share)) in x.iter().zip(y).zip(columns) {
                for from in (0..BLOCK).step_by(L::WIDTH) {
                    let value = mix(lanes, lanes.load(&line[low], from), lanes.load(&line[high], from), share);
                    lanes.store(y, from, lanes.add(lanes.load(x, from), value));
                }
            }
        }
    }
}

/// `(1 - share) · a + share · b`.
#[inline(always)]
fn mix<L: Lanes>(lanes: L, a: L::Vector, b: L::Vector, share: f32) -> L::Vector {
    lanes.mul_add(lanes.splat(share), b, lanes.mul(lanes.splat(1.0 - share), a))
}
