//! Canaries with analysis gates.

use serde_json::{Value, json};

use super::{image, web};
use crate::manifests::{analysis_template, canary, with};
use crate::story::{Story, all, contains, degraded, healthy, paused, pods};

fn gated(steps: Value) -> Value {
    canary(5, steps)
}

fn gate() -> Value {
    json!({"analysis": {"templates": [{"templateName": "health"}]}})
}

/// R-413: a gate that succeeds lets the canary pass.
#[must_use]
pub fn a_gate_that_succeeds_lets_the_canary_pass() -> Story {
    Story::named("a gate that succeeds lets the canary pass", &["R-413", "R-700", "A-190", "A-322"])
        .metric("/health", &[(200, r#"{"value": "Healthy"}"#)])
        .given([
            analysis_template(
                "health",
                "/health",
                r#"result == "Healthy""#,
                &json!({"interval": "2s", "count": 10}),
            ),
            gated(json!([{"setWeight": 20}, gate(), {"setWeight": 60}])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 5)]))
        .finally(pods("web:1", 0))
        .events(
            "web",
            &super::after_first(&[
                "RolloutUpdated",
                "NewReplicaSetCreated",
                "RolloutNotCompleted",
                "ScalingReplicaSet",
                "ScalingReplicaSet",
                "RolloutStepCompleted",
                "AnalysisRunRunning",
                "AnalysisRunSuccessful",
                "RolloutStepCompleted",
                "ScalingReplicaSet",
                "ScalingReplicaSet",
                "ScalingReplicaSet",
                "RolloutStepCompleted",
                "ScalingReplicaSet",
                "ScalingReplicaSet",
                "ScalingReplicaSet",
                "RolloutCompleted",
            ]),
        )
}

/// A-205, A-332: a gate that fails pulls the canary back, naming the measurement.
#[must_use]
pub fn a_gate_that_fails_pulls_the_canary_back() -> Story {
    Story::named("a gate that fails pulls the canary back", &["A-205", "A-332", "R-527", "R-706"])
        .metric("/health", &[(200, r#"{"value": 0.99}"#), (200, r#"{"value": 0.5}"#)])
        .given([
            analysis_template(
                "health",
                "/health",
                "result >= 0.95",
                &json!({"interval": "10s", "count": 10, "failureLimit": 2}),
            ),
            gated(json!([{"setWeight": 40}, gate(), {"setWeight": 60}])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(degraded(
            "web",
            "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: Metric \"health\" assessed Failed due to failed (3) > failureLimit (2)",
        ))
        .until(all([pods("web:1", 5), pods("web:2", 0)]))
        .finally(contains("Rollout", "web", json!({"status": {"abort": true, "stableRS": "{hash:web:1}"}})))
}

/// A-038, A-203: five errors in a row are an error, never a success.
#[must_use]
pub fn an_unreachable_metric_is_an_error_not_a_success() -> Story {
    Story::named("an unreachable metric is an error, not a success", &["A-038", "A-162", "A-203", "A-374"])
        .metric("/health", &[(503, "down")])
        .given([
            analysis_template("health", "/health", "result >= 0.95", &json!({"interval": "1m", "count": 10})),
            gated(json!([{"setWeight": 20}, gate()])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(degraded(
            "web",
            "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: Metric \"health\" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)",
        ))
        .until(pods("web:1", 5))
}

/// A-246, A-333: neither success nor failure pauses for a person, who decides.
#[must_use]
pub fn an_inconclusive_gate_waits_for_a_person() -> Story {
    Story::named("an inconclusive gate waits for a person", &["A-246", "A-204", "A-333", "A-334"])
        .metric("/health", &[(200, r#"{"value": 0.9}"#)])
        .given([
            analysis_template(
                "health",
                "/health",
                "result >= 0.95",
                &json!({"failureCondition": "result < 0.5"}),
            ),
            gated(json!([{"setWeight": 20}, gate()])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(paused("web", "InconclusiveAnalysisRun"))
        .stays(paused("web", "InconclusiveAnalysisRun"), 120)
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:2", 5)]))
}

/// A-321, R-065: a background analysis starts at its step, runs across steps and ends with the release.
#[must_use]
pub fn a_background_analysis_watches_the_whole_release() -> Story {
    Story::named("a background analysis watches the whole release", &["A-321", "A-222", "R-065", "R-703"])
        .metric("/health", &[(200, r#"{"value": 1}"#)])
        .given([
            analysis_template("health", "/health", "result == 1", &json!({"interval": "10s"})),
            with(
                gated(json!([{"setWeight": 20}, {"pause": {"duration": "1m"}}, {"setWeight": 60}, {"pause": {"duration": "1m"}}])),
                &json!({"spec": {"strategy": {"canary": {"analysis": {
                    "templates": [{"templateName": "health"}], "startingStep": 2,
                }}}}}),
            ),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1}})))
        .now(contains("Rollout", "web", json!({"status": {"canary": {"currentBackgroundAnalysisRunStatus": null}}})))
        .until(contains("Rollout", "web", json!({"status": {"canary": {"currentBackgroundAnalysisRunStatus": {"status": "Running"}}}})))
        .until(all([healthy("web"), pods("web:2", 5)]))
        .finally(contains("Rollout", "web", json!({"status": {"canary": {"currentBackgroundAnalysisRunStatus": null}}})))
}

/// A-332: a background analysis that fails pulls the release back from wherever it is.
#[must_use]
pub fn a_background_failure_pulls_back_from_a_pause() -> Story {
    Story::named("a background failure pulls back from a pause", &["A-332", "R-527"])
        .metric("/health", &[(200, r#"{"value": 1}"#), (200, r#"{"value": 1}"#), (200, r#"{"value": 0}"#)])
        .given([
            analysis_template("health", "/health", "result == 1", &json!({"interval": "10s"})),
            with(
                gated(json!([{"setWeight": 40}, {"pause": {}}])),
                &json!({"spec": {"strategy": {"canary": {"analysis": {"templates": [{"templateName": "health"}]}}}}}),
            ),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(degraded(
            "web",
            "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: Metric \"health\" assessed Failed due to failed (1) > failureLimit (0)",
        ))
        .until(all([pods("web:1", 5), pods("web:2", 0)]))
}

/// A-110, A-120, A-131: arguments reach the metric, hashes included.
#[must_use]
pub fn arguments_reach_the_metric() -> Story {
    let template = with(
        analysis_template("health", "/{{args.name}}", "result == {{args.wanted}}", &json!({})),
        &json!({"spec": {"args": [{"name": "name"}, {"name": "wanted", "value": "7"}, {"name": "hash"}]}}),
    );
    Story::named("arguments reach the metric", &["A-110", "A-111", "A-120", "A-131", "A-137"])
        .metric("/checkout", &[(200, r#"{"value": 8}"#)])
        .given([
            template,
            gated(json!([{"setWeight": 20}, {"analysis": {
                "templates": [{"templateName": "health"}],
                "args": [
                    {"name": "name", "value": "checkout"},
                    {"name": "wanted", "value": "8"},
                    {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
                ],
            }}])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 5)]))
}

/// A-031, A-163: an hour of measurements every minute.
#[must_use]
pub fn an_hour_of_measurements_takes_an_hour() -> Story {
    Story::named("an hour of measurements takes an hour", &["A-031", "A-033", "A-163", "A-207"])
        .metric("/health", &[(200, r#"{"value": 1}"#)])
        .given([
            analysis_template("health", "/health", "result == 1", &json!({"interval": "1m", "count": 60})),
            gated(json!([{"setWeight": 20}, gate()])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1}})))
        .pass(58 * 60)
        .now(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1, "phase": "Progressing"}})))
        .until(all([healthy("web"), pods("web:2", 5)]))
}

/// A-031, A-163: the same in five minutes, which a plane in real time can wait for.
#[must_use]
pub fn five_minutes_of_measurements_take_five_minutes() -> Story {
    Story::named("five minutes of measurements take five minutes", &["A-031", "A-033", "A-163", "A-207"])
        .metric("/health", &[(200, r#"{"value": 1}"#)])
        .given([
            analysis_template("health", "/health", "result == 1", &json!({"interval": "30s", "count": 11})),
            gated(json!([{"setWeight": 20}, gate()])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1}})))
        .pass(4 * 60 + 50)
        .now(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1, "phase": "Progressing"}})))
        .until(all([healthy("web"), pods("web:2", 5)]))
}

/// A-032, A-164: an initial delay is waited for.
#[must_use]
pub fn an_initial_delay_is_waited_for() -> Story {
    Story::named("an initial delay is waited for", &["A-032", "A-161", "A-164"])
        .metric("/health", &[(200, r#"{"value": 1}"#)])
        .given([
            analysis_template("health", "/health", "result == 1", &json!({"initialDelay": "5m"})),
            gated(json!([{"setWeight": 20}, gate()])),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1}})))
        .stays(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1}})), 290)
        .until(all([healthy("web"), pods("web:2", 5)]))
}

/// A run of its own, without a Rollout.
#[must_use]
pub fn a_run_of_its_own_is_judged() -> Story {
    Story::named("a run of its own is judged", &["A-003", "A-060", "A-064", "A-241"])
        .metric("/health", &[(200, r#"{"value": 0.97}"#)])
        .given([json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisRun",
            "metadata": {"name": "check"},
            "spec": {"metrics": [{
                "name": "rate",
                "count": 2,
                "interval": "5s",
                "successCondition": "result > 0.95",
                "provider": {"web": {"url": "{metrics}/health", "jsonPath": "{$.value}"}},
            }]},
        })])
        .until(contains("AnalysisRun", "check", json!({"status": {"phase": "Successful"}})))
        .finally(contains(
            "AnalysisRun",
            "check",
            json!({"status": {
                "runSummary": {"count": 1, "successful": 1},
                "metricResults": [{"name": "rate", "phase": "Successful", "count": 2, "successful": 2}],
            }}),
        ))
}
