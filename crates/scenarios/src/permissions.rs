//! The permissions we ship, as documents, and what becomes of them when one is taken away.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use glidepath_gocompat::yaml;
use glidepath_sandbox::AuditEntry;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

/// Namespace and name of the account our controller works as, as `deploy/rbac` names them.
pub const ACCOUNT: (&str, &str) = ("argo-rollouts", "argo-rollouts");

/// The files, in the order in which they can be applied.
const FILES: [&str; 4] = [
    include_str!("../../../deploy/rbac/service-account.yaml"),
    include_str!("../../../deploy/rbac/controller-role.yaml"),
    include_str!("../../../deploy/rbac/aggregate-roles.yaml"),
    include_str!("../../../deploy/rbac/controller-binding.yaml"),
];

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// The API group; empty for the core.
    pub group: String,
    /// The plural, with the subresource behind a slash.
    pub resource: String,
    /// As a role spells it.
    pub verb: String,
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        f.write_str(resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !subresource.is_empty() {
            write!(f, "/{subresource}")?;
        }
        write!(f, " {}", self.verb)
    }
}

impl Permission {
    /// What a request needed.
    #[must_use]
    pub fn of(entry: &AuditEntry) -> Self {
        let (plural, group) = entry.resource.split_once('.').unwrap_or((&entry.resource, ""));
        let resource = if entry.subresource.is_empty() {
            plural.to_owned()
        } else {
            format!("{plural}/{}", entry.subresource)
        };
        let verb = if entry.verb == "apply" { "patch" } else { &entry.verb };
        Self { group: group.to_owned(), resource, verb: verb.to_owned() }
    }
}

/// What we ship, document by document.
///
/// # Errors
/// When a file is not YAML.
pub fn shipped() -> Result<Vec<Value>> {
    let mut documents = Vec::new();
    for file in FILES {
        documents.extend(yaml::parse_documents(file)?);
    }
    Ok(documents)
}

/// Every permission of the controller's role.
#[must_use]
pub fn granted(documents: &[Value]) -> BTreeSet<Permission> {
    let mut granted = BTreeSet::new();
    for rule in rules(documents) {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    let (group, resource) = (group.to_owned(), resource.to_owned());
                    granted.insert(Permission { group, resource, verb: verb.to_owned() });
                }
            }
        }
    }
    granted
}

/// The documents with some of the role's permissions taken away.
#[must_use]
pub fn without(documents: &[Value], is_taken: impl Fn(&Permission) -> bool) -> Vec<Value> {
    let left: Vec<Value> = granted(documents)
        .into_iter()
        .filter(|permission| !is_taken(permission))
        .map(|permission| {
            json!({
                "apiGroups": [permission.group], "resources": [permission.resource], "verbs": [permission.verb],
            })
        })
        .collect();
    let mut documents = documents.to_vec();
    for document in documents.iter_mut().filter(|document| is_role(document)) {
        document["rules"] = json!(left);
    }
    documents
}

fn is_role(document: &Value) -> bool {
    document["kind"] == "ClusterRole" && document["metadata"]["name"] == ACCOUNT.1
}

fn rules(documents: &[Value]) -> impl Iterator<Item = &Value> {
    let role = documents.iter().find(|document| is_role(document));
    role.and_then(|role| role["rules"].as_array()).into_iter().flatten()
}

fn texts<'a>(rule: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    rule[member].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Applies these documents in the namespace they are meant for.
///
/// # Errors
/// When the API server refuses one.
pub async fn apply_permissions(client: &Client, documents: &[Value]) -> Result<()> {
    apply(client, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNT.0}})).await?;
    for document in documents {
        apply(client, document).await?;
    }
    Ok(())
}

/// Applies an object, whoever had its fields before.
///
/// # Errors
/// When it has no kind or name, or the API server refuses it.
pub async fn apply(client: &Client, object: &Value) -> Result<()> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let kind = text("/kind").context("an object without kind")?;
    let name = text("/metadata/name").context("an object without name")?;
    let (group, version) = match text("/apiVersion").unwrap_or_default().split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", text("/apiVersion").unwrap_or_default()),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams::apply("glidepath-testplane").force();
    api.patch(name, &params, &Patch::Apply(object)).await.with_context(|| format!("apply {kind} {name}"))?;
    Ok(())
}
