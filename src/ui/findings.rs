//! Findings as lines, the worst first.

use std::io::{self, Write};

use flair_scoring::{Finding, Severity, finding::Kind, text::shown};

/// One line per finding: severity, code, subject, message; errors first, then warnings, then notes.
pub(crate) fn write_findings(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    write_first(out, findings, usize::MAX)
}

/// The first `most` findings, and the number of the others.
pub(crate) fn write_first(out: &mut impl Write, findings: &[Finding], most: usize) -> io::Result<()> {
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    let sorted = [Severity::Error, Severity::Warning, Severity::Note].into_iter().flat_map(of);
    for finding in sorted.take(most) {
        // Subjects may come from untrusted archives.
        let (severity, subject) = (finding.severity.name(), shown(&finding.subject));
        writeln!(out, "{severity:7} [{}] {subject}: {}", finding.code, finding.message)?;
    }
    match findings.len().saturating_sub(most) {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more (--max-findings 0 shows all)"),
    }
}

/// The meaning of a finding, its usual cause and the fix.
pub(crate) fn explanation(kind: &Kind) -> String {
    let Kind { code, severity, meaning, cause, fix, .. } = kind;
    format!("{code} ({}): {meaning}\n  cause  {cause}\n  fix    {fix}\n", severity.name())
}
