//! Tables for a terminal.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::text::clean;
use crate::{
    Ranking,
    columns::{Align, Shown, columns},
};

/// Three rules, as in print; none between rows.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─'))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─'));

pub(super) fn render(rankings: &[Ranking<'_>], width: Option<u16>) -> String {
    let tables = rankings.iter().map(|ranking| one(ranking, width));
    tables.collect::<Vec<_>>().join("\n")
}

fn one(ranking: &Ranking<'_>, width: Option<u16>) -> String {
    let columns: Vec<_> = columns(&ranking.rows, &[Shown::Everywhere]).collect();
    let cell = |text: &str, align| {
        let side = if align == Align::Right { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new(clean(text)).set_alignment(side)
    };
    let mut table = Table::new();
    table.load_style(STYLE);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(columns.iter().map(|column| cell(column.title, column.align)));
    for row in &ranking.rows {
        table.add_row(columns.iter().map(|column| cell(&(column.text)(row), column.align)));
    }
    let lines = [clean(ranking.benchmark), table.trim_fmt()].into_iter().chain(ranking.notes());
    lines.map(|line| line + "\n").collect()
}
