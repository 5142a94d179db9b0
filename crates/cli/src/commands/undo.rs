//! `undo`: the pod template of an earlier revision again (O-073 to O-077).

use std::fmt::Display;

use glidepath_api::{LabelSelector, ObjectMeta, names};
use serde_json::{Value, json};

use super::only_name;
use crate::failure::Failure;
use crate::objects::{
    self, DEPLOYMENTS, POD_TEMPLATES, REPLICA_SETS, ROLLOUTS, Resource, Selection, apply_json_patch, fetch,
};
use crate::session::Session;
use glidepath_api::ReplicaSet;

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
    /// The template is already the one of that revision.
    Skip(i64),
    /// Send this JSON patch.
    Patch(Value),
}

/// Picks the ReplicaSet of the revision; the one before the newest for 0.
///
/// # Errors
/// If there is no such revision (O-076).
pub fn decide_target<'a>(
    replica_sets: &'a [ReplicaSet],
    rollout: &ObjectMeta,
    revision: i64,
) -> Result<&'a ReplicaSet, Failure> {
    let mut owned: Vec<(i64, &ReplicaSet)> = replica_sets
        .iter()
        .filter(|set| set.metadata.is_controlled_by(&rollout.uid))
        .filter_map(|set| Some((revision_of(&set.metadata)?, set)))
        .collect();
    if revision > 0 {
        let found = owned.iter().find(|(known, _)| *known == revision).map(|(_, set)| *set);
        return found.ok_or_else(|| {
            Failure::message(format!("unable to find specified revision {revision} in history"))
        });
    }
    owned.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
    owned
        .get(1)
        .map(|(_, set)| *set)
        .ok_or_else(|| Failure::message(format!("no revision found for rollout {:?}", rollout.name)))
}

/// The revision annotation; 0 without one, none when it is no number.
fn revision_of(meta: &ObjectMeta) -> Option<i64> {
    match meta.annotation(names::REVISION) {
        None => Some(0),
        Some(text) => text.parse().ok(),
    }
}

/// What brings the Rollout's template to the target's (O-073, O-075).
#[must_use]
pub fn plan_undo(rollout: &Value, target: &ReplicaSet) -> Undo {
    let mut wanted = target.spec.template.clone();
    remove_hash(&mut wanted);
    let template = &rollout["spec"]["template"];
    if template.is_object() {
        let mut current = template.clone();
        remove_hash(&mut current);
        if is_contained(&current, &wanted) {
            return Undo::Skip(revision_of(&target.metadata).unwrap_or(0));
        }
    }
    Undo::Patch(json!([{"op": "replace", "path": "/spec/template", "value": wanted}]))
}

fn remove_hash(template: &mut Value) {
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(names::POD_TEMPLATE_HASH);
    }
}

/// True if everything set in the first is the same in the second; what is unset there is ignored.
fn is_contained(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Null, _) => true,
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| is_contained(value, whole.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Object(part), Value::Null) => part.values().all(|value| is_contained(value, &Value::Null)),
        (Value::Array(part), _) if part.is_empty() => true,
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(a, b)| is_contained(a, b))
        }
        (Value::String(part), _) if part.is_empty() => true,
        _ => part == whole,
    }
}

/// Where the template lives: in the Rollout or in what it refers to (O-074).
///
/// # Errors
/// If it refers to a kind that has no such template.
pub fn decide_workload(rollout: &Value) -> Result<(Resource, String), Failure> {
    let reference = &rollout["spec"]["workloadRef"];
    if !reference.is_object() {
        let name = rollout["metadata"]["name"].as_str().unwrap_or_default();
        return Ok((ROLLOUTS, name.to_owned()));
    }
    let kind = reference["kind"].as_str().unwrap_or_default();
    let resource = match kind {
        "Deployment" => DEPLOYMENTS,
        "ReplicaSet" => REPLICA_SETS,
        "PodTemplate" => POD_TEMPLATES,
        _ => return Err(Failure::message(format!("workload of type {kind} is not supported"))),
    };
    Ok((resource, reference["name"].as_str().unwrap_or_default().to_owned()))
}

/// Brings a Rollout back to an earlier revision.
///
/// # Errors
/// On a wrong number of names, an unknown revision, or what the API server answers.
pub async fn undo(session: &mut Session<'_>, names: &[String], revision: i64) -> Result<(), Failure> {
    let name = only_name(names)?;
    let (client, namespace) = (&session.client, session.namespace.as_str());
    let rollout: Value = fetch(client, ROLLOUTS, Some(namespace), name).await?;
    let meta: ObjectMeta = serde_json::from_value(rollout["metadata"].clone()).unwrap_or_default();
    let cannot_list = |error: &dyn Display| {
        Failure::message(format!("failed to retrieve replica sets from rollout {name}: {error}"))
    };
    let selector: Option<LabelSelector> =
        serde_json::from_value(rollout["spec"]["selector"].clone()).map_err(|error| cannot_list(&error))?;
    let selector = selector.filter(|selector| !selector.is_empty());
    let labels =
        selector.map(|selector| selector.to_text()).transpose().map_err(|error| cannot_list(&error))?;
    let selection = Selection { labels, fields: None };
    let sets = objects::fetch_list::<ReplicaSet>(client, Some(namespace), &selection)
        .await
        .map_err(|error| cannot_list(&Failure::from(error)))?;
    let target = decide_target(&sets.items, &meta, revision)?;
    match plan_undo(&rollout, target) {
        Undo::Skip(revision) => {
            let why = format!("current template already matches revision {revision}");
            session.output.line(&format!("skipped rollback ({why})"));
        }
        Undo::Patch(patch) => {
            let failed =
                |cause: Failure| Failure::message(format!("failed restoring revision {revision}: {cause}"));
            let (resource, workload) = decide_workload(&rollout).map_err(failed)?;
            apply_json_patch(client, resource, namespace, &workload, &patch)
                .await
                .map_err(|error| failed(error.into()))?;
            session.output.line(&format!("rollout '{name}' undo"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(revision: Option<&str>, owner: &str, image: &str) -> ReplicaSet {
        let annotations = revision.map_or(json!({}), |text| json!({"rollout.argoproj.io/revision": text}));
        serde_json::from_value(json!({
            "metadata": {"name": image, "annotations": annotations,
                "ownerReferences": [{"apiVersion": "a", "kind": "k", "name": "n", "uid": owner, "controller": true}]},
            "spec": {"template": {"metadata": {"labels": {"app": "web", "rollouts-pod-template-hash": "h"}},
                "spec": {"containers": [{"name": "web", "image": image, "terminationMessagePath": "/x"}]}}}}))
        .unwrap()
    }

    fn history() -> Vec<ReplicaSet> {
        vec![
            set(Some("2"), "u", "two"),
            set(Some("5"), "u", "five"),
            set(Some("9"), "other", "nine"),
            set(Some("4"), "u", "four"),
            set(Some("x"), "u", "odd"),
        ]
    }

    fn meta() -> ObjectMeta {
        ObjectMeta { uid: "u".to_owned(), ..ObjectMeta::named("shop", "web") }
    }

    #[test]
    fn nought_is_the_revision_before_the_newest_o_073() {
        let sets = history();
        assert_eq!(decide_target(&sets, &meta(), 0).unwrap().metadata.name, "four");
        assert_eq!(decide_target(&sets, &meta(), 2).unwrap().metadata.name, "two");
    }

    #[test]
    fn a_revision_that_is_not_there_is_said_o_076() {
        let message =
            |sets: &[ReplicaSet], revision| decide_target(sets, &meta(), revision).unwrap_err().to_string();
        assert_eq!(message(&history(), 9), "unable to find specified revision 9 in history");
        assert_eq!(message(&history()[..1], 0), "no revision found for rollout \"web\"");
    }

    #[test]
    fn the_template_comes_back_without_the_hash_label_o_073() {
        let rollout =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "new"}]}}}});
        let Undo::Patch(patch) = plan_undo(&rollout, &set(Some("2"), "u", "two")) else { panic!() };
        assert_eq!(patch[0]["path"], "/spec/template");
        assert_eq!(patch[0]["value"]["metadata"]["labels"], json!({"app": "web"}));
    }

    #[test]
    fn a_template_that_is_there_already_is_left_alone_o_075() {
        let target = set(Some("2"), "u", "two");
        let same = json!({"spec": {"template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "two", "resources": {}}]}}}});
        assert_eq!(plan_undo(&same, &target), Undo::Skip(2));
        let referring = json!({"spec": {"workloadRef": {"kind": "Deployment", "name": "web"}}});
        assert!(matches!(plan_undo(&referring, &target), Undo::Patch(_)), "no template to compare with");
    }

    #[test]
    fn a_workload_ref_is_followed_o_074() {
        let referring = |kind: &str| json!({"spec": {"workloadRef": {"kind": kind, "name": "web"}}});
        for (kind, resource) in
            [("Deployment", DEPLOYMENTS), ("ReplicaSet", REPLICA_SETS), ("PodTemplate", POD_TEMPLATES)]
        {
            assert_eq!(decide_workload(&referring(kind)).unwrap(), (resource, "web".to_owned()));
        }
        let failure = decide_workload(&referring("DaemonSet")).unwrap_err();
        assert_eq!(failure.to_string(), "workload of type DaemonSet is not supported");
    }
}
