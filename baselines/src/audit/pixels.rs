//! Checks of pixel values: of every image, mask and series.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use flair_scoring::{
    Code, Event, Finding, PATCH_SIZE, PatchId, Progress, RawLabel,
    finding::Kind,
    raster::{self, Limits},
};
use rayon::prelude::*;

use super::folded::{Folded, name, ranges};
use crate::data::{
    DataCode, DataError, Dataset, Part, PatchRecord, SuperAreaPaths, aerial,
    npy::{Dtype, Npy},
    sentinel::{BANDS, SuperArea},
};

/// Values above it are out of the dataset's range of reflectances. The largest known value is 19,779
/// (association-rosia/flair-2, commit 6483392).
const MAX_REFLECTANCE: f64 = 20_000.0;

/// Names of an aerial image's bands.
const BAND_NAMES: [&str; aerial::BANDS] = ["red", "green", "blue", "near infrared", "elevation"];

/// Result of reading a raster.
#[derive(Default)]
struct RasterSummary {
    /// A problem of this raster alone.
    remark: Option<(&'static Kind, String)>,
    /// Which bands of an image have a value other than 0; `None` if unknown.
    bands: Option<[bool; aerial::BANDS]>,
    /// Pixel counts of the labels in a mask; `None` if unknown.
    labels: Option<Vec<(u8, u64)>>,
}

/// Reads every image and every mask.
pub(super) fn rasters(dataset: &Dataset, progress: &dyn Progress) -> Vec<Finding> {
    let records: Vec<_> = dataset.patches.values().collect();
    let files = |record: &&PatchRecord| u64::from(record.image.is_some()) + u64::from(record.mask.is_some());
    progress.event(Event::Started { stage: "reading rasters", steps: records.iter().map(files).sum() });
    let read: Vec<_> = records
        .par_iter()
        .flat_map_iter(|record| {
            let step = |path, summarize: fn(&Path) -> RasterSummary| {
                let summary = summarize(path);
                progress.event(Event::Step { patch: Some(record.id) });
                (*record, path, summary)
            };
            let image = record.image.as_deref().map(|path| step(path, image));
            let mask = record.mask.as_deref().map(|path| step(path, mask));
            [image, mask].into_iter().flatten()
        })
        .collect();
    progress.event(Event::Finished);
    let mut findings: Vec<_> = invalid_labels(&read).into_iter().chain(blank_bands(&read)).collect();
    findings.extend(single_label(&read));
    let (mut images, mut masks) = (Folded::of("images"), Folded::of("masks"));
    for (record, path, summary) in read {
        let folded = if record.mask.as_deref() == Some(path) { &mut masks } else { &mut images };
        if let Some((kind, message)) = summary.remark {
            folded.add(record, kind, path.display().to_string(), message);
        }
    }
    findings.extend(images.into_findings().chain(masks.into_findings()));
    findings
}

/// A patch, the path of its image or mask, and the result of reading it.
type Read<'a> = (&'a PatchRecord, &'a Path, RasterSummary);

/// Mask values that are not labels: one finding per domain.
fn invalid_labels(read: &[Read<'_>]) -> Vec<Finding> {
    type Domain<'a> = (&'a Path, Vec<PatchId>, BTreeMap<u8, u64>);
    let mut domains: BTreeMap<(Part, &str), Domain<'_>> = BTreeMap::new();
    for (record, path, summary) in read {
        let invalid = summary.labels.iter().flatten().filter(|(label, _)| RawLabel::new(*label).is_none());
        for &(label, pixels) in invalid {
            let key = (record.part, record.domain.as_str());
            let (_, ids, counts) = domains.entry(key).or_insert_with(|| (path, Vec::new(), BTreeMap::new()));
            ids.push(record.id);
            *counts.entry(label).or_default() += pixels;
        }
    }
    let findings = domains.into_iter().map(|((part, domain), (path, mut ids, counts))| {
        ids.dedup();
        let labels: Vec<_> = counts.keys().map(u8::to_string).collect();
        let more = if labels.len() > 8 { ", …" } else { "" };
        let (labels, pixels) = (labels[..labels.len().min(8)].join(", "), counts.values().sum::<u64>());
        let have = if pixels == 1 { "pixel has" } else { "pixels have" };
        let message = format!("{pixels} {have} labels {labels}{more}, expected 1 to {}", RawLabel::MAX);
        if ids.len() == 1 {
            return Code::LabelOutOfRange.finding(path.display().to_string(), message);
        }
        let message = format!("{message} ({} masks: {})", ids.len(), ranges(ids));
        Code::LabelOutOfRange.finding(format!("{}/{domain}", name(part)), message)
    });
    findings.collect()
}

/// Bands that are 0 in all images.
fn blank_bands(read: &[Read<'_>]) -> Vec<Finding> {
    let images: Vec<_> = read.iter().filter_map(|(_, _, summary)| summary.bands).collect();
    // Blank images are reported on their own.
    let blank =
        (0..aerial::BANDS).filter(|&band| images.iter().any(|i| i.contains(&true)) && !images.iter().any(|i| i[band]));
    let findings = blank.map(|band| {
        let message =
            format!("band {} ({}) is 0 everywhere in all {} images", band + 1, BAND_NAMES[band], images.len());
        DataCode::BlankBand.finding("the dataset", message)
    });
    findings.collect()
}

/// Whether all masks, if there are at least two, have the same single label.
fn single_label(read: &[Read<'_>]) -> Option<Finding> {
    let masks: Vec<_> = read.iter().filter_map(|(_, _, summary)| summary.labels.as_ref()).collect();
    let labels: BTreeSet<u8> = masks.iter().flat_map(|labels| labels.iter().map(|(label, _)| *label)).collect();
    let label = labels.first().filter(|_| labels.len() == 1 && masks.len() > 1)?;
    let message = format!("all {} masks are {label} everywhere", masks.len());
    Some(DataCode::SingleLabel.finding("the dataset", message))
}

fn image(path: &Path) -> RasterSummary {
    let samples = match read(path, aerial::BANDS) {
        Ok(samples) => samples,
        Err(remark) => return RasterSummary { remark: Some(remark), ..RasterSummary::default() },
    };
    let is_blank = samples.iter().all(|sample| samples.first() == Some(sample));
    let remark = samples.first().filter(|_| is_blank);
    let remark = remark.map(|first| (DataCode::BlankImage.kind(), format!("it is {first} everywhere")));
    let mut bands = [false; aerial::BANDS];
    for (band, samples) in bands.iter_mut().zip(samples.chunks_exact(PATCH_SIZE * PATCH_SIZE)) {
        *band = samples.iter().any(|&sample| sample > 0);
    }
    RasterSummary { remark, bands: Some(bands), labels: None }
}

fn mask(path: &Path) -> RasterSummary {
    let samples = match read(path, 1) {
        Ok(samples) => samples,
        Err(remark) => return RasterSummary { remark: Some(remark), ..RasterSummary::default() },
    };
    let mut counts = [0u64; 256];
    for sample in samples {
        counts[usize::from(sample)] += 1;
    }
    let labels = (0..=u8::MAX).zip(counts).filter(|(_, pixels)| *pixels > 0).collect();
    RasterSummary { labels: Some(labels), ..RasterSummary::default() }
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

/// Reads every super-area completely.
pub(super) fn series(areas: &[(&SuperAreaPaths, &SuperArea)], progress: &dyn Progress) -> Vec<Finding> {
    progress.event(Event::Started { stage: "reading series", steps: areas.len() as u64 });
    let found: Vec<_> = areas
        .par_iter()
        .map(|(paths, area)| {
            let found = values(area).unwrap_or_else(|error| {
                vec![DataCode::UnusableSuperArea.finding(paths.data.display().to_string(), error.about(&paths.data))]
            });
            progress.event(Event::Step { patch: None });
            found
        })
        .collect();
    progress.event(Event::Finished);
    found.into_iter().flatten().collect()
}

/// Findings about the values of a super-area.
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
    let mut report = |code: DataCode, file: &Npy, message| {
        findings.push(code.finding(file.path().display().to_string(), message));
    };
    let is_scaled = matches!(data.dtype(), Dtype::Float(_)) && (0.0..=2.0).contains(&range.most) && range.most > 0.0;
    if range.least < 0.0 || range.most > MAX_REFLECTANCE || range.has_nan || is_scaled {
        let message = format!("its values are {range}, expected 0 to 19779 or so, reflectance × 10,000");
        report(DataCode::ReflectanceOutOfRange, data, message);
    }
    if !empty.is_empty() {
        let shown = empty[..empty.len().min(8)].join(", ");
        let more = if empty.len() > 8 { ", …" } else { "" };
        let message =
            format!("{} of {} acquisitions are 0 everywhere: {shown}{more} (from 0)", empty.len(), data.shape()[0]);
        report(DataCode::EmptyAcquisition, data, message);
    }
    let range = (0..masks.shape()[0])
        .try_fold(Range::NONE, |range, t| Ok::<_, DataError>(range.and(Range::of(masks, t, 2)?)))?;
    if range.least < 0.0 || range.most > 100.0 || range.has_nan {
        report(DataCode::ProbabilityOutOfRange, masks, format!("its values are {range}, expected 0 to 100"));
    }
    Ok(findings)
}

/// Minimum and maximum of some numbers.
#[derive(Clone, Copy)]
struct Range {
    least: f64,
    most: f64,
    has_nan: bool,
}

impl Range {
    const NONE: Self = Self { least: f64::INFINITY, most: f64::NEG_INFINITY, has_nan: false };

    /// The range of all bands of one acquisition.
    fn of(array: &Npy, t: usize, bands: usize) -> Result<Self, DataError> {
        let [.., height, width] = array.shape();
        let (mut range, mut plane) = (Self::NONE, Vec::new());
        for c in 0..bands {
            plane.clear();
            array.read((t, c), 0..height, 0..width, &mut plane)?;
            for &value in &plane {
                // `min` and `max` ignore NaN.
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
