//! Namespaces: the finalizer that keeps them until they are empty, their phase and their label.

use serde_json::{Value, json};

use crate::document::{self, default_to, map_at, metadata};

/// A new namespace is active and carries its own name as a label.
pub(crate) fn prepare_create(object: &mut Value) {
    map_at(object, "spec").insert("finalizers".into(), json!(["kubernetes"]));
    object["status"] = json!({ "phase": "Active" });
    set_name_label(object);
}

/// The label cannot be lost; only `/finalize` changes the finalizers.
pub(crate) fn prepare_update(old: &Value, object: &mut Value, subresource: &str) {
    if subresource != "finalize" {
        let finalizers = old.pointer("/spec/finalizers").cloned().unwrap_or(json!([]));
        map_at(object, "spec").insert("finalizers".into(), finalizers);
    }
    if map_at(object, "spec").get("finalizers") == Some(&json!([])) {
        map_at(object, "spec").remove("finalizers");
    }
    set_name_label(object);
}

fn set_name_label(object: &mut Value) {
    let name = document::name(object).to_owned();
    let labels = metadata(object).entry("labels").or_insert_with(|| json!({}));
    let labels = document::as_map(labels);
    labels.remove("kubernetes.io/metadata.name");
    default_to(labels, "kubernetes.io/metadata.name", name);
}
