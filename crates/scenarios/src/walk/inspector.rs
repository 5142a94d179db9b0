//! Looks at the plane before and after each write of the controller and says which invariant of the design the write
//! broke. It knows objects and nothing of how the controller decides.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use glidepath_api::{ReplicaSet, Rollout, Service, names};
use glidepath_sandbox::{Answering, Body, Intercept};
use http::{Method, Request, Response};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::run::resource;

/// What the plane held at one moment.
#[derive(Clone, Debug, Default)]
struct Sight {
    rollouts: Vec<Rollout>,
    sets: BTreeMap<String, ReplicaSet>,
    services: BTreeMap<String, Service>,
    /// Weights by host of every route's destinations.
    routes: Vec<BTreeMap<String, i64>>,
}

/// Watches over the writes of one client.
#[derive(Default)]
pub(crate) struct Inspector {
    client: Mutex<Option<Client>>,
    broken: Mutex<Vec<String>>,
}

impl Inspector {
    /// Looks at the plane through this client from now on.
    pub(crate) fn look_through(&self, client: Client) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
    }

    /// What was broken so far.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn sight(&self) -> Option<Sight> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Sight::of(&client).await.ok()
    }

    fn judge(&self, what: &str, before: &Sight, after: &Sight) {
        let mut found = Vec::new();
        for rollout in &after.rollouts {
            found.extend(after.judge_weights(before, rollout));
            found.extend(after.judge_services(before, rollout));
            found.extend(after.judge_sizes(before, rollout));
            found.extend(after.judge_steps(before, rollout));
        }
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.extend(found.into_iter().map(|text| format!("{what}: {text}")));
    }
}

async fn list<T: DeserializeOwned>(client: &Client, kind: &str) -> Result<Vec<T>> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind)?);
    let mut found = Vec::new();
    for object in api.list(&ListParams::default()).await? {
        found.push(serde_json::from_value(serde_json::to_value(object)?)?);
    }
    Ok(found)
}

impl Sight {
    async fn of(client: &Client) -> Result<Self> {
        let sets: Vec<ReplicaSet> = list(client, "ReplicaSet").await?;
        let services: Vec<Service> = list(client, "Service").await?;
        let virtual_services: Vec<Value> = list(client, "VirtualService").await?;
        let weights = |route: &Value| -> BTreeMap<String, i64> {
            let destinations = route["route"].as_array().into_iter().flatten();
            destinations
                .map(|found| {
                    let host = found["destination"]["host"].as_str().unwrap_or_default();
                    (host.to_owned(), found["weight"].as_i64().unwrap_or(0))
                })
                .collect()
        };
        let routes = virtual_services.iter().flat_map(|found| {
            let http = found.pointer("/spec/http").and_then(Value::as_array);
            http.into_iter().flatten().map(weights).collect::<Vec<_>>()
        });
        Ok(Self {
            rollouts: list(client, "Rollout").await?,
            routes: routes.collect(),
            sets: sets.into_iter().map(|set| (set.metadata.name.clone(), set)).collect(),
            services: services.into_iter().map(|service| (service.metadata.name.clone(), service)).collect(),
        })
    }

    fn by_hash(&self, hash: &str) -> Option<&ReplicaSet> {
        self.sets.values().find(|set| !hash.is_empty() && set.pod_hash() == hash)
    }

    fn selected(&self, service: &str) -> &str {
        self.services.get(service).map_or("", Service::selected_hash)
    }

    /// Whether no other Rollout holds a Service: what is done to one that does is no matter of this Rollout.
    fn may_be_held_by(&self, service: &str, rollout: &Rollout) -> bool {
        let holder =
            self.services.get(service).and_then(|found| found.metadata.annotation(names::MANAGED_BY));
        holder.is_none_or(|holder| holder == rollout.metadata.name)
    }

    fn available(&self, hash: &str) -> i32 {
        self.by_hash(hash).map_or(0, |set| set.status.available_replicas)
    }

    fn weight_of(&self, service: &str) -> i64 {
        self.routes.iter().filter_map(|route| route.get(service)).copied().max().unwrap_or(0)
    }

    /// Invariants 1 and 2.
    fn judge_weights(&self, before: &Self, rollout: &Rollout) -> Vec<String> {
        let mut found = Vec::new();
        if self.routes == before.routes {
            return found;
        }
        for route in &self.routes {
            let sum: i64 = route.values().sum();
            if route.len() > 1 && (sum != 100 || route.values().any(|weight| *weight < 0)) {
                found.push(format!("the weights {route:?} do not add up to 100"));
            }
        }
        let Some(canary) = rollout.canary() else { return found };
        let (now, then) = (self.weight_of(&canary.canary_service), before.weight_of(&canary.canary_service));
        let hash = self.selected(&canary.canary_service);
        if now > then && !rollout.status.stable_rs.is_empty() && self.available(hash) == 0 {
            found.push(format!("weight {now} for {hash} of which no pod is available"));
        }
        found
    }

    /// Invariant 3.
    fn judge_services(&self, before: &Self, rollout: &Rollout) -> Vec<String> {
        let active = rollout.blue_green().map(|strategy| strategy.active_service.as_str());
        let stable = rollout.canary().map(|strategy| strategy.stable_service.as_str());
        let mut found = Vec::new();
        let named = [active, stable].into_iter().flatten().filter(|name| !name.is_empty());
        for name in named.filter(|name| before.may_be_held_by(name, rollout)) {
            let (from, to) = (before.selected(name), self.selected(name));
            if !from.is_empty() && from != to && rollout.replicas() > 0 && self.available(to) == 0 {
                found.push(format!("Service {name} went from {from} to {to} of which no pod is available"));
            }
        }
        found
    }

    /// Invariants 4 and 5, and the floor of a rolling update.
    fn judge_sizes(&self, before: &Self, rollout: &Rollout) -> Vec<String> {
        let mut found = Vec::new();
        let status = &rollout.status;
        let mut shrank = false;
        for set in self.sets.values() {
            let was = before.sets.get(&set.metadata.name).map_or(0, ReplicaSet::replicas);
            let (name, hash, is) = (&set.metadata.name, set.pod_hash(), set.replicas());
            if is > was
                && status.abort
                && status.aborted_at.is_some()
                && hash == status.current_pod_hash
                && !status.stable_rs.is_empty()
                && hash != status.stable_rs
            {
                found.push(format!("{name} of the aborted update grew from {was} to {is}"));
            }
            if is >= was || rollout.replicas() == 0 {
                continue;
            }
            shrank = true;
            if let Some(strategy) = rollout.blue_green()
                && self.selected(&strategy.active_service) == hash
                && is < rollout.replicas()
            {
                found.push(format!("{name}, which the active Service selects, shrank from {was} to {is}"));
            }
            if let Some(strategy) = rollout.canary()
                && rollout.traffic_routing().is_some()
                && is == 0
                && self.selected(&strategy.canary_service) == hash
                && self.selected(&strategy.stable_service) != hash
                && self.weight_of(&strategy.canary_service) > 0
            {
                found.push(format!("{name} lost its pods while it had a share of the traffic"));
            }
        }
        let floor = rollout.replicas() - rollout.max_unavailable();
        let is_basic = rollout.canary().is_some() && rollout.traffic_routing().is_none();
        let (usable, was) = (self.usable(), before.usable());
        if shrank && is_basic && usable < floor.min(was) {
            found.push(format!("{usable} usable pods are left of {was}, and {floor} must stay"));
        }
        found
    }

    /// Pods that are there to stay.
    fn usable(&self) -> i32 {
        self.sets.values().map(|set| set.replicas().min(set.status.available_replicas)).sum()
    }

    /// Invariant 6, for weights.
    fn judge_steps(&self, before: &Self, rollout: &Rollout) -> Vec<String> {
        let Some(was) = before.rollouts.iter().find(|known| known.metadata.uid == rollout.metadata.uid)
        else {
            return Vec::new();
        };
        let (Some(from), Some(to)) = (was.status.current_step_index, rollout.status.current_step_index)
        else {
            return Vec::new();
        };
        let Some(canary) = rollout.canary() else { return Vec::new() };
        let same = was.status.current_pod_hash == rollout.status.current_pod_hash
            && was.status.current_step_hash == rollout.status.current_step_hash;
        if !same || to != from + 1 || rollout.traffic_routing().is_none() || was.status.promote_full {
            return Vec::new();
        }
        let step = usize::try_from(from).ok().and_then(|from| canary.steps.get(from));
        let Some(weight) = step.and_then(|step| step.set_weight) else { return Vec::new() };
        // Shares of subsets are not told apart here.
        if canary.canary_service.is_empty() {
            return Vec::new();
        }
        let carried = self.weight_of(&canary.canary_service);
        if self.routes.is_empty()
            || carried == i64::from(weight)
            || self.available(&rollout.status.current_pod_hash) == 0
        {
            return Vec::new();
        }
        vec![format!("step {to} of weight {weight} counts as done, and the route carries {carried}")]
    }
}

/// Has the writes that pass looked at.
#[derive(Clone)]
pub(crate) struct Inspection(pub(crate) Arc<Inspector>);

impl Intercept for Inspection {
    fn answer<S, B>(&self, inner: &mut S, request: Request<B>) -> Answering
    where
        S: tower::Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Send + 'static,
    {
        let looks = request.method() != Method::GET && !request.uri().path().contains("/events");
        if !looks {
            return Box::pin(inner.call(request));
        }
        let what = format!("{} {}", request.method(), request.uri().path());
        let inspector = Arc::clone(&self.0);
        let mut inner = inner.clone();
        Box::pin(async move {
            let before = inspector.sight().await;
            let response = inner.call(request).await?;
            if let (Some(before), Some(after)) = (before, inspector.sight().await) {
                inspector.judge(&what, &before, &after);
            }
            Ok(response)
        })
    }
}
