//! `flair-bench data`.

use std::io::{Write, stdout};

use flair_baselines::data::{
    Dataset,
    audit::{Depth, audit as audit_dataset},
    toy::{self, ToyError, ToyOptions, ToyOrigin},
};
use flair_scoring::Severity;

use crate::{
    cli::{AuditArgs, ToyArgs},
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, audit_table, write_findings},
};

pub(crate) fn audit(arguments: &AuditArgs) -> Outcome {
    let dataset = Dataset::discover(&arguments.data).or_input()?;
    let report = audit_dataset(&dataset, arguments.crop_size, Depth::Pixels, &Bars::new());
    let mut out = stdout().lock();
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", audit_table(&report))?;
        write_findings(&mut out, &report.findings)?;
        writeln!(out, "{} findings, {errors} of them errors", report.findings.len())?;
    }
    Ok(if errors == 0 { Exit::Done } else { Exit::Negative })
}

pub(crate) fn toy(arguments: &ToyArgs) -> Outcome {
    let options = ToyOptions { seed: arguments.seed, patches: arguments.patches };
    let summary = match toy::generate(&arguments.root, &options, &Bars::new()) {
        Err(error @ ToyError::Patches(_)) => Err(error).or_usage()?,
        Err(error @ ToyError::Io { .. }) => Err(error).or_environment()?,
        other => other.or_input()?,
    };
    let verb = match summary.origin {
        ToyOrigin::Made => "made",
        ToyOrigin::Reused => "is there already",
    };
    writeln!(stdout(), "{}: synthetic dataset of {} patches {verb}", summary.root.display(), options.patches)?;
    for domain in &summary.marker.domains {
        writeln!(
            stdout(),
            "  {} ({:?}): {} patches in {}",
            domain.name,
            domain.split,
            domain.patches,
            domain.zones.join(", ")
        )?;
    }
    Ok(Exit::Done)
}
