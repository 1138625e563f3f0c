//! Class lists: the class of each prediction value, and the mask values of each class.

use serde::{Deserialize, Serialize};

use super::file::{ProtocolError, labels, parse, shipped};

use crate::text::{counted, visible};

/// Maximum number of classes: predictions are bytes, and a few values stay free for pixels without a class.
pub const MAX_CLASSES: usize = 200;

/// Maximum length of a class's or nomenclature's name, in characters.
const MAX_NAME: usize = 60;

/// A list of classes. A prediction holds indices into it, from 0; a mask holds labels, which are remapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nomenclature {
    /// Its name, such as `flair2-13`.
    pub name: String,
    /// Its classes, in the order of their values in a prediction.
    pub classes: Vec<NomenclatureClass>,
}

/// One class of a [`Nomenclature`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NomenclatureClass {
    /// Its name.
    pub name: String,
    /// Its colour in figures, as `#rrggbb`.
    pub colour: Colour,
    /// Its mask values, each `0..=255`.
    #[serde(deserialize_with = "labels")]
    pub labels: Vec<u8>,
    /// Whether the mean includes it.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub averaged: bool,
}

/// A colour, red, green, blue; as text `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour(pub [u8; 3]);

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
fn is_true(value: &bool) -> bool {
    *value
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, colour @ ..] = value.ok_or("a colour is written as `#rrggbb`")?.to_be_bytes();
        Ok(Self(colour))
    }
}

impl From<Colour> for String {
    fn from(Colour([r, g, b]): Colour) -> Self {
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// The built-in class lists: name and YAML text.
pub const NOMENCLATURES: [(&str, &str); 3] = [
    ("flair2-13", include_str!("../../nomenclatures/flair2-13.yml")),
    ("flair-19", include_str!("../../nomenclatures/flair-19.yml")),
    ("flair-hub-19", include_str!("../../nomenclatures/flair-hub-19.yml")),
];

impl Nomenclature {
    /// One of [`NOMENCLATURES`], by its name.
    ///
    /// # Errors
    /// [`ProtocolError::Unknown`] if no built-in one has that name.
    pub fn named(name: &str) -> Result<Self, ProtocolError> {
        let text = shipped(&NOMENCLATURES, "nomenclature", name)?;
        Self::from_yaml(text, name)
    }

    /// Reads a class list. `origin` names it in messages, such as its path.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`]: the text is not a class list, has fewer than 2 or more than [`MAX_CLASSES`] classes,
    /// two classes with one name, or one label in two classes.
    pub fn from_yaml(text: &str, origin: &str) -> Result<Self, ProtocolError> {
        let nomenclature: Self = parse(text, origin)?;
        nomenclature.check().map_err(|reason| ProtocolError::Invalid { origin: origin.to_owned(), reason })?;
        Ok(nomenclature)
    }

    /// Checks that it can be used for scoring: 2 to [`MAX_CLASSES`] classes of different names, each label of one class.
    pub(super) fn check(&self) -> Result<(), String> {
        let count = self.classes.len();
        if !(2..=MAX_CLASSES).contains(&count) {
            return Err(format!("it has {}, expected 2 to {MAX_CLASSES}", counted(count, "class")));
        }
        check_name(&self.name, MAX_NAME)?;
        let mut owner: [Option<&str>; 256] = [None; 256];
        for (index, class) in self.classes.iter().enumerate() {
            let name = class.name.as_str();
            check_name(name, MAX_NAME)?;
            if let Some(earlier) = self.classes[..index].iter().find(|other| visible(&other.name) == visible(name)) {
                let differ = if earlier.name == name { "" } else { ": the names differ only in invisible characters" };
                return Err(format!("two classes are called `{}`{differ}", visible(name)));
            }
            for label in &class.labels {
                if let Some(other) = owner[usize::from(*label)].replace(name) {
                    return Err(format!("label {label} is given to `{other}` and to `{name}`"));
                }
            }
        }
        if self.classes.iter().all(|class| class.labels.is_empty()) {
            return Err("no class has a label".to_owned());
        }
        Ok(())
    }

    /// The smallest and largest label, for messages.
    pub fn label_range(&self) -> (u8, u8) {
        let labels = || self.classes.iter().flat_map(|class| class.labels.iter().copied());
        (labels().min().unwrap_or(0), labels().max().unwrap_or(0))
    }
}

/// Names are shown in terminals, tables and pictures.
pub(super) fn check_name(name: &str, most: usize) -> Result<(), String> {
    let is_fit = !visible(name).is_empty() && name.chars().count() <= most && !name.chars().any(char::is_control);
    if is_fit { Ok(()) } else { Err(format!("`{}` is no name: expected 1 to {most} characters", name.escape_debug())) }
}
