//! The uncertainty of a score: the record of its bootstrap intervals.

use serde::{Deserialize, Serialize};

use crate::{
    Metrics, Protocol,
    analysis::{
        Group,
        bootstrap::{Bootstrap, BootstrapError, Interval, Replicates, Units},
    },
    dataset::locations::Unit,
};

/// With fewer units than this, an interval is rough and gets a note.
pub const FEW_UNITS: usize = 10;

/// With fewer replicates than this beyond each end, an interval is rough and gets a note.
pub const FEW_BEYOND: f64 = 10.0;

/// The unit and settings of the draws, which a reader needs to judge an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// The unit of the draws.
    pub unit: Unit,
    /// Number of units.
    pub units: usize,
    /// Number of replicates, seed and confidence level.
    pub bootstrap: Bootstrap,
}

impl Drawn {
    /// Notes for readers about rough intervals, in sentences.
    pub(crate) fn notes(self) -> Vec<String> {
        let Bootstrap { replicates, level, .. } = self.bootstrap;
        let mut notes = Vec::new();
        if self.units < FEW_UNITS {
            notes.push(format!("the intervals are rough: there are only {} to draw from", self.unit.count(self.units)));
        }
        let beyond = f64::from(replicates) * (1.0 - level) / 2.0;
        // The tolerance absorbs rounding of the level: exactly FEW_BEYOND is enough.
        if beyond + 1e-6 < FEW_BEYOND {
            let due = (2.0 * FEW_BEYOND / (1.0 - level) - 1e-6).ceil();
            notes.push(format!(
                "the intervals' ends are rough: few of {replicates} replicates lie beyond them, {due} would be enough"
            ));
        }
        notes
    }
}

/// The bootstrap intervals of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// The unit and settings of the draws.
    pub drawn: Drawn,
    /// Interval of the `mIoU`.
    pub miou: Option<Interval>,
    /// Interval of the overall accuracy.
    pub overall_accuracy: Option<Interval>,
    /// Interval of each class's `IoU`, in order, over the replicates that contain the class.
    pub iou: Vec<Option<Interval>>,
    /// Further information for readers, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Uncertainty {
    /// The intervals of a score from draws of `groups`, which are of the kind `unit`.
    ///
    /// # Errors
    /// See [`Bootstrap::draw`].
    pub fn new(
        groups: &[Group<'_>],
        unit: Unit,
        protocol: &Protocol,
        bootstrap: Bootstrap,
    ) -> Result<Self, BootstrapError> {
        let units = Units::of(groups, protocol);
        let replicates = bootstrap.draw([&units], |[matrix]| figures(&Metrics::of(&matrix, protocol)))?;
        let drawn = Drawn { unit, units: units.len(), bootstrap };
        let mut intervals = replicates.iter().map(|replicates| replicates.interval(bootstrap.level));
        let [miou, overall_accuracy] = [(); 2].map(|()| intervals.next().flatten());
        let iou = intervals.collect();
        let mut notes = drawn.notes();
        let names = protocol.classes().iter().map(|class| class.name.as_str());
        notes.extend(sometimes_absent(&replicates[2..], bootstrap, names, "classes without pixels"));
        Ok(Self { drawn, miou, overall_accuracy, iou, notes })
    }
}

/// The figures that have intervals: `mIoU`, overall accuracy, then each class's `IoU`.
pub(crate) fn figures(metrics: &Metrics) -> Vec<Option<f64>> {
    [metrics.means.miou, metrics.means.overall_accuracy]
        .into_iter()
        .chain(metrics.classes.iter().map(|class| class.iou))
        .collect()
}

/// A note that names the classes that some replicates lack, but not all. `what` begins the sentence.
pub(crate) fn sometimes_absent<'a>(
    ious: &[Replicates],
    bootstrap: Bootstrap,
    names: impl Iterator<Item = &'a str>,
    what: &str,
) -> Option<String> {
    let rare = ious.iter().zip(names).filter_map(|(replicates, name)| {
        let without = bootstrap.replicates as usize - replicates.values().len();
        (without > 0 && !replicates.values().is_empty()).then(|| format!("{name} ({without})"))
    });
    let rare: Vec<_> = rare.collect();
    let all = bootstrap.replicates;
    (!rare.is_empty()).then(|| format!("{what} in some of the {all} replicates: {}", rare.join(", ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ConfusionMatrix, analysis::units::tests::patch, dataset::locations::Locations};

    #[test]
    fn few_units_and_rare_classes_are_noted() {
        let patches: Vec<_> =
            (1..=4).map(|n| patch(n, if n == 1 { &[(4, 4, 5)] } else { &[(0, 0, 9), (0, 1, 1)] })).collect();
        let groups = crate::analysis::units::group(&Locations::default(), &patches, Unit::Patch).unwrap();
        let bootstrap = Bootstrap { replicates: 100, ..Bootstrap::default() };
        let found = Uncertainty::new(&groups, Unit::Patch, &Protocol::flair2(), bootstrap).unwrap();
        assert_eq!(found.drawn, Drawn { unit: Unit::Patch, units: 4, bootstrap });
        assert_eq!((found.iou.len(), found.iou[2], found.iou[4]), (13, None, Some(Interval { low: 1.0, high: 1.0 })));
        insta::assert_snapshot!(found.notes.join("\n"), @r"
        the intervals are rough: there are only 4 patches to draw from
        the intervals' ends are rough: few of 100 replicates lie beyond them, 400 would be enough
        classes without pixels in some of the 100 replicates: building (1), pervious surface (1), water (31)
        ");
        insta::assert_json_snapshot!(found.drawn, @r#"
        {
          "unit": "patch",
          "units": 4,
          "bootstrap": {
            "replicates": 100,
            "level": 0.95,
            "seed": 2022
          }
        }
        "#);
    }

    #[test]
    fn too_few_replicates_for_the_level_are_noted() {
        let notes = |replicates, level| {
            let bootstrap = Bootstrap { replicates, level, seed: 0 };
            Drawn { unit: Unit::Zone, units: 50, bootstrap }.notes().join("\n")
        };
        for (enough, level) in [(400, 0.95), (200, 0.9), (2000, 0.99), (40, 0.5)] {
            assert_eq!(notes(enough, level), "");
            let note = notes(enough - 1, level);
            assert!(note.ends_with(&format!("lie beyond them, {enough} would be enough")), "{note}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn an_interval_holds_the_score(
            errors in prop::collection::vec((0..50_u64, 0..50_u64, 0..50_u64), 20..60),
            seed in any::<u64>(),
        ) {
            let patches: Vec<_> = (1..)
                .zip(errors)
                .map(|(n, (a, b, c))| patch(n, &[(0, 0, 90), (4, 4, 80), (6, 6, 50), (0, 4, a), (4, 6, b), (12, 0, c)]))
                .collect();
            let groups = crate::analysis::units::group(&Locations::default(), &patches, Unit::Patch).unwrap();
            let mut matrix = ConfusionMatrix::empty(13);
            for group in &groups {
                matrix.merge(&group.matrix(13));
            }
            let bootstrap = Bootstrap { replicates: 200, seed, ..Bootstrap::default() };
            let found = Uncertainty::new(&groups, Unit::Patch, &Protocol::flair2(), bootstrap).unwrap();
            let holds = |interval: Option<Interval>, value: Option<f64>| match (interval, value) {
                (Some(interval), Some(value)) => interval.low < value && value < interval.high,
                (interval, value) => interval.is_none() && value.is_none(),
            };
            let metrics = Metrics::of(&matrix, &Protocol::flair2());
            prop_assert!(holds(found.miou, metrics.means.miou), "{found:?}");
            prop_assert!(holds(found.overall_accuracy, metrics.means.overall_accuracy), "{found:?}");
            for (interval, class) in found.iou.iter().zip(&metrics.classes).take(12) {
                prop_assert!(holds(*interval, class.iou), "{found:?}");
            }
        }
    }
}
