//! Decisions: whatever a snapshot holds, there is a plan for it, and it passes the guard.

use glidepath_core::snapshot::RolloutSnapshot;
use serde_json::{Value, json};

use crate::shape;
use crate::target::Target;

fn snapshot(strategy: &Value, status: &Value) -> Value {
    let template =
        json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}});
    let set = |hash: &str, revision: &str, replicas: i32| {
        json!({
            "metadata": {
                "name": format!("shop-{hash}"), "namespace": "shop", "uid": hash,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"app": "a", "rollouts-pod-template-hash": hash},
                "annotations": {"rollout.argoproj.io/revision": revision},
                "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop",
                                     "uid": "u", "controller": true}],
            },
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}, "template": template},
            "status": {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas},
        })
    };
    let service = |name: &str, hash: &str| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": {"rollouts-pod-template-hash": hash}}});
    json!({
        "now": "2026-01-01T01:00:00Z", "settings": {},
        "rollout": {
            "metadata": {"name": "shop", "namespace": "shop", "uid": "u", "generation": 2},
            "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "a"}}, "template": template, "strategy": strategy},
            "status": status,
        },
        "replicaSets": [set("6f5c", "1", 4), set("9d2b", "2", 1)],
        "services": {"stable": service("stable", "6f5c"), "canary": service("canary", "9d2b")},
        "routers": [], "analysisTemplates": {}, "clusterAnalysisTemplates": {}, "analysisRuns": [], "experiments": [],
    })
}

pub(super) fn rollouts() -> Target {
    const WORDS: &[&str] = &[
        "replicas",
        "status",
        "abort",
        "paused",
        "pauseConditions",
        "currentStepIndex",
        "stableRS",
        "currentPodHash",
        "6f5c",
        "9d2b",
        "shop-6f5c",
        "availableReplicas",
        "steps",
        "setWeight",
        "maxSurge",
        "maxUnavailable",
        "100%",
        "promoteFull",
        "restartAt",
        "2026-01-01T00:59:59Z",
        "9999-12-31T23:59:59Z",
        "deletionTimestamp",
        "annotations",
        "scale-down-deadline",
        "progressDeadlineSeconds",
        "scaleDownDelaySeconds",
        "dynamicStableScale",
        "minReadySeconds",
        "rollbackWindow",
        "revisionHistoryLimit",
        "rollout.argoproj.io/revision",
        "setCanaryScale",
        "matchTrafficWeight",
    ];
    let canary = json!({"canary": {"canaryService": "canary", "stableService": "stable", "steps": [
        {"setWeight": 20}, {"pause": {"duration": "10m"}}, {"setCanaryScale": {"weight": 50}}, {"setWeight": 60}]}});
    let blue_green = json!({"blueGreen": {"activeService": "stable", "previewService": "canary",
        "autoPromotionSeconds": 30, "scaleDownDelaySeconds": 30}});
    let status = json!({"stableRS": "6f5c", "currentPodHash": "9d2b", "currentStepIndex": 1, "observedGeneration": "2",
        "replicas": 5, "blueGreen": {"activeSelector": "6f5c", "previewSelector": "9d2b"},
        "canary": {"weights": {"canary": {"weight": 20, "podTemplateHash": "9d2b"}, "stable": {"weight": 80}}}});
    let seeds = [snapshot(&canary, &json!({})), snapshot(&canary, &status), snapshot(&blue_green, &status)];
    Target::json("decisions", WORDS, seeds, |input| {
        let snapshot = match serde_json::from_value::<RolloutSnapshot>(input.clone()) {
            Ok(snapshot) => snapshot,
            Err(error) => return shape::of_text(&error.to_string()),
        };
        let plan = glidepath_core::rollout::plan(&snapshot);
        let plan = serde_json::to_value(&plan).unwrap_or_default();
        shape::of_value(&plan)
    })
}
