//! Writes the registries into `docs/findings.md`, each between two markers.
//!
//! A test of the binary, which has access to every registry, checks that the page is up to date.

use std::fmt::Write as _;

use super::registry::Kind;

/// A registry as Markdown: a table of all codes, then the meaning, usual cause and fix of each.
pub fn section(kinds: &[Kind]) -> String {
    let mut text = String::from("| code | severity | meaning |\n|---|---|---|\n");
    // Writing to a string cannot fail.
    for kind in kinds {
        let Kind { code, severity, meaning, .. } = kind;
        let _ = writeln!(text, "| [`{code}`](#{code}) | {} | {} |", severity.name(), meaning.replace('|', "\\|"));
    }
    for Kind { code, severity, meaning, cause, fix } in kinds {
        let severity = severity.name();
        let _ = write!(text, "\n### {code}\n\n*{severity}*: {meaning}.\n\n**Cause.** {cause}\n\n**Fix.** {fix}\n");
    }
    text
}

/// Replaces the part of `page` between the markers `<!-- findings:begin NAME -->` and `<!-- findings:end NAME -->`;
/// `None` if the page lacks these markers.
pub fn spliced(page: &str, name: &str, section: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- findings:begin {name} -->\n"), format!("<!-- findings:end {name} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{section}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_markers_is_replaced() {
        let page = "a\n<!-- findings:begin x -->\nold\n<!-- findings:end x -->\nb\n";
        let new = spliced(page, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- findings:begin x -->\n\nnew\n\n<!-- findings:end x -->\nb\n");
        assert_eq!(spliced(&new, "x", "new\n").as_ref(), Some(&new));
        assert_eq!(spliced(page, "y", ""), None);
    }
}
