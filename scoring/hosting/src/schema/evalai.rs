//! Whether `EvalAI` takes a leaderboard's schema, and a result for it.

use serde_json::{Map, Value};

use crate::HostingCode;
use flair_scoring::{Finding, text::shown};

const PLATFORM: &str = "EvalAI";

/// Finds what `EvalAI` would refuse in a leaderboard's `schema`, and in a result for it, as
/// [`crate::evalai::result`] makes it; empty if it takes both.
///
/// A schema needs `labels`, and a `default_order_by` that is one of them (`apps/challenges/challenge_config_utils.py` of
/// Cloud-CV/EvalAI). The worker stores any result (`scripts/workers/submission_worker.py`). A challenge that is evaluated
/// remotely sends its results to an endpoint that refuses labels that the schema does not list, and values that are not
/// numbers; labels may be missing (`apps/jobs/views.py`, `update_submission`). This function asks for what the endpoint
/// does.
pub fn leaderboard(schema: &Value, result: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |subject: &str, message: &str| {
        findings.push(HostingCode::BundleSchema.finding(shown(subject), format!("{message} ({PLATFORM})")));
    };
    let labels: Option<Vec<_>> =
        schema["labels"].as_array().and_then(|labels| labels.iter().map(Value::as_str).collect());
    match &labels {
        None => add("labels", "is not a list of names"),
        Some(labels) if !schema["default_order_by"].as_str().is_some_and(|label| labels.contains(&label)) => {
            add("default_order_by", "is not one of the labels");
        }
        Some(_) => {}
    }
    let labels = labels.unwrap_or_default();
    let splits: Option<Vec<_>> = result["result"].as_array().map(|splits| splits.iter().filter_map(values).collect());
    match splits {
        Some(splits) if !splits.is_empty() => {
            for (label, value) in splits.into_iter().flatten() {
                if !labels.contains(&label.as_str()) {
                    add(label, "is not one of the labels");
                }
                if !value.is_number() {
                    add(label, "is not a number");
                }
            }
        }
        _ => add("result", "has no split with values"),
    }
    findings
}

/// The values of `{SPLIT: {LABEL: VALUE, …}}`.
fn values(split: &Value) -> Option<&Map<String, Value>> {
    split.as_object()?.values().next()?.as_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_evalai_would_refuse_is_found() {
        let schema = json!({"labels": ["mIoU", "water"], "default_order_by": "mIoU"});
        let check = |schema: &Value, values: Value| {
            let findings = leaderboard(schema, &json!({"result": [{"test": values}]}));
            findings.into_iter().map(|f| format!("{}: {}", f.subject, f.message)).collect::<Vec<_>>()
        };
        assert_eq!(check(&schema, json!({"mIoU": 0.5, "water": -1})), [""; 0]);
        // A label may be missing, which the leaderboard shows as `#`.
        assert_eq!(check(&schema, json!({"mIoU": 0.5})), [""; 0]);
        assert_eq!(check(&schema, json!({"mIoU": 0.5, "snow": 1})), ["snow: is not one of the labels (EvalAI)"]);
        assert_eq!(check(&schema, json!({"mIoU": null})), ["mIoU: is not a number (EvalAI)"]);
        let other = json!({"labels": ["mIoU"], "default_order_by": "water"});
        assert_eq!(check(&other, json!({"mIoU": 1})), ["default_order_by: is not one of the labels (EvalAI)"]);
        assert_eq!(check(&json!({}), json!({}))[0], "labels: is not a list of names (EvalAI)");
        assert_eq!(leaderboard(&schema, &json!({})).len(), 1);
    }
}
