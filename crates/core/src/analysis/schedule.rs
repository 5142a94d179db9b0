//! When a metric is measured next.

use glidepath_api::{AnalysisPhase, Metric, MetricResult, Time};
use glidepath_gocompat::duration;
use jiff::{SignedDuration, Timestamp};

use super::phases::is_counted_out;

/// Pause before a measurement that ended in an error is taken anew, whatever the interval.
const ERROR_RETRY: SignedDuration = SignedDuration::from_secs(10);

/// The shortest pause between two measurements: an interval of nothing, or less, would never rest (B-11).
const SHORTEST_GAP: SignedDuration = SignedDuration::from_secs(1);

/// A measurement is due strictly after its moment; this much later it is.
const JUST_AFTER: SignedDuration = SignedDuration::from_millis(1);

/// What a metric needs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing more, as far as the clock goes.
    Nothing,
    /// A new measurement, from that moment on.
    Later(Timestamp),
    /// A new measurement.
    Measure,
    /// The measurement under way wants to be looked at, or ended when the run is terminating.
    Resume,
}

/// What a metric needs at `now`. `started_at` is when the run started.
#[must_use]
pub fn due(
    metric: &Metric,
    result: Option<&MetricResult>,
    started_at: Time,
    terminating: bool,
    now: Timestamp,
) -> Due {
    if result.is_some_and(|result| result.phase.is_some_and(AnalysisPhase::completed)) {
        return Due::Nothing;
    }
    let last = result.and_then(|result| result.measurements.last().map(|last| (result, last)));
    match last {
        Some((_, last)) if last.finished_at.is_none() => match last.resume_at {
            Some(at) if !terminating && at.timestamp() > now => Due::Later(at.timestamp()),
            _ => Due::Resume,
        },
        _ if terminating => Due::Nothing,
        None => first(metric, started_at, now),
        Some((result, _)) if is_counted_out(metric, result) => Due::Nothing,
        Some((_, last)) => {
            let finished = last.finished_at.unwrap_or_default().timestamp();
            let due = after(finished, gap(metric, last.phase));
            if now > due { Due::Measure } else { Due::Later(after(due, JUST_AFTER)) }
        }
    }
}

/// The delay counts from the start of the run.
fn first(metric: &Metric, started_at: Time, now: Timestamp) -> Due {
    let delay = duration::parse(&metric.initial_delay).unwrap_or(0);
    let due = after(started_at.timestamp(), SignedDuration::from_nanos(delay));
    if delay > 0 && due > now { Due::Later(due) } else { Due::Measure }
}

fn gap(metric: &Metric, last: Option<AnalysisPhase>) -> SignedDuration {
    if last == Some(AnalysisPhase::Error) || metric.interval.is_empty() {
        return ERROR_RETRY;
    }
    duration::parse(&metric.interval).map_or(ERROR_RETRY, SignedDuration::from_nanos).max(SHORTEST_GAP)
}

/// A later moment; one that no calendar can hold becomes the last one.
pub(crate) fn after(start: Timestamp, wait: SignedDuration) -> Timestamp {
    start.checked_add(wait).unwrap_or(if wait.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
