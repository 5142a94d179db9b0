//! Disruption budgets: how many of the pods a budget covers may be evicted just now.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::deployment::resolve_bound;
use super::pod_set::{is_finished, is_ready};
use super::{Context, GATHERING, queue_spec_changes, render_merge};
use crate::api::is_not_found;
use crate::cache::Cache;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS};
use crate::selector::Selector;

/// How long an eviction that was granted counts although the pod is still there.
const EVICTION_PATIENCE: SignedDuration = SignedDuration::from_secs(120);

/// The status of a budget and when it changes by the passing of time alone.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// The wanted status; `null` stands for an absent field.
    pub status: Value,
    /// When a granted eviction is given up.
    pub next: Option<Timestamp>,
}

/// Computes a budget's status from the pods it covers and the sizes of the ReplicaSets that control them.
#[must_use]
pub fn plan_budget(
    budget: &Object,
    pods: &[Object],
    set_sizes: &BTreeMap<String, i64>,
    now: Timestamp,
) -> Plan {
    let (disrupted, next) = plan_disrupted(budget, pods, now);
    let healthy = |pod: &&Object| is_ready(pod) && !pod.is_deleting() && !disrupted.contains_key(pod.name());
    let current = size(pods.iter().filter(healthy).count());
    let (expected, desired) = plan_expectation(budget, pods, set_sizes);
    let allowed = if expected > 0 { (current - desired).max(0) } else { 0 };
    let (status, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let old = budget.condition("DisruptionAllowed").filter(|old| text(old, "status") == status);
    let since = old.map_or_else(|| api_time(now), |old| text(old, "lastTransitionTime").to_owned());
    let status = json!({
        "currentHealthy": current,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": budget.generation(),
        "disruptedPods": if disrupted.is_empty() { Value::Null } else { removals(budget, disrupted) },
        "conditions": [{"type": "DisruptionAllowed", "status": status, "reason": reason, "message": "",
            "lastTransitionTime": since, "observedGeneration": budget.generation()}],
    });
    Plan { status, next }
}

/// Granted evictions whose pods are still there and not yet being deleted.
fn plan_disrupted(
    budget: &Object,
    pods: &[Object],
    now: Timestamp,
) -> (Map<String, Value>, Option<Timestamp>) {
    let mut kept = Map::new();
    let mut next: Option<Timestamp> = None;
    for (name, granted) in budget.at("/status/disruptedPods").and_then(Value::as_object).into_iter().flatten()
    {
        let waits = pods.iter().any(|pod| pod.name() == name && !pod.is_deleting());
        let granted_at: Option<Timestamp> = granted.as_str().and_then(|at| at.parse().ok());
        let until = granted_at.and_then(|at| at.checked_add(EVICTION_PATIENCE).ok());
        if let Some(until) = until.filter(|until| waits && *until > now) {
            kept.insert(name.clone(), granted.clone());
            next = Some(next.map_or(until, |next| next.min(until)));
        }
    }
    (kept, next)
}

/// A map for a merge patch: what is kept, and `null` for what is not.
fn removals(budget: &Object, mut kept: Map<String, Value>) -> Value {
    for name in budget
        .at("/status/disruptedPods")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
    {
        kept.entry(name.clone()).or_insert(Value::Null);
    }
    Value::Object(kept)
}

fn plan_expectation(budget: &Object, pods: &[Object], set_sizes: &BTreeMap<String, i64>) -> (i64, i64) {
    let controlled = || -> i64 {
        let owners: BTreeMap<&str, i64> = pods
            .iter()
            .filter_map(Object::controller)
            .filter_map(|owner| Some((owner.uid, *set_sizes.get(owner.uid)?)))
            .collect();
        owners.values().sum()
    };
    if let Some(bound) = budget.at("/spec/maxUnavailable").filter(|bound| !bound.is_null()) {
        let expected = controlled();
        return (expected, (expected - resolve_bound(bound, expected, true)).max(0));
    }
    match budget.at("/spec/minAvailable") {
        Some(bound @ Value::String(_)) => {
            let expected = controlled();
            (expected, resolve_bound(bound, expected, true))
        }
        bound => (size(pods.len()), resolve_bound(bound.unwrap_or(&json!(1)), 0, true)),
    }
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let budgets = context.hub.cache(&POD_DISRUPTION_BUDGETS);
    let pods = context.hub.cache(&PODS);
    let sets = context.hub.cache(&REPLICA_SETS);
    queue_spec_changes(&budgets, &queue);
    let (own, all) = (Arc::clone(&queue), Arc::clone(&budgets));
    budgets.subscribe(move |change| {
        // Granted evictions are written by the API server.
        let granted = |budget: &Object| budget.at("/status/disruptedPods").cloned();
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && granted(old) != granted(new)
        {
            own.add(new.key());
        }
    });
    let own = Arc::clone(&queue);
    pods.subscribe(move |change| {
        let facts =
            |pod: &Object| (is_ready(pod), pod.is_deleting(), is_finished(pod), pod.labels().cloned());
        if change.old.as_ref().map(facts) == change.new.as_ref().map(facts) {
            return;
        }
        let Some(pod) = change.latest() else { return };
        for budget in all.list(Some(pod.namespace())) {
            if selector_of(&budget).matches(pod.labels()) {
                own.add_after(budget.key(), GATHERING);
            }
        }
    });
    for cache in [&budgets, &pods, &sets] {
        cache.wait_synced().await;
    }
    queue.drive(2, |key| reconcile(&context, &budgets, &pods, &sets, key)).await;
}

/// An empty selector of a budget covers every pod of its namespace.
fn selector_of(budget: &Object) -> Selector {
    Selector::from_label_selector(budget.at("/spec/selector")).unwrap_or_default()
}

async fn reconcile(
    context: &Context,
    budgets: &Cache,
    pods: &Cache,
    sets: &Cache,
    key: Key,
) -> kube::Result<Again> {
    let Some(budget) = budgets.get(&key) else { return Ok(None) };
    let selector = selector_of(&budget);
    let covered: Vec<Object> = pods
        .list(Some(&key.namespace))
        .into_iter()
        .filter(|pod| {
            budget.at("/spec/selector").is_some() && selector.matches(pod.labels()) && !is_finished(pod)
        })
        .collect();
    let set_sizes = sets
        .list(Some(&key.namespace))
        .iter()
        .map(|set| (set.uid().to_owned(), set.integer("/spec/replicas").unwrap_or(1)))
        .collect();
    let plan = plan_budget(&budget, &covered, &set_sizes, context.clock.now());
    if let Some(patch) = render_merge(budget.at("/status"), &plan.status) {
        let patch = json!({"metadata": {"resourceVersion": budget.resource_version()}, "status": patch});
        match context.api.send_patch(&POD_DISRUPTION_BUDGETS, &key, Some("status"), &patch).await {
            Err(error) if is_not_found(&error) => return Ok(None),
            written => budgets.wait_for_echo(&written?).await,
        }
    }
    Ok(context.again_at(plan.next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, ready: bool) -> Object {
        json!({"metadata": {"name": name, "ownerReferences": [{"uid": "set", "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}})
        .into()
    }

    #[test]
    fn a_budget_allows_what_is_healthy_beyond_what_it_needs() {
        let pods = [pod("a", true), pod("b", true), pod("c", true), pod("d", false)];
        let sizes = BTreeMap::from([("set".to_owned(), 4)]);
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let table = [
            (json!({"minAvailable": 2}), json!({}), (3, 2, 1, 4)),
            (json!({"minAvailable": 3}), json!({}), (3, 3, 0, 4)),
            (json!({"minAvailable": "50%"}), json!({}), (3, 2, 1, 4)),
            (json!({"maxUnavailable": 1}), json!({}), (3, 3, 0, 4)),
            (json!({"maxUnavailable": "50%"}), json!({}), (3, 2, 1, 4)),
            (
                json!({"minAvailable": 2}),
                json!({"disruptedPods": {"a": "2025-12-31T23:59:00Z"}}),
                (2, 2, 0, 4),
            ),
            (
                json!({"minAvailable": 2}),
                json!({"disruptedPods": {"a": "2025-12-31T23:57:00Z"}}),
                (3, 2, 1, 4),
            ),
        ];
        for (spec, status, expected) in table {
            let budget: Object = json!({"spec": spec, "status": status}).into();
            let plan = plan_budget(&budget, &pods, &sizes, now);
            let count = |field: &str| plan.status[field].as_i64().unwrap();
            let seen = (
                count("currentHealthy"),
                count("desiredHealthy"),
                count("disruptionsAllowed"),
                count("expectedPods"),
            );
            assert_eq!(seen, expected, "{spec} {status}");
        }
    }
}
