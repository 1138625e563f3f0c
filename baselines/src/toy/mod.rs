//! A synthetic dataset in the official layout: random landscapes that resemble France from the air, for a first run
//! without the 100 GB of real data.
//!
//! The landscape of a zone is continuous; the aerial patches and the Sentinel-2 super-area of a zone show the same
//! ground. Two pairs of classes look alike from the air and differ only in their seasons: herbaceous vegetation and
//! agricultural land, and (less so) coniferous and deciduous. The test domains differ from the training domains.
//! The root holds [`MARKER`], so that results on it are never mistaken for results on real data.

mod aerial;
mod blocks;
mod cover;
mod error;
mod landscape;
mod marker;
mod noise;
mod objects;
mod plan;
mod scene;
mod sentinel;
mod store;

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use flair_scoring::{
    Progress,
    files::{MAX_RECORD, read_text},
};

pub use error::ToyError;
pub use marker::{MARKER, SCHEMA, ToyDomain, ToyMarker, ToyOptions, VERSION};
pub use plan::ToySplit;

/// Whether [`generate`] made the dataset or found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToyOrigin {
    /// Newly made.
    Made,
    /// It already existed, with the same options.
    Reused,
}

/// A toy dataset on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToySummary {
    /// Its folder.
    pub root: PathBuf,
    /// Its content.
    pub marker: ToyMarker,
    /// Whether it is new.
    pub origin: ToyOrigin,
}

/// Makes a toy dataset in `root`, in the official layout (`flair_aerial_train/`, … and the two JSON files), or finds
/// an existing one. Other files are never overwritten. A killed run leaves nothing in `root`, only a temporary folder
/// `.{name}.{process}.part` beside it.
///
/// The bytes depend on the options alone, not on the number of threads.
///
/// # Errors
/// [`ToyError::Patches`], [`ToyError::Occupied`], [`ToyError::Other`] before anything is written; [`ToyError::Io`] if
/// writing fails.
pub fn generate(root: &Path, options: &ToyOptions, progress: &dyn Progress) -> Result<ToySummary, ToyError> {
    if !ToyOptions::PATCHES.contains(&options.patches) {
        return Err(ToyError::Patches(options.patches));
    }
    if let Some(summary) = existing(root, options)? {
        return Ok(summary);
    }
    match store::make(root, options, progress)? {
        Some(marker) => Ok(ToySummary { root: root.to_owned(), marker, origin: ToyOrigin::Made }),
        // Another run was faster.
        None => existing(root, options)?.ok_or_else(|| ToyError::Occupied(root.to_owned())),
    }
}

/// The marker of the toy dataset in `root`; `None` if there is no marker: any data there are real.
///
/// # Errors
/// [`ToyError::Marker`] if the marker is invalid, [`ToyError::Io`] if it cannot be read.
pub fn marker(root: &Path) -> Result<Option<ToyMarker>, ToyError> {
    let path = root.join(MARKER);
    let text = match read_text(&path, MAX_RECORD) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(ToyError::Io { path, error }),
    };
    let wrong = |reason: String| ToyError::Marker { path: path.clone(), reason };
    let marker: ToyMarker = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if marker.schema != SCHEMA {
        return Err(wrong(format!("its schema is `{}`, expected `{SCHEMA}`", marker.schema)));
    }
    Ok(Some(marker))
}

/// The existing dataset in `root` with these options; `None` if `root` is empty or does not exist.
fn existing(root: &Path, options: &ToyOptions) -> Result<Option<ToySummary>, ToyError> {
    if let Some(found) = marker(root)? {
        if found.options == *options && found.version == VERSION {
            let root = root.to_owned();
            return Ok(Some(ToySummary { root, marker: found, origin: ToyOrigin::Reused }));
        }
        return Err(ToyError::Other { path: root.to_owned(), found: Box::new(found) });
    }
    match fs::read_dir(root).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() != io::ErrorKind::NotADirectory => Err(ToyError::io(root)(error)),
        _ => Err(ToyError::Occupied(root.to_owned())),
    }
}
