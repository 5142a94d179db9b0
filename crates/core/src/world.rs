//! A toy cluster for tests: it applies plans to objects, lets pods become ready as told, and goes on until nothing
//! moves any more.
//!
//! It has no API server, no watches and no races: every plan is applied whole, and ReplicaSets follow at once. What
//! it shows is what decisions lead to, not how a cluster gets there.

use std::collections::BTreeMap;

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{AnalysisPhase, Rollout, Service, Time, names};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::plan::{Action, Plan};
use crate::rollout;
use crate::rollout::project::project;
use crate::snapshot::{RolloutSnapshot, Settings};
use crate::traffic::{CarriedWeights, RouterKind, RouterObservation};

/// What becomes of new pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Ready as soon as they exist.
    AtOnce,
    /// Ready after that many seconds.
    After(i64),
    /// Never ready.
    Never,
}

/// The toy cluster with one Rollout in it.
#[derive(Clone, Debug)]
pub struct World {
    /// What a decision sees.
    pub snapshot: RolloutSnapshot,
    /// What becomes of new pods, by image; pods of other images are ready at once.
    pub fates: BTreeMap<String, Fate>,
    /// Routers do not take new weights while this is set.
    pub routers_stuck: bool,
    /// Reasons of all events, in order.
    pub events: Vec<String>,
    /// Messages of all events, in order.
    pub messages: Vec<String>,
    /// `stable/canary` after each change of size.
    pub sizes: Vec<String>,
    /// Weights the routers were given, in order.
    pub weights: Vec<i32>,
    /// Actions that are API writes, by verb; events apart.
    pub writes: BTreeMap<&'static str, usize>,
    /// The last plan.
    pub last: Plan,
    pods: BTreeMap<String, Vec<Option<Timestamp>>>,
    created: i64,
    parked_routers: Vec<RouterObservation>,
}

impl World {
    /// A world with that Rollout, with every Service it names and `routers` routers.
    #[must_use]
    pub fn new(spec: Value, services: &[&str], routers: usize) -> Self {
        let object = json!({
            "apiVersion": names::API_VERSION, "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web", "generation": 1},
            "spec": spec,
        });
        let rollout: Rollout = serde_json::from_value(object).unwrap_or_default();
        let service = |name: &str| {
            let mut service = Service::default();
            service.metadata.name = name.to_owned();
            service.spec.selector.insert("app".to_owned(), "web".to_owned());
            service
        };
        let observation = RouterObservation {
            kind: RouterKind::Istio,
            objects: vec!["VirtualService shop/web".to_owned()],
            problem: None,
            weights: Some(CarriedWeights { canary: 0, stable: 100, additional: BTreeMap::new() }),
            canary_hash: None,
            stable_hash: None,
            referenced_hashes: Vec::new(),
            selects_by_hash: false,
            managed_routes: Vec::new(),
            verified: None,
        };
        let snapshot = RolloutSnapshot {
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50),
            settings: Settings::default(),
            rollout,
            workload: None,
            replica_sets: Vec::new(),
            services: services.iter().map(|name| ((*name).to_owned(), Some(service(name)))).collect(),
            routers: vec![observation; routers],
            analysis_templates: BTreeMap::new(),
            cluster_analysis_templates: BTreeMap::new(),
            analysis_runs: Vec::new(),
            experiments: Vec::new(),
            pods: Vec::new(),
            failures: Vec::new(),
            told: Vec::new(),
            others_waiting: 0,
        };
        Self {
            snapshot,
            fates: BTreeMap::new(),
            routers_stuck: false,
            events: Vec::new(),
            messages: Vec::new(),
            sizes: Vec::new(),
            weights: Vec::new(),
            writes: BTreeMap::new(),
            last: Plan::default(),
            pods: BTreeMap::new(),
            created: 0,
            parked_routers: Vec::new(),
        }
    }

    /// Changes the spec, which makes a new generation.
    pub fn edit(&mut self, change: impl FnOnce(&mut Rollout)) {
        change(&mut self.snapshot.rollout);
        self.snapshot.rollout.metadata.generation += 1;
    }

    /// Gives the template another image.
    pub fn set_image(&mut self, image: &str) {
        self.edit(|rollout| rollout.spec.template["spec"]["containers"][0]["image"] = json!(image));
    }

    /// Forgets what was written and told so far.
    pub fn forget(&mut self) {
        self.events.clear();
        self.messages.clear();
        self.sizes.clear();
        self.weights.clear();
        self.writes.clear();
    }

    /// Ends an AnalysisRun.
    pub fn end_run(&mut self, name: &str, phase: AnalysisPhase, message: &str) {
        for run in self.snapshot.analysis_runs.iter_mut().filter(|run| run.metadata.name == name) {
            run.status.phase = Some(phase);
            message.clone_into(&mut run.status.message);
        }
    }

    /// Number of API writes so far, events not counted.
    #[must_use]
    pub fn write_count(&self) -> usize {
        self.writes.values().sum()
    }

    /// The ReplicaSet of an image.
    #[must_use]
    pub fn set_of(&self, image: &str) -> Option<&ReplicaSet> {
        let has = |set: &&ReplicaSet| {
            set.spec.template.pointer("/spec/containers/0/image").and_then(Value::as_str) == Some(image)
        };
        self.snapshot.replica_sets.iter().find(has)
    }

    /// Decides once and applies the plan; returns whether anything was written or told.
    ///
    /// # Panics
    /// When the guard vetoed something: a plan should never need it.
    pub fn step(&mut self) -> bool {
        let plan = rollout::decide(&self.snapshot);
        assert!(plan.vetoes.is_empty(), "the guard had to step in: {:?}", plan.vetoes);
        // Asking a router again that does not listen moves nothing.
        let moves = |action: &Action| !(self.routers_stuck && matches!(action, Action::SetTraffic { .. }));
        let acted = plan.actions().any(moves);
        self.apply(&plan);
        self.last = plan;
        acted
    }

    /// Goes on until nothing moves and nothing is due within `seconds`.
    ///
    /// # Panics
    /// When the world never comes to rest.
    pub fn run_for(&mut self, seconds: i64) {
        let end = self.snapshot.now + SignedDuration::from_secs(seconds);
        for _ in 0..10_000 {
            let acted = self.step();
            let moved = self.settle();
            if acted || moved {
                continue;
            }
            match self.next_change().filter(|at| *at <= end) {
                Some(at) => {
                    let later = self.snapshot.now + SignedDuration::from_millis(1);
                    self.snapshot.now = at.max(later);
                    self.settle();
                }
                None => {
                    self.snapshot.now = self.snapshot.now.max(end);
                    return;
                }
            }
        }
        assert!(self.snapshot.now >= end, "the world never came to rest: {:?}", self.last);
    }

    /// Goes on until nothing moves, without letting time pass.
    pub fn run(&mut self) {
        self.run_for(0);
    }

    /// When something may happen by itself: a pod becomes ready, or the last plan asked to look again.
    #[must_use]
    pub fn next_change(&self) -> Option<Timestamp> {
        self.next_ready().into_iter().chain(self.last.wake_at).min()
    }

    fn next_ready(&self) -> Option<Timestamp> {
        self.pods.values().flatten().flatten().copied().filter(|at| *at > self.snapshot.now).min()
    }

    /// Applies a plan to the objects.
    pub fn apply(&mut self, plan: &Plan) {
        self.snapshot.failures.clear();
        self.snapshot.told.clone_from(&plan.standing);
        for action in plan.actions() {
            match action {
                Action::Emit(event) => {
                    self.events.push(event.reason.clone());
                    self.messages.push(event.message.clone());
                    continue;
                }
                other => *self.writes.entry(other.verb()).or_default() += 1,
            }
            let spec = self.snapshot.rollout.spec.clone();
            project(&mut self.snapshot, action);
            if self.snapshot.rollout.spec != spec {
                self.snapshot.rollout.metadata.generation += 1;
            }
            match action {
                Action::CreateReplicaSet { name, .. } => self.born(name),
                Action::ScaleReplicaSet { name, .. } => self.resized(name),
                Action::SetTraffic { wanted, .. } if !self.routers_stuck => {
                    self.weights.push(wanted.canary_weight);
                    for router in &mut self.snapshot.routers {
                        router.weights = Some(CarriedWeights {
                            canary: wanted.canary_weight,
                            stable: wanted.stable_weight,
                            additional: BTreeMap::new(),
                        });
                        router.managed_routes =
                            wanted.routes.iter().map(|route| route.name().to_owned()).collect();
                    }
                }
                Action::CreateAnalysisRun { name, .. } => {
                    let now = Time::new(self.snapshot.now);
                    for run in self.snapshot.analysis_runs.iter_mut().filter(|run| run.metadata.name == *name)
                    {
                        run.metadata.uid = format!("uid-{name}");
                        run.metadata.creation_timestamp = Some(now);
                        run.status.phase = Some(AnalysisPhase::Running);
                    }
                }
                _ => {}
            }
        }
    }

    fn born(&mut self, name: &str) {
        self.created += 1;
        let at = Time::new(self.snapshot.now).plus_seconds(self.created);
        for set in self.snapshot.replica_sets.iter_mut().filter(|set| set.metadata.name == name) {
            set.metadata.uid = format!("uid-{name}");
            set.metadata.creation_timestamp = Some(at);
        }
    }

    fn resized(&mut self, name: &str) {
        if let Some(set) = self.snapshot.replica_sets.iter_mut().find(|set| set.metadata.name == name) {
            set.metadata.generation += 1;
        }
        let spec_of = |hash: &str| {
            let found = self.snapshot.replica_sets.iter().find(|set| set.pod_hash() == hash);
            found.map_or_else(|| "-".to_owned(), |set| set.replicas().to_string())
        };
        let newest = self.snapshot.replica_sets.iter().max_by_key(|set| set.revision());
        let newest = newest.map(|set| set.pod_hash().to_owned()).unwrap_or_default();
        let stable = self.snapshot.rollout.status.stable_rs.clone();
        self.sizes.push(format!("{}/{}", spec_of(&stable), spec_of(&newest)));
    }

    /// Makes every pod ready from now on, those that never would be included.
    pub fn heal(&mut self) {
        self.fates.clear();
        for ready in self.pods.values_mut().flatten() {
            *ready = Some(ready.map_or(self.snapshot.now, |at| at.min(self.snapshot.now)));
        }
    }

    /// Shows the routers only while the strategy uses them; their routes stay as they are meanwhile.
    pub fn follow_routing(&mut self) {
        let routed = self.snapshot.rollout.spec.strategy.canary.as_ref();
        let routed = routed.is_some_and(|canary| canary.traffic_routing.is_some());
        if routed == self.snapshot.routers.is_empty() {
            std::mem::swap(&mut self.snapshot.routers, &mut self.parked_routers);
        }
    }

    /// Lets every pod of an image lose its readiness for good; new ones become what they become.
    pub fn crash(&mut self, image: &str) {
        let Some(name) = self.set_of(image).map(|set| set.metadata.name.clone()) else { return };
        for ready in self.pods.get_mut(&name).into_iter().flatten() {
            *ready = None;
        }
    }

    /// Lets ReplicaSets follow their specs; returns whether any status changed.
    pub fn settle(&mut self) -> bool {
        let now = self.snapshot.now;
        let mut changed = false;
        for set in &mut self.snapshot.replica_sets {
            let image = set.spec.template.pointer("/spec/containers/0/image").and_then(Value::as_str);
            let fate = image.and_then(|image| self.fates.get(image)).copied().unwrap_or(Fate::AtOnce);
            let pods = self.pods.entry(set.metadata.name.clone()).or_default();
            let wanted = usize::try_from(set.replicas()).unwrap_or(0);
            // Pods that are not ready go first.
            pods.sort_by_key(|ready| ready.unwrap_or(Timestamp::MAX));
            pods.truncate(wanted);
            while pods.len() < wanted {
                pods.push(match fate {
                    Fate::AtOnce => Some(now),
                    Fate::After(seconds) => Some(now + SignedDuration::from_secs(seconds)),
                    Fate::Never => None,
                });
            }
            let ready = pods.iter().flatten().filter(|at| **at <= now).count();
            let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
            let mut status = set.status.clone();
            status.replicas = count(wanted);
            status.ready_replicas = count(ready);
            status.available_replicas = count(ready);
            status.observed_generation = set.metadata.generation;
            changed |= status != set.status;
            set.status = status;
        }
        self.snapshot.replica_sets.retain(|set| !set.metadata.is_deleting());
        changed
    }
}
