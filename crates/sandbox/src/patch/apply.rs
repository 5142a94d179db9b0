//! Server-side apply: lays a client's intent over the object, refuses what others own, and takes
//! away what the client no longer wants.

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Target, WriteOptions};
use crate::convert;
use crate::decode;
use crate::document::{self, metadata};
use crate::managed::{self, Entry, FieldSet, Node, Writer};
use crate::plane::Plane;
use crate::read::lens;
use crate::refusal::{Cause, Refusal, Reply, Subject};
use crate::write::{Part, check_named, create_object, replace_object};

/// PATCH with `application/apply-patch+yaml`.
pub(crate) fn apply(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let options = WriteOptions::parse(call)?;
    if call.query.get("fieldManager").is_empty() {
        return Err(Refusal::invalid(
            &Subject { group: "meta.k8s.io", plural: "", kind: "PatchOptions" },
            "",
            &[Cause::required("fieldManager", "is required for apply patch")],
        ));
    }
    let config = read_config(call, target)?;
    let writer = Writer {
        manager: options.field_manager.clone(),
        applies: true,
        api_version: target.api_version(),
        subresource: target.subresource.clone(),
        now: plane.timestamp(),
    };
    let mut warnings = Vec::new();
    let mut contents = plane.store.lock();
    let current = contents.get(&target.resource.table, &target.key());
    let Some(current) = current else {
        if !target.subresource.is_empty() {
            return Err(target.not_found());
        }
        let options = WriteOptions { applied: Some(writer), ..options };
        let stored = create_object(plane, &mut contents, target, config, &options, &mut warnings)?;
        return Ok(Answer::json(201, lens(plane, call, target).one(&stored)).with_warnings(warnings));
    };
    check_named(target, &config)?;
    let live = current.object();
    let merged = merged(target, &live, &config, &writer, options.force)?;
    let options = WriteOptions { applied: Some(writer), ..options };
    let part = Part::of(&target.subresource);
    let stored = replace_object(
        plane,
        &mut contents,
        target,
        &current,
        &live,
        merged,
        part,
        &options,
        None,
        &mut warnings,
    )?;
    drop(contents);
    Ok(Answer::json(200, lens(plane, call, target).one(&stored)).with_warnings(warnings))
}

fn read_config(call: &Call, target: &Target) -> Reply<Value> {
    let mut config = decode::yaml(&call.body)?;
    if !config.is_object() {
        return Err(Refusal::bad_request("error decoding YAML: the applied configuration must be an object"));
    }
    let (version, kind) = (document::text(&config, "/apiVersion"), document::text(&config, "/kind"));
    if version.is_empty() || kind.is_empty() {
        let slash = if version.contains('/') { "" } else { "/" };
        return Err(Refusal::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")));
    }
    let listed = config.pointer("/metadata/managedFields").and_then(Value::as_array);
    if listed.is_some_and(|list| !list.is_empty()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    if let Some(kind) = crate::types::of_kind(&target.api_version(), &target.resource.kind) {
        super::typed::check(kind, &config)?;
    }
    let given = document::name(&config);
    if given != target.name {
        return Err(Refusal::bad_request(if given.is_empty() {
            format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                target.name
            )
        } else {
            format!("the name of the object ({given}) does not match the name on the URL ({})", target.name)
        }));
    }
    metadata(&mut config).remove("managedFields");
    drop_nulls(&mut config);
    if let Some(kind) = crate::types::of_kind(&target.api_version(), &target.resource.kind) {
        // Quantities and times compare in their canonical form; wrong types are refused later, by name.
        let mut canonical = config.clone();
        if crate::types::decode_bare(kind, &mut canonical).is_ok_and(|decoded| decoded.unknown.is_empty()) {
            config = canonical;
        }
    }
    Ok(config)
}

/// An applied null says nothing.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The live object with the configuration laid over it, its managers up to date.
fn merged(target: &Target, live: &Value, config: &Value, writer: &Writer, force: bool) -> Reply<Value> {
    let resource = &target.resource;
    let node = Node::of(resource);
    let config = convert::to_stored(resource, target.version, config.clone());
    let applied = applied_fields(target, &config);
    let mut object = live.clone();
    managed::merge(node, &mut object, &identity_removed(&config));
    let mut entries = managed::entries(live);
    let own = |entry: &Entry| {
        entry.applies && entry.manager == writer.manager && entry.subresource == writer.subresource
    };
    if let Some(before) = entries.iter().find(|entry| own(entry)) {
        let mut gone = before.fields.clone();
        gone.subtract(&applied);
        let mut kept = applied.clone();
        for other in entries.iter().filter(|entry| !own(entry)) {
            kept.add(&other.fields);
        }
        managed::remove(node, &mut object, &gone, &kept);
    }
    let comparison = managed::compare(node, live, &object);
    if !force && writer.manager == "kubectl" && writer.subresource.is_empty() {
        // Whoever moves from client-side to server-side apply does not conflict with the former.
        let upgraded = last_applied(target, live);
        yield_fields(&mut entries, &comparison.written.intersection(&upgraded), own);
    }
    refuse_conflicts(&mut entries, &comparison.written, own, force)?;
    for entry in entries.iter_mut().filter(|entry| !own(entry)) {
        entry.fields.subtract(&comparison.removed);
    }
    let before = entries.iter().find(|entry| own(entry));
    let same = before.is_some_and(|entry| entry.fields == applied);
    let changes = comparison_changes(live, &object);
    if !same || changes {
        let mut entry = managed::own_entry(writer, applied);
        if !changes {
            // The time is that of the last change; who only joins the owners has none.
            entry.time = before.map(|before| before.time.clone()).unwrap_or_default();
        }
        entries.retain(|entry| !own(entry));
        entries.push(entry);
    }
    managed::set_entries(&mut object, entries);
    if writer.manager == "kubectl" && writer.subresource.is_empty() {
        // The server does this on nobody's behalf: it is in no manager's fields.
        renew_last_applied(&mut object, &config);
    }
    Ok(convert::from_stored(resource, target.version, object))
}

fn comparison_changes(live: &Value, object: &Value) -> bool {
    let plain = |value: &Value| {
        let mut value = value.clone();
        metadata(&mut value).remove("managedFields");
        value
    };
    plain(live) != plain(object)
}

/// The fields of the last client-side apply, as its annotation tells, that still have its values.
fn last_applied(target: &Target, live: &Value) -> FieldSet {
    let text = live.pointer("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration");
    let parsed = text.and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(mut config) = parsed.filter(Value::is_object) else { return FieldSet::default() };
    if let Some(kind) = crate::types::of_kind(&target.api_version(), &target.resource.kind) {
        let mut canonical = config.clone();
        if crate::types::decode_bare(kind, &mut canonical).is_ok() {
            config = canonical;
        }
    }
    let node = Node::of(&target.resource);
    let config = convert::to_stored(&target.resource, target.version, config);
    let mut fields = applied_fields(target, &config);
    let mut laid_over = live.clone();
    managed::merge(node, &mut laid_over, &identity_removed(&config));
    fields.subtract(&managed::compare(node, live, &laid_over).written);
    fields
}

/// The annotation of a client-side apply that went before says from now on what was applied here.
fn renew_last_applied(object: &mut Value, config: &Value) {
    const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(text) = annotations.get_mut(ANNOTATION) else { return };
    let mut config = config.clone();
    if let Some(own) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        own.remove(ANNOTATION);
    }
    *text = json!(format!("{config}\n"));
}

/// Takes fields away from every other manager.
fn yield_fields(entries: &mut [Entry], fields: &FieldSet, own: impl Fn(&Entry) -> bool) {
    for entry in entries.iter_mut().filter(|entry| !own(entry)) {
        entry.fields.subtract(fields);
    }
}

/// What the configuration claims.
pub(crate) fn applied_fields(target: &Target, config: &Value) -> FieldSet {
    let mut applied = managed::fields_of(Node::of(&target.resource), config);
    managed::strip(&mut applied, &target.subresource, target.resource.versions[target.version].status);
    applied
}

/// The configuration without what only says which object is meant.
fn identity_removed(config: &Value) -> Value {
    let mut config = config.clone();
    let meta = metadata(&mut config);
    for key in ["creationTimestamp", "resourceVersion", "uid", "generation"] {
        meta.remove(key);
    }
    config
}

fn refuse_conflicts(
    entries: &mut [Entry],
    written: &FieldSet,
    own: impl Fn(&Entry) -> bool,
    force: bool,
) -> Reply<()> {
    let mut conflicts: Vec<(String, Vec<String>)> = Vec::new();
    for entry in entries.iter_mut().filter(|entry| !own(entry)) {
        let both = entry.fields.intersection(written);
        if both.is_empty() {
            continue;
        }
        entry.fields.subtract(&both);
        let sub = if entry.subresource.is_empty() {
            String::new()
        } else {
            format!(" with subresource {:?}", entry.subresource)
        };
        let using = if entry.applies { String::new() } else { format!(" using {}", entry.api_version) };
        let with = format!("{:?}{sub}{using}", entry.manager);
        conflicts.push((with, both.paths()));
    }
    if force || conflicts.is_empty() {
        return Ok(());
    }
    let causes: Vec<Cause> = conflicts
        .iter()
        .flat_map(|(with, paths)| {
            paths.iter().map(move |path| Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {with}"),
                field: path.clone(),
            })
        })
        .collect();
    Err(Refusal::new(409, "Conflict", conflict_message(&conflicts, causes.len())).with_causes(&causes))
}

fn conflict_message(conflicts: &[(String, Vec<String>)], count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    if let [(with, paths)] = conflicts
        && let [path] = paths.as_slice()
    {
        return format!("Apply failed with 1 conflict: conflict with {with}: {path}");
    }
    let groups: Vec<String> = conflicts
        .iter()
        .map(|(with, paths)| {
            let plural = if paths.len() == 1 { "" } else { "s" };
            let lines: Vec<String> = paths.iter().map(|path| format!("\n- {path}")).collect();
            format!("conflict{plural} with {with}:{}", lines.concat())
        })
        .collect();
    format!("Apply failed with {count} conflict{plural}: {}", groups.join("\n"))
}

/// An object as it is before anything was written to it: what Go prints of an empty one.
pub(crate) fn nothing(target: &Target) -> Value {
    let resource = &target.resource;
    let mut empty = match Node::of(resource) {
        Node::Type(kind) => crate::types::zero(kind),
        _ => Value::Object(Map::new()),
    };
    document::metadata(&mut empty);
    empty
}
