//! The result files of `score` and of a run.

use std::{io::Write, path::Path};

use anyhow::{Context, anyhow};
use flair_scoring::{
    ScoreReport, analysis::normalized::Share, dataset::locations::Unit, files::write_atomically, report::figure,
};

use crate::exit::{Exit, Failure, OrExit, Outcome};

/// A result file of every score.
struct ScoreFile {
    name: &'static str,
    content: fn(&ScoreReport) -> Outcome<Vec<u8>>,
}

/// The result files of every score, in writing order.
const SCORE_FILES: [ScoreFile; 7] = [
    ScoreFile { name: "score.json", content: |report| Ok(report.to_json().into_bytes()) },
    ScoreFile { name: "score.csv", content: |report| csv(|out| report.write_csv(out)) },
    ScoreFile { name: "confusion.csv", content: |report| csv(|out| report.write_confusion_csv(None, out)) },
    ScoreFile {
        name: "confusion-rows.csv",
        content: |report| csv(|out| report.write_confusion_csv(Some(Share::OfTruth), out)),
    },
    ScoreFile {
        name: "confusion-columns.csv",
        content: |report| csv(|out| report.write_confusion_csv(Some(Share::OfPredicted), out)),
    },
    ScoreFile { name: "confusion.svg", content: |report| drawn(&Picture::Svg, report) },
    ScoreFile { name: "confusion.png", content: |report| drawn(&Picture::Png, report) },
];

/// The leaderboard entry of a run.
#[cfg(feature = "baselines")]
pub(super) const ENTRY: &str = "leaderboard.json";

/// Names of the files that a run derives from its predictions, without the archive.
#[cfg(feature = "baselines")]
pub(super) fn of_run() -> impl Iterator<Item = &'static str> {
    SCORE_FILES.iter().map(|file| file.name).chain([ENTRY])
}

/// Writes the files of a score into a folder: [`SCORE_FILES`], and the scores by domain, zone or patch and the
/// comparison, if the report has them.
pub(super) fn write_all(folder: &Path, report: &ScoreReport) -> Outcome<()> {
    for file in &SCORE_FILES {
        write_file(&folder.join(file.name), &(file.content)(report)?)?;
    }
    if let Some(groups) = &report.groups {
        let protocol = report.protocol().or_input()?;
        let by = |name: &str| folder.join(format!("{name}-by-{}.csv", groups.by));
        write_file(&by("score"), &csv(|out| groups.write_csv(&protocol, out))?)?;
        if groups.by != Unit::Patch {
            let (classes, confusion) =
                (csv(|out| groups.write_classes_csv(out))?, csv(|out| groups.write_confusion_csv(out))?);
            write_file(&by("classes"), &classes)?;
            write_file(&by("confusion"), &confusion)?;
        }
    }
    if let Some(comparison) = &report.comparison {
        write_file(&folder.join("comparison.csv"), &csv(|out| comparison.write_csv(out))?)?;
    }
    Ok(())
}

fn csv<E: Into<anyhow::Error>>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&mut bytes).or_environment()?;
    Ok(bytes)
}

/// Writes a file, whole or not at all.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Outcome<()> {
    write_atomically(path, |file| file.write_all(bytes))
        .with_context(|| format!("cannot write `{}`", path.display()))
        .or_environment()
}

/// Writes the score's table into a file.
pub(super) fn write_csv(path: &Path, report: &ScoreReport) -> Outcome<()> {
    write_file(path, &csv(|out| report.write_csv(out))?)
}

/// Picture formats.
pub(super) enum Picture {
    Svg,
    Png,
}

impl Picture {
    /// Chooses the format by the file's extension.
    pub(super) fn of(path: &Path) -> Outcome<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => {
                Err(anyhow!("`{}` is not a picture's name: expected a name that ends in .svg or .png", path.display()))
                    .or_usage()
            }
        }
    }
}

/// Draws the confusion matrix into a file.
pub(super) fn draw(path: &Path, report: &ScoreReport) -> Outcome<()> {
    write_file(path, &drawn(&Picture::of(path)?, report)?)
}

fn drawn(picture: &Picture, report: &ScoreReport) -> Outcome<Vec<u8>> {
    let failed = |error| Failure { exit: Exit::Internal, error: anyhow!("cannot draw the matrix: {error}") };
    match picture {
        Picture::Svg => Ok(figure::confusion_svg(report).map_err(|e| failed(e.to_string()))?.into_bytes()),
        Picture::Png => figure::confusion_png(report).map_err(|e| failed(e.to_string())),
    }
}
