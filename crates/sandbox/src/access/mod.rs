//! Who may do what: role-based access control over the roles and bindings in the store.
//!
//! Members of `system:masters` may do everything, as in the real server. Nothing else is built in: the
//! usual first roles are objects like any other ([`bootstrap`]).

pub(crate) mod bootstrap;
pub(crate) mod escalation;
pub(crate) mod impersonation;
pub(crate) mod owners;
mod rules;

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::call::{Call, User};
use crate::document;
use crate::refusal::{Refusal, Subject};
use crate::request::RequestPath;
use crate::store::{Contents, Key, Stored};

/// The group of the API of roles and bindings.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

/// Its members pass every check.
pub(crate) const MASTERS: &str = "system:masters";

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// With a resource. An empty name means the whole collection, an empty namespace the cluster.
    Resource {
        verb: String,
        group: String,
        plural: String,
        subresource: String,
        namespace: String,
        name: String,
    },
    /// With a path that is no resource.
    Path { verb: String, path: String },
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub allowed: bool,
    /// Which binding allows it, or which roles could not be read.
    pub reason: String,
}

impl Question {
    /// What a request asks for.
    pub fn of(call: &Call, path: &RequestPath) -> Self {
        match path {
            RequestPath::Other(parts) => Self::Path {
                verb: call.method.as_str().to_lowercase(),
                path: format!("/{}", parts.join("/")),
            },
            RequestPath::Resource(path) => {
                let mut name = path.name.clone();
                if name.is_empty() && call.method == Method::GET {
                    // A list of one named object counts as a request for that object.
                    name = named_by_selector(call.query.get("fieldSelector")).to_owned();
                }
                let verb = match (&call.method, path.name.is_empty()) {
                    (&Method::GET, true) if call.query.flag("watch") => "watch",
                    (&Method::GET, true) => "list",
                    (&Method::GET, false) => "get",
                    (&Method::POST, _) => "create",
                    (&Method::PUT, _) => "update",
                    (&Method::PATCH, _) => "patch",
                    (&Method::DELETE, true) => "deletecollection",
                    (&Method::DELETE, false) => "delete",
                    (_, _) => "",
                };
                let own = path.plural == "namespaces" && path.group.is_empty() && path.namespace.is_empty();
                Self::Resource {
                    verb: verb.to_owned(),
                    group: path.group.clone(),
                    plural: path.plural.clone(),
                    subresource: path.subresource.clone(),
                    // A namespace counts as being in itself.
                    namespace: if own { path.name.clone() } else { path.namespace.clone() },
                    name,
                }
            }
        }
    }

    /// What an access review asks about: `spec.resourceAttributes` or `spec.nonResourceAttributes`.
    pub fn of_review(spec: &Value) -> Option<Self> {
        if let Some(about) = spec.get("resourceAttributes").filter(|about| about.is_object()) {
            let text = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            return Some(Self::Resource {
                verb: text("verb"),
                group: text("group"),
                plural: text("resource"),
                subresource: text("subresource"),
                namespace: text("namespace"),
                name: text("name"),
            });
        }
        let about = spec.get("nonResourceAttributes").filter(|about| about.is_object())?;
        let text = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self::Path { verb: text("verb"), path: text("path") })
    }

    fn namespace(&self) -> &str {
        match self {
            Self::Resource { namespace, .. } => namespace,
            Self::Path { .. } => "",
        }
    }

    /// The 403 of a request that is not allowed, worded as the real server words it.
    pub fn refuse(&self, user: &User, reason: &str) -> Refusal {
        let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        match self {
            Self::Path { verb, path } => Refusal::new(
                403,
                "Forbidden",
                format!("forbidden: User {:?} cannot {verb} path {path:?}{because}", user.name),
            )
            .with_empty_details(),
            Self::Resource { verb, group, plural, subresource, namespace, name } => {
                let part =
                    if subresource.is_empty() { plural.clone() } else { format!("{plural}/{subresource}") };
                let scope = if namespace.is_empty() {
                    "at the cluster scope".to_owned()
                } else {
                    format!("in the namespace {namespace:?}")
                };
                let why = format!(
                    "User {:?} cannot {verb} resource {part:?} in API group {group:?} {scope}{because}",
                    user.name
                );
                Refusal::forbidden(&Subject { group, plural, kind: "" }, name, &why)
            }
        }
    }
}

/// The name in a selector that picks exactly one object.
fn named_by_selector(selector: &str) -> &str {
    selector
        .split(',')
        .find_map(|term| term.strip_prefix("metadata.name="))
        .map_or("", |name| name.trim_start_matches('='))
}

/// A role's rule that some user has, and through which binding.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub rule: Value,
    pub by: String,
}

/// Every rule a user has in a namespace (and in the whole cluster), and which roles are missing.
pub(crate) fn gather_grants(
    contents: &mut Contents,
    user: &User,
    namespace: &str,
) -> (Vec<Grant>, Vec<String>) {
    let mut grants = Vec::new();
    let mut missing = Vec::new();
    let bindings: Vec<Arc<Stored>> =
        contents.table("clusterrolebindings.rbac.authorization.k8s.io").scope("").map(Arc::clone).collect();
    for binding in bindings {
        collect(contents, &binding.object(), "", user, &mut grants, &mut missing);
    }
    if !namespace.is_empty() {
        let bindings: Vec<Arc<Stored>> = contents
            .table("rolebindings.rbac.authorization.k8s.io")
            .scope(namespace)
            .map(Arc::clone)
            .collect();
        for binding in bindings {
            collect(contents, &binding.object(), namespace, user, &mut grants, &mut missing);
        }
    }
    (grants, missing)
}

/// Adds what one binding gives to the user.
fn collect(
    contents: &Contents,
    binding: &Value,
    namespace: &str,
    user: &User,
    grants: &mut Vec<Grant>,
    missing: &mut Vec<String>,
) {
    let subjects = binding.get("subjects").and_then(Value::as_array);
    let Some(subject) = subjects.into_iter().flatten().find(|subject| is_subject(subject, user, namespace))
    else {
        return;
    };
    let (kind, role) = (document::text(binding, "/roleRef/kind"), document::text(binding, "/roleRef/name"));
    let Some(rules) = role_rules(contents, kind, namespace, role) else {
        missing.push(format!("{}.{GROUP} {role:?} not found", kind.to_lowercase()));
        return;
    };
    let (binding_kind, place) = if namespace.is_empty() {
        ("ClusterRoleBinding", format!("{:?}", document::name(binding)))
    } else {
        ("RoleBinding", format!("{:?}", format!("{}/{namespace}", document::name(binding))))
    };
    let whom = match document::text(subject, "/kind") {
        "ServiceAccount" => {
            let home = match document::text(subject, "/namespace") {
                "" => namespace,
                home => home,
            };
            format!("ServiceAccount {:?}", format!("{}/{home}", document::text(subject, "/name")))
        }
        kind => format!("{kind} {:?}", document::text(subject, "/name")),
    };
    let by = format!("RBAC: allowed by {binding_kind} {place} of {kind} {role:?} to {whom}");
    grants.extend(rules.into_iter().map(|rule| Grant { rule, by: by.clone() }));
}

/// The rules of the role that a binding names.
pub(crate) fn role_rules(contents: &Contents, kind: &str, namespace: &str, name: &str) -> Option<Vec<Value>> {
    let stored = match kind {
        "ClusterRole" => contents.get("clusterroles.rbac.authorization.k8s.io", &Key::new("", name)),
        _ => contents.get("roles.rbac.authorization.k8s.io", &Key::new(namespace, name)),
    }?;
    Some(stored.object().get("rules").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn is_subject(subject: &Value, user: &User, namespace: &str) -> bool {
    let name = document::text(subject, "/name");
    match document::text(subject, "/kind") {
        "User" => name == user.name,
        "Group" => user.groups.iter().any(|group| group == name),
        "ServiceAccount" => {
            let home = match document::text(subject, "/namespace") {
                "" => namespace,
                home => home,
            };
            !home.is_empty() && user.name == format!("system:serviceaccount:{home}:{name}")
        }
        _ => false,
    }
}

/// Whether the user may.
pub(crate) fn decide(contents: &mut Contents, user: &User, question: &Question) -> Decision {
    if user.groups.iter().any(|group| group == MASTERS) {
        return Decision { allowed: true, reason: String::new() };
    }
    let (grants, missing) = gather_grants(contents, user, question.namespace());
    if let Some(grant) = grants.iter().find(|grant| rules::allows(&grant.rule, question)) {
        return Decision { allowed: true, reason: grant.by.clone() };
    }
    let reason = match missing.as_slice() {
        [] => String::new(),
        [one] => format!("RBAC: {one}"),
        many => format!("RBAC: [{}]", many.join(", ")),
    };
    Decision { allowed: false, reason }
}

/// `SelfSubjectRulesReview`: all rules of a user in a namespace.
pub(crate) fn rules_review(contents: &mut Contents, user: &User, namespace: &str) -> Value {
    let (grants, missing) = gather_grants(contents, user, namespace);
    let of = |rule: &Value, keys: &[&str]| {
        let mut shown = serde_json::Map::new();
        for key in keys {
            if let Some(value) = rule.get(*key) {
                shown.insert((*key).to_owned(), value.clone());
            }
        }
        Value::Object(shown)
    };
    let (paths, resources): (Vec<_>, Vec<_>) =
        grants.iter().partition(|grant| grant.rule.get("nonResourceURLs").is_some());
    let resources: Vec<Value> = resources
        .iter()
        .map(|grant| of(&grant.rule, &["verbs", "apiGroups", "resources", "resourceNames"]))
        .collect();
    let paths: Vec<Value> =
        paths.iter().map(|grant| of(&grant.rule, &["verbs", "nonResourceURLs"])).collect();
    let mut status =
        json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": !missing.is_empty() });
    if !missing.is_empty() {
        status["evaluationError"] = json!(missing.join(", "));
    }
    status
}

/// Gives every aggregated ClusterRole the rules of those it selects.
pub(crate) fn aggregate(contents: &mut Contents) {
    const TABLE: &str = "clusterroles.rbac.authorization.k8s.io";
    // Aggregated roles may select each other; each round carries rules one step further.
    for _ in 0..8 {
        let roles: Vec<Arc<Stored>> = contents.table(TABLE).scope("").map(Arc::clone).collect();
        let mut changed = false;
        for role in &roles {
            let mut object = role.object();
            let Some(selectors) =
                object.pointer("/aggregationRule/clusterRoleSelectors").and_then(Value::as_array).cloned()
            else {
                continue;
            };
            let mut rules: Vec<Value> = Vec::new();
            let selected = |one: &Stored| {
                selectors
                    .iter()
                    .any(|selector| crate::selectors::label_selector_matches(Some(selector), one.labels()))
            };
            for other in roles.iter().filter(|one| one.key != role.key && selected(one)) {
                let found = other.object();
                for rule in found.get("rules").and_then(Value::as_array).into_iter().flatten() {
                    if !rules.contains(rule) {
                        rules.push(rule.clone());
                    }
                }
            }
            let rules = Value::Array(rules);
            if object.get("rules").unwrap_or(&json!([])) != &rules {
                object["rules"] = rules;
                contents.put(TABLE, object);
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}
