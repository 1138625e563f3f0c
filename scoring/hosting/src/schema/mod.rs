//! Checks whether a platform would accept a bundle, by its documented settings (as types) and by its code; and whether
//! `EvalAI` would accept a leaderboard and its results ([`evalai`]).
//!
//! A key that a platform requires is a field here, an optional one an `Option`, and one that it doesn't document an
//! error. Sources: Codabench's `Yaml-Structure.md` and `Competition-Bundle-Structure.md` (codalab/codabench
//! `documentation/docs/Organizers/Benchmark_Creation`), its `src/apps/competitions/unpackers/{base_unpacker,v2}.py`,
//! `src/apps/api/serializers/{competitions,leaderboards}.py` and `src/apps/leaderboards/models.py`; of CodaLab 1.5
//! `codalab/apps/web/models.py` (`Competition`, `CompetitionPhase`, `CompetitionDefBundle.unpack`,
//! `SubmissionScoreSet`) in codalab/codalab-competitions.

mod documented;
pub mod evalai;

use std::{
    collections::BTreeSet,
    io::{Cursor, Read},
};

use jiff::civil::DateTime;
use serde::de::DeserializeOwned;

use crate::HostingCode;
use documented::{BenchPhase, Board, Codabench, Codalab, Html, Metadata};

use super::{Platform, challenge::SUBMISSION_RULES, leaderboard::MAX_COLUMN_TEXT};
use flair_scoring::{Finding, source::Source, text::shown, yaml};

/// Maximum size of a checked part of a bundle, in bytes. Reference data are not read.
const MAX_PART: u64 = 256 << 20;

const SETTINGS: &str = "competition.yaml";

/// Finds what the platform would refuse or misread; empty for a valid bundle.
pub fn check(platform: Platform, bundle: &Source) -> Vec<Finding> {
    let mut look = Look { platform, bundle, findings: Vec::new() };
    match platform {
        Platform::Codabench => {
            if let Some(settings) = look.settings::<Codabench>() {
                look.codabench(&settings);
            }
        }
        Platform::Codalab => {
            // CodaLab reads the first file with `.yaml` in its name as the settings.
            let others = bundle.entries().iter().filter(|entry| entry.name.contains(".yaml") && entry.name != SETTINGS);
            let others: Vec<_> = others.map(|entry| shown(&entry.name)).collect();
            look.demand(others.is_empty(), SETTINGS, format!("is not the only .yaml: {}", others.join(", ")));
            if let Some(settings) = look.settings::<Codalab>() {
                look.codalab(&settings);
            }
        }
    }
    look.findings
}

struct Look<'a> {
    platform: Platform,
    bundle: &'a Source,
    findings: Vec<Finding>,
}

impl Look<'_> {
    fn demand(&mut self, is_met: bool, subject: impl Into<String>, reason: impl Into<String>) {
        if !is_met {
            let message = format!("{} ({})", reason.into(), self.platform);
            self.findings.push(HostingCode::BundleSchema.finding(subject.into(), message));
        }
    }

    /// The bytes of a part; a missing or empty part is a finding.
    fn part(&mut self, name: &str) -> Option<Vec<u8>> {
        let entry = self.bundle.entries().iter().find(|entry| entry.name == name);
        let bytes = entry.and_then(|entry| self.bundle.read(entry, MAX_PART).ok()).filter(|bytes| !bytes.is_empty());
        self.demand(bytes.is_some(), name, "is not in the bundle, or is empty");
        bytes
    }

    fn settings<T: DeserializeOwned>(&mut self) -> Option<T> {
        let settings = match String::from_utf8(self.part(SETTINGS)?) {
            Ok(text) => yaml::from_str(&text).map_err(|error| error.in_one_line()),
            Err(error) => Err(error.to_string()),
        };
        settings.map_err(|error| self.demand(false, SETTINGS, error)).ok()
    }

    fn length(&mut self, subject: &str, text: &str, most: usize) {
        let is_met = !text.trim().is_empty() && text.chars().count() <= most;
        self.demand(is_met, subject, format!("is not 1 to {most} characters long"));
    }

    fn time(&mut self, subject: &str, text: &str) -> Option<DateTime> {
        let time = text.parse().ok();
        self.demand(time.is_some(), subject, "is not a time");
        time
    }

    fn image(&mut self, name: &str) {
        if let Some(bytes) = self.part(name) {
            self.demand(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), name, "is not a PNG");
        }
    }

    /// Checks a scoring program: a zip with the worker's metadata and the file of their command.
    fn program(&mut self, name: &str) {
        let metadata = match self.platform {
            Platform::Codabench => "metadata.yaml",
            Platform::Codalab => "metadata",
        };
        let Some(bytes) = self.part(name) else { return };
        let Some((names, text)) = unzip(&bytes, metadata) else {
            self.demand(false, name, format!("is not a zip with a file {metadata}"));
            return;
        };
        let metadata: Option<Metadata> = yaml::from_str(&text).ok();
        let command = metadata.map(|metadata| metadata.command).unwrap_or_default();
        // CodaLab splits the command at spaces and ignores quotes; `$program/` is the folder of the unpacked zip.
        let words: Vec<_> = command.split(' ').collect();
        let own = words.iter().find_map(|word| word.strip_prefix("$program/"));
        self.demand(
            own.is_some_and(|file| names.contains(file)),
            name,
            format!("has no file for the command `{command}`"),
        );
        let is_whole = ["$input", "$output"].iter().all(|word| words.contains(word)) && !command.contains(['"', '\'']);
        self.demand(is_whole, name, "does not pass $input and $output to its command, or has quotes");
    }

    fn archive(&mut self, name: &str) {
        if let Some(bytes) = self.part(name) {
            self.demand(zip::ZipArchive::new(Cursor::new(bytes)).is_ok(), name, "is not a zip archive");
        }
    }

    /// Checks that reference data exist. They may be large, so they are not read.
    fn reference(&mut self, name: &str) {
        let is_there = self.bundle.entries().iter().any(|entry| entry.name == name && entry.size > 22);
        self.demand(is_there, name, "is not in the bundle, or is empty");
    }

    fn codabench(&mut self, settings: &Codabench) {
        self.demand(settings.version == 2, "version", "is not 2");
        self.length("title", &settings.title, 255);
        self.demand(settings.title.chars().count() >= 8, "title", "is shorter than 8 characters");
        self.image(&settings.image);
        self.part(&settings.terms);
        self.demand(!settings.pages.is_empty(), "pages", "has no page");
        for page in &settings.pages {
            self.length("pages", &page.title, 32);
            self.part(&page.file);
        }
        let tasks = self.indexes("tasks", settings.tasks.iter().map(|task| task.index));
        for task in &settings.tasks {
            self.length("tasks", &task.name, 256);
            self.program(&task.scoring_program);
            let reference = task.reference_data.as_deref().unwrap_or_default();
            self.reference(reference);
        }
        let solutions = settings.solutions.as_deref().unwrap_or_default();
        self.indexes("solutions", solutions.iter().map(|solution| solution.index));
        for solution in solutions {
            self.demand(
                solution.tasks.iter().all(|task| tasks.contains(task)),
                "solutions",
                "names a task that does not exist",
            );
            self.archive(&solution.path);
        }
        self.bench_phases(&settings.phases, &tasks);
        for (key, question) in settings.fact_sheet.iter().flatten() {
            let is_met = *key == question.key && !key.contains(char::is_whitespace);
            self.demand(is_met, "fact_sheet", "has a key that is not its own, or has spaces");
        }
        self.demand(!settings.leaderboards.is_empty(), "leaderboards", "has no leaderboard");
        for board in &settings.leaderboards {
            self.board(board);
        }
    }

    fn bench_phases(&mut self, phases: &[BenchPhase], tasks: &BTreeSet<u32>) {
        self.demand(!phases.is_empty(), "phases", "has no phase");
        let mut before: Option<Option<DateTime>> = None;
        for phase in phases {
            self.length("phases", &phase.name, 128);
            let is_met = !phase.tasks.is_empty() && phase.tasks.iter().all(|task| tasks.contains(task));
            self.demand(is_met, "phases", "names no task, or one that does not exist");
            let start = self.time("phases.start", &phase.start);
            let end = phase.end.as_deref().and_then(|end| self.time("phases.end", end));
            self.demand(end.is_none_or(|end| Some(end) > start), "phases.end", "is not after the start");
            if let Some(before) = before {
                self.demand(
                    before.is_some() && start > before,
                    "phases.start",
                    "is not after the end of the previous phase",
                );
            }
            before = Some(end);
            if let Some(kit) = &phase.starting_kit {
                self.archive(kit);
            }
        }
        self.demand(
            phases.first().is_none_or(|first| first.auto_migrate_to_this_phase != Some(true)),
            "phases",
            "migrates to the first phase",
        );
    }

    fn board(&mut self, board: &Board) {
        self.length("leaderboards.title", &board.title, 64);
        self.length("leaderboards.key", &board.key, MAX_COLUMN_TEXT);
        let rule = board.submission_rule.as_deref().unwrap_or("Add");
        self.demand(SUBMISSION_RULES.contains(&rule), "leaderboards.submission_rule", "is not a rule of Codabench");
        let indexes = self.indexes("leaderboards.columns", board.columns.iter().map(|column| column.index));
        self.demand(indexes.contains(&0), "leaderboards.columns", "has no column 0, which ranks");
        let keys: BTreeSet<_> = board.columns.iter().map(|column| &column.key).collect();
        self.demand(keys.len() == board.columns.len(), "leaderboards.columns", "has a key twice");
        for column in &board.columns {
            self.length("leaderboards.columns.title", &column.title, MAX_COLUMN_TEXT);
            self.length("leaderboards.columns.key", &column.key, MAX_COLUMN_TEXT);
            let of = column.computation_indexes.as_deref().unwrap_or_default();
            self.demand(
                column.computation.is_some() != of.is_empty(),
                &column.key,
                "has a computation without columns, or columns without a computation",
            );
            let is_met = of.iter().all(|index| indexes.contains(index) && *index != column.index);
            self.demand(is_met, &column.key, "is computed from itself, or from a column that does not exist");
        }
    }

    fn codalab(&mut self, settings: &Codalab) {
        self.length("title", &settings.title, 100);
        self.image(&settings.image);
        let Html { overview, evaluation, terms, data } = &settings.html;
        for page in [overview, evaluation, terms, data] {
            self.part(page);
        }
        if let Some(end) = &settings.end_date {
            self.time("end_date", end);
        }
        self.demand(!settings.phases.is_empty(), "phases", "has no phase");
        let mut before = None;
        for (number, phase) in &settings.phases {
            self.demand(*number == phase.phasenumber && *number > 0, "phases", "has a number that is not its key");
            self.length("phases.label", &phase.label, 50);
            let start = self.time("phases.start_date", &phase.start_date);
            self.demand(before.is_none() || start > before, "phases", "does not begin after the previous phase");
            before = start;
            self.program(&phase.scoring_program);
            self.reference(&phase.reference_data);
            if let Some(kit) = &phase.starting_kit {
                self.archive(kit);
            }
        }
        let labels: BTreeSet<_> = settings.leaderboard.leaderboards.values().map(|group| &group.label).collect();
        self.demand(!labels.is_empty(), "leaderboard", "has no leaderboard");
        self.indexes("leaderboard.columns", settings.leaderboard.columns.values().map(|column| column.rank));
        let chosen = settings.leaderboard.columns.values().filter(|column| column.selection_default == Some(1)).count();
        self.demand(chosen == 1, "leaderboard.columns", "has no column, or several, that ranks by default");
        for (key, column) in &settings.leaderboard.columns {
            self.length("leaderboard.columns", key, 50);
            self.length(key, &column.label, 50);
            self.demand(
                labels.contains(&column.leaderboard.label),
                key,
                "belongs to a leaderboard that does not exist",
            );
            let decimals = column.numeric_format.unwrap_or(2);
            self.demand((1..=10).contains(&decimals), key, "does not show 1 to 10 decimals");
        }
    }

    /// The indexes of a list; a duplicate is a finding.
    fn indexes(&mut self, subject: &str, indexes: impl Iterator<Item = u32>) -> BTreeSet<u32> {
        let all: Vec<_> = indexes.collect();
        let different: BTreeSet<_> = all.iter().copied().collect();
        self.demand(different.len() == all.len(), subject, "has an index twice");
        different
    }
}

/// The names in a small zip, and the bytes of one file.
fn unzip(bytes: &[u8], wanted: &str) -> Option<(BTreeSet<String>, String)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
    let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let mut text = String::new();
    archive.by_name(wanted).ok()?.take(1 << 16).read_to_string(&mut text).ok()?;
    Some((names, text))
}
