//! Rows for spreadsheets and programs.

use flair_scoring::text::csv_cell;

use super::text::clean;
use crate::{Ranking, columns::COLUMNS};

pub(super) fn render(rankings: &[Ranking<'_>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["benchmark"].into_iter().chain(COLUMNS.iter().map(|column| column.key));
    // Writing to memory can't fail, nor can rows of one length.
    let _ = writer.write_record(header);
    for ranking in rankings {
        for row in &ranking.rows {
            let cells = COLUMNS.iter().map(|column| cell(&(column.data)(row)));
            let _ = writer.write_record([cell(ranking.benchmark)].into_iter().chain(cells));
        }
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

fn cell(text: &str) -> String {
    csv_cell(&clean(text)).into_owned()
}
