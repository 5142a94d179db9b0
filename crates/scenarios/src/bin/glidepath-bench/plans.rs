//! Plans per second on a large snapshot: no plane, no client, one thread.

use std::time::Instant;

use glidepath_core::rollout::decide;
use glidepath_core::snapshot::RolloutSnapshot;
use serde_json::{Value, json};

use crate::figures::Figures;

const ROUNDS: u32 = 2000;
const REVISIONS: usize = 40;

/// Measures how often a decision about a Rollout with a long history can be taken.
#[expect(
    clippy::expect_used,
    reason = "the snapshot is written out below; a mistake in it is a mistake of the program"
)]
pub(crate) fn measure(figures: &mut Figures) {
    let snapshot: RolloutSnapshot = serde_json::from_value(large_snapshot()).expect("a valid snapshot");
    let mut steps = 0;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        steps += std::hint::black_box(decide(std::hint::black_box(&snapshot))).steps.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    figures.set(&format!("plans on a snapshot of {REVISIONS} revisions"), "1/s", f64::from(ROUNDS) / seconds);
    figures.note("actions per plan", json!(steps / ROUNDS as usize));
}

/// A canary in the middle of an update, with forty revisions of twenty environment variables each.
fn large_snapshot() -> Value {
    let env: Vec<Value> =
        (0..20).map(|i| json!({"name": format!("E{i}"), "value": "x".repeat(60)})).collect();
    let template = |revision: usize| {
        json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": format!("web:{revision}"), "env": env}]},
        })
    };
    let hash = |revision: usize| glidepath_gocompat::podhash::pod_template_hash(&template(revision), None);
    let sets: Vec<Value> = (1..=REVISIONS)
        .map(|revision| {
            let hash = hash(revision);
            let mut template = template(revision);
            template["metadata"]["labels"]["rollouts-pod-template-hash"] = Value::from(hash.as_str());
            let replicas = if revision + 1 >= REVISIONS { 50 } else { 0 };
            json!({
                "metadata": {
                    "name": format!("web-{hash}"), "namespace": "default", "uid": format!("rs-{revision}"),
                    "generation": 1,
                    "creationTimestamp": format!("2026-01-01T00:{revision:02}:00Z"),
                    "labels": {"app": "web", "rollouts-pod-template-hash": hash},
                    "annotations": {
                        "rollout.argoproj.io/revision": revision.to_string(),
                        "rollout.argoproj.io/desired-replicas": "100",
                    },
                    "ownerReferences": [{
                        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "ro",
                        "controller": true, "blockOwnerDeletion": true,
                    }],
                },
                "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web", "rollouts-pod-template-hash": hash}}, "template": template},
                "status": {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "observedGeneration": 1},
            })
        })
        .collect();
    let steps = json!([{"setWeight": 25}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 75}]);
    json!({
        "now": "2026-01-01T02:00:00Z",
        "settings": {},
        "rollout": {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "default", "uid": "ro", "generation": 40, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "replicas": 100, "revisionHistoryLimit": 100,
                "selector": {"matchLabels": {"app": "web"}},
                "template": template(REVISIONS),
                "strategy": {"canary": {"steps": steps}},
            },
            "status": {
                "currentPodHash": hash(REVISIONS), "stableRS": hash(REVISIONS - 1),
                "currentStepHash": glidepath_gocompat::podhash::step_hash(&steps), "currentStepIndex": 1,
                "observedGeneration": "40", "replicas": 100, "updatedReplicas": 50, "readyReplicas": 100,
                "availableReplicas": 100,
            },
        },
        "replicaSets": sets,
        "services": {}, "routers": [], "analysisTemplates": {}, "clusterAnalysisTemplates": {},
        "analysisRuns": [], "experiments": [],
    })
}
