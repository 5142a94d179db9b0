//! What the server adds to objects and holds against them, kind by kind.

mod autoscalers;
mod fields;
mod ingresses;
mod namespaces;
mod others;
pub(crate) mod pod_spec;
mod pods;
mod services;
mod warnings;
mod workloads;

use serde_json::Value;

use crate::call::Target;
use crate::plane::Plane;
use crate::refusal::{Cause, Reply};
use crate::store::Contents;

pub(crate) use fields::check_fields;
pub(crate) use warnings::warnings;

/// Defaults of a new object.
pub(crate) fn prepare_create(
    plane: &Plane,
    contents: &mut Contents,
    target: &Target,
    object: &mut Value,
) -> Reply<()> {
    let resource = &target.resource;
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => namespaces::prepare_create(object),
        ("", "pods") => pods::prepare_create(plane, contents, resource, object)?,
        ("", "services") => {
            services::refuse_taken_ports(contents, target, object)?;
            services::prepare(plane, contents, object, None);
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => crate::crd::prepare(None, object),
        ("apps" | "batch", plural) | ("", plural @ "replicationcontrollers") => {
            workloads::set_defaults(plural, object);
        }
        ("", "podtemplates") => workloads::set_pod_template_defaults(object),
        (group, plural) => others::set_defaults(group, plural, object),
    }
    Ok(())
}

/// Defaults of a replaced object, and what the server keeps of the old one.
pub(crate) fn prepare_update(
    plane: &Plane,
    contents: &mut Contents,
    target: &Target,
    old: &Value,
    object: &mut Value,
) -> Reply<()> {
    if target.subresource == "status" {
        return Ok(());
    }
    let resource = &target.resource;
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => namespaces::prepare_update(old, object, &target.subresource),
        ("", "pods") => pods::prepare_update(object),
        ("", "services") => {
            services::refuse_taken_ports(contents, target, object)?;
            services::prepare(plane, contents, object, Some(old));
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            crate::crd::prepare(Some(old), object);
        }
        ("apps" | "batch", plural) | ("", plural @ "replicationcontrollers") => {
            workloads::set_defaults(plural, object);
        }
        ("", "podtemplates") => workloads::set_pod_template_defaults(object),
        (group, plural) => others::set_defaults(group, plural, object),
    }
    Ok(())
}

/// What is wrong with an object that is about to be stored.
pub(crate) fn validate(plane: &Plane, target: &Target, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let resource = &target.resource;
    if resource.is_custom() {
        return fields::validate_custom(target, object, old);
    }
    if target.subresource == "status" {
        return Vec::new();
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apiextensions.k8s.io", "customresourcedefinitions") => crate::crd::validate(object),
        ("", "pods") => pods::validate(object, old),
        ("", "services") => services::validate(object, old),
        ("apps", plural @ ("deployments" | "replicasets" | "statefulsets" | "daemonsets"))
        | ("batch", plural @ ("jobs" | "cronjobs"))
        | ("", plural @ "replicationcontrollers") => workloads::validate(plural, object, old),
        ("", "podtemplates") => workloads::validate_pod_template(object),
        (group, plural) => others::validate(group, plural, object, old, plane.allow_loopback_endpoints),
    }
}
