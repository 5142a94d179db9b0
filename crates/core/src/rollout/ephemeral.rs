//! Metadata that pods carry only for as long as their set plays a role: canary, stable, preview, active.
//!
//! It is put into the set's template first and then onto the pods that run already, so that a pod born in between has
//! it too. Nothing here restarts a pod: the keys are outside the hash.

use std::collections::{BTreeMap, BTreeSet};

use glidepath_api::cluster::{Pod, ReplicaSet};
use glidepath_api::{PodTemplateMetadata, Rollout, names};
use serde_json::{Map, Value, json};

use super::identity::Identity;
use super::pass::Pass;
use super::pod_template::remembered;
use super::project::merge;
use super::replica_sets::Sets;
use crate::plan::Action;

const FIELDS: [&str; 2] = ["labels", "annotations"];

/// Metadata of the role of an update's set, and of the role of the set that serves.
fn roles(rollout: &Rollout) -> [Option<&PodTemplateMetadata>; 2] {
    match (rollout.blue_green(), rollout.canary()) {
        (Some(strategy), _) => [strategy.preview_metadata.as_ref(), strategy.active_metadata.as_ref()],
        (None, Some(strategy)) => [strategy.canary_metadata.as_ref(), strategy.stable_metadata.as_ref()],
        (None, None) => [None, None],
    }
}

/// What a set remembers of what was put into its template.
fn recorded(set: &ReplicaSet) -> Option<PodTemplateMetadata> {
    set.metadata.annotation(names::EPHEMERAL_METADATA).and_then(|text| serde_json::from_str(text).ok())
}

/// A set with the metadata its role calls for. Where the Rollout wants no metadata at all any more, only sets
/// that earlier roles left some on have a part here, until it is taken away (B-14).
struct Role<'a> {
    set: &'a ReplicaSet,
    wanted: Option<&'a PodTemplateMetadata>,
    recorded: Option<PodTemplateMetadata>,
}

fn roles_of_sets<'a>(rollout: &'a Rollout, sets: &Sets<'a>) -> Vec<Role<'a>> {
    let [of_update, of_stable] = roles(rollout);
    let is_used = of_update.is_some() || of_stable.is_some();
    let stable_hash = rollout.status.stable_rs.as_str();
    let is_rolled_out = stable_hash.is_empty() || sets.new.is_some_and(|new| new.pod_hash() == stable_hash);
    let new = sets.new.map(|set| (set, if is_rolled_out { of_stable } else { of_update }));
    let stable = sets.distinct_stable().map(|set| (set, of_stable));
    let others = sets.others.iter().map(|set| (*set, None));
    new.into_iter()
        .chain(stable)
        .chain(others)
        .map(|(set, wanted)| Role { set, wanted, recorded: recorded(set) })
        .filter(|role| is_used || role.recorded.is_some())
        .collect()
}

fn keys<'m>(metadata: Option<&'m PodTemplateMetadata>, field: &str) -> Option<&'m BTreeMap<String, String>> {
    metadata.map(|metadata| if field == "labels" { &metadata.labels } else { &metadata.annotations })
}

/// A merge patch of labels and annotations that sets what is wanted and removes the keys of `stale` that are not.
fn metadata_patch(
    present: impl Fn(&str, &str) -> Option<String>,
    stale: impl Fn(&str) -> BTreeSet<String>,
    wanted: Option<&PodTemplateMetadata>,
) -> Option<Value> {
    let mut patch = Map::new();
    for field in FIELDS {
        let wanted = keys(wanted, field);
        let mut changes = Map::new();
        for (key, value) in wanted.into_iter().flatten() {
            if present(field, key).as_deref() != Some(value) {
                changes.insert(key.clone(), json!(value));
            }
        }
        for key in stale(field) {
            if wanted.is_none_or(|wanted| !wanted.contains_key(&key)) && present(field, &key).is_some() {
                changes.insert(key, Value::Null);
            }
        }
        if !changes.is_empty() {
            patch.insert(field.to_owned(), Value::Object(changes));
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

impl Role<'_> {
    fn recorded_keys(&self, field: &str) -> BTreeSet<String> {
        keys(self.recorded.as_ref(), field).into_iter().flatten().map(|(key, _)| key.clone()).collect()
    }

    /// What must change in the set's template; `None` when it is as it should be.
    fn template_patch(&self) -> Option<Value> {
        let template = &self.set.spec.template;
        let present = |field: &str, key: &str| {
            template.pointer(&format!("/metadata/{field}"))?.get(key)?.as_str().map(str::to_owned)
        };
        metadata_patch(present, |field| self.recorded_keys(field), self.wanted)
    }

    /// What must change on a pod. Keys of every role are looked for, so that a pod that missed an earlier change is
    /// mended too; a key that the template has, once it is as it should be, is the user's.
    fn pod_patch(&self, pod: &Pod, all_roles: &[Option<&PodTemplateMetadata>; 2]) -> Option<Value> {
        let mut template = self.set.spec.template.clone();
        if let Some(patch) = self.template_patch() {
            merge(&mut template, &json!({"metadata": patch}));
        }
        let stale = |field: &str| {
            let of_template = template.pointer(&format!("/metadata/{field}"));
            let mut stale = self.recorded_keys(field);
            for role in all_roles {
                stale.extend(keys(*role, field).into_iter().flatten().map(|(key, _)| key.clone()));
            }
            stale.retain(|key| of_template.is_none_or(|map| map.get(key).is_none()));
            stale
        };
        let present = |field: &str, key: &str| {
            if field == "labels" { pod.metadata.label(key) } else { pod.metadata.annotation(key) }
                .map(str::to_owned)
        };
        metadata_patch(present, stale, self.wanted)
    }

    fn has(&self, pod: &Pod) -> bool {
        !pod.metadata.is_deleting() && pod.metadata.is_controlled_by(&self.set.metadata.uid)
    }

    /// What the set is to remember. The note of a role that is over stays until no pod needs it: a pod that could not
    /// be reached, or was born meanwhile, is told by it.
    fn note(&self, pods: &[Pod], all_roles: &[Option<&PodTemplateMetadata>; 2]) -> Option<String> {
        match self.wanted {
            Some(wanted) => Some(remembered(wanted)),
            None if self.is_over(pods, all_roles) => None,
            None => self.set.metadata.annotation(names::EPHEMERAL_METADATA).map(str::to_owned),
        }
    }

    /// Whether nothing is left of what earlier roles put onto the set's pods.
    fn is_over(&self, pods: &[Pod], all_roles: &[Option<&PodTemplateMetadata>; 2]) -> bool {
        let is_clean = |pod: &Pod| self.pod_patch(pod, all_roles).is_none();
        let is_empty = self.set.replicas() == 0 && self.set.status.replicas == 0;
        is_empty || self.is_settled() && pods.iter().filter(|pod| self.has(pod)).all(is_clean)
    }

    /// Every pod there is was made from the template as it is now, or is listed.
    fn is_settled(&self) -> bool {
        let set = self.set;
        self.template_patch().is_none()
            && set.status.observed_generation >= set.metadata.generation
            && set.status.replicas == set.replicas()
    }
}

/// A set whose pods have a role, for whoever decides whether they must be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodsInRole {
    /// Uid of the set.
    pub set: String,
    /// The role's metadata as compact JSON; empty when there is none.
    pub metadata: String,
    /// The template is still to be changed, so the pods are about to be.
    pub changing: bool,
    /// What is listed now is all that will ever lack the metadata.
    pub settled: bool,
}

/// Sets with pods whose role calls for metadata, or did. Costs nothing for Rollouts without any.
#[must_use]
pub fn pods_in_role(rollout: &Rollout, sets: &[ReplicaSet]) -> Vec<PodsInRole> {
    let is_used = roles(rollout).iter().any(Option::is_some)
        || sets.iter().any(|set| set.metadata.annotation(names::EPHEMERAL_METADATA).is_some());
    if !is_used {
        return Vec::new();
    }
    let sets = Sets::of(rollout, sets, &Identity::of(rollout));
    roles_of_sets(rollout, &sets)
        .into_iter()
        .filter(|role| role.set.replicas() > 0)
        .map(|role| PodsInRole {
            set: role.set.metadata.uid.clone(),
            metadata: role.wanted.map(remembered).unwrap_or_default(),
            changing: role.template_patch().is_some(),
            settled: role.is_settled(),
        })
        .collect()
}

/// Whether every one of `pods` that the set with that uid controls carries what its role calls for.
#[must_use]
pub fn carry_role(rollout: &Rollout, sets: &[ReplicaSet], set: &str, pods: &[Pod]) -> bool {
    let sets = Sets::of(rollout, sets, &Identity::of(rollout));
    let all_roles = roles(rollout);
    roles_of_sets(rollout, &sets).iter().filter(|role| role.set.metadata.uid == set).all(|role| {
        pods.iter().filter(|pod| role.has(pod)).all(|pod| role.pod_patch(pod, &all_roles).is_none())
    })
}

impl Pass<'_> {
    /// Brings templates and then pods to their role's metadata, the new set first.
    pub(crate) fn sync_ephemeral_metadata(&mut self) {
        let all_roles = roles(self.ro);
        for role in roles_of_sets(self.ro, &self.sets) {
            let note = role.note(&self.snap.pods, &all_roles);
            let template = role.template_patch();
            let forgets = note.is_none() && role.recorded.is_some();
            if template.is_some() || forgets {
                let mut patch = json!({"metadata": {"annotations": {names::EPHEMERAL_METADATA: note}}});
                if let Some(metadata) = template {
                    patch["spec"] = json!({"template": {"metadata": metadata}});
                }
                let name = role.set.metadata.name.clone();
                self.act("sync-ephemeral-metadata", Action::PatchReplicaSet { name, patch });
            }
            if role.set.replicas() == 0 {
                continue;
            }
            for pod in self.snap.pods.iter().filter(|pod| role.has(pod)) {
                let Some(mut metadata) = role.pod_patch(pod, &all_roles) else { continue };
                let (name, uid) = (pod.metadata.name.clone(), pod.metadata.uid.clone());
                metadata["uid"] = json!(uid);
                let patch = json!({"metadata": metadata});
                self.act("sync-ephemeral-metadata", Action::PatchPod { name, uid, patch });
            }
        }
    }
}
