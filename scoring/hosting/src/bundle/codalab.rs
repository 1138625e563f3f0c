//! `competition.yaml` of CodaLab 1.5 (codalab/codalab-competitions `codalab/apps/web/models.py`,
//! `CompetitionDefBundle.unpack`).

use std::fmt::Write;

use super::{
    files::{self, PAGES},
    plan::Plan,
    yaml::{head, quoted},
};
use crate::{
    challenge::{Phase, moment},
    leaderboard::columns,
};

/// The settings as YAML. CodaLab passes each key to its database models, and an unknown key stops the upload: so there
/// is no `version`.
pub(super) fn competition(plan: &Plan<'_>) -> String {
    let challenge = plan.challenge;
    let mut yaml = head(challenge, "");
    let _ = write!(
        yaml,
        "has_registration: {}\nenable_detailed_results: true\nforce_submission_to_leaderboard: false\n\
         competition_docker_image: {}\n",
        !challenge.registration_auto_approve,
        quoted(&challenge.docker_image),
    );
    // A phase ends when the next one starts; the last phase ends with the competition.
    if let Some(end) = challenge.phases.last().and_then(Phase::ends) {
        let _ = writeln!(yaml, "end_date: {}", quoted(&moment(end)));
    }
    yaml.push_str("html:\n");
    for page in &PAGES {
        let _ = writeln!(yaml, "  {}: {}", page.key, page.file);
    }
    yaml.push_str("phases:\n");
    for (number, phase) in (1..).zip(&challenge.phases) {
        let _ = write!(
            yaml,
            "  {number}:\n    phasenumber: {number}\n    label: {}\n    description: {}\n    start_date: {}\n    \
             is_scoring_only: true\n    max_submissions: {}\n    max_submissions_per_day: {}\n    \
             execution_time_limit: {}\n    scoring_program: {}\n    reference_data: {}\n    starting_kit: {}\n",
            quoted(&phase.name),
            quoted(&phase.description),
            quoted(&phase.starts().map_or_else(String::new, moment)),
            phase.max_submissions,
            phase.max_submissions_per_day,
            challenge.execution_time_limit,
            files::PROGRAM,
            files::REFERENCE,
            files::KIT,
        );
    }
    yaml.push_str(
        "leaderboard:\n  leaderboards:\n    Results: &RESULTS\n      label: Results\n      rank: 1\n  columns:\n",
    );
    for (rank, column) in (1..).zip(columns(plan.protocol)) {
        let _ = write!(
            yaml,
            "    {}:\n      leaderboard: *RESULTS\n      label: {}\n      rank: {rank}\n      numeric_format: {}\n      \
             sort: {}\n",
            column.key,
            quoted(&column.title),
            // It shows 1 decimal at least (`CompetitionPhase.format_value`).
            column.decimals.max(1),
            column.sorting.word(),
        );
        if rank == 1 {
            yaml.push_str("      selection_default: 1\n");
        }
    }
    yaml
}
