//! The object a Rollout takes its template from, read from the caches.

use std::sync::PoisonError;
use std::time::Duration;

use glidepath_api::Rollout;
use glidepath_api::meta::LabelSelector;
use glidepath_core::rollout::workload::{self, WorkloadKind};
use glidepath_core::snapshot::{Workload, WorkloadObservation};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::gather::{GatherError, Gatherer, View};
use crate::object::ObjectKey;
use crate::references;
use crate::resource::Kind;

/// How long the first list of a kind of workload is waited for before the Rollout says so.
const FIRST_LIST: Duration = Duration::from_secs(60);

/// A Deployment, ReplicaSet or PodTemplate.
#[derive(Deserialize)]
struct WorkloadObject {
    metadata: WorkloadMetadata,
    #[serde(default)]
    spec: WorkloadSpec,
    #[serde(default)]
    template: Value,
}

#[derive(Deserialize)]
struct WorkloadMetadata {
    #[serde(default)]
    generation: i64,
}

#[derive(Default, Deserialize)]
struct WorkloadSpec {
    replicas: Option<i32>,
    selector: Option<LabelSelector>,
    #[serde(default)]
    template: Value,
}

impl WorkloadObject {
    fn workload(self, kind: Kind) -> Workload {
        let generation = self.metadata.generation;
        let template = if kind == Kind::PodTemplate { self.template } else { self.spec.template };
        Workload { generation, template, selector: self.spec.selector }
    }
}

impl Gatherer {
    /// What `spec.workloadRef` leads to.
    pub(crate) fn gather_workload(
        &self,
        view: &View<'_>,
        rollout: &Rollout,
    ) -> Result<Option<WorkloadObservation>, GatherError> {
        let Some(reference) = &rollout.spec.workload_ref else { return Ok(None) };
        let key = ObjectKey::new(&rollout.metadata.namespace, &reference.name);
        let mut seen = WorkloadObservation::default();
        if let Some(kind) = WorkloadKind::of(reference).map(references::workload_cache) {
            if !self.caches.is_synced(kind) {
                if !self.gave_up_on(kind) {
                    return Err(GatherError::NotSynced(kind.plural()));
                }
                seen.unlisted = true;
            }
            let object: Option<WorkloadObject> = view.decode(kind, &key)?;
            seen.object = object.map(|object| object.workload(kind));
        }
        if workload::scales_down(reference) {
            if !self.caches.is_synced(Kind::Deployment) && !self.gave_up_on(Kind::Deployment) {
                return Err(GatherError::NotSynced(Kind::Deployment.plural()));
            }
            let deployment: Option<WorkloadObject> = view.decode(Kind::Deployment, &key)?;
            seen.deployment_replicas = deployment.map(|deployment| deployment.spec.replicas.unwrap_or(1));
        }
        Ok(Some(seen))
    }

    /// Whether the first list of a kind has been waited for long enough.
    fn gave_up_on(&self, kind: Kind) -> bool {
        let mut waits = self.first_waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.entry(kind).or_insert_with(Instant::now).elapsed() >= FIRST_LIST
    }
}
