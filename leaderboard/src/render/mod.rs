//! Rankings as text: for a terminal, for a page, for programs. Names come from strangers, so each renderer escapes
//! what its readers would take for more than text.

mod csv;
mod json;
mod markdown;
pub mod markers;
mod terminal;
mod text;

use std::str::FromStr;

use crate::Ranking;

/// What a table is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table of lines, `width` columns wide if that is known.
    Terminal {
        /// Width of the terminal, in columns.
        width: Option<u16>,
    },
    /// Pipe tables under headings of the third level.
    Markdown,
    /// One row an entry, sorted by benchmark and place.
    Csv,
    /// A list of rankings.
    Json,
}

/// A format that doesn't exist.
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
