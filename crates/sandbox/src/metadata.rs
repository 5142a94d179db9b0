//! Metadata that a write may not change, and what of the old object a write keeps.

use serde_json::{Map, Value};

use crate::call::Target;
use crate::document::{self, as_map, metadata};
use crate::refusal::{Cause, Refusal, Reply};
use crate::write::Part;

/// Go leaves empty maps and lists of metadata out.
pub(crate) fn drop_empty_metadata(meta: &mut Map<String, Value>) {
    for key in ["labels", "annotations", "finalizers", "ownerReferences", "managedFields"] {
        let empty = match meta.get(key) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Null) => true,
            _ => false,
        };
        if empty {
            meta.remove(key);
        }
    }
    if meta.get("generateName").is_some_and(|name| name.as_str().is_none_or(str::is_empty)) {
        meta.remove("generateName");
    }
}

/// resourceVersion and uid, when given, must be those of the stored object.
pub(crate) fn check_preconditions(target: &Target, old: &Value, new: &Value) -> Reply<()> {
    let (given, actual) = (document::uid(new), document::uid(old));
    if !given.is_empty() && given != actual {
        return Err(Refusal::conflict(
            &target.resource.subject(),
            &target.name,
            &format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: UID in precondition: {given}, UID in object meta: {actual}",
                storage_key(target)
            ),
        ));
    }
    let given = document::text(new, "/metadata/resourceVersion");
    if given.is_empty() || given == "0" {
        return Ok(());
    }
    if given.parse::<u64>().is_err() {
        return Err(Refusal::plain_error(format!("strconv.ParseUint: parsing {given:?}: invalid syntax")));
    }
    if given != document::text(old, "/metadata/resourceVersion") {
        return Err(Refusal::stale(&target.resource.subject(), &target.name));
    }
    Ok(())
}

/// Where the real server keeps the object; some of its messages say so.
fn storage_key(target: &Target) -> String {
    let resource = &target.resource;
    let group = if resource.is_custom() { format!("{}/", resource.group) } else { String::new() };
    let namespace = if resource.namespaced { format!("{}/", target.namespace) } else { String::new() };
    format!("/registry/{group}{}/{namespace}{}", resource.plural, target.name)
}

/// Keeps what this write may not change: system metadata always, the rest by part.
pub(crate) fn carry_over(target: &Target, old: &Value, new: &mut Value, part: Part) -> Reply<()> {
    let has_status = target.resource.versions[target.version].status;
    match part {
        Part::Status => {
            let status = new.get("status").cloned();
            let managers = new.pointer("/metadata/managedFields").cloned();
            *new = old.clone();
            set_or_remove(as_map(new), "status", status);
            if let Some(managers) = managers {
                metadata(new).insert("managedFields".into(), managers);
            }
            return Ok(());
        }
        Part::Finalize => {
            let finalizers = new.pointer("/spec/finalizers").cloned();
            *new = old.clone();
            set_or_remove(document::map_at(new, "spec"), "finalizers", finalizers);
            return Ok(());
        }
        Part::Whole if has_status => set_or_remove(as_map(new), "status", old.get("status").cloned()),
        Part::Whole => {}
    }
    let empty = Map::new();
    let old_meta = old.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let new_meta = metadata(new);
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
    ] {
        set_or_remove(new_meta, key, old_meta.get(key).cloned());
    }
    new_meta.remove("selfLink");
    keep_managers(old_meta, new_meta);
    drop_empty_metadata(new_meta);
    if document::is_being_deleted(old) {
        let before = document::finalizers(old);
        let added: Vec<String> = document::finalizers(new)
            .into_iter()
            .filter(|finalizer| !before.contains(finalizer))
            .map(|finalizer| format!("{finalizer:?}"))
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            // Custom objects are checked twice, and the server says so twice.
            let count = if target.resource.is_custom() { 2 } else { 1 };
            let causes = vec![Cause::forbidden("metadata.finalizers", why); count];
            return Err(Refusal::invalid(&target.resource.subject(), &target.name, &causes));
        }
    }
    Ok(())
}

/// Clients that leave the managers out keep them; one empty entry resets them.
fn keep_managers(old: &Map<String, Value>, new: &mut Map<String, Value>) {
    let reset = |list: &[Value]| matches!(list, [Value::Object(one)] if one.values().all(|value| value.as_str() == Some("") || value.is_null()));
    match new.get("managedFields").and_then(Value::as_array) {
        None => set_or_remove(new, "managedFields", old.get("managedFields").cloned()),
        Some(list) if list.is_empty() || reset(list) => {
            new.remove("managedFields");
        }
        Some(_) => {}
    }
}

fn set_or_remove(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            map.insert(key.to_owned(), value);
        }
        None => {
            map.remove(key);
        }
    }
}
