//! Text of messages: escapes untrusted text for display, and formats counts with nouns.

use std::{borrow::Cow, fmt::Display};

/// Maximum number of characters shown of a text.
const MAX: usize = 160;

/// Makes untrusted text safe for a message: escapes control characters and bidirectional controls, which a terminal
/// would interpret, and truncates long text.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX {
            shown.push('…');
            break;
        }
        if is_unsafe(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a terminal or a web page may interpret a character instead of showing it: control characters and
/// bidirectional controls (Unicode 16, `Bidi_Control`).
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as a cell of a CSV table: one that a spreadsheet would take for a formula begins with `'`, as OWASP advises.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula { Cow::from(format!("'{text}")) } else { Cow::from(text) }
}

/// What a reader sees of a text: without invisible characters (zero-width spaces and joiners, soft hyphens, variation
/// selectors), and with single spaces. Two names that are equal so look the same in every table.
pub fn visible(text: &str) -> String {
    let seen: String = text.chars().filter(|&c| !is_invisible(c)).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character has no width and no ink (Unicode 16, `Default_Ignorable_Code_Point`).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A count with its noun: `1 error`, `2 errors`, `2 patches`, `0 classes`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    format!("{count} {}", noun(count, what))
}

/// The noun in singular or plural, to match `count`: `patch` for 1, `patches` for anything else.
pub fn noun<N: Copy + PartialEq + From<u8>>(count: N, singular: &str) -> String {
    if count == N::from(1) {
        singular.to_owned()
    } else if singular.ends_with(['s', 'x']) || singular.ends_with("ch") || singular.ends_with("sh") {
        format!("{singular}es")
    } else {
        format!("{singular}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_things_read_as_english() {
        let read = [
            counted(1, "patch"),
            counted(2, "patch"),
            counted(0_u64, "class"),
            counted(2, "zone"),
            counted(1, "error"),
        ];
        assert_eq!(read, ["1 patch", "2 patches", "0 classes", "2 zones", "1 error"]);
    }

    #[test]
    fn formulas_are_texts_in_a_table() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
            assert_eq!(csv_cell(text), format!("'{text}"));
        }
        for text in ["", "bare soil", "a=1", "'=1", "1-2"] {
            assert_eq!(csv_cell(text), text);
        }
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        assert_eq!(visible(" bare\u{200b} \u{a0}soil\u{ad}"), "bare soil");
        assert_eq!(visible("\u{2060}\u{feff} "), "");
        assert_eq!(visible("sol nu · 裸地"), "sol nu · 裸地");
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(shown("PRED_é.tif"), "PRED_é.tif");
        assert_eq!(shown("\x1b[2J\u{9b}\u{202e}fit"), "\\u{1b}[2J\\u{9b}\\u{202e}fit");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 161);
    }
}
