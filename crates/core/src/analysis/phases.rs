//! Phases of metrics and of the run, from counters and limits.

use std::collections::BTreeSet;

use glidepath_api::{AnalysisPhase, AnalysisRunStatus, Metric, MetricResult, RunSummary};

use super::validation::limit;
use crate::plan::{Event, EventType};

/// What became of a metric, so far.
#[must_use]
pub fn result_of<'a>(status: &'a AnalysisRunStatus, metric: &str) -> Option<&'a MetricResult> {
    status.metric_results.iter().find(|result| result.name == metric)
}

/// Whether the run is on its way to its end: on request, or because a metric that counts has failed.
#[must_use]
pub fn is_terminating(requested: bool, status: &AnalysisRunStatus) -> bool {
    let ends_the_run = |result: &MetricResult| {
        !result.dry_run
            && result.phase.is_some_and(|phase| phase.completed() && phase != AnalysisPhase::Successful)
    };
    requested || status.metric_results.iter().any(ends_the_run)
}

/// The phase of one metric.
#[must_use]
pub fn assess_metric(metric: &Metric, result: &MetricResult, terminating: bool) -> AnalysisPhase {
    if let Some(phase) = result.phase.filter(|phase| phase.completed()) {
        return phase;
    }
    let Some(last) = result.measurements.last() else {
        return if terminating { AnalysisPhase::Successful } else { AnalysisPhase::Pending };
    };
    if !last.phase.is_some_and(AnalysisPhase::completed) {
        return AnalysisPhase::Running;
    }
    if let Some((phase, _)) = reason_to_end(metric, result) {
        return phase;
    }
    let wanted_successes = limit(metric.consecutive_success_limit.as_ref());
    if wanted_successes > 0 && result.consecutive_success >= wanted_successes {
        return AnalysisPhase::Successful;
    }
    if is_counted_out(metric, result) {
        let fails_at_all = limit(metric.failure_limit.as_ref()) >= 0;
        return match (wanted_successes > 0, fails_at_all) {
            (true, true) => AnalysisPhase::Inconclusive,
            (true, false) => AnalysisPhase::Failed,
            (false, _) => AnalysisPhase::Successful,
        };
    }
    if terminating { AnalysisPhase::Successful } else { AnalysisPhase::Running }
}

/// Whether a metric has as many measurements as it asked for.
pub(super) fn is_counted_out(metric: &Metric, result: &MetricResult) -> bool {
    metric.effective_count().is_some_and(|count| result.count >= count.int_value())
}

/// A limit that was passed, and the sentence about it. Errors beat inconclusive results beat failures.
#[must_use]
pub fn reason_to_end(metric: &Metric, result: &MetricResult) -> Option<(AnalysisPhase, String)> {
    let error_limit = metric.consecutive_error_limit();
    let inconclusive_limit = limit(metric.inconclusive_limit.as_ref());
    let failure_limit = limit(metric.failure_limit.as_ref());
    if result.consecutive_error > error_limit {
        let text = format!(
            "consecutiveErrors ({}) > consecutiveErrorLimit ({error_limit})",
            result.consecutive_error
        );
        Some((AnalysisPhase::Error, text))
    } else if result.inconclusive > inconclusive_limit {
        let text =
            format!("inconclusive ({}) > inconclusiveLimit ({inconclusive_limit})", result.inconclusive);
        Some((AnalysisPhase::Inconclusive, text))
    } else if failure_limit >= 0 && result.failed > failure_limit {
        Some((AnalysisPhase::Failed, format!("failed ({}) > failureLimit ({failure_limit})", result.failed)))
    } else {
        None
    }
}

/// What an assessment of the whole run says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Phase of the run.
    pub phase: AnalysisPhase,
    /// Message that goes with the phase, should the phase change.
    pub message: String,
    /// Events about metrics that have just completed.
    pub events: Vec<Event>,
}

/// Assesses all metrics and the run. Writes the metrics' phases and messages and both summaries into `status`.
///
/// Whether the run is terminating is judged once, before any phase moves: the pass in which a metric first fails
/// leaves the run Running while others are open.
pub fn assess_run(
    requested: bool,
    metrics: &[Metric],
    dry_run: &BTreeSet<String>,
    status: &mut AnalysisRunStatus,
) -> Assessment {
    let terminating = is_terminating(requested, status);
    let mut tally = Tally {
        message: if requested { "Run Terminated".to_owned() } else { String::new() },
        ..Tally::default()
    };
    let mut events = Vec::new();
    for metric in metrics {
        let dry = dry_run.contains(&metric.name);
        tally.summary(dry).count += 1;
        let Some(result) = status.metric_results.iter_mut().find(|result| result.name == metric.name) else {
            tally.open = true;
            continue;
        };
        let phase = assess_metric(metric, result, terminating);
        if result.phase != Some(phase) {
            if phase.completed() {
                events.push(completion_event(
                    "Metric",
                    &format!("Metric '{}' Completed", metric.name),
                    phase,
                ));
            }
            if let Some(last) = result.measurements.last() {
                result.message.clone_from(&last.message);
            }
            result.phase = Some(phase);
        }
        if phase.completed() {
            tally.add(metric, result, phase, dry);
        } else {
            tally.open = true;
        }
    }
    status.run_summary = tally.counting;
    status.dry_run_summary = Some(tally.pretending);
    let (phase, message) = match tally.worst {
        Some(worst) if terminating || !tally.open => (worst, tally.message),
        None if terminating => (AnalysisPhase::Successful, tally.message),
        _ => (AnalysisPhase::Running, String::new()),
    };
    Assessment { phase, message, events }
}

#[derive(Default)]
struct Tally {
    worst: Option<AnalysisPhase>,
    message: String,
    open: bool,
    counting: RunSummary,
    pretending: RunSummary,
}

impl Tally {
    fn summary(&mut self, dry: bool) -> &mut RunSummary {
        if dry { &mut self.pretending } else { &mut self.counting }
    }

    fn add(&mut self, metric: &Metric, result: &mut MetricResult, phase: AnalysisPhase, dry: bool) {
        let reason = reason_to_end(metric, result);
        // Outcomes without a reason count as successful: the figures are contractual (A-221, B-35).
        let summary = self.summary(dry);
        match reason.as_ref().map(|(phase, _)| *phase) {
            Some(AnalysisPhase::Error) => summary.error += 1,
            Some(AnalysisPhase::Failed) => summary.failed += 1,
            Some(AnalysisPhase::Inconclusive) => summary.inconclusive += 1,
            _ => summary.successful += 1,
        }
        if dry {
            self.worst = self.worst.or(Some(AnalysisPhase::Successful));
            if let Some((_, text)) = reason {
                result.message = format!("Metric assessed {phase} due to {text}");
            }
            return;
        }
        if self.worst.is_some_and(|worst| !phase.is_worse_than(worst)) {
            return;
        }
        self.worst = Some(phase);
        let text = reason.map(|(_, text)| text).or_else(|| unmet_successes(metric, result, phase));
        if let Some(text) = text {
            self.message = format!("Metric \"{}\" assessed {phase} due to {text}", metric.name);
            if !result.message.is_empty() {
                self.message = format!("{}: \"Error Message: {}\"", self.message, result.message);
            }
        }
    }
}

/// The reason the reference leaves out when the count ran out before enough successes came in a row (B-35).
fn unmet_successes(metric: &Metric, result: &MetricResult, phase: AnalysisPhase) -> Option<String> {
    let wanted = limit(metric.consecutive_success_limit.as_ref());
    (phase != AnalysisPhase::Successful && wanted > 0)
        .then(|| format!("count ({}) reached before consecutiveSuccessLimit ({wanted})", result.count))
}

/// `<subject><Phase>` with `<text>. Result: <Phase>`; a warning for failures and errors.
pub(super) fn completion_event(subject: &str, text: &str, phase: AnalysisPhase) -> Event {
    let is_bad = matches!(phase, AnalysisPhase::Failed | AnalysisPhase::Error);
    Event {
        event_type: if is_bad { EventType::Warning } else { EventType::Normal },
        reason: format!("{subject}{phase}"),
        message: format!("{text}. Result: {phase}"),
    }
}
