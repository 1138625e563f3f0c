//! The names of a submission that may declare times: of the archive, and of the only folder in it.
//!
//! The name of a participant's upload is lost: Codabench's worker downloads it into a temporary file
//! (`compute_worker.py`, `_get_bundle`), and CodaLab's unpacks it into `res`. So the names within the upload are read.

use std::{collections::BTreeSet, fmt};

use super::HostingCode;
use flair_scoring::{
    Finding,
    source::{Kind, Source},
    submission::{ArchiveName, Times},
    text::shown,
};

/// A name, and the times that it declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    name: String,
    times: Stated,
}

/// The times in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stated {
    Times(Times),
    /// The end of the name resembles two times, but is not.
    Unreadable,
    None,
}

impl Named {
    fn new(name: String) -> Self {
        let stem = match name.get(name.len().saturating_sub(4)..) {
            Some(end) if end.eq_ignore_ascii_case(".zip") => &name[..name.len() - 4],
            _ => &name,
        };
        let mut parts = stem.rsplitn(3, '_');
        let (submission, baseline, approach) = (parts.next(), parts.next(), parts.next());
        let times = match (baseline, submission) {
            (Some(baseline), Some(submission)) if approach.is_some() => {
                // Any approach's name will do here: only its end matters.
                let end = format!("x_{baseline}_{submission}.zip").parse::<ArchiveName>().ok();
                match end.and_then(|name| name.times()) {
                    Some(times) => Stated::Times(times),
                    None if resembles_time(baseline) && resembles_time(submission) => Stated::Unreadable,
                    None => Stated::None,
                }
            }
            _ => Stated::None,
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

    /// The finding on times that cannot be read.
    pub(super) fn finding(&self) -> Option<Finding> {
        let message = "its times cannot be read: expected minutes and seconds below 60, without leading zeros, as in \
                       unet_5-57_14-40";
        (self.times == Stated::Unreadable).then(|| HostingCode::UnreadableTimes.finding(shown(&self.name), message))
    }
}

/// What the name says of the times, in words.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = shown(&self.name);
        match self.times {
            Stated::Times(_) => write!(f, "the name `{name}` declares them"),
            Stated::Unreadable => write!(f, "those of the name `{name}` cannot be read"),
            Stated::None => write!(f, "the name `{name}` declares none"),
        }
    }
}

/// Whether a part of a name resembles a time: numbers with something between them, such as `20-00`, `5:57` or `5m57s`.
fn resembles_time(part: &str) -> bool {
    let part = part.trim();
    let is_of_time = |c: char| c.is_ascii_digit() || "-:.,msMS' ".contains(c);
    part.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && part.contains(|c: char| c.is_ascii_digit())
        && part.chars().all(is_of_time)
        && !part.bytes().all(|b| b.is_ascii_digit())
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
            Stated::Unreadable => "unreadable".to_owned(),
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
            assert_eq!(of(name), "unreadable", "{name}");
        }
        for name in ["preds", "unet_2023_10", "flair2_T4_46_min", "5-57_14-40", "é", "", "é.zip", "u-tt_2-3_mit_b2"] {
            assert_eq!(of(name), "none", "{name}");
        }
    }
}
