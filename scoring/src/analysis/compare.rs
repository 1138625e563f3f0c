//! Compares two prediction sets on the same patches: the differences of their scores, with confidence intervals.
//!
//! Both sets must have the same protocol, patches and masks; otherwise the comparison is refused.

use serde::{Deserialize, Serialize};

use crate::{
    Metrics, PatchId, Protocol,
    analysis::units::group,
    analysis::{
        Group,
        bootstrap::{Bootstrap, BootstrapError, Interval, Replicates, Units},
        uncertainty::{Drawn, FEW_UNITS, figures, sometimes_absent},
    },
    dataset::locations::{LocationError, Locations, Unit},
    score::ConfusionMatrix,
    score::evaluate::{Evaluation, PatchConfusion},
    text::counted,
};

/// One figure in both sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The figure of the scored set.
    pub this: Option<f64>,
    /// The figure of the set that it is compared with.
    pub other: Option<f64>,
    /// `this` minus `other`; `None` if either is.
    pub difference: Option<f64>,
    /// Interval of the difference; both sets get the same draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Share of the replicates in which `this` is strictly better, `0..=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<f64>,
}

impl Difference {
    fn of(this: Option<f64>, other: Option<f64>) -> Self {
        let difference = this.zip(other).map(|(this, other)| this - other);
        Self { this, other, difference, interval: None, better: None }
    }

    fn draw(&mut self, replicates: &Replicates, level: f64) {
        // Replicates matter only if the figure itself has a difference.
        if self.difference.is_some() {
            self.interval = replicates.interval(level);
            self.better = replicates.share_above_zero();
        }
    }
}

/// A class's `IoU` in both sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassDifference {
    /// Its index.
    pub id: usize,
    /// Its name.
    pub name: String,
    /// Its `IoU`.
    pub iou: Difference,
}

/// A domain's or a patch's scores in both sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupDifference {
    /// Its name.
    pub name: String,
    /// Number of its patches.
    pub patches: u64,
    /// Its `mIoU`.
    pub miou: Difference,
    /// Its overall accuracy.
    pub overall_accuracy: Difference,
    /// Every class's `IoU` minus that of the other set, in order.
    pub iou: Vec<Option<f64>>,
    /// Number of units that the intervals draw from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<usize>,
}

/// The differences between two prediction sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The caller's name of the other set.
    pub other: String,
    /// The unit and settings of the intervals; `None` if there are none.
    pub drawn: Option<Drawn>,
    /// The `mIoU`.
    pub miou: Difference,
    /// The overall accuracy.
    pub overall_accuracy: Difference,
    /// Every class, in order.
    pub classes: Vec<ClassDifference>,
    /// Every domain, in order; empty if the domains of the patches are unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<GroupDifference>,
    /// The patches with the largest change of `mIoU` in either direction, the largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<GroupDifference>,
    /// Further information for readers, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A score without its patches, as in a record.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// The protocol: classes and rules.
    pub protocol: &'a Protocol,
    /// The matrix of all pixels.
    pub matrix: &'a ConfusionMatrix,
    /// Number of patches.
    pub patches: u64,
}

/// Errors of comparing two sets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// They are scored by different protocols.
    #[error("scored by different protocols, `{this}` and `{other}`: score both by one")]
    Protocols {
        /// The first set's protocol.
        this: String,
        /// The second set's protocol.
        other: String,
    },
    /// Their patches differ.
    #[error("not the same patches: {this} of the one and {other} of the other are not in both{}", for_one(*.first))]
    Patches {
        /// Number of patches that only the first set has.
        this: usize,
        /// Number of patches that only the second set has.
        other: usize,
        /// One of them, if known.
        first: Option<PatchId>,
    },
    /// As many patches, but other ones.
    #[error("not the same patches: both sets have {}, but their IDs differ", counted(*.patches, "patch"))]
    PatchSets {
        /// Number of patches of each.
        patches: u64,
    },
    /// Their masks differ.
    #[error(
        "not the same pixels of each class in the masks{}: compare what is scored against the same masks, \
         and with no pixel dropped",
        for_one(*.first)
    )]
    Masks {
        /// The first patch with different masks, if known.
        first: Option<PatchId>,
    },
    /// The location of a patch is unknown.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// The bootstrap failed.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

fn for_one(patch: Option<PatchId>) -> String {
    patch.map_or_else(String::new, |patch| format!(", patch {patch} for one"))
}

impl Comparison {
    /// Compares two scores without their patches: no intervals, domains or patches. `name` names the other set in the
    /// comparison.
    ///
    /// # Errors
    /// If the protocols, the numbers of patches or the mask pixels of a class differ.
    pub fn of_wholes(this: &Whole<'_>, other: &Whole<'_>, name: &str) -> Result<Self, CompareError> {
        let protocol = this.protocol;
        same_protocol(protocol, other.protocol)?;
        if this.patches != other.patches {
            let [a, b] = [this.patches, other.patches].map(|patches| usize::try_from(patches).unwrap_or(usize::MAX));
            return Err(CompareError::Patches { this: a.saturating_sub(b), other: b.saturating_sub(a), first: None });
        }
        let [a, b] = [this.matrix, other.matrix];
        let support = |rows: &mut dyn Iterator<Item = &[u64]>| rows.map(|row| row.iter().sum()).collect::<Vec<u64>>();
        if support(&mut a.rows()) != support(&mut b.rows()) || a.ignored() != b.ignored() {
            return Err(CompareError::Masks { first: None });
        }
        Ok(Self::of_metrics([&Metrics::of(a, protocol), &Metrics::of(b, protocol)], protocol, name))
    }

    /// Compares two evaluations that kept their patches ([`crate::score::evaluate::Keep::Patches`]).
    ///
    /// * `name`: the name of the other set in the comparison.
    /// * `unit`, `bootstrap`: unit and settings of the intervals. With fewer than two units there are no intervals,
    ///   and a note states this.
    /// * `most`: maximum number of listed patches.
    ///
    /// # Errors
    /// If the protocols, patches or masks differ, the unit of a patch is unknown, or `bootstrap` is invalid.
    pub fn new(
        [this, other]: [&Evaluation; 2],
        name: &str,
        locations: &Locations,
        (unit, bootstrap): (Unit, Bootstrap),
        most: usize,
    ) -> Result<Self, CompareError> {
        let protocol = &this.protocol;
        same_protocol(protocol, &other.protocol)?;
        let sets = [&this.by_patch, &other.by_patch].map(Vec::as_slice);
        same_pixels(sets, protocol.class_count())?;
        let metrics = [&this.matrix, &other.matrix].map(|matrix| Metrics::of(matrix, protocol));
        let mut comparison = Self::of_metrics(metrics.each_ref(), protocol, name);

        let [a, b] = [group(locations, sets[0], unit)?, group(locations, sets[1], unit)?];
        match draw([&a, &b], bootstrap, protocol) {
            Ok(replicates) => comparison.draw(&replicates, Drawn { unit, units: a.len(), bootstrap }),
            Err(error @ BootstrapError::TooFewUnits { .. }) => {
                comparison.notes.push(format!("no intervals by {unit}: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        // Within a single domain there is only one unit "domain", so no interval is possible.
        let within = (unit != Unit::Domain).then_some((unit, bootstrap));
        if let Ok(domains) = between(sets, Unit::Domain, within, locations, protocol) {
            let few = domains.iter().filter(|domain| domain.units.is_some_and(|units| units < FEW_UNITS)).count();
            if few > 0 {
                let domains = counted(few, "domain");
                comparison
                    .notes
                    .push(format!("the intervals of {domains} draw fewer than {FEW_UNITS} units, and are rough"));
            }
            comparison.domains = domains;
        }
        let mut patches = between(sets, Unit::Patch, None, locations, protocol)?;
        let change = |patch: &GroupDifference| patch.miou.difference.unwrap_or(0.0).abs();
        patches.retain(|patch| change(patch) > 0.0);
        // The sort is stable: equal changes stay in the order of the numbers.
        patches.sort_by(|a, b| change(b).total_cmp(&change(a)));
        patches.truncate(most);
        comparison.patches = patches;
        Ok(comparison)
    }

    fn of_metrics([this, other]: [&Metrics; 2], protocol: &Protocol, name: &str) -> Self {
        let listed = protocol.classes().iter().zip(this.classes.iter().zip(&other.classes)).enumerate();
        Self {
            other: name.to_owned(),
            drawn: None,
            miou: Difference::of(this.means.miou, other.means.miou),
            overall_accuracy: Difference::of(this.means.overall_accuracy, other.means.overall_accuracy),
            classes: listed
                .map(|(id, (class, (this, other)))| ClassDifference {
                    id,
                    name: class.name.clone(),
                    iou: Difference::of(this.iou, other.iou),
                })
                .collect(),
            domains: Vec::new(),
            patches: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn draw(&mut self, replicates: &[Replicates], drawn: Drawn) {
        let ious = self.classes.iter_mut().map(|class| &mut class.iou);
        let all = [&mut self.miou, &mut self.overall_accuracy].into_iter().chain(ious);
        all.zip(replicates).for_each(|(figure, replicates)| figure.draw(replicates, drawn.bootstrap.level));
        self.notes.extend(drawn.notes());
        let names = self.classes.iter().map(|class| class.name.as_str());
        let ious = replicates.get(2..).unwrap_or_default();
        self.notes.extend(sometimes_absent(ious, drawn.bootstrap, names, "classes without a difference"));
        self.drawn = Some(drawn);
    }
}

fn same_protocol(this: &Protocol, other: &Protocol) -> Result<(), CompareError> {
    let id = |protocol: &Protocol| protocol.id().to_owned();
    if this == other { Ok(()) } else { Err(CompareError::Protocols { this: id(this), other: id(other) }) }
}

/// Checks that both sets have the same patches, and that each patch's masks have the same pixels per class.
fn same_pixels([this, other]: [&[PatchConfusion]; 2], classes: usize) -> Result<(), CompareError> {
    let missing = |of: &[PatchConfusion], from: &[PatchConfusion]| -> Vec<PatchId> {
        let is_in = |id| from.binary_search_by_key(&id, |patch: &PatchConfusion| patch.id).is_ok();
        of.iter().map(|patch| patch.id).filter(|id| !is_in(*id)).collect()
    };
    let [only_this, only_other] = [missing(this, other), missing(other, this)];
    if let Some(first) = only_this.first().or(only_other.first()) {
        let [this, other] = [only_this.len(), only_other.len()];
        return Err(CompareError::Patches { this, other, first: Some(*first) });
    }
    let support = |patch: &PatchConfusion| {
        let matrix = patch.matrix(classes);
        let rows: Vec<u64> = matrix.rows().map(|row| row.iter().sum()).collect();
        (rows, matrix.ignored())
    };
    match this.iter().zip(other).find(|(this, other)| support(this) != support(other)) {
        Some((patch, _)) => Err(CompareError::Masks { first: Some(patch.id) }),
        None => Ok(()),
    }
}

/// The differences of the [`figures`] of two sets.
fn differences([this, other]: [&Metrics; 2]) -> Vec<Option<f64>> {
    figures(this).into_iter().zip(figures(other)).map(|(this, other)| Some(this? - other?)).collect()
}

/// Every group's figures in both sets, which have the same patches. With `within`, each group with at least two such
/// units has intervals.
fn between(
    sets: [&[PatchConfusion]; 2],
    unit: Unit,
    within: Option<(Unit, Bootstrap)>,
    locations: &Locations,
    protocol: &Protocol,
) -> Result<Vec<GroupDifference>, LocationError> {
    let [this, other] = [group(locations, sets[0], unit)?, group(locations, sets[1], unit)?];
    let pairs = this.into_iter().zip(other).map(|pair| {
        let pair = <[Group<'_>; 2]>::from(pair);
        let metrics = pair.each_ref().map(|group| Metrics::of(&group.matrix(protocol.class_count()), protocol));
        let [a, b] = &metrics;
        let mut found = GroupDifference {
            patches: pair[0].patches.len() as u64,
            name: pair[0].name.clone(),
            miou: Difference::of(a.means.miou, b.means.miou),
            overall_accuracy: Difference::of(a.means.overall_accuracy, b.means.overall_accuracy),
            iou: differences(metrics.each_ref()).split_off(2),
            units: None,
        };
        if let Some((unit, bootstrap)) = within {
            let [a, b] = [
                group(locations, pair[0].patches.iter().copied(), unit)?,
                group(locations, pair[1].patches.iter().copied(), unit)?,
            ];
            // A group with a single unit has no interval.
            if let Ok(replicates) = draw([&a, &b], bootstrap, protocol) {
                found.units = Some(a.len());
                let figures = [&mut found.miou, &mut found.overall_accuracy];
                figures.into_iter().zip(&replicates).for_each(|(figure, values)| figure.draw(values, bootstrap.level));
            }
        }
        Ok(found)
    });
    pairs.collect()
}

/// The differences of [`figures`] in draws from these units, which are the same in both sets.
fn draw(sets: [&[Group<'_>]; 2], bootstrap: Bootstrap, protocol: &Protocol) -> Result<Vec<Replicates>, BootstrapError> {
    let units = sets.map(|groups| Units::of(groups, protocol));
    bootstrap.draw(units.each_ref(), |[a, b]| differences([&Metrics::of(&a, protocol), &Metrics::of(&b, protocol)]))
}

#[cfg(test)]
mod tests;
