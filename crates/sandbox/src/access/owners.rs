//! Who may say that an object belongs to another one: the admission plugin `OwnerReferencesPermissionEnforcement`.
//! Whoever changes the owners of what exists must be allowed to delete it, and whoever wants to block an owner's
//! deletion must be allowed to write the owner's finalizers.

use serde_json::Value;

use super::{Question, decide};
use crate::call::{Target, User};
use crate::document;
use crate::plane::Plane;
use crate::refusal::{Refusal, Reply};
use crate::registry::api_version;
use crate::store::Contents;

/// Checks the owners of an object that `user` is about to store.
pub(crate) fn check(
    plane: &Plane,
    contents: &mut Contents,
    user: Option<&User>,
    target: &Target,
    object: &Value,
    old: Option<&Value>,
) -> Reply<()> {
    let Some(user) = user.filter(|_| !(target.resource.is("", "pods") && target.subresource == "status"))
    else {
        return Ok(());
    };
    let (owners, before) = (owners(object), old.map(owners).unwrap_or_default());
    if owners == before {
        return Ok(());
    }
    let refuse = |why: String| Refusal::forbidden(&target.resource.subject(), document::name(object), &why);
    let namespace = document::namespace(object);
    if old.is_some() {
        let question = Question::Resource {
            verb: "delete".to_owned(),
            group: target.resource.group.clone(),
            plural: target.resource.plural.clone(),
            subresource: target.subresource.clone(),
            namespace: namespace.to_owned(),
            name: document::name(object).to_owned(),
        };
        let decision = decide(contents, user, &question);
        if !decision.allowed {
            let reason = decision.reason;
            return Err(refuse(format!(
                "cannot set an ownerRef on a resource you can't delete: {reason}, <nil>"
            )));
        }
    }
    let blocked: Vec<&str> = before.iter().filter(|owner| blocks(owner)).map(|owner| uid(owner)).collect();
    for owner in owners.iter().filter(|owner| blocks(owner) && !blocked.contains(&uid(owner))) {
        let (version, kind) = (document::text(owner, "/apiVersion"), document::text(owner, "/kind"));
        let resource = plane.registry.all().into_iter().find(|resource| {
            let versions = resource.versions.iter().filter(|version| version.served);
            resource.kind == kind && { versions }
                .any(|served| api_version(&resource.group, &served.name) == version)
        });
        let Some(resource) = resource else {
            return Err(refuse(format!(
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {version} Kind {kind}: no matches for kind {kind:?} in version {version:?}"
            )));
        };
        let question = Question::Resource {
            verb: "update".to_owned(),
            group: resource.group.clone(),
            plural: resource.plural.clone(),
            subresource: "finalizers".to_owned(),
            namespace: if resource.namespaced { namespace.to_owned() } else { String::new() },
            name: document::text(owner, "/name").to_owned(),
        };
        let decision = decide(contents, user, &question);
        if !decision.allowed {
            let reason = decision.reason;
            return Err(refuse(format!(
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: {reason}, <nil>"
            )));
        }
    }
    Ok(())
}

fn owners(object: &Value) -> Vec<&Value> {
    object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten().collect()
}

fn blocks(owner: &Value) -> bool {
    owner.get("blockOwnerDeletion").and_then(Value::as_bool).unwrap_or(false)
}

fn uid(owner: &Value) -> &str {
    document::text(owner, "/uid")
}
