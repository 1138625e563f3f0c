//! `flair-bench check`.

use std::io::{Write, stdout};

use flair_scoring::submission::{CheckOptions, CheckReport, check_path};

use super::expected::expected;
use crate::{
    cli::CheckArgs,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, write_findings},
};

pub(crate) fn run(arguments: &CheckArgs) -> Outcome {
    let expected = expected(&arguments.expected)?;
    let report =
        check_path(&arguments.submission, expected.as_ref(), &CheckOptions::default(), &Bars::new()).or_input()?;
    let mut out = stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write_findings(&mut out, &report.findings)?;
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
