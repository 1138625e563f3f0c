//! Text from outside, made safe to show in a table.

use flair_scoring::text::is_unsafe;

/// The text on one line, without control characters and direction marks; runs of white space become one space.
pub(super) fn clean(text: &str) -> String {
    let shown = |c: char| if c.is_whitespace() { ' ' } else { c };
    let text: String = text.chars().map(shown).filter(|&c| !is_unsafe(c)).collect();
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
