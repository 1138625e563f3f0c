//! `flair-bench data`.

use std::io::Write;

use crate::{
    cli::{AuditArgs, ToyArgs},
    exit::{Exit, OrExit, Outcome},
    ui::{Bars, Rows, audit_table, stdout, stdout_for_programs, write_first},
};
use flair_baselines::{
    audit::{Depth, audit as audit_dataset},
    data::Dataset,
    toy::{self, ToyError, ToyOptions, ToyOrigin},
};
use flair_scoring::text::counted;

pub(crate) fn audit(arguments: &AuditArgs) -> Outcome {
    let dataset = Dataset::discover(&arguments.data).or_input()?;
    let mut report = audit_dataset(&dataset, arguments.crop_size, Depth::Values, &Bars::new());
    if arguments.json {
        let mut out = stdout_for_programs();
        report.truncate(arguments.findings.for_programs());
        serde_json::to_writer_pretty(&mut out, &report).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        let mut out = stdout();
        let rows = if arguments.zones { Rows::Zones } else { Rows::Domains };
        write!(out, "{}", audit_table(&report, rows))?;
        write_first(&mut out, &report.findings, arguments.findings.for_people())?;
        let [errors, warnings, notes] =
            [(report.errors, "error"), (report.warnings, "warning"), (report.notes, "note")]
                .map(|(n, what)| counted(n, what));
        writeln!(out, "{errors}, {warnings}, {notes}")?;
    }
    Ok(if report.errors == 0 { Exit::Done } else { Exit::Negative })
}

pub(crate) fn toy(arguments: &ToyArgs) -> Outcome {
    let options = ToyOptions { seed: arguments.seed, patches: arguments.patches };
    let summary = match toy::generate(&arguments.root, &options, &Bars::new()) {
        Err(error @ ToyError::Patches(_)) => Err(error).or_usage()?,
        Err(error @ (ToyError::Io { .. } | ToyError::Lock(_))) => Err(error).or_environment()?,
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
