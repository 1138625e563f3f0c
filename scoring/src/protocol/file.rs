//! Files of protocols and nomenclatures: the built-in ones, and the user's.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Unexpected, Visitor},
};

use crate::{files::read_text, yaml};

/// Maximum size of a protocol or nomenclature file, in bytes.
const MAX_FILE: u64 = 1 << 18;

/// Errors when loading a protocol or a nomenclature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// No built-in one has that name.
    #[error("there is no {what} `{name}`: expected one of {known}, or a file that ends in .yml")]
    Unknown {
        /// The kind: protocol or nomenclature.
        what: &'static str,
        /// Its name.
        name: String,
        /// The built-in names.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// Its content is invalid.
    #[error("`{origin}` is no protocol: {reason}")]
    Invalid {
        /// Its origin, such as its path.
        origin: String,
        /// The problem.
        reason: String,
    },
}

/// Deserialises mask labels; rejects values outside 0–255.
pub(super) fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
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

/// The built-in file of that name.
pub(super) fn shipped(
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

pub(super) fn yaml_file(name: &str) -> Option<&Path> {
    let path = Path::new(name);
    let is_yaml =
        path.extension().is_some_and(|end| ["yml", "yaml"].iter().any(|known| end.eq_ignore_ascii_case(known)));
    is_yaml.then_some(path)
}

pub(super) fn read(path: &Path) -> Result<String, ProtocolError> {
    read_text(path, MAX_FILE).map_err(|error| ProtocolError::Io { path: path.to_owned(), error })
}

pub(super) fn parse<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ProtocolError> {
    yaml::from_str(text)
        .map_err(|error| ProtocolError::Invalid { origin: origin.to_owned(), reason: error.to_string() })
}
