//! The records of a run that are read for its entry.

use std::{io, path::Path};

use flair_scoring::files::{MAX_RECORD, read_text};

use crate::LeaderboardError;

/// The fields read from `run.json`.
#[derive(Default)]
pub(super) struct Run {
    pub(super) split: Option<String>,
    pub(super) preset: Option<String>,
    pub(super) is_toy: bool,
    pub(super) is_real: bool,
    pub(super) is_untrained: bool,
}

impl Run {
    pub(super) fn read(path: &Path) -> Result<Self, LeaderboardError> {
        let Some(text) = read(path)? else { return Ok(Self::default()) };
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| LeaderboardError::file(path, error.to_string()))?;
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        Ok(Self {
            split: text("split"),
            preset: text("preset"),
            is_toy: text("data_kind").is_some_and(|kind| kind == "toy"),
            is_real: text("data_kind").is_some_and(|kind| kind == "real"),
            is_untrained: json["untrained"].as_bool().unwrap_or(false),
        })
    }
}

/// A file's text; `None` if the file does not exist.
pub(super) fn read(path: &Path) -> Result<Option<String>, LeaderboardError> {
    match read_text(path, MAX_RECORD) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LeaderboardError::io(path)(error)),
    }
}
