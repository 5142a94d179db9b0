//! Weights of backendRefs (T-810 to T-813, T-830 to T-832).

use std::collections::{BTreeMap, BTreeSet};

use glidepath_core::traffic::{CarriedWeights, WantedTraffic};
use serde_json::{Value, json};

use super::{Config, managed};
use crate::ObjectRef;
use crate::document::{list, metadata, number, set_metadata, text};

/// Names the experiment backends that were added here, so that only these are taken away again (T-832).
const ADDED: &str = "rollouts.argoproj.io/gatewayapi-additional";

/// Whether a rule is weighted: it names both Services and is no managed rule (T-812).
fn is_weighted(config: &Config<'_>, rule: &Value) -> bool {
    let names =
        |service: &str| list(rule, "/backendRefs").iter().any(|backend| text(backend, "/name") == service);
    !managed::is_managed(config, rule) && names(config.canary_service) && names(config.stable_service)
}

/// What every weighted rule carries alike.
///
/// # Errors
/// When no rule names both Services.
pub(super) fn carried(
    config: &Config<'_>,
    object: &ObjectRef,
    found: &Value,
) -> Result<Option<CarriedWeights>, String> {
    let rules: Vec<&Value> =
        list(found, "/spec/rules").iter().filter(|rule| is_weighted(config, rule)).collect();
    if rules.is_empty() {
        return Err(format!(
            "no rule of {} has both backendRefs {:?} and {:?}",
            object.text(),
            config.stable_service,
            config.canary_service
        ));
    }
    let added = added(found);
    let mut carried = rules.iter().map(|rule| rule_weights(config, rule, &added));
    let first = carried.next().flatten();
    let alike = carried.all(|other| other == first);
    Ok(first.filter(|_| alike))
}

fn added(found: &Value) -> BTreeSet<String> {
    let names = metadata(found, "annotations", ADDED).unwrap_or_default();
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn rule_weights(config: &Config<'_>, rule: &Value, added: &BTreeSet<String>) -> Option<CarriedWeights> {
    let mut weights = CarriedWeights::default();
    for backend in list(rule, "/backendRefs") {
        let name = text(backend, "/name");
        if name == config.canary_service {
            weights.canary = number(backend, "weight")?;
        } else if name == config.stable_service {
            weights.stable = number(backend, "weight")?;
        } else if added.contains(name) {
            weights.additional.insert(name.to_owned(), number(backend, "weight").unwrap_or(1));
        }
    }
    Some(weights)
}

/// Sets the weights of every weighted rule; other backends stay as they are.
pub(super) fn set_weights(config: &Config<'_>, object: &ObjectRef, new: &mut Value, wanted: &WantedTraffic) {
    let added = added(new);
    let extra: BTreeMap<&str, i32> =
        wanted.additional.iter().map(|extra| (extra.service_name.as_str(), extra.weight)).collect();
    let Some(rules) = new.pointer_mut("/spec/rules").and_then(Value::as_array_mut) else { return };
    for rule in rules.iter_mut() {
        if !is_weighted(config, rule) {
            continue;
        }
        let Some(backends) = rule.get_mut("backendRefs").and_then(Value::as_array_mut) else { continue };
        backends.retain(|backend| {
            let name = text(backend, "/name");
            !added.contains(name) || extra.contains_key(name)
        });
        let port = backends
            .iter()
            .find(|backend| text(backend, "/name") == config.canary_service)
            .and_then(|backend| backend.get("port").cloned());
        for name in extra.keys() {
            if !backends.iter().any(|backend| text(backend, "/name") == *name) {
                let mut backend = json!({"name": name, "port": port.clone().unwrap_or_else(|| json!(8080))});
                if object.namespace != config.namespace {
                    backend["namespace"] = Value::from(config.namespace);
                }
                backends.push(backend);
            }
        }
        for backend in backends {
            let name = text(backend, "/name");
            let weight = if name == config.canary_service {
                wanted.canary_weight
            } else if name == config.stable_service {
                wanted.stable_weight
            } else if let Some(weight) = extra.get(name) {
                *weight
            } else {
                continue;
            };
            if let Some(backend) = backend.as_object_mut() {
                backend.insert("weight".to_owned(), Value::from(weight));
            }
        }
    }
    let names: Vec<&str> = extra.keys().copied().collect();
    let names = names.join(",");
    set_metadata(new, "annotations", ADDED, Some(names.as_str()).filter(|names| !names.is_empty()));
}
