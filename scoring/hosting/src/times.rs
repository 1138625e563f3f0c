//! The times that a submission declares, in the names of its archive or folder and in an enclosed record of the run.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    HostingCode,
    input::Input,
    names::{Named, names_of},
};
use flair_scoring::{
    Code, Finding, Severity,
    source::{Entry, Source},
    submission::{MinutesSeconds, Times, nested_archives},
    text::shown,
    timing::{Devices, Limits, Outcome, Timing, Verdict, judge},
};

/// The names of the records of a run.
const TIMING: &str = "timing.json";
const RUN: &str = "run.json";

/// Maximum size of a record, in bytes.
const MAX_RECORD: u64 = 4 << 20;

/// The declared times of a submission, and the time rule's verdicts on them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// The times in the name of the archive, or of the only folder in it.
    pub name: Option<Times>,
    /// The record `timing.json`.
    pub record: Option<Timing>,
    /// The baseline's time in seconds, from `run.json`.
    pub record_baseline: Option<f64>,
    /// The verdicts on the declared times; missing times are not judged.
    pub verdicts: Vec<Verdict>,
    /// Findings on times that disagree, are too long, or are unknown; and on archives in the submission that were not
    /// read.
    pub findings: Vec<Finding>,
    /// Whether an enclosed record is of another number of patches, so that it is not the time of these.
    pub is_of_other_patches: bool,
}

/// The fields read from `run.json`; others are ignored.
#[derive(Deserialize)]
struct RunRecord {
    schema: String,
    time_rule: Option<TimeRule>,
}

impl RunRecord {
    /// The baseline's time in seconds, if it is the record of a run that declares it.
    fn baseline(&self) -> Option<f64> {
        let rule = self.time_rule.as_ref().filter(|_| self.schema.starts_with("flair-bench/run/"))?;
        rule.limits.baseline_seconds
    }
}

#[derive(Deserialize)]
struct TimeRule {
    limits: Limits,
}

impl Declared {
    /// Reads the declared times of a submission of `patches` patches, and judges them by the limits. The baseline's
    /// time is declared by the submission: the one in `limits` is ignored.
    pub fn of(input: &Input, patches: u64, limits: &Limits) -> Self {
        let sources: Vec<_> = [Some(&input.submission), input.beside.as_ref()].into_iter().flatten().collect();
        Self::of_sources(&sources, patches, limits)
    }

    /// As [`Declared::of`], for a submission outside a platform: an archive, or a folder.
    pub fn of_submission(submission: &Source, patches: u64, limits: &Limits) -> Self {
        Self::of_sources(&[submission], patches, limits)
    }

    /// The first source is the submission.
    fn of_sources(sources: &[&Source], patches: u64, limits: &Limits) -> Self {
        let mut declared = Self::default();
        let named = sources.first().map(|submission| names_of(submission)).unwrap_or_default();
        let stated: Vec<_> = named.iter().filter_map(Named::times).collect();
        declared.name = stated.first().map(|(_, times)| *times);
        declared.findings.extend(named.iter().filter_map(Named::finding));
        declared.findings.extend(sources.first().into_iter().flat_map(|submission| nested_archives(submission)));
        let timings =
            declared.read(sources, TIMING, |timing: &Timing| timing.seconds > 0.0 && timing.elapsed().is_some());
        let timings = timings.into_iter().filter_map(|timing| declared.of_these(timing, patches)).collect::<Vec<_>>();
        declared.record =
            timings.into_iter().max_by(|a, b| a.most_device_seconds().total_cmp(&b.most_device_seconds()));
        let is_baseline = |seconds: f64| seconds > 0.0 && seconds.is_finite();
        let runs = declared.read(sources, RUN, |run: &RunRecord| run.baseline().is_none_or(is_baseline));
        declared.record_baseline = runs.iter().filter_map(RunRecord::baseline).min_by(f64::total_cmp);

        if let [(name, times), (other, others)] = stated.as_slice()
            && times != others
        {
            let message = format!("`{}` declares other times than `{}`", shown(other), shown(name));
            declared.findings.push(HostingCode::TimeMismatch.finding(shown(name), message));
        }
        declared.cross_check(stated.first().map_or("submission", |(name, _)| name));
        let stated: Vec<_> = stated.iter().map(|(_, times)| *times).collect();
        declared.judge(&stated, patches, limits);
        if declared.submission_seconds().is_none() {
            let what = match named.as_slice() {
                [] => "the platform does not pass on the archive's name".to_owned(),
                named => named.iter().map(Named::to_string).collect::<Vec<_>>().join(", "),
            };
            let message = format!("no times are known: {what}, and no timing.json of these predictions is enclosed");
            declared.findings.push(HostingCode::TimesUnknown.finding("submission", message));
        }
        declared
    }

    /// Reads and parses all files of a name, in upper or lower case. Several ones are reported, as well as those that
    /// cannot be read or are not `sound`.
    fn read<T: DeserializeOwned>(&mut self, sources: &[&Source], name: &str, sound: impl Fn(&T) -> bool) -> Vec<T> {
        let mut records = Vec::new();
        let mut count = 0;
        for (source, entry) in sources.iter().flat_map(|source| source.entries().iter().map(move |e| (source, e))) {
            if !is_record(entry, name) {
                continue;
            }
            count += 1;
            let parsed = source.read(entry, MAX_RECORD).map_err(|error| error.to_string());
            let parsed =
                parsed.and_then(|bytes| serde_json::from_slice::<T>(&bytes).map_err(|error| error.to_string()));
            match parsed {
                Ok(record) if sound(&record) => records.push(record),
                Ok(_) => self.unreadable(entry, "it states a time that is not above 0"),
                Err(reason) => self.unreadable(entry, &format!("not a record of flair-bench: {}", shown(&reason))),
            }
        }
        if count > 1 {
            let message = format!("{count} files are called {name}: the one that is worst for the submission counts");
            self.findings.push(HostingCode::SeveralRecords.finding(name, message));
        }
        records
    }

    fn unreadable(&mut self, entry: &Entry, reason: &str) {
        self.findings.push(HostingCode::UnreadableRecord.finding(shown(&entry.name), reason));
    }

    /// The record as one of these `patches` patches. One of fewer patches is a part of their time: as such it may exceed a
    /// limit, but not keep it. One of more patches says nothing about them.
    fn of_these(&mut self, timing: Timing, patches: u64) -> Option<Timing> {
        let Err(error) = timing.matches(patches) else { return Some(timing) };
        self.findings.push(HostingCode::TimeOfOtherPatches.finding(TIMING, error.to_string()));
        self.is_of_other_patches = true;
        (timing.all_patches() < patches).then(|| Timing { kept_patches: patches - timing.patches, ..timing })
    }

    /// A name declares whole seconds, rounded up or down; the record's times may differ by less than a second.
    fn cross_check(&mut self, subject: &str) {
        let Some(name) = self.name else { return };
        let submission = self.record.as_ref().filter(|_| !self.is_of_other_patches).and_then(Timing::elapsed);
        let baseline = self.record_baseline.and_then(|s| Duration::try_from_secs_f64(s).ok());
        let pairs =
            [("the prediction", name.submission, submission, TIMING), ("the baseline", name.baseline, baseline, RUN)];
        for (what, declared, recorded, file) in pairs {
            let second = Duration::from_secs(1);
            let differs = |recorded: &Duration| recorded.abs_diff(declared.duration()) >= second;
            if let Some(recorded) = recorded.filter(differs).map(MinutesSeconds::from) {
                let message =
                    format!("the name says that {what} took {declared} (minutes-seconds), {file} says {recorded}");
                self.findings.push(HostingCode::TimeMismatch.finding(shown(subject), message));
            }
        }
    }

    /// Judges the times of every name, and of the record.
    fn judge(&mut self, names: &[Times], patches: u64, limits: &Limits) {
        for times in names {
            let one_device = Devices { nodes: 1, per_node: 1 };
            let timing = Timing::new(times.submission.duration(), patches, one_device);
            let Verdict { absolute, .. } = judge(&timing, &Limits { baseline_seconds: None, ..*limits });
            self.verdicts.push(Verdict { absolute, relative: times.judge(limits.factor) });
        }
        if let Some(timing) = self.record.clone() {
            let baseline_of_name = self.name.map(|times| times.baseline.duration().as_secs_f64());
            let baseline_seconds = self.record_baseline.or(baseline_of_name);
            let verdict = judge(&timing, &Limits { baseline_seconds, ..*limits });
            if !timing.is_whole() && !self.is_of_other_patches {
                let message =
                    format!("the clock does not cover {} patches, kept from an earlier run", timing.kept_patches);
                self.findings.push(HostingCode::TimeNotWhole.finding("timing.json", message));
            }
            self.verdicts.push(verdict);
        }
        // Both declarations may break the same rule: report the worse one.
        let worst = |rule: fn(&Verdict) -> Outcome| {
            let fails = self.verdicts.iter().filter_map(|verdict| match rule(verdict) {
                Outcome::Fail { used, limit } => Some((used, limit)),
                _ => None,
            });
            fails.max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let over = [
            worst(|verdict| verdict.absolute)
                .map(|(used, limit)| format!("{used:.1} device-seconds, and the rules allow {limit:.0}")),
            worst(|verdict| verdict.relative).map(|(used, limit)| {
                format!("{used:.1} s, and the rules allow {limit:.1} s: {} times the baseline", limits.factor)
            }),
        ];
        // `check` refuses such a submission. Here it has a score, and the jury decides about the time.
        let warning = |message| Code::OverTime.finding("submission", message).with_severity(Severity::Warning);
        self.findings.extend(over.into_iter().flatten().map(warning));
    }

    /// The prediction's time in seconds: from the name, which the participant declares to the jury, or else from the
    /// record.
    pub fn submission_seconds(&self) -> Option<f64> {
        let of_name = self.name.map(|times| times.submission.duration().as_secs_f64());
        let record = self.record.as_ref().filter(|_| !self.is_of_other_patches);
        of_name.or_else(|| Some(record?.elapsed()?.as_secs_f64()))
    }

    /// The baseline's time on the same machine, in seconds.
    pub fn baseline_seconds(&self) -> Option<f64> {
        let of_name = self.name.map(|times| times.baseline.duration().as_secs_f64());
        of_name.or(self.record_baseline).filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
    }

    /// The prediction's time as a multiple of the baseline's; `None` if either is unknown.
    pub fn ratio(&self) -> Option<f64> {
        let baseline = self.baseline_seconds().filter(|seconds| *seconds > 0.0)?;
        Some(self.submission_seconds()? / baseline)
    }

    /// Whether any declaration breaks a rule; `None` if that is unknown. `Some(false)` means that the relative rule was
    /// judged too.
    pub fn is_over(&self) -> Option<bool> {
        if self.verdicts.iter().any(Verdict::is_over) {
            return Some(true);
        }
        let is_judged = self.verdicts.iter().any(|verdict| matches!(verdict.relative, Outcome::Pass { .. }));
        is_judged.then_some(false)
    }
}

fn is_record(entry: &Entry, name: &str) -> bool {
    entry.file_name.eq_ignore_ascii_case(name) && !entry.name.split('/').any(|part| part == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::zip::{Keep, archive as archive_of};

    fn timing(seconds: f64, kept_patches: u64) -> String {
        let devices = Devices { nodes: 1, per_node: 1 };
        let timing = Timing::new(Duration::from_secs_f64(seconds), 10 - kept_patches, devices);
        serde_json::to_string(&Timing { kept_patches, ..timing }).unwrap()
    }

    fn run(baseline: Option<f64>) -> String {
        let limits = Limits { baseline_seconds: baseline, ..Limits::default() };
        let rule = serde_json::json!({"limits": limits, "verdict": {}});
        serde_json::json!({"schema": "flair-bench/run/1", "seed": 1, "time_rule": rule}).to_string()
    }

    /// The declaration of a submission in a folder of that name, with these records.
    fn declared(folder: &str, files: &[(&str, String)]) -> Declared {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ref")).unwrap();
        let res = dir.path().join("res").join(folder);
        fs::create_dir_all(&res).unwrap();
        fs::write(res.join("PRED_000001.tif"), "").unwrap();
        for (name, text) in files {
            fs::create_dir_all(res.join(name).parent().unwrap()).unwrap();
            fs::write(res.join(name), text).unwrap();
        }
        Declared::of(&Input::find(dir.path()).unwrap(), 10, &Limits::default())
    }

    fn messages(declared: &Declared) -> Vec<String> {
        declared.findings.iter().map(|f| format!("{}: {}: {}", f.code, f.subject, f.message)).collect()
    }

    #[test]
    fn a_name_and_a_record_that_agree_have_no_findings() {
        let records = [("timing.json", timing(880.9, 0)), ("run.json", run(Some(357.2)))];
        let declared = declared("run_5-57_14-40", &records);
        assert_eq!(messages(&declared), [""; 0]);
        assert_eq!((declared.submission_seconds(), declared.baseline_seconds()), (Some(880.0), Some(357.0)));
        assert_eq!(declared.is_over(), Some(false));
        assert!((declared.ratio().unwrap() - 880.0 / 357.0).abs() < 1e-12);
    }

    #[test]
    fn a_record_that_disagrees_is_reported_and_judged() {
        let records = [("timing.json", timing(1600.4, 0)), ("run.json", run(Some(400.0)))];
        let declared = declared("run_5-57_14-40", &records);
        insta::assert_snapshot!(messages(&declared).join("\n"), @r"
        time-mismatch: run_5-57_14-40: the name says that the prediction took 14-40 (minutes-seconds), timing.json says 26-41
        time-mismatch: run_5-57_14-40: the name says that the baseline took 5-57 (minutes-seconds), run.json says 6-40
        over-time: submission: 1600.4 device-seconds, and the rules allow 1500
        over-time: submission: 1600.4 s, and the rules allow 1000.0 s: 2.5 times the baseline
        ");
        assert_eq!(declared.is_over(), Some(true));
    }

    #[test]
    fn a_name_alone_is_enough_and_2_5_times_is_the_limit() {
        assert_eq!(declared("x_4-0_10-0", &[]).is_over(), Some(false));
        // The limit is 892.5 s, and names have whole seconds, rounded up.
        assert_eq!(declared("x_5-57_14-53", &[]).is_over(), Some(false));
        assert_eq!(declared("x_5-57_14-54", &[]).is_over(), Some(true));
        let over = declared("x_4-0_10-1", &[]);
        assert_eq!(over.is_over(), Some(true));
        assert_eq!(
            messages(&over),
            ["over-time: submission: 601.0 s, and the rules allow 600.0 s: 2.5 times the baseline"]
        );
    }

    #[test]
    fn a_name_that_is_not_one_of_an_archive_still_declares_times() {
        // An accent or a space must not hide a time over the limit.
        let over = declared("mon unét_4-0_10-1", &[]);
        assert_eq!((over.submission_seconds(), over.is_over()), (Some(601.0), Some(true)));
    }

    #[test]
    fn times_that_cannot_be_read_are_reported() {
        let unknown = declared("unet_20-00_30-00", &[]);
        insta::assert_snapshot!(messages(&unknown).join("\n"), @r"
        malformed-times: unet_20-00_30-00: its times, 20-00 and 30-00, are not minutes and seconds below 60 without signs, spaces or leading zeros: they do not count
        times-unknown: submission: no times are known: those of the name `unet_20-00_30-00` cannot be read, and no timing.json of these predictions is enclosed
        ");
        let known = declared("unet_20-00_30-00", &[("timing.json", timing(100.0, 0))]);
        assert_eq!((messages(&known).len(), known.submission_seconds()), (1, Some(100.0)));
    }

    #[test]
    fn the_folder_in_an_archive_declares_times_too() {
        let of = |archive: &str, folder: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(archive);
            let files: &[(&str, &[u8], Keep)] = &[
                (&format!("{folder}/PRED_000001.tif"), b"", Keep::Stored),
                ("__MACOSX/._x", b"", Keep::Stored),
                ("timing.txt", b"", Keep::Stored),
            ];
            fs::write(&path, archive_of(files).unwrap()).unwrap();
            let declared = Declared::of_submission(&Source::open(&path).unwrap(), 10, &Limits::default());
            (declared.submission_seconds(), declared.is_over(), messages(&declared))
        };
        assert_eq!(of("submission.zip", "unet_5-57_14-40"), (Some(880.0), Some(false), vec![]));
        // Where the two differ, both are judged.
        let (seconds, is_over, found) = of("unet_5-57_10-0.zip", "unet_5-57_20-0");
        assert_eq!((seconds, is_over), (Some(600.0), Some(true)));
        insta::assert_snapshot!(found.join("\n"), @r"
        time-mismatch: unet_5-57_10-0.zip: `unet_5-57_20-0` declares other times than `unet_5-57_10-0.zip`
        over-time: submission: 1200.0 s, and the rules allow 893.0 s: 2.5 times the baseline
        ");
        let (_, _, found) = of("submission.zip", "preds");
        assert_eq!(
            found,
            [
                "times-unknown: submission: no times are known: the name `submission.zip` declares none, and no timing.json \
              of these predictions is enclosed"
            ]
        );
    }

    #[test]
    fn archives_that_are_not_read_are_reported() {
        for name in ["old.zip", "deeper/old.zip"] {
            let declared = declared("x_4-0_1-40", &[(name, String::new())]);
            let subject = format!("x_4-0_1-40/{name}");
            assert_eq!(
                messages(&declared),
                [format!("nested-archive: {subject}: a nested archive: scorers do not open it")]
            );
        }
    }

    #[test]
    fn unknown_times_have_no_verdict() {
        let unknown = declared("preds", &[]);
        assert_eq!(
            messages(&unknown),
            [
                "times-unknown: submission: no times are known: the platform does not pass on the archive's name, and no \
              timing.json of these predictions is enclosed"
            ]
        );
        assert_eq!((unknown.submission_seconds(), unknown.ratio(), unknown.is_over()), (None, None, None));
        // The absolute rule is met, and the relative one not judged: that is no verdict.
        let alone = declared("preds", &[("timing.json", timing(100.0, 0))]);
        assert_eq!((alone.submission_seconds(), alone.is_over()), (Some(100.0), None));
        let resumed = declared("x_4-0_1-40", &[("timing.json", timing(100.0, 3))]);
        assert_eq!(messages(&resumed).len(), 1);
    }

    #[test]
    fn invalid_records_are_reported_and_not_used() {
        let broken = declared("x_4-0_1-40", &[("timing.json", "{\"seconds\": \"\\u001b[2J\"}".to_owned())]);
        assert!(messages(&broken)[0].starts_with("unreadable-record: "), "{:?}", messages(&broken));
        assert!(!messages(&broken)[0].contains('\x1b'));
        let negative = declared("preds", &[("timing.json", timing(1.0, 0).replace("1.0", "-1.0"))]);
        assert_eq!((negative.record.is_none(), negative.findings[0].code.as_str()), (true, "unreadable-record"));
        let other = declared("x_4-0_1-40", &[("run.json", "{\"schema\": \"mine\"}".to_owned())]);
        assert_eq!((messages(&other).len(), other.is_over()), (0, Some(false)));
    }

    #[test]
    fn of_several_records_the_worst_one_counts() {
        let records = [("timing.json", timing(100.0, 0)), ("a/Timing.json", timing(1600.0, 0))];
        for order in [[0, 1], [1, 0]] {
            let found = declared("x_4-0_1-40", &order.map(|i: usize| records[i].clone()));
            assert_eq!(
                (found.record.as_ref().map(|record| record.seconds), found.is_over()),
                (Some(1600.0), Some(true))
            );
            insta::allow_duplicates! {
                insta::assert_snapshot!(messages(&found).join("\n"), @r"
                several-records: timing.json: 2 files are called timing.json: the one that is worst for the submission counts
                time-mismatch: x_4-0_1-40: the name says that the prediction took 1-40 (minutes-seconds), timing.json says 26-40
                over-time: submission: 1600.0 device-seconds, and the rules allow 1500
                over-time: submission: 1600.0 s, and the rules allow 600.0 s: 2.5 times the baseline
                ");
            }
        }
        // A record that cannot be read hides none that can.
        let found = declared("x_4-0_1-40", &[("timing.json", "{}".to_owned()), ("a/timing.json", timing(1600.0, 0))]);
        assert_eq!(found.is_over(), Some(true));
        // The shorter baseline counts.
        let runs = [("run.json", run(Some(400.0))), ("RUN.JSON", run(Some(40.0))), ("timing.json", timing(500.0, 0))];
        assert_eq!(
            (declared("preds", &runs).baseline_seconds(), declared("preds", &runs).is_over()),
            (Some(40.0), Some(true))
        );
    }

    #[test]
    fn a_record_of_other_patches_is_no_time_of_these() {
        let of = |patches: u64, seconds: f64| {
            let timing = Timing::new(Duration::from_secs_f64(seconds), patches, Devices { nodes: 1, per_node: 1 });
            let records = [("timing.json", serde_json::to_string(&timing).unwrap()), ("run.json", run(Some(400.0)))];
            let found = declared("preds", &records);
            (messages(&found).join("\n"), found.submission_seconds(), found.is_over())
        };
        let (told, seconds, is_over) = of(16, 10.0);
        insta::assert_snapshot!(told, @r"
        time-other-patches: timing.json: it times 16 patches, not the 10 at hand
        times-unknown: submission: no times are known: the platform does not pass on the archive's name, and no timing.json of these predictions is enclosed
        ");
        assert_eq!((seconds, is_over), (None, None));
        // Fewer patches that take too long already: so do all of them.
        assert_eq!((of(3, 10.0).2, of(3, 1600.0).2, of(16, 1600.0).2), (None, Some(true), None));
    }

    #[test]
    fn times_that_misspelling_hides_are_reported() {
        for name in ["x_4-0_14-60", "x_4-0_014-40", "x_4-0_20-0 (1)", "x_0-0_1-0"] {
            let found = declared(name, &[]);
            assert_eq!((found.findings[0].code.as_str(), found.is_over()), ("malformed-times", None), "{name}");
        }
        // A space in the approach's name does not hide the times.
        assert_eq!(declared("my run_4-0_10-1", &[]).is_over(), Some(true));
    }
}
