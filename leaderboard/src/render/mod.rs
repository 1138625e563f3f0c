//! Rankings as text, for terminals, pages and programs. Names are untrusted: each renderer escapes what its readers
//! would interpret.

mod csv;
mod json;
mod markdown;
pub mod markers;
mod terminal;
mod text;

use std::str::FromStr;

use crate::Ranking;

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for a terminal, at most `width` columns wide if the width is known.
    Terminal {
        /// Width of the terminal, in columns.
        width: Option<u16>,
    },
    /// Pipe tables under headings of the third level.
    Markdown,
    /// CSV: one row per entry, sorted by benchmark and rank.
    Csv,
    /// JSON: a list of rankings.
    Json,
}

/// An unknown format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format: expected terminal, markdown, csv or json")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "terminal" => Ok(Self::Terminal { width: None }),
            "markdown" => Ok(Self::Markdown),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

/// Writes rankings, each benchmark in its own table; ends with a line break.
///
/// # Panics
/// If memory cannot be written to.
pub fn render(rankings: &[Ranking<'_>], format: Format) -> String {
    match format {
        Format::Terminal { width } => terminal::render(rankings, width),
        Format::Markdown => markdown::render(rankings),
        Format::Csv => csv::render(rankings),
        Format::Json => json::render(rankings),
    }
}

#[cfg(test)]
mod tests;
