//! AWS Load Balancer Controller: annotations of an Ingress carry weights and header conditions (T-300 to T-313).

use std::collections::BTreeMap;

use glidepath_api::{ALBTrafficRouting, HeaderRoutingMatch, ObjectMeta, Rollout, defaults, names};
use glidepath_core::traffic::{
    CarriedWeights, ManagedRoute, RouterKind, RouterObservation, RouterProblem, WantedTraffic,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::document::{metadata, set_metadata};
use crate::ingress::{backend, check_leads_to, document, one_of};
use crate::{ObjectKind, ObjectRef, Rendered, Seen, missing, observation};

const FIELD: &str = "spec.strategy.canary.trafficRouting.alb";
/// The longest time a session sticks to a target group, in seconds.
const STICKIEST: i64 = 604_800;

/// The value of an action annotation, its members in the order in which the reference writes them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ForwardAction {
    r#type: String,
    forward_config: ForwardConfig,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ForwardConfig {
    #[serde(default)]
    target_groups: Vec<TargetGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_group_stickiness_config: Option<Stickiness>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TargetGroup {
    #[serde(default)]
    service_name: String,
    #[serde(default)]
    service_port: String,
    #[serde(default)]
    weight: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stickiness {
    enabled: bool,
    duration_seconds: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    field: &'static str,
    http_header_config: HeaderValues,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HeaderValues {
    http_header_name: String,
    values: Vec<String>,
}

/// The parts of a Rollout that routing with ALB depends on.
struct Config<'a> {
    rollout: &'a Rollout,
    alb: &'a ALBTrafficRouting,
    canary_service: &'a str,
    stable_service: &'a str,
    action_service: &'a str,
    managed: Vec<&'a str>,
}

impl<'a> Config<'a> {
    fn of(rollout: &'a Rollout) -> Option<Self> {
        let routing = rollout.traffic_routing()?;
        let canary = rollout.canary()?;
        let alb = routing.alb.as_ref()?;
        // Ping and pong come first here, other than with Istio (T-306, T-091).
        let (canary_service, stable_service) =
            rollout.ping_pong_services().unwrap_or((&canary.canary_service, &canary.stable_service));
        let action_service =
            if alb.root_service.is_empty() { &canary.stable_service } else { &alb.root_service };
        Some(Self {
            rollout,
            alb,
            canary_service,
            stable_service,
            action_service,
            managed: routing.managed_routes.iter().map(|route| route.name.as_str()).collect(),
        })
    }

    fn ingresses(&self) -> Vec<(ObjectRef, &'static str)> {
        let named: Vec<(&String, &'static str)> = if self.alb.ingresses.is_empty() {
            vec![(&self.alb.ingress, "ingress")]
        } else {
            self.alb.ingresses.iter().map(|name| (name, "ingresses")).collect()
        };
        let object = |name: &String| ObjectRef {
            kind: ObjectKind::Ingress,
            namespace: self.rollout.metadata.namespace.clone(),
            name: name.clone(),
        };
        let named = named.into_iter().filter(|(name, _)| !name.is_empty());
        named.map(|(name, field)| (object(name), field)).collect()
    }

    fn key(&self, kind: &str, name: &str) -> String {
        let set = self.alb.annotation_prefix.as_str();
        let prefix = if set.is_empty() { defaults::DEFAULT_ALB_ANNOTATION_PREFIX } else { set };
        format!("{prefix}/{kind}.{name}")
    }

    fn group(&self, service: &str, weight: i32) -> TargetGroup {
        TargetGroup {
            service_name: service.to_owned(),
            service_port: self.alb.service_port.to_string(),
            weight,
        }
    }

    /// T-302, T-303: an action that forwards to these target groups.
    fn forward(&self, target_groups: Vec<TargetGroup>) -> Result<String, String> {
        let sticky = self.alb.stickiness_config.as_ref().filter(|sticky| sticky.enabled);
        if sticky.is_some_and(|sticky| !(1..=STICKIEST).contains(&sticky.duration_seconds)) {
            return Err(
                "TargetGroupStickinessConfig's duration must be between 1 and 604800 seconds (7 days)!"
                    .to_owned(),
            );
        }
        let target_group_stickiness_config =
            sticky.map(|sticky| Stickiness { enabled: true, duration_seconds: sticky.duration_seconds });
        let forward_config = ForwardConfig { target_groups, target_group_stickiness_config };
        let action = ForwardAction { r#type: "forward".to_owned(), forward_config };
        serde_json::to_string(&action).map_err(|error| error.to_string())
    }

    fn weights_action(&self, weights: &CarriedWeights) -> Result<String, String> {
        let additional = weights.additional.iter().map(|(service, weight)| self.group(service, *weight));
        let groups = std::iter::once(self.group(self.canary_service, weights.canary))
            .chain(additional)
            .chain(std::iter::once(self.group(self.stable_service, weights.stable)));
        self.forward(groups.collect())
    }

    /// The weights an Ingress carries; `None` when its action says anything else.
    fn carried(&self, ingress: &Value) -> Option<CarriedWeights> {
        let text = metadata(ingress, "annotations", &self.key("actions", self.action_service))?;
        let action: ForwardAction = serde_json::from_str(text).ok()?;
        let mut weights = CarriedWeights::default();
        for group in action.forward_config.target_groups {
            if group.service_name == self.canary_service {
                weights.canary = group.weight;
            } else if group.service_name == self.stable_service {
                weights.stable = group.weight;
            } else {
                weights.additional.insert(group.service_name, group.weight);
            }
        }
        (self.weights_action(&weights).ok()? == text).then_some(weights)
    }

    /// Managed routes an Ingress has, in their order.
    fn present(&self, ingress: &Value) -> Vec<String> {
        let has = |name: &&&str| metadata(ingress, "annotations", &self.key("actions", name)).is_some();
        self.managed.iter().filter(has).map(|name| (*name).to_owned()).collect()
    }

    /// The Ingress with weights, header routes and the note of which annotations are whose (T-304, T-310 to T-312).
    fn render(&self, found: &Value, wanted: &WantedTraffic) -> Result<Value, String> {
        let mut new = found.clone();
        let weights = CarriedWeights {
            canary: wanted.canary_weight,
            stable: wanted.stable_weight,
            additional: wanted
                .additional
                .iter()
                .map(|extra| (extra.service_name.clone(), extra.weight))
                .collect(),
        };
        let action = self.key("actions", self.action_service);
        set_metadata(&mut new, "annotations", &action, Some(&self.weights_action(&weights)?));
        let mut owned = vec![action];
        for name in &self.managed {
            let (action, condition) = (self.key("actions", name), self.key("conditions", name));
            let matches = wanted.routes.iter().find_map(|route| match route {
                ManagedRoute::Header { name: wanted, matches } if wanted == name => Some(matches),
                _ => None,
            });
            let values = match matches {
                Some(matches) => {
                    let forward = self.forward(vec![self.group(self.canary_service, 100)])?;
                    owned.extend([action.clone(), condition.clone()]);
                    Some((forward, conditions(matches)?))
                }
                None => None,
            };
            let (forward, header) = values.unzip();
            set_metadata(&mut new, "annotations", &action, forward.as_deref());
            set_metadata(&mut new, "annotations", &condition, header.as_deref());
            place_path(&mut new, name, matches.is_some());
        }
        self.order_paths(&mut new);
        let note = self.note(found, owned)?;
        set_metadata(&mut new, "annotations", names::MANAGED_ALB_ANNOTATIONS, Some(&note));
        Ok(new)
    }

    /// The note of an Ingress that carries what this Rollout wants.
    fn note(&self, found: &Value, owned: Vec<String>) -> Result<String, String> {
        let mut all = parse_note(metadata(found, "annotations", names::MANAGED_ALB_ANNOTATIONS))?;
        let mine = all.entry(self.rollout.metadata.name.clone()).or_default();
        mine.retain(|key| owned.contains(key));
        for key in owned {
            if !mine.contains(&key) {
                mine.push(key);
            }
        }
        serde_json::to_string(&all).map_err(|error| error.to_string())
    }

    /// Paths of header routes come first, in the order of `managedRoutes`.
    fn order_paths(&self, ingress: &mut Value) {
        if self.managed.is_empty() {
            return;
        }
        let place = |path: &Value| {
            let service = backend(path);
            self.managed.iter().position(|name| *name == service).unwrap_or(self.managed.len())
        };
        for paths in paths_of(ingress) {
            paths.sort_by_key(place);
        }
    }

    fn check(&self, name: &str, ingress: &Value) -> Result<(), String> {
        check_leads_to(name, ingress, self.action_service)
    }
}

/// The lists of paths of an Ingress' rules.
fn paths_of(ingress: &mut Value) -> impl Iterator<Item = &mut Vec<Value>> {
    let rules = ingress.pointer_mut("/spec/rules").and_then(Value::as_array_mut);
    rules
        .into_iter()
        .flatten()
        .filter_map(|rule| rule.pointer_mut("/http/paths").and_then(Value::as_array_mut))
}

/// A header route needs a path that leads to its annotations, in every rule (T-311).
fn place_path(ingress: &mut Value, route: &str, wanted: bool) {
    for paths in paths_of(ingress) {
        if !wanted {
            paths.retain(|path| backend(path) != route);
        } else if !paths.iter().any(|path| backend(path) == route) {
            let port = json!({"name": "use-annotation"});
            paths.insert(
                0,
                json!({
                    "path": "/*", "pathType": "ImplementationSpecific",
                    "backend": {"service": {"name": route, "port": port}},
                }),
            );
        }
    }
}

/// T-310: values of the same header are alternatives, different headers must all match.
fn conditions(matches: &[HeaderRoutingMatch]) -> Result<String, String> {
    let mut conditions: Vec<Condition> = Vec::new();
    for found in matches {
        let value = found.header_value.as_ref().map(|value| value.exact.clone()).unwrap_or_default();
        let known = conditions
            .iter_mut()
            .find(|condition| condition.http_header_config.http_header_name == found.header_name);
        match known {
            Some(known) => known.http_header_config.values.push(value),
            None => conditions.push(Condition {
                field: "http-header",
                http_header_config: HeaderValues {
                    http_header_name: found.header_name.clone(),
                    values: vec![value],
                },
            }),
        }
    }
    serde_json::to_string(&conditions).map_err(|error| error.to_string())
}

/// T-304: which annotations of an Ingress belong to which Rollout.
type Note = BTreeMap<String, Vec<String>>;

fn parse_note(text: Option<&str>) -> Result<Note, String> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(Note::new()),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| format!("cannot read {}: {error}", names::MANAGED_ALB_ANNOTATIONS)),
    }
}

/// The Rollouts whose annotations an Ingress carries, by its own note; none where that cannot be read.
#[must_use]
pub fn managers(ingress: &ObjectMeta) -> Vec<String> {
    let note = parse_note(ingress.annotation(names::MANAGED_ALB_ANNOTATIONS)).unwrap_or_default();
    note.into_keys().collect()
}

/// An Ingress without what Rollouts put there that no longer name it: each action forwards everything to its plain
/// service, header routes go with their conditions and paths. `None` when there is nothing of them (T-340, T-341).
#[must_use]
pub fn release_ingress(found: &Value, gone: &[String]) -> Option<Value> {
    let mut note = parse_note(metadata(found, "annotations", names::MANAGED_ALB_ANNOTATIONS)).ok()?;
    let mut new = found.clone();
    for rollout in gone {
        let keys = note.remove(rollout).unwrap_or_default();
        for key in &keys {
            let Some((prefix, name)) = key.split_once("/actions.") else { continue };
            let condition = format!("{prefix}/conditions.{name}");
            if keys.contains(&condition) {
                set_metadata(&mut new, "annotations", key, None);
                set_metadata(&mut new, "annotations", &condition, None);
                place_path(&mut new, name, false);
            } else if let Some(plain) = metadata(found, "annotations", key).and_then(|text| reset(text, name))
            {
                set_metadata(&mut new, "annotations", key, Some(&plain));
            }
        }
    }
    let text = serde_json::to_string(&note).ok().filter(|_| !note.is_empty());
    set_metadata(&mut new, "annotations", names::MANAGED_ALB_ANNOTATIONS, text.as_deref());
    set_metadata(&mut new, "annotations", names::MANAGED_ALB_ACTIONS, None);
    (new != *found).then_some(new)
}

/// An action that forwards everything to the service it is named after. Where that is no target of the action, as
/// with a root service, it is the target that was written last, which is the stable one. What cannot be read stays.
fn reset(action: &str, service: &str) -> Option<String> {
    let mut action: ForwardAction = serde_json::from_str(action).ok()?;
    let groups = &mut action.forward_config.target_groups;
    let place = groups.iter().position(|group| group.service_name == service);
    let mut plain = groups.swap_remove(place.unwrap_or(groups.len().checked_sub(1)?));
    plain.weight = 100;
    *groups = vec![plain];
    serde_json::to_string(&action).ok()
}

/// The Ingresses of a Rollout.
#[must_use]
pub fn objects(rollout: &Rollout) -> Vec<ObjectRef> {
    let ingresses = Config::of(rollout).map(|config| config.ingresses()).unwrap_or_default();
    ingresses.into_iter().map(|(object, _)| object).collect()
}

/// What the Ingresses carry.
#[must_use]
pub fn read(rollout: &Rollout, objects: &[Seen]) -> RouterObservation {
    let mut seen = observation(RouterKind::Alb, objects);
    let Some(config) = Config::of(rollout) else { return seen };
    let (single, several) = (!config.alb.ingress.is_empty(), !config.alb.ingresses.is_empty());
    if let Some(problem) = one_of(FIELD, single, several, "Ingress or Ingresses") {
        seen.problem = Some(problem);
        return seen;
    }
    let mut weights = Vec::new();
    for (index, (object, field)) in config.ingresses().into_iter().enumerate() {
        let field = format!("{FIELD}.{field}");
        let Some(found) = document(objects, &object) else {
            seen.problem = Some(missing(&object, &field, &object.name, None));
            return seen;
        };
        if let Err(detail) = config.check(&object.name, found) {
            seen.problem = Some(RouterProblem {
                field,
                value: object.name,
                detail,
                event_reason: None,
                invalid_spec: true,
            });
            return seen;
        }
        weights.push(config.carried(found));
        let present = config.present(found);
        if index == 0 {
            seen.managed_routes = present;
        } else if seen.managed_routes != present {
            // Ingresses that differ in their header routes carry no common state.
            weights.push(None);
        }
    }
    let first = weights.first().cloned().flatten();
    if weights.iter().all(|other| *other == first) {
        seen.weights = first;
    }
    seen
}

/// The Ingresses with the wanted traffic on them.
///
/// # Errors
/// When an Ingress is missing or leads nowhere, or what it is told cannot be written.
pub fn render(rollout: &Rollout, objects: &[Seen], wanted: &WantedTraffic) -> Result<Vec<Rendered>, String> {
    let Some(config) = Config::of(rollout) else { return Ok(Vec::new()) };
    let mut changed = Vec::new();
    for (object, _) in config.ingresses() {
        let found = document(objects, &object).ok_or_else(|| format!("{} not found", object.text()))?;
        config.check(&object.name, found)?;
        let new = config.render(found, wanted)?;
        if new != *found {
            let told =
                format!("Updating Ingress `{}` to desiredWeight '{}'", object.name, wanted.canary_weight);
            changed.push(Rendered {
                object,
                document: new,
                is_new: false,
                events: vec![("PatchingALBIngress", told)],
            });
        }
    }
    Ok(changed)
}
