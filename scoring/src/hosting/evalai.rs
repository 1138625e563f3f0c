//! `EvalAI`'s result: what the `evaluate()` of a challenge's evaluation script gives back.

use serde_json::{Map, Value, json};

use super::rules;
use crate::ScoreReport;

/// The score as `{"result": [{SPLIT: {LABEL: VALUE, …}}], "submission_result": …}`, the shape that
/// `scripts/workers/submission_worker.py` of Cloud-CV/EvalAI stores; `submission_result` is the whole record, for the
/// participant.
///
/// The labels are `mIoU`, `overall accuracy` and the names of the classes that the mean is over. A class that neither
/// masks nor predictions have has no value: `EvalAI` refuses one that is no number, and one that the leaderboard's
/// schema lists and the result lacks, so that schema should list the classes that the masks have.
pub fn result(report: &ScoreReport, split: &str) -> Value {
    let values = [("mIoU", report.miou), ("overall accuracy", report.overall_accuracy)].into_iter();
    let values = values.chain(rules::averaged_of(report).map(|class| (class.name.as_str(), class.iou)));
    let metrics: Map<_, _> = values.filter_map(|(label, v)| Some((label.to_owned(), json!(v?)))).collect();
    // Texts, numbers and lists of them: that cannot fail.
    let record = serde_json::to_value(report).unwrap_or(Value::Null);
    json!({"result": [{split: metrics}], "submission_result": record})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_has_the_platforms_shape() {
        let report = super::super::leaderboard::tests::report();
        let result = result(&report, "test_split");
        let split = &result["result"][0]["test_split"];
        assert_eq!(split["mIoU"].as_f64(), report.miou);
        assert_eq!(split["building"].as_f64(), Some(0.6));
        // mIoU, accuracy, and the two classes that there are; never null.
        let values = split.as_object().unwrap();
        assert!(values.len() == 4 && values.values().all(Value::is_number), "{values:?}");
        assert_eq!(result["submission_result"]["confusion"][0][2], 38);
        assert_eq!(result.as_object().unwrap().len(), 2);
    }
}
