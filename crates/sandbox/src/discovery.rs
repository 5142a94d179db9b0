//! What is served: the old lists per group version, and the aggregated documents newer clients ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::call::{Answer, Call};
use crate::plane::Plane;
use crate::refusal::{Refusal, Reply};
use crate::registry::{Resource, Version};
use crate::request::accept_header;

const OBJECT_VERBS: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const PART_VERBS: &[&str] = &["get", "patch", "update"];

/// The order in which the real server lists its groups; custom groups follow.
const GROUP_ORDER: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
];

/// Every group with its versions in order of preference, and each version's resources.
type Groups = Vec<(String, Vec<(String, Vec<(Arc<Resource>, Version)>)>)>;

fn groups(plane: &Plane) -> Groups {
    let mut found: BTreeMap<String, Vec<(String, Vec<(Arc<Resource>, Version)>)>> = BTreeMap::new();
    for resource in plane.registry.all() {
        let versions = found.entry(resource.group.clone()).or_default();
        for version in resource.versions.iter().filter(|version| version.served) {
            let index = versions.iter().position(|(name, _)| *name == version.name).unwrap_or_else(|| {
                versions.push((version.name.clone(), Vec::new()));
                versions.len() - 1
            });
            versions[index].1.push((Arc::clone(&resource), version.clone()));
        }
    }
    let mut groups: Groups = found.into_iter().filter(|(_, versions)| !versions.is_empty()).collect();
    let rank = |group: &str| GROUP_ORDER.iter().position(|one| *one == group).unwrap_or(GROUP_ORDER.len());
    groups.sort_by_key(|(group, _)| rank(group));
    groups
}

/// `/api`, `/apis`, `/apis/{group}`, `/api/v1`, `/apis/{group}/{version}`.
pub(crate) fn serve(plane: &Plane, call: &Call, parts: &[&str]) -> Reply<Answer> {
    let accept = accept_header(&call.headers);
    match parts {
        ["api"] => match aggregated_version(&accept) {
            Some(version) => Ok(aggregated(plane, call, true, version)),
            None => Ok(same_for_all(tagged(call, &api_versions(), "application/json"))),
        },
        ["apis"] => match aggregated_version(&accept) {
            Some(version) => Ok(aggregated(plane, call, false, version)),
            None => Ok(same_for_all(tagged(call, &group_list(plane), "application/json"))),
        },
        ["apis", group] => {
            let groups = groups(plane);
            let (name, versions) =
                groups.iter().find(|(name, _)| name == group).ok_or_else(Refusal::no_such_path)?;
            let mut object = group_object(name, versions);
            object["kind"] = json!("APIGroup");
            object["apiVersion"] = json!("v1");
            Ok(tagged(call, &object, "application/json"))
        }
        ["api", version] => resource_list(plane, call, "", version),
        ["apis", group, version] => resource_list(plane, call, group, version),
        _ => Err(Refusal::no_such_path()),
    }
}

/// The first aggregated form that the client takes, if it prefers one to plain JSON.
fn aggregated_version(accept: &str) -> Option<&'static str> {
    accept.split(',').find_map(|entry| {
        let params: Vec<&str> = entry.split(';').map(str::trim).collect();
        let has = |text: &str| params.contains(&text);
        if !has("application/json") || !has("g=apidiscovery.k8s.io") || !has("as=APIGroupDiscoveryList") {
            return None;
        }
        if has("v=v2") {
            Some("v2")
        } else if has("v=v2beta1") {
            Some("v2beta1")
        } else {
            None
        }
    })
}

fn api_versions() -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443" }],
    })
}

fn group_list(plane: &Plane) -> Value {
    let groups: Vec<Value> = groups(plane)
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, versions)| group_object(name, versions))
        .collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

fn group_object(name: &str, versions: &[(String, Vec<(Arc<Resource>, Version)>)]) -> Value {
    let entries: Vec<Value> = versions
        .iter()
        .map(|(version, _)| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    json!({ "name": name, "versions": entries, "preferredVersion": entries.first() })
}

fn resource_list(plane: &Plane, call: &Call, group: &str, version: &str) -> Reply<Answer> {
    let groups = groups(plane);
    let resources = groups
        .iter()
        .find(|(name, _)| name == group)
        .and_then(|(_, versions)| versions.iter().find(|(name, _)| name == version))
        .map(|(_, resources)| resources)
        .ok_or_else(Refusal::no_such_path)?;
    let mut entries = Vec::new();
    for (resource, version) in resources {
        entries.push(legacy_entry(resource));
        for sub in subresources(resource, version) {
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, sub.name), "singularName": "",
                "namespaced": resource.namespaced, "kind": sub.kind, "verbs": sub.verbs,
            });
            if (sub.group.as_str(), sub.version.as_str()) != (group, version.name.as_str()) {
                entry["group"] = json!(sub.group);
                entry["version"] = json!(sub.version);
            }
            entries.push(entry);
        }
    }
    let group_version = crate::registry::api_version(group, version);
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries,
    });
    Ok(tagged(call, &list, "application/json"))
}

fn legacy_entry(resource: &Resource) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), json!(resource.plural));
    entry.insert("singularName".into(), json!(resource.singular));
    entry.insert("namespaced".into(), json!(resource.namespaced));
    entry.insert("kind".into(), json!(resource.kind));
    entry.insert("verbs".into(), json!(verbs(resource)));
    if !resource.short_names.is_empty() {
        entry.insert("shortNames".into(), json!(resource.short_names));
    }
    if !resource.categories.is_empty() {
        entry.insert("categories".into(), json!(resource.categories));
    }
    if !resource.is_review() {
        entry.insert("storageVersionHash".into(), json!(storage_hash(resource)));
    }
    Value::Object(entry)
}

fn verbs(resource: &Resource) -> &'static [&'static str] {
    if resource.is_review() {
        &["create"]
    } else if resource.is("", "componentstatuses") {
        &["get", "list"]
    } else {
        OBJECT_VERBS
    }
}

fn storage_hash(resource: &Resource) -> String {
    use base64::Engine as _;
    let digest = Sha256::digest(
        format!("{}/{}/{}", resource.group, resource.versions[resource.storage].name, resource.kind)
            .as_bytes(),
    );
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

/// A subresource as discovery shows it.
struct SubEntry {
    name: String,
    group: String,
    version: String,
    kind: String,
    verbs: Vec<&'static str>,
}

fn subresources(resource: &Resource, version: &Version) -> Vec<SubEntry> {
    let mut found = Vec::new();
    for extra in resource.built_in.map_or(&[][..], |kind| kind.extra) {
        found.push(SubEntry {
            name: extra.name.into(),
            group: extra.group.into(),
            version: extra.version.into(),
            kind: extra.kind.into(),
            verbs: extra.verbs.to_vec(),
        });
    }
    if version.scale.is_some() {
        found.push(SubEntry {
            name: "scale".into(),
            group: "autoscaling".into(),
            version: "v1".into(),
            kind: "Scale".into(),
            verbs: PART_VERBS.to_vec(),
        });
    }
    if version.status {
        found.push(SubEntry {
            name: "status".into(),
            group: resource.group.clone(),
            version: version.name.clone(),
            kind: resource.kind.clone(),
            verbs: PART_VERBS.to_vec(),
        });
    }
    found
}

fn aggregated(plane: &Plane, call: &Call, core: bool, api: &str) -> Answer {
    let items: Vec<Value> = groups(plane)
        .iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, resources)| {
                    let resources: Vec<Value> = resources
                        .iter()
                        .map(|(resource, version)| aggregated_entry(resource, version))
                        .collect();
                    json!({ "version": version, "resources": resources, "freshness": "Current" })
                })
                .collect();
            let metadata = if core {
                json!({ "creationTimestamp": null })
            } else {
                json!({ "name": name, "creationTimestamp": null })
            };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    let document = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{api}"),
        "metadata": {}, "items": items,
    });
    let content_type = if api == "v2" {
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    } else {
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
    };
    let mut answer = tagged(call, &document, content_type);
    answer.headers.push(("cache-control", "public".into()));
    answer
}

/// An old list of groups does not say that it varies.
fn same_for_all(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, _)| *name != "vary");
    answer
}

fn aggregated_entry(resource: &Resource, version: &Version) -> Value {
    let kind =
        |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind(&resource.group, &version.name, &resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let subs: Vec<Value> = subresources(resource, version)
        .iter()
        .map(|sub| {
            json!({
                "subresource": sub.name, "responseKind": kind(&sub.group, &sub.version, &sub.kind),
                "verbs": sub.verbs,
            })
        })
        .collect();
    if !subs.is_empty() {
        entry["subresources"] = json!(subs);
    }
    entry
}

/// A document with an entity tag; unchanged ones are answered 304 without it.
pub(crate) fn tagged(call: &Call, document: &Value, content_type: &'static str) -> Answer {
    let text = document.to_string();
    let digest = Sha256::digest(text.as_bytes());
    let tag: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    let tag = format!("\"{tag}\"");
    let mut answer =
        if call.header("if-none-match") == tag { Answer::json(304, "") } else { Answer::json(200, text) };
    answer.content_type = content_type;
    answer.headers.push(("etag", tag));
    answer.headers.push(("vary", "Accept".into()));
    answer
}
