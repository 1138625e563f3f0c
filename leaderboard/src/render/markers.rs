//! Replaces the tables between two markers of a Markdown file.

use crate::LeaderboardError;

/// The start of the begin marker. Free text may follow up to `-->`, such as the command that makes the table.
pub const BEGIN: &str = "<!-- leaderboard:begin";
/// The end marker.
pub const END: &str = "<!-- leaderboard:end -->";

/// Replaces the text between the markers by a block of Markdown. Idempotent; the rest of the text is unchanged, line
/// breaks included.
///
/// # Errors
/// [`LeaderboardError::Markers`]: a marker is missing or occurs twice, or they are in the wrong order; each must
/// be on a line of its own.
pub fn regenerate(text: &str, block: &str) -> Result<String, LeaderboardError> {
    let (begin, end) = (
        line_of(text, "begin", |line| line.starts_with(BEGIN) && line.ends_with("-->"))?,
        line_of(text, "end", |line| line == END)?,
    );
    if end.0 < begin.1 {
        return Err(LeaderboardError::Markers(format!("`{END}` comes before `{BEGIN} … -->`")));
    }
    let line_break = if text[..begin.1].ends_with("\r\n") { "\r\n" } else { "\n" };
    let block = block.trim_matches('\n').replace('\n', line_break);
    Ok([&text[..begin.1], line_break, &block, line_break, line_break, &text[end.0..]].concat())
}

/// The offsets of the only matching line and of the next line.
fn line_of(text: &str, which: &str, is_so: impl Fn(&str) -> bool) -> Result<(usize, usize), LeaderboardError> {
    let mut start = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        if is_so(line.trim()) {
            found.push((start, start + line.len()));
        }
        start += line.len();
    }
    match found[..] {
        [line] => Ok(line),
        [] => Err(LeaderboardError::Markers(format!(
            "there is no {which} marker: expected the lines `{BEGIN} -->` and `{END}`"
        ))),
        _ => Err(LeaderboardError::Markers(format!("there are {} {which} markers, expected one", found.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "# Title\n\n<!-- leaderboard:begin made by X -->\nold\n\nolder\n<!-- leaderboard:end -->\ntail";
        let new = regenerate(text, "| a |\n| b |\n").unwrap();
        assert_eq!(
            new,
            "# Title\n\n<!-- leaderboard:begin made by X -->\n\n| a |\n| b |\n\n<!-- leaderboard:end -->\ntail"
        );
        assert_eq!(regenerate(&new, "| a |\n| b |\n").unwrap(), new);
        let windows = regenerate(&text.replace('\n', "\r\n"), "| a |\n| b |\n").unwrap();
        assert_eq!(windows, new.replace('\n', "\r\n"));
    }

    #[test]
    fn markers_must_be_there_once_and_in_order() {
        let begin = "<!-- leaderboard:begin -->";
        let texts = [
            "no markers".to_owned(),
            begin.to_owned(),
            format!("{END}\n"),
            format!("{END}\n{begin}\n"),
            format!("{begin}\n{begin}\n{END}\n"),
            format!("{begin}\n{END}\n{END}\n"),
            format!("`{begin}`\n`{END}`\n"),
        ];
        let errors: Vec<_> = texts.iter().map(|text| regenerate(text, "x").unwrap_err().to_string()).collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        there is no begin marker: expected the lines `<!-- leaderboard:begin -->` and `<!-- leaderboard:end -->`
        there is no end marker: expected the lines `<!-- leaderboard:begin -->` and `<!-- leaderboard:end -->`
        there is no begin marker: expected the lines `<!-- leaderboard:begin -->` and `<!-- leaderboard:end -->`
        `<!-- leaderboard:end -->` comes before `<!-- leaderboard:begin … -->`
        there are 2 begin markers, expected one
        there are 2 end markers, expected one
        there is no begin marker: expected the lines `<!-- leaderboard:begin -->` and `<!-- leaderboard:end -->`
        ");
    }
}
