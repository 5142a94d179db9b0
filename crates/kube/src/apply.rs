//! From plans to API calls: the only writer. Actions are performed in order and stop at the first that
//! fails; what was refused becomes part of the next snapshot.

use glidepath_api::{Rollout, names};
use glidepath_core::plan::{Action, Event, EventType, Plan};
use glidepath_core::snapshot::Failure;
use glidepath_core::traffic::{RouterKind, WantedTraffic};
use glidepath_traffic::Rendered;
use serde_json::{Map, Value, json};

use crate::cache::Awaited;
use crate::events::{Recorder, Subject};
use crate::gather::{Gatherer, Overlay};
use crate::metrics::Metrics;
use crate::object::ObjectKey;
use crate::queue::{Controller, Queue};
use crate::resource::{Kind, collection};
use crate::routers;
use crate::server::{ApiServer, RequestError, Written};

/// A write the caches must include before the next decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Kind of the object.
    pub kind: Kind,
    /// The object.
    pub key: ObjectKey,
    /// How to tell that the cache includes it.
    pub awaited: Awaited,
}

/// What came of applying a plan.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What was written.
    pub writes: Vec<Write>,
    /// What was refused.
    pub failures: Vec<Failure>,
    /// Something changed under the plan: gather again.
    pub conflict: bool,
}

/// Performs the plans of one object.
pub struct Applier<'a> {
    /// Where to write.
    pub server: &'a ApiServer,
    /// Where Events are written.
    pub recorder: &'a Recorder,
    /// Whose router objects and paths to use.
    pub gatherer: &'a Gatherer,
    /// Where to count.
    pub metrics: &'a Metrics,
    /// Whose plan it is.
    pub controller: Controller,
    /// The object the plan is about.
    pub key: &'a ObjectKey,
    /// The same, for Events.
    pub subject: &'a Subject,
    /// The Rollout, when it is one.
    pub rollout: Option<&'a Rollout>,
    /// What was read directly for this round.
    pub overlay: &'a Overlay,
    /// What else waits for a decision.
    pub queue: &'a Queue,
    /// A person waits: the client-side rate limit does not apply.
    pub urgent: bool,
}

enum Halt {
    Refused(RequestError),
    Conflict,
    Unusable(String),
}

impl From<RequestError> for Halt {
    fn from(error: RequestError) -> Self {
        // Conflict on an update means that something changed; AlreadyExists is for the next decision.
        if error.code() == 409 && error.reason() != "AlreadyExists" {
            Self::Conflict
        } else {
            Self::Refused(error)
        }
    }
}

impl Applier<'_> {
    /// Performs the actions in order; stops at the first that fails.
    pub async fn apply(&self, plan: &Plan) -> Applied {
        let mut applied = Applied::default();
        for action in plan.actions() {
            let outcome = self.perform(action, &mut applied).await;
            let (code, reason, message) = match outcome {
                Ok(()) => continue,
                Err(Halt::Conflict) => {
                    applied.conflict = true;
                    break;
                }
                Err(Halt::Refused(error)) => (error.code(), error.reason().to_owned(), error.to_string()),
                Err(Halt::Unusable(message)) => (0, String::new(), message),
            };
            let object = self.object_of(action);
            tracing::warn!(
                namespace = &*self.key.namespace,
                name = &*self.key.name,
                action = action.verb(),
                object,
                code,
                "a write was refused: {message}"
            );
            let existing = self.fetch_existing(action, &reason).await;
            applied.failures.push(Failure {
                verb: action.verb().to_owned(),
                object,
                code,
                reason,
                message,
                existing,
                at: self.gatherer.clock.now(),
            });
            // The old workload is nothing the release depends on, nor are labels of a pod that may not be
            // changed; and a pod that a disruption budget protects is skipped.
            let goes_on = match action {
                Action::ScaleDeployment { .. } => true,
                Action::PatchPod { .. } => (400..500).contains(&code),
                Action::EvictPod { .. } => code == 429,
                _ => false,
            };
            if !goes_on {
                break;
            }
        }
        applied
    }

    async fn perform(&self, action: &Action, applied: &mut Applied) -> Result<(), Halt> {
        if !self.urgent {
            self.server.wait_for_turn().await;
        }
        if !matches!(action, Action::Emit(_) | Action::EmitOnRollout { .. }) {
            tracing::debug!(
                namespace = &*self.key.namespace,
                name = &*self.key.name,
                action = action.verb(),
                object = self.object_of(action),
                "writing"
            );
        }
        match action {
            Action::Emit(event) => {
                self.emit(event);
                Ok(())
            }
            Action::EmitOnRollout { name, uid, event } => {
                self.emit_on_rollout(name, uid, event);
                Ok(())
            }
            Action::CreateReplicaSet { object, .. } => self.create(Kind::ReplicaSet, object, applied).await,
            Action::CreateAnalysisRun { object, .. } => self.create(Kind::AnalysisRun, object, applied).await,
            Action::CreateExperiment { object, .. } => self.create(Kind::Experiment, object, applied).await,
            Action::CreateService { object, .. } => self.create(Kind::Service, object, applied).await,
            Action::CreateJob { object, .. } => self.create(Kind::Job, object, applied).await,
            Action::ScaleReplicaSet { name, to, annotations, .. } => {
                let mut patch = json!({"spec": {"replicas": to}});
                if !annotations.is_empty() {
                    patch["metadata"] = json!({"annotations": annotations});
                }
                self.merge(Kind::ReplicaSet, name, &patch, applied).await
            }
            Action::PatchReplicaSet { name, patch } => {
                self.merge(Kind::ReplicaSet, name, patch, applied).await
            }
            Action::ScaleDeployment { name, to, .. } => {
                self.merge(Kind::Deployment, name, &json!({"spec": {"replicas": to}}), applied).await
            }
            Action::SwitchService { name, to, adopt, .. } => {
                self.merge(
                    Kind::Service,
                    name,
                    &selector_patch(to, adopt.then_some(&*self.key.name)),
                    applied,
                )
                .await
            }
            Action::SetTraffic { router, wanted } => self.set_traffic(router, wanted, applied).await,
            Action::TerminateAnalysisRun { name } => {
                self.merge(Kind::AnalysisRun, name, &json!({"spec": {"terminate": true}}), applied).await
            }
            Action::TerminateExperiment { name } => {
                self.merge(Kind::Experiment, name, &json!({"spec": {"terminate": true}}), applied).await
            }
            Action::DeleteReplicaSet { name, uid } => self.delete(Kind::ReplicaSet, name, uid, applied).await,
            Action::DeleteAnalysisRun { name, uid } => {
                self.delete(Kind::AnalysisRun, name, uid, applied).await
            }
            Action::DeleteExperiment { name, uid } => self.delete(Kind::Experiment, name, uid, applied).await,
            Action::DeleteService { name, uid } => self.delete(Kind::Service, name, uid, applied).await,
            Action::DeleteJob { name, uid } => self.delete(Kind::Job, name, uid, applied).await,
            Action::EvictPod { name, uid } => self.evict(name, uid).await,
            Action::PatchPod { name, patch, .. } => self.patch_pod(name, patch).await,
            Action::PatchSelf { patch } => {
                let path = self.gatherer.path(self.own_kind(), self.key);
                let stored = self.server.merge(&path, patch).await?;
                applied.writes.push(self.reached(self.own_kind(), &stored));
                Ok(())
            }
            Action::PatchStatus { patch } => {
                if !self.urgent && !self.queue.is_busy() {
                    self.recorder.told(self.subject).await;
                }
                self.patch_status(patch, applied).await
            }
        }
    }

    fn emit(&self, event: &Event) {
        self.emit_about(self.subject, event);
    }

    fn emit_on_rollout(&self, name: &str, uid: &str, event: &Event) {
        let subject = Subject {
            api_version: names::API_VERSION,
            kind: names::KIND_ROLLOUT,
            namespace: self.key.namespace.to_string(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            resource_version: String::new(),
        };
        self.emit_about(&subject, event);
    }

    /// Records an Event; those on Rollouts are counted.
    fn emit_about(&self, subject: &Subject, event: &Event) {
        if subject.kind == names::KIND_ROLLOUT {
            self.metrics.count_event(&self.sibling(&subject.name), event);
        }
        log_event(subject, event);
        self.recorder.record(subject, event, self.gatherer.clock.now());
    }

    fn own_kind(&self) -> Kind {
        match self.controller {
            Controller::Rollouts
            | Controller::Services
            | Controller::DestinationRules
            | Controller::Ingresses => Kind::Rollout,
            Controller::Experiments => Kind::Experiment,
            Controller::AnalysisRuns => Kind::AnalysisRun,
        }
    }

    fn sibling(&self, name: &str) -> ObjectKey {
        ObjectKey { namespace: self.key.namespace.clone(), name: name.into() }
    }

    fn reached(&self, kind: Kind, stored: &Written) -> Write {
        let (name, version) = stored.identity();
        Write { kind, key: self.sibling(&name), awaited: Awaited::Reached(version) }
    }

    async fn create(&self, kind: Kind, object: &Value, applied: &mut Applied) -> Result<(), Halt> {
        let path = kind.collection(&self.gatherer.version(kind), &self.key.namespace);
        let stored = self.server.create(&path, object).await?;
        applied.writes.push(self.reached(kind, &stored));
        Ok(())
    }

    async fn merge(&self, kind: Kind, name: &str, patch: &Value, applied: &mut Applied) -> Result<(), Halt> {
        let path = self.gatherer.path(kind, &self.sibling(name));
        match self.server.merge(&path, patch).await {
            Ok(stored) => {
                applied.writes.push(self.reached(kind, &stored));
                Ok(())
            }
            // It vanished under the plan.
            Err(RequestError::Refused { code: 404, .. }) if kind == Kind::ReplicaSet => Err(Halt::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, kind: Kind, name: &str, uid: &str, applied: &mut Applied) -> Result<(), Halt> {
        let propagation = if kind == Kind::Job { "Foreground" } else { "Background" };
        let path = self.gatherer.path(kind, &self.sibling(name));
        match self.server.delete(&path, uid, propagation).await {
            // A conflict says that another object bears the name by now: the next decision sees which.
            Ok(()) | Err(RequestError::Refused { code: 404, .. }) => {
                let awaited = Awaited::Gone(uid.into());
                applied.writes.push(Write { kind, key: self.sibling(name), awaited });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Pods are not cached; the next round reads them again.
    async fn patch_pod(&self, name: &str, patch: &Value) -> Result<(), Halt> {
        let path = format!("{}/{name}", collection("", "v1", "pods", &self.key.namespace));
        match self.server.merge(&path, patch).await {
            Ok(_) | Err(RequestError::Refused { code: 404, .. }) => Ok(()),
            // A conflict may mean another pod of that name or nothing at all: the next look at the pods tells.
            Err(error) => Err(error.into()),
        }
    }

    async fn evict(&self, name: &str, uid: &str) -> Result<(), Halt> {
        let namespace = &*self.key.namespace;
        let path = format!("{}/{name}/eviction", collection("", "v1", "pods", namespace));
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        });
        match self.server.create(&path, &eviction).await {
            Ok(_) | Err(RequestError::Refused { code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn set_traffic(
        &self,
        router: &RouterKind,
        wanted: &WantedTraffic,
        applied: &mut Applied,
    ) -> Result<(), Halt> {
        let Some(rollout) = self.rollout else { return Ok(()) };
        let objects = self.gatherer.router_objects(rollout, router, self.overlay);
        let objects = objects.map_err(|error| Halt::Unusable(error.to_string()))?;
        let rendered =
            glidepath_traffic::render(router, rollout, &objects, wanted).map_err(Halt::Unusable)?;
        for Rendered { object, document, is_new, events } in rendered {
            let reference = routers::reference(&object);
            let path = self.gatherer.path(reference.kind, &reference.key);
            let stored = if is_new {
                self.server.create(parent(&path), &document).await?
            } else {
                self.server.replace(&path, &document).await?
            };
            let awaited = Awaited::Reached(stored.identity().1);
            applied.writes.push(Write { kind: reference.kind, key: reference.key, awaited });
            for (reason, message) in events {
                let event = Event { event_type: EventType::Normal, reason: reason.to_owned(), message };
                self.emit(&event);
            }
        }
        Ok(())
    }

    /// Rollouts have a status subresource; AnalysisRuns and Experiments have none (O-014).
    async fn patch_status(&self, patch: &Value, applied: &mut Applied) -> Result<(), Halt> {
        let kind = self.own_kind();
        let mut path = self.gatherer.path(kind, self.key);
        if kind == Kind::Rollout {
            path.push_str("/status");
        }
        let stored = self.server.merge(&path, patch).await?;
        applied.writes.push(self.reached(kind, &stored));
        let finished_now = patch.pointer("/status/duration/finishedAt").is_some_and(|at| !at.is_null());
        if kind == Kind::Rollout
            && finished_now
            && let Ok(rollout) = stored.decode::<Rollout>()
            && let Some(duration) = rollout.status.duration
        {
            self.metrics.rollout_finished(&duration);
        }
        Ok(())
    }

    /// Name of the object an action is about.
    fn object_of(&self, action: &Action) -> String {
        action.object_name().unwrap_or(&self.key.name).to_owned()
    }

    /// With `AlreadyExists`: the object in the way, so that the next decision can judge it.
    async fn fetch_existing(&self, action: &Action, reason: &str) -> Option<Value> {
        if reason != "AlreadyExists" {
            return None;
        }
        let (kind, name) = match action {
            Action::CreateReplicaSet { name, .. } => (Kind::ReplicaSet, name),
            Action::CreateAnalysisRun { name, .. } => (Kind::AnalysisRun, name),
            Action::CreateExperiment { name, .. } => (Kind::Experiment, name),
            Action::CreateService { name, .. } => (Kind::Service, name),
            Action::CreateJob { name, .. } => (Kind::Job, name),
            _ => return None,
        };
        self.server.get(&self.gatherer.path(kind, &self.sibling(name))).await.ok()
    }
}

/// The collection of the object at a path.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(collection, _)| collection)
}

/// Moves a Service's selector, and claims the Service when `owner` is given.
fn selector_patch(hash: &str, owner: Option<&str>) -> Value {
    let mut patch = Map::new();
    patch.insert("spec".to_owned(), json!({"selector": {names::POD_TEMPLATE_HASH: hash}}));
    if let Some(owner) = owner {
        patch.insert("metadata".to_owned(), json!({"annotations": {names::MANAGED_BY: owner}}));
    }
    Value::Object(patch)
}

/// Logs an Event as log pipelines know it (O-400, O-488).
fn log_event(subject: &Subject, event: &Event) {
    let (namespace, name, event_reason) = (&*subject.namespace, &*subject.name, &*event.reason);
    let message = &event.message;
    match (subject.kind, event.event_type) {
        ("Rollout", EventType::Normal) => {
            tracing::info!(namespace, rollout = name, event_reason, "{message}");
        }
        ("Rollout", _) => tracing::warn!(namespace, rollout = name, event_reason, "{message}"),
        ("Experiment", _) => tracing::info!(namespace, experiment = name, event_reason, "{message}"),
        _ => tracing::info!(namespace, analysisrun = name, event_reason, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_touches_only_the_hash_and_the_annotation_when_it_adopts_r_740() {
        assert_eq!(
            selector_patch("abc", None),
            json!({"spec": {"selector": {"rollouts-pod-template-hash": "abc"}}})
        );
        assert_eq!(
            selector_patch("abc", Some("web")),
            json!({"spec": {"selector": {"rollouts-pod-template-hash": "abc"}},
                "metadata": {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}}})
        );
    }

    #[test]
    fn a_conflict_means_gather_again_and_an_existing_object_is_a_failure_to_judge() {
        let refused = |code, reason: &str| RequestError::Refused {
            code,
            reason: reason.into(),
            message: String::new(),
        };
        assert!(matches!(Halt::from(refused(409, "Conflict")), Halt::Conflict));
        assert!(matches!(Halt::from(refused(409, "AlreadyExists")), Halt::Refused(_)));
        assert!(matches!(Halt::from(refused(403, "Forbidden")), Halt::Refused(_)));
    }
}
