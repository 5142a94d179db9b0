//! Services, DestinationRules and Ingresses that no Rollout manages any more are given back (R-744, R-745, T-246, T-340).

use std::sync::Arc;
use std::time::Duration;

use glidepath_api::{Rollout, Service, names};
use glidepath_traffic::alb;
use serde_json::{Value, json};

use crate::dispatch::Managed;
use crate::gather::GatherError;
use crate::object::ObjectKey;
use crate::queue::{Controller, Outcome, WorkKey};
use crate::references::{Reference, router_objects, service_names};
use crate::resource::Kind;
use crate::run::{Options, PROBE, discover};
use crate::server::{ApiServer, RequestError};
use crate::shell::Shell;
use crate::watch::encode;

impl Shell {
    /// Takes the hash out of a Service's selector if no Rollout names the Service; a Rollout of another
    /// instance is asked for directly, so that its Services are left alone.
    pub(crate) async fn release_service(&self, key: &ObjectKey) -> Result<Outcome, GatherError> {
        let Some(stored) = self.caches.get(Kind::Service, key) else { return Ok(Outcome::Settled(None)) };
        let Ok(service) = stored.decode::<Service>() else { return Ok(Outcome::Settled(None)) };
        let Some(manager) = service.metadata.annotation(names::MANAGED_BY) else {
            return Ok(Outcome::Settled(None));
        };
        let names_it = |rollout: &Rollout| service_names(rollout).contains(&*key.name);
        if service.selected_hash().is_empty()
            || self.is_managed(Kind::Service, key, manager, names_it).await?
        {
            return Ok(Outcome::Settled(None));
        }
        let patch = json!({
            "metadata": {"annotations": {names::MANAGED_BY: null}},
            "spec": {"selector": {names::POD_TEMPLATE_HASH: null}},
        });
        let answer = self.server.merge(&self.gatherer.path(Kind::Service, key), &patch).await;
        Ok(released(Kind::Service, key, answer.map(|_| ())))
    }

    /// Takes hashes and mark off a DestinationRule that no Rollout names, likewise.
    pub(crate) async fn release_rule(&self, key: &ObjectKey) -> Result<Outcome, GatherError> {
        let kind = Kind::DestinationRule;
        let Some(stored) = self.caches.get(kind, key) else { return Ok(Outcome::Settled(None)) };
        let Ok(rule) = stored.decode::<Managed>() else { return Ok(Outcome::Settled(None)) };
        let Some(manager) = rule.metadata.annotation(names::MANAGED_BY) else {
            return Ok(Outcome::Settled(None));
        };
        let reference = Reference { kind, key: key.clone() };
        let names_it = |rollout: &Rollout| router_objects(rollout).contains(&reference);
        if self.is_managed(kind, key, manager, names_it).await? {
            return Ok(Outcome::Settled(None));
        }
        let Some(document) = stored
            .decode::<Value>()
            .ok()
            .and_then(|document| glidepath_traffic::istio::release_destination_rule(&document))
        else {
            return Ok(Outcome::Settled(None));
        };
        let answer = self.server.replace(&self.gatherer.path(kind, key), &document).await;
        Ok(released(kind, key, answer.map(|_| ())))
    }

    /// Turns an Ingress' annotations back to the plain service for each Rollout that does not name it, likewise.
    pub(crate) async fn release_ingress(&self, key: &ObjectKey) -> Result<Outcome, GatherError> {
        let kind = Kind::Ingress;
        let Some(stored) = self.caches.get(kind, key) else { return Ok(Outcome::Settled(None)) };
        let Ok(ingress) = stored.decode::<Managed>() else { return Ok(Outcome::Settled(None)) };
        let reference = Reference { kind, key: key.clone() };
        let names_it = |rollout: &Rollout| router_objects(rollout).contains(&reference);
        let mut gone = Vec::new();
        for manager in alb::managers(&ingress.metadata) {
            if !self.is_managed(kind, key, &manager, names_it).await? {
                gone.push(manager);
            }
        }
        let document = stored.decode::<Value>().ok().filter(|_| !gone.is_empty());
        let Some(document) = document.and_then(|document| alb::release_ingress(&document, &gone)) else {
            return Ok(Outcome::Settled(None));
        };
        let answer = self.server.replace(&self.gatherer.path(kind, key), &document).await;
        Ok(released(kind, key, answer.map(|_| ())))
    }

    /// Whether the Rollout `manager` names the object; one that this instance does not follow is asked for, and
    /// looked at again if it does.
    async fn is_managed(
        &self,
        kind: Kind,
        key: &ObjectKey,
        manager: &str,
        names_it: impl Fn(&Rollout) -> bool,
    ) -> Result<bool, GatherError> {
        if self.dispatcher.names(kind, key, Some(manager)) {
            return Ok(true);
        }
        let object = ObjectKey { namespace: key.namespace.clone(), name: manager.into() };
        let stored = self.gatherer.fetch(Kind::Rollout, &object).await?;
        let named =
            stored.is_some_and(|stored| stored.decode::<Rollout>().is_ok_and(|rollout| names_it(&rollout)));
        if named {
            self.queue.add_after(&WorkKey { controller: Controller::Rollouts, object }, Duration::ZERO);
        }
        Ok(named)
    }
}

/// Looks once for routers' objects that bear the mark of a Rollout: it may have gone while nobody followed them, and
/// no other need mention their kind (T-246, T-340).
pub(crate) async fn follow_marked(shell: Arc<Shell>, options: Options) {
    for kind in [Kind::DestinationRule, Kind::Ingress] {
        let found = loop {
            match find_marked(&shell.server, kind, &options).await {
                Ok(found) => break found,
                Err(RequestError::Refused { code: 403 | 404, .. }) => break false,
                Err(error) => {
                    tracing::debug!(resource = kind.plural(), error = %error, "cannot look for marks; trying again");
                    tokio::time::sleep(PROBE).await;
                }
            }
        };
        if found {
            shell.dispatcher.references.mark(kind);
            shell.dispatcher.progress.notify_one();
        }
    }
}

async fn find_marked(server: &ApiServer, kind: Kind, options: &Options) -> Result<bool, RequestError> {
    let Some(version) = discover(server, kind, &options.istio_version).await? else { return Ok(false) };
    let path = kind.collection(&version, &options.namespace);
    let mut rest = String::new();
    loop {
        let page = server.get(&format!("{path}?limit=500{rest}")).await?;
        let is_marked = |object: &Value| {
            let annotations = object.pointer("/metadata/annotations");
            [names::MANAGED_BY, names::MANAGED_ALB_ANNOTATIONS]
                .iter()
                .any(|mark| annotations.is_some_and(|annotations| annotations.get(mark).is_some()))
        };
        if page.get("items").and_then(Value::as_array).into_iter().flatten().any(is_marked) {
            return Ok(true);
        }
        match page.pointer("/metadata/continue").and_then(Value::as_str) {
            Some(token) if !token.is_empty() => rest = format!("&continue={}", encode(token)),
            _ => return Ok(false),
        }
    }
}

fn released(kind: Kind, key: &ObjectKey, answer: Result<(), RequestError>) -> Outcome {
    let (resource, namespace, name) = (kind.plural(), &*key.namespace, &*key.name);
    match answer {
        Ok(()) => {
            tracing::info!(resource, namespace, name, "gave back what no Rollout manages any more");
            Outcome::Settled(None)
        }
        Err(error) if error.code() == 404 => Outcome::Settled(None),
        Err(error) => {
            tracing::warn!(resource, namespace, name, error = %error, "cannot give back what no Rollout manages");
            Outcome::Failed
        }
    }
}
