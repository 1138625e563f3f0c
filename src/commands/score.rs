//! `flair-bench score`.

mod depth;

use std::{
    cmp::Reverse,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use flair_hosting::{Declared, evalai};
#[cfg(feature = "baselines")]
use flair_scoring::ScoreReport;
use flair_scoring::{
    Finding, OutOfRange, Progress, evaluate,
    finding::truncate,
    score::{
        evaluate::{EvaluateError, Evaluation, Options},
        pairing::Masks,
    },
    source::Source,
    submission::nested_archives,
    text::shown as escaped,
    timing::Limits,
};
use serde::Serialize;

use self::depth::Depth;
use super::{
    lock,
    protocol::chosen,
    results::{Picture, draw, write_all, write_csv, write_file},
};
use crate::{
    cli::{FindingsArgs, FormatArg, OutOfRangeArg, ScoreArgs},
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, Screen, score_table, stderr, stdout, stdout_for_programs, write_findings, write_first},
};

/// The content of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Table,
    Json,
    Csv,
    Evalai,
}

impl Shown {
    fn of(arguments: &ScoreArgs) -> Outcome<Self> {
        let is_piped = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
        let asked = [
            (is_piped(&arguments.json), Self::Json, "--json -"),
            (is_piped(&arguments.csv), Self::Csv, "--csv -"),
            (arguments.format == FormatArg::Evalai, Self::Evalai, "--format evalai"),
        ];
        let mut asked = asked.into_iter().filter(|(is_asked, ..)| *is_asked);
        match (asked.next(), asked.next()) {
            (None, _) => Ok(Self::Table),
            (Some((_, shown, _)), None) => Ok(shown),
            (Some((.., one)), Some((.., other))) => {
                Err(anyhow!("standard output cannot hold both `{one}` and `{other}`")).or_usage()
            }
        }
    }
}

pub(crate) fn run(arguments: &ScoreArgs) -> Outcome {
    let protocol = chosen(&arguments.by)?;
    let shown = Shown::of(arguments)?;
    if let Some(figure) = &arguments.figure {
        Picture::of(figure)?;
    }
    // Held to the end: two scores must not mix their files.
    let _lock = arguments.out.as_deref().map(lock::take).transpose()?;
    let masks = Masks::find(&arguments.truth).or_input()?;
    let depth = Depth::new(&arguments.depth, &masks)?;
    let options = Options {
        protocol,
        keep: depth.keep(),
        boundary: depth.boundary(),
        out_of_range: match arguments.out_of_range {
            OutOfRangeArg::Reject => OutOfRange::Reject,
            OutOfRangeArg::Drop => OutOfRange::Drop,
        },
        ..Options::default()
    };
    let source = Source::open(&arguments.pred).or_input()?;
    let scored = |source: &Source, options: &Options| -> Outcome<Evaluation> {
        evaluated(&masks, source, options, &Bars::new())?.or_else(|(error, findings)| {
            let set = source.path().display().to_string();
            let is_one_of_two = depth.other_set().is_some();
            refuse(&set, is_one_of_two, findings, shown, &arguments.findings)?;
            Err(if is_one_of_two { error.context(format!("`{}`", escaped(&set))) } else { error }).or_input()
        })
    };
    let evaluation = scored(&source, &options)?;
    let other = depth.other_set().map(|other| scored(other, &Options { boundary: None, ..options.clone() }));
    let report = depth.report(&evaluation, other.transpose()?.as_ref())?;
    if shown != Shown::Table {
        write_findings(&mut stderr(), &report.findings)?;
    }

    if let Some(folder) = &arguments.out {
        write_all(folder, &report)?;
    }
    if let Some(path) = arguments.json.as_deref().filter(|_| shown != Shown::Json) {
        write_file(path, report.to_json().as_bytes())?;
    }
    if let Some(path) = arguments.csv.as_deref().filter(|_| shown != Shown::Csv) {
        write_csv(path, &report)?;
    }
    if let Some(path) = &arguments.figure {
        draw(path, &report)?;
    }
    if shown != Shown::Evalai {
        write_findings(&mut stderr(), &nested_archives(&source))?;
    }
    match shown {
        Shown::Table => write!(stdout(), "{}", score_table(&report))?,
        Shown::Json => stdout_for_programs().write_all(report.to_json().as_bytes())?,
        Shown::Csv => report.write_csv(&mut stdout_for_programs())?,
        Shown::Evalai => {
            let declared = Declared::of_submission(&source, report.patches, &Limits::default());
            let result = evalai::result(&report, &declared, &arguments.split);
            let mut out = stdout_for_programs();
            serde_json::to_writer_pretty(&mut out, &result).map_err(io::Error::from)?;
            writeln!(out)?;
            write_findings(&mut stderr(), &declared.findings)?;
        }
    }
    Ok(Exit::Done)
}

/// The findings that prevent a score, for programs.
#[derive(Serialize)]
struct Refusal<'a> {
    schema: &'static str,
    /// The predictions' path, as the user wrote it.
    pred: &'a str,
    findings: &'a [Finding],
    /// Number of findings left out by `--max-findings`.
    truncated: usize,
}

/// Reports the findings that prevent scoring a set: in place of the table, or on standard error if a program reads
/// standard output.
fn refuse(
    set: &str,
    is_one_of_two: bool,
    mut findings: Vec<Finding>,
    shown: Shown,
    limits: &FindingsArgs,
) -> Outcome<()> {
    if shown == Shown::Json {
        findings.sort_by_key(|finding| Reverse(finding.severity));
        let truncated = truncate(&mut findings, limits.for_programs());
        let refusal = Refusal { schema: "flair-bench/refusal/1", pred: set, findings: &findings, truncated };
        let mut out = stdout_for_programs();
        serde_json::to_writer_pretty(&mut out, &refusal).map_err(io::Error::from)?;
        return Ok(writeln!(out)?);
    }
    let set = is_one_of_two.then_some(set);
    let most = limits.for_people();
    if shown == Shown::Table {
        write_refusal(&mut stdout(), set, &findings, most)?;
    } else {
        write_refusal(&mut stderr(), set, &findings, most)?;
    }
    Ok(())
}

fn write_refusal<W: Write>(
    out: &mut Screen<W>,
    set: Option<&str>,
    findings: &[Finding],
    most: usize,
) -> io::Result<()> {
    if let Some(set) = set {
        writeln!(out, "of `{}`:", escaped(set))?;
    }
    write_first(out, findings, most)
}

/// The outcome of scoring.
#[cfg(feature = "baselines")]
pub(super) enum Scored {
    Report(Box<ScoreReport>),
    /// No score, and the findings that prevent it.
    Refused(anyhow::Error, Vec<Finding>),
}

/// Scores predictions against masks.
#[cfg(feature = "baselines")]
pub(super) fn score(masks: &Masks, source: &Source, options: &Options, progress: &dyn Progress) -> Outcome<Scored> {
    Ok(match evaluated(masks, source, options, progress)? {
        Ok(evaluation) => Scored::Report(Box::new(ScoreReport::new(&evaluation))),
        Err((error, findings)) => Scored::Refused(error, findings),
    })
}

/// The counts, or the findings that prevent them.
fn evaluated(
    masks: &Masks,
    source: &Source,
    options: &Options,
    progress: &dyn Progress,
) -> Outcome<Result<Evaluation, (anyhow::Error, Vec<Finding>)>> {
    match evaluate(masks, source, options, progress) {
        Ok(evaluation) => Ok(Ok(evaluation)),
        Err(EvaluateError::NotScorable(findings)) => {
            Ok(Err((EvaluateError::NotScorable(findings.clone()).into(), findings)))
        }
        Err(error) => Err(error).or_input(),
    }
}
