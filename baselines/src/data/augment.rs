//! Flips and 90° rotations of training patches.

use crate::random::Generator;

/// Flips and rotation of a patch: upstream's `VerticalFlip`, `HorizontalFlip` and `RandomRotate90` of
/// albumentations (`main.py`), in that order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// Vertical flip.
    pub vertical: bool,
    /// Horizontal flip.
    pub horizontal: bool,
    /// Number of counter-clockwise rotations by 90° after the flips: 0 to 3.
    pub quarter_turns: u8,
}

impl Augmentation {
    /// No augmentation.
    pub const NONE: Self = Self { vertical: false, horizontal: false, quarter_turns: 0 };

    /// Draws each flip with probability ½, and with probability ½ zero to three rotations, uniformly, as
    /// albumentations.
    #[expect(clippy::cast_possible_truncation, reason = "below 4")]
    pub fn draw(generator: &mut Generator) -> Self {
        let vertical = generator.chance(0.5);
        let horizontal = generator.chance(0.5);
        let quarter_turns = if generator.chance(0.5) { generator.below(4) as u8 } else { 0 };
        Self { vertical, horizontal, quarter_turns }
    }

    /// Flips and rotates each plane of `[…, size, size]`: an image's bands, a mask, or the frames of a super-patch,
    /// whose centre is the patch's.
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

    /// The source index of the pixel at `row`, `column` of the result.
    fn origin(self, mut row: usize, mut column: usize, last: usize) -> (usize, usize) {
        for _ in 0..self.quarter_turns % 4 {
            (row, column) = (column, last - row);
        }
        (if self.vertical { last - row } else { row }, if self.horizontal { last - column } else { column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn applied(augmentation: Augmentation, planes: &[u16], size: usize) -> Vec<u16> {
        let mut planes = planes.to_vec();
        augmentation.apply(&mut planes, size);
        planes
    }

    #[test]
    fn each_goes_the_way_that_numpy_goes() {
        let plane = [1, 2, 3, 4]; // 1 2 / 3 4
        let none = Augmentation::NONE;
        assert_eq!(applied(none, &plane, 2), plane);
        assert_eq!(applied(Augmentation { vertical: true, ..none }, &plane, 2), [3, 4, 1, 2]);
        assert_eq!(applied(Augmentation { horizontal: true, ..none }, &plane, 2), [2, 1, 4, 3]);
        // numpy.rot90([[1, 2], [3, 4]]) is [[2, 4], [1, 3]]: against the clock.
        assert_eq!(applied(Augmentation { quarter_turns: 1, ..none }, &plane, 2), [2, 4, 1, 3]);
        // numpy.rot90(numpy.flipud([[1, 2], [3, 4]])): the flip comes first.
        assert_eq!(applied(Augmentation { vertical: true, quarter_turns: 1, ..none }, &plane, 2), [4, 2, 3, 1]);
    }

    fn any_augmentation() -> impl Strategy<Value = Augmentation> {
        (any::<bool>(), any::<bool>(), 0u8..4).prop_map(|(vertical, horizontal, quarter_turns)| Augmentation {
            vertical,
            horizontal,
            quarter_turns,
        })
    }

    proptest! {
        #[test]
        fn four_quarter_turns_and_two_flips_change_nothing(size in 0usize..9, count in 1usize..4) {
            let planes: Vec<u16> = (0..).take(count * size * size).collect();
            for (augmentation, times) in [
                (Augmentation { quarter_turns: 1, ..Augmentation::NONE }, 4),
                (Augmentation { quarter_turns: 2, ..Augmentation::NONE }, 2),
                (Augmentation { vertical: true, ..Augmentation::NONE }, 2),
                (Augmentation { horizontal: true, ..Augmentation::NONE }, 2),
            ] {
                let round = (0..times).fold(planes.clone(), |planes, _| applied(augmentation, &planes, size));
                prop_assert_eq!(&round, &planes);
            }
        }

        #[test]
        fn turns_add_up(size in 1usize..9, a in 0u8..4, b in 0u8..4) {
            let plane: Vec<u16> = (0..).take(size * size).collect();
            let turn = |quarter_turns| Augmentation { quarter_turns, ..Augmentation::NONE };
            let two = applied(turn(b), &applied(turn(a), &plane, size), size);
            prop_assert_eq!(two, applied(turn((a + b) % 4), &plane, size));
        }

        #[test]
        fn nothing_is_lost_and_all_planes_move_together(size in 1usize..9, augmentation in any_augmentation()) {
            let mask: Vec<u16> = (0..).take(size * size).collect();
            // Three bands with the same values as the mask.
            let image: Vec<u16> = (0..3).flat_map(|band| mask.iter().map(move |v| v + 1000 * band)).collect();
            let moved_mask = applied(augmentation, &mask, size);
            let moved_image = applied(augmentation, &image, size);
            for (band, plane) in (0..).zip(moved_image.chunks_exact(size * size)) {
                prop_assert!(plane.iter().zip(&moved_mask).all(|(v, m)| *v == m + 1000 * band));
            }
            let mut sorted = moved_mask;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, mask);
        }

        /// A patch is the middle of its super-patch: what is done to both keeps it there.
        #[test]
        fn the_middle_of_a_super_patch_stays_its_patch(augmentation in any_augmentation()) {
            let (size, crop) = (8, 2);
            let middle = |plane: &[u16]| -> Vec<u16> {
                (3..3 + crop).flat_map(|row| plane[row * size + 3..row * size + 3 + crop].to_vec()).collect()
            };
            let plane: Vec<u16> = (0..64).collect();
            prop_assert_eq!(middle(&applied(augmentation, &plane, size)), applied(augmentation, &middle(&plane), crop));
        }
    }

    #[test]
    fn draws_are_as_likely_as_albumentations() {
        let mut generator = Generator::new(5, "augment");
        let mut counts: BTreeMap<(bool, bool, u8), u32> = BTreeMap::new();
        for _ in 0..64_000 {
            let Augmentation { vertical, horizontal, quarter_turns } = Augmentation::draw(&mut generator);
            *counts.entry((vertical, horizontal, quarter_turns)).or_default() += 1;
        }
        assert_eq!(counts.len(), 16);
        for ((_, _, turns), count) in counts {
            // ¼ for the flips; no turn has ½ + ½·¼, each other ½·¼.
            let expected = if turns == 0 { 10_000 } else { 2_000 };
            assert!(f64::from(count.abs_diff(expected)) < 5.0 * f64::from(expected).sqrt(), "{turns} turns: {count}");
        }
    }
}
