//! By which classes and rules scores are made: named, and data.
//!
//! IGN's own programs differ, and the difference moves numbers by several points, so no score goes without the name
//! of its protocol.
//!
//! ```
//! use flair_scoring::Protocol;
//!
//! let protocol = Protocol::from_yaml("{name: trees, nomenclature: flair2-13, excluded: [other, water], \
//!                                      excluded_pixels: removed, absent: zero}", "the example")?;
//! assert_eq!(protocol.class_count(), 13);
//! assert!(protocol.id().starts_with("trees@"));
//! assert_eq!(Protocol::flair2().id(), "flair2");
//! # Ok::<(), flair_scoring::protocol::ProtocolError>(())
//! ```

mod nomenclature;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, Unexpected, Visitor},
};

pub use nomenclature::{Colour, MAX_CLASSES, NOMENCLATURES, Nomenclature, NomenclatureClass};

use crate::files::{read_text, sha256};

/// The protocols that ship with the program: name, and file.
pub const PROTOCOLS: [(&str, &str); 2] = [
    ("flair2", include_str!("../../protocols/flair2.yml")),
    ("flair-hub", include_str!("../../protocols/flair-hub.yml")),
];

/// A protocol's file with all that one can say, and what it means: to begin one's own with. It is valid as it is.
pub const EXAMPLE: &str = include_str!("../../protocols/example.yml");

/// Largest file of a protocol or a nomenclature, in bytes.
const MAX_FILE: u64 = 1 << 18;

/// What happens to pixels whose truth or prediction is a class outside the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExcludedPixels {
    /// They stay in the sums: confusing such a class with another costs the other.
    #[default]
    Kept,
    /// Their rows and columns are removed from the confusion matrix before anything is computed.
    Removed,
}

/// What a class counts as that neither masks nor predictions have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absent {
    /// It is left out of the mean.
    #[default]
    Skipped,
    /// It counts as 0.
    Zero,
}

/// By which classes and rules scores are made. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Protocol(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    definition: Definition,
    id: String,
    labels: LabelTable,
}

/// All that a protocol says; this is what a score's record holds of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its classes; [`NomenclatureClass::averaged`] tells which the mean is over.
    pub nomenclature: Nomenclature,
    /// What happens to the pixels of classes outside the mean.
    pub excluded_pixels: ExcludedPixels,
    /// What an absent class counts as.
    pub absent: Absent,
    /// Values of a mask whose pixels are not scored at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "labels")]
    pub ignored_labels: Vec<u8>,
}

/// A protocol's file: as [`Definition`], with shorter ways to say it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtocolFile {
    name: String,
    #[serde(default)]
    nomenclature: Option<String>,
    #[serde(default)]
    classes: Option<Vec<NomenclatureClass>>,
    #[serde(default)]
    excluded: Option<Vec<String>>,
    #[serde(default)]
    excluded_pixels: ExcludedPixels,
    #[serde(default)]
    absent: Absent,
    #[serde(default, deserialize_with = "labels")]
    ignored_labels: Vec<u8>,
}

/// Why there is no such protocol.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Nothing that ships with the program has that name.
    #[error("there is no {what} `{name}`: expected one of {known}, or a file that ends in .yml")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It says something that cannot be.
    #[error("`{origin}` is no protocol: {reason}")]
    Invalid {
        /// Where it comes from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
}

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

    fn new(definition: &Definition) -> Self {
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

impl ProtocolFile {
    fn definition(self, origin: &str) -> Result<Definition, ProtocolError> {
        let invalid = |reason: String| ProtocolError::Invalid { origin: origin.to_owned(), reason };
        let mut nomenclature = match (self.nomenclature, self.classes) {
            (Some(name), None) => Nomenclature::named(&name)?,
            (None, Some(classes)) => Nomenclature { name: self.name.clone(), classes },
            _ => return Err(invalid("expected either `nomenclature`, a name, or `classes`, a list".to_owned())),
        };
        for name in self.excluded.iter().flatten() {
            if !nomenclature.classes.iter().any(|class| class.name == *name) {
                return Err(invalid(format!(
                    "`excluded` names `{}`, which is none of its classes",
                    name.escape_debug()
                )));
            }
        }
        if let Some(excluded) = &self.excluded {
            nomenclature.classes.iter_mut().for_each(|class| class.averaged = !excluded.contains(&class.name));
        }
        let (excluded_pixels, absent, ignored_labels) = (self.excluded_pixels, self.absent, self.ignored_labels);
        Ok(Definition { name: self.name, nomenclature, excluded_pixels, absent, ignored_labels })
    }
}

impl Protocol {
    /// The challenge's protocol.
    pub fn flair2() -> Self {
        #[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
        static FLAIR2: LazyLock<Protocol> =
            LazyLock::new(|| Protocol::named("flair2").expect("the shipped protocol is valid"));
        FLAIR2.clone()
    }

    /// One of [`PROTOCOLS`], by its name.
    ///
    /// # Errors
    /// [`ProtocolError::Unknown`] where there is none of that name.
    pub fn named(name: &str) -> Result<Self, ProtocolError> {
        let text = shipped(&PROTOCOLS, "protocol", name)?;
        Self::of_file(parse(text, name)?, name)
    }

    /// A protocol that ships with the program, by its name, or one of a file whose name ends in `.yml` or `.yaml`.
    ///
    /// # Errors
    /// [`ProtocolError`]: no such name, an unreadable file, or one that is no protocol.
    pub fn find(name_or_file: &str) -> Result<Self, ProtocolError> {
        match yaml_file(name_or_file) {
            Some(path) => Self::from_yaml(&read(path)?, name_or_file),
            None => Self::named(name_or_file),
        }
    }

    /// The same rules for other classes: those of a nomenclature that ships with the program, by its name, or of a
    /// file whose name ends in `.yml` or `.yaml`.
    ///
    /// # Errors
    /// As [`Protocol::find`].
    pub fn with_nomenclature(&self, name_or_file: &str) -> Result<Self, ProtocolError> {
        let nomenclature = match yaml_file(name_or_file) {
            Some(path) => Nomenclature::from_yaml(&read(path)?, name_or_file)?,
            None => Nomenclature::named(name_or_file)?,
        };
        Self::from_definition(Definition { nomenclature, ..self.definition().clone() })
            .map_err(|reason| ProtocolError::Invalid { origin: name_or_file.to_owned(), reason })
    }

    /// Reads a protocol's file. `origin` is what messages call it, such as its path.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] where it is none, or takes the name of one that ships with the program.
    pub fn from_yaml(text: &str, origin: &str) -> Result<Self, ProtocolError> {
        let file: ProtocolFile = parse(text, origin)?;
        if PROTOCOLS.iter().any(|(name, _)| *name == file.name) {
            let reason = format!("`{}` is the name of another protocol: choose a name of your own", file.name);
            return Err(ProtocolError::Invalid { origin: origin.to_owned(), reason });
        }
        Self::of_file(file, origin)
    }

    fn of_file(file: ProtocolFile, origin: &str) -> Result<Self, ProtocolError> {
        Self::from_definition(file.definition(origin)?)
            .map_err(|reason| ProtocolError::Invalid { origin: origin.to_owned(), reason })
    }

    /// The protocol that a definition describes.
    ///
    /// # Errors
    /// A sentence, where it says something that cannot be.
    pub fn from_definition(definition: Definition) -> Result<Self, String> {
        definition.nomenclature.check()?;
        nomenclature::check_name(&definition.name, 40)?;
        if !definition.nomenclature.classes.iter().any(|class| class.averaged) {
            return Err("no class is left for the mean".to_owned());
        }
        let labels = LabelTable::new(&definition);
        for label in &definition.ignored_labels {
            let owner = definition.nomenclature.classes.iter().find(|class| class.labels.contains(label));
            if let Some(class) = owner {
                return Err(format!("label {label} is ignored, and a label of `{}`", class.name));
            }
        }
        let id = id(&definition);
        Ok(Self(Arc::new(Inner { definition, id, labels })))
    }

    /// A file that [`Protocol::from_yaml`] makes the same protocol of, if it is of a file: names of shipped protocols
    /// are refused there. Classes of a nomenclature's own file get the protocol's name.
    pub fn to_yaml(&self) -> String {
        let Definition { name, nomenclature, excluded_pixels, absent, ignored_labels } = self.definition();
        let mut file = serde_json::json!({
            "name": name,
            "excluded_pixels": excluded_pixels,
            "absent": absent,
            "ignored_labels": ignored_labels,
        });
        let as_listed = Nomenclature::named(&nomenclature.name).ok().filter(|listed| {
            let pairs = listed.classes.iter().zip(&nomenclature.classes);
            let is_same = |(a, b): (&NomenclatureClass, &NomenclatureClass)| {
                (&a.name, a.colour, &a.labels) == (&b.name, b.colour, &b.labels)
            };
            listed.classes.len() == nomenclature.classes.len() && pairs.clone().all(is_same)
        });
        if as_listed.is_some() {
            let outside = nomenclature.classes.iter().filter(|class| !class.averaged);
            file["nomenclature"] = nomenclature.name.as_str().into();
            file["excluded"] = outside.map(|class| class.name.as_str()).collect();
        } else {
            file["classes"] = serde_json::json!(nomenclature.classes);
        }
        // YAML is a superset of JSON.
        format!("{file:#}\n")
    }

    /// Its name, as whoever wrote it chose it.
    pub fn name(&self) -> &str {
        &self.0.definition.name
    }

    /// What tells it from every other protocol: the name of one that ships with the program; with other classes
    /// `NAME/CLASSES`; `NAME@DIGEST` for one of a file, so that two files of one name are not taken for the same.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// All that it says.
    pub fn definition(&self) -> &Definition {
        &self.0.definition
    }

    /// Its classes, in the order of their values in a prediction.
    pub fn classes(&self) -> &[NomenclatureClass] {
        &self.0.definition.nomenclature.classes
    }

    /// Number of its classes.
    pub fn class_count(&self) -> usize {
        self.classes().len()
    }

    /// What the values of a mask mean.
    pub fn labels(&self) -> &LabelTable {
        &self.0.labels
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.definition() == other.definition()
    }
}

impl Eq for Protocol {}

/// See [`Protocol::id`].
fn id(definition: &Definition) -> String {
    for (name, text) in PROTOCOLS {
        let Ok(shipped) = parse(text, name).and_then(|file: ProtocolFile| file.definition(name)) else { continue };
        if *definition == shipped {
            return name.to_owned();
        }
        let classes = &definition.nomenclature;
        let is_same_but_for_classes = *definition == Definition { nomenclature: classes.clone(), ..shipped };
        if is_same_but_for_classes && Nomenclature::named(&classes.name).is_ok_and(|listed| listed == *classes) {
            return format!("{name}/{}", classes.name);
        }
    }
    let json = serde_json::to_string(definition).unwrap_or_default();
    // Bytes in memory can always be read.
    let digest = sha256(json.as_bytes()).unwrap_or_default();
    format!("{}@{}", definition.name, digest.get(..8).unwrap_or_default())
}

/// Values of a mask; what is none is told as such.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Label(u8);
    impl<'de> Deserialize<'de> for Label {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(LabelVisitor).map(Self)
        }
    }
    struct LabelVisitor;
    impl Visitor<'_> for LabelVisitor {
        type Value = u8;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a label, a whole number from 0 to 255")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u8, E> {
            u8::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u8, E> {
            u8::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
        }
    }
    let labels = Vec::<Label>::deserialize(deserializer)?;
    Ok(labels.into_iter().map(|Label(label)| label).collect())
}

/// The file of that name among those that ship with the program.
fn shipped(
    files: &[(&'static str, &'static str)],
    what: &'static str,
    name: &str,
) -> Result<&'static str, ProtocolError> {
    let known = files.iter().find(|(known, _)| *known == name);
    known.map(|(_, text)| *text).ok_or_else(|| ProtocolError::Unknown {
        what,
        name: name.to_owned(),
        known: files.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
    })
}

fn yaml_file(name: &str) -> Option<&Path> {
    let path = Path::new(name);
    let is_yaml =
        path.extension().is_some_and(|end| ["yml", "yaml"].iter().any(|known| end.eq_ignore_ascii_case(known)));
    is_yaml.then_some(path)
}

fn read(path: &Path) -> Result<String, ProtocolError> {
    read_text(path, MAX_FILE).map_err(|error| ProtocolError::Io { path: path.to_owned(), error })
}

fn parse<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ProtocolError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let reason = error.without_snippet().to_string();
        ProtocolError::Invalid { origin: origin.to_owned(), reason }
    })
}
