//! Which class each value of a mask stands for.

use super::definition::Definition;

/// What each value of a mask means: the index of a class, [`LabelTable::NO_LABEL`] or [`LabelTable::IGNORED`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTable {
    classes: usize,
    of: [u8; 256],
}

impl LabelTable {
    /// The value means nothing.
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

    /// What the value means.
    pub fn get(&self, label: u8) -> u8 {
        self.of[usize::from(label)]
    }
}
