//! Makes a challenge's bundles: settings, pages, logo, reference data, scoring program, starting kit.

mod codabench;
mod codalab;
pub(super) mod files;
mod logo;
mod plan;
pub mod program;
#[cfg(test)]
mod tests;
mod yaml;

pub use plan::Plan;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    Platform, rules, schema,
    zip::{Archive, Keep, archive},
};
use flair_scoring::{
    Event, Finding, PatchId, Progress, Protocol,
    files::{open_regular, write_atomically},
    lock::{FolderLock, part_name, remove_abandoned},
    raster::{self, Limits, Raster},
    score::{
        evaluate::{EvaluateError, Evaluation, Options, evaluate},
        metrics::Metrics,
        pairing::Masks,
    },
    source::{Source, SourceError},
    unfinished::Unfinished,
};

/// The folder of intermediate files is `.bundle.{process}.part`.
const SCRATCH: &str = "bundle";

/// A finished bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its platform.
    pub platform: Platform,
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Errors when making bundles.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// There are no masks.
    #[error("there is no mask: expected files named as MSK_000826.tif")]
    NoMasks,
    /// The masks cannot be used for scoring.
    #[error("the masks cannot be the reference data of a challenge")]
    Masks(Vec<Finding>),
    /// No submission could have an mIoU. Codabench puts submissions without one first.
    #[error("the masks have no pixel of a class that the protocol averages, so no submission could have an mIoU")]
    NoMean,
    /// The logo is not a PNG.
    #[error("the logo is not a PNG file")]
    Logo,
    /// A bundle breaks the rules of its platform.
    #[error("the bundle for {platform} breaks the platform's rules")]
    Schema {
        /// The platform.
        platform: Platform,
        /// The broken rules.
        findings: Vec<Finding>,
    },
    /// A file cannot be read or written.
    #[error("cannot make `{}`: {error}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// Writes `OUT/PLATFORM.zip` for every platform of the plan. The same plan and masks give the same bytes.
///
/// The starting kit's sample submission has every patch. It is scored first, which proves that the masks can be used.
/// Every bundle is then checked against its platform's rules with [`schema::check`].
///
/// `truth` is the masks' folder: in the reference data the masks keep their paths below it.
///
/// # Errors
/// [`BundleError`]: broken, missing or duplicate masks; a logo that is not a PNG; a file that cannot be read or
/// written.
pub fn make(
    plan: &Plan<'_>,
    truth: &Path,
    masks: &Masks,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Made>, BundleError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| BundleError::Io { path, error }
    };
    if plan.logo.is_some_and(|logo| !logo.starts_with(b"\x89PNG\r\n\x1a\n")) {
        return Err(BundleError::Logo);
    }
    // Intermediate files, removed at the end.
    fs::create_dir_all(out).and_then(|()| remove_abandoned(out, SCRATCH)).map_err(at(out))?;
    let scratch = Unfinished::folder(out.join(part_name(SCRATCH))).map_err(at(out))?;
    let _lock = FolderLock::take(scratch.path(), "a process that makes bundles")
        .map_err(|error| BundleError::Io { path: scratch.path().to_owned(), error: io::Error::other(error) })?;
    let sample = sample(plan.protocol, masks)?;
    let sample_path = scratch.path().join(files::SAMPLE);
    fs::write(&sample_path, &sample).map_err(at(&sample_path))?;
    let scored = try_sample(&sample_path, plan.protocol, masks, progress)?;
    if Metrics::of(&scored.matrix, plan.protocol).means.miou.is_none() {
        return Err(BundleError::NoMean);
    }

    let reference = scratch.path().join(files::REFERENCE);
    let reference_bytes = pack_reference(&reference, truth, masks, progress).map_err(at(&reference))?;
    let ids: Vec<_> = masks.iter().map(|(id, _)| id).collect();
    let parts = parts(plan, &ids, &sample).map_err(at(plan.pages.unwrap_or(out)))?;
    let mut made = Vec::new();
    for &platform in plan.platforms {
        let path = scratch.path().join(format!("{}.zip", platform.name()));
        let yaml = match platform {
            Platform::Codabench => codabench::competition(plan),
            Platform::Codalab => codalab::competition(plan),
        };
        write_atomically(&path, |file| {
            let mut bundle = Archive::new(file);
            // First, since CodaLab reads the first name with `.yaml` in it as the settings.
            bundle.add("competition.yaml", yaml.as_bytes(), Keep::Deflated)?;
            for (name, bytes, keep) in &parts {
                bundle.add(name, bytes, *keep)?;
            }
            bundle.copy(files::REFERENCE, File::open(&reference)?, reference_bytes, Keep::Stored)?;
            bundle.finish().map(|_| ())
        })
        .map_err(at(&path))?;
        let findings = schema::check(platform, &open(&path)?);
        if !findings.is_empty() {
            return Err(BundleError::Schema { platform, findings });
        }
        made.push((platform, path));
    }
    // All bundles are complete and valid: only now move them to their paths.
    let moved = made.into_iter().map(|(platform, found)| {
        let path = bundle_path(out, platform);
        let bytes = fs::metadata(&found).and_then(|metadata| fs::rename(&found, &path).map(|()| metadata.len()));
        Ok(Made { platform, bytes: bytes.map_err(at(&path))?, path })
    });
    moved.collect()
}

/// The path of a platform's bundle in a folder.
pub fn bundle_path(out: &Path, platform: Platform) -> PathBuf {
    out.join(format!("{}.zip", platform.name()))
}

type Part = (&'static str, Vec<u8>, Keep);

/// The files of all bundles, without the reference data, which are large.
fn parts(plan: &Plan<'_>, ids: &[PatchId], sample: &[u8]) -> io::Result<Vec<Part>> {
    let mut parts: Vec<Part> =
        files::pages(plan, ids)?.into_iter().map(|(name, text)| (name, text.into_bytes(), Keep::Deflated)).collect();
    let logo = plan.logo.map_or_else(logo::png, |logo| Ok(logo.to_vec()))?;
    let score = files::score_sh(plan);
    let program = archive(&[
        ("metadata", files::METADATA.as_bytes(), Keep::Deflated),
        ("metadata.yaml", files::METADATA.as_bytes(), Keep::Deflated),
        ("score.sh", score.as_bytes(), Keep::Program),
        (files::PROTOCOL, plan.protocol.to_yaml().as_bytes(), Keep::Deflated),
        ("flair-bench", plan.program, Keep::Program),
    ])?;
    let (readme, list) = files::kit_texts(plan, ids);
    let protocol = plan.protocol.to_yaml();
    let mut kit = vec![
        ("README.md", readme.as_bytes(), Keep::Deflated),
        ("ids.txt", list.as_bytes(), Keep::Deflated),
        (files::SAMPLE, sample, Keep::Deflated),
        ("flair-bench", plan.program, Keep::Program),
    ];
    if files::is_of_a_file(plan.protocol) {
        kit.push((files::PROTOCOL, protocol.as_bytes(), Keep::Deflated));
    }
    let kit = archive(&kit)?;
    parts.push((files::LOGO, logo, Keep::Stored));
    parts.push((files::PROGRAM, program, Keep::Stored));
    parts.push((files::KIT, kit, Keep::Stored));
    parts.push((files::SAMPLE, sample.to_vec(), Keep::Deflated));
    Ok(parts)
}

/// A valid submission of every patch that scores 0: all pixels have a class outside the mean.
fn sample(protocol: &Protocol, masks: &Masks) -> Result<Vec<u8>, BundleError> {
    let limits = Limits::default();
    let mut archive = Archive::new(io::Cursor::new(Vec::new()));
    // Masks usually have one size: compress the same picture only once.
    let mut last: Option<((usize, usize), Vec<u8>)> = None;
    let mut findings = Vec::new();
    for (id, path) in masks.iter() {
        let header = raster::load(path, &limits)
            .map_err(|error| error.to_string())
            .and_then(|bytes| raster::header(&bytes, &limits).map_err(|error| error.to_string()));
        let size = match header {
            Ok(header) => (header.height, header.width),
            Err(reason) => {
                findings.push(flair_scoring::Code::UnreadableMask.finding(path.to_string_lossy(), reason));
                continue;
            }
        };
        if last.as_ref().is_none_or(|(known, _)| *known != size) {
            let pixels = vec![rules::filler(protocol); size.0 * size.1];
            last = Raster::new(1, size.0, size.1, pixels).map(|raster| (size, raster::encode(&raster)));
        }
        if let Some((_, bytes)) = &last {
            // The LZW codes of a constant image are repetitive, so deflating them pays.
            let added = archive.add(&id.file_name("PRED"), bytes, Keep::Deflated);
            added.map_err(|error| BundleError::Io { path: files::SAMPLE.into(), error })?;
        }
    }
    if !findings.is_empty() {
        return Err(BundleError::Masks(findings));
    }
    let bytes = archive.finish().map_err(|error| BundleError::Io { path: files::SAMPLE.into(), error })?;
    Ok(bytes.into_inner())
}

/// Scores the sample submission.
fn try_sample(
    path: &Path,
    protocol: &Protocol,
    masks: &Masks,
    progress: &dyn Progress,
) -> Result<Evaluation, BundleError> {
    let options = Options { protocol: protocol.clone(), ..Options::default() };
    evaluate(masks, &open(path)?, &options, progress).map_err(|error| match error {
        EvaluateError::NotScorable(findings) => BundleError::Masks(findings),
        EvaluateError::NoMasks => BundleError::NoMasks,
    })
}

/// Opens an archive that this module wrote.
fn open(path: &Path) -> Result<Source, BundleError> {
    Source::open(path).map_err(|error| {
        let error = match error {
            SourceError::Io { error, .. } => error,
            SourceError::Archive { reason, .. } => io::Error::other(reason),
        };
        BundleError::Io { path: path.to_owned(), error }
    })
}

/// Packs the masks, unchanged, under their paths below `truth`. Returns the archive's size in bytes.
fn pack_reference(path: &Path, truth: &Path, masks: &Masks, progress: &dyn Progress) -> io::Result<u64> {
    progress.event(Event::Started { stage: "packing the reference data", steps: masks.len() as u64 });
    let mut archive = Archive::new(BufWriter::new(File::create(path)?));
    for (id, mask) in masks.iter() {
        let parts: Option<Vec<_>> = mask
            .strip_prefix(truth)
            .ok()
            .map(|below| below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect());
        let name = parts.filter(|parts| !parts.is_empty()).map_or_else(|| id.file_name("MSK"), |parts| parts.join("/"));
        let file = open_regular(mask)?;
        let size = file.metadata()?.len();
        archive.copy(&name, file, size, Keep::Stored)?;
        progress.event(Event::Step { patch: Some(id) });
    }
    archive.finish()?.flush()?;
    progress.event(Event::Finished);
    fs::metadata(path).map(|metadata| metadata.len())
}
