//! The sample screens S1 to S9 of operations §1.6, character by character (trailing spaces aside).
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;

use glidepath_api::{AnalysisRun, Experiment, Pod, ReplicaSet, Rollout};
use glidepath_view::{Cluster, ExperimentInfo, Paint, RolloutInfo, render_experiment, render_rollout};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// The time that many seconds ago.
fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Objects of one screen. An owner's uid is its name.
#[derive(Default)]
struct Scene {
    replica_sets: Vec<ReplicaSet>,
    pods: Vec<Pod>,
    experiments: Vec<Experiment>,
    analysis_runs: Vec<AnalysisRun>,
}

fn meta(name: &str, owner: &str, age: i64) -> Value {
    json!({"name": name, "namespace": "shop", "uid": name, "creationTimestamp": ago(age),
           "ownerReferences": [{"uid": owner, "name": owner, "kind": "X", "apiVersion": "x/v1"}]})
}

/// Revision annotation, if any, and others.
fn annotated(mut meta: Value, revision: i64, others: Value) -> Value {
    let mut annotations = others;
    if revision > 0 {
        annotations["rollout.argoproj.io/revision"] = json!(revision.to_string());
    }
    meta["annotations"] = annotations;
    meta
}

struct Set {
    name: &'static str,
    owner: &'static str,
    revision: i64,
    age: i64,
    replicas: i32,
    available: i32,
    images: &'static [&'static str],
    /// Seconds until the pods are to go.
    delay: Option<i64>,
    template: &'static str,
}

const SET: Set = Set {
    name: "",
    owner: "",
    revision: 0,
    age: 0,
    replicas: 0,
    available: 0,
    images: &[],
    delay: None,
    template: "",
};

impl Scene {
    /// A ReplicaSet; its hash is the last part of its name.
    fn set(mut self, set: Set) -> Self {
        let hash = set.name.rsplit('-').next().unwrap();
        let mut others = json!({});
        if let Some(delay) = set.delay {
            others["scale-down-deadline"] = json!(ago(-delay));
        }
        if !set.template.is_empty() {
            others["experiment.argoproj.io/template-name"] = json!(set.template);
        }
        let mut meta = annotated(meta(set.name, set.owner, set.age), set.revision, others);
        meta["labels"] = json!({"rollouts-pod-template-hash": hash});
        let containers: Vec<Value> =
            set.images.iter().map(|image| json!({"name": "c", "image": image})).collect();
        self.replica_sets.push(
            serde_json::from_value(json!({
                "metadata": meta,
                "spec": {"replicas": set.replicas, "template": {"spec": {"containers": containers}}},
                "status": {"replicas": set.replicas, "availableReplicas": set.available},
            }))
            .unwrap(),
        );
        self
    }

    /// A running pod of the ReplicaSet added last; `ready` of `ready` containers.
    fn pod(self, suffix: &str, age: i64, ready: usize, restarts: i64) -> Self {
        let statuses: Vec<Value> = (0..ready)
            .map(|index| {
                json!({"ready": true, "restartCount": if index == 0 { restarts } else { 0 },
                                "state": {"running": {}}})
            })
            .collect();
        let containers: Vec<Value> = (0..ready).map(|_| json!({"name": "c"})).collect();
        self.pod_as(
            suffix,
            age,
            json!({"containers": containers}),
            json!({"phase": "Running", "containerStatuses": statuses}),
        )
    }

    fn pod_as(mut self, suffix: &str, age: i64, spec: Value, status: Value) -> Self {
        let owner = self.replica_sets.last().unwrap().metadata.name.clone();
        let meta = meta(&format!("{owner}-{suffix}"), &owner, age);
        let pod = json!({"metadata": meta, "spec": spec, "status": status});
        self.pods.push(serde_json::from_value(pod).unwrap());
        self
    }

    /// An AnalysisRun with counts of good, bad, inconclusive and broken measurements.
    fn run(
        mut self,
        name: &str,
        owner: &str,
        revision: i64,
        age: i64,
        phase: &str,
        counts: [i32; 4],
    ) -> Self {
        let [successful, failed, inconclusive, error] = counts;
        let run = json!({"metadata": annotated(meta(name, owner, age), revision, json!({})),
            "spec": {"metrics": []},
            "status": {"phase": phase, "runSummary": {"successful": successful, "failed": failed,
                       "inconclusive": inconclusive, "error": error},
                       "dryRunSummary": {"successful": 9}}});
        self.analysis_runs.push(serde_json::from_value(run).unwrap());
        self
    }

    fn cluster(&self) -> Cluster<'_> {
        Cluster {
            replica_sets: &self.replica_sets,
            pods: &self.pods,
            experiments: &self.experiments,
            analysis_runs: &self.analysis_runs,
        }
    }

    fn rollout_screen(&self, rollout: Value) -> String {
        let rollout: Rollout = serde_json::from_value(rollout).unwrap();
        let info = RolloutInfo::new(&rollout, self.cluster(), None);
        render_rollout(&info, now(), Paint::Plain)
    }
}

fn rollout(name: &str, namespace: &str, age: i64, spec: Value, status: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": ago(age)},
           "spec": spec, "status": status})
}

fn status(phase: &str, message: &str, counts: [i32; 4], others: Value) -> Value {
    let [current, updated, ready, available] = counts;
    let mut status = json!({"phase": phase, "message": message, "replicas": current, "updatedReplicas": updated,
                            "readyReplicas": ready, "availableReplicas": available});
    status.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    status
}

fn canary(replicas: i32, steps: Value) -> Value {
    json!({"replicas": replicas, "strategy": {"canary": {"steps": steps}}})
}

fn assert_screen(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(format!("{name}.txt"));
    let expected = std::fs::read_to_string(path).unwrap();
    let trimmed: String = got.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    assert_eq!(trimmed, expected, "{name}\n{trimmed}");
}

const OLD_STOREFRONT: Set = Set {
    name: "storefront-5f7b8d9c66",
    owner: "storefront",
    revision: 6,
    age: 6 * DAY + 20 * HOUR,
    images: &["registry.example/storefront:2.3.0"],
    ..SET
};

#[test]
fn s1_a_healthy_canary_with_all_steps_done() {
    let scene = Scene::default()
        .set(OLD_STOREFRONT)
        .set(Set {
            name: "storefront-6d5c9c7f4b",
            owner: "storefront",
            revision: 7,
            age: 19 * HOUR,
            replicas: 3,
            available: 3,
            images: &["registry.example/storefront:2.4.0"],
            ..SET
        })
        .pod("xw4rm", 18 * HOUR, 1, 0)
        .pod("hv9tz", 19 * HOUR, 1, 2)
        .pod("2kq8x", 19 * HOUR, 1, 0);
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": 10}}]);
    let hashes = json!({"stableRS": "6d5c9c7f4b", "currentPodHash": "6d5c9c7f4b", "currentStepIndex": 4});
    let status = status("Healthy", "", [3, 3, 3, 3], hashes);
    let screen = scene.rollout_screen(rollout("storefront", "shop", 41 * DAY, canary(3, steps), status));
    assert_screen("S1", &screen);
}

#[test]
fn s2_a_routed_canary_at_a_pause_with_background_and_job_analysis() {
    let stable = &["registry.example/storefront:2.4.0", "envoyproxy/envoy:v1.31.0"];
    let mut scene = Scene::default()
        .set(OLD_STOREFRONT)
        .set(Set {
            name: "storefront-6d5c9c7f4b",
            owner: "storefront",
            revision: 7,
            age: 19 * HOUR,
            replicas: 3,
            available: 3,
            images: stable,
            ..SET
        })
        .pod("2kq8x", 19 * HOUR, 2, 0)
        .pod("hv9tz", 19 * HOUR, 2, 0)
        .pod("xw4rm", 18 * HOUR, 2, 0)
        .set(Set {
            name: "storefront-7c88d6b95d",
            owner: "storefront",
            revision: 8,
            age: 6 * MINUTE + 12,
            replicas: 1,
            available: 1,
            images: &["registry.example/storefront:2.5.0", "envoyproxy/envoy:v1.31.0"],
            ..SET
        })
        .pod("9dtxk", 6 * MINUTE + 12, 2, 0)
        .run("storefront-7c88d6b95d-8-2", "storefront", 8, 5 * MINUTE + 40, "Successful", [2, 0, 0, 0])
        .run("storefront-7c88d6b95d-8", "storefront", 8, 6 * MINUTE + 10, "Running", [5, 0, 1, 0]);
    let job = |n: i64, age: i64| {
        json!({"phase": "Successful", "startedAt": ago(age),
               "metadata": {"job-name": format!("5d1f0c2e-7d0f-4b5e-a5c0-1f8f1f7f7a10.smoke.{n}")}})
    };
    scene.analysis_runs[0].status.metric_results = serde_json::from_value(json!([{"name": "smoke",
        "phase": "Successful", "measurements": [job(1, 5 * MINUTE + 40), job(2, 5 * MINUTE + 10)]}]))
    .unwrap();
    let steps = json!([{"setWeight": 10}, {"setWeight": 20}, {"analysis": {}}, {"pause": {}}, {"setWeight": 50},
                       {"pause": {"duration": 10}}]);
    let mut spec = canary(3, steps);
    spec["strategy"]["canary"]["trafficRouting"] = json!({"nginx": {"stableIngress": "storefront"}});
    let status = status(
        "Paused",
        "CanaryPauseStep",
        [4, 1, 4, 4],
        json!({"stableRS": "6d5c9c7f4b", "currentPodHash": "7c88d6b95d", "currentStepIndex": 3,
               "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": ago(60)}], "controllerPause": true,
               "canary": {"weights": {"canary": {"weight": 20}, "stable": {"weight": 80}}}}),
    );
    let screen = scene.rollout_screen(rollout("storefront", "shop", 41 * DAY, spec, status));
    assert_screen("S2", &screen);
}

#[test]
fn s3_the_first_step_is_an_experiment() {
    let mut scene = Scene::default()
        .set(Set {
            name: "pricing-5bd8f9f6c7",
            owner: "pricing",
            revision: 2,
            age: 12 * DAY,
            replicas: 2,
            available: 2,
            images: &["registry.example/pricing:1.8.1"],
            ..SET
        })
        .pod("4zznd", 12 * DAY, 1, 0)
        .pod("q9sls", 12 * DAY, 1, 0)
        .set(Set {
            name: "pricing-84cf5c7d9b",
            owner: "pricing",
            revision: 3,
            age: 95,
            images: &["registry.example/pricing:1.9.0"],
            ..SET
        })
        .set(Set {
            name: "pricing-84cf5c7d9b-3-0-baseline",
            owner: "pricing-84cf5c7d9b-3-0",
            age: 94,
            replicas: 1,
            available: 1,
            images: &["registry.example/pricing:1.8.1"],
            template: "baseline",
            ..SET
        })
        .pod("kq2vh", 94, 1, 0)
        .set(Set {
            name: "pricing-84cf5c7d9b-3-0-candidate",
            owner: "pricing-84cf5c7d9b-3-0",
            age: 94,
            replicas: 1,
            images: &["registry.example/pricing:1.9.0"],
            template: "candidate",
            ..SET
        })
        .pod_as(
            "8rrmw",
            94,
            json!({"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}),
            json!({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]}),
        )
        .run("pricing-84cf5c7d9b-3-0-compare", "pricing-84cf5c7d9b-3-0", 0, 20, "Running", [1, 0, 0, 1]);
    let experiment = json!({
        "metadata": annotated(meta("pricing-84cf5c7d9b-3-0", "pricing", 94), 3, json!({})),
        "spec": {"templates": []}, "status": {"phase": "Running"}});
    scene.experiments.push(serde_json::from_value(experiment).unwrap());
    let steps = json!([{"experiment": {"templates": []}}, {"setWeight": 50}, {"pause": {}}]);
    let status = status(
        "Progressing",
        "more replicas need to be updated",
        [2, 0, 2, 2],
        json!({"stableRS": "5bd8f9f6c7", "currentPodHash": "84cf5c7d9b", "currentStepIndex": 0}),
    );
    let screen = scene.rollout_screen(rollout("pricing", "shop", 12 * DAY, canary(2, steps), status));
    assert_screen("S3", &screen);
}

#[test]
fn s4_aborted_by_step_analysis_with_the_canary_kept_for_a_while() {
    let crashing = json!({"phase": "Running", "containerStatuses": [
        {"restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
    let scene = Scene::default()
        .set(Set {
            name: "storefront-7c88d6b95d",
            owner: "storefront",
            revision: 8,
            age: 24 * HOUR,
            replicas: 2,
            available: 2,
            images: &["registry.example/storefront:2.5.0"],
            ..SET
        })
        .pod("9dtxk", 24 * HOUR, 1, 0)
        .pod("w8vhc", 23 * HOUR, 1, 0)
        .set(Set {
            name: "storefront-59c4b78d7d",
            owner: "storefront",
            revision: 9,
            age: 3 * MINUTE + 5,
            replicas: 1,
            images: &["registry.example/storefront:2.6.0-rc1"],
            delay: Some(21),
            ..SET
        })
        .pod_as("fjx7s", 3 * MINUTE + 5, json!({"containers": [{"name": "c"}]}), crashing)
        .run("storefront-59c4b78d7d-9-2", "storefront", 9, 118, "Failed", [1, 2, 0, 0]);
    let steps = json!([{"setWeight": 10}, {"setWeight": 20}, {"analysis": {}}, {"pause": {}}, {"setWeight": 50},
                       {"pause": {}}]);
    let mut spec = canary(2, steps);
    spec["strategy"]["canary"]["trafficRouting"] = json!({"nginx": {"stableIngress": "storefront"}});
    let message = "RolloutAborted: Rollout aborted update to revision 9: Step-based analysis phase error/failed: \
                   Metric \"error-rate\" assessed Failed due to failed (2) > failureLimit (1)";
    let status = status(
        "Degraded",
        message,
        [3, 1, 2, 2],
        json!({"stableRS": "7c88d6b95d", "currentPodHash": "59c4b78d7d", "currentStepIndex": 0, "abort": true,
               "canary": {"weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}}}),
    );
    let screen = scene.rollout_screen(rollout("storefront", "shop", 42 * DAY, spec, status));
    assert_screen("S4", &screen);
}

fn checkout_spec() -> Value {
    json!({"replicas": 2, "strategy": {"blueGreen": {"activeService": "checkout", "previewService": "preview"}}})
}

fn checkout_set(name: &'static str, revision: i64, age: i64, replicas: i32) -> Set {
    let images: &[&str] = match revision {
        12 => &["registry.example/checkout:12"],
        11 => &["registry.example/checkout:11"],
        _ => &["registry.example/checkout:10"],
    };
    Set { name, owner: "checkout", revision, age, replicas, available: replicas, images, ..SET }
}

#[test]
fn s5_blue_green_waiting_for_promotion() {
    let scene = Scene::default()
        .set(checkout_set("checkout-5c7b66d7c9", 10, 30 * DAY, 0))
        .set(checkout_set("checkout-75d9c8b6f4", 11, 9 * DAY, 2))
        .pod("5gx2n", 9 * DAY, 1, 0)
        .pod("vw8dm", 9 * DAY, 1, 0)
        .set(checkout_set("checkout-66b4d5c9f8", 12, 3 * MINUTE, 2))
        .pod("6lplm", 3 * MINUTE, 1, 0)
        .pod("z4k7d", 3 * MINUTE, 1, 0);
    let status = status(
        "Paused",
        "BlueGreenPause",
        [4, 2, 4, 2],
        json!({"stableRS": "75d9c8b6f4", "currentPodHash": "66b4d5c9f8",
               "blueGreen": {"activeSelector": "75d9c8b6f4", "previewSelector": "66b4d5c9f8"}}),
    );
    let screen = scene.rollout_screen(rollout("checkout", "shop", 88 * DAY, checkout_spec(), status));
    assert_screen("S5", &screen);
}

#[test]
fn s6_blue_green_just_after_the_switch() {
    let scene = Scene::default()
        .set(checkout_set("checkout-5c7b66d7c9", 10, 30 * DAY, 0))
        .set(Set { delay: Some(12), ..checkout_set("checkout-75d9c8b6f4", 11, 9 * DAY, 2) })
        .pod("5gx2n", 9 * DAY, 1, 0)
        .pod("vw8dm", 9 * DAY, 1, 0)
        .set(checkout_set("checkout-66b4d5c9f8", 12, 7 * MINUTE, 2))
        .pod("6lplm", 7 * MINUTE, 1, 0)
        .pod("z4k7d", 7 * MINUTE, 1, 0)
        .run("checkout-66b4d5c9f8-12-post", "checkout", 12, 80, "Successful", [2, 0, 1, 0])
        .run("checkout-66b4d5c9f8-12-pre", "checkout", 12, 6 * MINUTE + 20, "Successful", [1, 0, 0, 0]);
    let status = status(
        "Healthy",
        "",
        [4, 2, 4, 2],
        json!({"stableRS": "66b4d5c9f8", "currentPodHash": "66b4d5c9f8",
               "blueGreen": {"activeSelector": "66b4d5c9f8", "previewSelector": "66b4d5c9f8"}}),
    );
    let screen = scene.rollout_screen(rollout("checkout", "shop", 88 * DAY, checkout_spec(), status));
    assert_screen("S6", &screen);
}

#[test]
fn s7_the_very_first_deployment() {
    let creating = json!({"phase": "Pending", "containerStatuses": [
        {"state": {"waiting": {"reason": "ContainerCreating"}}}]});
    let scene = Scene::default()
        .set(Set {
            name: "search-7b6f5d8c4",
            owner: "search",
            revision: 1,
            age: 8,
            replicas: 2,
            images: &["registry.example/search:1.0.0"],
            ..SET
        })
        .pod("d4wcb", 8, 1, 0)
        .pod_as("sk2lf", 8, json!({"containers": [{"name": "c"}]}), creating);
    let steps =
        json!([{"setWeight": 10}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}, {"setWeight": 50}]);
    let status = status(
        "Progressing",
        "updated replicas are still becoming available",
        [2, 2, 1, 0],
        json!({"currentPodHash": "7b6f5d8c4", "currentStepIndex": 5}),
    );
    let screen = scene.rollout_screen(rollout("search", "default", 8, canary(2, steps), status));
    assert_screen("S7", &screen);
}

#[test]
fn s8_an_invalid_spec_with_nothing_created_yet() {
    let message = "InvalidSpec: The Rollout \"ledger\" is invalid: spec.strategy.canary.canaryService: Invalid \
                   value: \"ledger-canary\": service \"ledger-canary\" not found";
    let mut spec = canary(1, json!([{"setWeight": 20}, {"pause": {}}]));
    spec["strategy"]["canary"]["canaryService"] = json!("ledger-canary");
    let status = status("Degraded", message, [0, 0, 0, 0], json!({}));
    let screen = Scene::default().rollout_screen(rollout("ledger", "bank", 3, spec, status));
    assert_screen("S8", &screen);
}

fn pricing_ab() -> (Scene, Experiment) {
    let set = |name: &'static str, template: &'static str, images: &'static [&'static str]| Set {
        name,
        owner: "pricing-ab",
        age: 14 * MINUTE,
        replicas: 1,
        available: 1,
        images,
        delay: Some(9),
        template,
        ..SET
    };
    let scene = Scene::default()
        .set(set("pricing-ab-baseline", "baseline", &["registry.example/pricing:1.8.1"]))
        .pod("4tqmk", 14 * MINUTE, 1, 0)
        .set(set("pricing-ab-candidate", "candidate", &["registry.example/pricing:1.9.0"]))
        .pod("zm9fh", 14 * MINUTE, 1, 0)
        .run("pricing-ab-latency", "pricing-ab", 0, 13 * MINUTE, "Failed", [2, 1, 0, 0]);
    let message = "Metric \"p99\" assessed Failed due to failed (1) > failureLimit (0)";
    let experiment = json!({
        "metadata": {"name": "pricing-ab", "namespace": "shop", "uid": "pricing-ab",
                     "creationTimestamp": ago(14 * MINUTE)},
        "spec": {"templates": []}, "status": {"phase": "Failed", "message": message}});
    (scene, serde_json::from_value(experiment).unwrap())
}

#[test]
fn s9_a_failed_standalone_experiment() {
    let (scene, experiment) = pricing_ab();
    let info = ExperimentInfo::new(&experiment, scene.cluster());
    assert_screen("S9", &render_experiment(&info, now(), Paint::Plain));
}

#[test]
fn colours_leave_the_columns_where_they_are_o_023_o_037() {
    let (scene, experiment) = pricing_ab();
    let info = ExperimentInfo::new(&experiment, scene.cluster());
    let coloured = render_experiment(&info, now(), Paint::Ansi);
    assert!(coloured.contains("α \x1b[0mpricing-ab-latency\x1b[0m"));
    assert!(coloured.contains("\x1b[32m✔\x1b[0m 2,\x1b[31m✖\x1b[0m 1\n"));
    assert!(coloured.contains("(\x1b[0mΣ:baseline\x1b[0m)"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some(start) = rest.find('\x1b') {
        plain.push_str(&rest[..start]);
        let end = rest[start..].find('m').unwrap();
        rest = &rest[start + end + 1..];
    }
    plain.push_str(rest);
    assert_eq!(plain, render_experiment(&info, now(), Paint::Plain));
}

#[test]
fn the_json_leaves_out_what_is_zero_o_218() {
    let status = status("Healthy", "", [1, 0, 1, 1], json!({"observedGeneration": "4"}));
    let rollout = rollout("x", "shop", 60, canary(1, json!([])), status);
    let info = RolloutInfo::new(&serde_json::from_value(rollout).unwrap(), Cluster::default(), None);
    let value = serde_json::to_value(&info).unwrap();
    let expected = json!({
        "objectMeta": {"name": "x", "namespace": "shop", "uid": "x", "creationTimestamp": "2026-06-01T11:59:00Z"},
        "status": "Healthy", "icon": "✔", "strategy": "Canary", "setWeight": "100", "actualWeight": "100",
        "ready": 1, "current": 1, "desired": 1, "available": 1, "restartedAt": "Never", "generation": "4"});
    assert_eq!(value, expected);
}
