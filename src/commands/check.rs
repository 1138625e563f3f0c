//! `flair-bench check`.

use std::{cmp::Reverse, io::Write};

use flair_scoring::{
    Finding,
    submission::{CheckOptions, check_path},
};

use super::{expected::expected, protocol::chosen};
use crate::{
    cli::{CheckArgs, RulesArgs},
    codes,
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, explanation, say, stdout, stdout_for_programs, write_first},
};

pub(crate) fn run(arguments: &CheckArgs) -> Outcome {
    let mut out = stdout();
    for kind in codes::all().filter(|kind| Some(kind.code) == arguments.explain.as_deref()) {
        write!(out, "{}", explanation(kind))?;
    }
    let Some(submission) = &arguments.submission else { return Ok(Exit::Done) };
    let expected = expected(&arguments.expected)?;
    let options = options(&arguments.rules)?;
    let mut report = check_path(submission, expected.as_ref(), &options, &Bars::new()).or_input()?;
    if arguments.json {
        let mut out = stdout_for_programs();
        report.truncate(arguments.findings.for_programs());
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write_first(&mut out, &report.findings, arguments.findings.for_people())?;
        writeln!(out, "{}", report.verdict())?;
        if let Some(finding) = worst(&report.findings) {
            // Beside the report, whose last line is the verdict.
            out.flush()?;
            say(&format!("what a finding means and how to fix it: flair-bench check --explain {}", finding.code));
        }
    }
    Ok(if report.valid { Exit::Done } else { Exit::Negative })
}

/// The first of the most severe findings.
fn worst(findings: &[Finding]) -> Option<&Finding> {
    findings.iter().min_by_key(|finding| Reverse(finding.severity))
}

/// Converts the arguments to the options of a check.
pub(super) fn options(rules: &RulesArgs) -> Outcome<CheckOptions> {
    let mut options = CheckOptions::default();
    options.protocol = chosen(&rules.by)?;
    options.factor = rules.factor;
    Ok(options)
}
