//! One look at a Rollout without following anything: the controllers' own gathering over caches that are filled
//! once, by direct reads. It has no lease, so nothing can be written through it.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use futures::future::try_join_all;
use glidepath_api::{Rollout, names};
use glidepath_clock::Clock;
use glidepath_core::snapshot::{RolloutSnapshot, Settings};
use serde_json::Value;

use crate::cache::Caches;
use crate::gather::{GatherError, Gatherer, Memory};
use crate::object::{ObjectKey, Stored};
use crate::references::{router_objects, workloads};
use crate::resource::{Kind, label_selector};
use crate::run::discover;
use crate::server::{ApiServer, Fence, RequestError};
use crate::watch::encode;

/// Reads what the controllers would see, for programs that only look.
#[derive(Clone)]
pub struct Looker {
    server: ApiServer,
    clock: Clock,
}

impl Looker {
    /// A looker behind a client.
    #[must_use]
    pub fn new(client: kube::Client, clock: Clock) -> Self {
        // The fence stays closed: a write would be refused before it is sent.
        let server = ApiServer::new(client, Arc::default(), 0.0, 0, Fence::default());
        Self { server, clock }
    }

    /// The snapshot a controller of the Rollout's instance would decide on right now; `None` when there is no such
    /// Rollout. Writes that were refused in an earlier round are known to the controller alone.
    ///
    /// # Errors
    /// See [`GatherError`].
    pub async fn rollout(&self, key: &ObjectKey) -> Result<Option<RolloutSnapshot>, GatherError> {
        let path = Kind::Rollout.path(Kind::Rollout.default_version(), &key.namespace, &key.name);
        let Some(document) = self.read(&path).await.map_err(|source| unread(key, source))? else {
            return Ok(None);
        };
        let malformed = |source| GatherError::Malformed { kind: "Rollout", key: key.clone(), source };
        let rollout: Rollout = serde_json::from_value(document.clone()).map_err(malformed)?;
        let instance_id = rollout.metadata.label(names::INSTANCE_ID).unwrap_or_default().to_owned();
        let settings = Settings { instance_id, ..Settings::default() };
        let caches = Arc::new(Caches::default());
        let gatherer = Gatherer::new(self.server.clone(), Arc::clone(&caches), self.clock, settings.clone());
        keep(&caches, Kind::Rollout, document);
        let lists = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Rollout && *kind != Kind::Job);
        let lists = lists.filter(|kind| kind.is_required());
        try_join_all(lists.map(|kind| self.fill(&caches, kind, &key.namespace, &settings.instance_id)))
            .await?;
        self.fill_references(&gatherer, &caches, &rollout).await?;
        for kind in Kind::ALL {
            caches.set_synced(kind);
        }
        gatherer.gather_rollout(key, &mut Memory::default()).await
    }

    /// Reads any path of the API server; `None` when nothing is there.
    ///
    /// # Errors
    /// What the API server answers otherwise.
    pub async fn read(&self, path: &str) -> Result<Option<Value>, RequestError> {
        match self.server.get(path).await {
            Ok(document) => Ok(Some(document)),
            Err(RequestError::Refused { code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Path of a router's object in the version the API server offers; `None` when it does not know the kind.
    ///
    /// # Errors
    /// What the API server answers.
    pub async fn locate(&self, kind: Kind, key: &ObjectKey) -> Result<Option<String>, RequestError> {
        if !kind.is_optional() {
            return Ok(Some(kind.path(kind.default_version(), &key.namespace, &key.name)));
        }
        let version = discover(&self.server, kind, "").await?;
        Ok(version.map(|version| kind.path(&version, &key.namespace, &key.name)))
    }

    async fn fill(
        &self,
        caches: &Caches,
        kind: Kind,
        namespace: &str,
        instance_id: &str,
    ) -> Result<(), GatherError> {
        let namespace = if kind.is_namespaced() { namespace } else { "" };
        let mut path = kind.collection(kind.default_version(), namespace);
        let selector = label_selector(kind, instance_id);
        if !selector.is_empty() {
            path = format!("{path}?labelSelector={}", encode(&selector));
        }
        let list = match self.read(&path).await {
            Ok(list) => list.unwrap_or_default(),
            // Without the right to see cluster-wide templates they look absent, as to a namespaced controller.
            Err(RequestError::Refused { code: 403, .. }) if !kind.is_namespaced() => return Ok(()),
            Err(source) => return Err(GatherError::Unread { what: kind.plural().to_owned(), source }),
        };
        for document in list.get("items").and_then(Value::as_array).into_iter().flatten() {
            keep(caches, kind, document.clone());
        }
        Ok(())
    }

    /// What the Rollout names of the kinds that are followed on demand only.
    async fn fill_references(
        &self,
        gatherer: &Gatherer,
        caches: &Caches,
        rollout: &Rollout,
    ) -> Result<(), GatherError> {
        let mut references = router_objects(rollout);
        references.extend(workloads(rollout));
        let routers = references.iter().map(|reference| reference.kind).filter(|kind| kind.is_optional());
        let kinds: BTreeSet<Kind> = routers.collect();
        let mut absent = BTreeSet::new();
        for kind in kinds {
            let found = discover(&self.server, kind, "").await;
            let found =
                found.map_err(|source| GatherError::Unread { what: kind.plural().to_owned(), source })?;
            match found {
                Some(version) => {
                    gatherer.versions.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, version);
                }
                None => {
                    absent.insert(kind);
                }
            }
        }
        for reference in references.iter().filter(|reference| !absent.contains(&reference.kind)) {
            let path = gatherer.path(reference.kind, &reference.key);
            let document = self.read(&path).await.map_err(|source| unread(&reference.key, source))?;
            if let Some(document) = document {
                keep(caches, reference.kind, document);
            }
        }
        Ok(())
    }
}

fn keep(caches: &Caches, kind: Kind, document: Value) {
    if let Some((key, stored)) = Stored::new(kind, document) {
        caches.apply(kind, key, stored);
    }
}

fn unread(key: &ObjectKey, source: RequestError) -> GatherError {
    GatherError::Unread { what: key.to_string(), source }
}
