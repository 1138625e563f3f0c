//! Packs the archive to submit: flat, sorted, and byte-identical for the same predictions.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, DateTime, System, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::{
    Code,
    check::{CheckReport, examine},
    name::ArchiveName,
    named::predictions,
    options::{CheckOptions, Digests, Doubtful},
};
use crate::{
    Event, PatchId, Progress,
    files::{Latched, remove_parts, sha256_of, write_atomically},
    raster,
    source::{Entry, ReadError, Source},
    text::{counted, shown},
};

/// Errors of packing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The check found errors; the report holds all findings.
    #[error("the submission is not valid: {} found", counted(.0.counts.errors, "error"))]
    Refused(Box<CheckReport>),
    /// The submission is valid, but looks like a usual mistake; the report holds all findings.
    #[error("the predictions look like a mistake")]
    Doubtful(Box<CheckReport>),
    /// A prediction could not be read a second time.
    #[error("a prediction changed while it was packed: {0}")]
    Read(#[from] ReadError),
    /// A prediction is not the one that was checked.
    #[error("a prediction changed while it was packed: `{}` has other bytes than when it was checked", shown(name))]
    Changed {
        /// Its path in the source.
        name: String,
    },
    /// The archive could not be written.
    #[error("cannot write `{path}`: {error}")]
    Write {
        /// The archive's path.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

/// A packed archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Its path.
    pub path: PathBuf,
    /// Number of predictions in it.
    pub entries: usize,
    /// Its size in bytes.
    pub bytes: u64,
    /// Number of predictions that were not compressed by LZW, and are in the archive.
    pub recompressed: usize,
    /// The result of the check: no errors, perhaps warnings.
    pub report: CheckReport,
}

/// Checks a submission and packs its predictions as `folder/name`; replaces an existing file, and removes what a killed
/// process left of one.
///
/// The archive contains only the predictions, without folders, sorted by number, dated 1980-01-01 and with mode 0644,
/// so the same predictions give the same bytes. A TIFF that is not compressed by LZW, as the challenge asks, is written
/// again with the same pixels. What is packed has the bytes that were checked: a file that changed meanwhile is an
/// error. The file is written completely or not at all.
///
/// # Errors
/// [`PackError::Refused`] if [`check`](super::check()) finds an error; [`PackError::Doubtful`] if the predictions look
/// like a usual mistake and `doubtful` refuses them; other variants if a file can't be read or has changed, or the
/// archive can't be written.
pub fn pack(
    source: &Source,
    expected: Option<&BTreeSet<PatchId>>,
    options: &CheckOptions,
    doubtful: Doubtful,
    folder: &Path,
    name: &ArchiveName,
    progress: &dyn Progress,
) -> Result<Packed, PackError> {
    // The archive gets only the predictions, so a file that would name a program does no harm here.
    let (report, digests) = examine(source, expected, options, Digests::Sha256, progress);
    let report = report.with_warnings(Code::ProgramMetadata);
    if !report.valid {
        return Err(PackError::Refused(Box::new(report)));
    }
    if report.is_doubtful() && doubtful == Doubtful::Refuse {
        return Err(PackError::Doubtful(Box::new(report)));
    }
    // After the check, every patch has exactly one prediction.
    let predictions = predictions(source).filter(|(_, entry)| entry.defects.is_empty());
    let mut predictions: Vec<_> = predictions.collect();
    predictions.sort_by_key(|(id, _)| *id);

    let path = folder.join(name.to_string());
    remove_parts(folder, &name.to_string()).map_err(|error| PackError::Write { path: folder.to_owned(), error })?;
    let job = Job { source, digests, options, progress };
    progress.event(Event::Started { stage: "packing", steps: predictions.len() as u64 });
    let mut recompressed = 0;
    write_atomically(&path, |file| {
        recompressed = job.write(file, &predictions)?;
        Ok(())
    })
    .map_err(|failure| match failure {
        Failure::Read(error) => PackError::Read(error),
        Failure::Changed(name) => PackError::Changed { name },
        Failure::Write(error) => PackError::Write { path: path.clone(), error },
    })?;
    progress.event(Event::Finished);
    let size = std::fs::metadata(&path).map_err(|error| PackError::Write { path: path.clone(), error })?.len();
    let report = report.recompressed();
    Ok(Packed { path, entries: predictions.len(), bytes: size, recompressed, report })
}

enum Failure {
    Read(ReadError),
    Changed(String),
    Write(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<ZipError> for Failure {
    fn from(error: ZipError) -> Self {
        Self::Write(error.into())
    }
}

struct Job<'a> {
    source: &'a Source,
    /// The digests of the checked predictions.
    digests: BTreeMap<PatchId, String>,
    options: &'a CheckOptions,
    progress: &'a dyn Progress,
}

impl Job<'_> {
    /// Writes the archive; returns the number of predictions that were compressed again.
    fn write(&self, file: &mut BufWriter<std::fs::File>, predictions: &[(PatchId, &Entry)]) -> Result<usize, Failure> {
        // Deflate saves only 0 to 2 % of an LZW prediction, which is not worth the time.
        let stored = SimpleFileOptions::default()
            .system(System::Unix)
            .unix_permissions(0o644)
            .last_modified_time(DateTime::default())
            .compression_method(CompressionMethod::Stored);
        let (out, latch) = Latched::new(file);
        let mut archive = ZipWriter::new(out);
        let mut recompressed = 0;
        for (id, entry) in predictions {
            latch.check()?;
            let bytes = self.read(*id, entry)?;
            let again = self.by_lzw(&bytes);
            recompressed += usize::from(again.is_some());
            archive.start_file(id.file_name("PRED"), stored)?;
            archive.write_all(again.as_ref().unwrap_or(&bytes))?;
            self.progress.event(Event::Step { patch: Some(*id) });
        }
        archive.finish()?;
        latch.check()?;
        Ok(recompressed)
    }

    /// Reads a prediction, which must have the bytes that were checked.
    fn read(&self, id: PatchId, entry: &Entry) -> Result<Vec<u8>, Failure> {
        let bytes = self.source.read(entry, self.options.limits.file_bytes).map_err(Failure::Read)?;
        let digest = sha256_of(&bytes);
        if self.digests.get(&id) == Some(&digest) { Ok(bytes) } else { Err(Failure::Changed(entry.name.clone())) }
    }

    /// The same pixels compressed by LZW; `None` if they are already.
    fn by_lzw(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let limits = &self.options.limits;
        let header = raster::header(bytes, limits).ok()?;
        if header.compression == raster::Compression::Lzw {
            return None;
        }
        raster::decode(bytes, limits).ok().map(|raster| raster::encode(&raster))
    }
}
