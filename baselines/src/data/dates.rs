//! Days of the year: the dates of a Sentinel-2 series without the year.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Days before the first of each month, in a year that is no leap year.
const DAYS_BEFORE: [i32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_IN: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A month and a day without a year; 29 February is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MonthDay {
    month: u8,
    day: u8,
}

/// Errors of parsing a month and a day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month and a day: expected MM-DD, such as 05-15")]
pub struct InvalidMonthDay(String);

impl MonthDay {
    /// The day `month`-`day`; `None` if the calendar has no such day.
    pub fn new(month: u8, day: u8) -> Option<Self> {
        let days = *DAYS_IN.get(usize::from(month.checked_sub(1)?))?;
        (1..=days).contains(&day).then_some(Self { month, day })
    }

    /// The month, `1..=12`.
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, `1..=31`.
    pub fn day(self) -> u8 {
        self.day
    }

    /// Days from the first of January of `year`, which is 0. In a year without a 29 February that day counts as the
    /// 28th: upstream raises `ValueError` there (`src/dataset.py:69`), and the 28th keeps it in its month.
    pub fn day_of_year(self, year: u16) -> i32 {
        let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let day = if self.month == 2 && self.day == 29 && !is_leap { 28 } else { i32::from(self.day) };
        DAYS_BEFORE[usize::from(self.month - 1)] + day - 1 + i32::from(is_leap && self.month > 2)
    }

    /// Days from `date` to this day within `year`: positive where `date` is earlier. This is the position of an
    /// acquisition of that date when `self` is the reference date (upstream `src/dataset.py:68-70`).
    pub fn days_since(self, date: Self, year: u16) -> i32 {
        self.day_of_year(year) - date.day_of_year(year)
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

impl FromStr for MonthDay {
    type Err = InvalidMonthDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |part: &str| {
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok()).flatten()
        };
        text.split_once('-')
            .and_then(|(month, day)| Self::new(digits(month)?, digits(day)?))
            .ok_or_else(|| InvalidMonthDay(text.to_owned()))
    }
}

impl TryFrom<String> for MonthDay {
    type Error = InvalidMonthDay;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MonthDay> for String {
    fn from(date: MonthDay) -> Self {
        date.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> MonthDay {
        text.parse().unwrap()
    }

    #[test]
    fn positions_are_upstreams() {
        // Upstream's positions: January is +134, December is negative.
        let reference = day("05-15");
        let positions =
            ["01-01", "02-28", "03-01", "05-15", "05-16", "12-31"].map(|d| reference.days_since(day(d), 2021));
        assert_eq!(positions, [134, 76, 75, 0, -1, -230]);
        assert_eq!(reference.days_since(day("02-29"), 2021), 76, "29 February counts as the 28th");
        assert_eq!(reference.days_since(day("02-29"), 2020), 76, "in a leap year it is a day of its own");
        assert_eq!(reference.days_since(day("02-28"), 2020), 77);
        assert_eq!(day("12-31").day_of_year(2000), 365);
        assert_eq!(day("12-31").day_of_year(1900), 364);
    }

    #[test]
    fn only_days_of_the_calendar_are_read() {
        for wrong in ["5-15", "05-32", "13-01", "00-10", "02-30", "04-31", "05-00", "0515", "+5-15", "05-15-01", ""] {
            assert!(wrong.parse::<MonthDay>().is_err(), "{wrong}");
        }
        assert_eq!(day("02-29").to_string(), "02-29");
    }
}
