//! Creating the ReplicaSet of a new template, and the revision both sides carry.

use std::collections::BTreeMap;

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::meta::LabelSelector;
use glidepath_api::{Rollout, Time, names, rollout_condition as kinds};
use glidepath_gocompat::quote::quote;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::conditions;
use super::identity::{owner_reference, template_matches};
use super::pass::Pass;
use super::pod_template;
use crate::plan::{Action, BlockerOwner};
use crate::snapshot::Failure;

const NOT_COPIED: [&str; 5] =
    [names::LAST_APPLIED, names::REVISION, names::REVISION_HISTORY, names::DESIRED_REPLICAS, names::NOTIFIED];

/// The longest wait before a creation that failed is tried again.
const LONGEST_RETRY_SECONDS: i64 = 10;
/// Reason of a creation that failed.
const CREATE_ERROR: &str = "ReplicaSetCreateError";

impl Pass<'_> {
    /// Creates the ReplicaSet of the current template, or deals with what came of the last attempt (R-250, R-259,
    ///
    pub(crate) fn create_new_replica_set(&mut self) {
        let name = format!("{}-{}", self.ro.metadata.name, self.identity.pod_hash);
        let failed = self
            .snap
            .failures
            .iter()
            .find(|failure| failure.verb == "createReplicaSet" && failure.object == name);
        if let Some(failure) = failed {
            self.handle_failed_create(&name, failure);
            return;
        }
        if self.wait_to_create_again(&name) {
            return;
        }
        let revision = self.sets.max_old_revision() + 1;
        let object = self.new_replica_set(&name, revision);
        self.act("create-replica-set", Action::CreateReplicaSet { name: name.clone(), object });
        self.set_rollout_revision(revision);
        self.event("NewReplicaSetCreated", format!("Created ReplicaSet {name} (revision {revision})"));
        let mut status = self.ro.status.clone();
        let message = format!("Created new replica set {}", quote(&name));
        conditions::set(
            &mut status,
            conditions::condition(kinds::PROGRESSING, "True", "NewReplicaSetCreated", &message, self.now),
        );
        self.out.status = Some(status);
    }

    fn new_replica_set(&self, name: &str, revision: i64) -> Value {
        let hash = &self.identity.pod_hash;
        let template = pod_template::for_new_set(self.ro, hash, self.sets.stable.is_some());
        // The set's own labels are those of the user's template: metadata of roles is for pods.
        let mut labels =
            self.ro.spec.template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        labels[names::POD_TEMPLATE_HASH] = json!(hash);
        let mut selector: LabelSelector = self.ro.spec.selector.clone().unwrap_or_default();
        selector.match_labels.insert(names::POD_TEMPLATE_HASH.to_owned(), hash.clone());
        let mut annotations = copied_annotations(self.ro);
        annotations.insert(names::REVISION.to_owned(), revision.to_string());
        annotations.insert(names::DESIRED_REPLICAS.to_owned(), self.replicas.to_string());
        if let Some(metadata) = pod_template::ephemeral_for_new_set(self.ro, self.sets.stable.is_some()) {
            annotations.insert(names::EPHEMERAL_METADATA.to_owned(), pod_template::remembered(metadata));
        }
        let mut spec = json!({"replicas": 0, "selector": selector, "template": template});
        if self.ro.spec.min_ready_seconds != 0 {
            spec["minReadySeconds"] = json!(self.ro.spec.min_ready_seconds);
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": self.ro.metadata.namespace,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [owner_reference(self.ro)],
            },
            "spec": spec,
        })
    }

    /// B-20: a set of that name exists already, or may not be created.
    fn handle_failed_create(&mut self, name: &str, failure: &Failure) {
        let existing: Option<ReplicaSet> =
            failure.existing.as_ref().and_then(|object| serde_json::from_value(object.clone()).ok());
        if failure.reason == "AlreadyExists"
            && let Some(existing) = &existing
        {
            let ours = existing.metadata.is_controlled_by(&self.ro.metadata.uid);
            if ours && template_matches(self.ro, existing) {
                // Our own set, which the cache has not shown yet.
                self.wake_in(1);
                self.out.must_observe = true;
                self.block(
                    "replica-set-not-seen-yet",
                    BlockerOwner::Controller,
                    None,
                    format!("ReplicaSet {name} to show up in the cache"),
                );
                return;
            }
            if ours || !existing.pod_hash().is_empty() {
                let mut status = self.ro.status.clone();
                status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
                self.out.status = Some(status);
                return;
            }
        }
        if let Some(problem) = template_problem(name, failure) {
            self.report_invalid_spec(problem);
            return;
        }
        let message = format!("Failed to create new replica set {}: {}", quote(name), failure.message);
        self.warn(CREATE_ERROR, message.clone());
        let mut status = self.ro.status.clone();
        let since = conditions::find(&status, kinds::PROGRESSING)
            .filter(|known| known.reason == CREATE_ERROR)
            .map_or(self.now, |known| known.last_transition_time);
        conditions::remove(&mut status, kinds::PROGRESSING);
        let mut condition =
            conditions::condition(kinds::PROGRESSING, "False", CREATE_ERROR, &message, self.now);
        condition.last_transition_time = since;
        conditions::set(&mut status, condition);
        // The failure is dealt with once; a later round tries again.
        self.out.must_observe = true;
        self.block_on_creation(name, &message, self.in_seconds(retry_seconds(since, self.now)));
        self.persist_conditions(status);
    }

    /// A set that could not be created is tried again after 1, 1, 2, 4 and so on up to 10 seconds: what keeps it from
    /// being created is seldom mended at once.
    fn wait_to_create_again(&mut self, name: &str) -> bool {
        let Some(known) = conditions::find(&self.ro.status, kinds::PROGRESSING) else { return false };
        let is_about_it = known.reason == CREATE_ERROR
            && known.message.starts_with(&format!("Failed to create new replica set {}: ", quote(name)))
            && self.ro.status.observed_generation == self.ro.metadata.generation.to_string();
        let seconds = retry_seconds(known.last_transition_time, known.last_update_time);
        let retry = known.last_update_time.plus_seconds(seconds).timestamp();
        if !is_about_it || retry <= self.snap.now {
            return false;
        }
        let message = known.message.clone();
        self.block_on_creation(name, &message, retry);
        true
    }

    fn block_on_creation(&mut self, name: &str, message: &str, retry: Timestamp) {
        self.wake_by(retry);
        self.block(
            "replica-set-not-created",
            BlockerOwner::Cluster,
            Some(retry),
            format!("ReplicaSet {name} to be creatable: {message}"),
        );
    }

    /// Writes the revision to the Rollout and says so, if it changed.
    fn set_rollout_revision(&mut self, revision: i64) {
        let text = revision.to_string();
        self.revision = revision;
        if self.ro.metadata.annotation(names::REVISION) == Some(text.as_str()) {
            return;
        }
        let patch = json!({"metadata": {"annotations": {names::REVISION: text}}});
        self.act("set-revision", Action::PatchSelf { patch });
        self.event("RolloutUpdated", format!("Rollout updated to revision {revision}"));
    }

    /// Brings annotations, revision and `minReadySeconds` of the new set up to date, then the Rollout's revision
    ///
    pub(crate) fn sync_revision(&mut self) {
        let Some(new) = self.sets.new else { return };
        let known = new.revision();
        let wanted = self.sets.max_old_revision() + 1;
        let mut annotations: BTreeMap<String, String> = copied_annotations(self.ro)
            .into_iter()
            .filter(|(key, value)| new.metadata.annotation(key) != Some(value.as_str()))
            .collect();
        let revision = known.unwrap_or(0).max(wanted);
        if known.unwrap_or(0) < wanted {
            annotations.insert(names::REVISION.to_owned(), wanted.to_string());
            // Earlier numbers are kept, each once (B-16).
            if let Some(known) = known {
                let history =
                    new.metadata.annotation(names::REVISION_HISTORY).filter(|text| !text.is_empty());
                let history = history.map_or_else(|| known.to_string(), |text| format!("{text},{known}"));
                annotations.insert(names::REVISION_HISTORY.to_owned(), history);
            }
        }
        let mut patch = json!({});
        if !annotations.is_empty() {
            patch["metadata"] = json!({"annotations": annotations});
        }
        if new.spec.min_ready_seconds != self.ro.spec.min_ready_seconds {
            patch["spec"]["minReadySeconds"] = json!(self.ro.spec.min_ready_seconds);
        }
        if let Some(affinity) = pod_template::stale_affinity(self.ro, new, &self.identity.pod_hash) {
            patch["spec"]["template"] = json!({"spec": {"affinity": affinity}});
        }
        if patch.as_object().is_some_and(|patch| !patch.is_empty()) {
            let name = new.metadata.name.clone();
            self.act("sync-replica-set", Action::PatchReplicaSet { name, patch });
        }
        self.set_rollout_revision(revision);
    }
}

/// Seconds until a creation that has failed since `since`, last at `last`, is tried again.
fn retry_seconds(since: Time, last: Time) -> i64 {
    last.timestamp().duration_since(since.timestamp()).as_secs().clamp(1, LONGEST_RETRY_SECONDS)
}

/// What is wrong with the pod template, when the API server refused a ReplicaSet because of it: the reference finds
/// the same with its own copy of the server's rules, before it tries. Rules about `hostNetwork` its copy
/// passes over.
fn template_problem<'f>(name: &str, failure: &'f Failure) -> Option<&'f str> {
    let prefix = format!("ReplicaSet.apps {} is invalid: ", quote(name));
    let errors = failure.message.strip_prefix(&prefix).filter(|_| failure.code == 422)?;
    let first = match errors.strip_prefix('[') {
        Some(several) => several.split(", spec.template").next()?.trim_end_matches(']'),
        None => errors,
    };
    (first.starts_with("spec.template.") && !first.contains("hostNetwork")).then_some(first)
}

/// Annotations a ReplicaSet takes over from its Rollout.
fn copied_annotations(rollout: &Rollout) -> BTreeMap<String, String> {
    rollout
        .metadata
        .annotations
        .iter()
        .filter(|(key, _)| !NOT_COPIED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
