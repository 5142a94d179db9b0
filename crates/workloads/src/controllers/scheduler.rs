//! The scheduler: binds a pending pod to the ready node with the fewest pods that its selector,
//! affinity, tolerations and requests allow, and says why when there is none.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::node_usage::{Amounts, Usage, quantity, requests_of};
use super::pod_set::is_finished;
use super::{Context, Note};
use crate::api::{is_conflict, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{NODES, PODS};
use crate::selector::Selector;

const SOURCE: &str = "default-scheduler";

/// Where a pod goes, or why it goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Bind to this node.
    Bind(String),
    /// No node will do; the sentence says why, as the real scheduler words it.
    Unschedulable(String),
}

/// Decides where `pod` goes, given every node and what its pods take.
#[must_use]
pub fn plan_placement(pod: &Object, nodes: &[Object], usage: &Usage) -> Placement {
    let wanted = requests_of(pod);
    let mut refusals: Vec<(String, usize)> = Vec::new();
    let mut best: Option<(f64, &str)> = None;
    for node in nodes {
        let used = usage.of(node.name());
        let reasons = refuse(pod, node, wanted, used);
        if reasons.is_empty() {
            if best.is_none_or(|(pods, name)| (used.pods, node.name()) < (pods, name)) {
                best = Some((used.pods, node.name()));
            }
            continue;
        }
        for reason in reasons {
            match refusals.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => refusals.push((reason, 1)),
            }
        }
    }
    if let Some((_, name)) = best {
        return Placement::Bind(name.to_owned());
    }
    if nodes.is_empty() {
        return Placement::Unschedulable("no nodes available to schedule pods".to_owned());
    }
    refusals.sort();
    let reasons: Vec<String> = refusals.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let total = nodes.len();
    Placement::Unschedulable(format!(
        "0/{total} nodes are available: {}. no new claims to deallocate, preemption: 0/{total} nodes are available: \
         {total} Preemption is not helpful for scheduling.",
        reasons.join(", ")
    ))
}

/// Why `node` cannot take `pod`; nothing if it can. The first objection is enough, but of what it lacks all is named.
fn refuse(pod: &Object, node: &Object, wanted: Amounts, used: Amounts) -> Vec<String> {
    if let Some(reason) = refuse_kind(pod, node) {
        return vec![reason];
    }
    let allocatable = |name: &str| node.at("/status/allocatable").and_then(|amounts| amounts.get(name));
    let lacks = |name: &str, factor: f64, used: f64, wanted: f64| {
        allocatable(name)
            .is_some_and(|amount| wanted > 0.0 && used + wanted > quantity(Some(amount)) * factor)
    };
    [
        (lacks("pods", 1.0, used.pods, wanted.pods), "Too many pods"),
        (lacks("cpu", 1000.0, used.cpu_milli, wanted.cpu_milli), "Insufficient cpu"),
        (lacks("memory", 1.0, used.memory, wanted.memory), "Insufficient memory"),
    ]
    .into_iter()
    .filter(|(lacking, _)| *lacking)
    .map(|(_, reason)| reason.to_owned())
    .collect()
}

/// What of a node itself is not for `pod`.
fn refuse_kind(pod: &Object, node: &Object) -> Option<String> {
    let tolerations = pod.list("/spec/tolerations");
    if node.flag("/spec/unschedulable")
        && !tolerates(tolerations, "node.kubernetes.io/unschedulable", "", "NoSchedule")
    {
        return Some("node(s) were unschedulable".to_owned());
    }
    for taint in node.list("/spec/taints") {
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        if effect != "PreferNoSchedule" && !tolerates(tolerations, key, value, effect) {
            return Some("node(s) had untolerated taint(s)".to_owned());
        }
    }
    if !node.condition_is_true("Ready") {
        return Some("node(s) were not ready".to_owned());
    }
    if !selects(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    None
}

fn selects(pod: &Object, node: &Object) -> bool {
    if let Some(wanted) = pod.at("/spec/nodeSelector").and_then(Value::as_object)
        && !wanted.iter().all(|(name, value)| node.label(name) == value.as_str())
    {
        return false;
    }
    let terms = pod
        .list("/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    terms.is_empty()
        || terms.iter().any(|term| {
            let expressions =
                term.get("matchExpressions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Selector::from_expressions(expressions).is_some_and(|selector| selector.matches(node.labels()))
        })
}

/// Whether any toleration covers a taint.
#[must_use]
pub fn tolerates(tolerations: &[Value], key: &str, value: &str, effect: &str) -> bool {
    tolerations.iter().any(|toleration| {
        let exists = text(toleration, "operator") == "Exists";
        let wanted_key = text(toleration, "key");
        let wanted_effect = text(toleration, "effect");
        (wanted_effect.is_empty() || wanted_effect == effect)
            && ((exists && wanted_key.is_empty())
                || (wanted_key == key && (exists || text(toleration, "value") == value)))
    })
}

/// The pod's conditions with `PodScheduled` saying that it was not; `None` if they say so already.
#[must_use]
pub fn plan_unscheduled_conditions(pod: &Object, message: &str, now: Timestamp) -> Option<Vec<Value>> {
    let old = pod.condition("PodScheduled");
    if old.is_some_and(|old| text(old, "status") == "False" && text(old, "message") == message) {
        return None;
    }
    let since = old
        .filter(|old| text(old, "status") == "False")
        .map(|old| text(old, "lastTransitionTime").to_owned());
    let mut conditions = pod.list("/status/conditions").to_vec();
    conditions.retain(|condition| text(condition, "type") != "PodScheduled");
    conditions.push(json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        "lastProbeTime": null, "lastTransitionTime": since.unwrap_or_else(|| api_time(now)),
        "observedGeneration": pod.generation(),
    }));
    Some(conditions)
}

fn wants_node(pod: &Object) -> bool {
    let ours = matches!(pod.text("/spec/schedulerName"), None | Some("" | "default-scheduler"));
    ours && pod.text("/spec/nodeName").is_none_or(str::is_empty)
        && !pod.is_deleting()
        && !is_finished(pod)
        && pod.list("/spec/schedulingGates").is_empty()
}

/// Runs the scheduler until it is dropped.
pub async fn run(context: Context) {
    let scheduler = Scheduler {
        queue: Queue::new(),
        pods: context.hub.cache(&PODS),
        nodes: context.hub.cache(&NODES),
        usage: Arc::default(),
        refused: Arc::default(),
        context,
    };
    scheduler.subscribe();
    scheduler.pods.wait_synced().await;
    scheduler.nodes.wait_synced().await;
    // One at a time: each decision must see the one before.
    scheduler.queue.drive(1, |key| scheduler.reconcile(key)).await;
}

struct Scheduler {
    context: Context,
    queue: Arc<Queue<Key>>,
    pods: Arc<Cache>,
    nodes: Arc<Cache>,
    usage: Arc<Mutex<Usage>>,
    // Pods that no node takes; tried again when something changes that could help.
    refused: Arc<Mutex<BTreeSet<Key>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn retry_refused(queue: &Queue<Key>, refused: &Mutex<BTreeSet<Key>>) {
    std::mem::take(&mut *lock(refused)).into_iter().for_each(|key| queue.add(key));
}

impl Scheduler {
    fn subscribe(&self) {
        let (queue, refused, usage) =
            (Arc::clone(&self.queue), Arc::clone(&self.refused), Arc::clone(&self.usage));
        self.pods.subscribe(move |change| {
            let freed = lock(&usage).note(change);
            let spec = |pod: &Object| pod.at("/spec").cloned();
            match &change.new {
                Some(pod)
                    if wants_node(pod) && change.old.as_ref().map(spec) != change.new.as_ref().map(spec) =>
                {
                    queue.add(pod.key());
                }
                _ if freed => retry_refused(&queue, &refused),
                _ => {}
            }
        });
        let (queue, refused) = (Arc::clone(&self.queue), Arc::clone(&self.refused));
        self.nodes.subscribe(move |change| {
            let fit = |node: &Object| {
                (
                    node.at("/spec").cloned(),
                    node.labels().cloned(),
                    node.at("/status/allocatable").cloned(),
                    node.condition_is_true("Ready"),
                )
            };
            if change.old.as_ref().map(fit) != change.new.as_ref().map(fit) {
                retry_refused(&queue, &refused);
            }
        });
    }

    async fn reconcile(&self, key: Key) -> kube::Result<Again> {
        let (context, pods) = (&self.context, &self.pods);
        let Some(pod) = pods.get(&key).filter(wants_node) else { return Ok(None) };
        // Noted before deciding, so that a change that helps in between is not missed.
        lock(&self.refused).insert(key.clone());
        let placement = plan_placement(&pod, &self.nodes.list(None), &lock(&self.usage));
        let written = match placement {
            Placement::Bind(node) => {
                lock(&self.refused).remove(&key);
                self.apply_binding(&pod, &node).await
            }
            Placement::Unschedulable(message) => {
                let Some(conditions) = plan_unscheduled_conditions(&pod, &message, context.clock.now())
                else {
                    return Ok(None);
                };
                context.send_event(&PODS, &pod, SOURCE, &Note::warning("FailedScheduling", message)).await;
                let patch = json!({"metadata": {"resourceVersion": pod.resource_version()}, "status": {"conditions": conditions}});
                context.api.send_patch(&PODS, &key, Some("status"), &patch).await.map(|_| ())
            }
        };
        match written {
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) if is_conflict(&error) && pods.get(&key).is_none_or(|pod| !wants_node(&pod)) => {
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(()) => {
                // A binding answers with a Status, so its echo is the pod's next version.
                let before = pod.resource_version();
                pods.wait_until(|| pods.get(&key).is_none_or(|now| now.resource_version() != before)).await;
                Ok(None)
            }
        }
    }

    async fn apply_binding(&self, pod: &Object, node: &str) -> kube::Result<()> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        self.context.api.send_post(&PODS, &pod.key(), "binding", &binding).await?;
        let note = Note::normal("Scheduled", format!("Successfully assigned {} to {node}", pod.key()));
        self.context.send_event(&PODS, pod, SOURCE, &note).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Change;

    fn node(name: &str, change: impl FnOnce(&mut Value)) -> Object {
        let mut node = json!({
            "metadata": {"name": name, "labels": {"zone": name}},
            "spec": {},
            "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "3"},
                "conditions": [{"type": "Ready", "status": "True"}]},
        });
        change(&mut node);
        node.into()
    }

    fn pod(spec: Value) -> Object {
        json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec}).into()
    }

    #[test]
    fn a_pod_goes_to_the_emptiest_node_that_takes_it_or_learns_why_not() {
        let requests = |cpu: &str| json!({"containers": [{"resources": {"requests": {"cpu": cpu}}}]});
        let bound = pod(json!({"nodeName": "a", "containers": []}));
        let mut usage = Usage::default();
        usage.note(&Change { old: None, new: Some(bound) });
        let plain = || vec![node("a", |_| {}), node("b", |_| {})];
        let tainted = || {
            vec![node("a", |n| {
                n["spec"]["taints"] = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]);
            })]
        };
        let bind = |name: &str| Placement::Bind(name.to_owned());
        let refuse = |text: &str| {
            let total = text.chars().nth(2).unwrap_or('?');
            let tail = format!(
                " no new claims to deallocate, preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling."
            );
            Placement::Unschedulable(format!(
                "{text}{}",
                if total.is_ascii_digit() { tail } else { String::new() }
            ))
        };
        let table = [
            ("emptiest", pod(json!({})), plain(), bind("b")),
            ("selector", pod(json!({"nodeSelector": {"zone": "a"}})), plain(), bind("a")),
            (
                "no match",
                pod(json!({"nodeSelector": {"zone": "c"}})),
                plain(),
                refuse("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
            ),
            (
                "cordoned",
                pod(json!({})),
                vec![node("a", |n| n["spec"]["unschedulable"] = json!(true))],
                refuse("0/1 nodes are available: 1 node(s) were unschedulable."),
            ),
            (
                "taint",
                pod(json!({})),
                tainted(),
                refuse("0/1 nodes are available: 1 node(s) had untolerated taint(s)."),
            ),
            (
                "tolerated",
                pod(json!({"tolerations": [{"key": "k", "operator": "Exists"}]})),
                tainted(),
                bind("a"),
            ),
            (
                "too big",
                pod(requests("2500m")),
                plain(),
                refuse("0/2 nodes are available: 2 Insufficient cpu."),
            ),
            ("fits", pod(requests("2")), plain(), bind("b")),
            ("none", pod(json!({})), vec![], refuse("no nodes available to schedule pods")),
            (
                "not ready",
                pod(json!({})),
                vec![node("a", |n| n["status"]["conditions"] = json!([]))],
                refuse("0/1 nodes are available: 1 node(s) were not ready."),
            ),
        ];
        for (case, pod, nodes, expected) in table {
            assert_eq!(plan_placement(&pod, &nodes, &usage), expected, "{case}");
        }
    }

    #[test]
    fn the_unschedulable_condition_is_written_once() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let conditions = plan_unscheduled_conditions(&pod(json!({})), "why", now).unwrap();
        let told: Object = json!({"status": {"conditions": conditions}}).into();
        assert_eq!(plan_unscheduled_conditions(&told, "why", now), None);
        assert!(plan_unscheduled_conditions(&told, "other", now).is_some());
    }
}
