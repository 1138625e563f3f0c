//! Scores by domain, zone or patch.

use serde::{Deserialize, Serialize};

use crate::{
    Metrics, Protocol,
    analysis::Group,
    analysis::units::group,
    dataset::locations::{LocationError, Locations, Unit},
    score::{
        evaluate::PatchConfusion,
        metrics::{ClassScores, Means},
    },
};

/// The scores of one group: the same figures as the overall score, from the group's matrix, by the same protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Its name: `D036_2020`, `D036_2020/Z17_UA`, `084558`.
    pub name: String,
    /// Number of its patches.
    pub patches: u64,
    /// Number of its pixels, including dropped and ignored ones.
    pub pixels: u64,
    /// Its overall scores.
    #[serde(flatten)]
    pub means: Means,
    /// Every class's `IoU`, in order.
    pub iou: Vec<Option<f64>>,
    /// Every class's scores, in order; only for domains and zones, single patches have just the `IoU`s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassScores>,
    /// Confusion matrix in pixels, `[truth, prediction]`; only for domains and zones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
}

impl GroupReport {
    /// The scores of a group by a protocol.
    pub fn new(group: &Group<'_>, unit: Unit, protocol: &Protocol) -> Self {
        let matrix = group.matrix(protocol.class_count());
        let metrics = Metrics::of(&matrix, protocol);
        let (classes, confusion) = match unit {
            Unit::Patch => (Vec::new(), Vec::new()),
            Unit::Domain | Unit::Zone => {
                (ClassScores::all(protocol, &metrics), matrix.rows().map(<[u64]>::to_vec).collect())
            }
        };
        Self {
            name: group.name.clone(),
            patches: group.patches.len() as u64,
            pixels: matrix.pixels(),
            means: metrics.means,
            iou: metrics.classes.iter().map(|class| class.iou).collect(),
            classes,
            confusion,
        }
    }
}

/// Scores by domain, zone or patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupTable {
    /// The unit of the groups.
    pub by: Unit,
    /// The groups, in the order of their names.
    pub groups: Vec<GroupReport>,
}

impl GroupTable {
    /// The scores of every domain, zone or patch.
    ///
    /// # Errors
    /// [`LocationError::Unknown`] if the location of a patch is needed and unknown.
    pub fn new(
        patches: &[PatchConfusion],
        unit: Unit,
        locations: &Locations,
        protocol: &Protocol,
    ) -> Result<Self, LocationError> {
        let groups = group(locations, patches, unit)?;
        Ok(Self { by: unit, groups: groups.iter().map(|group| GroupReport::new(group, unit, protocol)).collect() })
    }
}

/// The patches with the lowest `mIoU`, the worst first, at most `most`; ties are ordered by overall accuracy. A patch
/// without any averaged class has no `mIoU` and is not listed.
pub fn worst_patches(patches: &[PatchConfusion], protocol: &Protocol, most: usize) -> Vec<GroupReport> {
    let classes = protocol.class_count();
    let scored = patches.iter().filter_map(|patch| {
        let metrics = Metrics::of(&patch.matrix(classes), protocol);
        Some((metrics.means.miou?, metrics.means.overall_accuracy?, patch))
    });
    let mut scored: Vec<(f64, f64, &PatchConfusion)> = scored.collect();
    // The sort is stable: equal patches stay in the order of their numbers.
    scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let report = |patch: &PatchConfusion| {
        GroupReport::new(&Group { name: patch.id.to_string(), patches: vec![patch] }, Unit::Patch, protocol)
    };
    scored.into_iter().take(most).map(|(.., patch)| report(patch)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::units::tests::{four, patch},
        dataset::locations::tests::locations,
    };

    #[test]
    fn a_group_has_the_scores_of_its_own_matrix() {
        let table = GroupTable::new(&four(), Unit::Domain, &locations(), &Protocol::flair2()).unwrap();
        let [first, second] = &table.groups[..] else { panic!("{table:?}") };
        // 6 right of 12 in three patches: IoU of buildings 6/12, of pervious surface 0/6.
        assert_eq!(
            (first.patches, first.pixels, first.means.miou, first.means.overall_accuracy),
            (3, 12, Some(0.25), Some(0.5))
        );
        assert_eq!((&first.iou[..3], first.means.classes_averaged), (&[Some(0.5), Some(0.0), None][..], 2));
        assert_eq!((first.confusion[0][0], first.confusion[1][0]), (6, 6));
        assert_eq!((second.name.as_str(), second.means.miou), ("D002_2021", Some(f64::midpoint(4.0 / 6.0, 0.0))));
    }

    #[test]
    fn the_worst_patches_come_first() {
        let mut patches = four();
        patches.push(patch(5, &[(12, 12, 9)]));
        let worst = worst_patches(&patches, &Protocol::flair2(), 3);
        let names: Vec<_> = worst.iter().map(|patch| patch.name.as_str()).collect();
        assert_eq!(names, ["000001", "000002", "000003"]);
        assert!(worst[0].confusion.is_empty() && worst[0].patches == 1);
        // Patch 5 is of no class of the mean.
        assert_eq!(worst_patches(&patches, &Protocol::flair2(), 9).len(), 4);
    }

    #[test]
    fn the_csv_has_a_row_a_group() {
        let table = GroupTable::new(&four(), Unit::Zone, &locations(), &Protocol::flair2()).unwrap();
        let mut text = Vec::new();
        table.write_csv(&Protocol::flair2(), &mut text).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @"
        zone,patches,pixels,classes_averaged,miou,overall_accuracy,mean_accuracy,mean_f1,frequency_weighted_iou,kappa,building,pervious surface,impervious surface,bare soil,water,coniferous,deciduous,brushwood,vineyard,herbaceous vegetation,agricultural land,plowed land,other
        D001_2020/Z1_UA,2,7,2,0.21428571428571427,0.42857142857142855,0.5,0.3,0.18367346938775508,0.0,0.42857142857142855,0.0,,,,,,,,,,,
        D001_2020/Z2_AA,1,5,2,0.3,0.6,0.5,0.375,0.36,0.0,0.6,0.0,,,,,,,,,,,
        D002_2021/Z1_UA,1,6,2,0.3333333333333333,0.6666666666666666,0.5,0.4,0.4444444444444444,0.0,0.6666666666666666,0.0,,,,,,,,,,,
        ");
    }
}
