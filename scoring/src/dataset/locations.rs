//! The locations of patches: the domain and zone of each, from paths or metadata.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    metadata::image_key,
    names::{is_domain, is_zone},
    patch::PatchId,
};
use crate::{
    files::open_regular,
    text::{counted, shown},
};

/// Maximum size of a metadata file, in bytes: the dataset's has 21 MB.
const MAX_METADATA: u64 = 512 << 20;

/// The unit by which patches are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A domain: a department in one year, some 1,500 patches.
    Domain,
    /// A zone: an area within a domain, some 80 patches side by side.
    Zone,
    /// A single patch.
    Patch,
}

impl Unit {
    /// `domain`, `zone` or `patch`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Zone => "zone",
            Self::Patch => "patch",
        }
    }

    /// `1 domain`, `2 domains`.
    pub fn count(self, count: usize) -> String {
        counted(count, self.name())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The location of a patch: its domain and zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Location {
    /// Its domain, such as `D036_2020`.
    pub domain: String,
    /// Its zone, such as `Z17_UA`; zones of different domains may have the same name.
    pub zone: String,
}

impl Location {
    /// Parses the location in a mask's path, such as `…/D036_2020/Z17_UA/msk/MSK_084558.tif`: the last folder with a
    /// domain's name, and the last folder below it with a zone's name.
    pub fn of_path(path: &Path) -> Option<Self> {
        let names: Vec<&str> = path.parent()?.iter().filter_map(|name| name.to_str()).collect();
        let domain = names.iter().rposition(|name| is_domain(name))?;
        let zone = names[domain..].iter().rfind(|name| is_zone(name))?;
        Some(Self { domain: names[domain].to_owned(), zone: (*zone).to_owned() })
    }

    /// Whether both names are safe in tables and file names: 1 to 40 letters, digits, `_` and `-`.
    fn is_fit(&self) -> bool {
        let is_fit = |name: &str| {
            (1..=40).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
                && !name.starts_with('-')
        };
        is_fit(&self.domain) && is_fit(&self.zone)
    }
}

/// The known locations of patches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locations(BTreeMap<PatchId, Location>);

/// Errors of finding the locations of patches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// The metadata cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// The metadata file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The metadata do not have the dataset's format.
    #[error("`{}` is not as flair_aerial_metadata.json: {reason}", path.display())]
    Format {
        /// The metadata file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// Neither a mask's path nor the metadata give the location of a patch.
    #[error(
        "the {unit} of patch {first} is not known{}: the mask is in no folder such as D036_2020/Z17_UA/msk; \
         name the dataset's flair_aerial_metadata.json",
        others(*.missing)
    )]
    Unknown {
        /// The requested unit.
        unit: Unit,
        /// The first patch without a location.
        first: PatchId,
        /// Number of patches without a location.
        missing: usize,
    },
}

fn others(missing: usize) -> String {
    match missing {
        0 | 1 => String::new(),
        _ => format!(", nor that of {} in all", Unit::Patch.count(missing)),
    }
}

impl Locations {
    /// The locations in the paths of masks or images.
    pub fn of_paths<'a>(paths: impl IntoIterator<Item = (PatchId, &'a Path)>) -> Self {
        paths.into_iter().filter_map(|(id, path)| Some((id, Location::of_path(path)?))).collect()
    }

    /// The locations in the dataset's `flair_aerial_metadata.json`: an object whose keys name aerial images,
    /// `IMG_000826` or `IMG_000826.tif`, and whose values have a `domain` and a `zone`, names of 1 to 40 letters,
    /// digits, `_` and `-`.
    ///
    /// # Errors
    /// [`LocationError::Io`], [`LocationError::Format`].
    pub fn of_metadata(path: &Path) -> Result<Self, LocationError> {
        let format = |reason| LocationError::Format { path: path.to_owned(), reason };
        let file = open_regular(path).map_err(|error| LocationError::Io { path: path.to_owned(), error })?;
        let entries: BTreeMap<String, Location> = serde_json::from_reader(BufReader::new(file.take(MAX_METADATA)))
            .map_err(|error| {
                if error.is_io() {
                    LocationError::Io { path: path.to_owned(), error: error.into() }
                } else {
                    format(error.to_string())
                }
            })?;
        entries
            .into_iter()
            .map(|(key, location)| {
                let id = image_key(&key)
                    .ok_or_else(|| format(format!("`{}` names no image: expected IMG_000826", shown(&key))))?;
                if !location.is_fit() {
                    return Err(format(format!("the domain or the zone of patch {id} is no name such as D036_2020")));
                }
                Ok((id, location))
            })
            .collect()
    }

    /// The location of a patch, if known.
    pub fn get(&self, id: PatchId) -> Option<&Location> {
        self.0.get(&id)
    }

    /// Number of patches with a known location.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no location is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the unit that contains a patch: `D036_2020`, `D036_2020/Z17_UA`, `084558`.
    pub fn name(&self, id: PatchId, unit: Unit) -> Option<String> {
        Some(match unit {
            Unit::Domain => self.get(id)?.domain.clone(),
            Unit::Zone => self.get(id).map(|location| format!("{}/{}", location.domain, location.zone))?,
            Unit::Patch => id.to_string(),
        })
    }

    /// Checks that the unit of each of these patches is known.
    ///
    /// # Errors
    /// [`LocationError::Unknown`] if it is not.
    pub fn require(&self, patches: impl Iterator<Item = PatchId>, unit: Unit) -> Result<(), LocationError> {
        let unknown: Vec<PatchId> = patches.filter(|id| unit != Unit::Patch && self.get(*id).is_none()).collect();
        match unknown.first() {
            Some(first) => Err(LocationError::Unknown { unit, first: *first, missing: unknown.len() }),
            None => Ok(()),
        }
    }
}

impl FromIterator<(PatchId, Location)> for Locations {
    fn from_iter<I: IntoIterator<Item = (PatchId, Location)>>(locations: I) -> Self {
        Self(locations.into_iter().collect())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// Patches 1 and 2 in one zone, 3 in another one, 4 in another domain's zone of the same name.
    pub(crate) fn locations() -> Locations {
        let locations =
            [("D001_2020", "Z1_UA"), ("D001_2020", "Z1_UA"), ("D001_2020", "Z2_AA"), ("D002_2021", "Z1_UA")];
        let location = |(domain, zone): (&str, &str)| Location { domain: domain.to_owned(), zone: zone.to_owned() };
        (1..).map(|number| PatchId::new(number).unwrap()).zip(locations.map(location)).collect()
    }

    #[test]
    fn a_path_gives_the_location() {
        let location = |path: &str| {
            Location::of_path(Path::new(path)).map(|location| format!("{} {}", location.domain, location.zone))
        };
        let found = Some("D036_2020 Z17_UA".to_owned());
        for path in [
            "flair_2_labels_test/D036_2020/Z17_UA/msk/MSK_084558.tif",
            "D036_2020/labels/Z17_UA/msk/MSK_084558.tif",
            "/old/D004_2021/Z1_AA/copy/D036_2020/Z17_UA/MSK_084558.tif",
        ] {
            assert_eq!(location(path), found, "{path}");
        }
        for path in [
            "MSK_084558.tif",
            "truth/MSK_084558.tif",
            "Z17_UA/D036_2020/MSK_084558.tif",
            "D36_2020/Z17_UA/MSK_084558.tif",
            "D036_2020/Z_UA/MSK_084558.tif",
            "D036_2020/Z+1_UA/MSK_084558.tif",
            "x/D036_2020/Z17_UA.tif",
        ] {
            assert_eq!(location(path), None, "{path}");
        }
    }

    #[test]
    fn metadata_give_the_location() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metadata.json");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Locations::of_metadata(&path)
        };
        let text = r#"{"IMG_000002": {"domain": "D001_2020", "zone": "Z1_UA", "camera": "x", "patch_centroid_x": 1.5},
                       "IMG_000001.tif": {"zone": "a-b", "domain": "city"}}"#;
        let locations = read(text).unwrap();
        let names = [1, 2].map(|number| locations.name(PatchId::new(number).unwrap(), Unit::Zone).unwrap());
        assert_eq!((names.each_ref().map(String::as_str), locations.len()), (["city/a-b", "D001_2020/Z1_UA"], 2));
        let reason = |text: &str| match read(text).unwrap_err() {
            LocationError::Format { reason, .. } => reason,
            other => panic!("{other}"),
        };
        let location = |domain: &str| format!(r#"{{"IMG_000002": {{"domain": "{domain}", "zone": "Z1_UA"}}}}"#);
        insta::assert_snapshot!([
            reason(r#"{"MSK_000002": {"domain": "D001_2020", "zone": "Z1_UA"}}"#),
            reason(r#"{"IMG_000002": {"domain": "D001_2020"}}"#),
            reason(&location("")),
            reason(&location("=1+1")),
            reason(&location("-1")),
            reason("["),
        ].join("\n"), @r#"
        `MSK_000002` names no image: expected IMG_000826
        missing field `zone` at line 1 column 38
        the domain or the zone of patch 000002 is no name such as D036_2020
        the domain or the zone of patch 000002 is no name such as D036_2020
        the domain or the zone of patch 000002 is no name such as D036_2020
        invalid type: sequence, expected a map at line 1 column 1
        "#);
        assert!(matches!(Locations::of_metadata(dir.path()), Err(LocationError::Io { .. })));
        assert!(matches!(Locations::of_metadata(&dir.path().join("none")), Err(LocationError::Io { .. })));
    }
}
