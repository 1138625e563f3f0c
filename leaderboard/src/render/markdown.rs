//! Rankings as Markdown pipe tables, for GitHub and most other readers.

use super::text::clean;
use crate::{
    Ranking,
    columns::{Align, Shown, columns},
};

pub(super) fn render(rankings: &[Ranking<'_>]) -> String {
    rankings.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(ranking: &Ranking<'_>) -> String {
    let columns: Vec<_> = columns(&ranking.rows, &[Shown::Everywhere, Shown::OnPages]).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("### {}\n\n", escape(ranking.benchmark));
    text += &line(columns.iter().map(|column| escape(column.title)).collect());
    let rule = |align| if align == Align::Right { "---:" } else { "---" }.to_owned();
    text += &line(columns.iter().map(|column| rule(column.align)).collect());
    for row in &ranking.rows {
        text += &line(columns.iter().map(|column| escape(&(column.text)(row))).collect());
    }
    ranking.notes().iter().fold(text, |text, note| text + "\n" + &escape(note) + "\n")
}

/// Escapes a text for a cell: no markup, no links, no HTML, no end of the cell.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in clean(text).chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '$' | '!' => escaped.extend(['\\', c]),
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            // `@name` would notify somebody.
            '@' => escaped += "&#64;",
            _ => escaped.push(c),
        }
    }
    // Bare addresses would become links.
    escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
}
