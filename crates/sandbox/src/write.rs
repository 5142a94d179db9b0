//! Creating and replacing objects: what a client may set, what the server sets, and when a write
//! changes nothing.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::access::{escalation, owners};
use crate::admission;
use crate::call::{Answer, Call, FieldValidation, Target, WriteOptions};
use crate::convert;
use crate::decode;
use crate::document::{self, as_map, metadata};
use crate::managed::{self, Node, Writer};
use crate::metadata::{carry_over, check_preconditions, drop_empty_metadata};
use crate::names;
use crate::plane::Plane;
use crate::read::lens;
use crate::refusal::{Cause, Refusal, Reply, Subject};
use crate::registry::Resource;
use crate::store::{Contents, Key, Stored};
use crate::types;

/// Which part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status of kinds that have one of their own.
    Whole,
    /// Only the status.
    Status,
    /// `spec.finalizers` of a namespace.
    Finalize,
}

impl Part {
    /// From the subresource in the path.
    pub fn of(subresource: &str) -> Self {
        match subresource {
            "status" => Self::Status,
            "finalize" => Self::Finalize,
            _ => Self::Whole,
        }
    }
}

/// POST of a new object.
pub(crate) fn create(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let options = WriteOptions::parse(call)?;
    let object = decode::object(call, &target.resource.kind)?;
    let mut warnings = Vec::new();
    let mut contents = plane.store.lock();
    let stored = create_object(plane, &mut contents, target, object, &options, &mut warnings)
        .map_err(|refusal| refusal.with_warnings(&warnings))?;
    drop(contents);
    warnings.extend(target.resource.versions[target.version].deprecation.clone());
    Ok(Answer::json(201, lens(plane, call, target).one(&stored)).with_warnings(warnings))
}

/// PUT of an object or of its status.
pub(crate) fn update(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let options = WriteOptions::parse(call)?;
    let object = decode::object(call, &target.resource.kind)?;
    let mut warnings = Vec::new();
    let mut contents = plane.store.lock();
    let current = contents.get(&target.resource.table, &target.key());
    let Some(current) = current else {
        if target.subresource.is_empty() && is_created_by_put(&target.resource) {
            check_readable(target, object.clone())?;
            check_named(target, &object)?;
            let stored = create_object(plane, &mut contents, target, object, &options, &mut warnings)?;
            return Ok(Answer::json(201, lens(plane, call, target).one(&stored)).with_warnings(warnings));
        }
        check_readable(target, object.clone())?;
        check_named(target, &object)?;
        return Err(target.not_found());
    };
    if !target.resource.is_custom() && document::name(&object) != target.name {
        // That it cannot be read is said before that it has another name.
        check_readable(target, object.clone())?;
    }
    check_named(target, &object)?;
    let old = current.object();
    check_update_version(target, &old, &object)?;
    let stored = replace_object(
        plane,
        &mut contents,
        target,
        &current,
        &old,
        object,
        Part::of(&target.subresource),
        &options,
        None,
        &mut warnings,
    )
    .map_err(|refusal| refusal.with_warnings(&warnings))?;
    drop(contents);
    Ok(Answer::json(200, lens(plane, call, target).one(&stored)).with_warnings(warnings))
}

/// Only a few kinds are created by PUT, as in the real server.
fn is_created_by_put(resource: &Resource) -> bool {
    match resource.group.as_str() {
        "" => ["events", "services", "endpoints", "limitranges"].contains(&resource.plural.as_str()),
        "events.k8s.io" | "coordination.k8s.io" | "rbac.authorization.k8s.io" | "node.k8s.io" => true,
        _ => false,
    }
}

/// What cannot be read as its kind is refused before anything is looked up.
fn check_readable(target: &Target, mut object: Value) -> Reply<()> {
    check_type(target, &mut object)?;
    let options = WriteOptions { field_validation: FieldValidation::Ignore, ..internal_options() };
    admission::check_fields(target, &mut object, &options, &mut Vec::new())
        .map_err(|undecodable| undecodable.into_refusal(target, None))
}

/// Metadata must be a map, before anything is put into it.
fn check_metadata_readable(target: &Target, object: &Value) -> Reply<()> {
    match object.get("metadata") {
        None | Some(Value::Null | Value::Object(_)) => Ok(()),
        Some(_) if target.resource.is_custom() => Ok(()),
        Some(_) => check_readable(target, object.clone()),
    }
}

/// Creates an object that a client sent in the target's version.
pub(crate) fn create_object(
    plane: &Plane,
    contents: &mut Contents,
    target: &Target,
    mut object: Value,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Reply<Arc<Stored>> {
    check_type(target, &mut object)?;
    check_metadata_readable(target, &object)?;
    let given_namespace = document::namespace(&object).to_owned();
    check_namespace_matches(target, &mut object)?;
    let sent = options.applied.as_ref().map(|_| object.clone());
    admission::check_fields(target, &mut object, options, warnings).map_err(|undecodable| {
        if options.applied.is_some() && !target.resource.is_custom() {
            undecodable.into_conversion(target, &given_namespace)
        } else {
            undecodable.into_refusal(target, None)
        }
    })?;
    if target.resource.terminating {
        return Err(Refusal::new(
            405,
            "MethodNotAllowed",
            "create not allowed while custom resource definition is terminating",
        ));
    }
    if target.resource.namespaced {
        check_namespace_open(contents, target, document::name(&object))?;
    }
    let mut object = convert::to_stored(&target.resource, target.version, object);
    let version = document::text(&object, "/metadata/resourceVersion").to_owned();
    stamp_new(plane, &target.resource, target.version, &mut object);
    let generated = name_new(plane, contents, target, &mut object);
    admission::prepare_create(plane, contents, target, &mut object)?;
    let causes = new_object_causes(plane, target, &object);
    if !causes.is_empty() {
        let name = document::name(&object).to_owned();
        return Err(Refusal::invalid(&target.resource.subject(), &name, &causes));
    }
    warnings.extend(admission::warnings(target, &object, None));
    escalation::check(contents, options.user.as_ref(), target, &object, None)?;
    if !version.is_empty() && options.applied.is_none() {
        if !options.dry_run {
            return Err(Refusal::plain_error("resourceVersion should not be set on objects to be created"));
        }
        // What is not stored keeps the version it came with.
        metadata(&mut object).insert("resourceVersion".into(), json!(version));
    }
    owners::check(plane, contents, options.user.as_ref(), target, &object, None)?;
    let key = Key::new(document::namespace(&object), document::name(&object));
    if contents.get(&target.resource.table, &key).is_some() {
        let refusal = Refusal::already_exists(&target.resource.subject(), key.name());
        return Err(if generated { refusal.of_generated_name() } else { refusal });
    }
    match &options.applied {
        Some(writer) => {
            let sent = convert::to_stored(&target.resource, target.version, sent.unwrap_or_default());
            let fields = crate::patch::apply::applied_fields(target, &sent);
            managed::set_entries(&mut object, vec![managed::own_entry(writer, fields)]);
        }
        None => {
            let mut nothing = crate::patch::apply::nothing(target);
            if target.resource.is("", "services") {
                // Addresses are given out later, on nobody's behalf.
                for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                    if let Some(value) = object.pointer(&format!("/spec/{key}")).cloned() {
                        nothing["spec"][key] = value;
                    }
                }
            }
            note_writer(plane, target, &nothing, &mut object, options);
        }
    }
    let stored = commit(plane, contents, &target.resource, object, options.dry_run);
    if target.resource.is("apiextensions.k8s.io", "customresourcedefinitions") && !options.dry_run {
        crate::crd::accept(plane, contents, &target.resource, stored.object());
    }
    Ok(stored)
}

/// Keeps `managedFields` up to date after a plain write.
fn note_writer(plane: &Plane, target: &Target, old: &Value, object: &mut Value, options: &WriteOptions) {
    let writer = Writer {
        manager: options.field_manager.clone(),
        applies: false,
        api_version: target.api_version(),
        subresource: target.subresource.clone(),
        // Real servers lose the time on the way from a scale to its object.
        now: if target.subresource == "scale" { String::new() } else { plane.timestamp() },
    };
    let has_status = target.resource.versions[target.version].status;
    managed::note_update(Node::of(&target.resource), old, object, &writer, has_status);
}

fn new_object_causes(plane: &Plane, target: &Target, object: &Value) -> Vec<Cause> {
    let mut causes = names::check_metadata(&target.resource, object);
    causes.extend(admission::validate(plane, target, object, None));
    causes
}

/// Sets what only the server may set on a new object.
fn stamp_new(plane: &Plane, resource: &Resource, version: usize, object: &mut Value) {
    let has_status = resource.versions[version].status;
    let map = as_map(object);
    // A status that comes with a new object is dropped where it has a subresource of its own.
    if has_status && !resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        map.remove("status");
    }
    let meta = metadata(object);
    for key in [
        "resourceVersion",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "managedFields",
    ] {
        meta.remove(key);
    }
    meta.insert("uid".into(), json!(plane.new_uid()));
    meta.insert("creationTimestamp".into(), json!(plane.timestamp()));
    if resource.generation {
        meta.insert("generation".into(), json!(1));
    }
    drop_empty_metadata(meta);
    let stored_version = resource.api_version(resource.storage);
    let Some(kind) = resource.built_in.and_then(|_| types::of_kind(&stored_version, &resource.kind)) else {
        return;
    };
    if convert::is_stored_form(resource, version) {
        // What Go prints of a status that was never set.
        if has_status && let Some(status) = types::zero(kind).get("status") {
            as_map(object).insert("status".into(), status.clone());
        }
    } else {
        // A converted object is read once more, for what its stored version prints. It was read as
        // this kind before, so this cannot fail.
        let _ = types::decode(kind, object, "");
    }
}

/// Fills in a name from `generateName`; says whether it did.
fn name_new(plane: &Plane, contents: &Contents, target: &Target, object: &mut Value) -> bool {
    let prefix = document::text(object, "/metadata/generateName").to_owned();
    if !document::name(object).is_empty() || prefix.is_empty() {
        // A name that is taken is told of as if it had been made up.
        return !prefix.is_empty();
    }
    // Long prefixes are cut so that the whole name has at most 63 characters.
    let prefix: String = prefix.chars().take(58).collect();
    let mut name = String::new();
    for _ in 0..8 {
        name = format!("{prefix}{}", plane.name_suffix());
        let key = Key::new(document::namespace(object), &name);
        if contents.get(&target.resource.table, &key).is_none() {
            break;
        }
    }
    metadata(object).insert("name".into(), json!(name));
    true
}

/// `apiVersion` and `kind` must be those of the path; missing ones are filled in.
pub(crate) fn check_type(target: &Target, object: &mut Value) -> Reply<()> {
    let wanted = (target.api_version(), target.resource.kind.clone());
    if object.is_null() && !target.resource.is_custom() {
        *object = json!({});
    }
    let given = (document::text(object, "/apiVersion"), document::text(object, "/kind"));
    if !object.is_object() {
        return Err(Refusal::bad_request("the object provided is unrecognized (must be of type Object)"));
    }
    if target.resource.is_custom() {
        if given.1.is_empty() {
            return Err(Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{object}' ({})",
                wanted.1,
                decode::shortened(object.to_string().as_bytes())
            )));
        }
        if given.0 == wanted.0 && given.1 != wanted.1 {
            let subject = Subject { kind: given.1, ..target.resource.subject() };
            let cause = Cause::invalid("kind", &json!(given.1), format!("must be {}", wanted.1));
            return Err(Refusal::invalid(&subject, document::name(object), &[cause]));
        }
    }
    let custom = target.resource.is_custom();
    let version_fits = (given.0.is_empty() && !custom) || given.0 == wanted.0;
    let kind_fits = given.1.is_empty() || given.1 == wanted.1;
    if !(version_fits && kind_fits) {
        if target.resource.is_custom() && !version_fits {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({})",
                given.0, wanted.0
            )));
        }
        return Err(refuse_foreign_type(target, given.0, given.1));
    }
    let map = as_map(object);
    map.insert("apiVersion".into(), json!(wanted.0));
    map.insert("kind".into(), json!(wanted.1));
    Ok(())
}

/// A built-in kind where another was expected, or one that is not known at all.
fn refuse_foreign_type(target: &Target, api_version: &str, kind: &str) -> Refusal {
    let expected = &target.resource.kind;
    let wanted = target.api_version();
    let (as_version, as_kind) = (
        if api_version.is_empty() { &wanted } else { api_version },
        if kind.is_empty() { expected } else { kind },
    );
    if crate::types::of_kind(as_version, as_kind).is_none() {
        let version = as_version.rsplit('/').next().unwrap_or(as_version);
        return Refusal::bad_request(format!(
            "{as_kind} in version {version:?} cannot be handled as a {expected}: no kind {as_kind:?} is registered for version {as_version:?} in scheme \"pkg/runtime/scheme.go:111\""
        ));
    }
    let version = api_version.rsplit('/').next().unwrap_or(api_version);
    let own = if target.resource.group.is_empty() {
        "core"
    } else {
        target.resource.group.split('.').next().unwrap_or_default()
    };
    Refusal::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {expected}: converting ({version}.{kind}) to ({own}.{expected}): unknown conversion"
    ))
}

/// The namespace in the body must be that of the path; a missing one is filled in.
fn check_namespace_matches(target: &Target, object: &mut Value) -> Reply<()> {
    let given = document::namespace(object).to_owned();
    if !target.resource.namespaced {
        if !given.is_empty() {
            metadata(object).remove("namespace");
        }
        return Ok(());
    }
    if target.namespace.is_empty() {
        return Err(Refusal::bad_request("an empty namespace may not be set during creation"));
    }
    if !given.is_empty() && given != target.namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    metadata(object).insert("namespace".into(), json!(target.namespace));
    Ok(())
}

/// Nothing is created in a namespace that is missing or going away.
fn check_namespace_open(contents: &Contents, target: &Target, name: &str) -> Reply<()> {
    let namespaces = Subject { group: "", plural: "namespaces", kind: "Namespace" };
    let Some(namespace) = contents.get("namespaces", &Key::new("", &target.namespace)) else {
        return Err(Refusal::not_found(&namespaces, &target.namespace));
    };
    let namespace = namespace.object();
    if document::is_being_deleted(&namespace) && !target.resource.is("", "events") {
        let why = format!(
            "unable to create new content in namespace {} because it is being terminated",
            target.namespace
        );
        let cause = Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {} is being terminated", target.namespace),
            field: "metadata.namespace".into(),
        };
        return Err(Refusal::forbidden(&target.resource.subject(), name, &why).with_causes(&[cause]));
    }
    Ok(())
}

/// The name in the body must be that of the path.
pub(crate) fn check_named(target: &Target, object: &Value) -> Reply<()> {
    let given = document::name(object);
    if given != target.name {
        return Err(Refusal::bad_request(if given.is_empty() && !target.resource.is_custom() {
            format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                target.name
            )
        } else if given.is_empty() {
            format!(
                "the name of the object ( based on URL) was undeterminable: name must be provided ({})",
                target.name
            )
        } else {
            format!("the name of the object ({given}) does not match the name on the URL ({})", target.name)
        }));
    }
    Ok(())
}

/// Kinds that may not be replaced without saying which version is meant.
fn check_update_version(target: &Target, old: &Value, object: &Value) -> Reply<()> {
    let uid = document::uid(object);
    if !uid.is_empty() && uid != document::uid(old) {
        // That it is another object is said first.
        return check_preconditions(target, old, object);
    }
    let given = document::text(object, "/metadata/resourceVersion");
    let strict = target.resource.is_custom()
        || ["leases", "poddisruptionbudgets", "runtimeclasses"].contains(&target.resource.plural.as_str())
        || target.resource.group == "admissionregistration.k8s.io";
    if (given.is_empty() || given == "0") && strict {
        // The storage layer knows the plural only.
        let subject = Subject { kind: &target.resource.plural, ..target.resource.subject() };
        return Err(Refusal::invalid(
            &subject,
            &target.name,
            &[Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update")],
        ));
    }
    Ok(())
}

/// Replaces `current` by what a client sent in the target's version. For patches, `patch` says
/// how refusals show it.
pub(crate) fn replace_object(
    plane: &Plane,
    contents: &mut Contents,
    target: &Target,
    current: &Arc<Stored>,
    old: &Value,
    mut object: Value,
    part: Part,
    options: &WriteOptions,
    patch: Option<&dyn Fn() -> String>,
    warnings: &mut Vec<String>,
) -> Reply<Arc<Stored>> {
    check_type(target, &mut object)?;
    check_namespace_matches(target, &mut object)?;
    admission::check_fields(target, &mut object, options, warnings)
        .map_err(|undecodable| undecodable.into_refusal(target, patch.map(|shown| shown()).as_deref()))?;
    let mut object = convert::to_stored(&target.resource, target.version, object);
    check_preconditions(target, old, &object)?;
    warnings.extend(admission::warnings(target, &object, Some(old)));
    carry_over(target, old, &mut object, part)?;
    admission::prepare_update(plane, contents, target, old, &mut object)?;
    if part != Part::Status {
        let causes = names::check_metadata(&target.resource, &object);
        if !causes.is_empty() {
            return Err(Refusal::invalid(&target.resource.subject(), &target.name, &causes));
        }
    }
    let causes = admission::validate(plane, target, &object, Some(old));
    if !causes.is_empty() {
        return Err(Refusal::invalid(&target.resource.subject(), &target.name, &causes));
    }
    escalation::check(contents, options.user.as_ref(), target, &object, Some(old))?;
    owners::check(plane, contents, options.user.as_ref(), target, &object, Some(old))?;
    Ok(finish_update(plane, contents, target, current, old, object, options))
}

/// Numbers the update, drops it when nothing changed, completes a deletion that waited for it.
pub(crate) fn finish_update(
    plane: &Plane,
    contents: &mut Contents,
    target: &Target,
    current: &Arc<Stored>,
    old: &Value,
    mut object: Value,
    options: &WriteOptions,
) -> Arc<Stored> {
    let dry_run = options.dry_run;
    if target.resource.generation {
        let before = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(1);
        // Being put on a node is no change of what was asked for.
        let bump = i64::from(target.subresource != "binding" && content_changed(target, old, &object));
        metadata(&mut object).insert("generation".into(), json!(before + bump));
    }
    if object == *old {
        return Arc::clone(current);
    }
    if options.applied.is_none() {
        note_writer(plane, target, old, &mut object, options);
    }
    if is_ready_to_go(&target.resource, &object) {
        if dry_run {
            return dry(contents, &target.resource, object);
        }
        // The object goes as it was last stored; only the client sees what it made of it.
        let version = current.resource_version;
        let stored = Arc::new(Stored::from_object(&object, version, target.resource.selectable()));
        contents.remove(&target.resource.table, &stored.key);
        plane.after_write(contents, &target.resource, None, stored.key.name());
        return stored;
    }
    commit(plane, contents, &target.resource, object, dry_run)
}

/// Whether a deletion has nothing left to wait for.
pub(crate) fn is_ready_to_go(resource: &Resource, object: &Value) -> bool {
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
    let held = resource.is("", "namespaces")
        && object.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    document::is_being_deleted(object)
        && document::finalizers(object).is_empty()
        && (grace == 0 || !resource.is("", "pods"))
        && !held
}

/// Stores the object; a dry run only shows what would be stored.
pub(crate) fn commit(
    plane: &Plane,
    contents: &mut Contents,
    resource: &Resource,
    object: Value,
    dry_run: bool,
) -> Arc<Stored> {
    if dry_run {
        return dry(contents, resource, object);
    }
    let stored = contents.put(&resource.table, object);
    plane.after_write(contents, resource, Some(&stored), stored.key.name());
    stored
}

fn dry(_contents: &Contents, resource: &Resource, object: Value) -> Arc<Stored> {
    Arc::new(Stored::from_object(&object, 0, resource.selectable()))
}

/// Everything but metadata and, where it has a subresource of its own, status.
fn content_changed(target: &Target, old: &Value, new: &Value) -> bool {
    let has_status = target.resource.versions[target.resource.storage].status;
    let counts =
        |key: &str| !matches!(key, "metadata" | "apiVersion" | "kind") && (key != "status" || !has_status);
    let empty = Map::new();
    let old = old.as_object().unwrap_or(&empty);
    let new = new.as_object().unwrap_or(&empty);
    old.iter().any(|(key, value)| counts(key) && new.get(key) != Some(value))
        || new.keys().any(|key| counts(key) && !old.contains_key(key))
}

/// The options of writes that the server makes on its own behalf.
pub(crate) fn internal_options() -> WriteOptions {
    WriteOptions {
        dry_run: false,
        field_validation: FieldValidation::Ignore,
        field_manager: "kube-apiserver".into(),
        force: false,
        applied: None,
        duplicates: Vec::new(),
        user: None,
    }
}
