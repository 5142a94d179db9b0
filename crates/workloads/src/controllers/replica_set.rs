//! ReplicaSets: as many pods as asked for, the least valuable deleted first, and a status that says how
//! many there are, how many are ready, and how many have been so for long enough.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::pod_set::{
    Claims, adopters_of, apply_claims, apply_creates, apply_deletes, gather_candidates, is_active, is_ready,
    plan_claims, ready_since, render_pod,
};
use super::{Context, queue_controllers, queue_spec_changes, render_merge};
use crate::api::{is_not_found, message_of};
use crate::cache::Cache;
use crate::object::{Key, Object, api_time};
use crate::queue::{Again, Queue};
use crate::resource::{PODS, REPLICA_SETS};
use crate::selector::Selector;

const SOURCE: &str = "replicaset-controller";

/// The annotation by which users rank pods for deletion.
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// No more pods than this are created or deleted in one go.
const BURST: usize = 500;

/// What a ReplicaSet needs done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Ownership changes.
    pub claims: Claims,
    /// How many pods to create.
    pub create: usize,
    /// The pods to delete.
    pub delete: Vec<Object>,
}

/// Decides which pods to adopt, release, create and delete.
#[must_use]
pub fn plan_replica_set(set: &Object, candidates: &[Object]) -> Plan {
    let Some(selector) = Selector::from_label_selector(set.at("/spec/selector")) else {
        return Plan::default();
    };
    let claims = plan_claims(set, &selector, candidates);
    if set.is_deleting() {
        return Plan { claims, ..Plan::default() };
    }
    let active: Vec<&Object> = claims.owned.iter().filter(|pod| is_active(pod)).collect();
    let desired = desired_replicas(set);
    let create = desired.saturating_sub(active.len()).min(BURST);
    let surplus = active.len().saturating_sub(desired).min(BURST);
    let delete = rank_for_deletion(&active).into_iter().take(surplus).cloned().collect();
    Plan { claims, create, delete }
}

fn desired_replicas(set: &Object) -> usize {
    usize::try_from(set.integer("/spec/replicas").unwrap_or(1)).unwrap_or(0)
}

/// Orders pods so that the first is the least painful to lose: unassigned, pending, not ready, cheap by
/// annotation, crowded on its node, ready for the shortest time, restarted most often, newest.
#[must_use]
pub fn rank_for_deletion<'a>(pods: &[&'a Object]) -> Vec<&'a Object> {
    let mut per_node: HashMap<&str, usize> = HashMap::new();
    for pod in pods {
        *per_node.entry(pod.text("/spec/nodeName").unwrap_or_default()).or_default() += 1;
    }
    let mut ranked = pods.to_vec();
    ranked.sort_by(|left, right| {
        let key = |pod: &Object| {
            let node = pod.text("/spec/nodeName").unwrap_or_default();
            let phase = match pod.text("/status/phase") {
                Some("Running") => 2,
                Some("Unknown") => 1,
                _ => 0,
            };
            let cost = pod.annotation(DELETION_COST).and_then(|cost| cost.parse::<i32>().ok()).unwrap_or(0);
            (!node.is_empty(), phase, is_ready(pod), cost, Reverse(per_node.get(node).copied().unwrap_or(0)))
        };
        key(left).cmp(&key(right)).then_with(|| compare_age(left, right))
    });
    ranked
}

fn compare_age(left: &Object, right: &Object) -> Ordering {
    let restarts = |pod: &Object| {
        let counts = pod.list("/status/containerStatuses").iter();
        counts.filter_map(|status| status.get("restartCount").and_then(Value::as_i64)).max().unwrap_or(0)
    };
    ready_since(right)
        .cmp(&ready_since(left))
        .then_with(|| restarts(right).cmp(&restarts(left)))
        .then_with(|| right.created().cmp(&left.created()))
        .then_with(|| left.name().cmp(right.name()))
}

/// The status a ReplicaSet should show, and when it changes by the passing of time alone.
#[derive(Debug, PartialEq)]
pub struct StatusPlan {
    /// The wanted status; `null` stands for an absent field.
    pub status: Value,
    /// When a ready pod becomes available.
    pub next: Option<Timestamp>,
}

/// Computes the status from the pods the set owns. `failure` is why the last create or delete failed.
#[must_use]
pub fn plan_status(
    set: &Object,
    owned: &[Object],
    failure: Option<(&'static str, String)>,
    now: Timestamp,
) -> StatusPlan {
    let template_labels = set.at("/spec/template/metadata/labels").and_then(Value::as_object);
    let min_ready = set.integer("/spec/minReadySeconds").unwrap_or(0);
    let (mut replicas, mut labeled, mut ready, mut available, mut terminating) = (0, 0, 0, 0, 0);
    let mut next: Option<Timestamp> = None;
    for pod in owned {
        if pod.is_deleting() && !super::pod_set::is_finished(pod) {
            terminating += 1;
        }
        if !is_active(pod) {
            continue;
        }
        replicas += 1;
        let has = |(name, value): (&String, &Value)| {
            pod.labels().and_then(|labels| labels.get(name)) == Some(value)
        };
        if template_labels.is_none_or(|labels| labels.iter().all(has)) {
            labeled += 1;
        }
        if !is_ready(pod) {
            continue;
        }
        ready += 1;
        match available_at(pod, min_ready) {
            Some(at) if at > now => next = Some(next.map_or(at, |next| next.min(at))),
            _ => available += 1,
        }
    }
    let counted = |count: i64| if count == 0 { Value::Null } else { json!(count) };
    let status = json!({
        "replicas": replicas,
        "fullyLabeledReplicas": counted(labeled),
        "readyReplicas": counted(ready),
        "availableReplicas": counted(available),
        "terminatingReplicas": terminating,
        "observedGeneration": set.generation(),
        "conditions": plan_conditions(set, failure, now),
    });
    StatusPlan { status, next }
}

fn available_at(pod: &Object, min_ready_seconds: i64) -> Option<Timestamp> {
    if min_ready_seconds == 0 {
        return None;
    }
    ready_since(pod)?.checked_add(SignedDuration::from_secs(min_ready_seconds)).ok()
}

fn plan_conditions(set: &Object, failure: Option<(&'static str, String)>, now: Timestamp) -> Value {
    let old = set.list("/status/conditions");
    let mut conditions: Vec<Value> = old
        .iter()
        .filter(|condition| condition.get("type") != Some(&json!("ReplicaFailure")))
        .cloned()
        .collect();
    if let Some((reason, message)) = failure {
        let same = set
            .condition("ReplicaFailure")
            .filter(|condition| condition.get("reason") == Some(&json!(reason)));
        conditions.push(same.cloned().unwrap_or_else(|| {
            json!({"type": "ReplicaFailure", "status": "True", "lastTransitionTime": api_time(now), "reason": reason, "message": message})
        }));
    }
    if conditions.is_empty() { Value::Null } else { Value::Array(conditions) }
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let sets = context.hub.cache(&REPLICA_SETS);
    let pods = context.hub.cache(&PODS);
    queue_spec_changes(&sets, &queue);
    queue_controllers(&pods, "ReplicaSet", &queue);
    let orphans = (std::sync::Arc::clone(&queue), std::sync::Arc::clone(&sets));
    pods.subscribe(move |change| {
        // An orphan belongs to nobody's queue; every set that could adopt it must look.
        if let Some(pod) = change.new.as_ref().filter(|pod| pod.controller().is_none() && is_active(pod)) {
            adopters_of(&orphans.1, pod).into_iter().for_each(|key| orphans.0.add(key));
        }
    });
    sets.wait_synced().await;
    pods.wait_synced().await;
    queue.drive(8, |key| reconcile(&context, &sets, &pods, key)).await;
}

async fn reconcile(context: &Context, sets: &Cache, pods: &Cache, key: Key) -> kube::Result<Again> {
    let Some(set) = sets.get(&key) else { return Ok(None) };
    let plan = plan_replica_set(&set, &gather_candidates(pods, &set));
    let outcome = apply(context, pods, &set, &plan).await;
    let failure = match &outcome {
        Err(error) if plan.create > 0 => Some(("FailedCreate", message_of(error))),
        Err(error) if !plan.delete.is_empty() => Some(("FailedDelete", message_of(error))),
        _ => None,
    };
    let again = apply_status(context, sets, pods, &set, failure).await?;
    outcome.map(|()| again)
}

async fn apply(context: &Context, pods: &Cache, set: &Object, plan: &Plan) -> kube::Result<()> {
    apply_claims(context, pods, &REPLICA_SETS, set, &plan.claims).await?;
    if plan.create > 0 {
        let template = set.at("/spec/template").cloned().unwrap_or_default();
        let pod = render_pod(&REPLICA_SETS, set, &template);
        apply_creates(context, pods, &REPLICA_SETS, set, &pod, plan.create, SOURCE).await?;
    }
    apply_deletes(context, pods, &REPLICA_SETS, set, &plan.delete, SOURCE).await
}

async fn apply_status(
    context: &Context,
    sets: &Cache,
    pods: &Cache,
    set: &Object,
    failure: Option<(&'static str, String)>,
) -> kube::Result<Again> {
    let wanted = plan_status(set, &pods.controlled_by(set.uid()), failure, context.clock.now());
    let again = context.again_at(wanted.next).map(|delay| delay + Duration::from_millis(1));
    let Some(patch) = render_merge(set.at("/status"), &wanted.status) else { return Ok(again) };
    match context.api.send_patch(&REPLICA_SETS, &set.key(), Some("status"), &json!({"status": patch})).await {
        Ok(written) => {
            sets.wait_for_echo(&written).await;
            Ok(again)
        }
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(replicas: i64) -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "n", "uid": "set", "generation": 3},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}}},
        })
    }

    fn pod(name: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "n", "uid": name, "labels": {"app": "web"},
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set", "controller": true}]},
            "spec": {"nodeName": "node"},
            "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]},
        })
    }

    fn with(mut pod: Value, change: impl FnOnce(&mut Value)) -> Object {
        change(&mut pod);
        pod.into()
    }

    fn names(pods: &[Object]) -> Vec<&str> {
        pods.iter().map(Object::name).collect()
    }

    #[test]
    fn the_least_valuable_pod_goes_first() {
        let cases: Vec<(&str, Object)> = vec![
            ("unassigned", with(pod("unassigned"), |p| p["spec"] = json!({}))),
            ("pending", with(pod("pending"), |p| p["status"]["phase"] = json!("Pending"))),
            ("not ready", with(pod("unready"), |p| p["status"]["conditions"][0]["status"] = json!("False"))),
            ("cheap", with(pod("cheap"), |p| p["metadata"]["annotations"] = json!({DELETION_COST: "-5"}))),
            ("crowded", with(pod("crowded"), |_| {})),
            (
                "newly ready",
                with(pod("late"), |p| {
                    p["spec"]["nodeName"] = json!("other");
                    p["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T00:00:30Z");
                }),
            ),
            ("old", with(pod("old"), |p| p["spec"]["nodeName"] = json!("third"))),
        ];
        let mut pods: Vec<&Object> = cases.iter().map(|(_, pod)| pod).collect();
        pods.reverse();
        let order: Vec<&str> = rank_for_deletion(&pods).iter().map(|pod| pod.name()).collect();
        assert_eq!(order, ["unassigned", "pending", "unready", "cheap", "crowded", "late", "old"]);
    }

    #[test]
    fn pods_are_created_and_deleted_up_to_the_wanted_number() {
        let finished = with(pod("done"), |p| p["status"]["phase"] = json!("Failed"));
        let deleting =
            with(pod("leaving"), |p| p["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
        let pods = [pod("a").into(), pod("b").into(), finished, deleting];
        for (replicas, create, delete) in [(4, 2, 0), (2, 0, 0), (1, 0, 1), (0, 0, 2)] {
            let plan = plan_replica_set(&set(replicas).into(), &pods);
            assert_eq!((plan.create, plan.delete.len()), (create, delete), "{replicas} wanted");
        }
        let plan = plan_replica_set(
            &with(set(9), |s| s["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
            &pods,
        );
        assert_eq!(
            (plan.create, plan.delete.len()),
            (0, 0),
            "a set being deleted leaves its pods to the garbage collector"
        );
    }

    #[test]
    fn orphans_are_adopted_and_pods_that_no_longer_match_are_released() {
        let orphan = with(pod("orphan"), |p| p["metadata"]["ownerReferences"] = json!([]));
        let foreign = with(pod("foreign"), |p| p["metadata"]["ownerReferences"][0]["uid"] = json!("other"));
        let relabeled = with(pod("relabeled"), |p| p["metadata"]["labels"] = json!({"app": "debug"}));
        let plan = plan_replica_set(&set(2).into(), &[orphan, foreign, relabeled, pod("a").into()]);
        assert_eq!(names(&plan.claims.adopt), ["orphan"]);
        assert_eq!(names(&plan.claims.release), ["relabeled"]);
        assert_eq!(names(&plan.claims.owned), ["orphan", "a"]);
        assert_eq!((plan.create, plan.delete.len()), (0, 0));
    }

    #[test]
    fn a_ready_pod_is_available_after_min_ready_seconds() {
        let set = with(set(2), |s| s["spec"]["minReadySeconds"] = json!(20));
        let unready = with(pod("b"), |p| p["status"]["conditions"][0]["status"] = json!("False"));
        let pods = [pod("a").into(), unready];
        let early = plan_status(&set, &pods, None, "2026-01-01T00:00:29Z".parse().unwrap());
        assert_eq!(early.next, Some("2026-01-01T00:00:30Z".parse().unwrap()));
        assert_eq!(early.status["availableReplicas"], Value::Null);
        assert_eq!(early.status["readyReplicas"], json!(1));
        let late = plan_status(&set, &pods, None, "2026-01-01T00:00:30Z".parse().unwrap());
        assert_eq!((late.next, &late.status["availableReplicas"]), (None, &json!(1)));
        assert_eq!(late.status["observedGeneration"], json!(3));
        assert_eq!(late.status["replicas"], json!(2));
    }

    #[test]
    fn a_refused_pod_shows_as_replica_failure_until_it_is_over() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let failed = plan_status(&set(1).into(), &[], Some(("FailedCreate", "quota".to_owned())), now);
        assert_eq!(failed.status["conditions"][0]["reason"], "FailedCreate");
        let set = with(set(1), |s| s["status"] = failed.status.clone());
        assert_eq!(plan_status(&set, &[], None, now).status["conditions"], Value::Null);
    }
}
