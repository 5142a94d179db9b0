//! Ingresses: hosts, paths and backends.

use serde_json::{Value, json};

use crate::document::text;
use crate::names::{LABEL, is_dns_label};
use crate::refusal::Cause;

const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// What is wrong with an ingress.
pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let rules = object.pointer("/spec/rules").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if rules.is_empty() && object.pointer("/spec/defaultBackend").is_none() {
        causes.push(Cause::invalid(
            "spec",
            &Value::Null,
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    for (index, rule) in rules.iter().enumerate() {
        let host = text(rule, "/host");
        let wildcard = host.contains('*');
        if wildcard && !host.strip_prefix("*.").is_some_and(crate::names::is_dns_subdomain) {
            causes.push(Cause::invalid(format!("spec.rules[{index}].host"), &json!(host), WILDCARD));
        }
        let paths = rule.pointer("/http/paths").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (at, path) in paths.iter().enumerate() {
            check_path(path, &format!("spec.rules[{index}].http.paths[{at}]"), causes);
        }
    }
    if let Some(backend) = object.pointer("/spec/defaultBackend").filter(|backend| !backend.is_null()) {
        check_backend(backend, "spec.defaultBackend", causes);
    }
}

fn check_path(path: &Value, at: &str, causes: &mut Vec<Cause>) {
    let (kind, place) = (text(path, "/pathType"), text(path, "/path"));
    let field = format!("{at}.path");
    match kind {
        "" => return causes.push(Cause::required(format!("{at}.pathType"), "pathType must be specified")),
        "Exact" | "Prefix" => {
            if !place.starts_with('/') {
                causes.push(Cause::invalid(&field, &json!(place), "must be an absolute path"));
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| place.contains(part)) {
                causes.push(Cause::invalid(&field, &json!(place), format!("must not contain '{part}'")));
            }
            for end in ["/..", "/."].into_iter().filter(|end| place.ends_with(end)) {
                causes.push(Cause::invalid(&field, &json!(place), format!("cannot end with '{end}'")));
            }
        }
        "ImplementationSpecific" => {
            if !place.is_empty() && !place.starts_with('/') {
                causes.push(Cause::invalid(&field, &json!(place), "must be an absolute path"));
            }
        }
        _ => {
            let allowed = ["Exact", "ImplementationSpecific", "Prefix"].map(str::to_owned);
            causes.push(Cause::unsupported(format!("{at}.pathType"), &json!(kind), &allowed));
        }
    }
    check_backend(path.get("backend").unwrap_or(&Value::Null), &format!("{at}.backend"), causes);
}

fn check_backend(backend: &Value, at: &str, causes: &mut Vec<Cause>) {
    let set = |key: &str| backend.get(key).filter(|part| !part.is_null());
    match (set("service"), set("resource")) {
        (Some(_), Some(_)) => {
            causes.push(Cause::invalid(at, &json!(""), "cannot set both resource and service backends"));
        }
        (None, None) => {
            causes.push(Cause::invalid(at, &json!(""), "resource or service backend is required"));
        }
        (None, Some(_)) => {}
        (Some(service), None) => {
            let name = text(service, "/name");
            if name.is_empty() {
                causes.push(Cause::required(format!("{at}.service.name"), ""));
            } else if !is_dns_label(name) {
                causes.push(Cause::invalid(format!("{at}.service.name"), &json!(name), LABEL));
            }
            let named = !text(service, "/port/name").is_empty();
            let numbered = service.pointer("/port/number").and_then(Value::as_i64).unwrap_or(0) != 0;
            match (named, numbered) {
                (true, true) => {
                    causes.push(Cause::invalid(at, &json!(""), "cannot set both port name & port number"));
                }
                (false, false) => causes.push(Cause::required(at, "port name or number is required")),
                _ => {}
            }
        }
    }
}
