//! Makes an entry from a run's folder.

use std::path::Path;

use flair_scoring::{Protocol, ScoreReport, protocol::Definition, submission::Doubtful, text::counted, timing::Timing};

use super::{
    Benchmarks,
    choice::choose,
    record::{Run, read},
};
use crate::{Entry, EntrySchema, LeaderboardError, TestSet};

/// The fields of an entry that the files of a run don't have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The team or the model.
    pub name: String,
    /// The benchmark; `None` to derive it from the run, see [`Entry::from_run`].
    pub benchmark: Option<String>,
    /// See [`Entry::input`].
    pub input: String,
    /// See [`Entry::notes`].
    pub notes: String,
    /// See [`Entry::source`]; `own run` if empty.
    pub source: String,
    /// See [`Entry::date`].
    pub date: Option<String>,
    /// What to do with a score of predictions that look like a mistake: classes counted from 1, written as colours.
    pub doubtful: Doubtful,
}

impl Entry {
    /// Makes the entry of a run from its `score.json` and, if they exist, `timing.json` and `run.json`.
    ///
    /// The benchmark is [`FLAIR2_TEST`](crate::FLAIR2_TEST) for the whole test set. Other runs get a benchmark of their
    /// own, named by split and test set. A requested benchmark gets its known name.
    ///
    /// # Errors
    /// A file is missing, unreadable or not valid; there is no `mIoU`; `timing.json` is of other patches than
    /// `score.json`; the requested benchmark is not the run's; the entry isn't valid, see [`Entry::validate`].
    pub fn from_run(folder: &Path, description: &Description, known: &Benchmarks) -> Result<Self, LeaderboardError> {
        let path = folder.join("score.json");
        let text = read(&path)?
            .ok_or_else(|| LeaderboardError::file(&path, "there is no such file: `score --out DIR` writes it"))?;
        let score = ScoreReport::from_json(&text).map_err(|error| LeaderboardError::file(&path, error.to_string()))?;
        let miou = score
            .means
            .miou
            .ok_or_else(|| LeaderboardError::file(&path, "no class could be averaged, so there is no mIoU"))?;
        if let Some(mistake) = score.doubt().filter(|_| description.doubtful == Doubtful::Refuse) {
            let reason = format!(
                "{}: predict and score again, or, if the predictions are meant so, add them --as-is",
                mistake.message
            );
            return Err(LeaderboardError::file(&path, reason));
        }
        let (timing, without_time) = timing_of(folder, &score)?;
        if score.dropped_pixels > 0 {
            let reason = format!(
                "{} pixels above 12 were left out of its matrix, so it cannot be compared",
                score.dropped_pixels
            );
            return Err(LeaderboardError::file(folder.join("score.json"), reason));
        }
        let run = Run::read(&folder.join("run.json"))?;
        let Description { name, benchmark, input, notes, source, date, doubtful: _ } = description.clone();
        let preset = run.preset.as_ref().map(|preset| format!("preset {preset}"));
        let notes = [notes].into_iter().chain(preset).chain(score.notes.clone()).chain(without_time);
        let notes = notes.filter(|note| !note.is_empty());
        let entry = Self {
            schema: EntrySchema::V1,
            benchmark: choose(folder, &run, &score, benchmark.as_deref(), known)?,
            name: name.trim().to_owned(),
            test_set: TestSet::of(&score),
            rank: None,
            miou,
            std: None,
            protocol: score.protocol.clone(),
            input,
            notes: notes.collect::<Vec<_>>().join("; "),
            source: if source.is_empty() { "own run".to_owned() } else { source },
            date,
            class_ious: has_its_classes(&score).then(|| score.classes.iter().map(|class| class.scores.iou).collect()),
            timing,
            untrained: run.is_untrained,
        };
        entry.validate()?;
        Ok(entry)
    }
}

/// Whether a score has the challenge's 13 classes, which an entry lists.
fn has_its_classes(score: &ScoreReport) -> bool {
    let listed = |definition: &Definition| -> Vec<String> {
        definition.nomenclature.classes.iter().map(|class| class.name.clone()).collect()
    };
    listed(&score.definition) == listed(Protocol::flair2().definition())
}

/// The timing record of the scored predictions, and a note if the clock covers only a part of them.
fn timing_of(folder: &Path, score: &ScoreReport) -> Result<(Option<Timing>, Option<String>), LeaderboardError> {
    let path = folder.join("timing.json");
    let Some(text) = read(&path)? else { return Ok((None, None)) };
    let timing: Timing =
        serde_json::from_str(&text).map_err(|error| LeaderboardError::file(&path, error.to_string()))?;
    if timing.patches.checked_add(timing.kept_patches) != Some(score.patches) {
        let kept = if timing.is_whole() { String::new() } else { format!(" and {} kept ones", timing.kept_patches) };
        let reason = format!(
            "it is of {}{kept}, but `{}` is of {}: put the timing record of the scored predictions there, or none",
            counted(timing.patches, "patch"),
            folder.join("score.json").display(),
            score.patches
        );
        return Err(LeaderboardError::file(path, reason));
    }
    if !timing.is_whole() {
        // A time of a part of the run would be too good.
        let note = format!("no time: the clock covers {} of {} patches", timing.patches, score.patches);
        return Ok((None, Some(note)));
    }
    let device_seconds = timing.computed_device_seconds();
    Ok((Some(Timing { device_seconds, ..timing }), None))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use flair_scoring::{ConfusionMatrix, PatchId, dataset::patch_set, score::evaluate::Evaluation, timing::Devices};

    use super::*;
    use crate::FLAIR2_TEST;

    /// What a run's folder holds.
    struct Folder {
        score: ScoreReport,
        timing: Timing,
        run: &'static str,
    }

    /// A whole run of the first patches of the test set, by the challenge's protocol.
    fn folder(patches: u32, run: &'static str) -> Folder {
        folder_by(&Protocol::flair2(), patches, run)
    }

    fn folder_by(protocol: &Protocol, patches: u32, run: &'static str) -> Folder {
        let mut counts = vec![0; 13 * 13];
        (counts[0], counts[1], counts[13 + 1]) = (3, 1, 4);
        let matrix = ConfusionMatrix::new(13, counts, 0, 0).unwrap();
        let patch_set = Some(patch_set((0..patches).filter_map(|number| PatchId::new(77_413 + number))));
        let patches = u64::from(patches);
        let evaluation = Evaluation { patch_set, ..Evaluation::of_matrix(protocol.clone(), matrix, patches) };
        let timing = Timing::new(Duration::from_secs(10), patches, Devices { nodes: 1, per_node: 1 });
        Folder { score: ScoreReport::new(&evaluation), timing, run }
    }

    impl Folder {
        /// A record of an earlier version, which does not name its patches.
        fn without_patch_set(mut self) -> Self {
            self.score.patch_set = None;
            self
        }

        /// As many patches, but other ones.
        fn of_other_patches(mut self) -> Self {
            self.score.patch_set = Some(patch_set(PatchId::new(1)));
            self
        }

        /// The entry, for the requested benchmark. Errors have the folder's path replaced by `RUN`.
        fn entry(&self, benchmark: Option<&str>) -> Result<Entry, String> {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("score.json"), self.score.to_json()).unwrap();
            fs::write(dir.path().join("timing.json"), serde_json::to_string(&self.timing).unwrap()).unwrap();
            fs::write(dir.path().join("run.json"), self.run).unwrap();
            let (name, benchmark) = (" me ".to_owned(), benchmark.map(str::to_owned));
            let known = Benchmarks::known(&[]).unwrap();
            Entry::from_run(dir.path(), &Description { name, benchmark, ..Description::default() }, &known)
                .map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "RUN"))
        }
    }

    #[test]
    fn a_score_that_looks_like_a_mistake_is_no_entry() {
        let mut folder = folder(16_050, "{}");
        let mistake = "labels seem counted from 1: shifted, the mIoU would be 0.6640";
        folder.score.findings = vec![flair_scoring::Code::OneBased.finding("all predictions", mistake)];
        insta::assert_snapshot!(folder.entry(None).unwrap_err(), @"`RUN/score.json`: labels seem counted from 1: shifted, the mIoU would be 0.6640: predict and score again, or, if the predictions are meant so, add them --as-is");
        folder.score.findings[0].code = "other".into();
        assert!(folder.entry(None).is_ok());
    }

    #[test]
    fn scores_by_other_rules_stand_apart() {
        let hub = Protocol::named("flair-hub").unwrap();
        let folder = folder_by(&hub, 16_050, r#"{"split": "test"}"#);
        let entry = folder.entry(None).unwrap();
        assert_eq!(entry.benchmark, "FLAIR#2 test (16050 patches, 885638f7) by flair-hub");
        assert_eq!((entry.protocol.as_str(), entry.class_ious.map(|ious| ious.len())), ("flair-hub", Some(13)));
        let error = folder.entry(Some(FLAIR2_TEST)).unwrap_err();
        assert!(error.contains("it was scored by the protocol `flair-hub`"), "{error}");
    }

    #[test]
    fn a_run_becomes_an_entry() {
        let run = folder(16_050, r#"{"preset": "unet", "split": "test", "untrained": true, "other": 1}"#);
        insta::assert_snapshot!(run.entry(None).unwrap().to_json(), @r#"
        {
          "schema": "flair-bench/entry/1",
          "benchmark": "FLAIR#2 test",
          "name": "me",
          "test_set": {
            "patches": 16050,
            "ids": "885638f71d35b408f4f8b49ad227addad6a2a698984dfd894c7f84cc54e43a40",
            "masks": "c27ea3c2d450bec1b63b97b8eb9e8ae4c42c58c6ceffbda1d86ccb33911b0b75"
          },
          "miou": 0.775,
          "protocol": "flair2",
          "notes": "preset unet",
          "source": "own run",
          "class_ious": [
            0.75,
            0.8,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null
          ],
          "timing": {
            "schema": "flair-bench/timing/1",
            "seconds": 10.0,
            "nodes": 1,
            "devices_per_node": 1,
            "device_seconds": 10.0,
            "patches": 16050,
            "patches_per_second": 1605.0,
            "kept_patches": 0,
            "covers": [],
            "device": "",
            "hardware": "",
            "threads": 1,
            "version": "",
            "notes": []
          },
          "untrained": true
        }
        "#);
    }

    #[test]
    fn a_timing_record_of_other_patches_is_refused() {
        let mut run = folder(16, "{}");
        let mut lines = Vec::new();
        for (patches, kept) in [(15, 0), (17, 0), (16, 16), (u64::MAX, 17)] {
            (run.timing.patches, run.timing.kept_patches) = (patches, kept);
            lines.push(run.entry(None).unwrap_err());
        }
        (run.timing.patches, run.timing.kept_patches, run.timing.seconds) = (16, 0, -1.0);
        lines.push(run.entry(None).unwrap_err());
        insta::assert_snapshot!(lines.join("\n"), @r"
        `RUN/timing.json`: it is of 15 patches, but `RUN/score.json` is of 16: put the timing record of the scored predictions there, or none
        `RUN/timing.json`: it is of 17 patches, but `RUN/score.json` is of 16: put the timing record of the scored predictions there, or none
        `RUN/timing.json`: it is of 16 patches and 16 kept ones, but `RUN/score.json` is of 16: put the timing record of the scored predictions there, or none
        `RUN/timing.json`: it is of 18446744073709551615 patches and 17 kept ones, but `RUN/score.json` is of 16: put the timing record of the scored predictions there, or none
        the entry `me` is not valid: `timing.seconds` is not a duration
        ");
    }

    #[test]
    fn the_time_of_a_part_of_a_run_is_left_out() {
        let mut run = folder(16, "{}");
        (run.timing.patches, run.timing.kept_patches) = (6, 10);
        let entry = run.entry(None).unwrap();
        assert_eq!((entry.timing, entry.notes.as_str()), (None, "no time: the clock covers 6 of 16 patches"));
    }

    #[test]
    fn the_stated_device_seconds_are_not_believed() {
        let mut run = folder(16, "{}");
        run.timing = Timing { seconds: 1400.0, nodes: 4, devices_per_node: 0, device_seconds: 1.0, ..run.timing };
        assert!((run.entry(None).unwrap().timing.unwrap().device_seconds - 5600.0).abs() < 1e-9);
    }

    #[test]
    fn a_score_that_left_pixels_out_is_no_entry() {
        let mut run = folder(16_050, r#"{"split": "test"}"#);
        (run.score.dropped_pixels, run.score.pixels) = (2, run.score.pixels + 2);
        let text = run.entry(None).unwrap_err();
        assert!(text.ends_with("2 pixels above 12 were left out of its matrix, so it cannot be compared"), "{text}");
    }

    #[test]
    fn only_the_whole_test_set_is_the_challenge() {
        let (test, toy) = (r#"{"split": "test"}"#, r#"{"split": "test", "data_kind": "toy"}"#);
        let real = r#"{"split": "val", "data_kind": "real"}"#;
        let lines = [
            folder(16_050, test).entry(None),
            folder(16_050, "{}").entry(None),
            folder(16_050, test).without_patch_set().entry(None),
            folder(16_050, "{}").without_patch_set().entry(None),
            folder(16_050, test).of_other_patches().entry(None),
            folder(16_050, test).of_other_patches().entry(Some("FLAIR#2 test")),
            folder(3, test).entry(None),
            folder(3, test).without_patch_set().entry(None),
            folder(3, test).of_other_patches().entry(None),
            folder(1, r#"{"split": "all"}"#).entry(None),
            folder(16_050, toy).entry(None),
            folder(16_050, toy).without_patch_set().entry(None),
            folder(16_050, toy).entry(Some("Toy")),
            folder(16_050, toy).entry(Some("FLAIR#2 test")),
            folder(3, real).entry(Some("toy")),
            folder(3, test).entry(Some("flair2-test")),
            folder(3, test).entry(Some("FLAIR 2 TEST")),
            folder(3, test).entry(Some(" my benchmark ")),
            folder(16_050, r#"{"split": "train"}"#).entry(Some("FLAIR#2 test")),
            folder(3, test).entry(Some("flair1 test")),
            folder(3, "{").entry(None),
        ];
        let lines = lines.map(|entry| entry.map_or_else(|error| format!("error: {error}"), |entry| entry.benchmark));
        insta::assert_snapshot!(lines.join("\n"), @r"
        FLAIR#2 test
        FLAIR#2 test
        FLAIR#2 test
        FLAIR#2, unknown split (16050 patches)
        FLAIR#2 test (16050 patches, a7fda0b6)
        error: the run `RUN` cannot be an entry of `FLAIR#2 test`: it scored 16050 patches, but not those of the test set, 077413 to 093462
        FLAIR#2 test (3 patches, 2a7299b5)
        FLAIR#2 test (3 patches)
        FLAIR#2 test (3 patches, a7fda0b6)
        FLAIR#2 all (1 patch, abc94967)
        toy (16050 patches, c27ea3c2)
        toy (16050 patches)
        toy
        error: the run `RUN` cannot be an entry of `FLAIR#2 test`: it ran on synthetic data
        error: the run `RUN` cannot be an entry of `toy`: it ran on real data
        error: the run `RUN` cannot be an entry of `FLAIR#2 test`: the test set has 16050 patches, it scored 3
        error: the run `RUN` cannot be an entry of `FLAIR#2 test`: the test set has 16050 patches, it scored 3
        my benchmark
        error: the run `RUN` cannot be an entry of `FLAIR#2 test`: it did not predict the test split
        error: the run `RUN` cannot be an entry of `FLAIR#1 test`: it is of other data than FLAIR #2's
        error: `RUN/run.json`: EOF while parsing an object at line 1 column 1
        ");
    }

    #[test]
    fn test_sets_of_equal_size_are_told_apart() {
        let toy = r#"{"split": "test", "data_kind": "toy"}"#;
        let one = folder(3, toy).entry(None).unwrap();
        let mut other = folder(3, toy);
        // The masks of another seed: as many pixels, of other classes.
        let counts: Vec<u64> = other.score.confusion.concat().into_iter().rev().collect();
        let matrix = ConfusionMatrix::new(13, counts, 0, 0).unwrap();
        let patch_set = other.score.patch_set.clone();
        let evaluation = Evaluation { patch_set, ..Evaluation::of_matrix(Protocol::flair2(), matrix, 3) };
        other.score = ScoreReport::new(&evaluation);
        let other = other.entry(None).unwrap();
        assert_ne!(one.benchmark, other.benchmark);
        assert_eq!(one.test_set.unwrap().ids, other.test_set.unwrap().ids);
    }

    #[test]
    fn a_run_without_a_score_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = Entry::from_run(dir.path(), &Description::default(), &Benchmarks::known(&[]).unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains("score.json"), "{error}");
    }
}
