//! `spec.workloadRef`: the template comes from another object, whose Deployment is scaled down as this Rollout takes
//! over.
//!
//! The template is resolved in memory for one decision and never written back.

use std::borrow::Cow;

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::validation::has_labels_or_annotations;
use glidepath_api::{
    ObjectRef, Rollout, RolloutPhase, SCALE_DOWN_ON_SUCCESS, SCALE_DOWN_PROGRESSIVELY, names,
};
use glidepath_gocompat::quote::quote;
use serde_json::json;

use super::pass::Pass;
use crate::plan::{Action, PlannedAction};
use crate::snapshot::{RolloutSnapshot, WorkloadObservation};

/// Seconds until scaling a Deployment is tried again.
const RETRY_SECONDS: i64 = 10;

/// The first revision is the migration; later ones leave the Deployment alone.
const FIRST_REVISION: i64 = 1;

/// A kind of object that a Rollout can take its template from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// `apps` Deployment.
    Deployment,
    /// `apps` ReplicaSet.
    ReplicaSet,
    /// Core PodTemplate.
    PodTemplate,
}

impl WorkloadKind {
    /// The kind a reference names, if it is a supported one. Any version of the group will do.
    #[must_use]
    pub fn of(reference: &ObjectRef) -> Option<Self> {
        match (group_and_version(&reference.api_version).0, reference.kind.as_str()) {
            ("apps", "Deployment") => Some(Self::Deployment),
            ("apps", "ReplicaSet") => Some(Self::ReplicaSet),
            ("", "PodTemplate") => Some(Self::PodTemplate),
            _ => None,
        }
    }

    /// Plural and group, as API errors name them.
    const fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments.apps",
            Self::ReplicaSet => "replicasets.apps",
            Self::PodTemplate => "podtemplates",
        }
    }
}

/// Group and version of an `apiVersion`; both empty when it has too many parts to be one.
fn group_and_version(api_version: &str) -> (&str, &str) {
    match api_version.split_once('/') {
        None => ("", api_version),
        Some((_, version)) if version.contains('/') => ("", ""),
        Some(parts) => parts,
    }
}

/// Whether `scaleDown` asks for the Deployment to be scaled down; unknown words do not.
#[must_use]
pub fn scales_down(reference: &ObjectRef) -> bool {
    [SCALE_DOWN_ON_SUCCESS, SCALE_DOWN_PROGRESSIVELY].contains(&reference.scale_down.as_str())
}

/// The Rollout with template and selector of its workload, as decisions see it. Without a workload, or with
/// one that cannot be used, the Rollout as it is.
#[must_use]
pub fn resolved<'r>(rollout: &'r Rollout, seen: Option<&WorkloadObservation>) -> Cow<'r, Rollout> {
    let Some(reference) = &rollout.spec.workload_ref else {
        // Left behind by a reference that is gone; it means nothing and is not passed on.
        if rollout.metadata.annotations.contains_key(names::WORKLOAD_GENERATION) {
            let mut rollout = rollout.clone();
            rollout.metadata.annotations.remove(names::WORKLOAD_GENERATION);
            return Cow::Owned(rollout);
        }
        return Cow::Borrowed(rollout);
    };
    let Some(workload) = seen.and_then(|seen| seen.object.as_ref()) else { return Cow::Borrowed(rollout) };
    if unresolvable(rollout, reference, seen).is_some() {
        return Cow::Borrowed(rollout);
    }
    let mut rollout = rollout.clone();
    rollout
        .metadata
        .annotations
        .insert(names::WORKLOAD_GENERATION.to_owned(), workload.generation.to_string());
    rollout.spec.template = workload.template.clone();
    rollout.spec.template_resolved_from_ref = true;
    if rollout.spec.selector.is_none() && workload.selector.is_some() {
        rollout.spec.selector.clone_from(&workload.selector);
        rollout.spec.selector_resolved_from_ref = true;
    }
    Cow::Owned(rollout)
}

/// Tells clients which generation of the workload this decision saw, unless the Rollout says so already.
pub(crate) fn note_generation(snapshot: &RolloutSnapshot) -> Option<PlannedAction> {
    snapshot.rollout.spec.workload_ref.as_ref()?;
    let generation = snapshot.workload.as_ref()?.object.as_ref()?.generation.to_string();
    let known = snapshot.rollout.metadata.annotation(names::WORKLOAD_GENERATION);
    (known != Some(generation.as_str())).then(|| PlannedAction {
        reason: "note-workload-generation".to_owned(),
        action: Action::PatchSelf {
            patch: json!({"metadata": {"annotations": {names::WORKLOAD_GENERATION: generation}}}),
        },
    })
}

/// The snapshot with the Rollout's template and selector resolved.
pub(crate) fn resolve(snapshot: &RolloutSnapshot) -> Cow<'_, RolloutSnapshot> {
    match resolved(&snapshot.rollout, snapshot.workload.as_ref()) {
        Cow::Borrowed(_) => Cow::Borrowed(snapshot),
        Cow::Owned(rollout) => Cow::Owned(RolloutSnapshot { rollout, ..snapshot.clone() }),
    }
}

/// Why the template could not be taken from the workload, in the reference's words.
pub(crate) fn problem(snapshot: &RolloutSnapshot) -> Option<String> {
    let rollout = &snapshot.rollout;
    let reference = rollout.spec.workload_ref.as_ref()?;
    if rollout.spec.template_resolved_from_ref {
        return None;
    }
    unresolvable(rollout, reference, snapshot.workload.as_ref())
}

fn unresolvable(
    rollout: &Rollout,
    reference: &ObjectRef,
    seen: Option<&WorkloadObservation>,
) -> Option<String> {
    if has_labels_or_annotations(&rollout.spec.template) {
        return Some("template must be empty for workload reference rollout".to_owned());
    }
    let (group, version) = group_and_version(&reference.api_version);
    let Some(kind) = WorkloadKind::of(reference) else {
        return Some(format!("workload of type {group}/{} is not supported", reference.kind));
    };
    if version != "v1" {
        return Some(if reference.api_version.is_empty() {
            "groupVersion shouldn't be empty".to_owned()
        } else {
            "the server could not find the requested resource".to_owned()
        });
    }
    match seen {
        Some(WorkloadObservation { unlisted: true, .. }) => {
            Some(format!("failed to sync informer for {group}/{version}, Kind={}", reference.kind))
        }
        Some(WorkloadObservation { object: Some(_), .. }) => None,
        // The reference names the object as its cache does.
        _ => {
            let key = format!("{}/{}", rollout.metadata.namespace, reference.name);
            Some(format!("{} {} not found", kind.resource(), quote(&key)))
        }
    }
}

impl Pass<'_> {
    /// the first revision is healthy, so the Deployment goes.
    pub(crate) fn hand_over_on_success(&mut self) {
        let is_healthy = self.ro.status.phase == Some(RolloutPhase::Healthy);
        if self.revision == FIRST_REVISION && is_healthy && self.scale_down_mode() == SCALE_DOWN_ON_SUCCESS {
            self.scale_deployment(0);
        }
    }

    /// the Deployment has the pods that the first revision still lacks; `shrinks` says that the new set is about
    /// to lose pods.
    pub(crate) fn hand_over_progressively(&mut self, new: &ReplicaSet, shrinks: bool) {
        if self.scale_down_mode() != SCALE_DOWN_PROGRESSIVELY || new.revision() != Some(FIRST_REVISION) {
            return;
        }
        let ready = self.ro.status.ready_replicas;
        if self.ro.status.phase == Some(RolloutPhase::Healthy) {
            self.scale_deployment(0);
        } else if ready > 0 || shrinks {
            self.scale_deployment((self.replicas - ready).max(0));
        }
    }

    fn scale_down_mode(&self) -> &str {
        self.ro.spec.workload_ref.as_ref().map_or("", |reference| reference.scale_down.as_str())
    }

    fn scale_deployment(&mut self, to: i32) {
        let Some(reference) = &self.ro.spec.workload_ref else { return };
        let Some(from) = self.snap.workload.as_ref().and_then(|workload| workload.deployment_replicas) else {
            return;
        };
        if from == to {
            return;
        }
        if self.snap.failures.iter().any(|failure| failure.verb == "scaleDeployment") {
            // It was just refused; the rest of the release does not wait for it.
            self.wake_in(RETRY_SECONDS);
            return;
        }
        self.act("hand-over", Action::ScaleDeployment { name: reference.name.clone(), from, to });
    }
}
