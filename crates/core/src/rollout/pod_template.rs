//! What is added to a user's pod template for one role and must be left out when templates are compared: the hash
//! label, ephemeral metadata and anti-affinity.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{AntiAffinity, PodTemplateMetadata, Rollout, names};
use glidepath_gocompat::json as go_json;
use serde_json::{Map, Value, json};

/// The template of a ReplicaSet that is about to be created.
pub(crate) fn for_new_set(rollout: &Rollout, hash: &str, has_stable: bool) -> Value {
    let mut template = rollout.spec.template.clone();
    if !template.is_object() {
        template = json!({});
    }
    if let Some(metadata) = ephemeral_for_new_set(rollout, has_stable) {
        for (field, wanted) in [("labels", &metadata.labels), ("annotations", &metadata.annotations)] {
            for (key, value) in wanted {
                object_at(&mut template, &["metadata", field]).insert(key.clone(), json!(value));
            }
        }
    }
    object_at(&mut template, &["metadata", "labels"])
        .insert(names::POD_TEMPLATE_HASH.to_owned(), json!(hash));
    if let Some(affinity) = wanted_affinity(rollout, hash) {
        object_at(&mut template, &["spec"]).insert("affinity".to_owned(), affinity);
    }
    template
}

/// The object at a path, made where it is not there.
fn object_at<'v>(value: &'v mut Value, path: &[&str]) -> &'v mut Map<String, Value> {
    let mut at = value;
    for key in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*key];
    }
    if !at.is_object() {
        *at = json!({});
    }
    match at {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object just above"),
    }
}

/// Metadata for the pods of a set at its creation.
pub(crate) fn ephemeral_for_new_set(rollout: &Rollout, has_stable: bool) -> Option<&PodTemplateMetadata> {
    match (rollout.blue_green(), rollout.canary()) {
        (Some(strategy), _) if has_stable => strategy.preview_metadata.as_ref(),
        (Some(strategy), _) => strategy.active_metadata.as_ref(),
        (None, Some(strategy)) if has_stable => strategy.canary_metadata.as_ref(),
        (None, Some(strategy)) => strategy.stable_metadata.as_ref(),
        (None, None) => None,
    }
}

/// How a set remembers what was injected: labels before annotations, and what is empty left out.
pub(crate) fn remembered(metadata: &PodTemplateMetadata) -> String {
    let fields = [("labels", &metadata.labels), ("annotations", &metadata.annotations)];
    let members: Vec<String> = fields
        .into_iter()
        .filter(|(_, map)| !map.is_empty())
        .map(|(field, map)| format!("\"{field}\":{}", go_json::to_string(&json!(map))))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn anti_affinity(rollout: &Rollout) -> Option<&AntiAffinity> {
    let of_blue_green =
        rollout.spec.strategy.blue_green.as_ref().and_then(|strategy| strategy.anti_affinity.as_ref());
    let of_canary =
        rollout.spec.strategy.canary.as_ref().and_then(|strategy| strategy.anti_affinity.as_ref());
    of_canary.or(of_blue_green).filter(|wanted| {
        wanted.preferred_during_scheduling_ignored_during_execution.is_some()
            || wanted.required_during_scheduling_ignored_during_execution.is_some()
    })
}

const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// The user's affinity with the term that keeps new pods away from the stable ones.
fn wanted_affinity(rollout: &Rollout, hash: &str) -> Option<Value> {
    let stable = &rollout.status.stable_rs;
    let wanted = anti_affinity(rollout).filter(|_| !stable.is_empty() && stable != hash)?;
    let mut affinity = rollout.spec.template.pointer("/spec/affinity").cloned().unwrap_or_else(|| json!({}));
    let term = json!({
        "labelSelector": {"matchExpressions": [
            {"key": names::POD_TEMPLATE_HASH, "operator": "In", "values": [stable]},
        ]},
        "namespaces": [rollout.metadata.namespace],
        "topologyKey": "kubernetes.io/hostname",
    });
    let (list, entry) = match &wanted.preferred_during_scheduling_ignored_during_execution {
        Some(preferred) => (PREFERRED, json!({"weight": preferred.weight, "podAffinityTerm": term})),
        None => (REQUIRED, term),
    };
    let terms = object_at(&mut affinity, &["podAntiAffinity"]).entry(list).or_insert_with(|| json!([]));
    if let Value::Array(terms) = terms {
        terms.push(entry);
    }
    Some(affinity)
}

/// The value an injected term selects, if there is one.
fn injected_value(term: &Value) -> Option<&str> {
    let term = term.get("podAffinityTerm").unwrap_or(term);
    let requirements = term.pointer("/labelSelector/matchExpressions")?.as_array()?;
    let ours = requirements.iter().find(|requirement| requirement["key"] == names::POD_TEMPLATE_HASH)?;
    Some(ours.pointer("/values/0").and_then(Value::as_str).unwrap_or_default())
}

/// The affinity a set should have, if its injected term keeps away from a set that is no longer stable.
pub(crate) fn stale_affinity(rollout: &Rollout, set: &ReplicaSet, hash: &str) -> Option<Value> {
    anti_affinity(rollout)?;
    let stable = rollout.status.stable_rs.as_str();
    if stable == hash {
        return None;
    }
    let terms = [PREFERRED, REQUIRED].into_iter().filter_map(|list| {
        set.spec.template.pointer(&format!("/spec/affinity/podAntiAffinity/{list}"))?.as_array()
    });
    let stale = terms.flatten().filter_map(injected_value).any(|value| !value.is_empty() && value != stable);
    stale.then(|| wanted_affinity(rollout, hash).unwrap_or(Value::Null))
}

/// A live template without what was injected, for comparing.
pub(crate) fn without_injected(set: &ReplicaSet) -> Value {
    let mut template = set.spec.template.clone();
    let recorded: Option<PodTemplateMetadata> =
        set.metadata.annotation(names::EPHEMERAL_METADATA).and_then(|text| serde_json::from_str(text).ok());
    if let Some(recorded) = recorded {
        for (field, keys) in [("labels", recorded.labels), ("annotations", recorded.annotations)] {
            if let Some(map) =
                template.pointer_mut(&format!("/metadata/{field}")).and_then(Value::as_object_mut)
            {
                map.retain(|key, _| !keys.contains_key(key));
            }
        }
    }
    remove_injected_terms(&mut template);
    template
}

fn remove_injected_terms(template: &mut Value) {
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut) else { return };
    let Some(anti) = affinity.get_mut("podAntiAffinity").and_then(Value::as_object_mut) else { return };
    let mut removed = false;
    for list in [PREFERRED, REQUIRED] {
        if let Some(terms) = anti.get_mut(list).and_then(Value::as_array_mut) {
            let before = terms.len();
            terms.retain(|term| injected_value(term).is_none());
            removed |= terms.len() != before;
            if terms.is_empty() {
                anti.remove(list);
            }
        }
    }
    if !removed {
        return;
    }
    if anti.is_empty() {
        affinity.remove("podAntiAffinity");
    }
    if affinity.is_empty() {
        spec.remove("affinity");
    }
}
