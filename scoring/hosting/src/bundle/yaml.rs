//! The head that the settings of both platforms share, and texts as YAML.

use std::fmt::Write;

use super::files::LOGO;
use crate::challenge::Challenge;

/// A text as a YAML scalar in ASCII, so that the reader's encoding does not matter.
pub(super) fn quoted(text: &str) -> String {
    // YAML's double-quoted form knows all escapes of JSON except surrogate pairs.
    let json = serde_json::Value::from(text).to_string();
    json.chars().fold(String::new(), |mut quoted, c| {
        let _ = match u32::from(c) {
            0..=0x7f => quoted.write_char(c),
            code @ 0x80..=0xffff => write!(quoted, "\\u{code:04x}"),
            code => write!(quoted, "\\U{code:08x}"),
        };
        quoted
    })
}

/// The first lines of the settings, equal on both platforms but for the version, a line or nothing.
pub(super) fn head(challenge: &Challenge, version: &str) -> String {
    format!(
        "# Made by flair-bench {}.\n{version}title: {}\ndescription: {}\nimage: {LOGO}\n",
        env!("CARGO_PKG_VERSION"),
        quoted(&challenge.title),
        quoted(&challenge.description),
    )
}
