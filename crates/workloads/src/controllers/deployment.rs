//! Deployments: one ReplicaSet per template, rolled over within `maxSurge` and `maxUnavailable`, and a
//! status that says how far that is.
//!
//! The template hash is stable but not the one a real controller computes, which prints Go structures.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::pod_set::adopters_of;
use super::{Context, Note, queue_controllers, queue_spec_changes, render_merge};
use crate::api::{DeleteOptions, is_already_exists, is_conflict, is_namespace_terminating, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{DEPLOYMENTS, REPLICA_SETS};
use crate::selector::Selector;

const SOURCE: &str = "deployment-controller";
const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";

/// What a Deployment needs done.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The ReplicaSet of the template, to be created.
    pub create: Option<Value>,
    /// ReplicaSets to change, with the merge patch.
    pub patch: Vec<(Key, Value)>,
    /// ReplicaSets beyond the history limit.
    pub delete: Vec<Key>,
    /// The revision the Deployment should show, if it does not.
    pub revision: Option<i64>,
    /// The status it should show; `null` stands for an absent field.
    pub status: Value,
    /// When something changes by the passing of time alone.
    pub next: Option<Timestamp>,
}

/// A Deployment with its ReplicaSets told apart.
struct Rollout<'a> {
    deployment: &'a Object,
    replicas: i64,
    max_surge: i64,
    max_unavailable: i64,
    recreate: bool,
    current: Option<&'a Object>,
    older: Vec<&'a Object>,
    /// The name of the ReplicaSet that was made just now, if one was.
    created: Option<&'a str>,
}

impl<'a> Rollout<'a> {
    fn new(deployment: &'a Object, sets: &'a [Object]) -> Self {
        let replicas = deployment.integer("/spec/replicas").unwrap_or(1);
        let recreate = deployment.text("/spec/strategy/type") == Some("Recreate");
        let bound = |field: &str, up: bool| {
            let value = deployment.at(&format!("/spec/strategy/rollingUpdate/{field}"));
            resolve_bound(value.unwrap_or(&json!("25%")), replicas, up)
        };
        let (max_surge, mut max_unavailable) =
            if recreate { (0, replicas) } else { (bound("maxSurge", true), bound("maxUnavailable", false)) };
        if max_surge == 0 && max_unavailable == 0 {
            max_unavailable = 1;
        }
        let template = deployment.at("/spec/template").map(without_hash);
        let mut sets: Vec<&Object> = sets.iter().filter(|set| !set.is_deleting()).collect();
        sets.sort_by_key(|set| (set.created(), set.name()));
        let current = sets.iter().copied().find(|set| set.at("/spec/template").map(without_hash) == template);
        let older = sets.into_iter().filter(|set| Some(set.uid()) != current.map(Object::uid)).collect();
        Self {
            deployment,
            replicas,
            max_surge,
            max_unavailable: max_unavailable.min(replicas),
            recreate,
            current,
            older,
            created: None,
        }
    }

    fn all(&self) -> impl Iterator<Item = &'a Object> {
        self.older.iter().copied().chain(self.current)
    }

    fn total(&self) -> i64 {
        self.all().map(wanted).sum()
    }

    fn minimum_available(&self) -> i64 {
        if self.recreate { 0 } else { self.replicas - self.max_unavailable }
    }
}

fn wanted(set: &Object) -> i64 {
    set.integer("/spec/replicas").unwrap_or(1)
}

fn status_count(set: &Object, field: &str) -> i64 {
    set.at("/status").and_then(|status| status.get(field)).and_then(Value::as_i64).unwrap_or(0)
}

fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH_LABEL);
    }
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
    template
}

/// A number or a percentage of `total`; negative numbers and anything else count as zero.
#[must_use]
pub fn resolve_bound(value: &Value, total: i64, round_up: bool) -> i64 {
    let resolved = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()).map(|percent| {
                let hundredths = percent.saturating_mul(total);
                if round_up { hundredths.saturating_add(99) / 100 } else { hundredths / 100 }
            })
        }
        _ => None,
    };
    resolved.unwrap_or(0).max(0)
}

/// A short, stable name for a template.
#[must_use]
pub fn render_template_hash(template: &Value) -> String {
    const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = without_hash(template)
        .to_string()
        .bytes()
        .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| char::from(SAFE[usize::from(digit) % SAFE.len()])).collect()
}

/// Decides what `deployment` needs, given the ReplicaSets it owns.
#[must_use]
pub fn plan_deployment(deployment: &Object, sets: &[Object], now: Timestamp) -> Plan {
    plan_after_creation(deployment, sets, None, now)
}

/// As [`plan_deployment`], right after the ReplicaSet of that name was made.
fn plan_after_creation(deployment: &Object, sets: &[Object], created: Option<&str>, now: Timestamp) -> Plan {
    let mut rollout = Rollout::new(deployment, sets);
    rollout.created = created;
    let mut plan = Plan::default();
    if deployment.is_deleting() {
        plan.status = plan_status(&rollout, now);
        return plan;
    }
    let paused = deployment.flag("/spec/paused");
    let resized = rollout.all().any(|set| {
        wanted(set) > 0
            && set.annotation(DESIRED).is_some_and(|desired| desired != rollout.replicas.to_string())
    });
    if paused || resized {
        plan_resize(&rollout, &mut plan);
    } else if rollout.recreate {
        plan_recreate(&rollout, &mut plan);
    } else {
        plan_rolling(&rollout, &mut plan);
    }
    plan_history(&rollout, &mut plan);
    plan.status = plan_status(&rollout, now);
    plan.next = progress_deadline(&rollout).filter(|at| *at > now);
    plan
}

fn revision_of(set: &Object) -> i64 {
    set.annotation(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

fn next_revision(rollout: &Rollout<'_>) -> i64 {
    rollout.older.iter().map(|set| revision_of(set)).max().unwrap_or(0) + 1
}

fn size_annotations(rollout: &Rollout<'_>) -> Value {
    json!({DESIRED: rollout.replicas.to_string(), MAXIMUM: (rollout.replicas + rollout.max_surge).to_string()})
}

/// Scales a set, and brings its annotations up to date.
fn scale(rollout: &Rollout<'_>, set: &Object, replicas: i64, plan: &mut Plan) {
    let mut annotations = size_annotations(rollout);
    let is_current = rollout.current.is_some_and(|current| current.uid() == set.uid());
    if is_current {
        let revision = next_revision(rollout).max(revision_of(set));
        annotations[REVISION] = json!(revision.to_string());
        if let Some(history) = plan_history_annotation(set, revision) {
            annotations[HISTORY] = json!(history);
        }
        let shown = rollout.deployment.annotation(REVISION).and_then(|shown| shown.parse().ok());
        plan.revision = Some(revision).filter(|revision| shown != Some(*revision));
    }
    let content = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": replicas}});
    if (is_current || replicas != wanted(set))
        && let Some(patch) = render_merge(Some(set.value()), &content)
    {
        plan.patch.push((set.key(), patch));
    }
}

/// The revisions a set had before, if it gets another one now.
fn plan_history_annotation(set: &Object, revision: i64) -> Option<String> {
    let old = set.annotation(REVISION).filter(|old| *old != revision.to_string())?;
    Some(match set.annotation(HISTORY) {
        Some(history) if !history.is_empty() => format!("{history},{old}"),
        _ => old.to_owned(),
    })
}

fn render_set(rollout: &Rollout<'_>, replicas: i64) -> Value {
    let deployment = rollout.deployment;
    let mut template = deployment.at("/spec/template").cloned().unwrap_or_default();
    let hash = render_template_hash(&template);
    template["metadata"]["labels"][HASH_LABEL] = json!(hash);
    let mut selector = deployment.at("/spec/selector").cloned().unwrap_or_default();
    selector["matchLabels"][HASH_LABEL] = json!(hash);
    let mut annotations = size_annotations(rollout);
    annotations[REVISION] = json!(next_revision(rollout).to_string());
    for (name, value) in deployment.annotations().into_iter().flatten() {
        if name != REVISION && name != "kubectl.kubernetes.io/last-applied-configuration" {
            annotations[name] = value.clone();
        }
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", deployment.name()),
            "namespace": deployment.namespace(),
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [super::controller_reference(&DEPLOYMENTS, deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment.integer("/spec/minReadySeconds").unwrap_or(0),
            "selector": selector,
            "template": template,
        },
    })
}

/// The wanted number changed, or the rollout is paused: the sets grow or shrink in proportion.
fn plan_resize(rollout: &Rollout<'_>, plan: &mut Plan) {
    let mut active: Vec<&Object> = rollout.all().filter(|set| wanted(set) > 0).collect();
    if active.is_empty() {
        active.extend(rollout.current.or_else(|| rollout.older.last().copied()));
    }
    if let [only] = active[..] {
        scale(rollout, only, rollout.replicas, plan);
        return;
    }
    let allowed = rollout.replicas + if rollout.recreate { 0 } else { rollout.max_surge };
    let (total, mut left) = (rollout.total(), allowed - rollout.total());
    active.sort_by_key(|set| std::cmp::Reverse(wanted(set)));
    for (index, set) in active.iter().enumerate() {
        let share = if index + 1 == active.len() || total == 0 {
            left
        } else {
            (allowed - total) * wanted(set) / total
        };
        let share = if left >= 0 { share.clamp(0, left) } else { share.clamp(left, 0) };
        left -= share;
        scale(rollout, set, (wanted(set) + share).max(0), plan);
    }
}

fn plan_recreate(rollout: &Rollout<'_>, plan: &mut Plan) {
    for set in rollout.older.iter().filter(|set| wanted(set) > 0) {
        scale(rollout, set, 0, plan);
    }
    let left = rollout.older.iter().any(|set| {
        wanted(set) > 0 || status_count(set, "replicas") + status_count(set, "terminatingReplicas") > 0
    });
    match rollout.current {
        _ if left => {}
        Some(set) => scale(rollout, set, rollout.replicas, plan),
        None => plan.create = Some(render_set(rollout, rollout.replicas)),
    }
}

fn plan_rolling(rollout: &Rollout<'_>, plan: &mut Plan) {
    let room = (rollout.replicas + rollout.max_surge - rollout.total()).max(0);
    let Some(current) = rollout.current else {
        plan.create = Some(render_set(rollout, room.min(rollout.replicas)));
        return;
    };
    let target = if wanted(current) > rollout.replicas {
        rollout.replicas
    } else {
        (wanted(current) + room).min(rollout.replicas)
    };
    scale(rollout, current, target, plan);
    if target != wanted(current) {
        return;
    }
    // What of the new set is not available yet must not be taken from the old ones.
    let unavailable = wanted(current) - status_count(current, "availableReplicas").min(wanted(current));
    let mut budget = rollout.total() - rollout.minimum_available() - unavailable;
    let available: i64 = rollout.all().map(|set| status_count(set, "availableReplicas")).sum();
    let mut spare = available - rollout.minimum_available();
    for set in &rollout.older {
        let size = wanted(set);
        if size == 0 {
            continue;
        }
        // Pods that are not available go first: nobody misses them.
        let sick = (size - status_count(set, "availableReplicas").min(size)).min(budget).max(0);
        let healthy = (size - sick).min(budget - sick).min(spare).max(0);
        budget -= sick + healthy;
        spare -= healthy;
        if sick + healthy > 0 {
            scale(rollout, set, size - sick - healthy, plan);
        }
    }
}

fn plan_history(rollout: &Rollout<'_>, plan: &mut Plan) {
    let limit = rollout.deployment.integer("/spec/revisionHistoryLimit").unwrap_or(10);
    if !is_complete(rollout) {
        return;
    }
    let mut idle: Vec<&&Object> =
        rollout.older.iter().filter(|set| wanted(set) == 0 && status_count(set, "replicas") == 0).collect();
    idle.sort_by_key(|set| revision_of(set));
    let surplus = idle.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    plan.delete = idle.into_iter().take(surplus).map(|set| set.key()).collect();
}

fn is_complete(rollout: &Rollout<'_>) -> bool {
    let updated = rollout.current.map_or(0, |set| status_count(set, "replicas"));
    let total: i64 = rollout.all().map(|set| status_count(set, "replicas")).sum();
    let available = rollout.current.map_or(0, |set| status_count(set, "availableReplicas"));
    rollout.current.is_some()
        && updated == rollout.replicas
        && total == rollout.replicas
        && available == rollout.replicas
}

fn progress_deadline(rollout: &Rollout<'_>) -> Option<Timestamp> {
    let progressing = rollout.deployment.condition("Progressing")?;
    if matches!(text(progressing, "reason"), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded")
        || rollout.deployment.flag("/spec/paused")
    {
        return None;
    }
    let seconds = rollout.deployment.integer("/spec/progressDeadlineSeconds").unwrap_or(600);
    text(progressing, "lastUpdateTime")
        .parse::<Timestamp>()
        .ok()?
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()
}

fn plan_status(rollout: &Rollout<'_>, now: Timestamp) -> Value {
    let sum = |field: &str| -> i64 { rollout.all().map(|set| status_count(set, field)).sum() };
    let counted = |count: i64| if count == 0 { Value::Null } else { json!(count) };
    let available = sum("availableReplicas");
    let counts = json!({
        "observedGeneration": rollout.deployment.generation(),
        "replicas": counted(sum("replicas")),
        "updatedReplicas": counted(rollout.current.map_or(0, |set| status_count(set, "replicas"))),
        "readyReplicas": counted(sum("readyReplicas")),
        "availableReplicas": counted(available),
        "unavailableReplicas": counted((rollout.total() - available).max(0)),
        "terminatingReplicas": sum("terminatingReplicas"),
    });
    let count = |field: &str| counts[field].as_i64().unwrap_or(0);
    let shown = |field: &str| status_count(rollout.deployment, field);
    let grown = |field: &str| count(field) > shown(field);
    let old_are_fewer =
        count("replicas") - count("updatedReplicas") < shown("replicas") - shown("updatedReplicas");
    let progressed =
        old_are_fewer || grown("updatedReplicas") || grown("readyReplicas") || grown("availableReplicas");
    let mut status = counts;
    let conditions = rollout.deployment.list("/status/conditions").to_vec();
    let mut conditions = Conditions { conditions, now };
    if rollout.created.is_some() {
        conditions.set("Progressing", "True", "NewReplicaSetCreated", &created_message(rollout), false);
    }
    plan_pause(rollout, &mut conditions);
    plan_availability(rollout, available, &mut conditions);
    if !rollout.deployment.flag("/spec/paused") {
        plan_progress(rollout, progressed, &mut conditions);
        plan_failure(rollout, &mut conditions);
    }
    status["conditions"] = json!(conditions.conditions);
    status
}

/// Conditions as a real controller keeps them: one that changes moves to the end, so their order tells of their past.
struct Conditions {
    conditions: Vec<Value>,
    now: Timestamp,
}

impl Conditions {
    fn get(&self, kind: &str) -> Option<&Value> {
        self.conditions.iter().find(|condition| text(condition, "type") == kind)
    }

    fn remove(&mut self, kind: &str) {
        self.conditions.retain(|condition| text(condition, "type") != kind);
    }

    /// Sets a condition. One with the same status and reason stays as it is unless `touched` says otherwise.
    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str, touched: bool) {
        let old = self.get(kind);
        if !touched && old.is_some_and(|old| text(old, "status") == status && text(old, "reason") == reason) {
            return;
        }
        let now = api_time(self.now);
        let since = old
            .filter(|old| text(old, "status") == status)
            .map_or_else(|| now.clone(), |old| text(old, "lastTransitionTime").to_owned());
        let condition = json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since, "lastUpdateTime": now,
        });
        self.remove(kind);
        self.conditions.push(condition);
    }
}

fn created_message(rollout: &Rollout<'_>) -> String {
    format!("Created new replica set \"{}\"", rollout.created.unwrap_or_default())
}

fn plan_pause(rollout: &Rollout<'_>, conditions: &mut Conditions) {
    let paused = rollout.deployment.flag("/spec/paused");
    let shown = conditions.get("Progressing").map_or("", |old| text(old, "reason")).to_owned();
    if shown == "ProgressDeadlineExceeded" {
        return;
    }
    if paused {
        conditions.set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", false);
    } else if shown == "DeploymentPaused" {
        conditions.set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", false);
    }
}

fn plan_availability(rollout: &Rollout<'_>, available: i64, conditions: &mut Conditions) {
    let minimum = if rollout.recreate { rollout.replicas } else { rollout.minimum_available() };
    if available >= minimum {
        let message = "Deployment has minimum availability.";
        conditions.set("Available", "True", "MinimumReplicasAvailable", message, false);
    } else {
        let message = "Deployment does not have minimum availability.";
        conditions.set("Available", "False", "MinimumReplicasUnavailable", message, false);
    }
}

fn plan_progress(rollout: &Rollout<'_>, progressed: bool, conditions: &mut Conditions) {
    let name = rollout.current.map_or("", Object::name);
    let count = |field: &str| -> i64 { rollout.all().map(|set| status_count(set, field)).sum() };
    let updated = rollout.current.map_or(0, |set| status_count(set, "replicas"));
    let reason = conditions.get("Progressing").map_or("", |old| text(old, "reason")).to_owned();
    if updated == count("replicas") && reason == "NewReplicaSetAvailable" {
        return;
    }
    if is_complete(rollout) {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        conditions.set("Progressing", "True", "NewReplicaSetAvailable", &message, false);
    } else if progressed {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        conditions.set("Progressing", "True", "ReplicaSetUpdated", &message, true);
    } else if progress_deadline(rollout).is_some_and(|at| at <= conditions.now) {
        let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
        conditions.set("Progressing", "False", "ProgressDeadlineExceeded", &message, false);
    } else if reason.is_empty() && rollout.current.is_some() {
        let message = format!("Found new replica set \"{name}\"");
        conditions.set("Progressing", "True", "FoundNewReplicaSet", &message, false);
    }
}

/// What keeps a ReplicaSet from making pods shows on its Deployment too.
fn plan_failure(rollout: &Rollout<'_>, conditions: &mut Conditions) {
    let failures = |set: &Object| {
        set.condition("ReplicaFailure").filter(|failure| text(failure, "status") == "True").cloned()
    };
    let found =
        rollout.current.and_then(failures).or_else(|| rollout.older.iter().find_map(|set| failures(set)));
    match found {
        Some(failure) => {
            conditions.set(
                "ReplicaFailure",
                "True",
                text(&failure, "reason"),
                text(&failure, "message"),
                false,
            );
        }
        None => conditions.remove("ReplicaFailure"),
    }
}

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let deployments = context.hub.cache(&DEPLOYMENTS);
    let sets = context.hub.cache(&REPLICA_SETS);
    queue_spec_changes(&deployments, &queue);
    queue_controllers(&sets, "Deployment", &queue);
    let orphans = (std::sync::Arc::clone(&queue), std::sync::Arc::clone(&deployments));
    sets.subscribe(move |change| {
        if let Some(set) = change.new.as_ref().filter(|set| set.controller().is_none() && !set.is_deleting())
        {
            adopters_of(&orphans.1, set).into_iter().for_each(|key| orphans.0.add(key));
        }
    });
    deployments.wait_synced().await;
    sets.wait_synced().await;
    queue.drive(4, |key| reconcile(&context, &deployments, &sets, key)).await;
}

async fn reconcile(context: &Context, deployments: &Cache, sets: &Cache, key: Key) -> kube::Result<Again> {
    let Some(deployment) = deployments.get(&key) else { return Ok(None) };
    apply_adoptions(context, sets, &deployment).await?;
    let plan = plan_deployment(&deployment, &sets.controlled_by(deployment.uid()), context.clock.now());
    let changed = apply(context, deployments, sets, &deployment, &plan).await?;
    let Some(deployment) = deployments.get(&key) else { return Ok(None) };
    let created = plan.create.as_ref().and_then(|set| set.pointer("/metadata/name")).and_then(Value::as_str);
    let owned = sets.controlled_by(deployment.uid());
    let seen = plan_after_creation(&deployment, &owned, created, context.clock.now());
    if let Some(patch) = render_merge(deployment.at("/status"), &seen.status) {
        match context.api.send_patch(&DEPLOYMENTS, &key, Some("status"), &json!({"status": patch})).await {
            Err(error) if is_not_found(&error) => return Ok(None),
            written => deployments.wait_for_echo(&written?).await,
        }
    }
    let more = changed && (seen.create.is_some() || !seen.patch.is_empty());
    Ok(if more { Some(std::time::Duration::ZERO) } else { context.again_at(seen.next) })
}

async fn apply_adoptions(context: &Context, sets: &Cache, deployment: &Object) -> kube::Result<()> {
    let Some(selector) = Selector::from_label_selector(deployment.at("/spec/selector")) else {
        return Ok(());
    };
    let orphans = sets.controlled_by("").into_iter().filter(|set| set.namespace() == deployment.namespace());
    for set in orphans
        .filter(|set| selector.matches(set.labels()) && !set.is_deleting() && !deployment.is_deleting())
    {
        let mut owners = set.list("/metadata/ownerReferences").to_vec();
        owners.push(super::controller_reference(&DEPLOYMENTS, deployment));
        let patch = json!({"metadata": {"uid": set.uid(), "resourceVersion": set.resource_version(), "ownerReferences": owners}});
        match context.api.send_patch(&REPLICA_SETS, &set.key(), None, &patch).await {
            Err(error) if is_not_found(&error) => {}
            written => sets.wait_for_echo(&written?).await,
        }
    }
    Ok(())
}

/// Performs the plan; returns whether anything was changed.
async fn apply(
    context: &Context,
    deployments: &Cache,
    sets: &Cache,
    deployment: &Object,
    plan: &Plan,
) -> kube::Result<bool> {
    let mut last = None;
    if let Some(body) = &plan.create {
        match context.api.send_create(&REPLICA_SETS, deployment.namespace(), body).await {
            Err(error) if is_namespace_terminating(&error) => return Ok(false),
            Err(error) if is_already_exists(&error) => {}
            created => {
                let created = created?;
                let note = Note::normal(
                    "ScalingReplicaSet",
                    format!("Scaled up replica set {} from 0 to {}", created.name(), wanted(&created)),
                );
                context.send_event(&DEPLOYMENTS, deployment, SOURCE, &note).await;
                last = Some(created);
            }
        }
    }
    for (key, patch) in &plan.patch {
        match context.api.send_patch(&REPLICA_SETS, key, None, patch).await {
            Err(error) if is_not_found(&error) => {}
            written => last = Some(written?),
        }
    }
    for key in &plan.delete {
        match context.api.send_delete(&REPLICA_SETS, key, &DeleteOptions::default()).await {
            Err(error) if !is_not_found(&error) && !is_conflict(&error) => return Err(error),
            _ => sets.wait_until(|| sets.get(key).is_none_or(|set| set.is_deleting())).await,
        }
    }
    if let Some(revision) = plan.revision {
        let patch = json!({"metadata": {"annotations": {REVISION: revision.to_string()}}});
        match context.api.send_patch(&DEPLOYMENTS, &deployment.key(), None, &patch).await {
            Err(error) if is_not_found(&error) => {}
            written => deployments.wait_for_echo(&written?).await,
        }
    }
    let changed = last.is_some();
    if let Some(last) = last {
        sets.wait_for_echo(&last).await;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: i64, change: impl FnOnce(&mut Value)) -> Object {
        let mut deployment = json!({
            "metadata": {"name": "web", "namespace": "n", "uid": "d", "generation": 1},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
                "template": template("v2")},
        });
        change(&mut deployment);
        deployment.into()
    }

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": image}]}})
    }

    fn set(image: &str, replicas: i64, available: i64, desired: i64) -> Object {
        let mut template = template(image);
        template["metadata"]["labels"][HASH_LABEL] = json!(image);
        json!({
            "metadata": {"name": format!("web-{image}"), "namespace": "n", "uid": image,
                "annotations": {REVISION: image.trim_start_matches('v'), DESIRED: desired.to_string(), MAXIMUM: (desired + 1).to_string()}},
            "spec": {"replicas": replicas, "template": template},
            "status": {"replicas": replicas, "availableReplicas": available, "readyReplicas": available},
        })
        .into()
    }

    fn sizes(plan: &Plan) -> Vec<(String, i64)> {
        let sized = plan
            .patch
            .iter()
            .filter_map(|(key, patch)| Some((key.name.clone(), patch.pointer("/spec/replicas")?.as_i64()?)));
        sized.collect()
    }

    #[test]
    fn a_rolling_update_stays_within_its_bounds() {
        let now = Timestamp::UNIX_EPOCH;
        let table = [
            ("first", vec![], Some(4), vec![]),
            ("next template", vec![set("v1", 4, 4, 4)], Some(1), vec![]),
            (
                "new one not available",
                vec![set("v1", 4, 4, 4), set("v2", 1, 0, 4)],
                None,
                vec![("web-v1", 3)],
            ),
            ("no room", vec![set("v1", 3, 3, 4), set("v2", 2, 0, 4)], None, vec![]),
            ("one available", vec![set("v1", 3, 3, 4), set("v2", 2, 1, 4)], None, vec![("web-v1", 2)]),
            (
                "sick old pods go first",
                vec![set("v1", 3, 1, 4), set("v2", 2, 2, 4)],
                None,
                vec![("web-v1", 1)],
            ),
            ("room", vec![set("v1", 2, 2, 4), set("v2", 2, 2, 4)], None, vec![("web-v2", 3)]),
            ("done", vec![set("v1", 0, 0, 4), set("v2", 4, 4, 4)], None, vec![]),
            ("grown", vec![set("v2", 2, 2, 2)], None, vec![("web-v2", 4)]),
            (
                "grown midway",
                vec![set("v1", 2, 2, 2), set("v2", 1, 1, 2)],
                None,
                vec![("web-v1", 3), ("web-v2", 2)],
            ),
        ];
        for (case, sets, create, scaled) in table {
            let plan = plan_deployment(&deployment(4, |_| {}), &sets, now);
            assert_eq!(
                plan.create.as_ref().map(|set| set["spec"]["replicas"].as_i64().unwrap()),
                create,
                "{case}"
            );
            let scaled: Vec<(String, i64)> =
                scaled.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
            assert_eq!(sizes(&plan), scaled, "{case}");
        }
    }

    #[test]
    fn recreate_waits_until_the_old_pods_are_gone() {
        let recreate =
            deployment(3, |deployment| deployment["spec"]["strategy"] = json!({"type": "Recreate"}));
        let now = Timestamp::UNIX_EPOCH;
        let down = plan_deployment(&recreate, &[set("v1", 3, 3, 3)], now);
        assert_eq!((sizes(&down), down.create.is_some()), (vec![("web-v1".to_owned(), 0)], false));
        let up = plan_deployment(&recreate, &[set("v1", 0, 0, 3)], now);
        assert_eq!(up.create.unwrap()["spec"]["replicas"], 3);
    }

    #[test]
    fn a_paused_deployment_makes_no_new_set_and_history_is_cut() {
        let now = Timestamp::UNIX_EPOCH;
        let paused = deployment(4, |deployment| deployment["spec"]["paused"] = json!(true));
        let plan = plan_deployment(&paused, &[set("v1", 4, 4, 4)], now);
        assert_eq!((plan.create, plan.patch), (None, vec![]));
        let short = deployment(1, |deployment| deployment["spec"]["revisionHistoryLimit"] = json!(1));
        let sets = [set("v0", 0, 0, 1), set("v1", 0, 0, 1), set("v2", 1, 1, 1)];
        let deleted: Vec<String> =
            plan_deployment(&short, &sets, now).delete.into_iter().map(|key| key.name).collect();
        assert_eq!(deleted, ["web-v0"]);
    }

    #[test]
    fn conditions_say_how_far_the_rollout_is() {
        let reason = |plan: &Plan, index: usize| text(&plan.status["conditions"][index], "reason").to_owned();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let going = plan_deployment(&deployment(2, |_| {}), &[set("v2", 2, 0, 2)], start);
        assert_eq!(
            (reason(&going, 0).as_str(), reason(&going, 1).as_str()),
            ("MinimumReplicasUnavailable", "ReplicaSetUpdated")
        );
        let shown = deployment(2, |deployment| {
            deployment["status"] = going.status.clone();
            deployment["spec"]["progressDeadlineSeconds"] = json!(60);
        });
        let waiting = plan_deployment(&shown, &[set("v2", 2, 0, 2)], start);
        assert_eq!(waiting.next, Some("2026-01-01T00:01:00Z".parse().unwrap()));
        let late = plan_deployment(&shown, &[set("v2", 2, 0, 2)], "2026-01-01T00:01:00Z".parse().unwrap());
        assert_eq!(reason(&late, 1), "ProgressDeadlineExceeded");
        let done = plan_deployment(&shown, &[set("v2", 2, 2, 2)], start);
        assert_eq!(
            (reason(&done, 0).as_str(), reason(&done, 1).as_str()),
            ("MinimumReplicasAvailable", "NewReplicaSetAvailable")
        );
    }

    #[test]
    fn bounds_are_numbers_or_percentages() {
        let table = [
            (json!(3), true, 3),
            (json!("25%"), true, 3),
            (json!("25%"), false, 2),
            (json!("x"), true, 0),
            (json!(-1), true, 0),
        ];
        for (value, up, expected) in table {
            assert_eq!(resolve_bound(&value, 10, up), expected, "{value}");
        }
    }
}
