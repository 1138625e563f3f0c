//! YAML files of users, with errors that show the place in the file.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::text::is_unsafe;

/// Maximum number of characters shown of a line, or of a problem.
const SHOWN: usize = 400;

/// An error in a YAML file. All texts are safe to print and bounded in length, whatever the file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The problem, in one line.
    pub problem: String,
    /// The place; `None` if the problem has none.
    pub location: Option<YamlLocation>,
}

/// A place in a YAML file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlLocation {
    /// Number of the line, from 1.
    pub line: u64,
    /// Number of the column, from 1.
    pub column: u64,
    /// The line, or the part of it around the column.
    excerpt: String,
    /// The index of the column's character in `excerpt`.
    mark: usize,
}

impl fmt::Display for YamlLocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}

/// The problem; after it, on lines of their own, the file's line with a mark below the column.
impl fmt::Display for YamlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, location } = self;
        let Some(location) = location else { return out.write_str(problem) };
        let indent = " ".repeat(location.mark);
        write!(out, "{location}: {problem}\n  {}\n  {indent}^", location.excerpt)
    }
}

impl std::error::Error for YamlError {}

impl YamlError {
    /// The place and the problem, without the file's line.
    pub fn in_one_line(&self) -> String {
        let place = self.location.as_ref().map_or_else(String::new, |location| format!("{location}: "));
        place + &self.problem
    }
}

/// Reads a value from YAML.
///
/// # Errors
/// The text is not YAML, or its value is of another form.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    serde_saphyr::from_str(text).map_err(|error| describe(text, &error))
}

fn describe(text: &str, error: &serde_saphyr::Error) -> YamlError {
    let full = error.without_snippet().to_string();
    let problem = full.split(" at line ").next().unwrap_or(&full);
    // serde-saphyr's advice is for programmers.
    let problem = problem.split(", set DuplicateKeyPolicy").next().unwrap_or(problem);
    let problem = excerpt(problem, 0).0;
    // The location reported for a missing key is meaningless.
    let location = error.location().filter(|_| !problem.starts_with("missing field")).map(|location| {
        let (line, column) = (location.line(), location.column());
        let of_text = usize::try_from(line).ok().and_then(|number| text.lines().nth(number.saturating_sub(1)));
        let (excerpt, mark) = excerpt(of_text.unwrap_or(""), usize::try_from(column).unwrap_or(1).saturating_sub(1));
        YamlLocation { line, column, excerpt, mark }
    });
    YamlError { problem, location }
}

/// The characters of a text around one of them, safe to show, and the index of that one among them.
fn excerpt(text: &str, at: usize) -> (String, usize) {
    let count = text.chars().count();
    let at = at.min(count);
    let start = if count > SHOWN { at.saturating_sub(SHOWN / 2) } else { 0 };
    let mut shown = String::from(if start > 0 { "…" } else { "" });
    // One character for one, so that the mark below points to the right one.
    let safe = |c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c };
    shown.extend(text.chars().skip(start).take(SHOWN).map(safe));
    if count > start + SHOWN {
        shown.push('…');
    }
    (shown, at - start + usize::from(start > 0))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[expect(dead_code, reason = "only read")]
        count: u8,
    }

    fn message(text: &str) -> String {
        from_str::<Form>(text).unwrap_err().to_string()
    }

    #[test]
    fn errors_show_the_line() {
        insta::assert_snapshot!(message("count: 1\ncuont: 2"), @"
        line 2, column 1: unknown field `cuont`, expected one of count
          cuont: 2
          ^
        ");
        insta::assert_snapshot!(message("{}"), @"missing field `count`");
    }

    #[test]
    fn errors_of_long_lines_are_short() {
        // Formatting cannot pad by more than 65,535 columns.
        let long = [
            format!("count: [{}", "1, ".repeat(300_000)),
            format!("{}: 1", "k".repeat(1_000_000)),
            format!("{{{}unknown: 1}}", " ".repeat(70_000)),
            format!("count: \"{}\"", "\u{1b}".repeat(70_000)),
        ];
        for text in long {
            let message = message(&text);
            assert!(message.len() < 3000 && !message.contains('\u{1b}'), "{} bytes", message.len());
        }
    }

    #[test]
    fn the_mark_is_below_its_character() {
        assert_eq!(excerpt("a: b", 3), ("a: b".to_owned(), 3));
        assert_eq!(excerpt("\u{1b}é", 9), ("\u{fffd}é".to_owned(), 2));
        let (shown, at) = excerpt(&format!("{}!{}", "x".repeat(70_000), "y".repeat(70_000)), 70_000);
        assert_eq!((shown.chars().nth(at), shown.chars().count()), (Some('!'), SHOWN + 2));
    }
}
