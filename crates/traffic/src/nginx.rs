//! ingress-nginx: a canary Ingress beside each stable one carries the weight as an annotation (T-400 to T-412).

use glidepath_api::meta::OwnerReference;
use glidepath_api::{NginxTrafficRouting, Rollout, names};
use glidepath_core::traffic::{CarriedWeights, RouterKind, RouterObservation, RouterProblem, WantedTraffic};
use serde_json::{Map, Value, json};

use crate::document::{list, metadata, object_at, text};
use crate::ingress::{check_leads_to, document, one_of};
use crate::{ObjectKind, ObjectRef, Rendered, Seen, missing, observation};

const FIELD: &str = "spec.strategy.canary.trafficRouting.nginx";
/// End of a canary Ingress' name.
const SUFFIX: &str = "-canary";
/// The longest name an Ingress may have.
const NAME_LIMIT: usize = 253;
/// The annotation that named a class before `ingressClassName` did; it must be the same on both Ingresses.
const CLASS: &str = "kubernetes.io/ingress.class";

/// The parts of a Rollout that routing with ingress-nginx depends on.
struct Config<'a> {
    rollout: &'a Rollout,
    nginx: &'a NginxTrafficRouting,
    canary_service: &'a str,
    stable_service: &'a str,
    max_weight: Option<i32>,
}

/// A stable Ingress and its canary.
struct Pair {
    stable: ObjectRef,
    canary: ObjectRef,
    field: &'static str,
}

impl<'a> Config<'a> {
    fn of(rollout: &'a Rollout) -> Option<Self> {
        let routing = rollout.traffic_routing()?;
        let canary = rollout.canary()?;
        Some(Self {
            rollout,
            nginx: routing.nginx.as_ref()?,
            canary_service: &canary.canary_service,
            stable_service: &canary.stable_service,
            max_weight: routing.max_traffic_weight,
        })
    }

    fn pairs(&self) -> Vec<Pair> {
        let single = (&self.nginx.stable_ingress, "stableIngress");
        let several = self.nginx.stable_ingresses.iter().map(|name| (name, "stableIngresses"));
        let named: Vec<(&String, &'static str)> =
            if self.nginx.stable_ingresses.is_empty() { vec![single] } else { several.collect() };
        let object = |name: String| ObjectRef {
            kind: ObjectKind::Ingress,
            namespace: self.rollout.metadata.namespace.clone(),
            name,
        };
        let pair = |(name, field): (&String, &'static str)| Pair {
            stable: object(name.clone()),
            canary: object(canary_name(&self.rollout.metadata.name, name)),
            field,
        };
        named.into_iter().filter(|(name, _)| !name.is_empty()).map(pair).collect()
    }

    fn annotation(&self, name: &str) -> String {
        format!("{}/{name}", self.rollout.nginx_annotation_prefix())
    }

    /// T-403: from low to high precedence.
    fn annotations(&self, stable: &Value, weight: i32) -> Map<String, Value> {
        let mut all = Map::new();
        if let Some(class) = metadata(stable, "annotations", CLASS) {
            all.insert(CLASS.to_owned(), class.into());
        }
        let prefix = self.rollout.nginx_annotation_prefix();
        for (key, value) in &self.nginx.additional_ingress_annotations {
            let key = if key.starts_with(prefix) { key.clone() } else { self.annotation(key) };
            all.insert(key, value.as_str().into());
        }
        for (key, value) in &self.nginx.canary_ingress_annotations {
            all.insert(key.clone(), value.as_str().into());
        }
        all.insert(self.annotation("canary"), "true".into());
        all.insert(self.annotation("canary-weight"), weight.to_string().into());
        if let Some(total) = self.max_weight {
            all.insert(self.annotation("canary-weight-total"), total.to_string().into());
        }
        all
    }

    /// T-402: what a canary Ingress takes from the stable one.
    ///
    /// # Errors
    /// When no rule of the stable Ingress leads to the stable Service (T-404).
    fn spec(&self, name: &str, stable: &Value) -> Result<Value, String> {
        check_leads_to(name, stable, self.stable_service)?;
        let mut rules = Vec::new();
        for rule in list(stable, "/spec/rules") {
            let mut rule = rule.clone();
            let paths = rule.pointer_mut("/http/paths").and_then(Value::as_array_mut);
            let mut is_ours = false;
            for service in
                paths.into_iter().flatten().filter_map(|path| path.pointer_mut("/backend/service/name"))
            {
                if service == self.stable_service {
                    *service = self.canary_service.into();
                    is_ours = true;
                }
            }
            if is_ours {
                rules.push(rule);
            }
        }
        let mut spec = json!({ "rules": rules });
        for field in ["tls", "ingressClassName"] {
            if let Some(value) = stable.pointer(&format!("/spec/{field}")) {
                spec[field] = value.clone();
            }
        }
        Ok(spec)
    }

    /// The canary Ingress with this weight: `found` with what is ours replaced, or a new one.
    fn canary(
        &self,
        pair: &Pair,
        stable: &Value,
        found: Option<&Value>,
        weight: i32,
    ) -> Result<Value, String> {
        let spec = self.spec(&pair.stable.name, stable)?;
        let annotations = self.annotations(stable, weight);
        let Some(found) = found else {
            let owner = OwnerReference::controller(
                names::API_VERSION,
                names::KIND_ROLLOUT,
                &self.rollout.metadata.name,
                &self.rollout.metadata.uid,
            );
            return Ok(json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
                "metadata": {
                    "name": pair.canary.name, "namespace": pair.canary.namespace,
                    "annotations": annotations, "ownerReferences": [owner],
                },
                "spec": spec,
            }));
        };
        if !is_controlled_by(found, &self.rollout.metadata.uid) {
            return Err(format!("canary ingress `{}` controlled by different object", pair.canary.name));
        }
        let mut new = found.clone();
        new["spec"] = spec;
        if let Some(metadata) = object_at(&mut new, "metadata") {
            let stored = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let Some(stored) = stored.as_object_mut() {
                stored.extend(annotations);
            }
        }
        Ok(new)
    }

    fn carried(&self, found: &Value) -> Option<i32> {
        metadata(found, "annotations", &self.annotation("canary-weight"))?.parse().ok()
    }
}

/// T-401.
fn canary_name(rollout: &str, stable: &str) -> String {
    let start = format!("{rollout}-{stable}");
    let end = start.floor_char_boundary(NAME_LIMIT - SUFFIX.len());
    format!("{}{SUFFIX}", start.get(..end).unwrap_or_default())
}

fn is_controlled_by(object: &Value, uid: &str) -> bool {
    list(object, "/metadata/ownerReferences")
        .iter()
        .any(|owner| owner.get("controller") == Some(&Value::Bool(true)) && text(owner, "/uid") == uid)
}

/// The Ingresses of a Rollout, stable and canary ones.
#[must_use]
pub fn objects(rollout: &Rollout) -> Vec<ObjectRef> {
    let pairs = Config::of(rollout).map(|config| config.pairs()).unwrap_or_default();
    pairs.into_iter().flat_map(|pair| [pair.stable, pair.canary]).collect()
}

/// What the canary Ingresses carry.
#[must_use]
pub fn read(rollout: &Rollout, objects: &[Seen]) -> RouterObservation {
    let mut seen = observation(RouterKind::Nginx, objects);
    let Some(config) = Config::of(rollout) else { return seen };
    let pairs = config.pairs();
    let (single, several) =
        (!config.nginx.stable_ingress.is_empty(), !config.nginx.stable_ingresses.is_empty());
    if let Some(problem) = one_of(FIELD, single, several, "StableIngress or StableIngresses") {
        seen.problem = Some(problem);
        return seen;
    }
    let mut weights = Vec::new();
    for pair in &pairs {
        let field = format!("{FIELD}.{}", pair.field);
        let Some(stable) = document(objects, &pair.stable) else {
            seen.problem = Some(missing(&pair.stable, &field, &pair.stable.name, None));
            return seen;
        };
        let problem = |detail, invalid_spec| RouterProblem {
            field: field.clone(),
            value: pair.stable.name.clone(),
            detail,
            event_reason: None,
            invalid_spec,
        };
        if let Err(detail) = config.spec(&pair.stable.name, stable) {
            seen.problem = Some(problem(detail, true));
            return seen;
        }
        let Some(found) = document(objects, &pair.canary) else {
            weights.push(None);
            continue;
        };
        let carried = config.carried(found);
        match config.canary(pair, stable, Some(found), carried.unwrap_or(0)) {
            // What else is ours must be as it should be too, or the Ingress is written once more (T-411).
            Ok(wanted) => weights.push(carried.filter(|_| wanted == *found)),
            Err(detail) => {
                seen.problem = Some(problem(detail, false));
                return seen;
            }
        }
    }
    let first = weights.first().copied().flatten();
    if weights.iter().all(|other| *other == first) {
        let total = config.max_weight.unwrap_or(100);
        seen.weights = first.map(|canary| CarriedWeights {
            canary,
            stable: total.saturating_sub(canary),
            ..CarriedWeights::default()
        });
    }
    seen
}

/// The canary Ingresses with the wanted weight; one that does not exist yet is made (T-405).
///
/// # Errors
/// When a stable Ingress is missing or leads nowhere, or a canary Ingress is somebody else's.
pub fn render(rollout: &Rollout, objects: &[Seen], wanted: &WantedTraffic) -> Result<Vec<Rendered>, String> {
    let Some(config) = Config::of(rollout) else { return Ok(Vec::new()) };
    let weight = wanted.canary_weight;
    let mut changed = Vec::new();
    for pair in config.pairs() {
        let stable =
            document(objects, &pair.stable).ok_or_else(|| format!("{} not found", pair.stable.text()))?;
        let found = document(objects, &pair.canary);
        let document = config.canary(&pair, stable, found, weight)?;
        if found == Some(&document) {
            continue;
        }
        let name = &pair.canary.name;
        let event = if found.is_some() {
            ("PatchingCanaryIngress", format!("Updating Ingress `{name}` to desiredWeight '{weight}'"))
        } else {
            ("CreatingCanaryIngress", format!("Creating canary ingress `{name}` with weight `{weight}`"))
        };
        changed.push(Rendered {
            object: pair.canary,
            document,
            is_new: found.is_none(),
            events: vec![event],
        });
    }
    Ok(changed)
}
