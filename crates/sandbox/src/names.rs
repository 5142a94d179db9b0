//! The rules for names, labels and annotations that hold for every object.

use serde_json::{Value, json};

use crate::document;
use crate::refusal::Cause;
use crate::registry::Resource;

pub(crate) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
pub(crate) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
pub(crate) const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
pub(crate) const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// All annotations of an object together, in bytes.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// A DNS label: lower case letters, digits and dashes, at most 63.
pub(crate) fn is_dns_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && is_dns_part(text)
}

fn is_dns_part(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.bytes().all(|c| inner(c) || c == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().last().is_some_and(inner)
}

/// Dot-separated DNS labels, at most 253 characters in all.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && text.split('.').all(is_dns_part)
}

fn is_name_part(text: &str) -> bool {
    let edge = |c: u8| c.is_ascii_alphanumeric();
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|c| edge(c) || b"-_.".contains(&c))
        && text.bytes().next().is_some_and(edge)
        && text.bytes().last().is_some_and(edge)
}

/// How the names of a resource are checked.
enum NameRule {
    Subdomain,
    Label,
    /// RBAC: anything that fits into a path.
    Path,
    /// Names that the real server does not look at.
    Any,
}

fn name_rule(resource: &Resource) -> NameRule {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces" | "services") => NameRule::Label,
        ("rbac.authorization.k8s.io", _) => NameRule::Path,
        ("policy", "poddisruptionbudgets") => NameRule::Any,
        _ => NameRule::Subdomain,
    }
}

/// What is wrong with the metadata of an object.
pub(crate) fn check_metadata(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = document::name(object);
    let prefix = document::text(object, "/metadata/generateName");
    // The name that is made of a prefix may end in what no name may end in.
    if let Some(why) =
        name_problem(&name_rule(resource), prefix.trim_end_matches('-')).filter(|_| !prefix.is_empty())
    {
        causes.push(Cause::invalid("metadata.generateName", &json!(prefix), why));
    }
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = name_problem(&name_rule(resource), name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    check_labels(object.pointer("/metadata/labels"), "metadata.labels", &mut causes);
    check_annotations(object, &mut causes);
    check_finalizers(object, &mut causes);
    if !resource.is_custom() {
        check_own_finalizers(object, &mut causes);
    }
    check_owners(object, &mut causes);
    causes
}

fn name_problem(rule: &NameRule, name: &str) -> Option<&'static str> {
    match rule {
        NameRule::Subdomain if name.len() > 253 => Some("must be no more than 253 bytes"),
        NameRule::Subdomain if !is_dns_subdomain(name) => Some(SUBDOMAIN),
        NameRule::Label if name.len() > 63 => Some("must be no more than 63 bytes"),
        NameRule::Label if !is_dns_label(name) => Some(LABEL),
        NameRule::Path if name == "." || name == ".." => Some("may not be '.' or '..'"),
        NameRule::Path if name.contains('/') => Some("may not contain '/'"),
        NameRule::Path if name.contains('%') => Some("may not contain '%'"),
        _ => None,
    }
}

/// Label keys and values, wherever labels stand.
pub(crate) fn check_labels(labels: Option<&Value>, field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        check_qualified_name(key, field, causes);
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            causes.push(Cause::invalid(field, &json!(text), "must be no more than 63 bytes"));
        } else if !text.is_empty() && !is_name_part(text) {
            causes.push(Cause::invalid(field, &json!(text), LABEL_VALUE));
        }
    }
}

fn check_qualified_name(key: &str, field: &str, causes: &mut Vec<Cause>) {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            if !is_dns_subdomain(prefix) {
                let why = if prefix.is_empty() {
                    "prefix part must be non-empty".to_owned()
                } else {
                    format!("prefix part {SUBDOMAIN}")
                };
                causes.push(Cause::invalid(field, &json!(key), why));
            }
            name
        }
        None => key,
    };
    if name.is_empty() {
        causes.push(Cause::invalid(field, &json!(key), "name part must be non-empty"));
    }
    if name.len() > 63 {
        causes.push(Cause::invalid(field, &json!(key), "name part must be no more than 63 bytes"));
    } else if !is_name_part(name) {
        causes.push(Cause::invalid(field, &json!(key), QUALIFIED));
    }
}

fn check_annotations(object: &Value, causes: &mut Vec<Cause>) {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let mut size = 0;
    for (key, value) in annotations.into_iter().flatten() {
        check_qualified_name(&key.to_lowercase(), "metadata.annotations", causes);
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS_LIMIT {
        causes.push(Cause::too_long("metadata.annotations", ANNOTATIONS_LIMIT as u64));
    }
}

fn check_finalizers(object: &Value, causes: &mut Vec<Cause>) {
    for finalizer in document::finalizers(object) {
        check_qualified_name(finalizer, "metadata.finalizers", causes);
    }
}

/// Finalizers of built-in kinds are Kubernetes' own or have a domain.
fn check_own_finalizers(object: &Value, causes: &mut Vec<Cause>) {
    for (index, finalizer) in document::finalizers(object).into_iter().enumerate() {
        if !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion") {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{index}]"), &json!(finalizer), why));
        }
    }
}

/// What is wrong with the name of a port.
pub(crate) fn port_name_problems(name: &str) -> Vec<&'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let table = [
        (name.len() > 15, "must be no more than 15 characters"),
        (
            name.is_empty() || !name.chars().all(legal),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (!name.contains(|c: char| c.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    table.into_iter().filter(|(wrong, _)| *wrong).map(|(_, why)| why).collect()
}

/// An owner reference as Go prints it: its fields in their declared order.
fn render_owner(owner: &Value) -> String {
    let keys = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let parts: Vec<String> =
        keys.iter().filter_map(|key| owner.get(*key).map(|value| format!("{key:?}:{value}"))).collect();
    format!("{{{}}}", parts.join(","))
}

fn check_owners(object: &Value, causes: &mut Vec<Cause>) {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let mut controllers = Vec::new();
    for owner in owners.into_iter().flatten() {
        // The real server does not say which one.
        let field = "metadata.ownerReferences";
        for (key, hint) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner.get(key).and_then(Value::as_str).unwrap_or_default().is_empty() {
                causes.push(Cause::invalid(format!("{field}.{key}"), &json!(""), hint));
            }
        }
        if owner.get("controller") == Some(&json!(true)) {
            controllers.push(format!(
                "{}/{}",
                document::text(owner, "/kind"),
                document::text(owner, "/name")
            ));
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let shown: Vec<String> = owners.into_iter().flatten().map(render_owner).collect();
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!(
                "Invalid value: [{}]: Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}",
                shown.join(",")
            ),
            field: "metadata.ownerReferences".to_owned(),
        });
    }
}
