//! Nodes whose kubelet fell silent: their conditions become Unknown, their pods count as not ready, and taints keep
//! new pods away and let [`super::taint_eviction`] send the old ones off.
//!
//! A node counts as silent 50 s after the last renewal of its lease. One that never had a lease counts as alive, unlike
//! under the real controller: a kubelet that does not beat saves its writes.
//!
//! As with the real controller nothing is sent off while every node is lost, or while more than two and more than 55
//! per cent are: then it is more likely that the control plane is cut off than that all nodes died at once. Not done:
//! zones, and the pace of ten seconds between two nodes.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Context, Note, pods_of_node, queue_own_keys};
use crate::api::is_not_found;
use crate::cache::Cache;
use crate::kubelet::node::LEASE_NAMESPACE;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{LEASES, NODES, PODS};

const SOURCE: &str = "node-controller";

/// How long a lease may go without renewal before its node counts as lost.
const PATIENCE: SignedDuration = SignedDuration::from_secs(50);

/// The share of lost nodes, in per cent, from which on no pods are sent off.
const LARGE_OUTAGE_PERCENT: usize = 55;

/// Taint of a node whose kubelet is silent.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Taint of a node whose kubelet says that it is not ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Taint of a node that is cordoned.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Other conditions that keep new pods away, and their taints.
const TROUBLES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// How many nodes are ready, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// Nodes that are not ready.
    pub lost: usize,
    /// All nodes.
    pub total: usize,
}

impl Outage {
    /// Counts nodes.
    #[must_use]
    pub fn of(nodes: &[Object]) -> Self {
        let lost = nodes.iter().filter(|node| !node.condition_is_true("Ready")).count();
        Self { lost, total: nodes.len() }
    }

    /// Whether nothing is sent off, and what was about to be may stay.
    fn is_complete(self) -> bool {
        self.lost == self.total
    }

    /// Whether nothing more is sent off.
    fn is_large(self) -> bool {
        self.lost > 2 && self.lost * 100 >= self.total * LARGE_OUTAGE_PERCENT
    }
}

/// What a node needs.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Its conditions, if they change.
    pub conditions: Option<Vec<Value>>,
    /// Its taints, if they change.
    pub taints: Option<Vec<Value>>,
    /// Whether its pods are to count as not ready.
    pub forsakes_pods: bool,
    /// When its lease runs out.
    pub next: Option<Timestamp>,
}

/// Decides about one node, given its lease and how it goes for all.
#[must_use]
pub fn plan_node(node: &Object, lease: Option<&Object>, outage: Outage, now: Timestamp) -> Plan {
    let renewed = lease.and_then(|lease| lease.time("/spec/renewTime"));
    let expires = renewed.and_then(|at| at.checked_add(PATIENCE).ok());
    let silent = expires.is_some_and(|at| at <= now);
    let conditions = silent.then(|| plan_unknown(node, now)).flatten();
    let seen: Object = match &conditions {
        Some(conditions) => json!({"status": {"conditions": conditions}}).into(),
        None => node.clone(),
    };
    Plan {
        taints: plan_taints(node, &seen, outage, now),
        forsakes_pods: seen.condition("Ready").is_some_and(|ready| text(ready, "status") != "True"),
        next: expires.filter(|at| *at > now),
        conditions,
    }
}

/// The conditions of a node nobody hears of; `None` if they say so already.
fn plan_unknown(node: &Object, now: Timestamp) -> Option<Vec<Value>> {
    let mut changed = false;
    let mut conditions = node.list("/status/conditions").to_vec();
    for condition in &mut conditions {
        let ours =
            matches!(text(condition, "type"), "Ready" | "MemoryPressure" | "DiskPressure" | "PIDPressure");
        if ours && text(condition, "status") != "Unknown" {
            changed = true;
            condition["status"] = json!("Unknown");
            condition["reason"] = json!("NodeStatusUnknown");
            condition["message"] = json!("Kubelet stopped posting node status.");
            condition["lastTransitionTime"] = json!(api_time(now));
        }
    }
    changed.then_some(conditions)
}

/// The taints this controller owns, by condition.
fn wanted_taints(node: &Object, seen: &Object, outage: Outage) -> Vec<(&'static str, &'static str)> {
    let is = |kind: &str, status: &str| {
        seen.condition(kind).is_some_and(|condition| text(condition, "status") == status)
    };
    let mut wanted = Vec::new();
    let lost = match () {
        () if is("Ready", "Unknown") => Some(UNREACHABLE),
        () if is("Ready", "False") => Some(NOT_READY),
        () => None,
    };
    wanted.extend(lost.map(|key| (key, "NoSchedule")));
    for (kind, key) in TROUBLES {
        if is(kind, "True") {
            wanted.push((key, "NoSchedule"));
        }
    }
    if node.flag("/spec/unschedulable") {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let has = |key: &str| {
        let taints = node.list("/spec/taints").iter();
        taints.clone().any(|taint| text(taint, "key") == key && text(taint, "effect") == "NoExecute")
    };
    if let Some(key) = lost.filter(|key| !outage.is_complete() && (!outage.is_large() || has(key))) {
        wanted.push((key, "NoExecute"));
    }
    wanted
}

fn plan_taints(node: &Object, seen: &Object, outage: Outage, now: Timestamp) -> Option<Vec<Value>> {
    let wanted = wanted_taints(node, seen, outage);
    let old = node.list("/spec/taints");
    let is_ours = |taint: &Value| {
        let (key, effect) = (text(taint, "key"), text(taint, "effect"));
        match effect {
            "NoSchedule" => {
                let of_trouble = TROUBLES.iter().any(|(_, trouble)| *trouble == key);
                of_trouble || matches!(key, UNREACHABLE | NOT_READY | UNSCHEDULABLE)
            }
            "NoExecute" => matches!(key, UNREACHABLE | NOT_READY),
            _ => false,
        }
    };
    let matches = |taint: &Value, (key, effect): (&str, &str)| {
        text(taint, "key") == key && text(taint, "effect") == effect
    };
    let mut taints: Vec<Value> = old
        .iter()
        .filter(|taint| !is_ours(taint) || wanted.iter().any(|wanted| matches(taint, *wanted)))
        .cloned()
        .collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| matches(taint, (key, effect))) {
            taints.push(json!({"key": key, "effect": effect, "timeAdded": api_time(now)}));
        }
    }
    (taints != old).then_some(taints)
}

/// The conditions of a pod on a lost node: not ready; `None` if it is not anyway.
#[must_use]
pub fn plan_forsaken(pod: &Object, now: Timestamp) -> Option<Vec<Value>> {
    if !pod.condition_is_true("Ready") {
        return None;
    }
    let mut conditions = pod.list("/status/conditions").to_vec();
    for condition in conditions.iter_mut().filter(|condition| text(condition, "type") == "Ready") {
        condition["status"] = json!("False");
        condition["lastTransitionTime"] = json!(api_time(now));
    }
    Some(conditions)
}

struct Caches {
    nodes: Arc<Cache>,
    leases: Arc<Cache>,
    pods: Arc<Cache>,
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let caches = Caches {
        nodes: context.hub.cache(&NODES),
        leases: context.hub.cache(&LEASES),
        pods: context.hub.cache(&PODS),
    };
    queue_own_keys(&caches.nodes, &queue);
    let (again, nodes) = (Arc::clone(&queue), Arc::clone(&caches.nodes));
    caches.nodes.subscribe(move |change| {
        // Whether pods are sent off depends on how many nodes are lost.
        let ready = |node: &Object| node.condition_is_true("Ready");
        if change.old.as_ref().map(ready) != change.new.as_ref().map(ready) {
            nodes.list(None).iter().for_each(|node| again.add(node.key()));
        }
    });
    let again = Arc::clone(&queue);
    caches.leases.subscribe(move |change| {
        if let Some(lease) = change.latest().filter(|lease| lease.namespace() == LEASE_NAMESPACE) {
            again.add(Key::new("", lease.name()));
        }
    });
    caches.nodes.wait_synced().await;
    caches.leases.wait_synced().await;
    caches.pods.wait_synced().await;
    queue.drive(4, |key| reconcile(&context, &caches, key)).await;
}

async fn reconcile(context: &Context, caches: &Caches, key: Key) -> kube::Result<Again> {
    let Some(node) = caches.nodes.get(&key) else { return Ok(None) };
    let lease = caches.leases.get(&Key::new(LEASE_NAMESPACE, key.name.as_str()));
    let now = context.clock.now();
    let plan = plan_node(&node, lease.as_ref(), Outage::of(&caches.nodes.list(None)), now);
    match apply(context, caches, &node, &plan).await {
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok(context.again_at(plan.next)),
    }
}

async fn apply(context: &Context, caches: &Caches, node: &Object, plan: &Plan) -> kube::Result<()> {
    let key = node.key();
    let mut node = node.clone();
    if let Some(conditions) = &plan.conditions {
        let patch = json!({"metadata": {"resourceVersion": node.resource_version()}, "status": {"conditions": conditions}});
        node = context.api.send_patch(&NODES, &key, Some("status"), &patch).await?;
        let message = format!("Node {} status is now: NodeNotReady", node.name());
        context.send_event(&NODES, &node, SOURCE, &Note::normal("NodeNotReady", message)).await;
    }
    if plan.forsakes_pods {
        apply_forsaking(context, &caches.pods, node.name()).await?;
    }
    if let Some(taints) = &plan.taints {
        let taints = if taints.is_empty() { Value::Null } else { json!(taints) };
        let patch =
            json!({"metadata": {"resourceVersion": node.resource_version()}, "spec": {"taints": taints}});
        node = context.api.send_patch(&NODES, &key, None, &patch).await?;
    }
    caches.nodes.wait_for_echo(&node).await;
    Ok(())
}

/// Marks the pods of a node as not ready.
async fn apply_forsaking(context: &Context, pods: &Cache, node: &str) -> kube::Result<()> {
    for pod in pods_of_node(pods, node) {
        let Some(conditions) = plan_forsaken(&pod, context.clock.now()) else { continue };
        let patch = json!({"metadata": {"uid": pod.uid(), "resourceVersion": pod.resource_version()},
            "status": {"conditions": conditions}});
        match context.api.send_patch(&PODS, &pod.key(), Some("status"), &patch).await {
            Err(error) if is_not_found(&error) => {}
            written => {
                let written = written?;
                let note = Note::warning("NodeNotReady", "Node is not ready".to_owned());
                context.send_event(&PODS, &pod, SOURCE, &note).await;
                pods.wait_for_echo(&written).await;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().unwrap()
    }

    fn node(ready: &str, taints: Value) -> Object {
        json!({"metadata": {"name": "n"}, "spec": {"taints": taints}, "status": {"conditions": [
            {"type": "DiskPressure", "status": if ready == "Unknown" { "Unknown" } else { "False" }},
            {"type": "Ready", "status": ready}]}})
        .into()
    }

    fn lease(renewed: &str) -> Object {
        json!({"spec": {"renewTime": renewed}}).into()
    }

    fn named(taints: Option<Vec<Value>>) -> Option<String> {
        let name = |taint: &Value| {
            format!(
                "{}:{}",
                text(taint, "key").trim_start_matches("node.kubernetes.io/"),
                text(taint, "effect")
            )
        };
        taints.map(|taints| taints.iter().map(name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_silent_node_becomes_unknown_after_fifty_seconds_and_a_node_without_lease_never() {
        let healthy = Outage { lost: 0, total: 2 };
        let table = [
            (None, None, false),
            (Some("2026-01-01T00:00:59Z"), Some("2026-01-01T00:01:49Z"), false),
            (Some("2026-01-01T00:00:11Z"), Some("2026-01-01T00:01:01Z"), false),
            (Some("2026-01-01T00:00:10Z"), None, true),
        ];
        for (renewed, next, lost) in table {
            let lease = renewed.map(lease);
            let plan = plan_node(&node("True", json!([])), lease.as_ref(), healthy, now());
            assert_eq!(plan.next.map(|at| at.to_string()).as_deref(), next, "{renewed:?}");
            assert_eq!((plan.conditions.is_some(), plan.forsakes_pods), (lost, lost), "{renewed:?}");
            for condition in plan.conditions.into_iter().flatten() {
                assert_eq!(text(&condition, "status"), "Unknown");
                assert_eq!(text(&condition, "reason"), "NodeStatusUnknown");
                assert_eq!(text(&condition, "message"), "Kubelet stopped posting node status.");
            }
        }
    }

    #[test]
    fn taints_follow_conditions_and_pods_are_sent_off_unless_most_nodes_are_lost() {
        let own = json!([{"key": "mine", "effect": "NoSchedule"}]);
        let stuck = json!([{"key": UNREACHABLE, "effect": "NoSchedule"}, {"key": UNREACHABLE, "effect": "NoExecute"}]);
        let cordoned: Object = json!({"spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}).into();
        let table = [
            ("ready", node("True", own.clone()), 0, 2, None),
            (
                "unreachable",
                node("Unknown", json!([])),
                1,
                2,
                Some("unreachable:NoSchedule unreachable:NoExecute"),
            ),
            (
                "beside others",
                node("Unknown", own),
                1,
                2,
                Some("mine:NoSchedule unreachable:NoSchedule unreachable:NoExecute"),
            ),
            ("not ready", node("False", json!([])), 1, 2, Some("not-ready:NoSchedule not-ready:NoExecute")),
            ("marked already", node("Unknown", stuck.clone()), 1, 2, None),
            ("back again", node("True", stuck.clone()), 0, 2, Some("")),
            ("the only one", node("Unknown", json!([])), 1, 1, Some("unreachable:NoSchedule")),
            ("the last one", node("Unknown", stuck.clone()), 2, 2, Some("unreachable:NoSchedule")),
            ("most of them", node("Unknown", json!([])), 3, 5, Some("unreachable:NoSchedule")),
            ("most of them, marked before", node("Unknown", stuck), 3, 5, None),
            (
                "half of them",
                node("Unknown", json!([])),
                3,
                6,
                Some("unreachable:NoSchedule unreachable:NoExecute"),
            ),
            ("cordoned", cordoned, 0, 1, Some("unschedulable:NoSchedule")),
        ];
        for (case, node, lost, total, expected) in table {
            let plan = plan_node(&node, None, Outage { lost, total }, now());
            assert_eq!(named(plan.taints).as_deref(), expected, "{case}");
        }
    }

    #[test]
    fn a_forsaken_pod_is_not_ready_but_keeps_its_other_conditions() {
        let pod: Object = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}]}}).into();
        let conditions = plan_forsaken(&pod, now()).unwrap();
        let seen: Vec<&str> = conditions.iter().map(|condition| text(condition, "status")).collect();
        assert_eq!(seen, ["False", "True"]);
        let pod = json!({"status": {"conditions": conditions}}).into();
        assert_eq!(plan_forsaken(&pod, now()), None);
    }
}
