//! DELETE of one object and of collections: preconditions, grace, finalizers and propagation.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Target};
use crate::decode;
use crate::document::{self, metadata};
use crate::plane::{Plane, format_seconds};
use crate::read::{lens, parse_selector};
use crate::refusal::{Cause, Refusal, Reply, Subject};
use crate::store::{Contents, Stored};
use crate::write::is_ready_to_go;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// The kinds whose deletion answers with the object instead of a Status.
const ANSWERED_WITH_OBJECT: &[&str] = &[
    "namespaces",
    "persistentvolumeclaims",
    "persistentvolumes",
    "pods",
    "podtemplates",
    "resourcequotas",
    "serviceaccounts",
    "services",
    "storageclasses.storage.k8s.io",
];

/// `DeleteOptions`, from the body or the query.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    grace_seconds: Option<i64>,
    uid: Option<String>,
    resource_version: Option<String>,
    propagation: Option<String>,
    dry_run: bool,
}

const OPTIONS: Subject<'static> = Subject { group: "meta.k8s.io", plural: "", kind: "DeleteOptions" };

/// The options in the body; their reader has shorter words than that of objects.
fn read_options(call: &Call) -> Reply<Value> {
    decode::object(call, "DeleteOptions").map_err(|refusal| {
        let words = refusal.message().find("couldn't get version/kind").map(|at| &refusal.message()[at..]);
        let words = words.map(|words| words.rsplit_once(" (").map_or(words, |(words, _)| words).to_owned());
        words.map_or(refusal, Refusal::bad_request)
    })
}

impl DeleteOptions {
    /// Reads the body when there is one, else the query.
    pub fn parse(call: &Call) -> Reply<Self> {
        let mut options = Self::default();
        if !call.body.is_empty() {
            let body = read_options(call)?;
            options.grace_seconds = body.get("gracePeriodSeconds").and_then(Value::as_i64);
            let owned = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            options.uid = owned("/preconditions/uid");
            options.resource_version = owned("/preconditions/resourceVersion");
            options.propagation = owned("/propagationPolicy");
            let dry = body.get("dryRun").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if dry.iter().any(|one| one != "All") {
                let cause = Cause::unsupported("dryRun", &json!(dry), &["All".into()]);
                return Err(Refusal::invalid(&OPTIONS, "", &[cause]));
            }
            options.dry_run = !dry.is_empty();
            if let Some(orphan) = body.get("orphanDependents").and_then(Value::as_bool) {
                if let Some(policy) = &options.propagation {
                    let why = "orphanDependents and deletionPropagation cannot be both set";
                    let cause = Cause::invalid("propagationPolicy", &json!(policy), why);
                    return Err(Refusal::invalid(&OPTIONS, "", &[cause]));
                }
                options.propagation = Some(if orphan { "Orphan" } else { "Background" }.into());
            }
        }
        if let Some(seconds) = call.query.number("gracePeriodSeconds")? {
            options.grace_seconds = Some(seconds);
        }
        if call.query.has("propagationPolicy") {
            options.propagation = Some(call.query.get("propagationPolicy").to_owned());
        }
        options.dry_run |= call.query.get("dryRun") == "All";
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Reply<()> {
        match self.propagation.as_deref() {
            None | Some("Orphan" | "Foreground" | "Background") => Ok(()),
            Some(other) => Err(Refusal::invalid(
                &OPTIONS,
                "",
                &[Cause::unsupported(
                    "propagationPolicy",
                    &json!(other),
                    &["Foreground".into(), "Background".into(), "Orphan".into(), "nil".into()],
                )],
            )),
        }
    }
}

/// DELETE of one object.
pub(crate) fn delete(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let options = DeleteOptions::parse(call)?;
    let warnings = if target.resource.is("batch", "jobs") && options.propagation.is_none() {
        vec!["child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning".to_owned()]
    } else {
        Vec::new()
    };
    let mut contents = plane.store.lock();
    let (stored, gone) = delete_object(plane, &mut contents, target, &options)
        .map_err(|refusal| if refusal.code() == 404 { refusal } else { refusal.with_warnings(&warnings) })?;
    drop(contents);
    let with_object = ANSWERED_WITH_OBJECT.contains(&&*target.resource.table);
    if !gone || with_object {
        return Ok(Answer::json(200, lens(plane, call, target).one(&stored)).with_warnings(warnings));
    }
    let object = stored.object();
    let mut details = Map::new();
    details.insert("name".into(), json!(target.name));
    if !target.resource.group.is_empty() {
        details.insert("group".into(), json!(target.resource.group));
    }
    details.insert("kind".into(), json!(target.resource.plural));
    details.insert("uid".into(), json!(document::uid(&object)));
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    });
    Ok(Answer::value(200, &status).with_warnings(warnings))
}

/// DELETE of everything that matches.
pub(crate) fn delete_collection(plane: &Plane, call: &Call, target: &Target) -> Reply<Answer> {
    let options = DeleteOptions::parse(call)?;
    let selector = parse_selector(call, target)?;
    let mut contents = plane.store.lock();
    let chosen: Vec<Arc<Stored>> = contents
        .table(&target.resource.table)
        .scope(&target.namespace)
        .filter(|stored| selector.matches(stored))
        .map(Arc::clone)
        .collect();
    let mut deleted = Vec::with_capacity(chosen.len());
    for stored in chosen {
        let one = Target {
            namespace: stored.key.namespace().to_owned(),
            name: stored.key.name().to_owned(),
            ..target.clone()
        };
        delete_object(plane, &mut contents, &one, &options)?;
        // The answer shows what was found, not what became of it.
        deleted.push(stored);
    }
    let mut metadata = json!({ "resourceVersion": contents.resource_version().to_string() });
    if target.resource.is_custom() {
        metadata["continue"] = json!("");
    }
    drop(contents);
    Ok(Answer::json(200, lens(plane, call, target).many(&deleted, &metadata)))
}

/// Deletes one object, or marks it when something has to happen first. Says whether it is gone.
pub(crate) fn delete_object(
    plane: &Plane,
    contents: &mut Contents,
    target: &Target,
    options: &DeleteOptions,
) -> Reply<(Arc<Stored>, bool)> {
    let resource = &target.resource;
    let current = contents.get(&resource.table, &target.key()).ok_or_else(|| target.not_found())?;
    let old = current.object();
    check_preconditions(target, &old, options)?;
    check_protected(target)?;
    let mut object = old.clone();
    set_propagation_finalizers(target, &mut object, options);
    let is_definition = resource.is("apiextensions.k8s.io", "customresourcedefinitions");
    if is_definition {
        crate::crd::mark_terminating(plane, &mut object);
    }
    let grace = grace_seconds(target, &object, options);
    let was_deleting = document::is_being_deleted(&object);
    mark_deleted(plane, &mut object, was_deleting, grace);
    if resource.is("", "namespaces") {
        object["status"]["phase"] = json!("Terminating");
        metadata(&mut object).remove("deletionGracePeriodSeconds");
    }
    if is_definition {
        // Definitions are marked by a way of their own, which knows neither grace nor generations.
        document::metadata(&mut object).remove("deletionGracePeriodSeconds");
    } else if !was_deleting && let Some(generation) = object.pointer_mut("/metadata/generation") {
        *generation = json!(generation.as_i64().unwrap_or(0) + 1);
    }
    let gone = is_ready_to_go(resource, &object);
    if options.dry_run {
        return Ok((Arc::new(Stored::from_object(&object, 0, resource.selectable())), gone));
    }
    if !gone {
        if object == old {
            return Ok((current, false));
        }
        let stored = contents.put(&resource.table, object);
        plane.after_write(contents, resource, Some(&stored), stored.key.name());
        if is_definition {
            crate::crd::delete_objects(plane, contents, stored.key.name());
        }
        return Ok((stored, false));
    }
    let key = target.key();
    if was_deleting && object != old {
        // The shortened grace is an event of its own.
        let stored = contents.put(&resource.table, object);
        contents.remove(&resource.table, &key);
        plane.after_write(contents, resource, None, key.name());
        return Ok((stored, true));
    }
    let last = contents.remove(&resource.table, &key).unwrap_or(current);
    let version = contents.resource_version();
    plane.after_write(contents, resource, None, key.name());
    if resource.is("", "pods") {
        metadata(&mut object).insert("resourceVersion".into(), json!(version.to_string()));
        // The answer shows a pod with its marks even if it goes at once.
        let marked = Stored::from_object(&object, version, resource.selectable());
        return Ok((Arc::new(marked), true));
    }
    Ok((last, true))
}

fn check_preconditions(target: &Target, old: &Value, options: &DeleteOptions) -> Reply<()> {
    let refuse = |what: &str, wanted: &str, actual: &str, perhaps: &str| {
        Err(Refusal::conflict(
            // Here the real server names the kind.
            &Subject { plural: &target.resource.kind, ..target.resource.subject() },
            &target.name,
            &format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({actual}). The object might have been {perhaps}"
            ),
        ))
    };
    if let Some(wanted) = options.uid.as_deref().filter(|uid| *uid != document::uid(old)) {
        return refuse("UID", wanted, document::uid(old), "deleted and then recreated");
    }
    let actual = document::text(old, "/metadata/resourceVersion");
    if let Some(wanted) = options.resource_version.as_deref().filter(|version| *version != actual) {
        return refuse("ResourceVersion", wanted, actual, "modified");
    }
    Ok(())
}

/// Namespaces the system needs stay.
fn check_protected(target: &Target) -> Reply<()> {
    let protected = matches!(target.name.as_str(), "default" | "kube-system" | "kube-public");
    if target.resource.is("", "namespaces") && protected {
        return Err(Refusal::forbidden(
            &target.resource.subject(),
            &target.name,
            "this namespace may not be deleted",
        ));
    }
    Ok(())
}

/// The propagation policy lives on as a finalizer that the garbage collector works off.
fn set_propagation_finalizers(target: &Target, object: &mut Value, options: &DeleteOptions) {
    let mut finalizers: Vec<String> = document::finalizers(object).into_iter().map(str::to_owned).collect();
    let has = |finalizers: &[String], name: &str| finalizers.iter().any(|one| one == name);
    let orphans_by_default =
        target.resource.is("", "replicationcontrollers") || target.resource.is("batch", "jobs");
    let (orphan, foreground) = match options.propagation.as_deref() {
        Some("Orphan") => (true, false),
        Some("Foreground") => (false, true),
        Some(_) => (false, false),
        None if has(&finalizers, ORPHAN) || has(&finalizers, FOREGROUND) => {
            (has(&finalizers, ORPHAN), has(&finalizers, FOREGROUND))
        }
        None => (orphans_by_default, false),
    };
    // Pods and events have no dependents worth waiting for, but the server adds the finalizers all the same.
    for (name, wanted) in [(ORPHAN, orphan), (FOREGROUND, foreground)] {
        if wanted && !has(&finalizers, name) {
            finalizers.push(name.to_owned());
        } else if !wanted {
            finalizers.retain(|one| one != name);
        }
    }
    let meta = metadata(object);
    if finalizers.is_empty() {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".into(), json!(finalizers));
    }
}

/// Only pods are deleted with grace; unscheduled and finished ones at once.
fn grace_seconds(target: &Target, object: &Value, options: &DeleteOptions) -> i64 {
    if !target.resource.is("", "pods") {
        return 0;
    }
    let asked = options.grace_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    // A deletion that is under way goes on as it is unless it is asked to hurry.
    let given = number("/metadata/deletionGracePeriodSeconds");
    let seconds = asked.or(given).or_else(|| number("/spec/terminationGracePeriodSeconds")).unwrap_or(30);
    let unscheduled = document::text(object, "/spec/nodeName").is_empty();
    let finished = matches!(document::text(object, "/status/phase"), "Succeeded" | "Failed");
    if unscheduled || finished { 0 } else { seconds }
}

/// Sets the deletion marks; a second deletion can only shorten the grace.
fn mark_deleted(plane: &Plane, object: &mut Value, was_deleting: bool, grace: i64) {
    let before = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    let until = document::text(object, "/metadata/deletionTimestamp").parse::<jiff::Timestamp>().ok();
    let meta = metadata(object);
    if was_deleting && before.is_some_and(|before| before <= grace) {
        return;
    }
    let now = plane.clock.now();
    // A shorter grace counts from the first deletion. When that is over by now, what is left is the least there is.
    let began = match (was_deleting, until, before) {
        (true, Some(until), Some(before)) => until.saturating_sub(jiff::SignedDuration::from_secs(before)),
        _ => Ok(now),
    };
    let at = began.unwrap_or(now).saturating_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(now);
    let (at, grace) = if at < now && was_deleting { (now, grace.min(1)) } else { (at, grace) };
    meta.insert("deletionTimestamp".into(), json!(format_seconds(at)));
    meta.insert("deletionGracePeriodSeconds".into(), json!(grace));
}
