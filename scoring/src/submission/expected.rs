//! The patches that a submission must contain: the official list, and lists of IDs from files.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{PatchId, files::read_text, text::shown};

/// Maximum size of a list of IDs, in bytes: enough for the whole dataset with one file name per line.
const MAX_LIST: u64 = 32 << 20;

/// Errors of reading a list of IDs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdsError {
    /// The file cannot be read.
    #[error("cannot read the list of patches `{path}`: {error}")]
    Io {
        /// Its path.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// A line is neither an ID nor a range.
    #[error("`{path}`, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The problem, with the fix.
        reason: String,
    },
    /// The file has no ID.
    #[error("`{path}` lists no patch")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The challenge's test set: 16,050 patches, 077413 to 093462 (IGNF/FLAIR-2, `README.md`).
pub fn official_test() -> BTreeSet<PatchId> {
    (77_413..=93_462).filter_map(PatchId::new).collect()
}

/// Reads a list of patches: on each line an ID (`077413`), a file name of one (`IMG_077413.tif`, with or without a
/// path) or a range (`077413-093462`, both ends included); `#` starts a comment.
///
/// # Errors
/// [`IdsError`]: the file cannot be read, a line is none of these, or the file has no ID.
pub fn read_ids(path: &Path) -> Result<BTreeSet<PatchId>, IdsError> {
    let io = |error| IdsError::Io { path: path.to_owned(), error };
    let text = read_text(path, MAX_LIST).map_err(io)?;
    let ids = parse_ids(&text).map_err(|(line, reason)| IdsError::Line { path: path.to_owned(), line, reason })?;
    if ids.is_empty() {
        return Err(IdsError::Empty { path: path.to_owned() });
    }
    Ok(ids)
}

/// As [`read_ids`], from a text; an error is the line number, from 1, and the problem.
fn parse_ids(text: &str) -> Result<BTreeSet<PatchId>, (usize, String)> {
    let mut ranges = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let item = line.split('#').next().unwrap_or_default().trim();
        if !item.is_empty() {
            ranges.push(parse_item(item).map_err(|reason| (number + 1, reason))?);
        }
    }
    // In order, each number is made once, whatever number of ranges holds it.
    ranges.sort_unstable();
    let mut next = 0;
    let new = ranges.into_iter().flat_map(|(first, last)| {
        let from = first.number().max(next);
        next = next.max(last.number() + 1);
        from..=last.number()
    });
    Ok(new.filter_map(PatchId::new).collect())
}

fn parse_item(item: &str) -> Result<(PatchId, PatchId), String> {
    let file_name = item.rsplit(['/', '\\']).next().unwrap_or_default();
    let of_file = ["IMG", "MSK", "PRED"].iter().find_map(|prefix| PatchId::from_file_name(file_name, prefix));
    if let Some(id) = of_file.or_else(|| item.parse().ok()) {
        return Ok((id, id));
    }
    let range = item.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    match range {
        Some((first, last)) if first <= last => Ok((first, last)),
        Some(_) => Err(format!("the range `{item}` ends before it starts")),
        None => Err(format!(
            "`{}` is neither a patch (077413), nor a file name of one (IMG_077413.tif), nor a range (077413-093462)",
            shown(item)
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::fold_ranges;

    #[test]
    fn the_official_test_set_is_the_published_one() {
        assert_eq!(
            (official_test().len(), fold_ranges(official_test()).join(" ")),
            (16_050, "077413-093462".to_owned())
        );
    }

    #[test]
    fn ids_names_and_ranges_are_read() {
        let text =
            "\u{feff}# the test set\r\n077413-077415\r\n\nIMG_000826.tif # a name\nD004/Z1/msk/MSK_000001.tif\n000002";
        let ids = parse_ids(text).unwrap();
        assert_eq!(fold_ranges(ids).join(" "), "000001-000002 000826 077413-077415");
    }

    #[test]
    fn errors_show_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.txt");
        let error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_ids(&path).unwrap_err().to_string().replace(&path.display().to_string(), "ids.txt")
        };
        let errors = ["000001\n77413", "# x\n\n000002-000001", "000001-2", "a\x1b[2J", "# nothing"].map(error);
        insta::assert_snapshot!(errors.join("\n"), @r"
        `ids.txt`, line 2: `77413` is neither a patch (077413), nor a file name of one (IMG_077413.tif), nor a range (077413-093462)
        `ids.txt`, line 3: the range `000002-000001` ends before it starts
        `ids.txt`, line 1: `000001-2` is neither a patch (077413), nor a file name of one (IMG_077413.tif), nor a range (077413-093462)
        `ids.txt`, line 1: `a\u{1b}[2J` is neither a patch (077413), nor a file name of one (IMG_077413.tif), nor a range (077413-093462)
        `ids.txt` lists no patch
        ");
    }

    #[test]
    fn ranges_that_repeat_each_other_are_read_once() {
        assert_eq!(
            fold_ranges(parse_ids("000005-000009\n000001-000006\n000002\n000008-000012").unwrap()),
            ["000001-000012"]
        );
        // Twenty thousand times the million of all numbers.
        let start = std::time::Instant::now();
        assert_eq!(parse_ids(&"000000-999999\n".repeat(20_000)).unwrap().len(), 1_000_000);
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn folded_ranges_are_read_back(numbers in prop::collection::btree_set(0u32..200, 1..80)) {
            let ids: BTreeSet<_> = numbers.into_iter().filter_map(PatchId::new).collect();
            let ranges = fold_ranges(ids.iter().copied());
            prop_assert_eq!(parse_ids(&ranges.join("\n")), Ok(ids));
        }
    }
}
