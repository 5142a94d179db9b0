//! Which measurement failed, with its value; or that a question had no answer at all.

use glidepath_api::{AnalysisPhase, AnalysisRun, Measurement, Metric, MetricResult};

use crate::cause::{Cause, Command};
use crate::explanation::View;

/// A run that failed within so many seconds failed "at once".
const AT_ONCE_SECONDS: i64 = 5;

/// Causes in the AnalysisRuns of the current revision.
pub(crate) fn causes(view: &View<'_>) -> Vec<Cause> {
    let blames = |run: &&AnalysisRun| {
        let phase = run.status.phase;
        let over =
            matches!(phase, Some(AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Inconclusive));
        // A promoted revision has nothing to explain by its old runs, and a retry starts new ones.
        let counts = view.is_updating()
            && (view.status().abort
                || view.current_runs().any(|known| known.metadata.name == run.metadata.name));
        (over && counts) || phase == Some(AnalysisPhase::Running)
    };
    let runs = view.scene.evidence.runs.iter().filter(blames);
    let mut causes: Vec<Cause> = runs.flat_map(|run| run_causes(view, run)).collect();
    // Without the run itself the status still tells its message.
    if causes.is_empty() && view.status().abort {
        causes.extend(from_status(view));
    }
    causes.truncate(4);
    causes
}

fn run_causes(view: &View<'_>, run: &AnalysisRun) -> Vec<Cause> {
    let over = run.status.phase.is_some_and(AnalysisPhase::completed);
    let mut causes: Vec<Cause> = run
        .status
        .metric_results
        .iter()
        .filter(|result| !result.dry_run)
        .filter_map(|result| metric_cause(view, run, result))
        .collect();
    if causes.is_empty() && over {
        // Ended before any measurement: an argument that cannot be resolved, a spec that is not valid.
        causes.push(
            Cause::new(
                "analysis-error",
                format!(
                    "AnalysisRun {} ended as {} before it measured anything",
                    run.metadata.name,
                    phase(run)
                ),
            )
            .detail(run.status.message.clone())
            .remedy("correct the AnalysisTemplate or the arguments, then retry")
            .next(show(view, run)),
        );
    }
    causes
}

fn phase(run: &AnalysisRun) -> String {
    run.status.phase.map(|phase| phase.to_string()).unwrap_or_default()
}

fn metric_cause(view: &View<'_>, run: &AnalysisRun, result: &MetricResult) -> Option<Cause> {
    let is_bad = |phase: Option<AnalysisPhase>| {
        matches!(phase, Some(AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Inconclusive))
    };
    // Of a running metric only errors in a row are worth a word: it may yet succeed.
    if !is_bad(result.phase) && result.consecutive_error == 0 {
        return None;
    }
    let metric = run.spec.metrics.iter().find(|metric| metric.name == result.name);
    let worst = result.measurements.iter().rev().find(|measured| is_bad(measured.phase));
    let (name, summary) = verdict(run, result, metric, worst);
    let mut cause = Cause::new(name, summary);
    if let Some(measured) = worst {
        cause = cause.detail(measurement_text(measured));
    }
    if !result.message.is_empty() && worst.is_none_or(|measured| measured.message != result.message) {
        cause = cause.detail(result.message.clone());
    }
    let counted = format!(
        "{} good, {} failed, {} inconclusive, {} errors ({} in a row)",
        result.successful, result.failed, result.inconclusive, result.error, result.consecutive_error
    );
    cause = cause.detail(format!("measurements so far: {counted}"));
    if let Some(at_once) = ended_at_once(run, metric) {
        cause = cause.detail(at_once);
    }
    if let Some(question) = metric.and_then(question) {
        cause = cause.detail(question);
    }
    cause = cause.remedy(remedy(name)).next(show(view, run));
    Some(cause)
}

fn verdict(
    run: &AnalysisRun,
    result: &MetricResult,
    metric: Option<&Metric>,
    worst: Option<&Measurement>,
) -> (&'static str, String) {
    let what = format!("metric {:?} of AnalysisRun {}", result.name, run.metadata.name);
    if worst.is_some_and(is_no_data) {
        return ("analysis-no-data", format!("{what} has no data: the query returned nothing"));
    }
    let value = worst.map(|measured| measured.value.as_str()).filter(|value| !value.is_empty());
    let measured = value.map_or_else(String::new, |value| format!(" measured {value}"));
    match result.phase {
        Some(AnalysisPhase::Failed) => {
            let condition = metric.map(condition_text).unwrap_or_default();
            ("analysis-failed", format!("{what} failed:{measured}{condition}"))
        }
        Some(AnalysisPhase::Inconclusive) => {
            let reason = "neither the success nor the failure condition holds";
            ("analysis-inconclusive", format!("{what} is inconclusive:{measured}, and {reason}"))
        }
        _ => ("analysis-error", format!("{what} cannot be measured")),
    }
}

fn condition_text(metric: &Metric) -> String {
    match (metric.success_condition.as_str(), metric.failure_condition.as_str()) {
        ("", "") => String::new(),
        (success, "") => format!(", but success needs {success}"),
        ("", failure) => format!(", and failure is {failure}"),
        (success, failure) => format!(", but success needs {success} and failure is {failure}"),
    }
}

/// The phrases evaluators use where an answer held no sample, and values that are none.
fn is_no_data(measured: &Measurement) -> bool {
    let says = |phrase: &str| measured.message.contains(phrase);
    says("no data returned")
        || says("index out of range")
        || says("no values")
        || matches!(measured.value.as_str(), "[]" | "[NaN]" | "NaN" | "null")
}

fn measurement_text(measured: &Measurement) -> String {
    let at = measured.finished_at.map(|at| format!(" at {at}")).unwrap_or_default();
    let value = if measured.value.is_empty() { "no value".to_owned() } else { measured.value.clone() };
    if measured.message.is_empty() {
        format!("measured{at}: {value}")
    } else {
        format!("measured{at}: {value} ({})", measured.message)
    }
}

fn ended_at_once(run: &AnalysisRun, metric: Option<&Metric>) -> Option<String> {
    let seconds = run.status.completed_at?.seconds_since(run.status.started_at?);
    let delay = metric.map_or("", |metric| metric.initial_delay.as_str());
    (seconds <= AT_ONCE_SECONDS && delay.is_empty()).then(|| {
        format!(
            "it ended {seconds}s after it began and has no initialDelay: the new pods may not have had any traffic yet"
        )
    })
}

fn question(metric: &Metric) -> Option<String> {
    let provider = &metric.provider;
    if let Some(prometheus) = &provider.prometheus {
        return Some(format!("query: {} (at {})", one_line(&prometheus.query), prometheus.address));
    }
    provider.web.as_ref().map(|web| format!("query: {} (jsonPath {})", web.url, web.json_path))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn remedy(name: &str) -> &'static str {
    match name {
        "analysis-no-data" => {
            "run the query yourself; give traffic time with initialDelay, or let the condition accept no data, e.g. `len(result) == 0 || …`"
        }
        "analysis-error" => "make the provider answer (address, credentials, query), then retry",
        "analysis-inconclusive" => "look at the value and promote or abort",
        _ => {
            "roll out a version that is good, or correct the template if the measurement is wrong, then retry"
        }
    }
}

fn show(view: &View<'_>, run: &AnalysisRun) -> Command {
    let words = format!("get analysisrun {} -o yaml", run.metadata.name);
    Command::kubectl(view.namespace(), &words, "see every measurement")
}

/// What the status keeps of a run that is gone.
fn from_status(view: &View<'_>) -> Option<Cause> {
    let message = view.status().message.strip_prefix("RolloutAborted: ")?;
    let (_, cause) = message.split_once(": ").filter(|(_, cause)| !cause.is_empty())?;
    Some(
        Cause::new("update-aborted", format!("the update was aborted: {cause}"))
            .remedy("the AnalysisRun itself is gone; retry to measure again"),
    )
}
