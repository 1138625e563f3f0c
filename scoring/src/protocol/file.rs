//! The files of protocols and nomenclatures: those that ship with the program, and the user's own.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Unexpected, Visitor},
};

use crate::files::read_text;

/// Largest file of a protocol or a nomenclature, in bytes.
const MAX_FILE: u64 = 1 << 18;

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

/// The file of that name among those that ship with the program.
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
    serde_saphyr::from_str(text).map_err(|error| {
        let reason = error.without_snippet().to_string();
        ProtocolError::Invalid { origin: origin.to_owned(), reason }
    })
}
