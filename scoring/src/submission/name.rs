//! The name of a submission's archive: `{name}_{baseline}_{submission}.zip`, both times as minutes and seconds.
//!
//! The form comes from a participant, association-rosia, `src/models/predict_models.py:126-134`: the times are not zero
//! padded, and measured on one machine, so that the jury can compare them. There they are floored; here they are rounded
//! up, so that a name never declares less than was measured.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{text::shown, timing::Outcome};

/// A time in an archive's name: `14-40` is 14 minutes and 40 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MinutesSeconds {
    minutes: u64,
    seconds: u8,
}

/// Error of parsing a time of an archive's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: expected minutes and seconds, not padded, above 0, at most a day, such as 14-40 or 5-7")]
pub struct InvalidTime(String);

/// Maximum time of a baseline or a submission: a day, sixty times what the rules allow.
pub const MAX_TIME: Duration = Duration::from_hours(24);

impl MinutesSeconds {
    /// A time of `minutes` and `seconds`; `None` if `seconds` is 60 or more.
    pub const fn new(minutes: u64, seconds: u8) -> Option<Self> {
        if seconds < 60 { Some(Self { minutes, seconds }) } else { None }
    }

    /// Parses a measured duration: it must be above 0, since the rules multiply it, and at most [`MAX_TIME`].
    ///
    /// # Errors
    /// As `from_str`, and for a time of 0 or of more than a day.
    pub fn parse_taken(text: &str) -> Result<Self, InvalidTime> {
        text.parse::<Self>().ok().filter(|time| time.is_measurable()).ok_or_else(|| InvalidTime(text.to_owned()))
    }

    /// Whether a run can have taken this time: above 0, and at most [`MAX_TIME`].
    fn is_measurable(self) -> bool {
        !self.duration().is_zero() && self.duration() <= MAX_TIME
    }

    /// The time itself.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.minutes.saturating_mul(60).saturating_add(self.seconds as u64))
    }
}

impl From<Duration> for MinutesSeconds {
    /// Rounds up to whole seconds.
    fn from(time: Duration) -> Self {
        let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
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

impl Times {
    /// The rule relative to the baseline: a submission may take up to `factor` times the baseline's time. Both times are
    /// in whole seconds, rounded up, and so is the limit.
    pub fn judge(self, factor: f64) -> Outcome {
        let baseline = self.baseline.duration().as_secs_f64();
        // A product that does not fit a duration is no limit.
        let Ok(limit) = Duration::try_from_secs_f64(baseline * factor) else { return Outcome::NotJudged };
        let limit = MinutesSeconds::from(limit);
        let [used, most] = [self.submission, limit].map(|time| time.duration().as_secs_f64());
        if self.submission > limit { Outcome::Fail { used, limit: most } } else { Outcome::Pass { used, limit: most } }
    }
}

/// Times in a name that are not in the form that names have: `NAME_5-57_14-60`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its times, {baseline} and {submission}, {reason}")]
pub struct MalformedTimes {
    baseline: String,
    submission: String,
    reason: &'static str,
}

/// Splits the name of an archive or a folder, without its extension, into the approach and the times at its end. The
/// only place that reads times from names. `None` if the name does not try to declare times.
///
/// # Errors
/// [`MalformedTimes`] if the last two parts look like times, but are not in the form of [`MinutesSeconds`], are 0, or
/// exceed a day: a jury might read them otherwise.
pub fn split_times(stem: &str) -> Result<Option<(&str, Times)>, MalformedTimes> {
    let Some((rest, submission)) = stem.rsplit_once('_') else { return Ok(None) };
    let Some((name, baseline)) = rest.rsplit_once('_') else { return Ok(None) };
    if !(looks_like_time(baseline) && looks_like_time(submission)) {
        return Ok(None);
    }
    let malformed = |reason| MalformedTimes { baseline: shown(baseline), submission: shown(submission), reason };
    match (baseline.parse::<MinutesSeconds>(), submission.parse::<MinutesSeconds>()) {
        (Ok(baseline), Ok(submission)) if baseline.is_measurable() && submission.is_measurable() => {
            Ok(Some((name, Times { baseline, submission })))
        }
        (Ok(_), Ok(_)) => Err(malformed("must be above 0 and at most a day")),
        _ => Err(malformed("are not minutes and seconds below 60 without signs, spaces or leading zeros")),
    }
}

/// Whether a part of a name was probably meant as a time: two numbers with `-`, `:` or `m` between, perhaps with a sign,
/// spaces around, an `s`, or the mark of a copy (`14-40 (1)`). Two numbers with a point are a version.
fn looks_like_time(part: &str) -> bool {
    let part = part.trim();
    let part = match part.split_once(" (") {
        Some((time, copy)) if is_number(copy.strip_suffix(')').unwrap_or_default()) => time.trim_end(),
        _ => part,
    };
    let part = part.strip_prefix(['-', '+']).unwrap_or(part);
    part.split_once(['-', ':', 'm']).is_some_and(|(minutes, seconds)| {
        let seconds = seconds.trim().strip_suffix('s').unwrap_or(seconds);
        let seconds = seconds.trim().strip_prefix(['-', '+']).unwrap_or(seconds.trim());
        is_number(minutes.trim()) && is_number(seconds)
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The name of an archive without `.zip`, in upper or lower case; `None` if it does not end so.
pub fn stem_of(file_name: &str) -> Option<&str> {
    let (stem, end) = file_name.split_at_checked(file_name.len().checked_sub(4)?)?;
    end.eq_ignore_ascii_case(".zip").then_some(stem)
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
    /// The times are not valid.
    #[error("`{name}` cannot name an archive: {error}", name = shown(.name))]
    Times {
        /// The name.
        name: String,
        /// The problem.
        error: MalformedTimes,
    },
}

/// Maximum number of characters in an approach's name.
pub const MAX_NAME: usize = 100;

impl ArchiveName {
    /// The name of an approach's archive, with its times if they are known.
    ///
    /// # Errors
    /// [`InvalidName`] where `name` is empty, too long or has characters other than ASCII letters, digits and `_-.+`,
    /// or starts with `.` or `-`; if `times` is `None` and the end of `name` looks like two times; or if a time is 0 or
    /// exceeds [`MAX_TIME`].
    pub fn new(name: &str, times: Option<Times>) -> Result<Self, InvalidName> {
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(InvalidName::Length(name.to_owned()));
        }
        let is_safe = |b: u8| b.is_ascii_alphanumeric() || b"_-.+".contains(&b);
        if !name.bytes().all(is_safe) || name.starts_with(['.', '-']) {
            return Err(InvalidName::Characters(name.to_owned()));
        }
        if times.is_none() && !matches!(split_times(name), Ok(None)) {
            return Err(InvalidName::Ambiguous(name.to_owned()));
        }
        if let Some(Times { baseline, submission }) = times {
            split_times(&format!("{name}_{baseline}_{submission}"))
                .map_err(|error| InvalidName::Times { name: name.to_owned(), error })?;
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
            Ok(Some((name, times))) => Self::new(name, Some(times)),
            Ok(None) => Self::new(stem, None),
            Err(error) => Err(InvalidName::Times { name: text.to_owned(), error }),
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
    fn times_are_rounded_up_and_not_padded() {
        let time = |ms| MinutesSeconds::from(Duration::from_millis(ms)).to_string();
        // 2.5 times 5 min 57 s.
        assert_eq!(time(892_500), "14-53");
        assert_eq!(
            [0, 1, 1_530, 59_000, 59_001, 60_000, 6_000_000].map(time),
            ["0-0", "0-1", "0-2", "0-59", "1-0", "1-0", "100-0"]
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

    #[test]
    fn times_that_a_name_tries_to_declare_are_read_or_refused() {
        let read = |stem: &str| match split_times(stem) {
            Ok(Some((name, times))) => format!("{stem}: {name}, {}, {}", times.baseline, times.submission),
            Ok(None) => format!("{stem}: no times"),
            Err(error) => format!("{stem}: {error}"),
        };
        let stems = [
            "my run_5-57_14-40",
            "run_5-57_14-60",
            "run_5-57_014-40",
            "run_05-57_14-40",
            "run_5-57 _14-40",
            "run_5-57_14-40 (1)",
            "run_5:57_14:40",
            "run_5m57s_14m40s",
            "run_-5-57_14-40",
            "run_5-57_14--40",
            "run_0-0_14-40",
            "run_5-57_0-0",
            "run_1440-0_1440-0",
            "run_1440-1_14-40",
            "run_99999999999999999999-1_14-40",
            "unet_1.5_2.0",
            "unet_14-40",
            "unet_a-1_14-40",
            "run",
        ];
        insta::assert_snapshot!(stems.map(read).join("\n"), @r"
        my run_5-57_14-40: my run, 5-57, 14-40
        run_5-57_14-60: its times, 5-57 and 14-60, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_5-57_014-40: its times, 5-57 and 014-40, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_05-57_14-40: its times, 05-57 and 14-40, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_5-57 _14-40: its times, 5-57  and 14-40, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_5-57_14-40 (1): its times, 5-57 and 14-40 (1), are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_5:57_14:40: its times, 5:57 and 14:40, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_5m57s_14m40s: its times, 5m57s and 14m40s, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_-5-57_14-40: its times, -5-57 and 14-40, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_5-57_14--40: its times, 5-57 and 14--40, are not minutes and seconds below 60 without signs, spaces or leading zeros
        run_0-0_14-40: its times, 0-0 and 14-40, must be above 0 and at most a day
        run_5-57_0-0: its times, 5-57 and 0-0, must be above 0 and at most a day
        run_1440-0_1440-0: run, 1440-0, 1440-0
        run_1440-1_14-40: its times, 1440-1 and 14-40, must be above 0 and at most a day
        run_99999999999999999999-1_14-40: its times, 99999999999999999999-1 and 14-40, are not minutes and seconds below 60 without signs, spaces or leading zeros
        unet_1.5_2.0: no times
        unet_14-40: no times
        unet_a-1_14-40: no times
        run: no times
        ");
    }

    #[test]
    fn the_limit_is_rounded_as_the_times_are() {
        let judge = |submission| times("5-57", submission).judge(2.5);
        assert_eq!(judge("14-53"), Outcome::Pass { used: 893.0, limit: 893.0 });
        assert_eq!(judge("14-54"), Outcome::Fail { used: 894.0, limit: 893.0 });
        assert_eq!(times("5-57", "14-54").judge(f64::INFINITY), Outcome::NotJudged);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            name in "[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,40}",
            seconds in prop::option::of((0u64..90_000, 0u64..90_000)),
        ) {
            let times = seconds.map(|(b, s)| Times {
                baseline: Duration::from_secs(b).into(),
                submission: Duration::from_secs(s).into(),
            });
            if let Ok(name) = ArchiveName::new(&name, times) {
                prop_assert_eq!(name.to_string().parse::<ArchiveName>(), Ok(name.clone()));
                prop_assert_eq!(name.times().map(|t| t.submission.duration().as_secs()), seconds.map(|s| s.1));
            } else {
                let is_day = |s: u64| (1..=86_400).contains(&s);
                prop_assert!(seconds.is_none_or(|(baseline, submission)| !(is_day(baseline) && is_day(submission))));
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
