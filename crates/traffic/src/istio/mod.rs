//! Istio: a VirtualService's routes carry the weights, a DestinationRule's subsets the hashes (T-200 on).

mod destination_rule;
mod layer4;
mod routes;

use std::collections::BTreeSet;

use glidepath_api::{IstioDestinationRule, IstioTrafficRouting, IstioVirtualService, Rollout};
use glidepath_core::traffic::{CarriedWeights, RouterKind, RouterObservation, RouterProblem, WantedTraffic};
use serde_json::Value;

use crate::document::{list, metadata, set_metadata};
use crate::{ObjectKind, ObjectRef, Rendered, Seen, missing, observation};

/// Names the experiment destinations or subsets that were added here, so that only these are taken away again (T-931).
const ADDED: &str = "glidepath.dev/additional-destinations";

const FIELD: &str = "spec.strategy.canary.trafficRouting.istio";

/// The parts of a Rollout that routing with Istio depends on.
struct Config<'a> {
    namespace: &'a str,
    rollout: &'a str,
    istio: &'a IstioTrafficRouting,
    canary_service: &'a str,
    stable_service: &'a str,
    managed: Vec<&'a str>,
}

impl<'a> Config<'a> {
    fn of(rollout: &'a Rollout) -> Option<Self> {
        let routing = rollout.traffic_routing()?;
        let (canary_service, stable_service) = rollout.traffic_services()?;
        Some(Self {
            namespace: &rollout.metadata.namespace,
            rollout: &rollout.metadata.name,
            istio: routing.istio.as_ref()?,
            canary_service,
            stable_service,
            managed: routing.managed_routes.iter().map(|route| route.name.as_str()).collect(),
        })
    }

    fn virtual_services(&self) -> Vec<(&'a IstioVirtualService, String)> {
        let several = !self.istio.virtual_services.is_empty();
        let field = if several { "virtualServices" } else { "virtualService" };
        let services = self.istio.virtual_service.iter().chain(&self.istio.virtual_services);
        services.map(|service| (service, format!("{FIELD}.{field}.name"))).collect()
    }

    fn rule(&self) -> Option<&'a IstioDestinationRule> {
        self.istio.destination_rule.as_ref()
    }
}

/// Namespace and name of a VirtualService as a Rollout writes it (T-201).
fn virtual_service_ref(written: &str, namespace: &str) -> ObjectRef {
    let written = written.strip_suffix(".cluster.local").unwrap_or(written);
    let (name, namespace) = written.rsplit_once('.').unwrap_or((written, namespace));
    ObjectRef { kind: ObjectKind::VirtualService, namespace: namespace.to_owned(), name: name.to_owned() }
}

/// The objects a Rollout's Istio configuration names.
#[must_use]
pub fn objects(rollout: &Rollout) -> Vec<ObjectRef> {
    let Some(config) = Config::of(rollout) else { return Vec::new() };
    let mut found: Vec<ObjectRef> = config
        .virtual_services()
        .into_iter()
        .map(|(service, _)| virtual_service_ref(&service.name, config.namespace))
        .collect();
    found.extend(config.rule().map(|rule| ObjectRef {
        kind: ObjectKind::DestinationRule,
        namespace: config.namespace.to_owned(),
        name: rule.name.clone(),
    }));
    found
}

/// What was added to an object for experiments: what its annotation says, and what among `present` bears the name of
/// an experiment of this Rollout, because the reference adds the same without a note (T-214, T-231).
fn additions(
    config: &Config<'_>,
    found: &Value,
    present: impl IntoIterator<Item = String>,
) -> BTreeSet<String> {
    let noted = metadata(found, "annotations", ADDED).unwrap_or_default();
    let noted = noted.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
    noted.chain(present.into_iter().filter(|name| is_of_experiment(config.rollout, name))).collect()
}

/// Whether a name is `<rollout>-<hash>-<revision>-<step>-<template>`, as experiments of a Rollout's steps name theirs.
fn is_of_experiment(rollout: &str, name: &str) -> bool {
    let Some(rest) = name.strip_prefix(rollout).and_then(|rest| rest.strip_prefix('-')) else { return false };
    let parts: Vec<&str> = rest.splitn(4, '-').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts.as_slice(), [hash, revision, step, template]
        if !hash.is_empty() && is_number(revision) && is_number(step) && !template.is_empty())
}

fn note_additions(document: &mut Value, wanted: &WantedTraffic) {
    let names: Vec<&str> = wanted.additional.iter().map(|extra| extra.service_name.as_str()).collect();
    let names = names.join(",");
    set_metadata(document, "annotations", ADDED, Some(names.as_str()).filter(|names| !names.is_empty()));
}

fn document<'a>(objects: &'a [Seen], wanted: &ObjectRef) -> Option<&'a Value> {
    objects.iter().find(|(object, _)| object == wanted).and_then(|(_, document)| document.as_ref())
}

/// What the objects carry.
#[must_use]
pub fn read(rollout: &Rollout, objects: &[Seen]) -> RouterObservation {
    let mut seen = observation(RouterKind::Istio, objects);
    let Some(config) = Config::of(rollout) else { return seen };
    match read_routes(&config, objects) {
        Ok((weights, managed)) => (seen.weights, seen.managed_routes) = (weights, managed),
        Err(problem) => {
            seen.problem = Some(problem);
            return seen;
        }
    }
    if let Some(rule) = config.rule() {
        seen.selects_by_hash = true;
        let object = ObjectRef {
            kind: ObjectKind::DestinationRule,
            namespace: config.namespace.to_owned(),
            name: rule.name.clone(),
        };
        match document(objects, &object) {
            Some(found) => destination_rule::read(found, rule, config.rollout, &mut seen),
            None => {
                let field = format!("{FIELD}.destinationRule.name");
                seen.problem = Some(missing(&object, &field, &rule.name, Some("DestinationRuleNotFound")));
            }
        }
    }
    seen
}

type Carried = (Option<CarriedWeights>, Vec<String>);

fn read_routes(config: &Config<'_>, objects: &[Seen]) -> Result<Carried, RouterProblem> {
    let services = config.virtual_services();
    if services.is_empty()
        || (config.istio.virtual_service.is_some() && !config.istio.virtual_services.is_empty())
    {
        return Err(RouterProblem {
            field: FIELD.to_owned(),
            value: String::new(),
            detail: "either VirtualService or VirtualServices must be configured".to_owned(),
            event_reason: None,
            invalid_spec: true,
        });
    }
    let mut weights: Vec<Option<CarriedWeights>> = Vec::new();
    let mut managed = Vec::new();
    for (service, field) in services {
        let object = virtual_service_ref(&service.name, config.namespace);
        let Some(found) = document(objects, &object) else {
            return Err(missing(&object, &field, &service.name, Some("VirtualServiceNotFound")));
        };
        let http = list(found, "/spec/http");
        let chosen = routes::choose(config, service, found).map_err(|detail| RouterProblem {
            field: field.clone(),
            value: service.name.clone(),
            detail,
            event_reason: None,
            invalid_spec: true,
        })?;
        let added = routes::added(config, found);
        weights.extend(chosen.iter().map(|route| routes::carried(config, route.of(found), &added)));
        let names: Vec<String> = routes::managed_names(config, http).map(str::to_owned).collect();
        if managed.is_empty() {
            managed = names;
        } else if managed != names {
            // VirtualServices that differ in their managed routes carry no common state.
            weights.push(None);
        }
    }
    let first = weights.first().cloned().flatten();
    let alike = weights.iter().all(|other| *other == first);
    Ok((if alike { first } else { None }, managed))
}

/// The objects with the wanted traffic on them.
///
/// # Errors
/// When a VirtualService or DestinationRule is missing or its routes cannot carry the weights.
pub fn render(rollout: &Rollout, objects: &[Seen], wanted: &WantedTraffic) -> Result<Vec<Rendered>, String> {
    let Some(config) = Config::of(rollout) else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    let rule_object = config.rule().map(|rule| ObjectRef {
        kind: ObjectKind::DestinationRule,
        namespace: config.namespace.to_owned(),
        name: rule.name.clone(),
    });
    let rule_document = match &rule_object {
        Some(object) => {
            Some(document(objects, object).ok_or_else(|| format!("{} not found", object.text()))?)
        }
        None => None,
    };
    // Hashes before weights (T-054): a weight must never lead to a subset that still selects another version.
    if let (Some(object), Some(found), Some(rule)) = (rule_object, rule_document, config.rule()) {
        let new = destination_rule::render(&config, found, rule, wanted);
        if new != *found {
            let message = format!(
                "DestinationRule {} subset updated ({}: {}, {}: {})",
                rule.name,
                rule.canary_subset_name,
                wanted.canary_hash,
                rule.stable_subset_name,
                wanted.stable_hash
            );
            changed.push(Rendered {
                object,
                document: new,
                is_new: false,
                events: vec![("UpdatedDestinationRule", message)],
            });
        }
    }
    let rule_host = rule_document.map(|found| crate::document::text(found, "/spec/host"));
    for (service, _) in config.virtual_services() {
        let object = virtual_service_ref(&service.name, config.namespace);
        let found = document(objects, &object).ok_or_else(|| format!("{} not found", object.text()))?;
        let new = routes::render(&config, service, found, rule_host, wanted)?;
        if new != *found {
            let name = &object.name;
            let events = routes::changes(&config, service, found, &new, wanted)
                .into_iter()
                .map(|change| ("Updated VirtualService", format!("VirtualService `{name}` {change}")))
                .collect();
            changed.push(Rendered { object, document: new, is_new: false, events });
        }
    }
    Ok(changed)
}

/// A DestinationRule without what a Rollout put there, subsets apart; `None` when there is nothing of it (T-246).
#[must_use]
pub fn release_destination_rule(found: &Value) -> Option<Value> {
    destination_rule::released(found)
}
