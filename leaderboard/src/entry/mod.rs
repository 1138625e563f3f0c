//! One row of a leaderboard.

mod error;
mod slug;
mod test_set;

pub use error::LeaderboardError;
pub use slug::{benchmark_key, slug};
pub(crate) use slug::{earlier_slug, folder_name, is_plain, slug_with_digest};
pub use test_set::TestSet;

use flair_scoring::{CLASS_COUNT, text::counted, timing::Timing};
use serde::{Deserialize, Serialize};

/// The benchmark of the challenge: its whole test set.
pub const FLAIR2_TEST: &str = "FLAIR#2 test";

/// The begin of the names of the benchmarks of runs on synthetic data.
pub const TOY: &str = "toy";

/// Maximum number of characters of a text field.
const MAX_TEXT: usize = 1000;

/// The schema of [`Entry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntrySchema {
    /// The first one.
    #[default]
    #[serde(rename = "flair-bench/entry/1")]
    V1,
}

/// One row of a leaderboard. A score can be compared only with its context: the benchmark names the test set, the
/// protocol the rules, the source the origin of the number. Benchmark and name together identify it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `flair-bench/entry/1`.
    pub schema: EntrySchema,
    /// The test set, such as [`FLAIR2_TEST`]. Only entries of one benchmark are ranked together.
    pub benchmark: String,
    /// The team or the model.
    pub name: String,
    /// The patches and masks of the score; `None` in published and earlier entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_set: Option<TestSet>,
    /// The rank that the organisers published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// Mean `IoU`, `0..=1`.
    pub miou: f64,
    /// Standard deviation of [`Entry::miou`] over several runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// The rules of the mean, such as `flair2` (see `flair_scoring::Protocol`), or `unstated`.
    pub protocol: String,
    /// The input data of the model, such as `aerial+S2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// Notes for readers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// The source of the result.
    pub source: String,
    /// The day of the result, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// `IoU` of each of the 13 classes, `0..=1`, in their order; `None` for an absent class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_ious: Option<Vec<Option<f64>>>,
    /// The timing record of the predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// Whether the model is untrained: its score shows only that the program works.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untrained: bool,
}

impl Entry {
    /// Checks the values of the fields.
    ///
    /// # Errors
    /// [`LeaderboardError::Entry`]: a required text is empty, or a text is too long; a figure is out of range; a date
    /// isn't `YYYY-MM-DD`; the classes aren't 13; the timing is not of the scored patches.
    pub fn validate(&self) -> Result<(), LeaderboardError> {
        let fail = |reason: &str| Err(LeaderboardError::Entry { name: self.name.clone(), reason: reason.to_owned() });
        let is_share = |v: f64| (0.0..=1.0).contains(&v);
        let texts = [&self.benchmark, &self.name, &self.protocol, &self.source, &self.input, &self.notes];
        if texts[..4].iter().any(|text| text.trim().is_empty()) {
            return fail("`benchmark`, `name`, `protocol` and `source` cannot be empty");
        }
        if texts.iter().any(|text| text.chars().count() > MAX_TEXT) {
            return fail("a text has more than 1000 characters");
        }
        if !is_share(self.miou) {
            return fail("`miou` is a fraction, 0 to 1");
        }
        if !self.std.is_none_or(is_share) {
            return fail("`std` is a fraction, 0 to 1");
        }
        if self.rank == Some(0) {
            return fail("`rank` is counted from 1");
        }
        if !self.date.as_deref().is_none_or(is_date) {
            return fail("`date` is not of the form YYYY-MM-DD");
        }
        if let Some(timing) = &self.timing {
            if timing.elapsed().is_none() {
                return fail("`timing.seconds` is not a duration");
            }
            if let Some(scored) = &self.test_set
                && (timing.patches != scored.patches || !timing.is_whole())
            {
                let timed = counted(timing.patches, "patch");
                return fail(&format!("its timing is of {timed}, its score of {}", scored.patches));
            }
        }
        match &self.class_ious {
            Some(ious) if ious.len() != CLASS_COUNT => fail("`class_ious` does not have 13 values"),
            Some(ious) if !ious.iter().flatten().copied().all(is_share) => fail("`class_ious` are fractions, 0 to 1"),
            _ => Ok(()),
        }
    }

    /// Whether both have one name in one benchmark, however the benchmark is spelled. Names that differ in case or
    /// punctuation are different names.
    pub fn has_identity_of(&self, other: &Self) -> bool {
        self.name.trim() == other.name.trim() && benchmark_key(&self.benchmark) == benchmark_key(&other.benchmark)
    }

    /// The entry as JSON, as its file has it.
    ///
    /// # Panics
    /// If it cannot be JSON, which an entry's types do not allow.
    pub fn to_json(&self) -> String {
        #[expect(clippy::expect_used, reason = "an entry without text must never be written")]
        let mut json = serde_json::to_string_pretty(self).expect("texts and numbers are JSON");
        json.push('\n');
        json
    }

    /// Reads an entry strictly: an unknown field is an error. The stated product of seconds and devices is replaced by
    /// the computed one.
    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        let mut entry: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        entry.validate().map_err(|error| error.to_string())?;
        if let Some(timing) = &mut entry.timing {
            timing.device_seconds = timing.computed_device_seconds();
        }
        Ok(entry)
    }
}

fn is_date(text: &str) -> bool {
    let digits = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
    let within = |part: &str, max: u8| part.parse().is_ok_and(|n: u8| (1..=max).contains(&n));
    let parts: Vec<_> = text.split('-').collect();
    matches!(parts[..], [y, m, d] if digits(y, 4) && digits(m, 2) && digits(d, 2) && within(m, 12) && within(d, 31))
}

#[cfg(test)]
pub(crate) mod tests {
    use flair_scoring::timing::Devices;

    use super::*;

    /// An entry with nothing but what it must have.
    pub(crate) fn entry(benchmark: &str, name: &str, miou: f64) -> Entry {
        let [benchmark, name, protocol, source] = [benchmark, name, "flair2", "a test"].map(str::to_owned);
        Entry { benchmark, name, miou, protocol, source, ..Entry::default() }
    }

    #[test]
    fn the_stated_product_of_an_entry_is_not_believed() {
        let mut timed = entry(FLAIR2_TEST, "x", 0.5);
        let timing = Timing::new(std::time::Duration::from_secs(1400), 16, Devices { nodes: 4, per_node: 1 });
        timed.timing = Some(Timing { device_seconds: 1.0, ..timing.clone() });
        assert_eq!(Entry::from_json(&timed.to_json()).unwrap().timing, Some(timing));
    }

    #[test]
    fn entries_are_read_strictly() {
        let good = entry(FLAIR2_TEST, "x", 0.5);
        assert_eq!(Entry::from_json(&good.to_json()), Ok(good.clone()));
        let ious = |n, v| Some(vec![Some(v); n]);
        let timing = Timing::new(std::time::Duration::from_secs(1), 16, Devices { nodes: 1, per_node: 1 });
        let test_set = TestSet { patches: 17, ids: String::new(), masks: String::new() };
        let wrong = [
            Entry { name: " ".to_owned(), ..good.clone() },
            Entry { miou: 54.7, ..good.clone() },
            Entry { miou: f64::NAN, ..good.clone() },
            Entry { std: Some(-0.1), ..good.clone() },
            Entry { rank: Some(0), ..good.clone() },
            Entry { date: Some("27.09.2023".to_owned()), ..good.clone() },
            Entry { date: Some("2023-13-01".to_owned()), ..good.clone() },
            Entry { class_ious: ious(12, 0.5), ..good.clone() },
            Entry { class_ious: ious(13, 1.5), ..good.clone() },
            Entry { notes: "x".repeat(1001), ..good.clone() },
            Entry { timing: Some(Timing { seconds: -1.0, ..timing.clone() }), ..good.clone() },
            Entry { timing: Some(timing), test_set: Some(test_set), ..good.clone() },
        ];
        let reasons: Vec<_> = wrong.iter().map(|e| e.validate().unwrap_err().to_string()).collect();
        insta::assert_snapshot!(reasons.join("\n"), @r"
        the entry ` ` is not valid: `benchmark`, `name`, `protocol` and `source` cannot be empty
        the entry `x` is not valid: `miou` is a fraction, 0 to 1
        the entry `x` is not valid: `miou` is a fraction, 0 to 1
        the entry `x` is not valid: `std` is a fraction, 0 to 1
        the entry `x` is not valid: `rank` is counted from 1
        the entry `x` is not valid: `date` is not of the form YYYY-MM-DD
        the entry `x` is not valid: `date` is not of the form YYYY-MM-DD
        the entry `x` is not valid: `class_ious` does not have 13 values
        the entry `x` is not valid: `class_ious` are fractions, 0 to 1
        the entry `x` is not valid: a text has more than 1000 characters
        the entry `x` is not valid: `timing.seconds` is not a duration
        the entry `x` is not valid: its timing is of 16 patches, its score of 17
        ");
        let unknown = good.to_json().replace("\"source\"", "\"sauce\": 1, \"source\"");
        insta::assert_snapshot!(Entry::from_json(&unknown).unwrap_err(), @"unknown field `sauce`, expected one of `schema`, `benchmark`, `name`, `test_set`, `rank`, `miou`, `std`, `protocol`, `input`, `notes`, `source`, `date`, `class_ious`, `timing`, `untrained` at line 7 column 9");
        assert!(Entry::from_json(&good.to_json().replace("entry/1", "entry/2")).is_err());
    }
}
