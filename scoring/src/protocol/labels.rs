//! The class of each mask value.

use super::definition::Definition;

/// The meaning of each mask value: a class index, [`LabelTable::NO_LABEL`] or [`LabelTable::IGNORED`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTable {
    classes: usize,
    of: [u8; 256],
}

impl LabelTable {
    /// The value is not a label.
    pub const NO_LABEL: u8 = 255;
    /// The pixel is not scored.
    pub const IGNORED: u8 = 254;

    pub(super) fn new(definition: &Definition) -> Self {
        let mut of = [Self::NO_LABEL; 256];
        for (index, class) in (0u8..).zip(&definition.nomenclature.classes) {
            class.labels.iter().for_each(|label| of[usize::from(*label)] = index);
        }
        definition.ignored_labels.iter().for_each(|label| of[usize::from(*label)] = Self::IGNORED);
        Self { classes: definition.nomenclature.classes.len(), of }
    }

    /// Number of classes.
    pub fn class_count(&self) -> usize {
        self.classes
    }

    /// The class index of a mask value, or one of the two constants.
    pub fn get(&self, label: u8) -> u8 {
        self.of[usize::from(label)]
    }
}
