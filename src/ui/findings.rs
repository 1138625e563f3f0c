//! Findings as lines, the worst first.

use std::io::{self, Write};

use flair_scoring::{Finding, Severity, submission::shown};

/// One finding a line: severity, code, subject, message; errors first, then warnings, then notes.
pub(crate) fn write_findings(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    for (severity, word) in [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")] {
        for finding in findings.iter().filter(|finding| finding.severity == severity) {
            // Subjects may come from a stranger's archive.
            writeln!(out, "{word:7} [{}] {}: {}", finding.code, shown(&finding.subject), finding.message)?;
        }
    }
    Ok(())
}
