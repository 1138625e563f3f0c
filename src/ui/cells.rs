//! Figures as text, and table cells.

use comfy_table::{Cell, CellAlignment, Table, presets};
use flair_scoring::analysis::{bootstrap::Interval, uncertainty::Drawn};

/// The bootstrap settings of the intervals.
pub(super) fn drawn(drawn: &Drawn) -> String {
    let Drawn { unit, units, bootstrap } = drawn;
    format!(
        "{} intervals: {} replicates of {}, seed {}",
        percent(bootstrap.level),
        bootstrap.replicates,
        unit.count(*units),
        bootstrap.seed
    )
}

/// `95 %`.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.3}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `0.5123 to 0.5456`.
pub(super) fn range(interval: Option<Interval>, digits: usize) -> String {
    interval.map_or_else(|| "–".to_owned(), |ends| format!("{:.digits$} to {:.digits$}", ends.low, ends.high))
}

/// An empty table with a header.
pub(super) fn plain(header: Vec<Cell>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    table
}

pub(super) fn right(text: impl Into<String>) -> Cell {
    Cell::new(text.into()).set_alignment(CellAlignment::Right)
}

/// A figure, or a dash for `None`.
pub(crate) fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
