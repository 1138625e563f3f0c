//! The result files of `score` and of a run.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, anyhow};
use flair_scoring::{
    ScoreReport,
    analysis::normalized::Share,
    dataset::locations::Unit,
    files::{MAX_RECORD, read_text, write_atomically},
    report::figure,
};

use crate::exit::{Exit, Failure, OrExit, Outcome};

/// A result file of every score.
struct ScoreFile {
    name: &'static str,
    content: fn(&ScoreReport) -> Outcome<Vec<u8>>,
}

/// The result files of every score, the record first.
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

/// Writes the files of a score into a folder: [`SCORE_FILES`], and the tables of [`TABLES`] that the report has. The
/// record `score.json` names all of them, and is written last.
///
/// A folder may hold an earlier score. Its record is removed first, so that after a kill no record stands beside files of
/// two scores; then its tables that this score does not have.
pub(super) fn write_all(folder: &Path, report: &ScoreReport) -> Outcome<()> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for file in &SCORE_FILES[1..] {
        files.push((file.name.to_owned(), (file.content)(report)?));
    }
    if let Some(groups) = &report.groups {
        let protocol = report.protocol().or_input()?;
        let by = |name: &str| format!("{name}-by-{}.csv", groups.by);
        files.push((by("score"), csv(|out| groups.write_csv(&protocol, out))?));
        if groups.by != Unit::Patch {
            files.push((by("classes"), csv(|out| groups.write_classes_csv(out))?));
            files.push((by("confusion"), csv(|out| groups.write_confusion_csv(out))?));
        }
    }
    if let Some(comparison) = &report.comparison {
        files.push(("comparison.csv".to_owned(), csv(|out| comparison.write_csv(out))?));
    }
    let record = &SCORE_FILES[0];
    let names = [record.name].into_iter().chain(files.iter().map(|(name, _)| name.as_str()));
    let named = ScoreReport { files: names.map(str::to_owned).collect(), ..report.clone() };
    let content = (record.content)(&named)?;

    remove_own(&folder.join(record.name), |text| text.contains(SCHEMA_PREFIX))?;
    for (name, header) in TABLES {
        if !named.files.iter().any(|file| file == name) {
            remove_own(&folder.join(name), |text| text.lines().next().is_some_and(|line| line.contains(header)))?;
        }
    }
    for (name, bytes) in &files {
        write_file(&folder.join(name), bytes)?;
    }
    write_file(&folder.join(record.name), &content)
}

/// What the record of any score contains, whatever the version of its schema.
const SCHEMA_PREFIX: &str = "\"flair-bench/score/";

/// The tables that only some scores have, and a part of their first lines, by which they are known.
const TABLES: [(&str, &str); 8] = [
    ("score-by-domain.csv", ",patches,pixels,classes_averaged"),
    ("score-by-zone.csv", ",patches,pixels,classes_averaged"),
    ("score-by-patch.csv", ",patches,pixels,classes_averaged"),
    ("classes-by-domain.csv", ",class,iou"),
    ("classes-by-zone.csv", ",class,iou"),
    ("confusion-by-domain.csv", ",truth,predicted,pixels"),
    ("confusion-by-zone.csv", ",truth,predicted,pixels"),
    ("comparison.csv", "what,group,this,other,difference"),
];

/// Removes a file whose text is that of a result of ours; others are left alone.
fn remove_own(path: &Path, is_own: impl Fn(&str) -> bool) -> Outcome<()> {
    match read_text(path, MAX_RECORD) {
        Ok(text) if is_own(&text) => {
            fs::remove_file(path).with_context(|| format!("cannot remove `{}`", path.display())).or_environment()
        }
        _ => Ok(()),
    }
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
