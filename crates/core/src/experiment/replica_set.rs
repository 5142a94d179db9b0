//! The ReplicaSet of a template.

use glidepath_api::{Experiment, OwnerReference, ReplicaSet, TemplateSpec, names};
use glidepath_gocompat::{pod_template, podhash};
use serde_json::{Map, Value, json};

/// Name of the ReplicaSet of a template.
#[must_use]
pub(super) fn replica_set_name(experiment: &Experiment, template: &TemplateSpec) -> String {
    format!("{}-{}", experiment.metadata.name, template.name)
}

/// The annotations by which ReplicaSets and Services are told to be a template's.
#[must_use]
pub(super) fn ownership_annotations(experiment: &Experiment, template: &TemplateSpec) -> Value {
    json!({
        names::EXPERIMENT_NAME: experiment.metadata.name,
        names::EXPERIMENT_TEMPLATE_NAME: template.name,
    })
}

/// The controller reference to an Experiment.
#[must_use]
pub(super) fn owner(experiment: &Experiment) -> OwnerReference {
    OwnerReference::controller(
        names::API_VERSION,
        names::KIND_EXPERIMENT,
        &experiment.metadata.name,
        &experiment.metadata.uid,
    )
}

/// The ReplicaSet, with 0 replicas: it grows in a later round, when its Service is there.
#[must_use]
pub(super) fn build_replica_set(
    experiment: &Experiment,
    template: &TemplateSpec,
    collision_count: Option<i32>,
) -> Value {
    let mut pods = if template.template.is_object() { template.template.clone() } else { json!({}) };
    if let Some(labels) = pods.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(names::POD_TEMPLATE_HASH);
    }
    let hash = podhash::pod_template_hash(&pods, collision_count);
    let mut labels =
        pods.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    labels.insert(names::POD_TEMPLATE_HASH.to_owned(), Value::from(hash.clone()));
    if !pods["metadata"].is_object() {
        pods["metadata"] = json!({});
    }
    pods["metadata"]["labels"] = Value::Object(labels.clone());
    let mut selector = template.selector.clone().unwrap_or_default();
    selector.match_labels.insert(names::POD_TEMPLATE_HASH.to_owned(), hash);
    let mut spec = json!({"replicas": 0, "selector": selector, "template": pods});
    if template.min_ready_seconds != 0 {
        spec["minReadySeconds"] = Value::from(template.min_ready_seconds);
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": replica_set_name(experiment, template),
            "namespace": experiment.metadata.namespace,
            "labels": labels,
            "annotations": ownership_annotations(experiment, template),
            "ownerReferences": [owner(experiment)],
        },
        "spec": spec,
    })
}

/// Whether a ReplicaSet belongs to a template of this Experiment, by its annotations and its owner.
#[must_use]
pub(super) fn belongs_to(experiment: &Experiment, template: &str, set: &ReplicaSet) -> bool {
    let annotation = |key: &str| set.metadata.annotation(key);
    set.metadata.is_controlled_by(&experiment.metadata.uid)
        && annotation(names::EXPERIMENT_NAME) == Some(&experiment.metadata.name)
        && annotation(names::EXPERIMENT_TEMPLATE_NAME) == Some(template)
}

/// Whether an existing ReplicaSet of that name is the one we would create.
#[must_use]
pub(super) fn is_what_we_would_create(
    experiment: &Experiment,
    template: &TemplateSpec,
    existing: &ReplicaSet,
) -> bool {
    belongs_to(experiment, &template.name, existing)
        && pod_template::matches_live(&template.template, &existing.spec.template, names::POD_TEMPLATE_HASH)
}
