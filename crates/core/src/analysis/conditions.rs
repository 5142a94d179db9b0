//! The two conditions of a metric against a result.
//!
//! Until the whole language is there, comparisons of `result` or `result[<index>]` with a number are understood;
//! any other condition is an error that says so, never a success.

use glidepath_api::{AnalysisPhase, Metric};

use crate::snapshot::ReadingValue;

/// What the conditions say about a result. The success condition is looked at first, the failure condition always.
pub(super) fn judge(metric: &Metric, result: &ReadingValue) -> Result<AnalysisPhase, String> {
    let holds = |name: &str, condition: &str| -> Result<Option<bool>, String> {
        if condition.is_empty() {
            return Ok(None);
        }
        compare(condition, result)
            .map(Some)
            .map_err(|cause| format!("could not evaluate {name} \"{condition}\": {cause}"))
    };
    let success = holds("successCondition", &metric.success_condition)?;
    let failure = holds("failureCondition", &metric.failure_condition)?;
    Ok(match (success, failure) {
        (_, Some(true)) | (Some(false), None) => AnalysisPhase::Failed,
        (Some(false), Some(false)) => AnalysisPhase::Inconclusive,
        (None, None) | (Some(true), _) | (None, Some(false)) => AnalysisPhase::Successful,
    })
}

fn compare(condition: &str, result: &ReadingValue) -> Result<bool, String> {
    let unknown = || "conditions of this form are not understood yet".to_owned();
    let operator =
        ["<=", ">=", "==", "!=", "<", ">"].into_iter().find(|operator| condition.contains(operator));
    let operator = operator.ok_or_else(unknown)?;
    let (left, right) = condition.split_once(operator).ok_or_else(unknown)?;
    let right: f64 = right.trim().parse().map_err(|_| unknown())?;
    let left = match (left.trim(), result) {
        ("result", ReadingValue::Float(value)) => *value,
        (indexed, ReadingValue::Floats(values)) => {
            let index = indexed.strip_prefix("result[").and_then(|rest| rest.strip_suffix(']'));
            let index: usize = index.and_then(|index| index.parse().ok()).ok_or_else(unknown)?;
            if values.is_empty() {
                return Err(
                    "metric result is nil or empty: no data returned from the metric provider".to_owned()
                );
            }
            *values
                .get(index)
                .ok_or_else(|| format!("index out of range: {index} (array length is {})", values.len()))?
        }
        ("result", ReadingValue::Json(value)) => value.as_f64().ok_or_else(unknown)?,
        _ => return Err(unknown()),
    };
    Ok(match operator {
        "<=" => left <= right,
        ">=" => left >= right,
        "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        _ => left > right,
    })
}
