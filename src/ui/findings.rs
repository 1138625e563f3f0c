//! Findings as lines, the worst first.

use std::io::{self, Write};

use flair_scoring::{Finding, Severity, finding::Kind, text::shown};

use super::screen::{Colour, Screen};

/// One line per finding: severity, code, subject, message; errors first, then warnings, then notes.
pub(crate) fn write_findings<W: Write>(out: &mut Screen<W>, findings: &[Finding]) -> io::Result<()> {
    write_first(out, findings, usize::MAX)
}

/// The first `most` findings, and the number of the others.
pub(crate) fn write_first<W: Write>(out: &mut Screen<W>, findings: &[Finding], most: usize) -> io::Result<()> {
    for finding in worst_first(findings).take(most) {
        out.write_coloured(colour(finding.severity), &severity(finding))?;
        writeln!(out, "{}", behind_severity(finding))?;
    }
    match findings.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more (--max-findings 0 shows all)"),
    }
}

/// Findings as text, within another one.
pub(super) fn findings_text(findings: &[Finding]) -> String {
    worst_first(findings).flat_map(|finding| [severity(finding), behind_severity(finding), "\n".to_owned()]).collect()
}

fn worst_first(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    [Severity::Error, Severity::Warning, Severity::Note].into_iter().flat_map(of)
}

fn severity(finding: &Finding) -> String {
    format!("{:7}", finding.severity.name())
}

fn behind_severity(finding: &Finding) -> String {
    // Subjects may come from untrusted archives.
    format!(" [{}] {}: {}", finding.code, shown(&finding.subject), finding.message)
}

const fn colour(severity: Severity) -> Colour {
    match severity {
        Severity::Error => Colour::Red,
        Severity::Warning => Colour::Yellow,
        Severity::Note => Colour::Cyan,
    }
}

/// The meaning of a finding, its usual cause and the fix.
pub(crate) fn explanation(kind: &Kind) -> String {
    let Kind { code, severity, meaning, cause, fix, .. } = kind;
    format!("{code} ({}): {meaning}\n  cause  {cause}\n  fix    {fix}\n", severity.name())
}
