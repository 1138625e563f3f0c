//! Rankings for programs.

use serde::Serialize;

use crate::{Entry, Ranking};

#[derive(Serialize)]
struct Listing<'a> {
    schema: &'static str,
    benchmarks: Vec<Table<'a>>,
}

#[derive(Serialize)]
struct Table<'a> {
    benchmark: &'a str,
    rows: Vec<Line<'a>>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    place: usize,
    tied: bool,
    entry: &'a Entry,
}

pub(super) fn render(rankings: &[Ranking<'_>]) -> String {
    let benchmarks = rankings.iter().map(|ranking| {
        let rows = ranking.rows.iter().map(|row| Line { place: row.place, tied: row.is_tied, entry: row.entry });
        Table { benchmark: ranking.benchmark, rows: rows.collect(), notes: ranking.notes() }
    });
    let listing = Listing { schema: "flair-bench/leaderboard/1", benchmarks: benchmarks.collect() };
    #[expect(clippy::expect_used, reason = "rankings without text must never be written")]
    let mut json = serde_json::to_string_pretty(&listing).expect("texts and numbers are JSON");
    json.push('\n');
    json
}
