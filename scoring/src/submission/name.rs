//! The name of a submission's archive: `{name}_{baseline}_{submission}.zip`, both times as minutes and seconds.
//!
//! The form comes from a participant, association-rosia, `src/models/predict_models.py:126-134`: the times are floored,
//! not zero padded, and measured on one machine, so that the jury can compare them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A time in an archive's name: `14-40` is 14 minutes and 40 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MinutesSeconds {
    minutes: u64,
    seconds: u8,
}

/// Error of parsing a time of an archive's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: expected minutes and seconds, not padded, above 0, such as 14-40 or 5-7")]
pub struct InvalidTime(String);

impl MinutesSeconds {
    /// A time of `minutes` and `seconds`; `None` if `seconds` is 60 or more.
    pub const fn new(minutes: u64, seconds: u8) -> Option<Self> {
        if seconds < 60 { Some(Self { minutes, seconds }) } else { None }
    }

    /// Parses a measured duration: it must be above 0, since the rules multiply it.
    ///
    /// # Errors
    /// As `from_str`, and for a time of 0.
    pub fn parse_taken(text: &str) -> Result<Self, InvalidTime> {
        text.parse().and_then(|time: Self| match time.duration() {
            Duration::ZERO => Err(InvalidTime(text.to_owned())),
            _ => Ok(time),
        })
    }

    /// The time itself.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.minutes.saturating_mul(60).saturating_add(self.seconds as u64))
    }
}

impl From<Duration> for MinutesSeconds {
    /// Floors to whole seconds.
    fn from(time: Duration) -> Self {
        let seconds = time.as_secs();
        // A remainder of 60 fits a byte.
        Self { minutes: seconds / 60, seconds: u8::try_from(seconds % 60).unwrap_or(59) }
    }
}

impl fmt::Display for MinutesSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.minutes, self.seconds)
    }
}

impl FromStr for MinutesSeconds {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Each time has one spelling: no signs, no leading zeros.
        let number = |part: &str| part.parse().ok().filter(|n: &u64| n.to_string() == part);
        let time = text.split_once('-').and_then(|(minutes, seconds)| {
            let seconds = u8::try_from(number(seconds)?).ok()?;
            Self::new(number(minutes).filter(|&m| m < u64::MAX / 60)?, seconds)
        });
        time.ok_or_else(|| InvalidTime(text.to_owned()))
    }
}

impl TryFrom<String> for MinutesSeconds {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MinutesSeconds> for String {
    fn from(time: MinutesSeconds) -> Self {
        time.to_string()
    }
}

/// A parsed archive name: the approach and, if declared, the two times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveName {
    name: String,
    times: Option<Times>,
}

/// The two declared times of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// The time of the challenge's baseline on the participant's machine.
    pub baseline: MinutesSeconds,
    /// The time of the submission on the same machine.
    pub submission: MinutesSeconds,
}

/// Errors of parsing or building an archive's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The name is empty, or has more than [`MAX_NAME`] characters.
    #[error("`{0}` cannot name an archive: expected 1 to {MAX_NAME} characters")]
    Length(String),
    /// The name has characters that some file systems do not allow.
    #[error("`{name}` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`", name = .0.escape_debug())]
    Characters(String),
    /// The name has no times, but its end would be parsed as two times.
    #[error("`{0}` cannot name an archive: its end would be read as two times")]
    Ambiguous(String),
    /// The name does not end with `.zip`.
    #[error("`{0}` is not an archive: expected a name that ends with .zip")]
    Extension(String),
}

/// Maximum number of characters in an approach's name.
pub const MAX_NAME: usize = 100;

impl ArchiveName {
    /// The name of an approach's archive, with its times if they are known.
    ///
    /// # Errors
    /// [`InvalidName`] where `name` is empty, too long or has characters other than ASCII letters, digits and `_-.+`,
    /// or starts with `.` or `-`; or if `times` is `None` and the end of `name` looks like two times.
    pub fn new(name: &str, times: Option<Times>) -> Result<Self, InvalidName> {
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(InvalidName::Length(name.to_owned()));
        }
        let is_safe = |b: u8| b.is_ascii_alphanumeric() || b"_-.+".contains(&b);
        if !name.bytes().all(is_safe) || name.starts_with(['.', '-']) {
            return Err(InvalidName::Characters(name.to_owned()));
        }
        if times.is_none() && split_times(name).is_some() {
            return Err(InvalidName::Ambiguous(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), times })
    }

    /// The approach's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The declared times, if any.
    pub fn times(&self) -> Option<Times> {
        self.times
    }
}

/// Splits a name into the approach and the times at its end.
pub(super) fn split_times(stem: &str) -> Option<(&str, Times)> {
    let (rest, submission) = stem.rsplit_once('_')?;
    let (name, baseline) = rest.rsplit_once('_')?;
    Some((name, Times { baseline: baseline.parse().ok()?, submission: submission.parse().ok()? }))
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(Times { baseline, submission }) = self.times {
            write!(f, "_{baseline}_{submission}")?;
        }
        f.write_str(".zip")
    }
}

impl FromStr for ArchiveName {
    type Err = InvalidName;

    /// Reads the times from the right, since the name itself may hold `_` and `-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let stem = text.strip_suffix(".zip").ok_or_else(|| InvalidName::Extension(text.to_owned()))?;
        match split_times(stem) {
            Some((name, times)) => Self::new(name, Some(times)),
            None => Self::new(stem, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(baseline: &str, submission: &str) -> Times {
        Times { baseline: baseline.parse().unwrap(), submission: submission.parse().unwrap() }
    }

    #[test]
    fn a_participants_name_is_read_from_the_right() {
        let name: ArchiveName = "run_5-57_14-40.zip".parse().unwrap();
        assert_eq!((name.name(), name.times()), ("run", Some(times("5-57", "14-40"))));
        let name: ArchiveName = "u-tt_2-3_mit_b2_5-57_14-40.zip".parse().unwrap();
        assert_eq!(name.name(), "u-tt_2-3_mit_b2");
        let name: ArchiveName = "flair2_T4_46_min_6355_iou.zip".parse().unwrap();
        assert_eq!((name.name(), name.times()), ("flair2_T4_46_min_6355_iou", None));
    }

    #[test]
    fn times_are_floored_and_not_padded() {
        let time = |ms| MinutesSeconds::from(Duration::from_millis(ms)).to_string();
        // 2.5 times 5 min 57 s: the limit that association-rosia computed.
        assert_eq!(time(892_500), "14-52");
        assert_eq!(
            (time(0), time(59_999), time(60_000), time(6_000_000)),
            ("0-0".into(), "0-59".into(), "1-0".into(), "100-0".into())
        );
        for wrong in [
            "",
            "5",
            "5-",
            "-5",
            "5-60",
            "05-7",
            "5-07",
            "+5-7",
            "5-7-1",
            "5:07",
            "99999999999999999999-1",
            "18446744073709551615-1",
        ] {
            assert!(wrong.parse::<MinutesSeconds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bad_names_say_what_is_allowed() {
        let errors: Vec<_> = ["", "a b", "../x", ".hidden", "-rf", "é", "a\x1b[2J", "run_1-2_3-4"]
            .map(|name| ArchiveName::new(name, None).unwrap_err().to_string())
            .into();
        insta::assert_snapshot!(errors.join("\n"), @r"
        `` cannot name an archive: expected 1 to 100 characters
        `a b` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        `../x` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        `.hidden` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        `-rf` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        `é` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        `a\u{1b}[2J` cannot name an archive: use letters, digits, `_`, `-`, `.` and `+`, and no leading `.` or `-`
        `run_1-2_3-4` cannot name an archive: its end would be read as two times
        ");
        assert!(ArchiveName::new(&"x".repeat(101), None).is_err());
        assert!(ArchiveName::new("run_1-2_3-4", Some(times("1-2", "3-4"))).is_ok());
        assert!("run".parse::<ArchiveName>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            name in "[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,40}",
            seconds in prop::option::of((0u64..100_000, 0u64..100_000)),
        ) {
            let times = seconds.map(|(b, s)| Times {
                baseline: Duration::from_secs(b).into(),
                submission: Duration::from_secs(s).into(),
            });
            if let Ok(name) = ArchiveName::new(&name, times) {
                prop_assert_eq!(name.to_string().parse::<ArchiveName>(), Ok(name.clone()));
                prop_assert_eq!(name.times().map(|t| t.submission.duration().as_secs()), seconds.map(|s| s.1));
            } else {
                prop_assert!(times.is_none());
            }
        }

        #[test]
        fn what_is_read_is_written_back(text in "[a-z0-9_.-]{0,12}(_[0-9]{1,3}-[0-9]{1,2}){0,3}\\.zip") {
            if let Ok(name) = text.parse::<ArchiveName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
