//! The result for `EvalAI`: the return value of `evaluate()` in a challenge's evaluation script.

use serde_json::{Map, Value, json};

use super::{leaderboard::times, rules, times::Declared};
use flair_scoring::{ScoreReport, protocol::Absent};

/// The value of a figure that does not exist; all others are 0 or more.
pub const ABSENT: f64 = -1.0;

/// The score as `{"result": [{SPLIT: {LABEL: VALUE, …}}], "submission_result": …}`, the shape that
/// `scripts/workers/submission_worker.py` of Cloud-CV/EvalAI stores; `submission_result` is the whole record, for the
/// participant.
///
/// The labels are `mIoU`, `overall accuracy` and the names of all classes of the protocol's mean. All are always
/// present, with a number: an absent class has 0 if the protocol counts it as 0, and [`ABSENT`] if the protocol skips it.
/// Known times are added: `time (s)`, `baseline's time (s)`, `times the baseline`, `over time` (0 or 1). So the schema of
/// a leaderboard must list all of these ([`crate::schema::evalai::leaderboard`]).
pub fn result(report: &ScoreReport, declared: &Declared, split: &str) -> Value {
    let absent = match report.definition.absent {
        Absent::Skipped => ABSENT,
        Absent::Zero => 0.0,
    };
    let means = [("mIoU", report.means.miou), ("overall accuracy", report.means.overall_accuracy)];
    let means = means.into_iter().map(|(label, value)| (label, value.unwrap_or(ABSENT)));
    let classes = rules::averaged_of(report).map(|class| (class.name.as_str(), class.scores.iou.unwrap_or(absent)));
    let times = times(declared).map(|(_, title, value)| (title, value));
    let metrics: Map<_, _> =
        classes.chain(times).chain(means).map(|(label, value)| (label.to_owned(), json!(value))).collect();
    // Serialising texts, numbers and lists cannot fail.
    let record = serde_json::to_value(report).unwrap_or(Value::Null);
    json!({"result": [{split: metrics}], "submission_result": record})
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;
    use crate::leaderboard::tests::{report, report_of};

    #[test]
    fn the_result_has_the_platforms_shape() {
        let report = report();
        let result = result(&report, &Declared::default(), "test_split");
        let split = &result["result"][0]["test_split"];
        assert_eq!(split["mIoU"].as_f64(), report.means.miou);
        assert_eq!(split["building"].as_f64(), Some(0.6));
        // mIoU, accuracy, and all classes, also those that there are not; never null.
        let values = split.as_object().unwrap();
        assert!(values.len() == 2 + 12 && values.values().all(Value::is_number), "{values:?}");
        assert_eq!(split["water"], ABSENT);
        assert_eq!(result["submission_result"]["confusion"][0][2], 38);
        assert_eq!(result.as_object().unwrap().len(), 2);
    }

    #[test]
    fn absent_classes_have_the_protocols_value_and_known_times_are_included() {
        let protocol = flair_scoring::Protocol::find("flair-hub").unwrap();
        let counts = vec![0; protocol.class_count() * protocol.class_count()];
        let report = report_of(protocol, counts, 1);
        let times = flair_scoring::submission::ArchiveName::from_str("a_5-57_14-40.zip").unwrap().times();
        let declared = Declared { name: times, ..Declared::default() };
        let result = super::result(&report, &declared, "test");
        let split = &result["result"][0]["test"];
        assert_eq!((&split["water"], &split["time (s)"]), (&json!(0.0), &json!(880.0)));
        assert_eq!(split["baseline's time (s)"], 357.0);
    }
}
