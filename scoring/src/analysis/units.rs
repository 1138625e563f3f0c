//! Groups patches by domain or zone, or keeps them single.

use std::collections::BTreeMap;

use crate::{
    dataset::{LocationError, Locations, Unit},
    score::{ConfusionMatrix, PatchConfusion},
};

/// A group of patches: a domain, a zone or a single patch.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The name of the domain, of the domain and zone, or of the patch.
    pub name: String,
    /// Its patches, in the order of their numbers.
    pub patches: Vec<&'a PatchConfusion>,
}

impl Group<'_> {
    /// The sum of its patches' matrices.
    ///
    /// # Panics
    /// If a patch has more than `classes` classes.
    pub fn matrix(&self, classes: usize) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::empty(classes);
        self.patches.iter().for_each(|patch| patch.add_to(&mut matrix));
        matrix
    }
}

/// Groups patches by domain, zone or patch, in the order of the names.
///
/// # Errors
/// [`LocationError::Unknown`] if the location of a patch is needed and unknown.
pub fn group<'a>(
    locations: &Locations,
    patches: impl IntoIterator<Item = &'a PatchConfusion> + Clone,
    unit: Unit,
) -> Result<Vec<Group<'a>>, LocationError> {
    locations.require(patches.clone().into_iter().map(|patch| patch.id), unit)?;
    let mut groups: BTreeMap<String, Vec<&PatchConfusion>> = BTreeMap::new();
    for patch in patches {
        groups.entry(locations.name(patch.id, unit).unwrap_or_default()).or_default().push(patch);
    }
    Ok(groups.into_iter().map(|(name, patches)| Group { name, patches }).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::dataset::{PatchId, locations::tests::locations};

    /// A patch of the challenge's classes, from cells `(truth, prediction, count)`.
    pub(crate) fn patch(number: u32, cells: &[(usize, usize, u64)]) -> PatchConfusion {
        let mut matrix = ConfusionMatrix::empty(13);
        matrix.add_cells(cells.iter().map(|(truth, prediction, count)| (truth * 13 + prediction, *count)), 0, 0);
        PatchConfusion::new(PatchId::new(number).unwrap(), &matrix).unwrap()
    }

    /// Patches 1 to 4; patch n has n correct pixels of building, and 2 pixels of pervious surface predicted as
    /// building.
    pub(crate) fn four() -> Vec<PatchConfusion> {
        (1..=4).map(|number| patch(number, &[(0, 0, u64::from(number)), (1, 0, 2)])).collect()
    }

    #[test]
    fn groups_share_out_the_patches() {
        let (patches, locations) = (four(), locations());
        let names = |unit| {
            let groups = group(&locations, &patches, unit).unwrap();
            groups.iter().map(|group| format!("{} {}", group.name, group.patches.len())).collect::<Vec<_>>()
        };
        assert_eq!(names(Unit::Domain), ["D001_2020 3", "D002_2021 1"]);
        assert_eq!(names(Unit::Zone), ["D001_2020/Z1_UA 2", "D001_2020/Z2_AA 1", "D002_2021/Z1_UA 1"]);
        assert_eq!(names(Unit::Patch), ["000001 1", "000002 1", "000003 1", "000004 1"]);
        for unit in [Unit::Domain, Unit::Zone, Unit::Patch] {
            let mut sum = ConfusionMatrix::empty(13);
            group(&locations, &patches, unit).unwrap().iter().for_each(|group| sum.merge(&group.matrix(13)));
            assert_eq!((sum.count(0, 0), sum.count(1, 0), sum.pixels()), (10, 8, 18), "{unit}");
        }
    }

    #[test]
    fn an_unknown_location_is_an_error() {
        let patches: Vec<_> = (4..=6).map(|number| patch(number, &[(0, 0, 1)])).collect();
        let message = |unit| group(&locations(), &patches, unit).unwrap_err().to_string();
        insta::assert_snapshot!(message(Unit::Zone), @"the zone of patch 000005 is not known, nor that of 2 patches in all: the mask is in no folder such as D036_2020/Z17_UA/msk; name the dataset's flair_aerial_metadata.json");
        insta::assert_snapshot!(group(&locations(), &patches[..2], Unit::Domain).unwrap_err().to_string(), @"the domain of patch 000005 is not known: the mask is in no folder such as D036_2020/Z17_UA/msk; name the dataset's flair_aerial_metadata.json");
        // A patch needs no location.
        assert_eq!(group(&Locations::default(), &patches, Unit::Patch).unwrap().len(), 3);
    }
}
