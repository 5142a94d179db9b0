//! Bad input: what is said, and that nothing else happens.

use serde_json::json;

use super::{image, web};
use crate::manifests::{canary, rollout, service, with};
use crate::story::{Beat, Expectation, Story, all, contains, degraded, healthy, object, pods};

/// R-200, R-230a, R-202: a missing Service is named, and its creation goes on.
#[must_use]
pub fn a_missing_service_is_named_and_its_creation_goes_on() -> Story {
    Story::named("a missing service is named and its creation goes on", &["R-200", "R-201", "R-202", "R-203", "R-230a"])
        .given([rollout(1, json!({"blueGreen": {"activeService": "active"}}))])
        .until(degraded(
            "web",
            "InvalidSpec: The Rollout \"web\" is invalid: spec.strategy.blueGreen.activeService: Invalid value: \"active\": service \"active\" not found",
        ))
        .now(contains("Rollout", "web", json!({"status": {"replicas": null, "currentPodHash": null}})))
        .beat(Beat::Create(service("active")))
        .until(healthy("web"))
        .finally(pods("web:1", 1))
}

/// R-230b: a missing template is named.
#[must_use]
pub fn a_missing_template_is_named() -> Story {
    Story::named("a missing template is named", &["R-230b", "A-107"])
        .given([canary(1, json!([{"analysis": {"templates": [{"templateName": "health"}]}}]))])
        .until(degraded(
            "web",
            "InvalidSpec: The Rollout \"web\" is invalid: spec.strategy.canary.steps[0].analysis.templates: Invalid value: \"health\": AnalysisTemplate 'health' not found",
        ))
        .finally(Expectation::Wants { image: "web:1", replicas: 0 })
}

/// a wrong step is refused with the reference's words; mending it goes on.
#[must_use]
pub fn a_wrong_step_is_refused_and_mended() -> Story {
    Story::named("a wrong step is refused and mended", &["R-200", "R-221", "R-203"])
        .given([canary(1, json!([{"setWeight": 120}]))])
        .until(degraded(
            "web",
            "InvalidSpec: The Rollout \"web\" is invalid: spec.strategy.steps[0].setWeight: Invalid value: 120: SetWeight needs to be between 0 and 100",
        ))
        .patch(web(), json!({"spec": {"strategy": {"canary": {"steps": [{"setWeight": 20}]}}}}))
        .until(healthy("web"))
        .finally(contains("Rollout", "web", json!({"status": {"phase": "Healthy", "message": null}})))
}

/// T-119: a missing VirtualService is named.
#[must_use]
pub fn a_missing_virtual_service_is_named() -> Story {
    Story::named("a missing VirtualService is named", &["T-119", "R-230c"])
        .given([
            service("stable"),
            service("canary"),
            with(
                canary(1, json!([{"setWeight": 20}])),
                &json!({"spec": {"strategy": {"canary": {
                    "stableService": "stable", "canaryService": "canary",
                    "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
                }}}}),
            ),
        ])
        .until(degraded("web", "InvalidSpec: The Rollout \"web\" is invalid: spec.strategy.canary.trafficRouting.istio.virtualService.name"))
        .finally(Expectation::Wants { image: "web:1", replicas: 0 })
}

/// an update that becomes invalid midway loses nothing.
#[must_use]
pub fn an_update_that_becomes_invalid_midway_loses_nothing() -> Story {
    Story::named("an update that becomes invalid midway loses nothing", &["R-201", "R-203", "R-526"])
        .given([canary(4, json!([{"setWeight": 50}, {"pause": {}}]))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([pods("web:1", 2), pods("web:2", 2)]))
        .patch(web(), json!({"spec": {"minReadySeconds": 700}}))
        .until(degraded("web", "InvalidSpec"))
        .stays(all([pods("web:1", 2), pods("web:2", 2)]), 60)
        .patch(web(), json!({"spec": {"minReadySeconds": null}}))
        .until(contains("Rollout", "web", json!({"status": {"phase": "Paused"}})))
        .plugin("promote web")
        .until(all([healthy("web"), pods("web:2", 4)]))
}

/// O-008, O-012: verbs on what does not exist.
#[must_use]
pub fn verbs_on_what_does_not_exist_say_so() -> Story {
    Story::named("verbs on what does not exist say so", &["O-008", "O-012", "O-078"])
        .given([canary(1, json!([]))])
        .until(healthy("web"))
        .beat(Beat::PluginFails("promote nothing".to_owned(), "rollouts.argoproj.io \"nothing\" not found"))
        .beat(Beat::PluginFails("abort nothing".to_owned(), "rollouts.argoproj.io \"nothing\" not found"))
        .beat(Beat::PluginFails(
            "status nothing --watch=false".to_owned(),
            "rollout.argoproj.io \"nothing\" not found",
        ))
        .beat(Beat::PluginFails(
            "set image web nginx=nginx:2".to_owned(),
            "unable to find container named \"nginx\"",
        ))
        .finally(Expectation::Absent(object("Rollout", "nothing")))
}

/// what a Rollout owns goes with it.
#[must_use]
pub fn deleting_a_rollout_takes_its_sets_along() -> Story {
    Story::named("deleting a rollout takes its sets along", &["R-007"])
        .given([canary(2, json!([]))])
        .until(healthy("web"))
        .beat(Beat::Delete(web()))
        .until(Expectation::Absent(web()))
        .until(pods("web:1", 0))
}
