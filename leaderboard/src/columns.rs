//! The columns of a leaderboard table, defined once for all renderers.

use flair_scoring::timing::{Hms, Timing};

use crate::Row;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name for programs.
    pub key: &'static str,
    /// Heading for people.
    pub title: &'static str,
    /// Alignment of its texts.
    pub align: Align,
    /// The formats that show it.
    pub shown: Shown,
    /// The text for people; empty if there is none. It may have untrusted text from the entry: renderers escape it.
    pub text: fn(&Row<'_>) -> String,
    /// The value for programs, with all digits.
    pub data: fn(&Row<'_>) -> String,
}

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Left: words.
    Left,
    /// Right: numbers.
    Right,
}

/// The formats that show a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Terminals, pages and data files.
    Everywhere,
    /// Pages and data files: the column is too wide for a terminal.
    OnPages,
    /// Data files.
    InData,
}

/// All columns, in order.
pub static COLUMNS: &[Column] = &[
    Column {
        key: "place",
        title: "#",
        align: Align::Right,
        shown: Shown::Everywhere,
        text: place,
        data: |r| r.place.to_string(),
    },
    Column { key: "rank", title: "Official", align: Align::Right, shown: Shown::Everywhere, text: rank, data: rank },
    Column {
        key: "name",
        title: "Team or model",
        align: Align::Left,
        shown: Shown::Everywhere,
        text: name,
        data: |r| r.entry.name.clone(),
    },
    Column {
        key: "miou",
        title: "mIoU",
        align: Align::Right,
        shown: Shown::Everywhere,
        text: |r| format!("{:.5}", r.entry.miou),
        data: |r| r.entry.miou.to_string(),
    },
    Column {
        key: "std",
        title: "±",
        align: Align::Right,
        shown: Shown::Everywhere,
        text: |r| optional(r.entry.std, |v| format!("{v:.4}")),
        data: |r| optional(r.entry.std, |v| v.to_string()),
    },
    Column {
        key: "device_seconds",
        title: "Device time",
        align: Align::Right,
        shown: Shown::Everywhere,
        // Rounded up: a time over a limit must not look like the limit.
        text: |r| device_seconds(r, |s| Hms(s.ceil()).to_string()),
        data: |r| device_seconds(r, |s| s.to_string()),
    },
    Column {
        key: "input",
        title: "Input",
        align: Align::Left,
        shown: Shown::Everywhere,
        text: |r| r.entry.input.clone(),
        data: |r| r.entry.input.clone(),
    },
    Column {
        key: "protocol",
        title: "Protocol",
        align: Align::Left,
        shown: Shown::Everywhere,
        text: |r| r.entry.protocol.clone(),
        data: |r| r.entry.protocol.clone(),
    },
    Column { key: "date", title: "Date", align: Align::Left, shown: Shown::OnPages, text: date, data: date },
    Column {
        key: "notes",
        title: "Notes",
        align: Align::Left,
        shown: Shown::OnPages,
        text: |r| r.entry.notes.clone(),
        data: |r| r.entry.notes.clone(),
    },
    Column {
        key: "source",
        title: "Source",
        align: Align::Left,
        shown: Shown::OnPages,
        text: |r| r.entry.source.clone(),
        data: |r| r.entry.source.clone(),
    },
    Column {
        key: "untrained",
        title: "Untrained",
        align: Align::Left,
        shown: Shown::InData,
        text: |_| String::new(),
        data: |r| r.entry.untrained.to_string(),
    },
];

/// The columns of a table with these rows, without empty columns.
pub fn columns<'a>(rows: &'a [Row<'a>], shown: &'a [Shown]) -> impl Iterator<Item = &'static Column> {
    let has_text = |column: &&Column| rows.iter().any(|row| !(column.text)(row).is_empty());
    COLUMNS.iter().filter(move |column| shown.contains(&column.shown)).filter(has_text)
}

fn place(row: &Row<'_>) -> String {
    format!("{}{}", row.place, if row.is_tied { "=" } else { "" })
}

fn rank(row: &Row<'_>) -> String {
    optional(row.entry.rank, |rank| rank.to_string())
}

fn name(row: &Row<'_>) -> String {
    format!("{}{}", row.entry.name, if row.entry.untrained { " (untrained)" } else { "" })
}

fn date(row: &Row<'_>) -> String {
    row.entry.date.clone().unwrap_or_default()
}

fn device_seconds(row: &Row<'_>, show: fn(f64) -> String) -> String {
    // A time that covers only a part of the run would be too good.
    let timing = row.entry.timing.as_ref().filter(|timing| timing.is_whole());
    optional(timing.map(Timing::computed_device_seconds), show)
}

fn optional<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map(show).unwrap_or_default()
}
