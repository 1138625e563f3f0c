//! Looking at values: of every image, mask and series.

use std::path::Path;

use flair_scoring::{
    Code, Event, Finding, PATCH_SIZE, Progress, RawLabel,
    finding::Kind,
    raster::{self, Limits},
};
use rayon::prelude::*;

use super::folded::Folded;
use crate::data::{
    DataCode, DataError, Dataset, PatchRecord, SuperAreaPaths,
    npy::{Dtype, Npy},
    sentinel::{BANDS, SuperArea},
};

/// Above it, a value is no reflectance as the dataset has them. The largest one known is 19,779 (association-rosia/flair-2,
/// commit 6483392).
const MAX_REFLECTANCE: f64 = 20_000.0;

/// Bands of an aerial image: red, green, blue, near infrared, elevation.
const AERIAL_BANDS: usize = 5;

/// Reads every image and every mask.
pub(super) fn rasters(dataset: &Dataset, progress: &dyn Progress) -> Vec<Finding> {
    let records: Vec<_> = dataset.patches.values().collect();
    let files = |record: &&PatchRecord| u64::from(record.image.is_some()) + u64::from(record.mask.is_some());
    progress.event(Event::Started { stage: "reading rasters", steps: records.iter().map(files).sum() });
    let found: Vec<_> = records
        .par_iter()
        .flat_map_iter(|record| {
            let step = |path, look: fn(&Path) -> Option<(&'static Kind, String)>| {
                let found = look(path);
                progress.event(Event::Step { patch: Some(record.id) });
                found.map(|(kind, message)| (*record, path, kind, message))
            };
            let image = record.image.as_deref().and_then(|path| step(path, image));
            let mask = record.mask.as_deref().and_then(|path| step(path, mask));
            [image, mask].into_iter().flatten()
        })
        .collect();
    progress.event(Event::Finished);
    let mut folded = Folded::default();
    for (record, path, kind, message) in found {
        folded.add(record, kind, path.display().to_string(), message);
    }
    folded.into_findings().collect()
}

fn image(path: &Path) -> Option<(&'static Kind, String)> {
    let samples = match read(path, AERIAL_BANDS) {
        Ok(samples) => samples,
        Err(found) => return Some(found),
    };
    let first = samples.first()?;
    let is_blank = samples.iter().all(|sample| sample == first);
    is_blank.then(|| (DataCode::BlankImage.kind(), format!("it is {first} everywhere")))
}

fn mask(path: &Path) -> Option<(&'static Kind, String)> {
    let samples = match read(path, 1) {
        Ok(samples) => samples,
        Err(found) => return Some(found),
    };
    let mut occurs = [false; 256];
    for sample in samples {
        occurs[usize::from(sample)] = true;
    }
    let strays = (0..=u8::MAX).filter(|&v| occurs[usize::from(v)] && RawLabel::new(v).is_none());
    let strays: Vec<_> = strays.map(|v| v.to_string()).collect();
    let shown = &strays[..strays.len().min(8)].join(", ");
    let more = if strays.len() > 8 { ", …" } else { "" };
    let message = || format!("it has labels {shown}{more}, expected 1 to {}", RawLabel::MAX);
    (!strays.is_empty()).then(|| (Code::LabelOutOfRange.kind(), message()))
}

/// The samples of a raster, `[C, 512, 512]`.
fn read(path: &Path, bands: usize) -> Result<Vec<u8>, (&'static Kind, String)> {
    let raster = raster::read(path, &Limits::default())
        .map_err(|error| (DataCode::UnusableRaster.kind(), error.error.to_string()))?;
    let shape = [raster.bands(), raster.height(), raster.width()];
    let expected = [bands, PATCH_SIZE, PATCH_SIZE];
    if shape == expected {
        return Ok(raster.into_samples());
    }
    let message = format!("its bands, rows and columns are {shape:?}, expected {expected:?}");
    Err((DataCode::WrongShape.kind(), message))
}

/// Reads every super-area whole.
pub(super) fn series(areas: &[(&SuperAreaPaths, &SuperArea)], progress: &dyn Progress) -> Vec<Finding> {
    progress.event(Event::Started { stage: "reading series", steps: areas.len() as u64 });
    let found: Vec<_> = areas
        .par_iter()
        .map(|(paths, area)| {
            let found = values(area).unwrap_or_else(|error| {
                vec![DataCode::UnusableSuperArea.finding(paths.data.display().to_string(), error.to_string())]
            });
            progress.event(Event::Step { patch: None });
            found
        })
        .collect();
    progress.event(Event::Finished);
    found.into_iter().flatten().collect()
}

/// What the values of a super-area tell.
fn values(area: &SuperArea) -> Result<Vec<Finding>, DataError> {
    let (data, masks) = (area.data(), area.masks());
    let (mut range, mut empty) = (Range::NONE, Vec::new());
    for t in 0..data.shape()[0] {
        let of_day = Range::of(data, t, BANDS)?;
        if (of_day.least, of_day.most) == (0.0, 0.0) && !of_day.has_nan {
            empty.push(t.to_string());
        }
        range = range.and(of_day);
    }
    let mut findings = Vec::new();
    let mut tell = |code: DataCode, file: &Npy, message| {
        findings.push(code.finding(file.path().display().to_string(), message));
    };
    let is_scaled = matches!(data.dtype(), Dtype::Float(_)) && (0.0..=2.0).contains(&range.most) && range.most > 0.0;
    if range.least < 0.0 || range.most > MAX_REFLECTANCE || range.has_nan || is_scaled {
        let message = format!("its values are {range}, expected 0 to 19779 or so, reflectance × 10,000");
        tell(DataCode::ReflectanceOutOfRange, data, message);
    }
    if !empty.is_empty() {
        let shown = empty[..empty.len().min(8)].join(", ");
        let more = if empty.len() > 8 { ", …" } else { "" };
        let message =
            format!("{} of {} acquisitions are 0 everywhere: {shown}{more} (from 0)", empty.len(), data.shape()[0]);
        tell(DataCode::EmptyAcquisition, data, message);
    }
    let range = (0..masks.shape()[0])
        .try_fold(Range::NONE, |range, t| Ok::<_, DataError>(range.and(Range::of(masks, t, 2)?)))?;
    if range.least < 0.0 || range.most > 100.0 || range.has_nan {
        tell(DataCode::ProbabilityOutOfRange, masks, format!("its values are {range}, expected 0 to 100"));
    }
    Ok(findings)
}

/// The least and the greatest of some numbers.
#[derive(Clone, Copy)]
struct Range {
    least: f64,
    most: f64,
    has_nan: bool,
}

impl Range {
    const NONE: Self = Self { least: f64::INFINITY, most: f64::NEG_INFINITY, has_nan: false };

    /// Of all bands at one time.
    fn of(array: &Npy, t: usize, bands: usize) -> Result<Self, DataError> {
        let [.., height, width] = array.shape();
        let (mut range, mut plane) = (Self::NONE, Vec::new());
        for c in 0..bands {
            plane.clear();
            array.read((t, c), 0..height, 0..width, &mut plane)?;
            for &value in &plane {
                // `min` and `max` pass over numbers that are none.
                range.least = range.least.min(value);
                range.most = range.most.max(value);
                range.has_nan |= value.is_nan();
            }
        }
        Ok(range)
    }

    fn and(self, other: Self) -> Self {
        Self {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
            has_nan: self.has_nan || other.has_nan,
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}{}", self.least, self.most, if self.has_nan { " and NaN" } else { "" })
    }
}
