//! Rows for spreadsheets and programs.

use std::borrow::Cow;

use flair_scoring::text::csv_cell;

use super::text::clean;
use crate::{Ranking, columns::COLUMNS};

pub(super) fn render(rankings: &[Ranking<'_>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["benchmark"].into_iter().chain(COLUMNS.iter().map(|column| column.key)).map(Cow::from);
    let rows = rankings.iter().flat_map(|ranking| {
        ranking.rows.iter().map(|row| {
            let cells = COLUMNS.iter().map(|column| cell(&(column.data)(row)));
            [cell(ranking.benchmark)].into_iter().chain(cells).collect::<Vec<_>>()
        })
    });
    for row in [header.collect()].into_iter().chain(rows) {
        #[expect(clippy::expect_used, reason = "a table without its rows must never be written")]
        writer.write_record(row.iter().map(|cell| cell.as_bytes())).expect("memory takes rows of one length");
    }
    #[expect(clippy::expect_used, reason = "a table without its rows must never be written")]
    let bytes = writer.into_inner().expect("memory takes all bytes");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn cell(text: &str) -> Cow<'static, str> {
    csv_cell(&clean(text)).into_owned().into()
}
