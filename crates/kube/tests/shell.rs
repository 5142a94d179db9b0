//! The shell around decisions of a few lines, on the embedded plane in virtual time: what is read, what
//! is written and when, with the requests counted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use glidepath_clock::Clock;
use glidepath_core::plan::{Action, Event, EventType, Plan};
use glidepath_core::snapshot::{RolloutSnapshot, Settings};
use glidepath_kube::lease::LeaseOptions;
use glidepath_kube::{Decisions, Options, RunError, run};
use glidepath_metrics::{HttpRequest, HttpResponse, SendError, Sender};
use glidepath_sandbox::{
    Answering, ApiService, AuditEntry, Body, Fault, Faults, Intercept, Intercepted, Sandbox, is_watch,
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::sync::oneshot;

const CONTROLLER: &str = "controller";

struct NoMetrics;

#[async_trait::async_trait]
impl Sender for NoMetrics {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, SendError> {
        Ok(HttpResponse { status: 500, body: Vec::new() })
    }
}

fn decisions(rollout: impl Fn(&RolloutSnapshot) -> Plan + Send + Sync + 'static) -> Decisions {
    Decisions {
        rollout: Arc::new(rollout),
        analysis: Arc::new(|_| Plan::default()),
        experiment: Arc::new(|_| Plan::default()),
    }
}

fn options(decisions: Decisions) -> Options {
    Options {
        namespace: String::new(),
        settings: Settings::default(),
        lease: LeaseOptions::new("default", "", "host_1"),
        qps: 0.0,
        burst: 0,
        metrics_address: None,
        health_address: None,
        istio_version: String::new(),
        decisions,
        only: None,
        on_decision: None,
    }
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

struct World {
    sandbox: Sandbox,
    rollouts: Api<DynamicObject>,
}

/// A controller under test; stops in order when told to.
struct Running {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }
}

impl World {
    async fn new() -> Self {
        let sandbox = Sandbox::builder().clock(Clock::system()).seed(1).build().unwrap();
        let definition = |kind: &str, plural: &str, scope: &str, status: bool| {
            let subresources = if status { json!({"status": {}}) } else { json!({}) };
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.argoproj.io")},
                "spec": {"group": "argoproj.io", "scope": scope,
                    "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                    "versions": [{"name": "v1alpha1", "served": true, "storage": true, "subresources": subresources,
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
        };
        sandbox
            .install_crds(&[
                definition("Rollout", "rollouts", "Namespaced", true),
                definition("Experiment", "experiments", "Namespaced", false),
                definition("AnalysisRun", "analysisruns", "Namespaced", false),
                definition("AnalysisTemplate", "analysistemplates", "Namespaced", false),
                definition("ClusterAnalysisTemplate", "clusteranalysistemplates", "Cluster", false),
            ])
            .await
            .unwrap();
        let client = sandbox.client("test", "default");
        let rollouts =
            Api::namespaced_with(client, "default", &resource("argoproj.io", "v1alpha1", "Rollout"));
        Self { sandbox, rollouts }
    }

    fn start(&self, options: Options) -> Running {
        self.start_with(self.sandbox.client(CONTROLLER, "default"), options)
    }

    fn start_with(&self, client: kube::Client, options: Options) -> Running {
        let (stop, stopped) = oneshot::channel();
        let clock = self.sandbox.clock();
        let task = tokio::spawn(run(client, clock, options, Arc::new(NoMetrics), async {
            let _ = stopped.await;
        }));
        Running { stop, task }
    }

    async fn create(&self, name: &str) {
        let rollout = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": name}}, "strategy": {"canary": {}}}});
        self.rollouts
            .create(&PostParams::default(), &serde_json::from_value(rollout).unwrap())
            .await
            .unwrap();
    }

    async fn patch(&self, name: &str, patch: Value) {
        self.rollouts.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    async fn list(&self, group: &str, version: &str, kind: &str) -> Vec<Value> {
        let client = self.sandbox.client("test", "default");
        let api: Api<DynamicObject> =
            Api::namespaced_with(client, "default", &resource(group, version, kind));
        let list = api.list(&ListParams::default()).await.unwrap();
        list.items.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    /// What the controller asked for since the last reset, except for its lease.
    fn requests(&self) -> Vec<(AuditEntry, u64)> {
        let is_ours = |entry: &AuditEntry| {
            entry.user_agent.contains(CONTROLLER) && !entry.resource.starts_with("leases")
        };
        self.sandbox.audit().into_iter().filter(|(entry, _)| is_ours(entry)).collect()
    }

    fn writes(&self) -> Vec<String> {
        self.requests()
            .into_iter()
            .filter(|(entry, _)| entry.is_write())
            .map(|(entry, count)| format!("{} {}/{} ×{count}", entry.verb, entry.resource, entry.subresource))
            .collect()
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Makes sure of one ReplicaSet and of a status that says so.
fn one_set(snapshot: &RolloutSnapshot) -> Plan {
    let mut plan = Plan::default();
    let metadata = &snapshot.rollout.metadata;
    if snapshot.replica_sets.is_empty() {
        let labels = json!({"app": metadata.name, "rollouts-pod-template-hash": "abc"});
        let object = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": format!("{}-abc", metadata.name), "namespace": metadata.namespace, "labels": labels,
                "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": metadata.name,
                    "uid": metadata.uid, "controller": true, "blockOwnerDeletion": true}]},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "a"}]}}}});
        plan.push("create", Action::CreateReplicaSet { name: format!("{}-abc", metadata.name), object });
        let event = Event {
            event_type: EventType::Normal,
            reason: "NewReplicaSetCreated".into(),
            message: "Created".into(),
        };
        plan.push("tell", Action::Emit(event));
    } else if snapshot.rollout.status.current_pod_hash.is_empty() {
        plan.push(
            "status",
            Action::PatchStatus { patch: json!({"status": {"currentPodHash": "abc", "phase": "Healthy"}}) },
        );
    }
    plan
}

#[tokio::test(start_paused = true)]
async fn a_new_rollout_costs_exactly_the_writes_its_plans_name() {
    let world = World::new().await;
    let running = world.start(options(decisions(one_set)));
    seconds(5).await;
    world.create("web").await;
    world.sandbox.reset_audit();
    seconds(5).await;
    assert_eq!(
        world.writes(),
        ["create events/ ×2", "create replicasets.apps/ ×1", "patch rollouts.argoproj.io/status ×1"]
    );
    let events = world.list("", "v1", "Event").await;
    let told: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (event["reason"].as_str().unwrap(), event["source"]["component"].as_str().unwrap()))
        .collect();
    assert!(told.contains(&("RolloutAddedToInformer", "rollouts-controller")), "{told:?}");
    assert!(told.contains(&("NewReplicaSetCreated", "rollouts-controller")), "{told:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn at_rest_an_hour_passes_without_a_request_other_than_renewed_watches() {
    let world = World::new().await;
    world.create("web").await;
    let running = world.start(options(decisions(one_set)));
    seconds(10).await;
    world.sandbox.reset_audit();
    seconds(3600).await;
    let others: Vec<_> = world.requests().into_iter().filter(|(entry, _)| entry.verb != "watch").collect();
    assert_eq!(others, []);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_nothing_to_do_writes_nothing_r_825() {
    let world = World::new().await;
    world.create("web").await;
    let first = world.start(options(decisions(one_set)));
    seconds(10).await;
    first.stop().await;
    world.sandbox.reset_audit();
    let started = tokio::time::Instant::now();
    let decided = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&decided);
    let second = world.start(options(decisions(move |snapshot| {
        seen.lock().unwrap().get_or_insert_with(|| started.elapsed());
        one_set(snapshot)
    })));
    seconds(60).await;
    assert_eq!(world.writes(), [] as [String; 0]);
    // The lease was given up in order, so the successor need not wait for it to expire (O-871).
    assert!(decided.lock().unwrap().unwrap() < Duration::from_secs(3));
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_never_sees_a_cache_older_than_our_own_last_write_r_292() {
    let world = World::new().await;
    let faults = Faults::new();
    let writes_seen_late = Arc::new(AtomicUsize::new(0));
    let stale = Arc::new(AtomicUsize::new(0));
    let (late, seen) = (Arc::clone(&writes_seen_late), Arc::clone(&stale));
    let options = options(decisions(move |snapshot| {
        let mut plan = Plan::default();
        let count = snapshot.rollout.status.replicas;
        if usize::try_from(count).unwrap() != late.load(Ordering::SeqCst) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
        if count < 5 {
            late.store(usize::try_from(count + 1).unwrap(), Ordering::SeqCst);
            plan.push(
                "count",
                Action::PatchStatus {
                    patch: json!({"status": {"replicas": count + 1, "phase": format!("{count}")}}),
                },
            );
        }
        plan
    }));
    let running = world.start_with(world.sandbox.client_with_layer(CONTROLLER, "default", &faults), options);
    seconds(5).await;
    faults.drop_watches();
    world.create("web").await;
    seconds(60).await;
    assert_eq!((writes_seen_late.load(Ordering::SeqCst), stale.load(Ordering::SeqCst)), (5, 0));
    running.stop().await;
}

/// Watches that stay open and say nothing any more, once it is set.
#[derive(Clone, Default)]
struct Silence(Arc<AtomicBool>);

impl Intercept for Silence {
    fn answer<S, B>(&self, inner: &mut S, request: Request<B>) -> Answering
    where
        S: tower::Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Send + 'static,
    {
        let (watch, answer, silent) = (is_watch(&request), inner.call(request), Arc::clone(&self.0));
        Box::pin(async move {
            let response = answer.await?;
            if !watch {
                return Ok(response);
            }
            Ok(response.map(|body| {
                let pieces = futures::stream::unfold(body.into_data_stream(), move |mut body| {
                    let silent = Arc::clone(&silent);
                    async move {
                        let piece = body.next().await?.ok()?;
                        if silent.load(Ordering::SeqCst) {
                            std::future::pending::<()>().await;
                        }
                        Some((Ok(piece), body))
                    }
                });
                Body::stream(Box::pin(pieces))
            }))
        })
    }
}

/// A write of one object made the shell forget what it had read of another.
#[tokio::test(start_paused = true)]
async fn while_watches_are_silent_every_decision_sees_every_earlier_write_r_292() {
    let world = World::new().await;
    let silence = Silence::default();
    let (sees, silent) = (Arc::new(Mutex::new(Vec::new())), silence.clone());
    let seen = Arc::clone(&sees);
    let options = options(decisions(move |snapshot| {
        if snapshot.rollout.status.current_pod_hash.is_empty() {
            return one_set(snapshot);
        }
        let mut plan = Plan::default();
        plan.wake_by(snapshot.now + jiff::SignedDuration::from_secs(10));
        if !silent.0.load(Ordering::SeqCst) {
            return plan;
        }
        let (counted, set) = (snapshot.rollout.status.replicas, &snapshot.replica_sets[0]);
        seen.lock().unwrap().push((counted, set.replicas()));
        if set.replicas() == counted && counted < 3 {
            let (name, to) = (set.metadata.name.clone(), counted + 1);
            let scale = Action::ScaleReplicaSet {
                name,
                from: counted,
                to,
                annotations: std::collections::BTreeMap::new(),
            };
            plan.push("scale", scale);
        } else if set.replicas() > counted {
            let patch = json!({"status": {"replicas": counted + 1}});
            plan.push("count", Action::PatchStatus { patch });
        }
        plan
    }));
    let layer = tower::layer::layer_fn(|service: ApiService| Intercepted::new(service, silence.clone()));
    let running = world.start_with(world.sandbox.client_with_layer(CONTROLLER, "default", &layer), options);
    world.create("web").await;
    seconds(5).await;
    silence.0.store(true, Ordering::SeqCst);
    seconds(60).await;
    running.stop().await;
    let mut sees = sees.lock().unwrap().clone();
    sees.dedup();
    assert_eq!(sees, [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_gathers_again_and_is_no_failure() {
    let world = World::new().await;
    let faults = Faults::new();
    let failures = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&failures);
    let options = options(decisions(move |snapshot| {
        seen.fetch_add(snapshot.failures.len(), Ordering::SeqCst);
        one_set(snapshot)
    }));
    let running = world.start_with(world.sandbox.client_with_layer(CONTROLLER, "default", &faults), options);
    seconds(5).await;
    for write in 0..8 {
        faults.on_write(faults.writes() + write, Fault::Conflict);
    }
    world.create("web").await;
    seconds(60).await;
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(world.list("apps", "v1", "ReplicaSet").await.len(), 1);
    assert_eq!(world.rollouts.get("web").await.unwrap().data["status"]["currentPodHash"], "abc");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_in_the_way_is_shown_to_the_next_decision_r_259_r_823() {
    let world = World::new().await;
    let existing = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&existing);
    let options = options(decisions(move |snapshot| {
        if let Some(failure) = snapshot.failures.first() {
            *seen.lock().unwrap() = Some(failure.clone());
            return Plan::default();
        }
        one_set(snapshot)
    }));
    let foreign = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-abc", "namespace": "default"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "other"}},
            "template": {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "web", "image": "a"}]}}}});
    let client = world.sandbox.client("test", "default");
    let sets: Api<DynamicObject> =
        Api::namespaced_with(client, "default", &resource("apps", "v1", "ReplicaSet"));
    sets.create(&PostParams::default(), &serde_json::from_value(foreign).unwrap()).await.unwrap();
    let running = world.start(options);
    world.create("web").await;
    seconds(10).await;
    let failure = existing.lock().unwrap().clone().unwrap();
    assert_eq!(
        (failure.verb.as_str(), failure.code, failure.reason.as_str()),
        ("createReplicaSet", 409, "AlreadyExists")
    );
    assert_eq!(failure.existing.unwrap()["spec"]["selector"]["matchLabels"]["app"], "other");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_panics_fails_alone_and_is_tried_again_r_291() {
    let world = World::new().await;
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let running = world.start(options(decisions(move |snapshot| {
        assert!(snapshot.rollout.metadata.name != "bad" || !is_broken.load(Ordering::SeqCst), "as planned");
        one_set(snapshot)
    })));
    world.create("bad").await;
    world.create("good").await;
    seconds(5).await;
    assert_eq!(world.list("apps", "v1", "ReplicaSet").await.len(), 1);
    broken.store(false, Ordering::SeqCst);
    seconds(15).await;
    assert_eq!(world.list("apps", "v1", "ReplicaSet").await.len(), 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_decided_at_once_even_while_a_key_waits_for_an_hour() {
    let world = World::new().await;
    let aborted_at = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&aborted_at);
    let running = world.start(options(decisions(move |snapshot| {
        let mut plan = one_set(snapshot);
        plan.wake_by(snapshot.now + jiff::SignedDuration::from_hours(1));
        if snapshot.rollout.status.abort {
            seen.lock().unwrap().get_or_insert_with(tokio::time::Instant::now);
        }
        plan
    })));
    world.create("web").await;
    seconds(100).await;
    let before = tokio::time::Instant::now();
    world
        .rollouts
        .patch_status("web", &PatchParams::default(), &Patch::Merge(json!({"status": {"abort": true}})))
        .await
        .unwrap();
    seconds(1).await;
    let took = aborted_at.lock().unwrap().unwrap() - before;
    assert!(took < Duration::from_millis(5), "{took:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_wakes_a_rollout_when_it_said() {
    let world = World::new().await;
    let decided = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&decided);
    let running = world.start(options(decisions(move |snapshot| {
        let mut plan = Plan::default();
        seen.lock().unwrap().push(snapshot.now);
        plan.wake_by(snapshot.now + jiff::SignedDuration::from_secs(300));
        plan
    })));
    world.create("web").await;
    seconds(1000).await;
    running.stop().await;
    let decided = decided.lock().unwrap();
    let gaps: Vec<i64> = decided.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    assert_eq!(gaps, [300, 300, 300]);
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_decides_and_its_successor_takes_over_when_it_stops_r_822() {
    let world = World::new().await;
    let decided = Arc::new(Mutex::new(Vec::new()));
    let start = |identity: &'static str| {
        let seen = Arc::clone(&decided);
        let mut options = options(decisions(move |_| {
            seen.lock().unwrap().push(identity);
            Plan::default()
        }));
        options.lease = LeaseOptions::new("default", "", identity);
        world.start(options)
    };
    let first = start("first");
    seconds(1).await;
    let second = start("second");
    world.create("a").await;
    seconds(120).await;
    assert!(decided.lock().unwrap().iter().all(|identity| *identity == "first"));
    first.stop().await;
    decided.lock().unwrap().clear();
    seconds(5).await;
    assert!(decided.lock().unwrap().contains(&"second"));
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_leaves_objects_of_others_alone_r_009() {
    let world = World::new().await;
    world.create("mine").await;
    world.create("other").await;
    world
        .patch(
            "other",
            json!({"metadata": {"labels": {"argo-rollouts.argoproj.io/controller-instance-id": "x"}}}),
        )
        .await;
    let running = world.start(options(decisions(one_set)));
    seconds(10).await;
    let sets = world.list("apps", "v1", "ReplicaSet").await;
    let names: Vec<_> = sets.iter().map(|set| set["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mine-abc"]);
    running.stop().await;
}
