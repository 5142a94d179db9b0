//! What tells one version from another: the hash of the template, the hash of the steps, and which existing
//! ReplicaSet already is the current template.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::meta::OwnerReference;
use glidepath_api::{Rollout, names};
use glidepath_gocompat::{pod_template as gocompat_template, podhash};

use super::pod_template::without_injected;

/// The hashes of a Rollout's template and steps, computed once per decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Hash of the template with the stored collision count.
    pub(crate) pod_hash: String,
    /// Hash of the canary's steps; empty for blue-green.
    pub(crate) step_hash: String,
    collision_count: Option<i32>,
}

impl Identity {
    /// Computes the hashes.
    pub(crate) fn of(rollout: &Rollout) -> Self {
        let collision_count = rollout.status.collision_count;
        Self {
            pod_hash: podhash::pod_template_hash(&rollout.spec.template, collision_count),
            step_hash: rollout.canary().map(step_hash).unwrap_or_default(),
            collision_count,
        }
    }

    /// Whether these hashes still hold for the Rollout after its status changed.
    pub(crate) fn is_current(&self, rollout: &Rollout) -> bool {
        self.collision_count == rollout.status.collision_count
    }

    /// The set of the current template among `sets` (oldest first): by hash, by the hash older controllers would have
    /// given it, then by equality of the templates.
    pub(crate) fn find_new<'a>(&self, rollout: &Rollout, sets: &[&'a ReplicaSet]) -> Option<&'a ReplicaSet> {
        let with_hash = |hash: &str| sets.iter().copied().find(|set| set.pod_hash() == hash);
        if let Some(found) = with_hash(&self.pod_hash) {
            return Some(found);
        }
        if sets.is_empty() {
            return None;
        }
        let legacy = podhash::pod_template_hash_legacy(&rollout.spec.template, self.collision_count);
        with_hash(&legacy).or_else(|| sets.iter().copied().find(|set| template_matches(rollout, set)))
    }

    /// The hash a status records as current: the label of the new set, or the computed one.
    pub(crate) fn current_hash<'a>(&'a self, new: Option<&'a ReplicaSet>) -> &'a str {
        new.map_or(self.pod_hash.as_str(), ReplicaSet::pod_hash)
    }

    /// Whether the template differs from the one the status knows.
    pub(crate) fn template_changed(&self, rollout: &Rollout, new: Option<&ReplicaSet>) -> bool {
        let known = rollout.status.current_pod_hash.as_str();
        !known.is_empty() && known != self.current_hash(new)
    }

    /// Whether template or steps differ from those the status knows.
    pub(crate) fn template_or_steps_changed(&self, rollout: &Rollout, new: Option<&ReplicaSet>) -> bool {
        let known = rollout.status.current_step_hash.as_str();
        known.is_empty() || known != self.step_hash || self.template_changed(rollout, new)
    }
}

/// Whether a live set's template is what the API server made of the Rollout's (R-236 (3)), whatever its hash says.
pub(crate) fn template_matches(rollout: &Rollout, set: &ReplicaSet) -> bool {
    let live = without_injected(set);
    gocompat_template::matches_live(&rollout.spec.template, &live, names::POD_TEMPLATE_HASH)
}

fn step_hash(canary: &glidepath_api::CanaryStrategy) -> String {
    let steps = if canary.steps.is_empty() {
        serde_json::Value::Null
    } else {
        serde_json::to_value(&canary.steps).unwrap_or_default()
    };
    podhash::step_hash(&steps)
}

/// The owner reference of everything a Rollout creates.
pub(crate) fn owner_reference(rollout: &Rollout) -> OwnerReference {
    OwnerReference::controller(
        names::API_VERSION,
        names::KIND_ROLLOUT,
        &rollout.metadata.name,
        &rollout.metadata.uid,
    )
}
