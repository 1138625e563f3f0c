//! The times that a submission declares, in the names of its archive or folder and in an enclosed record of the run.

use serde::Deserialize;

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
}

/// The fields read from `run.json`; others are ignored.
#[derive(Deserialize)]
struct RunRecord {
    schema: String,
    time_rule: Option<TimeRule>,
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
        declared.record = declared.read(sources, "timing.json", |bytes| serde_json::from_slice(bytes));
        let run: Option<RunRecord> = declared.read(sources, "run.json", |bytes| serde_json::from_slice(bytes));
        let run = run.filter(|run| run.schema.starts_with("flair-bench/run/"));
        declared.record_baseline = run.and_then(|run| run.time_rule?.limits.baseline_seconds);

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
            let message = format!("no times are known: {what}, and no readable timing.json is enclosed");
            declared.findings.push(HostingCode::TimesUnknown.finding("submission", message));
        }
        declared
    }

    /// Reads and parses the only file of a name.
    fn read<T>(
        &mut self,
        sources: &[&Source],
        name: &str,
        parse: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Option<T> {
        let of = |source: &&Source| source.entries().iter().filter(|e| is_record(e, name)).cloned().collect::<Vec<_>>();
        let found: Vec<_> =
            sources.iter().flat_map(|source| of(source).into_iter().map(move |e| (*source, e))).collect();
        let (source, entry) = match found.as_slice() {
            [] => return None,
            [one] => one,
            several => {
                let message =
                    format!("{} files are called {name}: none of them is taken for the record", several.len());
                self.findings.push(HostingCode::UnreadableRecord.finding(name, message));
                return None;
            }
        };
        let parsed = source.read(entry, MAX_RECORD).map_err(|error| error.to_string());
        match parsed.and_then(|bytes| parse(&bytes).map_err(|error| error.to_string())) {
            Ok(record) => Some(record),
            Err(reason) => {
                let message = format!("not a record of flair-bench: {}", shown(&reason));
                self.findings.push(HostingCode::UnreadableRecord.finding(shown(&entry.name), message));
                None
            }
        }
    }

    /// The name's times are floored to seconds, and so are the record's before they are compared.
    fn cross_check(&mut self, subject: &str) {
        let Some(name) = self.name else { return };
        let submission = self.record.as_ref().and_then(Timing::elapsed).map(MinutesSeconds::from);
        let baseline = self.record_baseline.and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
        let pairs = [
            ("the prediction", name.submission, submission, "timing.json"),
            ("the baseline", name.baseline, baseline.map(MinutesSeconds::from), "run.json"),
        ];
        for (what, declared, recorded, file) in pairs {
            if let Some(recorded) = recorded.filter(|recorded| *recorded != declared) {
                let message =
                    format!("the name says that {what} took {declared} (minutes-seconds), {file} says {recorded}");
                self.findings.push(HostingCode::TimeMismatch.finding(shown(subject), message));
            }
        }
    }

    /// Judges the times of every name, and of the record.
    fn judge(&mut self, names: &[Times], patches: u64, limits: &Limits) {
        let one_device = Devices { nodes: 1, per_node: 1 };
        let seconds = |time: MinutesSeconds| time.duration().as_secs_f64();
        let of_name = |times: &Times| {
            let timing = Timing::new(times.submission.duration(), patches, one_device);
            (Some(timing), Some(seconds(times.baseline)))
        };
        let baseline_of_name = self.name.map(|times| seconds(times.baseline));
        let of_record = (self.record.clone(), self.record_baseline.or(baseline_of_name));
        for (timing, baseline_seconds) in names.iter().map(of_name).chain([of_record]) {
            let Some(timing) = timing else { continue };
            let verdict = judge(&timing, &Limits { baseline_seconds, ..*limits });
            if !timing.is_whole() {
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
        of_name.or_else(|| Some(self.record.as_ref()?.elapsed()?.as_secs_f64()))
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
    entry.file_name == name && !entry.name.split('/').any(|part| part == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::zip::{Keep, archive as archive_of};

    fn timing(seconds: f64, kept_patches: u64) -> String {
        let devices = Devices { nodes: 1, per_node: 1 };
        let timing = Timing::new(Duration::from_secs_f64(seconds), 10, devices);
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
        time-mismatch: run_5-57_14-40: the name says that the prediction took 14-40 (minutes-seconds), timing.json says 26-40
        time-mismatch: run_5-57_14-40: the name says that the baseline took 5-57 (minutes-seconds), run.json says 6-40
        over-time: submission: 1600.4 device-seconds, and the rules allow 1500
        over-time: submission: 1600.4 s, and the rules allow 1000.0 s: 2.5 times the baseline
        ");
        assert_eq!(declared.is_over(), Some(true));
    }

    #[test]
    fn a_name_alone_is_enough_and_2_5_times_is_the_limit() {
        assert_eq!(declared("x_4-0_10-0", &[]).is_over(), Some(false));
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
        unreadable-times: unet_20-00_30-00: its times cannot be read: expected minutes and seconds below 60, without leading zeros, as in unet_5-57_14-40
        times-unknown: submission: no times are known: those of the name `unet_20-00_30-00` cannot be read, and no readable timing.json is enclosed
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
        over-time: submission: 1200.0 s, and the rules allow 892.5 s: 2.5 times the baseline
        ");
        let (_, _, found) = of("submission.zip", "preds");
        assert_eq!(
            found,
            [
                "times-unknown: submission: no times are known: the name `submission.zip` declares none, and no readable \
              timing.json is enclosed"
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
              readable timing.json is enclosed"
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
        let twice = declared("x_4-0_1-40", &[("timing.json", timing(1.0, 0)), ("a/timing.json", timing(2.0, 0))]);
        assert!(twice.record.is_none() && messages(&twice)[0].contains("2 files are called timing.json"));
        let other = declared("x_4-0_1-40", &[("run.json", "{\"schema\": \"mine\"}".to_owned())]);
        assert_eq!((messages(&other).len(), other.is_over()), (0, Some(false)));
    }
}
