//! `flair-bench check`.

use std::io::{Write, stdout};

use flair_scoring::submission::{CheckOptions, check_path};

use super::{expected::expected, protocol::chosen};
use crate::{
    cli::{CheckArgs, RulesArgs},
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
    let options = options(&arguments.rules)?;
    let mut report = check_path(submission, expected.as_ref(), &options, &Bars::new()).or_input()?;
    if arguments.json {
        report.truncate(arguments.findings.for_programs());
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write_first(&mut out, &report.findings, arguments.findings.for_people())?;
        writeln!(out, "{}", report.verdict())?;
    }
    Ok(if report.valid { Exit::Done } else { Exit::Negative })
}

/// Converts the arguments to the options of a check.
pub(super) fn options(rules: &RulesArgs) -> Outcome<CheckOptions> {
    let mut options = CheckOptions::default();
    options.protocol = chosen(&rules.by)?;
    options.factor = rules.factor;
    Ok(options)
}
