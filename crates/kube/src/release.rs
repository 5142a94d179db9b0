//! Services that no Rollout manages any more get their selector back.

use glidepath_api::{Rollout, Service, names};
use serde_json::json;

use crate::gather::GatherError;
use crate::object::ObjectKey;
use crate::queue::{Controller, Outcome, WorkKey};
use crate::references::service_names;
use crate::resource::Kind;
use crate::shell::Shell;

impl Shell {
    /// Takes the hash out of a Service's selector if no Rollout names the Service; a Rollout of another
    /// instance is asked for directly, so that its Services are left alone.
    pub(crate) async fn release_service(&self, key: &ObjectKey) -> Result<Outcome, GatherError> {
        let Some(stored) = self.caches.get(Kind::Service, key) else { return Ok(Outcome::Settled(None)) };
        let Ok(service) = stored.decode::<Service>() else { return Ok(Outcome::Settled(None)) };
        let Some(manager) = service.metadata.annotation(names::MANAGED_BY) else {
            return Ok(Outcome::Settled(None));
        };
        if service.selected_hash().is_empty() || self.dispatcher.names_service(key, Some(manager)) {
            return Ok(Outcome::Settled(None));
        }
        let rollout_key = ObjectKey { namespace: key.namespace.clone(), name: manager.into() };
        if let Some(stored) = self.gatherer.fetch(Kind::Rollout, &rollout_key).await?
            && stored.decode::<Rollout>().is_ok_and(|rollout| service_names(&rollout).contains(&*key.name))
        {
            self.queue.add_after(
                &WorkKey { controller: Controller::Rollouts, object: rollout_key },
                std::time::Duration::ZERO,
            );
            return Ok(Outcome::Settled(None));
        }
        let patch = json!({
            "metadata": {"annotations": {names::MANAGED_BY: null}},
            "spec": {"selector": {names::POD_TEMPLATE_HASH: null}},
        });
        match self.server.merge(&self.gatherer.path(Kind::Service, key), &patch).await {
            Ok(_) => {
                tracing::info!(
                    namespace = &*key.namespace,
                    service = &*key.name,
                    "released the selector of a Service"
                );
                Ok(Outcome::Settled(None))
            }
            Err(error) if error.code() == 404 => Ok(Outcome::Settled(None)),
            Err(error) => {
                tracing::warn!(namespace = &*key.namespace, service = &*key.name, error = %error,
                    "cannot release the selector of a Service");
                Ok(Outcome::Failed)
            }
        }
    }
}
