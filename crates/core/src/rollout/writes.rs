//! Fewer writes for the same effect: several changes of one ReplicaSet in one plan become one.

use crate::plan::{Action, PlannedAction};

use super::project::merge;

/// Merges writes to one ReplicaSet into the last of them, and drops repetitions.
pub(crate) fn coalesce(steps: Vec<PlannedAction>) -> Vec<PlannedAction> {
    let mut merged: Vec<PlannedAction> = Vec::with_capacity(steps.len());
    for mut step in steps {
        let is_delete = matches!(
            step.action,
            Action::DeleteReplicaSet { .. }
                | Action::DeleteAnalysisRun { .. }
                | Action::DeleteExperiment { .. }
        );
        if is_delete && merged.iter().any(|earlier| earlier.action == step.action) {
            continue;
        }
        // What is written around a change of pods keeps its place: the template before them, the note of it after.
        let pods = merged
            .iter()
            .rposition(|earlier| matches!(earlier.action, Action::PatchPod { .. }))
            .map_or(0, |at| at + 1);
        let earlier = merged[pods..].iter().rposition(|earlier| can_merge(&earlier.action, &step.action));
        if let Some(position) = earlier {
            let earlier = merged.remove(pods + position);
            absorb(&mut step.action, earlier.action);
        }
        merged.push(step);
    }
    merged
}

/// Whether an earlier write can be part of a later one.
fn can_merge(earlier: &Action, later: &Action) -> bool {
    match (earlier, later) {
        (Action::PatchReplicaSet { name, patch }, Action::ScaleReplicaSet { name: later, .. }) => {
            name == later && is_annotations_only(patch)
        }
        (Action::PatchReplicaSet { name, .. }, Action::PatchReplicaSet { name: later, .. })
        | (Action::ScaleReplicaSet { name, .. }, Action::ScaleReplicaSet { name: later, .. }) => {
            name == later
        }
        (Action::ScaleReplicaSet { name, .. }, Action::PatchReplicaSet { name: later, patch }) => {
            name == later && is_annotations_only(patch)
        }
        (Action::ScaleDeployment { name, .. }, Action::ScaleDeployment { name: later, .. }) => name == later,
        _ => false,
    }
}

fn is_annotations_only(patch: &serde_json::Value) -> bool {
    patch.as_object().is_some_and(|patch| patch.len() == 1)
        && patch
            .get("metadata")
            .and_then(serde_json::Value::as_object)
            .is_some_and(|metadata| metadata.len() == 1 && metadata.contains_key("annotations"))
}

fn annotations_of(patch: &serde_json::Value) -> Vec<(String, Option<String>)> {
    let annotations = patch.pointer("/metadata/annotations").and_then(serde_json::Value::as_object);
    annotations
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().map(str::to_owned)))
        .collect()
}

/// Makes `later` do what `earlier` did as well; where they disagree, the later word counts.
fn absorb(later: &mut Action, earlier: Action) {
    match (later, earlier) {
        (Action::ScaleReplicaSet { annotations, .. }, Action::PatchReplicaSet { patch, .. }) => {
            for (key, value) in annotations_of(&patch) {
                annotations.entry(key).or_insert(value);
            }
        }
        (Action::PatchReplicaSet { patch, .. }, Action::PatchReplicaSet { patch: earlier, .. }) => {
            let mut both = earlier;
            merge_keeping_nulls(&mut both, patch);
            *patch = both;
        }
        (
            Action::ScaleReplicaSet { from, annotations, .. },
            Action::ScaleReplicaSet { from: first, annotations: earlier, .. },
        ) => {
            *from = first;
            for (key, value) in earlier {
                annotations.entry(key).or_insert(value);
            }
        }
        (Action::ScaleDeployment { from, .. }, Action::ScaleDeployment { from: first, .. }) => *from = first,
        (
            later @ Action::PatchReplicaSet { .. },
            Action::ScaleReplicaSet { name, from, to, mut annotations },
        ) => {
            if let Action::PatchReplicaSet { patch, .. } = &*later {
                annotations.extend(annotations_of(patch));
            }
            *later = Action::ScaleReplicaSet { name, from, to, annotations };
        }
        _ => {}
    }
}

/// Like a merge patch applied to a merge patch: a null stays, because it still has something to remove.
fn merge_keeping_nulls(target: &mut serde_json::Value, patch: &serde_json::Value) {
    match (target, patch) {
        (serde_json::Value::Object(target), serde_json::Value::Object(patch)) => {
            for (key, value) in patch {
                match target.get_mut(key) {
                    Some(known) if value.is_object() && known.is_object() => {
                        merge_keeping_nulls(known, value);
                    }
                    _ => {
                        target.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (target, patch) => merge(target, patch),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::coalesce;
    use crate::plan::{Action, PlannedAction};

    fn step(action: Action) -> PlannedAction {
        PlannedAction { reason: "test".to_owned(), action }
    }

    #[test]
    fn writes_to_one_set_become_one_and_the_later_word_counts() {
        let note = |name: &str, value: &str| {
            step(Action::PatchReplicaSet {
                name: name.to_owned(),
                patch: json!({"metadata": {"annotations": {"a": value}}}),
            })
        };
        let scale = |from: i32, to: i32, annotations: &[(&str, Option<&str>)]| {
            let annotations = annotations.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned)));
            step(Action::ScaleReplicaSet {
                name: "x".to_owned(),
                from,
                to,
                annotations: annotations.collect::<BTreeMap<_, _>>(),
            })
        };
        assert_eq!(
            coalesce(vec![note("x", "1"), note("y", "1"), scale(1, 2, &[("b", None)])]),
            [note("y", "1"), scale(1, 2, &[("a", Some("1")), ("b", None)]),]
        );
        assert_eq!(
            coalesce(vec![scale(5, 3, &[("a", Some("1"))]), scale(3, 0, &[("a", None)])]),
            [scale(5, 0, &[("a", None)])]
        );
        assert_eq!(coalesce(vec![scale(5, 3, &[]), note("x", "2")]), [scale(5, 3, &[("a", Some("2"))])]);
        // A patch of anything else stays by itself.
        let template = step(Action::PatchReplicaSet {
            name: "x".to_owned(),
            patch: json!({"spec": {"minReadySeconds": 3}}),
        });
        assert_eq!(coalesce(vec![template.clone(), scale(1, 2, &[])]), [template, scale(1, 2, &[])]);
    }
}
