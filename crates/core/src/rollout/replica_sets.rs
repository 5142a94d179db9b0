//! Which ReplicaSet plays which part: new, stable, and the others.

use std::collections::BTreeMap;

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{Rollout, names};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::identity::Identity;
use super::replicas::Size;
use crate::plan::Action;

/// The Rollout's ReplicaSets by the part they play.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sets<'a> {
    /// Every set of the Rollout, oldest first.
    pub(crate) all: Vec<&'a ReplicaSet>,
    /// The set of the current template.
    pub(crate) new: Option<&'a ReplicaSet>,
    /// The set last promoted; the new one itself when the update is complete.
    pub(crate) stable: Option<&'a ReplicaSet>,
    /// All but new and stable.
    pub(crate) others: Vec<&'a ReplicaSet>,
}

impl<'a> Sets<'a> {
    /// Sorts the claimed sets into their parts.
    pub(crate) fn of(rollout: &'a Rollout, sets: &'a [ReplicaSet], identity: &Identity) -> Self {
        let mut all: Vec<&ReplicaSet> = sets.iter().filter(|set| claim(rollout, set) == Claim::Own).collect();
        all.sort_by(|a, b| creation_order(a, b));
        let new = identity.find_new(rollout, &all);
        let stable_hash = rollout.status.stable_rs.as_str();
        let stable = (!stable_hash.is_empty())
            .then(|| new.filter(|set| set.pod_hash() == stable_hash).or_else(|| by_hash(&all, stable_hash)))
            .flatten();
        let is = |part: Option<&ReplicaSet>, set: &ReplicaSet| {
            part.is_some_and(|part| part.metadata.name == set.metadata.name)
        };
        let others = all.iter().copied().filter(|set| !is(new, set) && !is(stable, set)).collect();
        Self { all, new, stable, others }
    }

    /// The stable set where it is not the new one.
    pub(crate) fn distinct_stable(&self) -> Option<&'a ReplicaSet> {
        let stable = self.stable?;
        (self.new.is_none_or(|new| new.metadata.name != stable.metadata.name)).then_some(stable)
    }

    /// The set with that hash.
    pub(crate) fn by_hash(&self, hash: &str) -> Option<&'a ReplicaSet> {
        if hash.is_empty() { None } else { by_hash(&self.all, hash) }
    }

    /// Highest revision among all sets but the new one.
    pub(crate) fn max_old_revision(&self) -> i64 {
        self.all
            .iter()
            .filter(|set| self.new.is_none_or(|new| new.metadata.name != set.metadata.name))
            .map(|set| set.revision().unwrap_or(0))
            .max()
            .unwrap_or(0)
            .max(0)
    }
}

fn by_hash<'a>(sets: &[&'a ReplicaSet], hash: &str) -> Option<&'a ReplicaSet> {
    sets.iter().copied().find(|set| set.pod_hash() == hash)
}

/// Oldest first, ties by name.
pub(crate) fn creation_order(a: &ReplicaSet, b: &ReplicaSet) -> std::cmp::Ordering {
    (a.metadata.creation_timestamp, &a.metadata.name).cmp(&(b.metadata.creation_timestamp, &b.metadata.name))
}

/// Newest revision first; sets without a readable revision last (R-356 iv).
pub(crate) fn by_revision_descending(sets: &mut [&ReplicaSet]) {
    sets.sort_by(|a, b| {
        let key = |set: &ReplicaSet| (set.revision(), set.metadata.creation_timestamp);
        key(b).cmp(&key(a)).then_with(|| a.metadata.name.cmp(&b.metadata.name))
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Own,
    Adopt,
    Release,
    Foreign,
}

fn claim(rollout: &Rollout, set: &ReplicaSet) -> Claim {
    let selected =
        rollout.spec.selector.as_ref().is_some_and(|selector| selector.matches(&set.metadata.labels));
    match set.metadata.controller_of() {
        Some(owner) if owner.uid == rollout.metadata.uid => {
            if selected {
                Claim::Own
            } else {
                Claim::Release
            }
        }
        Some(_) => Claim::Foreign,
        None if selected && !set.metadata.is_deleting() => Claim::Adopt,
        None => Claim::Foreign,
    }
}

/// Patches that adopt orphans and release sets the selector no longer matches.
pub(crate) fn plan_claims(rollout: &Rollout, sets: &[ReplicaSet]) -> Vec<(&'static str, Action)> {
    let mut claims = Vec::new();
    for set in sets {
        let mut owners = set.metadata.owner_references.clone();
        let reason = match claim(rollout, set) {
            Claim::Adopt => {
                owners.push(super::identity::owner_reference(rollout));
                "adopt-replica-set"
            }
            Claim::Release => {
                owners.retain(|owner| owner.uid != rollout.metadata.uid);
                "release-replica-set"
            }
            Claim::Own | Claim::Foreign => continue,
        };
        let patch = json!({"metadata": {"uid": set.metadata.uid, "ownerReferences": owners}});
        claims.push((reason, Action::PatchReplicaSet { name: set.metadata.name.clone(), patch }));
    }
    claims
}

/// Size of a set as seen.
pub(crate) fn size(set: &ReplicaSet) -> Size {
    Size { spec: set.replicas(), available: set.status.available_replicas }
}

/// Sum of `status.replicas`.
pub(crate) fn actual(sets: &[&ReplicaSet]) -> i32 {
    sets.iter().map(|set| set.status.replicas).sum()
}

/// Sum of `status.readyReplicas`.
pub(crate) fn ready(sets: &[&ReplicaSet]) -> i32 {
    sets.iter().map(|set| set.status.ready_replicas).sum()
}

/// Sum of `status.availableReplicas`.
pub(crate) fn available(sets: &[&ReplicaSet]) -> i32 {
    sets.iter().map(|set| set.status.available_replicas).sum()
}

/// Sum of `spec.replicas`.
pub(crate) fn asked(sets: &[&ReplicaSet]) -> i32 {
    sets.iter().map(|set| set.replicas()).sum()
}

/// Name of a ReplicaSet, or nothing.
pub(crate) fn name(set: Option<&ReplicaSet>) -> &str {
    set.map_or("", |set| set.metadata.name.as_str())
}

/// Hash of a ReplicaSet, or nothing.
pub(crate) fn hash(set: Option<&ReplicaSet>) -> &str {
    set.map_or("", ReplicaSet::pod_hash)
}

/// The `desired-replicas` annotation as a number.
pub(crate) fn desired_replicas(set: &ReplicaSet) -> Option<i32> {
    set.metadata.annotation(names::DESIRED_REPLICAS)?.parse().ok()
}

/// The `scale-down-deadline` annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// There is none.
    None,
    /// A moment.
    At(Timestamp),
    /// A text that is no moment (B-55).
    Unreadable,
}

/// Reads the `scale-down-deadline` annotation.
pub(crate) fn deadline(set: &ReplicaSet) -> Deadline {
    match set.metadata.annotation(names::SCALE_DOWN_DEADLINE) {
        None | Some("") => Deadline::None,
        Some(text) => text.parse().map_or(Deadline::Unreadable, Deadline::At),
    }
}

/// Whether a set carries a `scale-down-deadline`, readable or not.
pub(crate) fn has_deadline(set: &ReplicaSet) -> bool {
    deadline(set) != Deadline::None
}

/// Whether every wanted pod is there: spec, annotation and availability all say `replicas`.
pub(crate) fn is_saturated(set: &ReplicaSet, replicas: i32) -> bool {
    set.replicas() == replicas
        && desired_replicas(set) == Some(replicas)
        && set.status.available_replicas == replicas
}

/// A merge patch of annotations.
pub(crate) fn annotation_patch(annotations: &BTreeMap<String, Option<String>>) -> Value {
    json!({"metadata": {"annotations": annotations}})
}
