//! Pods nobody will ever finish: those bound to a node that no longer exists, and those deleted before they were
//! bound. They are removed by force.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::pod_set::is_finished;
use super::taint_eviction::plan_disrupted;
use super::{Context, pods_of_node, queue_own_keys};
use crate::api::{DeleteOptions, is_conflict, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object};
use crate::queue::{Again, Queue};
use crate::resource::{NODES, PODS};

/// How long a node must be missing before its pods are.
const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// It is looked at again then.
    Watched(Timestamp),
    /// Its node is gone: it is marked failed and removed.
    Orphaned,
    /// It was deleted before it had a node: it is removed.
    Unscheduled,
}

/// Decides about a pod; `missing_since` is when its node was first found missing.
#[must_use]
pub fn plan_pod(pod: &Object, missing_since: Option<Timestamp>, now: Timestamp) -> Fate {
    match (pod.text("/spec/nodeName").filter(|name| !name.is_empty()), missing_since) {
        (None, _) if pod.is_deleting() => Fate::Unscheduled,
        (Some(_), Some(since)) => match since.saturating_add(QUARANTINE).unwrap_or(Timestamp::MAX) {
            at if at <= now => Fate::Orphaned,
            at => Fate::Watched(at),
        },
        _ => Fate::Kept,
    }
}

/// When nodes that pods are bound to were first found missing.
type Missing = Mutex<HashMap<String, Timestamp>>;

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let nodes = context.hub.cache(&NODES);
    let pods = context.hub.cache(&PODS);
    let missing = Missing::default();
    queue_own_keys(&pods, &queue);
    let (again, all) = (Arc::clone(&queue), Arc::clone(&pods));
    nodes.subscribe(move |change| {
        if let (Some(node), None) = (&change.old, &change.new) {
            pods_of_node(&all, node.name()).for_each(|pod| again.add(pod.key()));
        }
    });
    nodes.wait_synced().await;
    pods.wait_synced().await;
    queue.drive(4, |key| reconcile(&context, &nodes, &pods, &missing, key)).await;
}

fn missing_since(nodes: &Cache, missing: &Missing, name: &str, now: Timestamp) -> Option<Timestamp> {
    let mut missing = missing.lock().unwrap_or_else(PoisonError::into_inner);
    if name.is_empty() || nodes.get(&Key::new("", name)).is_some() {
        missing.remove(name);
        return None;
    }
    Some(*missing.entry(name.to_owned()).or_insert(now))
}

async fn reconcile(
    context: &Context,
    nodes: &Cache,
    pods: &Cache,
    missing: &Missing,
    key: Key,
) -> kube::Result<Again> {
    let Some(pod) = pods.get(&key) else { return Ok(None) };
    let now = context.clock.now();
    let since = missing_since(nodes, missing, pod.text("/spec/nodeName").unwrap_or_default(), now);
    let fate = plan_pod(&pod, since, now);
    match fate {
        Fate::Kept => return Ok(None),
        Fate::Watched(at) => return Ok(context.again_at(Some(at))),
        Fate::Orphaned => {
            let message = "PodGC: node no longer exists";
            let conditions = plan_disrupted(&pod, "DeletionByPodGC", message, now);
            let mut status = json!({"conditions": conditions});
            if !is_finished(&pod) {
                status["phase"] = json!("Failed");
            }
            let patch = json!({"metadata": {"uid": pod.uid()}, "status": status});
            match context.api.send_patch(&PODS, &key, Some("status"), &patch).await {
                Err(error) if is_not_found(&error) => return Ok(None),
                written => written?,
            };
        }
        Fate::Unscheduled => {}
    }
    let options =
        DeleteOptions { grace_seconds: Some(0), uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
    match context.api.send_delete(&PODS, &key, &options).await {
        // A conflict here means that another pod of that name has come.
        Err(error) if !is_not_found(&error) && !is_conflict(&error) => Err(error),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_pods_that_nobody_will_finish_are_removed() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let pod = |node: Value, deleted: Value| -> Object {
            json!({"metadata": {"deletionTimestamp": deleted}, "spec": {"nodeName": node}}).into()
        };
        let table = [
            ("bound", pod(json!("n"), Value::Null), None, Fate::Kept),
            ("waiting", pod(Value::Null, Value::Null), None, Fate::Kept),
            ("deleted unbound", pod(Value::Null, json!("2026-01-01T00:00:00Z")), None, Fate::Unscheduled),
            ("deleted bound", pod(json!("n"), json!("2026-01-01T00:00:00Z")), None, Fate::Kept),
            (
                "node just gone",
                pod(json!("n"), Value::Null),
                Some("2026-01-01T00:00:30Z"),
                Fate::Watched(at("2026-01-01T00:01:10Z")),
            ),
            ("node long gone", pod(json!("n"), Value::Null), Some("2026-01-01T00:00:20Z"), Fate::Orphaned),
        ];
        for (case, pod, since, expected) in table {
            assert_eq!(plan_pod(&pod, since.map(at), now), expected, "{case}");
        }
    }
}
