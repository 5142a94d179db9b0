//! DestinationRule subsets follow the hashes (T-230 to T-234).

use glidepath_api::{IstioDestinationRule, names};
use glidepath_core::traffic::{RouterObservation, WantedTraffic};
use serde_json::{Map, Value, json};

use super::{ADDED, Config, additions, note_additions};
use crate::document::{list, metadata, object_at, set_metadata, text};

fn hash_of(subset: &Value) -> Option<String> {
    subset.get("labels")?.get(names::POD_TEMPLATE_HASH)?.as_str().map(str::to_owned)
}

/// Notes the hashes the subsets select.
pub(super) fn read(found: &Value, rule: &IstioDestinationRule, owner: &str, seen: &mut RouterObservation) {
    let subsets = list(found, "/spec/subsets");
    seen.referenced_hashes = subsets.iter().filter_map(hash_of).collect();
    // Without our mark the object is not ours yet, whatever its labels say: it is written once more.
    if metadata(found, "annotations", names::MANAGED_BY) != Some(owner) {
        return;
    }
    let of = |name: &str| subsets.iter().find(|subset| text(subset, "/name") == name).and_then(hash_of);
    seen.canary_hash = of(&rule.canary_subset_name);
    seen.stable_hash = of(&rule.stable_subset_name);
}

/// The rule with the subsets of canary, stable and experiments labelled, those of experiments that are over taken
/// away; other subsets stay (T-931).
pub(super) fn render(
    config: &Config<'_>,
    found: &Value,
    rule: &IstioDestinationRule,
    wanted: &WantedTraffic,
) -> Value {
    let present = list(found, "/spec/subsets").iter().map(|subset| text(subset, "/name").to_owned());
    let added = additions(config, found, present);
    let mut new = found.clone();
    set_metadata(&mut new, "annotations", names::MANAGED_BY, Some(config.rollout));
    note_additions(&mut new, wanted);
    let mut labels: Vec<(&str, &str)> = vec![
        (&rule.canary_subset_name, &wanted.canary_hash),
        (&rule.stable_subset_name, &wanted.stable_hash),
    ];
    labels.extend(
        wanted.additional.iter().map(|extra| (extra.service_name.as_str(), extra.pod_template_hash.as_str())),
    );
    let Some(spec) = object_at(&mut new, "spec") else { return new };
    let subsets = spec.entry("subsets").or_insert_with(|| json!([]));
    let Some(subsets) = subsets.as_array_mut() else { return new };
    subsets.retain(|subset| {
        let name = text(subset, "/name");
        !added.contains(name) || labels.iter().any(|(wanted, _)| *wanted == name)
    });
    for (name, hash) in labels.into_iter().filter(|(name, _)| !name.is_empty()) {
        let index = match subsets.iter().position(|subset| text(subset, "/name") == name) {
            Some(index) => index,
            None if hash.is_empty() => continue,
            None => {
                subsets.push(json!({"name": name}));
                subsets.len() - 1
            }
        };
        label(&mut subsets[index], hash);
    }
    new
}

/// The rule without anything a Rollout put there; `None` when there is nothing of that kind (T-246).
pub(crate) fn released(found: &Value) -> Option<Value> {
    let mut new = found.clone();
    set_metadata(&mut new, "annotations", names::MANAGED_BY, None);
    set_metadata(&mut new, "annotations", ADDED, None);
    if let Some(subsets) = new.pointer_mut("/spec/subsets").and_then(Value::as_array_mut) {
        subsets.iter_mut().for_each(|subset| label(subset, ""));
    }
    (new != *found).then_some(new)
}

fn label(subset: &mut Value, hash: &str) {
    let Some(subset) = subset.as_object_mut() else { return };
    if hash.is_empty() {
        if let Some(labels) = subset.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(names::POD_TEMPLATE_HASH);
        }
        return;
    }
    let labels = subset.entry("labels").or_insert_with(|| Value::Object(Map::new()));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(names::POD_TEMPLATE_HASH.to_owned(), Value::from(hash));
    }
}
