//! Scoring protocols: the classes and the rules of a score, named and described as data.
//!
//! IGN's own programs follow different rules, which change scores by several points. Every score therefore names its
//! protocol.
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

mod definition;
mod file;
mod labels;
mod nomenclature;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

pub use definition::{Absent, Definition, ExcludedPixels};
pub use file::ProtocolError;
pub use labels::LabelTable;
pub use nomenclature::{Colour, MAX_CLASSES, NOMENCLATURES, Nomenclature, NomenclatureClass};

use file::{labels, parse, read, shipped, yaml_file};

use crate::files::sha256_of;

/// The built-in protocols: name and YAML text.
pub const PROTOCOLS: [(&str, &str); 2] = [
    ("flair2", include_str!("../../protocols/flair2.yml")),
    ("flair-hub", include_str!("../../protocols/flair-hub.yml")),
];

/// A valid, commented protocol file with every key: a template for custom protocols.
pub const EXAMPLE: &str = include_str!("../../protocols/example.yml");

/// The classes and rules of a score. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Protocol(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    definition: Definition,
    id: String,
    labels: LabelTable,
}

/// A protocol file: a [`Definition`] with shorthand forms.
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
    /// [`ProtocolError::Unknown`] if no built-in protocol has that name.
    pub fn named(name: &str) -> Result<Self, ProtocolError> {
        let text = shipped(&PROTOCOLS, "protocol", name)?;
        Self::of_file(parse(text, name)?, name)
    }

    /// A built-in protocol by its name, or a protocol file whose name ends in `.yml` or `.yaml`.
    ///
    /// # Errors
    /// [`ProtocolError`]: no such name, an unreadable file, or an invalid protocol.
    pub fn find(name_or_file: &str) -> Result<Self, ProtocolError> {
        match yaml_file(name_or_file) {
            Some(path) => Self::from_yaml(&read(path)?, name_or_file),
            None => Self::named(name_or_file),
        }
    }

    /// The same rules with other classes: a built-in nomenclature by its name, or a file whose name ends in `.yml` or
    /// `.yaml`.
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

    /// Reads a protocol file. `origin` names it in messages, such as its path.
    ///
    /// # Errors
    /// [`ProtocolError::Invalid`] if it is invalid, or has the name of a built-in protocol.
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
    /// A sentence that says what is invalid.
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

    /// The protocol as YAML that [`Protocol::from_yaml`] reads back, for protocols from files; it rejects the names of
    /// built-in protocols. Classes from a nomenclature file get the protocol's name.
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

    /// Its name, as its author chose it.
    pub fn name(&self) -> &str {
        &self.0.definition.name
    }

    /// A unique identifier: the name of a built-in protocol, `NAME/CLASSES` with other classes, or `NAME@DIGEST` for a
    /// protocol from a file, so that two files with the same name differ.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Its definition.
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

    /// The class of each mask value.
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
    // Either text differs between any two definitions.
    let text = serde_json::to_string(definition).unwrap_or_else(|_| format!("{definition:?}"));
    format!("{}@{:.8}", definition.name, sha256_of(text.as_bytes()))
}
