//! Timing of predictions, and the challenge's time limits.
//!
//! The organisers measured the whole of `trainer.predict` (loading, cloud filter, network, writing of files; not
//! training, building the model or zipping) and rejected runs of more than 1500 GPU-seconds: elapsed seconds × nodes
//! × GPUs per node (IGNF/FLAIR-2-AI-Challenge `src/utils_prints.py:19-28`, `main.py:153-166`). Participants
//! kept to 2.5 times the baseline's time on their own machine.

use std::{
    fmt,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::text::counted;

/// A monotonic clock; injected, so that tests of the time limits need not wait.
pub trait Clock: Sync {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(Instant);

impl Default for MonotonicClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock for tests: returns the given times one after the other, then repeats the last one.
#[derive(Debug, Default)]
pub struct ScriptedClock {
    times: Mutex<(Vec<Duration>, usize)>,
}

impl ScriptedClock {
    /// A clock that returns these times.
    pub fn new(times: impl IntoIterator<Item = Duration>) -> Self {
        Self { times: Mutex::new((times.into_iter().collect(), 0)) }
    }
}

impl Clock for ScriptedClock {
    fn now(&self) -> Duration {
        let mut script = self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (times, next) = &mut *script;
        let now = times.get(*next).or(times.last()).copied().unwrap_or_default();
        *next += 1;
        now
    }
}

/// The schema of [`Timing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimingSchema {
    /// The first one.
    #[default]
    #[serde(rename = "flair-bench/timing/1")]
    V1,
}

/// The record `timing.json`: duration of a prediction, its hardware, and the work that the clock covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// `flair-bench/timing/1`.
    pub schema: TimingSchema,
    /// Wall-clock seconds of the clocked part.
    pub seconds: f64,
    /// Number of machines.
    pub nodes: u32,
    /// Number of devices on each; 1 for a CPU.
    pub devices_per_node: u32,
    /// `seconds × nodes × devices_per_node`, to which the absolute rule applies.
    pub device_seconds: f64,
    /// Number of patches that were predicted under the clock.
    pub patches: u64,
    /// `patches / seconds`; 0 if no time passed.
    pub patches_per_second: f64,
    /// Number of patches kept from an earlier, stopped run, which the clock does not cover.
    pub kept_patches: u64,
    /// The work that the clock covers, such as "loading", "network", "writing".
    pub covers: Vec<String>,
    /// The device, such as "cpu" or "cuda:0".
    pub device: String,
    /// The machine, in words.
    pub hardware: String,
    /// Number of compute threads.
    pub threads: u32,
    /// Version of the program that wrote the record.
    pub version: String,
    /// Further notes about the measurement.
    pub notes: Vec<String>,
}

/// A timing record that is of another run than the predictions at hand: their numbers of patches differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it times {}, not the {patches} at hand", counted(*.timed, "patch"))]
pub struct OtherPatches {
    /// Patches of the timed run, with those that the clock does not cover.
    pub timed: u64,
    /// Patches that were scored, packed or predicted.
    pub patches: u64,
}

/// The number of devices of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    /// Number of machines.
    pub nodes: u32,
    /// Number of devices on each; 1 for a CPU.
    pub per_node: u32,
}

impl Timing {
    /// The record of a run that took `elapsed` for `patches` patches on `devices`. The caller fills in the other
    /// fields, which are empty.
    pub fn new(elapsed: Duration, patches: u64, devices: Devices) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self {
            schema: TimingSchema::V1,
            seconds,
            nodes: devices.nodes,
            devices_per_node: devices.per_node,
            device_seconds: seconds * f64::from(devices.nodes) * f64::from(devices.per_node),
            patches,
            patches_per_second: if seconds > 0.0 { patches as f64 / seconds } else { 0.0 },
            kept_patches: 0,
            covers: Vec::new(),
            device: String::new(),
            hardware: String::new(),
            threads: 1,
            version: String::new(),
            notes: Vec::new(),
        }
    }

    /// The record of a run whose parts were timed one by one, such as the shards of a prediction: that of one device which
    /// did all parts, one after the other. Its seconds are the sum of the parts' device-seconds
    /// ([`Timing::most_device_seconds`]), so both time rules count all that was used.
    pub fn sum(parts: &[Self]) -> Self {
        let seconds: f64 = parts.iter().map(Self::most_device_seconds).sum();
        let total = |count: fn(&Self) -> u64| parts.iter().map(count).fold(0, u64::saturating_add);
        let patches = total(|part| part.patches);
        let joined = |text: fn(&Self) -> &str| distinct(parts.iter().map(text)).join("; ");
        let listed = |texts: fn(&Self) -> &[String]| {
            let texts = parts.iter().flat_map(texts).map(String::as_str);
            distinct(texts).into_iter().map(str::to_owned).collect()
        };
        Self {
            seconds,
            device_seconds: seconds,
            patches_per_second: if seconds > 0.0 { patches as f64 / seconds } else { 0.0 },
            kept_patches: total(|part| part.kept_patches),
            covers: listed(|part| &part.covers),
            device: joined(|part| &part.device),
            hardware: joined(|part| &part.hardware),
            threads: parts.iter().map(|part| part.threads).max().unwrap_or(1),
            version: joined(|part| &part.version),
            notes: listed(|part| &part.notes),
            ..Self::new(Duration::ZERO, patches, Devices { nodes: 1, per_node: 1 })
        }
    }

    /// The measured time; `None` if a record from another program has an invalid one.
    pub fn elapsed(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.seconds).ok()
    }

    /// `seconds × nodes × devices_per_node`, computed: a record from another program may state another product. There is
    /// at least one device, whatever the record states.
    pub fn computed_device_seconds(&self) -> f64 {
        self.seconds * f64::from(self.nodes.max(1)) * f64::from(self.devices_per_node.max(1))
    }

    /// Number of patches of the run, with those that the clock does not cover.
    pub fn all_patches(&self) -> u64 {
        self.patches.saturating_add(self.kept_patches)
    }

    /// Checks that the record is of a run of `patches` patches: a record says nothing about other predictions than those
    /// that it timed.
    ///
    /// # Errors
    /// [`OtherPatches`] if the numbers differ.
    pub fn matches(&self, patches: u64) -> Result<(), OtherPatches> {
        let timed = self.all_patches();
        if timed == patches { Ok(()) } else { Err(OtherPatches { timed, patches }) }
    }

    /// [`Timing::computed_device_seconds`], or the stated product if that is larger: the rule believes no record that
    /// understates it.
    pub fn most_device_seconds(&self) -> f64 {
        self.computed_device_seconds().max(self.device_seconds)
    }

    /// Whether the clock covers all patches of the run: false if some were kept from an earlier run.
    pub fn is_whole(&self) -> bool {
        self.kept_patches == 0
    }
}

/// The different texts, in the order of their first occurrences.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// The time limits of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Maximum number of device-seconds.
    pub device_seconds: f64,
    /// Maximum time as a multiple of the baseline's time.
    pub factor: f64,
    /// Time of the challenge's baseline on the same machine, in seconds, if declared.
    pub baseline_seconds: Option<f64>,
}

impl Default for Limits {
    /// The challenge's limits: 1500 device-seconds, and 2.5 times the baseline, whose time is not declared.
    fn default() -> Self {
        Self { device_seconds: 1500.0, factor: 2.5, baseline_seconds: None }
    }
}

/// The outcome of one rule for a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Within the limit, or exactly at it.
    Pass {
        /// The used time, in the rule's unit.
        used: f64,
        /// The limit.
        limit: f64,
    },
    /// Above the limit.
    Fail {
        /// The used time, in the rule's unit.
        used: f64,
        /// The limit.
        limit: f64,
    },
    /// Not judged: no baseline is declared, a number is invalid, or the clock does not cover the whole run.
    NotJudged,
}

/// The outcomes of both rules for a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The absolute rule, in device-seconds.
    pub absolute: Outcome,
    /// The rule relative to the baseline, in wall-clock seconds.
    pub relative: Outcome,
}

impl Verdict {
    /// Whether a rule is broken.
    pub fn is_over(&self) -> bool {
        [self.absolute, self.relative].iter().any(|rule| matches!(rule, Outcome::Fail { .. }))
    }
}

/// Checks a record against the limits. A time exactly at a limit passes, as in upstream's `tt > 1500`.
///
/// A run that the clock covers only partly can fail but not pass. A record without a valid time is not judged.
pub fn judge(timing: &Timing, limits: &Limits) -> Verdict {
    let has_time = timing.seconds >= 0.0;
    let rule = |used: f64, limit: f64| match used.partial_cmp(&limit) {
        _ if !(has_time && used >= 0.0 && (0.0..f64::INFINITY).contains(&limit)) => Outcome::NotJudged,
        Some(std::cmp::Ordering::Greater) => Outcome::Fail { used, limit },
        Some(_) if timing.is_whole() => Outcome::Pass { used, limit },
        _ => Outcome::NotJudged,
    };
    Verdict {
        absolute: rule(timing.most_device_seconds(), limits.device_seconds),
        relative: match limits.baseline_seconds {
            Some(baseline) => rule(timing.seconds, baseline * limits.factor),
            None => Outcome::NotJudged,
        },
    }
}

/// Displays a time in seconds as `H:MM:SS`, floored; `-` if it is not a valid time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hms(pub f64);

impl fmt::Display for Hms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Duration::try_from_secs_f64(self.0) {
            Ok(time) => {
                let seconds = time.as_secs();
                write!(f, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
            Err(_) => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Devices = Devices { nodes: 1, per_node: 1 };

    fn verdict(seconds: f64, devices: Devices, baseline_seconds: Option<f64>) -> Verdict {
        let timing = Timing::new(Duration::from_secs_f64(seconds), 10, devices);
        judge(&timing, &Limits { baseline_seconds, ..Limits::default() })
    }

    #[test]
    fn exactly_at_a_limit_passes_and_anything_above_fails() {
        assert_eq!(verdict(1500.0, ONE, None).absolute, Outcome::Pass { used: 1500.0, limit: 1500.0 });
        assert!(matches!(verdict(1_500.000_000_001, ONE, None).absolute, Outcome::Fail { .. }));
        // association-rosia's machine: 5 min 57 s, hence 14 min 52.5 s.
        assert_eq!(verdict(892.5, ONE, Some(357.0)).relative, Outcome::Pass { used: 892.5, limit: 892.5 });
        assert!(matches!(verdict(892.500_000_001, ONE, Some(357.0)).relative, Outcome::Fail { .. }));
        assert!(verdict(893.0, ONE, Some(357.0)).is_over());
    }

    #[test]
    fn devices_multiply_the_absolute_rule_alone() {
        let verdict = verdict(100.0, Devices { nodes: 4, per_node: 4 }, Some(40.0));
        assert_eq!(verdict.absolute, Outcome::Fail { used: 1600.0, limit: 1500.0 });
        assert_eq!(verdict.relative, Outcome::Pass { used: 100.0, limit: 100.0 });
    }

    #[test]
    fn what_cannot_be_judged_is_not() {
        assert_eq!(verdict(1.0, ONE, None).relative, Outcome::NotJudged);
        assert_eq!(verdict(1.0, ONE, Some(f64::NAN)).relative, Outcome::NotJudged);
        assert_eq!(verdict(1.0, ONE, Some(-1.0)).relative, Outcome::NotJudged);
        // Part of the run was done before the clock ran: being fast then means nothing.
        let mut resumed = Timing::new(Duration::from_secs(10), 5, ONE);
        resumed.kept_patches = 5;
        assert_eq!(judge(&resumed, &Limits::default()).absolute, Outcome::NotJudged);
        let mut timeless = Timing::new(Duration::ZERO, 5, ONE);
        timeless.seconds = -1.0;
        assert_eq!(judge(&timeless, &Limits::default()).absolute, Outcome::NotJudged);
        let nowhere = Timing { nodes: 0, ..Timing::new(Duration::from_secs(8000), 5, ONE) };
        assert!(judge(&Timing { device_seconds: 0.0, ..nowhere }, &Limits::default()).is_over());
        resumed.seconds = 2000.0;
        assert!(judge(&resumed, &Limits::default()).is_over());
    }

    #[test]
    fn a_record_that_understates_its_product_is_not_believed() {
        let mut timing = Timing::new(Duration::from_secs(1000), 5, Devices { nodes: 1, per_node: 2 });
        timing.device_seconds = 1000.0;
        assert!(judge(&timing, &Limits::default()).is_over());
    }

    #[test]
    fn the_sum_of_parts_counts_every_device_and_every_kept_patch() {
        let part = |seconds: u64, patches, devices, hardware: &str| Timing {
            device: "cpu".to_owned(),
            hardware: hardware.to_owned(),
            threads: 2,
            notes: vec!["untrained".to_owned()],
            ..Timing::new(Duration::from_secs(seconds), patches, devices)
        };
        let four = Devices { nodes: 2, per_node: 2 };
        let mut parts = vec![part(700, 5, ONE, "a"), part(150, 6, four, "b"), part(200, 0, ONE, "a")];
        parts[1].threads = 8;
        let sum = Timing::sum(&parts);
        assert_eq!((sum.seconds, sum.device_seconds, sum.computed_device_seconds()), (1500.0, 1500.0, 1500.0));
        assert_eq!((sum.patches, sum.kept_patches, sum.threads), (11, 0, 8));
        assert_eq!((sum.device.as_str(), sum.hardware.as_str(), sum.notes.len()), ("cpu", "a; b", 1));
        let limits = Limits { baseline_seconds: Some(599.0), ..Limits::default() };
        assert_eq!(judge(&sum, &limits).absolute, Outcome::Pass { used: 1500.0, limit: 1500.0 });
        assert!(matches!(judge(&sum, &limits).relative, Outcome::Fail { .. }));
        // A part that kept patches of an earlier, stopped process makes the sum incomplete: it can fail, and not pass.
        parts[2].kept_patches = 4;
        let sum = Timing::sum(&parts);
        assert_eq!((sum.is_whole(), sum.all_patches()), (false, 15));
        assert_eq!(judge(&sum, &limits).absolute, Outcome::NotJudged);
        // A part that understates its product is not believed.
        parts[0].device_seconds = 1.0;
        parts[1].device_seconds = 601.0;
        assert_eq!(judge(&Timing::sum(&parts), &limits).absolute, Outcome::Fail { used: 1501.0, limit: 1500.0 });
        assert_eq!(Timing::sum(&[]).all_patches(), 0);
    }

    #[test]
    fn a_record_is_of_as_many_patches_as_were_timed() {
        let timing = Timing::new(Duration::from_secs(10), 16, ONE);
        assert_eq!(timing.matches(16), Ok(()));
        insta::assert_snapshot!(timing.matches(3).unwrap_err(), @"it times 16 patches, not the 3 at hand");
        // Kept patches are patches of the run, although the clock does not cover them.
        let resumed = Timing { kept_patches: 4, ..timing };
        assert_eq!((resumed.matches(20), resumed.matches(16).is_err()), (Ok(()), true));
        assert!(Timing { kept_patches: u64::MAX, ..resumed }.matches(3).is_err());
    }

    #[test]
    fn the_record_reads_well_and_reads_back() {
        let mut timing = Timing::new(Duration::from_millis(2500), 5, Devices { nodes: 1, per_node: 2 });
        timing.covers = ["loading", "network", "writing"].map(str::to_owned).into();
        timing.device = "cuda:0".to_owned();
        let json = serde_json::to_string_pretty(&timing).unwrap();
        insta::assert_snapshot!(json, @r#"
        {
          "schema": "flair-bench/timing/1",
          "seconds": 2.5,
          "nodes": 1,
          "devices_per_node": 2,
          "device_seconds": 5.0,
          "patches": 5,
          "patches_per_second": 2.0,
          "kept_patches": 0,
          "covers": [
            "loading",
            "network",
            "writing"
          ],
          "device": "cuda:0",
          "hardware": "",
          "threads": 1,
          "version": "",
          "notes": []
        }
        "#);
        assert_eq!(serde_json::from_str::<Timing>(&json).unwrap(), timing);
        assert_eq!(timing.elapsed(), Some(Duration::from_millis(2500)));
        assert!(serde_json::from_str::<Timing>(&json.replace("timing/1", "timing/2")).is_err());
        let verdict = judge(&timing, &Limits::default());
        insta::assert_snapshot!(serde_json::to_string(&verdict).unwrap(), @r#"{"absolute":{"outcome":"pass","used":5.0,"limit":1500.0},"relative":{"outcome":"not-judged"}}"#);
    }

    #[test]
    fn the_scripted_clock_returns_its_times_and_the_real_one_advances() {
        let clock = ScriptedClock::new([3, 5].map(Duration::from_secs));
        assert_eq!([clock.now(), clock.now(), clock.now()], [3, 5, 5].map(Duration::from_secs));
        let clock = MonotonicClock::default();
        assert!(clock.now() <= clock.now());
    }

    #[test]
    fn times_are_shown_in_hours_minutes_seconds() {
        let shown = [0.0, 59.99, 1500.0, 36_000.0, f64::NAN, -1.0, f64::INFINITY].map(|s| Hms(s).to_string());
        assert_eq!(shown, ["0:00:00", "0:00:59", "0:25:00", "10:00:00", "-", "-", "-"]);
    }
}
