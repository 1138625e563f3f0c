//! Filter of cloudy and snowy acquisitions.

/// Probability in percent from which a pixel counts as covered.
const COVERED: f64 = 60.0;

/// Indices of the acquisitions to keep, ascending, and whether none passed the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) acquisitions: Vec<usize>,
    pub(super) is_last_resort: bool,
}

/// Keeps the acquisitions of which less than half is covered: pixels under snow and pixels under clouds are counted
/// each by itself and added, so that a pixel may count twice (upstream `src/utils_dataset.py:14-32`).
///
/// If none passes, the clearest is kept, the first of equal ones. Upstream then fails or predicts from an empty series.
///
/// * `masks`: for each acquisition the probabilities of snow and of clouds, `[2, H, W]`, `0..=100`.
pub(super) fn clear(masks: impl IntoIterator<Item = Vec<f64>>) -> Kept {
    let mut acquisitions = Vec::new();
    let mut clearest: Option<(usize, usize)> = None;
    for (index, mask) in masks.into_iter().enumerate() {
        let covered = mask.iter().filter(|p| **p >= COVERED).count();
        // covered / (H W) < 0.5, where the mask holds 2 H W numbers
        if 4 * covered < mask.len() {
            acquisitions.push(index);
        }
        if clearest.is_none_or(|(least, _)| covered < least) {
            clearest = Some((covered, index));
        }
    }
    match clearest {
        Some((_, index)) if acquisitions.is_empty() => Kept { acquisitions: vec![index], is_last_resort: true },
        _ => Kept { acquisitions, is_last_resort: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mask of 8 pixels, of which so many are under snow and so many under clouds, from the first on.
    fn mask(snow: usize, clouds: usize) -> Vec<f64> {
        (0..16).map(|i| if i < snow || (8..8 + clouds).contains(&i) { 60.0 } else { 59.9 }).collect()
    }

    fn kept(masks: &[(usize, usize)]) -> Vec<usize> {
        clear(masks.iter().map(|(snow, clouds)| mask(*snow, *clouds))).acquisitions
    }

    #[test]
    fn half_covered_is_too_much() {
        assert_eq!(kept(&[(0, 0), (4, 0), (3, 0), (0, 4), (0, 3)]), [0, 2, 4]);
    }

    #[test]
    fn snow_and_clouds_of_one_pixel_count_twice() {
        assert_eq!(kept(&[(2, 2), (2, 1), (1, 0)]), [1, 2]);
    }

    #[test]
    fn the_clearest_is_kept_where_none_is_clear() {
        let all = clear([mask(8, 8), mask(0, 5), mask(5, 0), mask(0, 8)]);
        assert_eq!(all, Kept { acquisitions: vec![1], is_last_resort: true });
        assert!(clear(Vec::new()).acquisitions.is_empty());
    }
}
