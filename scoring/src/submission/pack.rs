//! Packs the archive to submit: flat, sorted, and byte-identical for the same predictions.

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, DateTime, System, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::{
    Code,
    check::{CheckReport, check},
    name::ArchiveName,
    named::predictions,
    options::CheckOptions,
};
use crate::{
    Event, PatchId, Progress,
    files::{Latched, remove_parts, write_atomically},
    raster,
    source::{Entry, ReadError, Source},
    text::counted,
};

/// Errors of packing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The check found errors; the report holds all findings.
    #[error("the submission is not valid: {} found", counted(.0.counts.errors, "error"))]
    Refused(Box<CheckReport>),
    /// A prediction could not be read a second time.
    #[error("a prediction changed while it was packed: {0}")]
    Read(#[from] ReadError),
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
    /// The result of the check: no errors, perhaps warnings.
    pub report: CheckReport,
}

/// Checks a submission and packs its predictions as `folder/name`; replaces an existing file, and removes what a killed
/// process left of one.
///
/// The archive contains only the predictions, without folders, sorted by number, dated 1980-01-01 and with mode 0644,
/// so the same predictions give the same bytes. The file is written completely or not at all.
///
/// # Errors
/// [`PackError::Refused`] if [`check`] finds an error; other variants if a file can't be read or the archive can't be
/// written.
pub fn pack(
    source: &Source,
    expected: Option<&BTreeSet<PatchId>>,
    options: &CheckOptions,
    folder: &Path,
    name: &ArchiveName,
    progress: &dyn Progress,
) -> Result<Packed, PackError> {
    // The archive gets only the predictions, so a file that would name a program does no harm here.
    let report = check(source, expected, options, progress).with_warnings(Code::ProgramMetadata);
    if !report.valid {
        return Err(PackError::Refused(Box::new(report)));
    }
    // After the check, every patch has exactly one prediction.
    let predictions = predictions(source).filter(|(_, entry)| entry.defects.is_empty());
    let mut predictions: Vec<_> = predictions.collect();
    predictions.sort_by_key(|(id, _)| *id);

    let path = folder.join(name.to_string());
    remove_parts(folder, &name.to_string()).map_err(|error| PackError::Write { path: folder.to_owned(), error })?;
    progress.event(Event::Started { stage: "packing", steps: predictions.len() as u64 });
    write_atomically(&path, |file| write(file, source, &predictions, options, progress)).map_err(
        |error| match error {
            Failure::Read(error) => PackError::Read(error),
            Failure::Write(error) => PackError::Write { path: path.clone(), error },
        },
    )?;
    progress.event(Event::Finished);
    let size = std::fs::metadata(&path).map_err(|error| PackError::Write { path: path.clone(), error })?.len();
    Ok(Packed { path, entries: predictions.len(), bytes: size, report })
}

enum Failure {
    Read(ReadError),
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

fn write(
    file: &mut BufWriter<std::fs::File>,
    source: &Source,
    predictions: &[(PatchId, &Entry)],
    options: &CheckOptions,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let common = SimpleFileOptions::default()
        .system(System::Unix)
        .unix_permissions(0o644)
        .last_modified_time(DateTime::default());
    let (out, latch) = Latched::new(file);
    let mut archive = ZipWriter::new(out);
    for (id, entry) in predictions {
        latch.check()?;
        let bytes = source.read(entry, options.limits.file_bytes).map_err(Failure::Read)?;
        archive.start_file(id.file_name("PRED"), common.compression_method(method(&bytes, options)))?;
        archive.write_all(&bytes)?;
        progress.event(Event::Step { patch: Some(*id) });
    }
    archive.finish()?;
    Ok(latch.check()?)
}

/// Chooses the zip method of one prediction. Deflate saves only 0 to 2 % of an LZW prediction (4 to 8 % of a mask,
/// which nobody packs), which is not worth the time; it makes an uncompressed image about thirty times smaller.
fn method(bytes: &[u8], options: &CheckOptions) -> CompressionMethod {
    match raster::header(bytes, &options.limits) {
        Ok(header) if header.compression == raster::Compression::None => CompressionMethod::Deflated,
        _ => CompressionMethod::Stored,
    }
}
