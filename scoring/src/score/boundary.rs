//! Boundary `IoU`: the quality of outlines, for every class of a label map at once.
//!
//! Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021
//! (arXiv 2103.16562): the `IoU` of two regions, each reduced to its pixels within a distance `d` of its outline.
//! Unlike `IoU`, it penalises a blurred outline of a large region.
//!
//! The authors' program (bowenc0221/boundary-iou-api, `boundary_iou/utils/boundary_utils.py:12-32`) erodes each binary
//! mask `d` times by 3×3, with the outside of the image as background, and subtracts the result from the mask. This is
//! equivalent: a pixel belongs to its region's boundary if the square of 2d+1 pixels around it leaves the image or
//! contains another class. One pass over a map of classes therefore handles all classes. As in their program, the edge
//! of a patch is an outline, in the mask and in the prediction alike.
//!
//! As for the `mIoU`, integer counts are summed over all patches and divided once at the end.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{Protocol, protocol::ExcludedPixels};

/// The maximum distance from the outline of a pixel of the boundary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundaryWidth {
    /// 2 % of the image's diagonal, rounded, at least 1 pixel (the paper's choice): 14 pixels for 512 × 512.
    #[default]
    Relative,
    /// A number of pixels; a diagonal step counts as one pixel (Chebyshev distance).
    Pixels(NonZeroU32),
}

impl BoundaryWidth {
    /// The width in pixels for an image of `width` × `height` pixels.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fiftieth of a length in memory is a whole number far below usize's end"
    )]
    pub fn pixels(self, width: usize, height: usize) -> usize {
        match self {
            Self::Relative => (0.02 * (width as f64).hypot(height as f64)).round().max(1.0) as usize,
            Self::Pixels(pixels) => usize::try_from(pixels.get()).unwrap_or(usize::MAX),
        }
    }
}

/// A mask and its prediction as maps of classes, `[row, column]`.
///
/// A pixel that the protocol or [`crate::OutOfRange::Drop`] excludes from the confusion matrix, because of its label or
/// its prediction, is also excluded here: it counts neither in the truth nor in the prediction. Its neighbours have an
/// outline there.
#[derive(Clone, Debug)]
pub struct MapPair {
    width: usize,
    truth: Vec<u8>,
    prediction: Vec<u8>,
}

impl MapPair {
    /// Maps a mask (labels as on disk) and a prediction (classes, from 0) to classes, in rows of `width` pixels; `None`
    /// if they differ in size or end with an incomplete row.
    pub fn new(protocol: &Protocol, width: usize, mask: &[u8], prediction: &[u8]) -> Option<Self> {
        let is_whole = width > 0 && mask.len().is_multiple_of(width);
        if !is_whole || mask.len() != prediction.len() {
            return None;
        }
        let removes = protocol.definition().excluded_pixels == ExcludedPixels::Removed;
        let kept = |class: u8| {
            let listed = protocol.classes().get(usize::from(class));
            if listed.is_some_and(|class| class.averaged || !removes) { class } else { NONE }
        };
        let classes: [u8; 256] = std::array::from_fn(|value| u8::try_from(value).map_or(NONE, kept));
        let labels: [u8; 256] =
            std::array::from_fn(|value| u8::try_from(value).map_or(NONE, |label| kept(protocol.labels().get(label))));
        let map = |values: &[u8], of: &[u8; 256]| values.iter().map(|value| of[usize::from(*value)]).collect();
        Some(Self { width, truth: map(mask, &labels), prediction: map(prediction, &classes) })
    }
}

/// Counts of boundary pixels of each class, over any number of maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundaryCounts {
    width: BoundaryWidth,
    classes: Vec<ClassCounts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ClassCounts {
    truth: u64,
    predicted: u64,
    both: u64,
}

impl BoundaryCounts {
    /// Empty counts for `classes` classes and boundaries of `width`.
    pub fn new(classes: usize, width: BoundaryWidth) -> Self {
        Self { width, classes: vec![ClassCounts::default(); classes] }
    }

    /// Adds the boundaries of a pair of maps, whose protocol must have the same number of classes. The run time does
    /// not depend on the width.
    pub fn add(&mut self, maps: &MapPair) {
        let pixels = self.width.pixels(maps.width, maps.truth.len() / maps.width);
        let boundaries = [&maps.truth, &maps.prediction].map(|map| boundary(map, maps.width, pixels));
        for (i, (truth, predicted)) in boundaries[0].iter().zip(&boundaries[1]).enumerate() {
            // Most pixels are in no boundary. NONE has all bits.
            if truth & predicted == NONE || maps.truth[i] == NONE || maps.prediction[i] == NONE {
                continue;
            }
            if let Some(class) = self.classes.get_mut(usize::from(*truth)) {
                class.truth += 1;
                class.both += u64::from(truth == predicted);
            }
            if let Some(class) = self.classes.get_mut(usize::from(*predicted)) {
                class.predicted += 1;
            }
        }
    }

    /// Adds other counts, with the same number of classes and the same width.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!((self.width, self.classes.len()), (other.width, other.classes.len()));
        for (class, other) in self.classes.iter_mut().zip(&other.classes) {
            class.truth += other.truth;
            class.predicted += other.predicted;
            class.both += other.both;
        }
    }

    /// Every class's boundary `IoU`, `0..=1`, in order; `None` if the class is in neither masks nor predictions.
    pub fn ious(&self) -> Vec<Option<f64>> {
        let union = |class: &ClassCounts| class.truth + class.predicted - class.both;
        self.classes.iter().map(|class| (union(class) > 0).then(|| class.both as f64 / union(class) as f64)).collect()
    }
}

/// The boundary `IoU`s of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundaryReport {
    /// The width of the boundaries.
    pub width: BoundaryWidth,
    /// Mean of the classes' boundary `IoU`s, by the protocol's rules for the `mIoU`, `0..=1`.
    pub miou: Option<f64>,
    /// Every class's boundary `IoU`, in order; see [`BoundaryCounts::ious`].
    pub iou: Vec<Option<f64>>,
}

impl BoundaryReport {
    /// The scores of these counts.
    pub fn new(counts: &BoundaryCounts, protocol: &Protocol) -> Self {
        let iou = counts.ious();
        Self { width: counts.width, miou: protocol.mean(&iou), iou }
    }
}

/// The value in a map for "no class" and "no boundary"; protocols have fewer classes.
const NONE: u8 = u8::MAX;

/// Returns the map with [`NONE`] in every interior pixel, that is, where all values within `d` pixels are equal; rows
/// have `width` pixels.
///
/// A square has a single value if each of its rows has, and these values are equal. So the middle of each run of at
/// least 2d+1 equal values in a row is marked, then in each column the middle of each run of equal marks.
fn boundary(map: &[u8], width: usize, d: usize) -> Vec<u8> {
    let side = d.saturating_mul(2).saturating_add(1);
    let mut marks = vec![NONE; map.len()];
    for (row, marks) in map.chunks_exact(width).zip(marks.chunks_exact_mut(width)) {
        let mut start = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.len() >= side {
                marks[start + d..start + run.len() - d].fill(run[0]);
            }
            start += run.len();
        }
    }
    let mut boundary = map.to_vec();
    let mut lengths = vec![0_usize; width];
    let mut above = &vec![NONE; width][..];
    for (y, marks) in marks.chunks_exact(width).enumerate() {
        for (length, (mark, above)) in lengths.iter_mut().zip(marks.iter().zip(above)) {
            *length = if *mark == NONE { 0 } else { 1 + if mark == above { *length } else { 0 } };
        }
        if let Some(middle) = y.checked_sub(d) {
            let row = &mut boundary[middle * width..][..width];
            row.iter_mut().zip(&lengths).filter(|(_, length)| **length >= side).for_each(|(pixel, _)| *pixel = NONE);
        }
        above = marks;
    }
    boundary
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLASSES: usize = 4;

    /// Masks and predictions hold the same values; 200 and 255 are no class.
    fn protocol() -> Protocol {
        let class = |i: usize| format!("{{name: c{i}, colour: '#000000', labels: [{i}]}}");
        let classes: Vec<_> = (0..CLASSES).map(class).collect();
        let text = format!("{{name: test, classes: [{}], ignored_labels: [200]}}", classes.join(", "));
        Protocol::from_yaml(&text, "test").unwrap()
    }

    /// The definition, word by word.
    fn is_boundary(map: &[u8], width: usize, d: usize, x: usize, y: usize) -> bool {
        let height = map.len() / width;
        let leaves = x < d || y < d || x + d >= width || y + d >= height;
        leaves || (y - d..=y + d).any(|v| (x - d..=x + d).any(|u| map[v * width + u] != map[y * width + x]))
    }

    fn naive(width: usize, truth: &[u8], prediction: &[u8], d: usize) -> Vec<ClassCounts> {
        let mut counts = vec![ClassCounts::default(); CLASSES];
        for (i, (t, p)) in truth.iter().zip(prediction).enumerate() {
            let (t, p) = (usize::from(*t), usize::from(*p));
            if t >= CLASSES || p >= CLASSES {
                continue;
            }
            let [in_truth, in_prediction] =
                [truth, prediction].map(|map| is_boundary(map, width, d, i % width, i / width));
            counts[t].truth += u64::from(in_truth);
            counts[p].predicted += u64::from(in_prediction);
            counts[t].both += u64::from(t == p && in_truth && in_prediction);
        }
        counts
    }

    fn counted(width: usize, truth: &[u8], prediction: &[u8], d: u32) -> BoundaryCounts {
        let mut counts = BoundaryCounts::new(CLASSES, BoundaryWidth::Pixels(NonZeroU32::new(d).unwrap()));
        counts.add(&MapPair::new(&protocol(), width, truth, prediction).unwrap());
        counts
    }

    /// Maps of blocks with some noise, and a few pixels that are no class.
    fn maps() -> impl Strategy<Value = (usize, Vec<u8>, Vec<u8>)> {
        (1..24_usize, 1..24_usize, 1..9_usize).prop_flat_map(|(width, height, block)| {
            let map = || {
                let blocks = prop::collection::vec(prop_oneof![8 => 0..4_u8, 1 => Just(200), 1 => Just(255)], 24 * 24);
                let noise = prop::collection::vec((any::<prop::sample::Index>(), 0..6_u8), 0..6);
                (blocks, noise).prop_map(move |(blocks, noise)| {
                    let pixel = |i: usize| blocks[(i / width / block) * 24 + i % width / block];
                    let mut map: Vec<_> = (0..width * height).map(pixel).collect();
                    for (i, value) in noise {
                        map[i.index(width * height)] = value;
                    }
                    map
                })
            };
            (Just(width), map(), map())
        })
    }

    fn transposed(map: &[u8], width: usize) -> Vec<u8> {
        (0..width).flat_map(|x| map.iter().skip(x).step_by(width).copied()).collect()
    }

    proptest! {
        #[test]
        fn runs_find_what_the_definition_says((width, truth, prediction) in maps(), d in 1..8_u32) {
            let found = counted(width, &truth, &prediction, d);
            prop_assert_eq!(found.classes, naive(width, &truth, &prediction, d as usize));
        }

        #[test]
        fn turning_the_map_over_changes_nothing((width, truth, prediction) in maps(), d in 1..8_u32) {
            let found = counted(width, &truth, &prediction, d);
            let (t, p) = (transposed(&truth, width), transposed(&prediction, width));
            prop_assert_eq!(&counted(truth.len() / width, &t, &p, d), &found);
            let back = |map: &[u8]| map.iter().rev().copied().collect::<Vec<_>>();
            prop_assert_eq!(&counted(width, &back(&truth), &back(&prediction), d), &found);
        }

        #[test]
        fn truth_and_prediction_may_change_places((width, truth, prediction) in maps(), d in 1..8_u32) {
            let ious = |t: &[u8], p: &[u8]| counted(width, t, p, d).ious();
            prop_assert_eq!(ious(&truth, &prediction), ious(&prediction, &truth));
        }

        #[test]
        fn permuted_classes_have_permuted_scores(
            (width, truth, prediction) in maps(),
            order in Just(vec![0, 1, 2, 3_u8]).prop_shuffle(),
        ) {
            let rename = |map: &[u8]| -> Vec<_> {
                map.iter().map(|value| order.get(usize::from(*value)).copied().unwrap_or(*value)).collect()
            };
            let before = counted(width, &truth, &prediction, 3);
            let after = counted(width, &rename(&truth), &rename(&prediction), 3);
            for (old, new) in order.iter().enumerate() {
                prop_assert_eq!(before.classes[old], after.classes[usize::from(*new)]);
            }
        }

        #[test]
        fn a_perfect_prediction_scores_one((width, truth, _) in maps(), d in 1..8_u32) {
            let is_there = |class: usize| truth.iter().any(|value| usize::from(*value) == class);
            let due: Vec<_> = (0..CLASSES).map(|class| is_there(class).then_some(1.0)).collect();
            prop_assert_eq!(counted(width, &truth, &truth, d).ious(), due);
        }

        #[test]
        fn merging_is_adding((width, truth, prediction) in maps()) {
            let mut both = counted(width, &truth, &prediction, 2);
            both.merge(&counted(width, &prediction, &truth, 2));
            let mut again = counted(width, &prediction, &truth, 2);
            let maps = MapPair::new(&protocol(), width, &truth, &prediction).unwrap();
            again.add(&maps);
            prop_assert_eq!(both, again);
        }
    }

    #[test]
    fn a_square_a_pixel_too_wide_loses_its_outline_first() {
        // 20 × 20, a square of class 1 with side 10, predicted with side 12: IoU 100/144 = 0.69.
        let map = |low: usize, high: usize| -> Vec<u8> {
            let inside = |i: usize| (low..high).contains(&i);
            (0..400).map(|i| u8::from(inside(i / 20) && inside(i % 20))).collect()
        };
        let counts = counted(20, &map(5, 15), &map(4, 16), 1);
        assert_eq!(counts.classes[1], ClassCounts { truth: 36, predicted: 44, both: 0 });
        // Two pixels wide: 10² - 6² and 12² - 8², of which the ring of 36 is common.
        let counts = counted(20, &map(5, 15), &map(4, 16), 2);
        assert_eq!(counts.classes[1], ClassCounts { truth: 64, predicted: 80, both: 36 });
        assert_eq!(counts.ious()[1], Some(36.0 / 108.0));
        assert_eq!(counts.ious()[2..], [None, None]);
    }

    #[test]
    fn what_a_protocol_removes_counts_nowhere() {
        let counts = |protocol: &str| {
            let protocol = Protocol::named(protocol).unwrap();
            // Building, of which the second pixel is labelled 19 and the third predicted so.
            let maps = MapPair::new(&protocol, 4, &[1, 19, 1, 1], &[0, 0, 12, 0]).unwrap();
            let mut counts = BoundaryCounts::new(protocol.class_count(), BoundaryWidth::default());
            counts.add(&maps);
            let report = BoundaryReport::new(&counts, &protocol);
            (counts.classes[0], counts.classes[12], report.miou)
        };
        let class = |truth, predicted, both| ClassCounts { truth, predicted, both };
        assert_eq!(counts("flair2"), (class(3, 3, 2), class(1, 1, 0), Some(0.5)));
        assert_eq!(counts("flair-hub"), (class(2, 2, 2), class(0, 0, 0), Some(1.0 / 12.0)));
    }

    #[test]
    fn the_papers_width_is_a_fiftieth_of_the_diagonal() {
        assert_eq!(BoundaryWidth::default().pixels(512, 512), 14);
        assert_eq!(BoundaryWidth::default().pixels(10, 10), 1);
        assert_eq!(BoundaryWidth::Pixels(NonZeroU32::MIN).pixels(512, 512), 1);
        // Wider than the image: all of it is boundary, and the score is the IoU.
        assert_eq!(counted(2, &[0, 0, 1, 1], &[0, 1, 1, 1], u32::MAX).ious()[..2], [Some(0.5), Some(2.0 / 3.0)]);
    }

    #[test]
    fn maps_that_do_not_fit_are_refused() {
        for (width, truth, prediction) in [(2, 4, 2), (2, 3, 3), (0, 0, 0)] {
            let maps = MapPair::new(&protocol(), width, &vec![0; truth], &vec![0; prediction]);
            assert!(maps.is_none(), "{width} {truth}");
        }
        assert!(MapPair::new(&protocol(), 2, &[], &[]).is_some());
    }
}
