//! `competition.yaml` of version 2, as Codabench reads it (codalab/codabench
//! `documentation/docs/Organizers/Benchmark_Creation/Yaml-Structure.md`).

use std::fmt::Write;

use super::{
    files::{self, PAGES},
    plan::Plan,
    yaml::{head, quoted},
};
use crate::{challenge::moment, leaderboard::columns};

/// The settings as YAML. Times are quoted: unquoted ones lose their hours
/// (`src/apps/competitions/unpackers/utils.py`, `get_datetime`: a `datetime` is a `date`).
pub(super) fn competition(plan: &Plan<'_>) -> String {
    let challenge = plan.challenge;
    let mut yaml = head(challenge, "version: 2\n");
    let _ = write!(
        yaml,
        "terms: {}\nregistration_auto_approve: {}\ndocker_image: {}\nmake_programs_available: false\n\
         make_input_data_available: false\nenable_detailed_results: true\n\
         show_detailed_results_in_submission_panel: true\nshow_detailed_results_in_leaderboard: false\n\
         auto_run_submissions: true\ncan_participants_make_submissions_public: false\nforum_enabled: true\n",
        files::TERMS,
        challenge.registration_auto_approve,
        quoted(&challenge.docker_image),
    );
    if !challenge.contact.is_empty() {
        let _ = writeln!(yaml, "contact_email: {}", quoted(&challenge.contact));
    }
    yaml.push_str("pages:\n");
    for page in PAGES.iter().filter(|page| page.file != files::TERMS) {
        let _ = write!(yaml, "  - title: {}\n    file: {}\n", page.title, page.file);
    }
    let _ = write!(
        yaml,
        "tasks:\n  - index: 0\n    name: Land cover of the test patches\n    description: {}\n    scoring_program: {}\n    \
         reference_data: {}\nsolutions:\n  - index: 0\n    tasks: [0]\n    path: {}\nphases:\n",
        quoted(&challenge.description),
        files::PROGRAM,
        files::REFERENCE,
        files::SAMPLE,
    );
    for (index, phase) in challenge.phases.iter().enumerate() {
        let _ = write!(
            yaml,
            "  - index: {index}\n    name: {}\n    description: {}\n    start: {}\n",
            quoted(&phase.name),
            quoted(&phase.description),
            quoted(&phase.starts().map_or_else(String::new, moment)),
        );
        if let Some(end) = phase.ends() {
            let _ = writeln!(yaml, "    end: {}", quoted(&moment(end)));
        }
        let _ = write!(
            yaml,
            "    max_submissions_per_day: {}\n    max_submissions: {}\n    execution_time_limit: {}\n    \
             accepts_only_result_submissions: true\n    starting_kit: {}\n    tasks: [0]\n",
            phase.max_submissions_per_day,
            phase.max_submissions,
            challenge.execution_time_limit,
            files::KIT,
        );
    }
    let _ = write!(
        yaml,
        "leaderboards:\n  - index: 0\n    title: Results\n    key: main\n    submission_rule: {}\n    hidden: false\n    \
         columns:\n",
        challenge.submission_rule
    );
    for (index, column) in columns(plan.protocol).iter().enumerate() {
        let _ = write!(
            yaml,
            "      - index: {index}\n        title: {}\n        key: {}\n        sorting: {}\n        precision: {}\n        \
             hidden: false\n",
            quoted(&column.title),
            column.key,
            column.sorting.word(),
            column.decimals,
        );
    }
    // The scoring program does not get the archive's name, so the form asks the participant.
    yaml.push_str(FACT_SHEET);
    yaml
}

const FACT_SHEET: &str = r#"fact_sheet:
  baseline_time:
    key: baseline_time
    type: text
    title: "Time of the baseline on your machine (minutes-seconds)"
    selection: ""
    is_required: "false"
    is_on_leaderboard: "true"
  submission_time:
    key: submission_time
    type: text
    title: "Time of your prediction on it (minutes-seconds)"
    selection: ""
    is_required: "false"
    is_on_leaderboard: "true"
"#;
