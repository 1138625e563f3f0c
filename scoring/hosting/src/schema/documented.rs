//! The settings that the platforms document: a required key is a field, an optional one an `Option`.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct Codabench {
    pub(super) version: u32,
    pub(super) title: String,
    pub(super) image: String,
    pub(super) terms: String,
    pub(super) description: Option<String>,
    pub(super) registration_auto_approve: Option<bool>,
    pub(super) docker_image: Option<String>,
    pub(super) make_programs_available: Option<bool>,
    pub(super) make_input_data_available: Option<bool>,
    pub(super) enable_detailed_results: Option<bool>,
    pub(super) show_detailed_results_in_submission_panel: Option<bool>,
    pub(super) show_detailed_results_in_leaderboard: Option<bool>,
    pub(super) contact_email: Option<String>,
    pub(super) reward: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) auto_run_submissions: Option<bool>,
    pub(super) can_participants_make_submissions_public: Option<bool>,
    pub(super) forum_enabled: Option<bool>,
    pub(super) pages: Vec<Page>,
    pub(super) phases: Vec<BenchPhase>,
    pub(super) tasks: Vec<Task>,
    pub(super) solutions: Option<Vec<Solution>>,
    pub(super) fact_sheet: Option<BTreeMap<String, Question>>,
    pub(super) leaderboards: Vec<Board>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct BenchPhase {
    pub(super) index: Option<u32>,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) start: String,
    pub(super) end: Option<String>,
    pub(super) tasks: Vec<u32>,
    pub(super) max_submissions: Option<u32>,
    pub(super) max_submissions_per_day: Option<u32>,
    pub(super) auto_migrate_to_this_phase: Option<bool>,
    pub(super) execution_time_limit: Option<u32>,
    pub(super) hide_output: Option<bool>,
    pub(super) hide_prediction_output: Option<bool>,
    pub(super) hide_score_output: Option<bool>,
    pub(super) starting_kit: Option<String>,
    pub(super) public_data: Option<String>,
    pub(super) accepts_only_result_submissions: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct Task {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) scoring_program: String,
    pub(super) description: Option<String>,
    pub(super) input_data: Option<String>,
    pub(super) reference_data: Option<String>,
    pub(super) ingestion_program: Option<String>,
    pub(super) ingestion_only_during_scoring: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Solution {
    pub(super) index: u32,
    pub(super) tasks: Vec<u32>,
    pub(super) path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct Question {
    pub(super) key: String,
    #[serde(rename = "type")]
    pub(super) kind: QuestionKind,
    pub(super) title: String,
    pub(super) selection: String,
    pub(super) is_required: String,
    pub(super) is_on_leaderboard: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum QuestionKind {
    Text,
    Checkbox,
    Select,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct Board {
    pub(super) index: Option<u32>,
    pub(super) title: String,
    pub(super) key: String,
    pub(super) submission_rule: Option<String>,
    pub(super) hidden: Option<bool>,
    pub(super) columns: Vec<BoardColumn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct BoardColumn {
    pub(super) index: u32,
    pub(super) title: String,
    pub(super) key: String,
    pub(super) sorting: Option<Order>,
    pub(super) precision: Option<u8>,
    pub(super) hidden: Option<bool>,
    pub(super) computation: Option<Computation>,
    pub(super) computation_indexes: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    Asc,
    Desc,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Computation {
    Sum,
    Avg,
    Min,
    Max,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct Codalab {
    pub(super) title: String,
    pub(super) image: String,
    pub(super) description: Option<String>,
    pub(super) has_registration: Option<bool>,
    pub(super) end_date: Option<String>,
    pub(super) admin_names: Option<String>,
    pub(super) force_submission_to_leaderboard: Option<bool>,
    pub(super) disallow_leaderboard_modifying: Option<bool>,
    pub(super) enable_detailed_results: Option<bool>,
    pub(super) competition_docker_image: Option<String>,
    pub(super) html: Html,
    pub(super) phases: BTreeMap<u32, LabPhase>,
    pub(super) leaderboard: LabBoard,
}

/// The four pages that CodaLab reads by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Html {
    pub(super) overview: String,
    pub(super) evaluation: String,
    pub(super) terms: String,
    pub(super) data: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct LabPhase {
    pub(super) phasenumber: u32,
    pub(super) label: String,
    pub(super) start_date: String,
    pub(super) max_submissions: u32,
    pub(super) description: Option<String>,
    pub(super) max_submissions_per_day: Option<u32>,
    pub(super) is_scoring_only: Option<bool>,
    pub(super) execution_time_limit: Option<u32>,
    pub(super) auto_migration: Option<bool>,
    pub(super) color: Option<String>,
    pub(super) leaderboard_management_mode: Option<String>,
    pub(super) force_best_submission_to_leaderboard: Option<bool>,
    pub(super) scoring_program: String,
    pub(super) reference_data: String,
    pub(super) starting_kit: Option<String>,
    pub(super) public_data: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabBoard {
    pub(super) leaderboards: BTreeMap<String, Group>,
    pub(super) columns: BTreeMap<String, LabColumn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct Group {
    pub(super) label: String,
    pub(super) rank: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "that a key is there, and of its type, is what is checked")]
pub(super) struct LabColumn {
    pub(super) leaderboard: Group,
    pub(super) label: String,
    pub(super) rank: u32,
    pub(super) numeric_format: Option<u8>,
    pub(super) sort: Option<Order>,
    pub(super) selection_default: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) command: String,
}
