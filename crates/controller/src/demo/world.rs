//! The cluster as the story sees it: objects in by their own types, new ones out as JSON.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use glidepath_api::{AnalysisRun, Pod, ReplicaSet, Rollout, RolloutPhase};
use glidepath_view::{Cluster, Paint, RolloutInfo, render_rollout};
use http::Request;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::manifests::NAMESPACE;

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(100);

const ROLLOUTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/demo/rollouts";
const ANALYSIS_RUNS: &str = "/apis/argoproj.io/v1alpha1/namespaces/demo/analysisruns";
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/demo/httproutes";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/demo/replicasets";
const PODS: &str = "/api/v1/namespaces/demo/pods";

/// Access to the cluster.
#[derive(Clone)]
pub(crate) struct World {
    client: kube::Client,
}

impl World {
    /// Sees through `client`.
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = Request::get(path).body(Vec::new())?;
        self.client.request(request).await.with_context(|| format!("cannot read {path}"))
    }

    async fn fetch_all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut list: Value = self.fetch(path).await?;
        Ok(serde_json::from_value(list["items"].take())?)
    }

    /// A Rollout of the story.
    pub(crate) async fn fetch_rollout(&self, name: &str) -> Result<Rollout> {
        self.fetch(&format!("{ROLLOUTS}/{name}")).await
    }

    /// The analyses of the story.
    pub(crate) async fn fetch_analysis_runs(&self) -> Result<Vec<AnalysisRun>> {
        self.fetch_all(ANALYSIS_RUNS).await
    }

    /// The image of a Rollout's stable version, by its stable ReplicaSet.
    pub(crate) async fn fetch_stable_version(&self, rollout: &Rollout) -> Result<String> {
        let sets: Vec<ReplicaSet> = self.fetch_all(REPLICA_SETS).await?;
        let stable = sets.iter().find(|set| {
            set.metadata.is_controlled_by(&rollout.metadata.uid) && set.pod_hash() == rollout.status.stable_rs
        });
        let image = stable.and_then(|set| set.spec.template["spec"]["containers"][0]["image"].as_str());
        Ok(image.and_then(|image| image.rsplit_once(':')).map_or("", |(_, tag)| tag).to_owned())
    }

    /// Percent that a route asks for a backend.
    pub(crate) async fn fetch_weight(&self, route: &str, backend: &str) -> Result<Option<u64>> {
        let route: Value = self.fetch(&format!("{ROUTES}/{route}")).await?;
        let backends = route["spec"]["rules"][0]["backendRefs"].as_array().cloned().unwrap_or_default();
        let found = backends.iter().find(|candidate| candidate["name"] == backend);
        Ok(found.and_then(|backend| backend["weight"].as_u64()))
    }

    /// The tree of a Rollout, as `get rollout` shows it.
    pub(crate) async fn fetch_tree(&self, name: &str, now: Timestamp, paint: Paint) -> Result<String> {
        let rollout = self.fetch_rollout(name).await?;
        let replica_sets: Vec<ReplicaSet> = self.fetch_all(REPLICA_SETS).await?;
        let pods: Vec<Pod> = self.fetch_all(PODS).await?;
        let analysis_runs = self.fetch_analysis_runs().await?;
        let cluster = Cluster {
            replica_sets: &replica_sets,
            pods: &pods,
            experiments: &[],
            analysis_runs: &analysis_runs,
        };
        Ok(render_rollout(&RolloutInfo::new(&rollout, cluster, None), now, paint))
    }

    /// Creates objects in their order.
    ///
    /// # Errors
    /// What the API server said to the first one it refused.
    pub(crate) async fn create(&self, objects: &[Value]) -> Result<()> {
        for object in objects {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (group, version) = text("/apiVersion").rsplit_once('/').unwrap_or(("", text("/apiVersion")));
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
            let api: Api<DynamicObject> = match text("/metadata/namespace") {
                "" => Api::all_with(self.client.clone(), &resource),
                namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
            };
            let wanted: DynamicObject = serde_json::from_value(object.clone())?;
            let creating = || format!("cannot create {} {}", text("/kind"), text("/metadata/name"));
            api.create(&PostParams::default(), &wanted).await.with_context(creating)?;
        }
        Ok(())
    }

    /// Changes a Rollout.
    ///
    /// # Errors
    /// What the API server said.
    pub(crate) async fn patch_rollout(&self, name: &str, patch: &Value) -> Result<()> {
        let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout");
        let resource = ApiResource::from_gvk(&gvk);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &resource);
        let patching = || format!("cannot change Rollout {name}");
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.with_context(patching)?;
        Ok(())
    }

    /// Waits until the pods of versions that serve no more are gone, and returns the Rollout.
    ///
    /// # Errors
    /// If that takes longer than `limit`.
    pub(crate) async fn wait_gone(&self, name: &str, left: usize, limit: Duration) -> Result<Rollout> {
        let waited = timeout(limit, async {
            loop {
                let rollout = self.fetch_rollout(name).await?;
                let pods: Vec<Pod> = self.fetch_all(PODS).await?;
                let own = pods.iter().filter(|pod| pod.metadata.label("app") == Some(name)).count();
                if own == left {
                    return anyhow::Ok(rollout);
                }
                sleep(LOOK).await;
            }
        });
        waited.await.with_context(|| {
            format!("waited {} s in vain for the old pods of Rollout {name} to go", limit.as_secs())
        })?
    }

    /// Waits until a Rollout is as wanted.
    ///
    /// # Errors
    /// If it is aborted instead, or that takes longer than `limit`; with how the Rollout stands.
    pub(crate) async fn wait_for(
        &self,
        name: &str,
        wanted: &str,
        limit: Duration,
        is_so: impl Fn(&Rollout) -> bool,
    ) -> Result<Rollout> {
        let waited = timeout(limit, async {
            loop {
                let rollout = self.fetch_rollout(name).await?;
                if is_so(&rollout) {
                    return anyhow::Ok(rollout);
                }
                if rollout.status.abort && rollout.status.phase == Some(RolloutPhase::Degraded) {
                    bail!("Rollout {name} is not {wanted} but aborted: {}", rollout.status.message);
                }
                sleep(LOOK).await;
            }
        });
        match waited.await {
            Ok(outcome) => outcome,
            Err(_) => {
                let rollout = self.fetch_rollout(name).await?;
                let (phase, message) = glidepath_view::displayed_phase(&rollout);
                bail!(
                    "waited {} s in vain for Rollout {name} to be {wanted}: it is {phase} ({message})",
                    limit.as_secs()
                )
            }
        }
    }
}
