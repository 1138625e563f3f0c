//! The head that the settings of both platforms share, and texts as YAML.

use std::fmt::Write;

use super::files::LOGO;
use crate::challenge::Challenge;

/// A text as a scalar of YAML, in ASCII alone, so that no reader's encoding matters.
pub(super) fn quoted(text: &str) -> String {
    // The double-quoted form takes all escapes of JSON, but for pairs of surrogates.
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
