//! Tables and lines that fit the terminal: a narrow one shows fewer columns, and says which are left out.

use comfy_table::{Cell, ContentArrangement, Table};

use super::cells::{plain, right};

/// The head of a column.
pub(super) struct Head {
    cell: Cell,
    title: String,
    /// Columns of the highest rank are left out first, all together; those of rank 0 never.
    rank: u8,
}

/// A column that is always shown.
pub(super) fn kept(cell: Cell) -> Head {
    Head { cell, title: String::new(), rank: 0 }
}

/// A column of numbers that a narrow terminal leaves out.
pub(super) fn spare(rank: u8, title: impl Into<String>) -> Head {
    let title = title.into();
    Head { cell: right(title.clone()), title, rank }
}

/// A table whose columns fit the terminal.
pub(super) struct Fitted {
    table: Table,
    heads: Vec<(String, u8)>,
}

impl Fitted {
    pub(super) fn new(header: Vec<Head>) -> Self {
        let (cells, heads) = header.into_iter().map(|head| (head.cell, (head.title, head.rank))).unzip();
        Self { table: plain(cells), heads }
    }

    pub(super) fn add_row(&mut self, row: Vec<Cell>) {
        self.table.add_row(row);
    }

    /// The table in at most `width` columns, without spare ones if need be; all columns without a width.
    pub(super) fn text(self, width: Option<u16>) -> String {
        let Self { table: all, heads } = self;
        let Some(width) = width else { return all.to_string() };
        let is_wide = |table: &Table| table.lines().any(|line| line.chars().count() > usize::from(width));
        let mut ranks: Vec<u8> = heads.iter().map(|(_, rank)| *rank).filter(|rank| *rank > 0).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let (mut table, mut shown): (_, Vec<usize>) = (all.clone(), (0..heads.len()).collect());
        while is_wide(&table) {
            let Some(last) = ranks.pop() else { break };
            shown.retain(|column| heads[*column].1 != last);
            table = columns_of(&all, &shown);
        }
        if is_wide(&table) {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        let left_out: Vec<_> = (0..heads.len()).filter(|column| !shown.contains(column)).collect();
        let titles: Vec<_> = left_out.into_iter().map(|column| heads[column].0.as_str()).collect();
        match titles.as_slice() {
            [] => table.to_string(),
            titles => {
                let line = format!("(the terminal is too narrow for: {})", titles.join(", "));
                format!("{table}\n{}", wrapped(&line, Some(width)))
            }
        }
    }
}

/// The same table with these columns alone.
fn columns_of(table: &Table, columns: &[usize]) -> Table {
    let pick = |row: &comfy_table::Row| -> Vec<Cell> {
        let cells: Vec<_> = row.cell_iter().collect();
        columns.iter().filter_map(|column| cells.get(*column).map(|cell| (*cell).clone())).collect()
    };
    let mut picked = plain(table.header().map(pick).unwrap_or_default());
    table.row_iter().for_each(|row| {
        picked.add_row(pick(row));
    });
    picked
}

/// A line broken at spaces to at most `width` columns; the following ones are indented by two more.
pub(super) fn wrapped(line: &str, width: Option<u16>) -> String {
    let most = width.map_or(usize::MAX, usize::from);
    let words = line.trim_start_matches(' ');
    let indent = line.len() - words.len();
    let (mut text, mut column, mut is_first) = (" ".repeat(indent), indent, true);
    for word in words.split(' ') {
        let length = word.chars().count();
        let is_first = std::mem::take(&mut is_first);
        if !is_first && column + 1 + length > most {
            text.push('\n');
            text.push_str(&" ".repeat(indent + 2));
            column = indent + 2;
        } else if !is_first {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Fitted {
        let mut table = Fitted::new(vec![
            kept(Cell::new("class")),
            kept(right("IoU")),
            spare(1, "recall"),
            spare(2, "precision"),
            spare(2, "support"),
        ]);
        table.add_row(["herbaceous vegetation", "0.5", "0.6", "0.7", "1000"].map(Cell::new).into());
        table
    }

    #[test]
    fn a_narrow_terminal_shows_fewer_columns_and_says_so() {
        assert_eq!(table().text(None), table().text(Some(200)));
        insta::assert_snapshot!(table().text(Some(50)), @r"
        ┌───────────────────────┬─────┬────────┐
        │ class                 ┆ IoU ┆ recall │
        ╞═══════════════════════╪═════╪════════╡
        │ herbaceous vegetation ┆ 0.5 ┆ 0.6    │
        └───────────────────────┴─────┴────────┘
        (the terminal is too narrow for: precision,
          support)
        ");
        insta::assert_snapshot!(table().text(Some(34)), @r"
        ┌───────────────────────┬─────┐
        │ class                 ┆ IoU │
        ╞═══════════════════════╪═════╡
        │ herbaceous vegetation ┆ 0.5 │
        └───────────────────────┴─────┘
        (the terminal is too narrow for:
          recall, precision, support)
        ");
        for width in 20..70 {
            let text = table().text(Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}\n{text}");
        }
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three", None), "one two three");
        assert_eq!(wrapped("one two three", Some(8)), "one two\n  three");
        assert_eq!(wrapped("incomprehensible a", Some(4)), "incomprehensible\n  a");
        assert_eq!(wrapped("  one two three", Some(9)), "  one two\n    three");
    }
}
