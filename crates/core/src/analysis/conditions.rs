//! The two conditions of a metric against a result, with the static type the provider gave it.

use glidepath_api::{AnalysisPhase, Metric};
use glidepath_lang::expr::{Outcome, Value, decide_outcome};
use jiff::Timestamp;

use crate::snapshot::ReadingValue;

/// What the conditions say about a result that was there at `now`.
///
/// # Errors
/// When a condition has no answer; the text is the measurement's message.
pub(super) fn judge(metric: &Metric, result: &ReadingValue, now: Timestamp) -> Result<AnalysisPhase, String> {
    let result = match result {
        ReadingValue::Nil => Value::Nil,
        ReadingValue::Float(value) => Value::Float(*value),
        ReadingValue::Floats(values) => Value::floats(values.clone()),
        ReadingValue::Text(text) => Value::text(text),
        ReadingValue::Json(value) => Value::from_json(value),
    };
    match decide_outcome(&metric.success_condition, &metric.failure_condition, &result, now) {
        Outcome::Successful => Ok(AnalysisPhase::Successful),
        Outcome::Failed => Ok(AnalysisPhase::Failed),
        Outcome::Inconclusive => Ok(AnalysisPhase::Inconclusive),
        Outcome::Error(message) => Err(message),
    }
}

#[cfg(test)]
mod tests {
    use glidepath_api::{AnalysisPhase, Metric};
    use serde_json::json;

    use super::judge;
    use crate::snapshot::ReadingValue;

    /// Rows of §12 by the type a provider hands over; the language itself has its own tables.
    #[test]
    fn results_reach_the_conditions_with_their_types() {
        use AnalysisPhase::{Failed, Inconclusive, Successful};
        let floats = |values: &[f64]| ReadingValue::Floats(values.to_vec());
        let object = || ReadingValue::Json(json!({"ok": true, "p": 0.95, "a": null}));
        let text = |value: &str| ReadingValue::Text(value.to_owned());
        let nil_or_empty = "metric result is nil or empty: no data returned from the metric provider";
        for (row, result, success, failure, want) in [
            ("A-240", ReadingValue::Nil, "", "", Ok(Successful)),
            ("E-01", floats(&[0.97]), "result[0] >= 0.95", "", Ok(Successful)),
            ("E-02", floats(&[0.97]), "result >= 0.95", "", Err("mismatched types []float64 and float64")),
            ("E-03", floats(&[]), "result[0] >= 0.95", "", Err(nil_or_empty)),
            ("E-05", floats(&[]), "len(result) > 0 && result[0] >= 0.95", "", Ok(Failed)),
            ("E-21", floats(&[f64::NAN]), "result[0] >= 0.95", "", Ok(Failed)),
            ("E-22", floats(&[f64::NAN]), "", "result[0] < 0.95", Ok(Successful)),
            ("E-23", floats(&[f64::NAN]), "result[0] >= 0.95", "result[0] < 0.95", Ok(Inconclusive)),
            ("E-28", ReadingValue::Float(f64::INFINITY), "result >= 0.95", "", Ok(Successful)),
            (
                "E-33",
                ReadingValue::Float(5.0),
                "true || result == 'a'",
                "",
                Err("mismatched types float64 and string"),
            ),
            ("E-36", ReadingValue::Float(5.0), "result", "", Err("expected bool, but got float64")),
            ("E-39", ReadingValue::Float(5.0), "result >= 5", "result <= 5", Ok(Failed)),
            ("E-41", ReadingValue::Nil, "result < 0.05", "", Err(nil_or_empty)),
            ("E-42", ReadingValue::Nil, "default(result, 0) < 0.05", "", Ok(Successful)),
            ("E-50", object(), "result.a == nil", "", Ok(Successful)),
            ("E-57", object(), "result.ok && result.p >= 0.90", "", Ok(Successful)),
            ("E-63", text("5"), "result > 1", "", Err("successCondition \"result > 1\"")),
            ("E-63", text("5"), "asInt(result) > 1", "", Ok(Successful)),
            ("E-67", ReadingValue::Json(json!(true)), "result", "", Ok(Successful)),
        ] {
            let metric = Metric {
                success_condition: success.to_owned(),
                failure_condition: failure.to_owned(),
                ..Metric::default()
            };
            match (judge(&metric, &result, jiff::Timestamp::UNIX_EPOCH), want) {
                (Ok(phase), Ok(want)) => assert_eq!(phase, want, "{row}"),
                (Err(message), Err(want)) => assert!(message.contains(want), "{row}: {message}"),
                (got, want) => panic!("{row}: {got:?} instead of {want:?}"),
            }
        }
    }
}
