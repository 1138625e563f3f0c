//! Label spaces: the 19 labels of masks on disk, and the challenge's 13 classes.
//!
//! Masks have 19 labels, counted from 1; networks and predictions have 13 classes, counted from 0. The two are
//! different types, since confusing them is a silent off-by-one error.

use serde::{Deserialize, Serialize};

/// Number of classes of the challenge, "other" included.
pub const CLASS_COUNT: usize = 13;

/// A label of a mask file: `1..=19`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawLabel(u8);

/// A class of a prediction file: `0..=12`; 12 is "other".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct ClassId(u8);

/// Error: a value is not a class of the challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a class: expected 0..=12")]
pub struct InvalidClass(pub u8);

impl RawLabel {
    /// Largest label of the dataset ("other").
    pub const MAX: u8 = 19;

    /// The label with this value; `None` outside `1..=19`.
    pub const fn new(value: u8) -> Option<Self> {
        if value >= 1 && value <= Self::MAX { Some(Self(value)) } else { None }
    }

    /// The challenge's class of this label: 1..=12 become 0..=11, 13..=19 become 12 (upstream `src/metrics.py:39-40`).
    pub const fn class(self) -> ClassId {
        if self.0 <= 12 { ClassId(self.0 - 1) } else { ClassId::OTHER }
    }
}

impl ClassId {
    /// "other": counted in the confusion matrix, but not part of the mean `IoU`.
    pub const OTHER: Self = Self(12);

    /// The class with this value; `None` above 12.
    pub const fn new(value: u8) -> Option<Self> {
        if (value as usize) < CLASS_COUNT { Some(Self(value)) } else { None }
    }

    /// Its index, `0..13`.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its value in a prediction file.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Its entry in the nomenclature, [`CLASSES`].
    pub fn class(self) -> &'static Class {
        &CLASSES[self.index()]
    }

    /// All 13, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        CLASSES.iter().map(|class| class.id)
    }
}

impl TryFrom<u8> for ClassId {
    type Error = InvalidClass;

    fn try_from(value: u8) -> Result<Self, Self::Error> {
        Self::new(value).ok_or(InvalidClass(value))
    }
}

impl From<ClassId> for u8 {
    fn from(id: ClassId) -> Self {
        id.0
    }
}

/// One class of the challenge's nomenclature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its index.
    pub id: ClassId,
    /// Its name, as upstream's scorer spells it.
    pub name: &'static str,
    /// Its colour in the dataset's figures, red, green, blue.
    pub colour: [u8; 3],
}

const fn class(id: u8, name: &'static str, colour: [u8; 3]) -> Class {
    Class { id: ClassId(id), name, colour }
}

/// The challenge's 13 classes (upstream `notebook/data_display.py:23-63`).
pub static CLASSES: [Class; CLASS_COUNT] = [
    class(0, "building", [0xdb, 0x0e, 0x9a]),
    class(1, "pervious surface", [0x93, 0x8e, 0x7b]),
    class(2, "impervious surface", [0xf8, 0x0c, 0x00]),
    class(3, "bare soil", [0xa9, 0x71, 0x01]),
    class(4, "water", [0x15, 0x53, 0xae]),
    class(5, "coniferous", [0x19, 0x4a, 0x26]),
    class(6, "deciduous", [0x46, 0xe4, 0x83]),
    class(7, "brushwood", [0xf3, 0xa6, 0x0d]),
    class(8, "vineyard", [0x66, 0x00, 0x82]),
    class(9, "herbaceous vegetation", [0x55, 0xff, 0x00]),
    class(10, "agricultural land", [0xff, 0xf3, 0x0d]),
    class(11, "plowed land", [0xe4, 0xdf, 0x7c]),
    class(12, "other", [0x00, 0x00, 0x00]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_classes_as_upstream_maps_them() {
        let classes: Vec<_> = (0..=21).map(|v| RawLabel::new(v).map(|l| l.class().value())).collect();
        let expected: Vec<_> = (0..=21u8)
            .map(|v| match v {
                0 | 20.. => None,
                1..=12 => Some(v - 1),
                _ => Some(12),
            })
            .collect();
        assert_eq!(classes, expected);
    }

    #[test]
    fn the_table_is_in_class_order() {
        assert!(CLASSES.iter().enumerate().all(|(i, c)| c.id.index() == i));
        assert_eq!(ClassId::new(13), None);
    }
}
