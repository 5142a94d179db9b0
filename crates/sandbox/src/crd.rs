//! CustomResourceDefinitions: what they must say, the status they get, and the resources they serve.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::call::Target;
use crate::delete::{DeleteOptions, delete_object};
use crate::document::{self, default_to, map_at, text};
use crate::plane::Plane;
use crate::refusal::Cause;
use crate::registry::{Resource, ScalePaths, Version};
use crate::store::{Contents, Key};

mod schema_rules;

/// Defaults and status of a definition. `old` is the stored one when it is replaced.
pub(crate) fn prepare(old: Option<&Value>, object: &mut Value) {
    let spec = map_at(object, "spec");
    default_to(spec, "conversion", json!({ "strategy": "None" }));
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        default_to(names, "singular", kind.to_lowercase());
        default_to(names, "listKind", format!("{kind}List"));
    }
    let names = object.pointer("/spec/names").cloned().unwrap_or_default();
    let stored_version = versions(object)
        .find(|version| version.get("storage") == Some(&json!(true)))
        .map(|version| version["name"].clone())
        .unwrap_or_default();
    let mut stored: Vec<Value> = old
        .and_then(|old| old.pointer("/status/storedVersions"))
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if !stored.contains(&stored_version) {
        stored.push(stored_version);
    }
    // Names are accepted in a write of their own, a moment after the definition is there.
    let kept = |key: &str| old.and_then(|old| old.pointer(&format!("/status/{key}"))).cloned();
    let conditions = kept("conditions").unwrap_or(Value::Null);
    let names = if old.is_some() { names } else { json!({ "kind": "", "plural": "" }) };
    object["status"] = json!({ "acceptedNames": names, "conditions": conditions, "storedVersions": stored });
}

/// Accepts the names of a new definition, which establishes it.
pub(crate) fn accept(plane: &Plane, contents: &mut Contents, resource: &Resource, mut object: Value) {
    let names = object.pointer("/spec/names").cloned().unwrap_or_default();
    let now = plane.timestamp();
    object["status"]["acceptedNames"] = names;
    object["status"]["conditions"] = json!([
        { "type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": now },
        { "type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": now },
    ]);
    crate::write::commit(plane, contents, resource, object, false);
}

fn versions(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten()
}

/// What is wrong with a definition.
pub(crate) fn validate(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let wanted = format!("{}.{}", text(object, "/spec/names/plural"), text(object, "/spec/group"));
    if document::name(object) != wanted {
        causes.push(Cause::invalid(
            "metadata.name",
            &json!(document::name(object)),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    for (pointer, field) in [
        ("/spec/group", "spec.group"),
        ("/spec/scope", "spec.scope"),
        ("/spec/names/plural", "spec.names.plural"),
        ("/spec/names/kind", "spec.names.kind"),
    ] {
        if text(object, pointer).is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let scope = text(object, "/spec/scope");
    if !scope.is_empty() && !matches!(scope, "Namespaced" | "Cluster") {
        causes.push(Cause::unsupported(
            "spec.scope",
            &json!(scope),
            &["Cluster".into(), "Namespaced".into()],
        ));
    }
    for (index, version) in versions(object).enumerate() {
        match version.pointer("/schema/openAPIV3Schema") {
            None => {
                causes.push(Cause::required(format!("spec.versions[{index}].schema.openAPIV3Schema"), ""));
            }
            Some(schema) => {
                // A definition of one version is read as if its schema stood above the versions.
                let at = if versions(object).count() == 1 {
                    "spec.validation.openAPIV3Schema".to_owned()
                } else {
                    format!("spec.versions[{index}].schema.openAPIV3Schema")
                };
                let before = causes.len();
                check_schema(schema, &at, &mut causes);
                // Rules of a schema that is broken itself would only be misunderstood.
                if causes.len() == before {
                    schema_rules::check(&crate::schema::compile(schema), &at, &mut causes);
                }
            }
        }
    }
    let stored = versions(object).filter(|version| version.get("storage") == Some(&json!(true))).count();
    if stored != 1 {
        let versions = object.pointer("/spec/versions").cloned().unwrap_or_default();
        causes.push(Cause::invalid(
            "spec.versions",
            &versions,
            "must have exactly one version marked as storage version",
        ));
    }
    causes
}

/// Types that no schema has, and rules that cannot be read.
fn check_schema(schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
    let kind = text(schema, "/type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        causes.push(Cause::unsupported(format!("{at}.type"), &json!(kind), &TYPES.map(str::to_owned)));
    }
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        check_schema(inner, &format!("{at}.properties[{name}]"), causes);
    }
    for (key, inner) in
        [("items", schema.get("items")), ("additionalProperties", schema.get("additionalProperties"))]
    {
        if let Some(inner) = inner.filter(|inner| inner.is_object()) {
            check_schema(inner, &format!("{at}.{key}"), causes);
        }
    }
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        check_rule_words(rule, &format!("{at}.x-kubernetes-validations[{index}]"), causes);
    }
}

/// What must and must not stand in a rule, before it is read.
fn check_rule_words(rule: &Value, at: &str, causes: &mut Vec<Cause>) {
    const REASONS: [&str; 4] =
        ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
    let breaks = |text: &str| text.contains(['\n', '\r']);
    let (words, message) = (text(rule, "/rule").trim(), text(rule, "/message"));
    if words.is_empty() {
        causes.push(Cause::required(format!("{at}.rule"), "rule is not specified"));
    } else if !message.is_empty() && message.trim().is_empty() {
        let why = "must be non-empty if specified";
        causes.push(Cause::invalid(format!("{at}.message"), &json!(message), why));
    } else if breaks(message.trim()) {
        let why = "must not contain line breaks";
        causes.push(Cause::invalid(format!("{at}.message"), &json!(message), why));
    } else if breaks(words) && message.trim().is_empty() {
        let why = "message must be specified if rule contains line breaks";
        causes.push(Cause::required(format!("{at}.message"), why));
    }
    let made = text(rule, "/messageExpression");
    if !made.is_empty() && made.trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        causes.push(Cause::required(format!("{at}.messageExpression"), why));
    }
    if let Some(reason) = rule.get("reason").and_then(Value::as_str)
        && !REASONS.contains(&reason)
    {
        causes.push(Cause::unsupported(format!("{at}.reason"), &json!(reason), &REASONS.map(str::to_owned)));
    }
}

/// Serves what the definition `name` now says; stops serving it when it is gone.
pub(crate) fn follow(plane: &Plane, contents: &mut Contents, object: Option<&Value>, name: &str) {
    if let Some(object) = object {
        plane.registry.insert(resource_of(object));
        return;
    }
    let Some((plural, group)) = name.split_once('.') else { return };
    if let Some(resource) = plane.registry.get(group, plural).filter(|resource| resource.is_custom()) {
        plane.registry.remove(group, plural);
        contents.drop_table(&resource.table);
    }
}

const TABLE: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Marks a definition that is being deleted; its objects follow.
pub(crate) fn mark_terminating(plane: &Plane, object: &mut Value) {
    let finalizers = document::metadata(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = finalizers.as_array_mut()
        && !list.contains(&json!(CLEANUP))
    {
        list.push(json!(CLEANUP));
    }
    let condition = json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        "lastTransitionTime": plane.timestamp(),
    });
    let conditions = map_at(object, "status").entry("conditions").or_insert_with(|| json!([]));
    if let Some(list) = conditions.as_array_mut()
        && !list.iter().any(|one| text(one, "/type") == "Terminating")
    {
        list.push(condition);
    }
}

/// Deletes the objects of a definition that is going away. Those with finalizers stay for now.
pub(crate) fn delete_objects(plane: &Plane, contents: &mut Contents, name: &str) {
    let Some((plural, group)) = name.split_once('.') else { return };
    let Some(resource) = plane.registry.get(group, plural) else { return };
    let keys: Vec<_> = contents.table(&resource.table).objects.keys().cloned().collect();
    for key in keys {
        let target = Target {
            resource: Arc::clone(&resource),
            version: resource.storage,
            namespace: key.namespace().to_owned(),
            name: key.name().to_owned(),
            subresource: String::new(),
        };
        // An object that is gone by now is what was wanted.
        let _ = delete_object(plane, contents, &target, &DeleteOptions::default());
    }
    finish(plane, contents, &resource);
}

/// Removes the definition once nothing of its kind is left.
pub(crate) fn finish(plane: &Plane, contents: &mut Contents, resource: &Resource) {
    if !contents.table(&resource.table).objects.is_empty() {
        return;
    }
    let key = Key::new("", &resource.qualified_plural());
    let Some(mut definition) = contents.get(TABLE, &key).map(|stored| stored.object()) else { return };
    if !document::is_being_deleted(&definition) {
        return;
    }
    if let Some(list) = definition.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
        list.retain(|one| one != CLEANUP);
        if !list.is_empty() {
            contents.put(TABLE, definition);
            return;
        }
    }
    contents.remove(TABLE, &key);
    follow(plane, contents, None, key.name());
}

/// Serves what the stored definitions say, after a restart.
pub(crate) fn follow_all(plane: &Plane) {
    let mut contents = plane.store.lock();
    for stored in contents.table("customresourcedefinitions.apiextensions.k8s.io").scope("") {
        plane.registry.insert(resource_of(&stored.object()));
    }
}

/// The resource that a valid definition describes.
pub(crate) fn resource_of(object: &Value) -> Resource {
    let names = |key: &str| text(object, &format!("/spec/names/{key}")).to_owned();
    let list = |key: &str| -> Vec<String> {
        object
            .pointer(&format!("/spec/names/{key}"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    let group = text(object, "/spec/group").to_owned();
    let mut described: Vec<(Version, bool)> = versions(object)
        .map(|version| (version_of(object, &group, version), version["storage"] == json!(true)))
        .collect();
    described.sort_by_key(|(version, _)| std::cmp::Reverse(version_rank(&version.name)));
    let storage = described.iter().position(|(_, storage)| *storage).unwrap_or(0);
    let plural = names("plural");
    Resource {
        table: Arc::from(format!("{plural}.{group}")),
        singular: names("singular"),
        kind: names("kind"),
        list_kind: names("listKind"),
        short_names: list("shortNames"),
        categories: list("categories"),
        namespaced: text(object, "/spec/scope") == "Namespaced",
        generation: true,
        versions: described.into_iter().map(|(version, _)| version).collect(),
        storage,
        built_in: None,
        terminating: document::is_being_deleted(object),
        group,
        plural,
    }
}

fn version_of(object: &Value, group: &str, version: &Value) -> Version {
    let name = text(version, "/name").to_owned();
    let scale = version.pointer("/subresources/scale").map(|scale| {
        let pointer = |key: &str| dotted_to_pointer(text(scale, key));
        ScalePaths {
            spec_replicas: pointer("/specReplicasPath"),
            status_replicas: pointer("/statusReplicasPath"),
            selector: scale.get("labelSelectorPath").and_then(Value::as_str).map(dotted_to_pointer),
        }
    });
    let deprecation = (version.get("deprecated") == Some(&json!(true))).then(|| {
        version.get("deprecationWarning").and_then(Value::as_str).map_or_else(
            || format!("{group}/{name} {} is deprecated", text(object, "/spec/names/kind")),
            str::to_owned,
        )
    });
    let schema = version.pointer("/schema/openAPIV3Schema");
    Version {
        served: version.get("served") == Some(&json!(true)),
        status: version.pointer("/subresources/status").is_some(),
        scale,
        schema: schema.map(|source| Arc::new(crate::schema::compile(source))),
        schema_source: schema.cloned().map(Arc::new),
        columns: version
            .get("additionalPrinterColumns")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
        deprecation,
        name,
    }
}

/// `.spec.replicas` as a JSON pointer.
fn dotted_to_pointer(path: &str) -> String {
    path.replace('.', "/")
}

/// Orders versions as discovery does: v2 before v1, v1 before v1beta2 before v1alpha1 before others.
fn version_rank(name: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let odd = || (0, 0, 0, std::cmp::Reverse(name.to_owned()));
    let Some(rest) = name.strip_prefix('v') else { return odd() };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let Ok(major) = rest[..digits].parse::<u64>() else { return odd() };
    let (stage, minor) = match &rest[digits..] {
        "" => (3, 0),
        tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor.parse().unwrap_or(0)),
            (_, Some(minor)) => (1, minor.parse().unwrap_or(0)),
            _ => return odd(),
        },
    };
    (stage, major, minor, std::cmp::Reverse(String::new()))
}
