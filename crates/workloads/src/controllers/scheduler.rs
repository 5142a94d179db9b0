//! The scheduler: binds a pending pod to the ready node with the fewest pods that its selector,
//! affinity, tolerations and requests allow, and says why when there is none.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::pod_set::is_finished;
use super::{Context, Note};
use crate::api::{is_conflict, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{NODES, PODS};
use crate::selector::Selector;

/// Where a pod goes, or why it goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Bind to this node.
    Bind(String),
    /// No node will do; the sentence says why, as the real scheduler words it.
    Unschedulable(String),
}

/// CPU in thousandths of a core and memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amounts {
    cpu_milli: f64,
    memory: f64,
    pods: f64,
}

/// A Kubernetes quantity as a number; `None` if it is not one.
#[must_use]
pub fn parse_quantity(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (number, suffix) = match number.strip_suffix('E') {
        Some(stripped) if suffix.is_empty() || suffix == "i" => {
            (stripped, if suffix.is_empty() { "E" } else { "Ei" })
        }
        _ => (number, suffix),
    };
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => return None,
    };
    number.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * factor)
}

fn quantity(value: Option<&Value>) -> f64 {
    match value {
        Some(Value::Number(number)) => number.as_f64().unwrap_or(0.0),
        Some(Value::String(text)) => parse_quantity(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn requests_of(pod: &Object) -> Amounts {
    let mut total = Amounts { pods: 1.0, ..Amounts::default() };
    for container in pod.list("/spec/containers") {
        total.cpu_milli += quantity(container.pointer("/resources/requests/cpu")) * 1000.0;
        total.memory += quantity(container.pointer("/resources/requests/memory"));
    }
    total
}

/// Decides where `pod` goes, given every node and every bound pod.
#[must_use]
pub fn plan_placement(pod: &Object, nodes: &[Object], bound: &[Object]) -> Placement {
    let mut used: HashMap<&str, Amounts> = HashMap::new();
    for other in bound.iter().filter(|other| !is_finished(other)) {
        let amounts = requests_of(other);
        let used = used.entry(other.text("/spec/nodeName").unwrap_or_default()).or_default();
        used.cpu_milli += amounts.cpu_milli;
        used.memory += amounts.memory;
        used.pods += 1.0;
    }
    let wanted = requests_of(pod);
    let mut refusals: Vec<(String, usize)> = Vec::new();
    let mut best: Option<(f64, &str)> = None;
    for node in nodes {
        let used = used.get(node.name()).copied().unwrap_or_default();
        match refusal(pod, node, wanted, used) {
            Some(reason) => match refusals.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => refusals.push((reason, 1)),
            },
            None if best.is_none_or(|(pods, name)| (used.pods, node.name()) < (pods, name)) => {
                best = Some((used.pods, node.name()));
            }
            None => {}
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

/// Why `node` cannot take `pod`, if it cannot.
fn refusal(pod: &Object, node: &Object, wanted: Amounts, used: Amounts) -> Option<String> {
    let tolerations = pod.list("/spec/tolerations");
    if node.flag("/spec/unschedulable")
        && !tolerates(tolerations, "node.kubernetes.io/unschedulable", "", "NoSchedule")
    {
        return Some("node(s) were unschedulable".to_owned());
    }
    for taint in node.list("/spec/taints") {
        let (key, value, effect) = (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        if effect != "PreferNoSchedule" && !tolerates(tolerations, key, value, effect) {
            return Some(format!("node(s) had untolerated taint(s) {{{key}: {value}}}"));
        }
    }
    if !node.condition_is_true("Ready") {
        return Some("node(s) were not ready".to_owned());
    }
    if !selects(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    let allocatable = |name: &str| node.at("/status/allocatable").and_then(|amounts| amounts.get(name));
    let lacks = |name: &str, factor: f64, used: f64, wanted: f64| {
        allocatable(name)
            .is_some_and(|amount| wanted > 0.0 && used + wanted > quantity(Some(amount)) * factor)
    };
    if lacks("cpu", 1000.0, used.cpu_milli, wanted.cpu_milli) {
        return Some("Insufficient cpu".to_owned());
    }
    if lacks("memory", 1.0, used.memory, wanted.memory) {
        return Some("Insufficient memory".to_owned());
    }
    lacks("pods", 1.0, used.pods, wanted.pods).then(|| "Too many pods".to_owned())
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
    let queue = Queue::new();
    let pods = context.hub.cache(&PODS);
    let nodes = context.hub.cache(&NODES);
    subscribe(&queue, &pods, &nodes);
    pods.wait_synced().await;
    nodes.wait_synced().await;
    // One at a time: each decision must see the one before.
    queue.drive(1, |key| reconcile(&context, &pods, &nodes, key)).await;
}

fn subscribe(queue: &Arc<Queue<Key>>, pods: &Arc<Cache>, nodes: &Arc<Cache>) {
    let own = Arc::clone(queue);
    let all = Arc::clone(pods);
    pods.subscribe(move |change| {
        let left = change.new.as_ref().is_none_or(is_finished);
        match &change.new {
            Some(pod)
                if wants_node(pod)
                    && change.old.as_ref().is_none_or(|old| old.at("/spec") != pod.at("/spec")) =>
            {
                own.add(pod.key());
            }
            _ if left => retry_unschedulable(&own, &all),
            _ => {}
        }
    });
    let own = Arc::clone(queue);
    let all = Arc::clone(pods);
    nodes.subscribe(move |change| {
        let fit = |node: &Object| {
            (
                node.at("/spec").cloned(),
                node.labels().cloned(),
                node.at("/status/allocatable").cloned(),
                node.condition_is_true("Ready"),
            )
        };
        if change.old.as_ref().map(fit) != change.new.as_ref().map(fit) {
            retry_unschedulable(&own, &all);
        }
    });
}

fn retry_unschedulable(queue: &Queue<Key>, pods: &Cache) {
    pods.list(None).iter().filter(|pod| wants_node(pod)).for_each(|pod| queue.add(pod.key()));
}

async fn reconcile(context: &Context, pods: &Cache, nodes: &Cache, key: Key) -> kube::Result<Again> {
    let Some(pod) = pods.get(&key).filter(wants_node) else { return Ok(None) };
    let bound: Vec<Object> =
        pods.list(None).into_iter().filter(|pod| pod.text("/spec/nodeName").is_some()).collect();
    let written = match plan_placement(&pod, &nodes.list(None), &bound) {
        Placement::Bind(node) => {
            let binding = json!({
                "apiVersion": "v1", "kind": "Binding",
                "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()},
                "target": {"apiVersion": "v1", "kind": "Node", "name": node},
            });
            let answer = context.api.send_post(&PODS, &key, "binding", &binding).await.map(|_| ());
            let note = Note::normal("Scheduled", format!("Successfully assigned {key} to {node}"));
            context.send_event(&PODS, &pod, "default-scheduler", &note).await;
            answer
        }
        Placement::Unschedulable(message) => {
            let Some(conditions) = plan_unscheduled_conditions(&pod, &message, context.clock.now()) else {
                return Ok(None);
            };
            context
                .send_event(&PODS, &pod, "default-scheduler", &Note::warning("FailedScheduling", message))
                .await;
            let patch = json!({"metadata": {"resourceVersion": pod.resource_version()}, "status": {"conditions": conditions}});
            context.api.send_patch(&PODS, &key, Some("status"), &patch).await.map(|_| ())
        }
    };
    match written {
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) if is_conflict(&error) && pods.get(&key).is_none_or(|pod| !wants_node(&pod)) => Ok(None),
        Err(error) => Err(error),
        Ok(()) => {
            wait_until_settled(pods, &key, &pod).await;
            Ok(None)
        }
    }
}

/// A binding answers with a Status, so its echo is the pod's next version.
async fn wait_until_settled(pods: &Cache, key: &Key, before: &Object) {
    pods.wait_until(|| pods.get(key).is_none_or(|now| now.resource_version() != before.resource_version()))
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

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
                refuse("0/1 nodes are available: 1 node(s) had untolerated taint(s) {k: v}."),
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
            assert_eq!(plan_placement(&pod, &nodes, std::slice::from_ref(&bound)), expected, "{case}");
        }
    }

    #[test]
    fn quantities_read_as_kubernetes_reads_them() {
        let table = [
            ("1", 1.0),
            ("250m", 0.25),
            ("1Gi", 1_073_741_824.0),
            ("1e3", 1000.0),
            ("2E", 2e18),
            ("1Ei", 1_152_921_504_606_846_976.0),
            ("5k", 5000.0),
        ];
        for (text, value) in table {
            assert_eq!(parse_quantity(text), Some(value), "{text}");
        }
        for text in ["", "x", "1Q", "1.2.3"] {
            assert_eq!(parse_quantity(text), None, "{text}");
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
