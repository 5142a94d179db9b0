//! When a completed run is deleted, with a timer (B-24).

use glidepath_api::{AnalysisPhase, AnalysisRun};
use jiff::{SignedDuration, Timestamp};

use super::schedule::after;

/// The moment from which a completed run may go: more than the whole seconds of its time to live after it completed.
#[must_use]
pub fn expires_at(run: &AnalysisRun) -> Option<Timestamp> {
    let strategy = run.spec.ttl_strategy.as_ref()?;
    let specific = match run.status.phase? {
        AnalysisPhase::Successful => strategy.seconds_after_success,
        AnalysisPhase::Failed => strategy.seconds_after_failure,
        AnalysisPhase::Error | AnalysisPhase::Inconclusive => None,
        AnalysisPhase::Pending | AnalysisPhase::Running => return None,
    };
    let seconds = specific.or(strategy.seconds_after_completion)?;
    let completed = run.status.completed_at?.timestamp();
    Some(after(completed, SignedDuration::from_secs(i64::from(seconds) + 1)))
}

#[cfg(test)]
mod tests {
    use glidepath_api::AnalysisRun;
    use serde_json::{Value, json};

    use super::expires_at;

    #[test]
    fn time_to_live_follows_the_phase_a195() {
        let all = json!({"secondsAfterCompletion": 10, "secondsAfterSuccess": 20, "secondsAfterFailure": 30});
        let only = json!({"secondsAfterCompletion": 10});
        let success = json!({"secondsAfterSuccess": 20});
        for (ttl, phase, want) in [
            (&all, "Successful", Some(21)),
            (&all, "Failed", Some(31)),
            (&all, "Error", Some(11)),
            (&all, "Inconclusive", Some(11)),
            (&all, "Running", None),
            (&only, "Successful", Some(11)),
            (&success, "Failed", None),
            (&success, "Error", None),
            (&Value::Null, "Failed", None),
        ] {
            let run: AnalysisRun = serde_json::from_value(json!({
                "spec": {"metrics": [], "ttlStrategy": ttl},
                "status": {"phase": phase, "completedAt": "1970-01-01T00:00:00Z"}
            }))
            .unwrap();
            assert_eq!(expires_at(&run).map(|at| at.as_second()), want, "{ttl} {phase}");
        }
    }
}
