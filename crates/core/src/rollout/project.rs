//! What an action will have done, as data: the next pass of a chain looks at the projected snapshot.
//!
//! Only what we write ourselves is projected. What others make of it (pods becoming ready, a route taking effect) is
//! never assumed.

use glidepath_api::Time;
use glidepath_api::cluster::ReplicaSet;
use glidepath_api::names;
use serde_json::Value;

use crate::plan::Action;
use crate::snapshot::RolloutSnapshot;

/// Applies an action to the snapshot's objects. Actions on objects the snapshot does not hold change nothing.
pub fn project(snapshot: &mut RolloutSnapshot, action: &Action) {
    match action {
        Action::CreateReplicaSet { name, object } => {
            if let Ok(mut set) = serde_json::from_value::<ReplicaSet>(object.clone())
                && !snapshot.replica_sets.iter().any(|known| known.metadata.name == *name)
            {
                set.metadata.creation_timestamp = Some(Time::new(snapshot.now));
                snapshot.replica_sets.push(set);
            }
        }
        Action::ScaleReplicaSet { name, to, annotations, .. } => {
            if let Some(set) = snapshot.replica_sets.iter_mut().find(|set| set.metadata.name == *name) {
                set.spec.replicas = Some(*to);
                for (key, value) in annotations {
                    match value {
                        Some(value) => set.metadata.annotations.insert(key.clone(), value.clone()),
                        None => set.metadata.annotations.remove(key),
                    };
                }
            }
        }
        Action::PatchReplicaSet { name, patch } => {
            if let Some(set) = snapshot.replica_sets.iter_mut().find(|set| set.metadata.name == *name) {
                patch_in_place(set, patch);
            }
        }
        Action::ScaleDeployment { to, .. } => {
            if let Some(workload) = &mut snapshot.workload {
                workload.deployment_replicas = Some(*to);
            }
        }
        Action::DeleteReplicaSet { name, .. } => {
            snapshot.replica_sets.retain(|set| set.metadata.name != *name);
        }
        Action::SwitchService { name, to, adopt, .. } => {
            let manager = snapshot.rollout.metadata.name.clone();
            if let Some(Some(service)) = snapshot.services.get_mut(name) {
                service.spec.selector.insert(names::POD_TEMPLATE_HASH.to_owned(), to.clone());
                if *adopt {
                    service.metadata.annotations.insert(names::MANAGED_BY.to_owned(), manager);
                }
            }
        }
        Action::CreateAnalysisRun { object, .. } => push(&mut snapshot.analysis_runs, object),
        Action::TerminateAnalysisRun { name } => {
            for run in snapshot.analysis_runs.iter_mut().filter(|run| run.metadata.name == *name) {
                run.spec.terminate = true;
            }
        }
        Action::DeleteAnalysisRun { name, .. } => {
            snapshot.analysis_runs.retain(|run| run.metadata.name != *name);
        }
        Action::CreateExperiment { object, .. } => push(&mut snapshot.experiments, object),
        Action::TerminateExperiment { name } => {
            for experiment in snapshot.experiments.iter_mut().filter(|known| known.metadata.name == *name) {
                experiment.spec.terminate = true;
            }
        }
        Action::DeleteExperiment { name, .. } => {
            snapshot.experiments.retain(|experiment| experiment.metadata.name != *name);
        }
        Action::PatchPod { uid, patch, .. } => {
            for pod in snapshot.pods.iter_mut().filter(|pod| pod.metadata.uid == *uid) {
                patch_in_place(pod, patch);
            }
        }
        Action::PatchSelf { patch } | Action::PatchStatus { patch } => {
            // Where template and selector came from is not part of the object.
            let spec = &snapshot.rollout.spec;
            let resolved = (spec.template_resolved_from_ref, spec.selector_resolved_from_ref);
            patch_in_place(&mut snapshot.rollout, patch);
            let spec = &mut snapshot.rollout.spec;
            (spec.template_resolved_from_ref, spec.selector_resolved_from_ref) = resolved;
        }
        // Routers and pods answer for themselves; Services, Jobs and events of other kinds are not in this snapshot.
        Action::SetTraffic { .. }
        | Action::EvictPod { .. }
        | Action::Emit(_)
        | Action::EmitOnRollout { .. }
        | Action::CreateService { .. }
        | Action::DeleteService { .. }
        | Action::CreateJob { .. }
        | Action::DeleteJob { .. } => {}
    }
}

fn push<T: serde::de::DeserializeOwned>(list: &mut Vec<T>, object: &Value) {
    if let Ok(item) = serde_json::from_value(object.clone()) {
        list.push(item);
    }
}

fn patch_in_place<T: serde::Serialize + serde::de::DeserializeOwned>(target: &mut T, patch: &Value) {
    let Ok(mut document) = serde_json::to_value(&*target) else { return };
    merge(&mut document, patch);
    if let Ok(patched) = serde_json::from_value(document) {
        *target = patched;
    }
}

/// Applies a JSON merge patch (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// The smallest merge patch that turns `from` into `to`; `None` when they are equal. Lists are replaced whole.
#[must_use]
pub fn diff(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return Some(to.clone()) };
    let mut patch = serde_json::Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, wanted) in to {
        match from.get(key) {
            Some(seen) => {
                if let Some(change) = diff(seen, wanted) {
                    patch.insert(key.clone(), change);
                }
            }
            None => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{diff, merge};

    #[test]
    fn a_patch_is_minimal_and_leads_from_one_document_to_the_other_r312() {
        for (from, to, want) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), Some(json!({"b": 3}))),
            (json!({"a": {"x": 1, "y": 2}}), json!({"a": {"x": 1}}), Some(json!({"a": {"y": null}}))),
            (json!({"l": [1, 2]}), json!({"l": [1]}), Some(json!({"l": [1]}))),
            (json!({"a": 1}), json!({"b": {"c": []}}), Some(json!({"a": null, "b": {"c": []}}))),
        ] {
            let patch = diff(&from, &to);
            assert_eq!(patch, want);
            let mut patched = from.clone();
            merge(&mut patched, &patch.unwrap_or_else(|| json!({})));
            assert_eq!(patched, to);
        }
    }
}
