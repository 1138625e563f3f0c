//! The names of a submission that may declare times: of the archive, and of the only folder in it.
//!
//! The name of a participant's upload is lost: Codabench's worker downloads it into a temporary file
//! (`compute_worker.py`, `_get_bundle`), and CodaLab's unpacks it into `res`. So the names within the upload are read.

use std::{collections::BTreeSet, fmt};

use flair_scoring::{
    Code, Finding, Severity,
    source::{Kind, Source},
    submission::{MalformedTimes, Times, split_times, stem_of},
    text::shown,
};

/// A name, and the times that it declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    name: String,
    times: Stated,
}

/// The times in a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stated {
    Times(Times),
    /// The name tries to declare times.
    Malformed(MalformedTimes),
    None,
}

impl Named {
    fn new(name: String) -> Self {
        let times = match split_times(stem_of(&name).unwrap_or(&name)) {
            Ok(Some((_, times))) => Stated::Times(times),
            Ok(None) => Stated::None,
            Err(error) => Stated::Malformed(error),
        };
        Self { name, times }
    }

    /// The name, and its times if it declares any.
    pub(super) fn times(&self) -> Option<(&str, Times)> {
        match self.times {
            Stated::Times(times) => Some((&self.name, times)),
            _ => None,
        }
    }

    /// The finding on times that cannot be read: an error of a check; here the score is kept, and the jury decides.
    pub(super) fn finding(&self) -> Option<Finding> {
        let Stated::Malformed(error) = &self.times else { return None };
        let finding = Code::MalformedTimes.finding(shown(&self.name), format!("{error}: they do not count"));
        Some(finding.with_severity(Severity::Warning))
    }
}

/// What the name says of the times, in words.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = shown(&self.name);
        match self.times {
            Stated::Times(_) => write!(f, "the name `{name}` declares them"),
            Stated::Malformed(_) => write!(f, "those of the name `{name}` cannot be read"),
            Stated::None => write!(f, "the name `{name}` declares none"),
        }
    }
}

/// The names of a submission: of the archive, and of the only folder in it. The name of a folder that holds the
/// submission is not the participant's. A folder without times has a name of no interest.
pub(super) fn names_of(submission: &Source) -> Vec<Named> {
    let archive = submission.path().file_name().filter(|_| submission.kind() == Kind::Archive);
    let archive = archive.map(|name| Named::new(name.to_string_lossy().into_owned()));
    let folder = only_folder(submission).map(|name| Named::new(name.to_owned()));
    archive.into_iter().chain(folder.filter(|folder| folder.times != Stated::None)).collect()
}

/// The only folder at the top of a submission, if there is exactly one.
fn only_folder(submission: &Source) -> Option<&str> {
    let folders = submission.entries().iter().filter_map(|entry| Some(entry.name.split_once('/')?.0));
    let folders: BTreeSet<_> = folders.filter(|name| *name != "__MACOSX").collect();
    folders.first().filter(|_| folders.len() == 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_declares_times() {
        let of = |name: &str| match Named::new(name.to_owned()).times {
            Stated::Times(Times { baseline, submission }) => format!("{baseline} {submission}"),
            Stated::Malformed(_) => "malformed".to_owned(),
            Stated::None => "none".to_owned(),
        };
        // Nothing but the end matters: spaces, accents and upper case hide no times.
        for name in
            ["unet_5-57_14-40", "unet_5-57_14-40.zip", "mon unét_5-57_14-40.ZIP", "_5-57_14-40", "a_b_5-57_14-40"]
        {
            assert_eq!(of(name), "5-57 14-40", "{name}");
        }
        for name in [
            "unet_20-00_30-00",
            "unet_5-57_014-40.zip",
            "unet_5-57_14-60",
            "unet_5:57_14:40",
            "unet_5-57_ 14-40",
            "unet_5-57_-14-40",
            "unet_5m57s_14m40s",
        ] {
            assert_eq!(of(name), "malformed", "{name}");
        }
        for name in ["preds", "unet_2023_10", "flair2_T4_46_min", "5-57_14-40", "é", "", "é.zip", "u-tt_2-3_mit_b2"] {
            assert_eq!(of(name), "none", "{name}");
        }
    }
}
