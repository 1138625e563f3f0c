//! Scores by domain, zone or patch.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{
    ConfusionMatrix, Metrics, Protocol,
    analysis::normalized::{Share, shares},
    dataset::places::{Group, PlaceError, Places, Unit},
    report::ClassReport,
    score::{evaluate::PatchConfusion, metrics::Means},
};

/// The scores of one group: the same figures as of the whole, from its own matrix by the same protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// Its name: `D036_2020`, `D036_2020/Z17_UA`, `084558`.
    pub name: String,
    /// Number of its patches.
    pub patches: u64,
    /// Number of its pixels, those left out included.
    pub pixels: u64,
    /// Its scores as a whole.
    #[serde(flatten)]
    pub means: Means,
    /// Every class's `IoU`, in order.
    pub iou: Vec<Option<f64>>,
    /// Every class's scores, in order; domains and zones have them, single patches only their `IoU`s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassReport>,
    /// Number of pixels, `[truth, prediction]`; domains and zones have it, single patches do not.
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
                (ClassReport::all(protocol, &metrics), matrix.rows().map(<[u64]>::to_vec).collect())
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
    /// What was put together.
    pub by: Unit,
    /// The groups, in the order of their names.
    pub groups: Vec<GroupReport>,
}

impl GroupTable {
    /// The scores of every domain, zone or patch.
    ///
    /// # Errors
    /// [`PlaceError::Unknown`] where a patch's place is not known and asked for.
    pub fn new(
        patches: &[PatchConfusion],
        unit: Unit,
        places: &Places,
        protocol: &Protocol,
    ) -> Result<Self, PlaceError> {
        let groups = places.group(patches, unit)?;
        Ok(Self { by: unit, groups: groups.iter().map(|group| GroupReport::new(group, unit, protocol)).collect() })
    }

    /// The table as CSV: a header, and a row a group: its name, patches, pixels and figures, then the `IoU` of each
    /// class of the protocol. What does not exist is empty.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_csv(&self, protocol: &Protocol, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let unit = self.by.to_string();
        let header = [unit.as_str(), "patches", "pixels", "classes_averaged"].into_iter().chain(Means::NAMES);
        csv.write_record(header.chain(protocol.classes().iter().map(|class| class.name.as_str())))?;
        for group in &self.groups {
            csv.serialize((
                (&group.name, group.patches, group.pixels, group.means.classes_averaged),
                group.means.figures(),
                &group.iou,
            ))?;
        }
        csv.flush()
    }

    /// Every class's scores in every domain or zone as CSV, a row a class of a group. What does not exist is empty.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_classes_csv(&self, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let unit = self.by.to_string();
        csv.write_record([&unit, "class", "iou", "precision", "recall", "f1", "support", "predicted", "in_mean"])?;
        for group in &self.groups {
            for class in &group.classes {
                let scores = &class.scores;
                let counts = (scores.support, scores.predicted, scores.in_mean);
                csv.serialize((&group.name, &class.name, scores.figures(), counts))?;
            }
        }
        csv.flush()
    }

    /// The confusion matrix of every domain or zone as CSV, a row a pair of classes that occurs: its pixels, and their
    /// shares of the truth's class and of the predicted class.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_confusion_csv(&self, out: impl io::Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let unit = self.by.to_string();
        csv.write_record([&unit, "truth", "predicted", "pixels", "share_of_truth", "share_of_predicted"])?;
        for group in &self.groups {
            let counts = group.confusion.concat();
            let Some(matrix) = ConfusionMatrix::new(group.confusion.len(), counts, 0, 0) else { continue };
            let [of_truth, of_predicted] = [Share::OfTruth, Share::OfPredicted].map(|share| shares(&matrix, share));
            for (t, truth) in group.classes.iter().enumerate() {
                for (p, predicted) in group.classes.iter().enumerate().filter(|(p, _)| matrix.count(t, *p) > 0) {
                    let cell = (matrix.count(t, p), of_truth[t][p], of_predicted[t][p]);
                    csv.serialize((&group.name, &truth.name, &predicted.name, cell))?;
                }
            }
        }
        csv.flush()
    }
}

/// The patches with the lowest `mIoU`, the worst first, at most `most`; among equals the one with fewer right pixels
/// is worse. A patch without any class of the mean has none, and is not among them.
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
    use crate::dataset::places::tests::{four, patch, places};

    #[test]
    fn a_group_has_the_scores_of_its_own_matrix() {
        let table = GroupTable::new(&four(), Unit::Domain, &places(), &Protocol::flair2()).unwrap();
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
        let table = GroupTable::new(&four(), Unit::Zone, &places(), &Protocol::flair2()).unwrap();
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
