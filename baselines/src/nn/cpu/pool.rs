//! Max-pooling of maps in blocks.

use rayon::prelude::*;

use super::lanes::{BLOCK, Block, Lanes, Level, Task};

/// The largest pixel of each window of 3×3 with stride 2 and padding 1: `[…, H, W]` to `[…, ⌈H/2⌉, ⌈W/2⌉]`. NaN is larger
/// than any number.
pub(crate) fn pool(x: &[Block], (height, width): (usize, usize), y: &mut [Block], level: Level) {
    let (down, across) = (height.div_ceil(2), width.div_ceil(2));
    y.par_chunks_exact_mut(down * across).zip(x.par_chunks_exact(height * width)).for_each(|(y, x)| {
        level.run(Largest { x, size: (height, width), y });
    });
}

struct Largest<'a> {
    x: &'a [Block],
    size: (usize, usize),
    y: &'a mut [Block],
}

impl Task for Largest<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (height, width) = self.size;
        let across = width.div_ceil(2);
        for (row, y) in self.y.chunks_exact_mut(across).enumerate() {
            let rows = (2 * row).saturating_sub(1)..(2 * row + 2).min(height);
            for (column, y) in y.iter_mut().enumerate() {
                let columns = (2 * column).saturating_sub(1)..(2 * column + 2).min(width);
                for from in (0..BLOCK).step_by(L::WIDTH) {
                    let mut largest = lanes.load(&self.x[rows.start * width + columns.start], from);
                    for row in rows.clone() {
                        for pixel in &self.x[row * width..][columns.clone()] {
                            largest = lanes.larger(largest, lanes.load(pixel, from));
                        }
                    }
                    lanes.store(y, from, largest);
                }
            }
        }
    }
}
