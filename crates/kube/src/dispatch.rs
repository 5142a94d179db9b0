//! From what the caches learned to what must be decided anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glidepath_api::names::MANAGED_BY;
use glidepath_api::{Experiment, ObjectMeta, Rollout, Service};
use tokio::sync::Notify;

use crate::cache::{Caches, Change};
use crate::events::Subject;
use crate::measure::Measurer;
use crate::metrics::Metrics;
use crate::object::{ObjectKey, Stored};
use crate::queue::{Controller, Queue, WorkKey};
use crate::references::{self, Reference, ReferenceIndex};
use crate::resource::Kind;
use crate::watch::Sink;

/// How long routine events gather before they are looked at together.
const COALESCE: Duration = Duration::from_millis(25);
/// How long changes of ReplicaSets gather: pods become ready one after the other, and each count by itself would be
/// a decision and often a write. It delays a step by no more than this.
const COALESCE_PODS: Duration = Duration::from_millis(100);
/// Stands for every template of a namespace: templates may lead to others.
const ANY_TEMPLATE: &str = "*";

/// As much of an object as tells whose it is.
#[derive(serde::Deserialize)]
pub(crate) struct Managed {
    pub(crate) metadata: ObjectMeta,
}

/// Turns changes into work.
pub struct Dispatcher {
    pub(crate) caches: Arc<Caches>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) measurer: Arc<Measurer>,
    pub(crate) references: Arc<ReferenceIndex>,
    /// Rollouts that were deleted and whose deletion has not been told yet.
    pub(crate) deleted: Mutex<HashMap<ObjectKey, Subject>>,
    /// Signalled when a kind is synced or a reference appears.
    pub(crate) progress: Notify,
}

/// The controller of a kind that has one.
const fn controller_of(kind: Kind) -> Option<Controller> {
    match kind {
        Kind::Rollout => Some(Controller::Rollouts),
        Kind::Experiment => Some(Controller::Experiments),
        Kind::AnalysisRun => Some(Controller::AnalysisRuns),
        _ => None,
    }
}

/// The controller that gives back objects of a kind that no Rollout names any more; only kinds that bear the mark of the
/// Rollout that writes to them have one.
const fn releasing(kind: Kind) -> Option<Controller> {
    match kind {
        Kind::Service => Some(Controller::Services),
        Kind::DestinationRule => Some(Controller::DestinationRules),
        Kind::Ingress => Some(Controller::Ingresses),
        _ => None,
    }
}

impl Sink for Dispatcher {
    fn changed(&self, change: &Change) {
        match change.kind {
            Kind::Rollout | Kind::Experiment | Kind::AnalysisRun => self.own_change(change),
            Kind::ReplicaSet => self.replica_set_change(change),
            Kind::Job => self.wake_owners(change, Duration::ZERO),
            Kind::Service | Kind::DestinationRule | Kind::Ingress => self.marked_change(change),
            Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate => {
                self.wake_sources(change.kind, &ObjectKey::new(&change.key.namespace, ANY_TEMPLATE));
            }
            Kind::Deployment | Kind::PlainReplicaSet | Kind::PodTemplate => self.workload_change(change),
            Kind::VirtualService | Kind::HttpRoute | Kind::GrpcRoute | Kind::TcpRoute | Kind::TlsRoute => {
                self.wake_sources(change.kind, &change.key);
            }
        }
    }

    fn synced(&self, kind: Kind) {
        tracing::debug!(resource = kind.plural(), "cache synced");
        self.progress.notify_one();
    }
}

impl Dispatcher {
    /// A change of an object that has a controller of its own.
    fn own_change(&self, change: &Change) {
        let Some(controller) = controller_of(change.kind) else { return };
        let key = WorkKey { controller, object: change.key.clone() };
        match (&change.before, &change.after) {
            (_, None) => self.forget(change, &key),
            (before, Some(after)) => {
                if before
                    .as_ref()
                    .is_none_or(|before| before.generation != after.generation || after.generation == 0)
                {
                    self.index(change.kind, &key, after);
                }
            }
        }
        if is_steered(change) {
            self.queue.add_urgent(&key);
        } else {
            self.queue.add_after(&key, Duration::ZERO);
        }
        // Owners of runs care for the phase alone.
        let same_phase = matches!((&change.before, &change.after),
            (Some(before), Some(after)) if before.steering == after.steering && change.kind == Kind::AnalysisRun);
        if !same_phase {
            self.wake_owners(change, Duration::ZERO);
        }
    }

    fn forget(&self, change: &Change, key: &WorkKey) {
        self.metrics.object_deleted(change.kind, &change.key);
        let dropped = self.references.set(key, Vec::new());
        self.clean(dropped);
        let Some(before) = &change.before else { return };
        match change.kind {
            Kind::AnalysisRun => self.measurer.forget_run(&change.key, &before.uid),
            Kind::Rollout => {
                let subject = Subject {
                    api_version: glidepath_api::names::API_VERSION,
                    kind: "Rollout",
                    namespace: change.key.namespace.to_string(),
                    name: change.key.name.to_string(),
                    uid: before.uid.to_string(),
                    resource_version: String::new(),
                };
                self.deleted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(change.key.clone(), subject);
            }
            _ => {}
        }
    }

    /// Notes what an object refers to. One that does not fit its type refers to nothing; its own
    /// decision reports it.
    fn index(&self, kind: Kind, key: &WorkKey, stored: &Stored) {
        let namespace = &*key.object.namespace;
        let service = |name: &String| Reference { kind: Kind::Service, key: ObjectKey::new(namespace, name) };
        let mut targets = Vec::new();
        let mut templates = Vec::new();
        if kind == Kind::Rollout
            && let Ok(rollout) = stored.decode::<Rollout>()
        {
            targets.extend(references::service_names(&rollout).iter().map(service));
            targets.extend(references::router_objects(&rollout));
            targets.extend(references::workloads(&rollout));
            templates = references::rollout_templates(&rollout);
        } else if kind == Kind::Experiment
            && let Ok(experiment) = stored.decode::<Experiment>()
        {
            templates = references::experiment_templates(&experiment);
        }
        for (kind, namespace) in [(Kind::AnalysisTemplate, namespace), (Kind::ClusterAnalysisTemplate, "")] {
            if !templates.is_empty() {
                targets.push(Reference { kind, key: ObjectKey::new(namespace, ANY_TEMPLATE) });
            }
        }
        let needs_watch = targets.iter().any(|target| !target.kind.is_required());
        let dropped = self.references.set(key, targets);
        self.clean(dropped);
        if needs_watch {
            self.progress.notify_one();
        }
    }

    /// Looks at what a Rollout no longer names (R-745, T-246, T-340).
    fn clean(&self, dropped: Vec<Reference>) {
        for Reference { kind, key } in dropped {
            if let Some(controller) = releasing(kind) {
                self.queue.add_after(&WorkKey { controller, object: key }, COALESCE);
            }
        }
    }

    fn replica_set_change(&self, change: &Change) {
        self.wake_owners(change, COALESCE_PODS);
        let is_orphan = |stored: &Stored| stored.owner.is_empty();
        if [&change.before, &change.after].into_iter().flatten().any(is_orphan) {
            // Rare: somebody's selector may match it.
            for object in self.caches.keys(Kind::Rollout) {
                if object.namespace == change.key.namespace {
                    self.queue.add_after(&WorkKey { controller: Controller::Rollouts, object }, COALESCE);
                }
            }
        }
    }

    fn wake_owners(&self, change: &Change, delay: Duration) {
        let owners = [&change.before, &change.after]
            .into_iter()
            .flatten()
            .filter_map(|stored| stored.owner_object.as_ref());
        for (kind, name) in owners {
            if let Some(controller) = controller_of(*kind) {
                let object =
                    ObjectKey { namespace: Arc::clone(&change.key.namespace), name: Arc::clone(name) };
                self.queue.add_after(&WorkKey { controller, object }, delay);
            }
        }
    }

    /// A workload changed that Rollouts may refer to. Its status is its own affair, and that it is gone hurts nobody
    /// until a template is needed again; another object of the same name is a change whatever its generation says.
    fn workload_change(&self, change: &Change) {
        let Some(after) = &change.after else { return };
        let same = |before: &Stored| before.generation == after.generation && before.uid == after.uid;
        if !change.before.as_ref().is_some_and(same) {
            self.wake_sources(change.kind, &change.key);
        }
    }

    fn wake_sources(&self, kind: Kind, key: &ObjectKey) {
        for source in self.references.sources(&Reference { kind, key: key.clone() }) {
            self.queue.add_after(&source, COALESCE);
        }
    }

    fn marked_change(&self, change: &Change) {
        self.wake_sources(change.kind, &change.key);
        if change.kind == Kind::Service {
            self.wake_owners(change, COALESCE);
        }
        let (Some(after), Some(controller)) = (&change.after, releasing(change.kind)) else { return };
        // Before the Rollouts are known nothing can be said; the shell looks again once they are.
        if self.caches.is_synced(Kind::Rollout) && self.is_stray(change.kind, &change.key, after) {
            self.queue.add_after(&WorkKey { controller, object: change.key.clone() }, COALESCE);
        }
    }

    /// Looks at everything that bears the mark of a Rollout and that no Rollout names, once all are known.
    pub(crate) fn review_released(&self) {
        for kind in Kind::ALL {
            let Some(controller) = releasing(kind) else { continue };
            let mut found = Vec::new();
            self.caches.each(kind, |key, stored| {
                if self.is_stray(kind, key, stored) {
                    found.push(WorkKey { controller, object: key.clone() });
                }
            });
            found.iter().for_each(|key| self.queue.add_after(key, COALESCE));
        }
    }

    fn is_stray(&self, kind: Kind, key: &ObjectKey, stored: &Stored) -> bool {
        match kind {
            Kind::Service => stored.decode::<Service>().is_ok_and(|service| {
                !service.selected_hash().is_empty()
                    && !self.names(kind, key, service.metadata.annotation(MANAGED_BY))
            }),
            Kind::DestinationRule => stored.decode::<Managed>().is_ok_and(|rule| {
                let manager = rule.metadata.annotation(MANAGED_BY);
                manager.is_some() && !self.names(kind, key, manager)
            }),
            Kind::Ingress => stored.decode::<Managed>().is_ok_and(|ingress| {
                let managers = glidepath_traffic::alb::managers(&ingress.metadata);
                managers.iter().any(|manager| !self.names(kind, key, Some(manager)))
            }),
            _ => false,
        }
    }

    /// Whether the Rollout that is said to manage an object names it; without such a word, whether any does.
    pub(crate) fn names(&self, kind: Kind, key: &ObjectKey, manager: Option<&str>) -> bool {
        let sources = self.references.sources(&Reference { kind, key: key.clone() });
        sources.iter().any(|source| manager.is_none_or(|manager| *source.object.name == *manager))
    }
}

/// Whether a person (or another controller) changed what they steer with: spec, abort, promotion, pauses.
fn is_steered(change: &Change) -> bool {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            before.generation != after.generation
                || (before.steering != after.steering && change.kind == Kind::Rollout)
        }
        _ => false,
    }
}
