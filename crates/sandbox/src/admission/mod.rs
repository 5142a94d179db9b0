//! What the server adds to objects and holds against them, kind by kind.

mod namespaces;

use serde_json::Value;

use crate::call::{FieldValidation, Target};
use crate::plane::Plane;
use crate::refusal::{Cause, Reply};
use crate::store::Contents;

/// Prunes or refuses fields that the kind does not have.
pub(crate) fn check_fields(
    _target: &Target,
    _object: &mut Value,
    _validation: FieldValidation,
    _warnings: &mut Vec<String>,
) -> Reply<()> {
    Ok(())
}

/// Defaults of a new object.
pub(crate) fn prepare_create(
    plane: &Plane,
    _contents: &mut Contents,
    target: &Target,
    object: &mut Value,
) -> Reply<()> {
    match (target.resource.group.as_str(), target.resource.plural.as_str()) {
        ("", "namespaces") => namespaces::prepare_create(object),
        ("apiextensions.k8s.io", "customresourcedefinitions") => crate::crd::prepare(plane, None, object),
        _ => {}
    }
    Ok(())
}

/// Defaults of a replaced object, and what may not change about it.
pub(crate) fn prepare_update(
    plane: &Plane,
    _contents: &mut Contents,
    target: &Target,
    old: &Value,
    object: &mut Value,
) -> Reply<()> {
    match (target.resource.group.as_str(), target.resource.plural.as_str()) {
        ("", "namespaces") => namespaces::prepare_update(old, object, &target.subresource),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            crate::crd::prepare(plane, Some(old), object)
        }
        _ => {}
    }
    Ok(())
}

/// What is wrong with an object that is about to be stored.
pub(crate) fn validate(_plane: &Plane, target: &Target, object: &Value, _old: Option<&Value>) -> Vec<Cause> {
    match (target.resource.group.as_str(), target.resource.plural.as_str()) {
        ("apiextensions.k8s.io", "customresourcedefinitions") => crate::crd::validate(object),
        _ => Vec::new(),
    }
}
