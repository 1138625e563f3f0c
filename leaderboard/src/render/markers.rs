//! Writes tables between the markers of a Markdown file. A page can have several pairs of markers, each for a benchmark.

use super::{markdown, text::clean};
use crate::{LeaderboardError, Ranking, benchmark_key};

/// The start of the begin marker. Free text may follow up to `-->`, such as the command that makes the table. A
/// `--benchmark "NAME"` in it makes the pair one of that benchmark; without, it is of all.
pub const BEGIN: &str = "<!-- leaderboard:begin";
/// The end marker.
pub const END: &str = "<!-- leaderboard:end -->";
/// The end of the begin marker.
const CLOSE: &str = "-->";

/// Writes each pair's tables between its markers: those of its benchmark, or all of them. With `only`, just the pairs of
/// that benchmark; a single pair that names no benchmark becomes one of it. Idempotent; the rest of the text is
/// unchanged, line breaks included.
///
/// # Errors
/// [`LeaderboardError::Markers`]: there are no markers, or they do not come in pairs, each on a line of its own; a pair
/// is of a benchmark without entries; no pair is of the benchmark `only`.
pub fn regenerate(text: &str, rankings: &[Ranking<'_>], only: Option<&str>) -> Result<String, LeaderboardError> {
    let pairs = pairs(text)?;
    let chosen = match only {
        Some(benchmark) => of_benchmark(&pairs, benchmark)?,
        None => pairs.iter().collect(),
    };
    let (mut new, mut written) = (String::new(), 0);
    for pair in chosen {
        let line_break = if text[..pair.begin.1].ends_with("\r\n") { "\r\n" } else { "\n" };
        let block = tables(rankings, pair.benchmark.as_deref().or(only))?;
        let block = block.trim_matches('\n').replace('\n', line_break);
        new += &text[written..pair.begin.0];
        new += &match only {
            Some(benchmark) if pair.benchmark.is_none() => named(pair.marker(text), benchmark),
            _ => pair.marker(text).to_owned(),
        };
        new += &[line_break, &block, line_break, line_break].concat();
        written = pair.end;
    }
    Ok(new + &text[written..])
}

/// A pair of markers.
struct Pair {
    /// The offsets of the begin marker's line and of the next line.
    begin: (usize, usize),
    /// The offset of the end marker's line.
    end: usize,
    /// The benchmark that the begin marker names.
    benchmark: Option<String>,
}

impl Pair {
    /// The begin marker's line.
    fn marker<'a>(&self, text: &'a str) -> &'a str {
        &text[self.begin.0..self.begin.1]
    }
}

/// The pairs of markers of a text, in order; at least one.
fn pairs(text: &str) -> Result<Vec<Pair>, LeaderboardError> {
    let fail = |reason: String| Err(LeaderboardError::Markers(reason));
    let (mut pairs, mut start) = (Vec::new(), 0);
    let mut open: Option<(usize, (usize, usize), Option<String>)> = None;
    for (number, line) in (1_usize..).zip(text.split_inclusive('\n')) {
        let next = start + line.len();
        let marker = line.trim();
        if marker.starts_with(BEGIN) && marker.ends_with(CLOSE) {
            if let Some((first, ..)) = open {
                return fail(format!(
                    "the begin marker in line {first} has no end marker before line {number}: `{END}`"
                ));
            }
            open = Some((number, (start, next), benchmark_of(marker, number)?));
        } else if marker == END {
            let Some((_, begin, benchmark)) = open.take() else {
                return fail(format!("the end marker in line {number} has no begin marker: `{BEGIN} {CLOSE}`"));
            };
            pairs.push(Pair { begin, end: start, benchmark });
        }
        start = next;
    }
    match open {
        Some((first, ..)) => fail(format!("the begin marker in line {first} has no end marker: `{END}`")),
        None if pairs.is_empty() => {
            fail(format!("there is no begin marker: expected the lines `{BEGIN} {CLOSE}` and `{END}`"))
        }
        None => Ok(pairs),
    }
}

/// The benchmark that a begin marker names: `--benchmark "NAME"`, as a shell reads it.
fn benchmark_of(marker: &str, line: usize) -> Result<Option<String>, LeaderboardError> {
    let Some((_, rest)) = marker.split_once("--benchmark") else { return Ok(None) };
    let rest = rest.strip_suffix(CLOSE).unwrap_or(rest).trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    let name = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].split_once(quote).map(|(name, _)| name),
        _ => rest.split_whitespace().next(),
    };
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Ok(Some(name.to_owned())),
        None => Err(LeaderboardError::Markers(format!(
            "the begin marker in line {line} names no benchmark after `--benchmark`: expected `--benchmark \"NAME\"`"
        ))),
    }
}

/// The pairs of a benchmark, or the only pair if it names none.
fn of_benchmark<'a>(pairs: &'a [Pair], benchmark: &str) -> Result<Vec<&'a Pair>, LeaderboardError> {
    let is_of = |pair: &&Pair| pair.benchmark.as_deref().is_some_and(|name| is_same(name, benchmark));
    let chosen: Vec<_> = pairs.iter().filter(is_of).collect();
    match pairs {
        _ if !chosen.is_empty() => Ok(chosen),
        [pair] if pair.benchmark.is_none() => Ok(vec![pair]),
        _ => {
            let others: Vec<_> = pairs.iter().filter_map(|pair| pair.benchmark.as_deref()).collect();
            let others = if others.is_empty() {
                "they name none".to_owned()
            } else {
                format!("they are of `{}`", others.join("`, `"))
            };
            Err(LeaderboardError::Markers(format!(
                "no markers are of the benchmark `{benchmark}`, {others}: add the lines `{}` and `{END}`",
                named(&format!("{BEGIN} {CLOSE}"), benchmark)
            )))
        }
    }
}

/// The tables of a benchmark, or of all.
fn tables(rankings: &[Ranking<'_>], benchmark: Option<&str>) -> Result<String, LeaderboardError> {
    let Some(benchmark) = benchmark else { return Ok(markdown::render(rankings)) };
    let its: Vec<_> = rankings.iter().filter(|ranking| is_same(ranking.benchmark, benchmark)).cloned().collect();
    if its.is_empty() {
        let known: Vec<_> = rankings.iter().map(|ranking| format!("`{}`", ranking.benchmark)).collect();
        let known = known.join(", ");
        let reason = format!("markers are of the benchmark `{benchmark}`, which has no entries; there are {known}");
        return Err(LeaderboardError::Markers(reason));
    }
    Ok(markdown::render(&its))
}

fn is_same(one: &str, other: &str) -> bool {
    benchmark_key(one) == benchmark_key(other)
}

/// The line of a begin marker, with the name of its benchmark. Characters that would end the name or the comment become
/// spaces, which do not change the benchmark.
fn named(marker: &str, benchmark: &str) -> String {
    let is_markup = |c: char| matches!(c, '"' | '<' | '>' | '`' | '\\');
    let name = clean(&benchmark.replace(is_markup, " ")).replace("--", "- ");
    match marker.rsplit_once(CLOSE) {
        Some((before, after)) => format!("{} --benchmark \"{name}\" {CLOSE}{after}", before.trim_end()),
        None => marker.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, FLAIR2_TEST, entry::tests::entry, rank};

    fn entries() -> Vec<Entry> {
        vec![entry(FLAIR2_TEST, "winner", 0.6), entry("my board", "mine", 0.5)]
    }

    fn written(text: &str, only: Option<&str>) -> Result<String, String> {
        regenerate(text, &rank(&entries()), only).map_err(|error| error.to_string())
    }

    /// The names of the entries in a text, in order.
    fn names(text: &str) -> Vec<&str> {
        text.split(' ').filter(|word| ["winner", "mine"].contains(word)).collect()
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "# Title\n\n<!-- leaderboard:begin made by X -->\nold\n\nolder\n<!-- leaderboard:end -->\ntail";
        let new = written(text, None).unwrap();
        let table = markdown::render(&rank(&entries()));
        assert_eq!(
            new,
            format!("# Title\n\n<!-- leaderboard:begin made by X -->\n\n{table}\n<!-- leaderboard:end -->\ntail")
        );
        assert_eq!(written(&new, None).unwrap(), new);
        let windows = written(&text.replace('\n', "\r\n"), None).unwrap();
        assert_eq!(windows, new.replace('\n', "\r\n"));
    }

    #[test]
    fn a_page_can_have_markers_of_several_benchmarks() {
        let text = "<!-- leaderboard:begin flair-bench leaderboard --benchmark \"FLAIR2 test\" --write X -->\n\
                    <!-- leaderboard:end -->\nbetween\n\
                    <!-- leaderboard:begin --benchmark='my-board' -->\nold\n<!-- leaderboard:end -->\n\
                    <!-- leaderboard:begin -->\n<!-- leaderboard:end -->\n";
        let new = written(text, None).unwrap();
        assert_eq!(names(&new), ["winner", "mine", "winner", "mine"]);
        assert!(new.contains("<!-- leaderboard:end -->\nbetween\n<!--") && written(&new, None).unwrap() == new);
        let new = written(text, Some("FLAIR#2 test")).unwrap();
        assert!(names(&new) == ["winner"] && new.contains("-->\nold\n"));
        assert_eq!(names(&written(text, Some("My board")).unwrap()), ["mine"]);
    }

    #[test]
    fn markers_of_another_benchmark_are_refused() {
        let text = "<!-- leaderboard:begin -->\nold\n<!-- leaderboard:end -->\n";
        let of_mine = written(text, Some("my board")).unwrap();
        assert!(of_mine.starts_with("<!-- leaderboard:begin --benchmark \"my board\" -->\n\n###"), "{of_mine}");
        assert_eq!(written(&of_mine, Some("My-board")).unwrap(), of_mine);
        let errors = [
            written(&of_mine, Some(FLAIR2_TEST)),
            written(&[text, text].concat(), Some(FLAIR2_TEST)),
            written("<!-- leaderboard:begin --benchmark tset -->\n<!-- leaderboard:end -->\n", None),
            written("<!-- leaderboard:begin --benchmark -->\n<!-- leaderboard:end -->\n", None),
            written("\n<!-- leaderboard:begin --benchmark \"x -->\n<!-- leaderboard:end -->\n", None),
        ];
        insta::assert_snapshot!(errors.map(Result::unwrap_err).join("\n"), @r#"
        no markers are of the benchmark `FLAIR#2 test`, they are of `my board`: add the lines `<!-- leaderboard:begin --benchmark "FLAIR#2 test" -->` and `<!-- leaderboard:end -->`
        no markers are of the benchmark `FLAIR#2 test`, they name none: add the lines `<!-- leaderboard:begin --benchmark "FLAIR#2 test" -->` and `<!-- leaderboard:end -->`
        markers are of the benchmark `tset`, which has no entries; there are `FLAIR#2 test`, `my board`
        the begin marker in line 1 names no benchmark after `--benchmark`: expected `--benchmark "NAME"`
        the begin marker in line 2 names no benchmark after `--benchmark`: expected `--benchmark "NAME"`
        "#);
    }

    #[test]
    fn a_name_cannot_end_its_marker() {
        let text = format!("{BEGIN} {CLOSE}\r\n");
        let line = named(&text, "a \"b\" --> <b> --- c");
        assert_eq!(line, "<!-- leaderboard:begin --benchmark \"a b -  b - - c\" -->\r\n");
        assert_eq!(
            benchmark_key(&benchmark_of(line.trim(), 1).unwrap().unwrap()),
            benchmark_key("a \"b\" --> <b> --- c")
        );
    }

    #[test]
    fn markers_come_in_pairs() {
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
        let errors: Vec<_> = texts.iter().map(|text| written(text, None).unwrap_err()).collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        there is no begin marker: expected the lines `<!-- leaderboard:begin -->` and `<!-- leaderboard:end -->`
        the begin marker in line 1 has no end marker: `<!-- leaderboard:end -->`
        the end marker in line 1 has no begin marker: `<!-- leaderboard:begin -->`
        the end marker in line 1 has no begin marker: `<!-- leaderboard:begin -->`
        the begin marker in line 1 has no end marker before line 2: `<!-- leaderboard:end -->`
        the end marker in line 3 has no begin marker: `<!-- leaderboard:begin -->`
        there is no begin marker: expected the lines `<!-- leaderboard:begin -->` and `<!-- leaderboard:end -->`
        ");
    }
}
