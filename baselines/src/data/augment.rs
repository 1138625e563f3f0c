//! Flips and quarter turns of training patches.

use crate::random::Generator;

/// How a patch is flipped and turned: upstream's `VerticalFlip`, `HorizontalFlip` and `RandomRotate90` of
/// albumentations (`main.py`), in that order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// Upside down.
    pub vertical: bool,
    /// Left to right.
    pub horizontal: bool,
    /// Turns by 90° against the clock, after the flips: 0 to 3.
    pub quarter_turns: u8,
}

impl Augmentation {
    /// Leaves everything as it is.
    pub const NONE: Self = Self { vertical: false, horizontal: false, quarter_turns: 0 };

    /// Each flip with probability ½, and with probability ½ zero to three turns, each as likely: so do albumentations.
    #[expect(clippy::cast_possible_truncation, reason = "below 4")]
    pub fn draw(generator: &mut Generator) -> Self {
        let vertical = generator.chance(0.5);
        let horizontal = generator.chance(0.5);
        let quarter_turns = if generator.chance(0.5) { generator.below(4) as u8 } else { 0 };
        Self { vertical, horizontal, quarter_turns }
    }

    /// Flips and turns each plane of `[…, size, size]`: an image's bands, a mask, or the frames of a super-patch, whose
    /// centre is the patch's.
    pub fn apply<T: Copy>(self, planes: &mut [T], size: usize) {
        if self == Self::NONE || size == 0 {
            return;
        }
        debug_assert_eq!(planes.len() % (size * size), 0, "planes are square");
        let mut before = Vec::with_capacity(size * size);
        for plane in planes.chunks_exact_mut(size * size) {
            before.clear();
            before.extend_from_slice(plane);
            for (row, pixels) in plane.chunks_exact_mut(size).enumerate() {
                for (column, pixel) in pixels.iter_mut().enumerate() {
                    let (r, c) = self.origin(row, column, size - 1);
                    *pixel = before[r * size + c];
                }
            }
        }
    }

    /// Where the pixel comes from that ends up at `row`, `column`.
    fn origin(self, mut row: usize, mut column: usize, last: usize) -> (usize, usize) {
        for _ in 0..self.quarter_turns % 4 {
            (row, column) = (column, last - row);
        }
        (if self.vertical { last - row } else { row }, if self.horizontal { last - column } else { column })
    }
}
