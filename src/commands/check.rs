//! `flair-bench check`.

use std::io::{Write, stdout};

use flair_scoring::submission::{CheckOptions, CheckReport, check_path};

use super::expected::expected;
use crate::{
    cli::CheckArgs,
    codes,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, explanation, write_first},
};

pub(crate) fn run(arguments: &CheckArgs) -> Outcome {
    let mut out = stdout().lock();
    for kind in codes::all().filter(|kind| Some(kind.code) == arguments.explain.as_deref()) {
        write!(out, "{}", explanation(kind))?;
    }
    let Some(submission) = &arguments.submission else { return Ok(Exit::Done) };
    let expected = expected(&arguments.expected)?;
    let mut report = check_path(submission, expected.as_ref(), &CheckOptions::default(), &Bars::new()).or_input()?;
    if arguments.json {
        report.truncate(arguments.findings.for_programs());
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write_first(&mut out, &report.findings, arguments.findings.for_people())?;
        writeln!(out, "{}", verdict(&report))?;
    }
    Ok(if report.valid { Exit::Done } else { Exit::Negative })
}

/// The report in one line.
pub(super) fn verdict(report: &CheckReport) -> String {
    let counts = &report.counts;
    let of = counts.expected.map(|expected| format!(" of {expected} expected")).unwrap_or_default();
    format!(
        "{}: {}{of} predictions; {} errors, {} warnings, {} notes",
        if report.valid { "valid" } else { "not valid" },
        counts.predictions,
        counts.errors,
        counts.warnings,
        counts.notes
    )
}
