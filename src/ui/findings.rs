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
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    let sorted = [Severity::Error, Severity::Warning, Severity::Note].into_iter().flat_map(of);
    for finding in sorted.take(most) {
        // Subjects may come from untrusted archives.
        let subject = shown(&finding.subject);
        out.write_coloured(colour(finding.severity), &format!("{:7}", finding.severity.name()))?;
        writeln!(out, " [{}] {subject}: {}", finding.code, finding.message)?;
    }
    match findings.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more (--max-findings 0 shows all)"),
    }
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
