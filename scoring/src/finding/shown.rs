//! Names from strangers, made fit to be seen.

/// Most characters that are shown of a name.
const MAX: usize = 160;

/// A text from outside for a message: control characters and marks that turn the direction of writing are escaped
/// (a terminal obeys them), and a long one is cut.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX {
            shown.push('…');
            break;
        }
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(shown("PRED_é.tif"), "PRED_é.tif");
        assert_eq!(shown("\x1b[2J\u{9b}\u{202e}fit"), "\\u{1b}[2J\\u{9b}\\u{202e}fit");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 161);
    }
}
