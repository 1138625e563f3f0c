//! `flair-bench codalab`: the scoring program of a challenge on CodaLab or Codabench.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, anyhow};
use flair_hosting::{Declared, Input, InputError, Scores, page};
use flair_scoring::{
    Code, Finding, ScoreReport, Severity, evaluate,
    score::{
        evaluate::{EvaluateError, Options},
        pairing::Masks,
    },
    text::counted,
    timing::Limits,
};

use super::{protocol::chosen, results::write_file};
use crate::{
    cli::CodalabArgs,
    exit::{Exit, Failure, OrExit, Outcome},
    ui::{Bars, say, stderr, stdout, write_findings},
};

/// The files that a platform reads the score from.
const SCORES: [&str; 2] = ["scores.txt", "scores.json"];

/// The page with the details. Codabench shows `detailed_results.html`, or else the first `*.html` (`compute_worker.py`,
/// `get_detailed_results_file_path`). CodaLab's worker creates an empty `detailed_results.html`, fails to upload what is
/// written to it, and at the end uploads another `*.html`, but only while that one is empty (`worker.py`, `run`).
const PAGE: &str = "results.html";
/// Must stay as the platform left it: absent or empty.
const RESERVED: &str = "detailed_results.html";

pub(crate) fn run(arguments: &CodalabArgs) -> Outcome {
    let out = &arguments.output;
    // Remove the scores and the page of an earlier run first: they must not be taken for this run's, even if it fails.
    for name in SCORES.into_iter().chain([PAGE, RESERVED]) {
        let path = out.join(name);
        let is_left_empty = name == RESERVED && fs::metadata(&path).is_ok_and(|file| file.len() == 0);
        if path.exists() && !is_left_empty {
            fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display())).or_environment()?;
        }
    }
    let protocol = chosen(&arguments.by)?;
    let options = Options { protocol, ..Options::default() };
    let limits = Limits { device_seconds: arguments.device_seconds, factor: arguments.factor, baseline_seconds: None };
    let input = match Input::find(&arguments.input) {
        Ok(input) => input,
        Err(InputError::Submission(findings)) => return refuse(out, &findings),
        Err(error) => return Err(error).or_input(),
    };
    let masks = Masks::find(&input.reference).or_input()?;
    let evaluation = match evaluate(&masks, &input.submission, &options, &Bars::new()) {
        Ok(evaluation) => evaluation,
        Err(EvaluateError::NotScorable(mut findings)) => {
            findings.extend(input.nothing_handed_on());
            return refuse(out, &findings);
        }
        Err(error) => return Err(error).context("the reference data are broken").or_input(),
    };
    let report = ScoreReport::new(&evaluation);
    let declared = Declared::of(&input, report.patches, &limits);
    let page = page::scored(&report, &declared, &limits)
        .map_err(|error| Failure { exit: Exit::Internal, error: anyhow!("cannot draw the matrix: {error}") })?;
    let scores = Scores::new(&report, &declared);
    write_file(&out.join(PAGE), page.as_bytes())?;
    write_file(&out.join(SCORES[1]), scores.to_json().as_bytes())?;
    write_file(&out.join(SCORES[0]), scores.to_text().as_bytes())?;
    write_findings(&mut stderr(), &[&report.findings[..], &declared.findings].concat())?;
    stdout().write_all(scores.to_text().as_bytes())?;
    Ok(Exit::Done)
}

/// Reports on standard error, which platforms show, and on the page why there is no score.
fn refuse(out: &Path, findings: &[Finding]) -> Outcome {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    // Faults of the masks are the organiser's, not the participant's.
    let is_ours = findings.iter().any(|finding| Code::OF_MASKS.iter().any(|code| code.code() == finding.code));
    let what = if is_ours { "the reference data of this challenge are broken" } else { "the submission is not valid" };
    let problems = counted(errors, "problem");
    write_findings(&mut stderr(), &findings[..findings.len().min(page::MAX_FINDINGS)])?;
    if findings.len() > page::MAX_FINDINGS {
        say(&format!("and {} more", findings.len() - page::MAX_FINDINGS));
    }
    say(&format!("not scored: {what}: {problems}"));
    write_file(&out.join(PAGE), page::refused(&format!("{what}: {problems}"), findings).as_bytes())?;
    Ok(if is_ours { Exit::Input } else { Exit::Negative })
}
