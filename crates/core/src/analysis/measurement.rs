//! From an answer to a measurement, and from a measurement to the counters.

use std::collections::BTreeMap;

use glidepath_api::{AnalysisPhase, AnalysisRunStatus, Measurement, Metric, MetricResult, Time};

use super::conditions::judge;
use super::phases::result_of;
use super::redaction::{stored_text, stored_texts, stored_value};
use crate::snapshot::Answer;

/// The measurement an answer amounts to. On an error there is no value.
#[must_use]
pub fn measurement_of(answer: &Answer, metric: &Metric, secrets: &[String]) -> Measurement {
    let judged = answer.outcome.as_ref().map_err(Clone::clone).and_then(|reading| {
        judge(metric, &reading.result, answer.finished_at)
            .map(|phase| (phase, stored_value(&reading.value, secrets)))
    });
    let (phase, value, message) = match judged {
        Ok((phase, value)) => (phase, value, String::new()),
        Err(error) => (AnalysisPhase::Error, String::new(), stored_text(&error, secrets)),
    };
    Measurement {
        phase: Some(phase),
        message,
        value,
        started_at: Some(Time::new(answer.started_at)),
        finished_at: Some(Time::new(answer.finished_at)),
        metadata: stored_texts(&answer.metadata, secrets),
        resume_at: None,
    }
}

/// Whether a measurement that began at `started_at` is in the status already.
///
/// Measurements of one metric never begin in the same second, so the last one's start tells. This is what
/// makes an answer that is handed in twice count once.
#[must_use]
pub fn is_recorded(status: &AnalysisRunStatus, metric: &str, started_at: Time) -> bool {
    let last = result_of(status, metric).and_then(|result| result.measurements.last());
    last.is_some_and(|last| {
        last.finished_at.is_some() && last.started_at.is_some_and(|seen| seen >= started_at)
    })
}

/// Adds a measurement to the status, or puts it in the place of the unfinished one, and counts it.
pub fn record(
    status: &mut AnalysisRunStatus,
    metric: &Metric,
    dry_run: bool,
    secrets: &[String],
    measurement: Measurement,
) {
    let index =
        status.metric_results.iter().position(|result| result.name == metric.name).unwrap_or_else(|| {
            status.metric_results.push(MetricResult {
                name: metric.name.clone(),
                phase: Some(AnalysisPhase::Running),
                dry_run,
                metadata: result_metadata(metric, secrets),
                ..MetricResult::default()
            });
            status.metric_results.len() - 1
        });
    let result = &mut status.metric_results[index];
    count(result, measurement.phase);
    match result.measurements.last_mut() {
        Some(last) if last.finished_at.is_none() => *last = measurement,
        _ => result.measurements.push(measurement),
    }
}

/// Errors do not use up the count; what is not completed counts for nothing.
fn count(result: &mut MetricResult, phase: Option<AnalysisPhase>) {
    let counter = match phase {
        Some(AnalysisPhase::Successful) => &mut result.successful,
        Some(AnalysisPhase::Failed) => &mut result.failed,
        Some(AnalysisPhase::Inconclusive) => &mut result.inconclusive,
        Some(AnalysisPhase::Error) => &mut result.error,
        Some(AnalysisPhase::Pending | AnalysisPhase::Running) | None => return,
    };
    *counter = counter.saturating_add(1);
    if phase == Some(AnalysisPhase::Error) {
        result.consecutive_error = result.consecutive_error.saturating_add(1);
    } else {
        result.count = result.count.saturating_add(1);
        result.consecutive_error = 0;
    }
    let again = if phase == Some(AnalysisPhase::Successful) { result.consecutive_success } else { -1 };
    result.consecutive_success = again.saturating_add(1);
}

/// What is stored about a metric once, when its result is created: the query as it is sent, redacted.
fn result_metadata(metric: &Metric, secrets: &[String]) -> BTreeMap<String, String> {
    let prometheus = metric.provider.prometheus.as_ref().map(|p| ("ResolvedPrometheusQuery", &p.query));
    let new_relic = metric.provider.new_relic.as_ref().map(|n| ("ResolvedNewRelicQuery", &n.query));
    prometheus
        .or(new_relic)
        .filter(|(_, query)| !query.is_empty())
        .map(|(key, query)| (key.to_owned(), stored_text(query, secrets)))
        .into_iter()
        .collect()
}
