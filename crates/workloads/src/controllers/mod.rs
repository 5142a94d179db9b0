//! The workload controllers. Each is a pure `plan_…` function over cached objects and a thin loop that
//! gathers, plans and applies.

pub mod autoscaler;
pub mod deployment;
pub mod disruption;
pub mod endpoint_slice;
pub mod garbage;
pub mod job;
pub mod job_policy;
pub mod job_tally;
pub mod namespace;
pub mod node_lifecycle;
pub mod node_usage;
pub mod owner_graph;
pub mod pod_gc;
pub mod pod_set;
pub mod replica_set;
pub mod scheduler;
pub mod service_account;
pub mod taint_eviction;

use std::sync::Arc;
use std::time::Duration;

use glidepath_clock::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::{Api, is_already_exists};
use crate::cache::{Cache, Change, Hub};
use crate::object::{Key, Object, api_time};
use crate::queue::{Again, Queue};
use crate::resource::{EVENTS, Resource};

/// What every controller works with.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub api: Api,
    /// The shared caches.
    pub hub: Arc<Hub>,
    /// The time.
    pub clock: Clock,
    /// Whether to record events about what was done.
    pub events: bool,
}

impl Context {
    /// Records an event about `object`, if events are wanted. Losing one is no failure.
    pub async fn send_event(&self, resource: &Resource, object: &Object, source: &str, note: &Note) {
        if !self.events {
            return;
        }
        let now = self.clock.now();
        let name = format!("{}.{:x}{:04x}", object.name(), now.as_nanosecond(), fastrand::u16(..));
        let namespace = if object.namespace().is_empty() { "default" } else { object.namespace() };
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": resource.api_version(), "kind": resource.kind, "name": object.name(),
                "namespace": object.namespace(), "uid": object.uid(), "resourceVersion": object.resource_version(),
            },
            "type": if note.warning { "Warning" } else { "Normal" },
            "reason": note.reason,
            "message": note.message,
            "source": {"component": source},
            "reportingComponent": source,
            "reportingInstance": "",
            "firstTimestamp": api_time(now),
            "lastTimestamp": api_time(now),
            "count": 1,
        });
        if let Err(error) = self.api.send_create(&EVENTS, namespace, &event).await {
            tracing::debug!(%error, reason = note.reason, "cannot record an event");
        }
    }

    /// How long from now until `at`, as a request to be called again.
    #[must_use]
    pub fn again_at(&self, at: Option<Timestamp>) -> Again {
        at.map(|at| self.clock.until(at))
    }
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// CamelCase reason.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// Whether it is a warning.
    pub warning: bool,
}

impl Note {
    /// A normal event.
    #[must_use]
    pub fn normal(reason: &'static str, message: String) -> Self {
        Self { reason, message, warning: false }
    }

    /// A warning.
    #[must_use]
    pub fn warning(reason: &'static str, message: String) -> Self {
        Self { reason, message, warning: true }
    }
}

/// How long changes of dependents are gathered before their controller looks: many pods that become ready
/// together should be one status write, not one each.
const GATHERING: Duration = Duration::from_millis(2);

/// Queues the key of every object of a cache that changes.
pub(crate) fn queue_own_keys(cache: &Cache, queue: &Arc<Queue<Key>>) {
    let queue = Arc::clone(queue);
    cache.subscribe(move |change| {
        if let Some(object) = change.latest() {
            queue.add(object.key());
        }
    });
}

/// The pods that are bound to a node.
pub(crate) fn pods_of_node(pods: &Cache, node: &str) -> impl Iterator<Item = Object> {
    pods.list(None).into_iter().filter(move |pod| pod.text("/spec/nodeName") == Some(node))
}

/// As [`queue_own_keys`], but not for changes of the status alone: a controller need not answer itself.
pub(crate) fn queue_spec_changes(cache: &Cache, queue: &Arc<Queue<Key>>) {
    let queue = Arc::clone(queue);
    cache.subscribe(move |change| {
        let facts = |object: &Object| {
            let metadata = ["labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp"];
            let metadata =
                metadata.map(|field| object.at("/metadata").and_then(|all| all.get(field)).cloned());
            (object.uid().to_owned(), object.generation(), metadata)
        };
        if change.new.is_none() || change.old.as_ref().map(facts) != change.new.as_ref().map(facts) {
            change.latest().into_iter().for_each(|object| queue.add(object.key()));
        }
    });
}

/// Queues the managing controller of kind `kind` of every object of a cache that changes, before and after.
/// Changes that come together are looked at together.
pub(crate) fn queue_controllers(cache: &Cache, kind: &'static str, queue: &Arc<Queue<Key>>) {
    let queue = Arc::clone(queue);
    cache.subscribe(move |change: &Change| {
        for object in [&change.old, &change.new].into_iter().flatten() {
            if let Some(owner) = object.controller().filter(|owner| owner.kind == kind) {
                queue.add_after(Key::new(object.namespace(), owner.name), GATHERING);
            }
        }
    });
}

/// The reference a controller puts on what it creates.
pub(crate) fn controller_reference(resource: &Resource, owner: &Object) -> Value {
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "name": owner.name(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Creates an object and treats one that is already there as done.
pub(crate) async fn apply_create_if_absent(
    api: &Api,
    resource: &Resource,
    namespace: &str,
    body: &Value,
) -> kube::Result<()> {
    match api.send_create(resource, namespace, body).await {
        Err(error) if !is_already_exists(&error) => Err(error),
        _ => Ok(()),
    }
}

/// A merge patch that turns `old` into `new` on the fields `new` mentions: `null` in `new` removes.
/// `None` if nothing would change.
#[must_use]
pub fn render_merge(old: Option<&Value>, new: &Value) -> Option<Value> {
    match (old, new) {
        (None | Some(Value::Null), Value::Null) => None,
        (Some(Value::Object(old)), Value::Object(new)) => {
            let patch: serde_json::Map<String, Value> = new
                .iter()
                .filter_map(|(field, value)| {
                    render_merge(old.get(field), value).map(|value| (field.clone(), value))
                })
                .collect();
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (Some(old), new) if old == new => None,
        (_, new) => Some(new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_holds_only_what_differs() {
        let old = json!({"replicas": 2, "ready": 1, "list": [1]});
        let table = [
            (json!({"replicas": 2, "ready": 1}), None),
            (json!({"replicas": 3, "ready": 1}), Some(json!({"replicas": 3}))),
            (json!({"ready": null, "gone": null}), Some(json!({"ready": null}))),
            (json!({"list": [1, 2]}), Some(json!({"list": [1, 2]}))),
        ];
        for (new, patch) in table {
            assert_eq!(render_merge(Some(&old), &new), patch, "{new}");
        }
    }
}
