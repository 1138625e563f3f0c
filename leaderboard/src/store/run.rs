//! Makes an entry from a run's folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use flair_scoring::{
    Protocol, ScoreReport,
    files::{MAX_RECORD, read_text},
    protocol::Definition,
    timing::Timing,
};

use crate::{Entry, EntrySchema, FLAIR2_TEST, LeaderboardError, TOY, published, slug};

/// Number of patches of the challenge's test set.
const FLAIR2_TEST_PATCHES: u64 = 16_050;

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
}

/// The fields read from `run.json`.
#[derive(Default)]
struct Run {
    split: Option<String>,
    preset: Option<String>,
    is_toy: bool,
    is_untrained: bool,
}

impl Entry {
    /// Makes the entry of a run from its `score.json` and, if they exist, `timing.json` and `run.json`.
    ///
    /// The benchmark is [`TOY`] for the synthetic data and [`FLAIR2_TEST`] for the whole test set. Other runs get a
    /// benchmark of their own, named by split and number of patches.
    ///
    /// # Errors
    /// A file is missing, unreadable or not valid; there is no `mIoU`; the requested benchmark is not the run's;
    /// the entry isn't valid, see [`Entry::validate`].
    pub fn from_run(folder: &Path, description: &Description) -> Result<Self, LeaderboardError> {
        let path = folder.join("score.json");
        let text = read(&path)?
            .ok_or_else(|| LeaderboardError::Io { path: path.clone(), error: io::ErrorKind::NotFound.into() })?;
        let score = ScoreReport::from_json(&text).map_err(|error| LeaderboardError::file(&path, error.to_string()))?;
        let miou = score
            .means
            .miou
            .ok_or_else(|| LeaderboardError::file(&path, "no class could be averaged, so there is no mIoU"))?;
        let path = folder.join("timing.json");
        let timing: Option<Timing> = read(&path)?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| LeaderboardError::file(&path, error.to_string()))?;
        if score.dropped_pixels > 0 {
            let reason = format!(
                "{} pixels above 12 were left out of its matrix, so it cannot be compared",
                score.dropped_pixels
            );
            return Err(LeaderboardError::file(folder.join("score.json"), reason));
        }
        let run = Run::read(&folder.join("run.json"))?;
        let Description { name, benchmark, input, notes, source, date } = description.clone();
        let preset = run.preset.as_ref().map(|preset| format!("preset {preset}"));
        let notes = [notes].into_iter().chain(preset).chain(score.notes.clone()).filter(|note| !note.is_empty());
        let entry = Self {
            schema: EntrySchema::V1,
            benchmark: choose(folder, &run, &score, benchmark)?,
            name,
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

/// Whether a benchmark is one of the published ones.
fn is_published(benchmark: &str) -> Result<bool, LeaderboardError> {
    Ok(published()?.iter().any(|entry| slug(&entry.benchmark) == slug(benchmark)))
}

/// The benchmark of a run. A small or synthetic test set must never share the challenge's.
fn choose(folder: &Path, run: &Run, score: &ScoreReport, asked: Option<String>) -> Result<String, LeaderboardError> {
    let patches = score.patches;
    let is_by_its_rules = Protocol::flair2().id() == score.protocol;
    let refuse = |benchmark: &str, reason: String| {
        Err(LeaderboardError::Benchmark { run: folder.to_owned(), benchmark: benchmark.to_owned(), reason })
    };
    let is_whole = patches == FLAIR2_TEST_PATCHES;
    match asked {
        Some(asked) if run.is_toy && slug(&asked) != slug(TOY) => refuse(&asked, "it ran on synthetic data".to_owned()),
        Some(asked) if slug(&asked) == slug(FLAIR2_TEST) && !is_whole => {
            refuse(&asked, format!("the test set has {FLAIR2_TEST_PATCHES} patches, it scored {patches}"))
        }
        Some(asked)
            if slug(&asked) == slug(FLAIR2_TEST) && run.split.as_deref().is_some_and(|split| split != "test") =>
        {
            refuse(&asked, "it did not predict the test split".to_owned())
        }
        Some(asked) if slug(&asked) == slug(FLAIR2_TEST) && !is_by_its_rules => {
            refuse(&asked, format!("it was scored by the protocol `{}`, not by the challenge's", score.protocol))
        }
        Some(asked) if slug(&asked) != slug(FLAIR2_TEST) && is_published(&asked)? => {
            refuse(&asked, "it is of other data than FLAIR #2's".to_owned())
        }
        Some(asked) => Ok(asked),
        None if run.is_toy => Ok(TOY.to_owned()),
        None => {
            let by = if is_by_its_rules { String::new() } else { format!(" by {}", score.protocol) };
            Ok(match run.split.as_deref() {
                Some("test") if is_whole && is_by_its_rules => FLAIR2_TEST.to_owned(),
                Some(split) => format!("FLAIR#2 {split} ({patches} patches){by}"),
                None => format!("FLAIR#2, unknown split ({patches} patches){by}"),
            })
        }
    }
}

impl Run {
    fn read(path: &Path) -> Result<Self, LeaderboardError> {
        let Some(text) = read(path)? else { return Ok(Self::default()) };
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| LeaderboardError::file(path, error.to_string()))?;
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        Ok(Self {
            split: text("split"),
            preset: text("preset"),
            is_toy: text("data_kind").is_some_and(|kind| kind == "toy"),
            is_untrained: json["untrained"].as_bool().unwrap_or(false),
        })
    }
}

/// A file's text; `None` if the file does not exist.
fn read(path: &Path) -> Result<Option<String>, LeaderboardError> {
    match read_text(path, MAX_RECORD) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LeaderboardError::Io { path: PathBuf::from(path), error }),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use flair_scoring::{ConfusionMatrix, OutOfRange, score::evaluate::Evaluation, timing::Devices};

    use super::*;

    fn run(patches: u64, run: &str) -> tempfile::TempDir {
        run_with_dropped(patches, run, 0)
    }

    fn run_with_dropped(patches: u64, run: &str, dropped: u64) -> tempfile::TempDir {
        run_by(&Protocol::flair2(), patches, run, dropped)
    }

    fn run_by(protocol: &Protocol, patches: u64, run: &str, dropped: u64) -> tempfile::TempDir {
        let mut counts = vec![0; 13 * 13];
        (counts[0], counts[1], counts[13 + 1]) = (3, 1, 4);
        let matrix = ConfusionMatrix::new(13, counts, dropped, 0).unwrap();
        let evaluation = Evaluation::of_matrix(protocol.clone(), matrix, patches);
        let score = ScoreReport::new(&Evaluation { out_of_range: OutOfRange::Drop, ..evaluation });
        let timing = Timing::new(Duration::from_secs(10), patches, Devices { nodes: 1, per_node: 1 });
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("score.json"), score.to_json()).unwrap();
        fs::write(dir.path().join("timing.json"), serde_json::to_string(&timing).unwrap()).unwrap();
        fs::write(dir.path().join("run.json"), run).unwrap();
        dir
    }

    #[test]
    fn scores_by_other_rules_stand_apart() {
        let hub = Protocol::named("flair-hub").unwrap();
        let folder = run_by(&hub, FLAIR2_TEST_PATCHES, r#"{"split": "test"}"#, 0);
        let entry = Entry::from_run(folder.path(), &description(None)).unwrap();
        assert_eq!(entry.benchmark, "FLAIR#2 test (16050 patches) by flair-hub");
        assert_eq!((entry.protocol.as_str(), entry.class_ious.map(|ious| ious.len())), ("flair-hub", Some(13)));
        let error = Entry::from_run(folder.path(), &description(Some(FLAIR2_TEST))).unwrap_err().to_string();
        assert!(error.contains("it was scored by the protocol `flair-hub`"), "{error}");
    }

    fn description(benchmark: Option<&str>) -> Description {
        Description { name: "me".to_owned(), benchmark: benchmark.map(str::to_owned), ..Description::default() }
    }

    #[test]
    fn a_run_becomes_an_entry() {
        let dir = run(16_050, r#"{"preset": "unet", "split": "test", "untrained": true, "other": 1}"#);
        let entry = Entry::from_run(dir.path(), &description(None)).unwrap();
        insta::assert_snapshot!(entry.to_json(), @r#"
        {
          "schema": "flair-bench/entry/1",
          "benchmark": "FLAIR#2 test",
          "name": "me",
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
    fn a_score_that_left_pixels_out_is_no_entry() {
        let dir = run_with_dropped(16_050, r#"{"split": "test"}"#, 2);
        let text = Entry::from_run(dir.path(), &description(None)).unwrap_err().to_string();
        assert!(text.ends_with("2 pixels above 12 were left out of its matrix, so it cannot be compared"), "{text}");
    }

    #[test]
    fn only_the_whole_test_set_is_the_challenge() {
        let benchmark = |patches, json: &str, asked| {
            let dir = run(patches, json);
            Entry::from_run(dir.path(), &description(asked))
                .map(|entry| entry.benchmark)
                .map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "RUN"))
        };
        let lines = [
            benchmark(16_050, r#"{"split": "test"}"#, None),
            benchmark(3, r#"{"split": "test"}"#, None),
            benchmark(3, r#"{"split": "all"}"#, None),
            benchmark(3, "{}", None),
            benchmark(16_050, r#"{"split": "test", "data_kind": "toy"}"#, None),
            benchmark(16_050, r#"{"split": "test", "data_kind": "toy"}"#, Some("FLAIR#2 test")),
            benchmark(3, r#"{"split": "test"}"#, Some("flair2-test")),
            benchmark(3, r#"{"split": "test"}"#, Some("my benchmark")),
            benchmark(16_050, r#"{"split": "train"}"#, Some("FLAIR#2 test")),
            benchmark(3, r#"{"split": "test"}"#, Some("FLAIR#1 test")),
            benchmark(3, "{", None),
        ];
        let lines = lines.map(|line| line.unwrap_or_else(|error| format!("error: {error}")));
        insta::assert_snapshot!(lines.join("\n"), @r"
        FLAIR#2 test
        FLAIR#2 test (3 patches)
        FLAIR#2 all (3 patches)
        FLAIR#2, unknown split (3 patches)
        toy
        error: the run `RUN` cannot be an entry of `FLAIR#2 test`: it ran on synthetic data
        error: the run `RUN` cannot be an entry of `flair2-test`: the test set has 16050 patches, it scored 3
        my benchmark
        error: the run `RUN` cannot be an entry of `FLAIR#2 test`: it did not predict the test split
        error: the run `RUN` cannot be an entry of `FLAIR#1 test`: it is of other data than FLAIR #2's
        error: `RUN/run.json`: EOF while parsing an object at line 1 column 1
        ");
    }

    #[test]
    fn a_run_without_a_score_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = Entry::from_run(dir.path(), &description(None)).unwrap_err().to_string();
        assert!(error.contains("score.json"), "{error}");
    }
}
