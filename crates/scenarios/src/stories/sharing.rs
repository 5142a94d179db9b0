//! What belongs to whom: Services that are named no longer or by two, overlapping selectors, pods of experiments.

use serde_json::{Value, json};

use super::{after_first, image, web};
use crate::manifests::{analysis_template, canary, service, with};
use crate::story::{Beat, Expectation, Story, all, contains, degraded, healthy, object, pods};

fn with_services(stable: &str, canary_service: &str) -> Value {
    with(
        canary(1, json!([])),
        &json!({"spec": {"strategy": {"canary": {"stableService": stable, "canaryService": canary_service}}}}),
    )
}

fn held(service: &str) -> Expectation {
    contains(
        "Service",
        service,
        json!({
            "metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}},
            "spec": {"selector": {"app": "web", "rollouts-pod-template-hash": "{hash:web:1}"}},
        }),
    )
}

fn released(service: &str) -> Expectation {
    contains(
        "Service",
        service,
        json!({
            "metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": null}},
            "spec": {"selector": {"app": "web", "rollouts-pod-template-hash": null}},
        }),
    )
}

/// R-744, R-745, R-789: a Service gets its selector back when the Rollout names another one, and when it is deleted.
#[must_use]
pub fn a_service_that_is_named_no_longer_gets_its_selector_back() -> Story {
    Story::named("a service that is named no longer gets its selector back", &["R-744", "R-745", "R-789"])
        .given([service("stable"), service("other"), service("canary"), with_services("stable", "canary")])
        .until(all([healthy("web"), held("stable"), held("canary")]))
        .patch(web(), json!({"spec": {"strategy": {"canary": {"stableService": "other"}}}}))
        .until(all([held("other"), released("stable"), held("canary")]))
        .beat(Beat::Delete(web()))
        .until(all([released("other"), released("canary")]))
        .events("web", &after_first(&["SwitchService", "SwitchService", "SwitchService", "RolloutDeleted"]))
}

/// R-746, R-230e: of two Rollouts that name one Service the second is refused, until the first is gone.
#[must_use]
pub fn a_service_belongs_to_the_first_rollout_that_took_it() -> Story {
    let second = with(
        with_services("stable", "spare"),
        &json!({"metadata": {"name": "late"}, "spec": {"template": {"spec": {"containers": [
            {"name": "web", "image": "late:1", "ports": [{"containerPort": 8080}]},
        ]}}}}),
    );
    Story::named("a service belongs to the first rollout that took it", &["R-746", "R-230e"])
        .given([service("stable"), service("canary"), service("spare"), with_services("stable", "canary")])
        .until(all([healthy("web"), held("stable")]))
        .beat(Beat::Create(second))
        .until(degraded("late", "InvalidSpec: The Rollout \"late\" is invalid: spec.strategy.canary.stableService: Invalid value: \"stable\": Service \"stable\" is managed by another Rollout"))
        .stays(held("stable"), 60)
        .now(Expectation::Wants { image: "late:1", replicas: 0 })
        .beat(Beat::Delete(web()))
        .until(all([healthy("late"), pods("late:1", 1)]))
        .finally(contains(
            "Service",
            "stable",
            json!({"metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "late"}}}),
        ))
}

/// R-748: two Rollouts whose selectors overlap keep to their own sets, and a restart to its own pods.
#[must_use]
pub fn overlapping_selectors_share_nothing() -> Story {
    let second = with(
        canary(2, json!([])),
        &json!({"metadata": {"name": "twin"}, "spec": {"template": {"spec": {"containers": [
            {"name": "web", "image": "twin:1", "ports": [{"containerPort": 8080}]},
        ]}}}}),
    );
    Story::named("overlapping selectors share nothing", &["R-748", "R-265"])
        .given([canary(2, json!([])), second])
        .until(all([healthy("web"), healthy("twin")]))
        .now(all([pods("web:1", 2), pods("twin:1", 2)]))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 2), pods("web:1", 0)]))
        .now(pods("twin:1", 2))
        .pass(5)
        .plugin("restart web")
        .stays(pods("twin:1", 2), 60)
        .until(all([healthy("web"), pods("web:2", 2)]))
        .finally(contains("Rollout", "twin", json!({"status": {"replicas": 2, "restartedAt": null}})))
}

/// R-267: pods of an experiment match the selector and are still none of the Rollout's.
#[must_use]
pub fn pods_of_an_experiment_are_not_counted() -> Story {
    Story::named("pods of an experiment are not counted", &["R-267", "R-720", "R-721", "R-414", "R-785"])
        .metric("/health", &[(200, r#"{"value": 0.95}"#)])
        .given([
            analysis_template("health", "/health", "result > 0.9", &json!({"interval": "10s", "count": 3})),
            canary(
                2,
                json!([{"experiment": {
                    "templates": [{"name": "baseline", "specRef": "stable", "replicas": 3}],
                    "analyses": [{"name": "health", "templateName": "health", "requiredForCompletion": true}],
                }}, {"pause": {}}]),
            ),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(contains(
            "Experiment",
            "web-{hash:web:2}-2-0",
            json!({
                "metadata": {
                    "labels": {"rollouts-pod-template-hash": "{hash:web:2}"},
                    "annotations": {"rollout.argoproj.io/revision": "2"},
                },
                "status": {"phase": "Running", "templateStatuses": [{"name": "baseline", "availableReplicas": 3}]},
            }),
        ))
        .stays(contains("Rollout", "web", json!({"status": {"replicas": 2, "HPAReplicas": 2}})), 10)
        .until(contains("Rollout", "web", json!({"status": {"currentStepIndex": 1, "phase": "Paused"}})))
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:2", 2)]))
        .finally(contains(
            "Experiment",
            "web-{hash:web:2}-2-0",
            json!({"status": {"phase": "Successful"}}),
        ))
}

/// R-723: an abort ends the experiment of the step.
#[must_use]
pub fn an_abort_ends_the_experiment() -> Story {
    Story::named("an abort ends the experiment", &["R-723", "R-722"])
        .given([canary(
            2,
            json!([{"experiment": {"templates": [{"name": "baseline", "specRef": "stable"}]}}]),
        )])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(contains("Experiment", "web-{hash:web:2}-2-0", json!({"status": {"phase": "Running"}})))
        .plugin("abort web")
        .until(degraded("web", "RolloutAborted"))
        .until(contains(
            "Experiment",
            "web-{hash:web:2}-2-0",
            json!({"spec": {"terminate": true}, "status": {"phase": "Successful"}}),
        ))
        .finally(all([pods("web:1", 2), pods("web:2", 0)]))
        .finally(Expectation::Absent(object("AnalysisRun", "none")))
}
