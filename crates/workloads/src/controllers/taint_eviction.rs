//! Pods on nodes with `NoExecute` taints: those that do not tolerate them are deleted at once, those that tolerate
//! them for a while once that is over.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::pod_set::is_finished;
use super::scheduler::tolerates;
use super::{Context, Note, pods_of_node, queue_own_keys};
use crate::api::{DeleteOptions, is_conflict, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{NODES, PODS};

const SOURCE: &str = "taint-eviction-controller";

/// When a pod has to go from a node with these taints, if it ever has to.
#[must_use]
pub fn plan_eviction(pod: &Object, taints: &[Value], now: Timestamp) -> Option<Timestamp> {
    let mut due: Option<Timestamp> = None;
    for taint in taints.iter().filter(|taint| text(taint, "effect") == "NoExecute") {
        let covers = |toleration: &&Value| {
            let one = std::slice::from_ref(*toleration);
            tolerates(one, text(taint, "key"), text(taint, "value"), "NoExecute")
        };
        let since = text(taint, "timeAdded").parse().unwrap_or(now);
        let covering: Vec<&Value> = pod.list("/spec/tolerations").iter().filter(covers).collect();
        let patience = |toleration: &&Value| toleration.get("tolerationSeconds").and_then(Value::as_i64);
        let at = if covering.is_empty() {
            now
        } else if let Some(seconds) = covering.iter().filter_map(patience).min() {
            since.saturating_add(SignedDuration::from_secs(seconds.max(0))).unwrap_or(Timestamp::MAX)
        } else {
            continue;
        };
        due = Some(due.map_or(at, |due| due.min(at)));
    }
    due
}

/// The pod's conditions with the one that says why it goes.
#[must_use]
pub fn plan_disrupted(pod: &Object, reason: &str, message: &str, now: Timestamp) -> Vec<Value> {
    let mut conditions = pod.list("/status/conditions").to_vec();
    conditions.retain(|condition| text(condition, "type") != "DisruptionTarget");
    conditions.push(json!({
        "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
        "lastProbeTime": null, "lastTransitionTime": api_time(now), "observedGeneration": pod.generation(),
    }));
    conditions
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let nodes = context.hub.cache(&NODES);
    let pods = context.hub.cache(&PODS);
    queue_own_keys(&pods, &queue);
    let (again, all) = (Arc::clone(&queue), Arc::clone(&pods));
    nodes.subscribe(move |change| {
        let taints = |node: &Object| node.list("/spec/taints").to_vec();
        if change.old.as_ref().map(taints).unwrap_or_default()
            == change.new.as_ref().map(taints).unwrap_or_default()
        {
            return;
        }
        let Some(node) = change.latest() else { return };
        pods_of_node(&all, node.name()).for_each(|pod| again.add(pod.key()));
    });
    nodes.wait_synced().await;
    pods.wait_synced().await;
    queue.drive(4, |key| reconcile(&context, &nodes, &pods, key)).await;
}

async fn reconcile(context: &Context, nodes: &Cache, pods: &Cache, key: Key) -> kube::Result<Again> {
    let Some(pod) = pods.get(&key).filter(|pod| !pod.is_deleting() && !is_finished(pod)) else {
        return Ok(None);
    };
    let Some(node) = pod.text("/spec/nodeName").and_then(|name| nodes.get(&Key::new("", name))) else {
        return Ok(None);
    };
    let now = context.clock.now();
    match plan_eviction(&pod, node.list("/spec/taints"), now) {
        Some(at) if at <= now => apply_eviction(context, pods, &pod).await.map(|()| None),
        next => Ok(context.again_at(next)),
    }
}

async fn apply_eviction(context: &Context, pods: &Cache, pod: &Object) -> kube::Result<()> {
    let note = Note::normal("TaintManagerEviction", format!("Marking for deletion Pod {}", pod.key()));
    context.send_event(&PODS, pod, SOURCE, &note).await;
    let message = "Taint manager: deleting due to NoExecute taint";
    let conditions = plan_disrupted(pod, "DeletionByTaintManager", message, context.clock.now());
    let patch = json!({"metadata": {"uid": pod.uid(), "resourceVersion": pod.resource_version()},
        "status": {"conditions": conditions}});
    let options = DeleteOptions { uid: Some(pod.uid().to_owned()), ..DeleteOptions::default() };
    let gone = |error: &kube::Error| is_not_found(error);
    match context.api.send_patch(&PODS, &pod.key(), Some("status"), &patch).await {
        Err(error) if gone(&error) => return Ok(()),
        written => written?,
    };
    match context.api.send_delete(&PODS, &pod.key(), &options).await {
        // A conflict here means that another pod of that name has come.
        Err(error) if !gone(&error) && !is_conflict(&error) => return Err(error),
        _ => {}
    }
    pods.wait_for_deletion(&pod.key(), pod.uid()).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_goes_when_its_shortest_toleration_is_over() {
        let taint =
            |key: &str| json!({"key": key, "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"});
        let lost = || vec![taint("node.kubernetes.io/unreachable")];
        let both = || vec![taint("node.kubernetes.io/unreachable"), taint("mine")];
        let quiet = || vec![json!({"key": "mine", "effect": "NoSchedule"})];
        let five_minutes = json!({"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
        let ten_seconds = json!({"key": "mine", "operator": "Exists", "tolerationSeconds": 10});
        let always = json!({"operator": "Exists"});
        let table = [
            ("no taint", json!([]), vec![], None),
            ("no execution", json!([]), quiet(), None),
            ("not tolerated", json!([]), lost(), Some("2026-01-01T00:01:00Z")),
            ("for a while", json!([five_minutes]), lost(), Some("2026-01-01T00:05:00Z")),
            ("for ever", json!([always]), lost(), None),
            ("the shorter of two", json!([five_minutes, ten_seconds]), both(), Some("2026-01-01T00:00:10Z")),
            ("one of two not tolerated", json!([five_minutes]), both(), Some("2026-01-01T00:01:00Z")),
        ];
        for (case, tolerations, taints, expected) in table {
            let pod: Object = json!({"spec": {"tolerations": tolerations}}).into();
            let due = plan_eviction(&pod, &taints, "2026-01-01T00:01:00Z".parse().unwrap());
            assert_eq!(due.map(|at| at.to_string()).as_deref(), expected, "{case}");
        }
    }
}
