//! The input of a scoring program: `INPUT/ref` with the masks, `INPUT/res` with a submission.

use std::{
    io,
    path::{Path, PathBuf},
};

use flair_scoring::{
    Finding, Severity,
    source::{Defect, Entry, Source, SourceError},
    submission::{Code, predictions},
    text::shown,
};

/// The two halves of a scoring program's input.
#[derive(Debug)]
pub struct Input {
    /// The folder of the masks.
    pub reference: PathBuf,
    /// The submission: the unpacked files, or the one archive among them, which is read as it is.
    pub submission: Source,
    /// The unpacked files beside that archive, if there is one.
    pub beside: Option<Source>,
}

/// Errors in the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A folder that the platform should provide is missing.
    #[error("`{}` is not a folder: expected {what}", path.display())]
    Missing {
        /// The folder's path.
        path: PathBuf,
        /// Its expected contents.
        what: &'static str,
    },
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The submission cannot be read.
    #[error("not scored: the submission cannot be read")]
    Submission(Vec<Finding>),
}

impl Input {
    /// Finds both halves in `INPUT`.
    ///
    /// If the submission has exactly one zip archive, it is read from that archive. CodaLab's worker also unpacks such
    /// an archive into a folder of the same name (`worker.py`, `get_bundle`): that folder is a copy, and is ignored.
    ///
    /// # Errors
    /// [`InputError`]: a half is missing or cannot be read; the submission is a broken archive, has several archives,
    /// or has symbolic links, which could lead to the masks.
    pub fn find(input: &Path) -> Result<Self, InputError> {
        let folder = |name: &str, what| {
            let path = input.join(name);
            if path.is_dir() { Ok(path) } else { Err(InputError::Missing { path, what }) }
        };
        let reference = folder("ref", "the masks, MSK_*.tif")?;
        let files = folder("res", "the submission's files")?;
        refuse_links(&files)?;
        let unpacked = open(&files)?;
        let archives: Vec<_> = unpacked.entries().iter().filter(|entry| is_zip(entry)).collect();
        let is_loose = |name: &str| !archives.iter().any(|archive| name.starts_with(&folder_of(&archive.name)));
        let has_loose_predictions = predictions(&unpacked).any(|(_, entry)| is_loose(&entry.name));
        match archives.as_slice() {
            [archive] if !has_loose_predictions => {
                let submission = open(&files.join(&archive.name))?;
                Ok(Self { reference, submission, beside: Some(unpacked) })
            }
            [_, _, ..] if !has_loose_predictions => {
                let names: Vec<_> = archives.iter().map(|archive| format!("`{}`", shown(&archive.name))).collect();
                let message = format!("several archives, where one is expected: {}", names.join(", "));
                Err(InputError::Submission(vec![Code::NoPredictions.finding("submission", message)]))
            }
            _ => Ok(Self { reference, submission: unpacked, beside: None }),
        }
    }

    /// A finding if the platform handed on none of the participant's files. Codabench's worker does so if it takes the
    /// submission for a program, and leaves only a `metadata` of its own (`compute_worker.py`,
    /// `_run_program_directory`, `push_output`).
    pub fn nothing_handed_on(&self) -> Option<Finding> {
        let is_empty = self.beside.is_none() && self.submission.entries().iter().all(|entry| entry.name == "metadata");
        let message = "the platform passed on no file of the submission: it is empty, or has a file `metadata` or \
                       `metadata.yaml`, for which Codabench takes it for a program";
        is_empty.then(|| Code::ProgramMetadata.finding("submission", message).with_severity(Severity::Note))
    }
}

fn open(path: &Path) -> Result<Source, InputError> {
    Source::open(path).map_err(|error| match error {
        SourceError::Archive { path, reason } => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let message = format!("not a readable zip archive: {}", shown(&reason));
            InputError::Submission(vec![Code::UnreadableArchive.finding(shown(&name), message)])
        }
        SourceError::Io { path, error } => InputError::Io { path, error },
    })
}

/// Refuses symbolic links, which could lead to the masks, and files that cannot be reached.
fn refuse_links(folder: &Path) -> Result<(), InputError> {
    let mut findings = Vec::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            // Below the folder it is the participant's: a path that is too long, a subfolder that may not be read.
            Err(error) if error.depth() > 0 => {
                let name = error.path().and_then(|path| path.strip_prefix(folder).ok()).unwrap_or(Path::new("?"));
                let reason = error.io_error().map_or_else(|| "a loop of links".to_owned(), ToString::to_string);
                let message = format!("cannot be read: {reason}");
                findings.push(Code::UnreadableFile.finding(shown(&name.to_string_lossy()), message));
                continue;
            }
            Err(error) => return Err(InputError::Io { path: folder.to_owned(), error: error.into() }),
        };
        if entry.path_is_symlink() {
            let name = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_string_lossy();
            findings.push(Code::SymbolicLink.finding(shown(&name), "a symbolic link, which no submission needs"));
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(InputError::Submission(findings)) }
}

/// Whether an entry is an archive at the top level.
fn is_zip(entry: &Entry) -> bool {
    let name = &entry.name;
    !entry.defects.contains(&Defect::NotAFile)
        && !name.contains('/')
        && !name.starts_with('.')
        && Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"))
}

/// The folder into which CodaLab's worker unpacks an archive: `run_5-57_14-40/` for `run_5-57_14-40.zip`.
fn folder_of(archive: &str) -> String {
    format!("{}/", &archive[..archive.len().saturating_sub(4)])
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::zip::{Keep, archive};
    use flair_scoring::raster::{self, Raster};

    fn input(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["ref", "res"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for (name, bytes) in files {
            let path = dir.path().join("res").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        dir
    }

    fn tiff() -> Vec<u8> {
        raster::encode(&Raster::new(1, 2, 2, vec![0; 4]).unwrap())
    }

    fn zipped() -> Vec<u8> {
        archive(&[("preds/PRED_000001.tif", &tiff(), Keep::Stored)]).unwrap()
    }

    fn names(input: &Input) -> Vec<&str> {
        input.submission.entries().iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn unpacked_files_are_the_submission() {
        let dir = input(&[("a/PRED_000001.tif", tiff()), ("metadata", b"exitCode: 0".to_vec())]);
        let found = Input::find(dir.path()).unwrap();
        assert_eq!(names(&found), ["a/PRED_000001.tif", "metadata"]);
        // An archive beside predictions is not read.
        let dir = input(&[("PRED_000001.tif", tiff()), ("old.zip", zipped())]);
        assert_eq!(names(&Input::find(dir.path()).unwrap()), ["PRED_000001.tif", "old.zip"]);
    }

    #[test]
    fn a_submission_that_was_not_handed_on_is_recognised() {
        let code =
            |files: &[(&str, Vec<u8>)]| Input::find(input(files).path()).unwrap().nothing_handed_on().map(|f| f.code);
        assert_eq!(code(&[("metadata", b"exitCode: null".to_vec())]).as_deref(), Some("program-metadata"));
        assert_eq!(code(&[]).as_deref(), Some("program-metadata"));
        for file in [("PRED_000001.tif", tiff()), ("x.zip", zipped()), ("notes.txt", b"x".to_vec())] {
            assert_eq!(code(&[file]), None);
        }
    }

    #[test]
    fn one_archive_is_read_as_it_is_even_where_codalab_has_unpacked_it_as_well() {
        for also in [None, Some("run_5-57_14-40/preds/PRED_000001.tif")] {
            let mut files = vec![("run_5-57_14-40.zip", zipped()), ("timing.json", b"{}".to_vec())];
            files.extend(also.map(|name| (name, tiff())));
            let dir = input(&files);
            let found = Input::find(dir.path()).unwrap();
            assert_eq!(names(&found), ["preds/PRED_000001.tif"]);
            assert!(found.submission.path().ends_with("run_5-57_14-40.zip"));
            assert!(found.beside.is_some());
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_to_the_masks_are_refused() {
        let dir = input(&[("a/PRED_000001.tif", tiff())]);
        std::os::unix::fs::symlink("../../ref", dir.path().join("res/a/more")).unwrap();
        let Err(InputError::Submission(findings)) = Input::find(dir.path()) else { panic!("it was taken") };
        assert_eq!((findings[0].code.as_str(), findings[0].subject.as_str()), ("symbolic-link", "a/more"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_longer_than_the_system_allows_is_the_participants() {
        let dir = input(&[("PRED_000001.tif", tiff())]);
        let deep = |root: &str| (0..12).fold(dir.path().join(root), |path, _| path.join("d".repeat(200)));
        for root in ["res/a", "other"] {
            fs::create_dir_all(deep(root)).unwrap();
        }
        // No call may name more than 4096 bytes at once.
        fs::rename(dir.path().join("other"), deep("res/a").join("b")).unwrap();
        let Err(InputError::Submission(findings)) = Input::find(dir.path()) else { panic!("it was taken") };
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, "unreadable-file");
        assert!(findings[0].message.starts_with("cannot be read: File name too long"), "{}", findings[0].message);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_archive() {
        let dir = input(&[]);
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("res/x.zip")).status();
        assert!(made.unwrap().success());
        assert!(Input::find(dir.path()).unwrap().beside.is_none());
    }

    #[test]
    fn invalid_inputs_are_reported() {
        let message = |files: &[(&str, Vec<u8>)]| match Input::find(input(files).path()).unwrap_err() {
            InputError::Submission(findings) => format!("{}: {}", findings[0].code, findings[0].message),
            other => other.to_string(),
        };
        assert!(message(&[("x.zip", b"PK no archive".to_vec())]).starts_with("unreadable-archive: not a readable zip"));
        assert_eq!(
            message(&[("a.zip", zipped()), ("b.zip", zipped())]),
            "no-predictions: several archives, where one is expected: `a.zip`, `b.zip`"
        );
        let dir = input(&[]);
        fs::remove_dir(dir.path().join("ref")).unwrap();
        assert!(Input::find(dir.path()).unwrap_err().to_string().ends_with("expected the masks, MSK_*.tif"));
    }
}
