//! Rollouts by the hundred.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

const AT_ONCE: usize = 16;
/// Looking more often would take processor time from what is measured.
const GLANCE: Duration = Duration::from_millis(500);

/// Creates a namespace unless it exists.
pub(crate) async fn create_namespace(client: &Client, name: &str) -> Result<()> {
    let api = Api::<DynamicObject>::all_with(
        client.clone(),
        &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
    );
    if api.get_opt(name).await?.is_none() {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    }
    Ok(())
}

/// A number of like Rollouts.
pub(crate) struct Fleet {
    api: Api<DynamicObject>,
    prefix: String,
    count: usize,
    replicas: i64,
    steps: Vec<Value>,
}

impl Fleet {
    /// `count` Rollouts called `<prefix>0` and so on, each with a setWeight step per weight.
    pub(crate) fn new(
        client: &Client,
        namespace: &str,
        prefix: &str,
        count: usize,
        replicas: i64,
        weights: &[i64],
    ) -> Self {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout"));
        Self {
            api: Api::namespaced_with(client.clone(), namespace, &resource),
            prefix: prefix.to_owned(),
            count,
            replicas,
            steps: weights.iter().map(|weight| json!({"setWeight": weight})).collect(),
        }
    }

    fn names(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.count).map(|index| format!("{}{index}", self.prefix))
    }

    /// Creates them.
    pub(crate) async fn create(&self) -> Result<()> {
        stream::iter(self.names().map(|name| {
            let object = self.rollout(&name);
            async move {
                self.api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
                anyhow::Ok(())
            }
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
    }

    fn rollout(&self, name: &str) -> Value {
        let env: Vec<Value> =
            (0..10).map(|i| json!({"name": format!("E{i}"), "value": "x".repeat(40)})).collect();
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": name}},
                "strategy": {"canary": {"steps": self.steps, "maxSurge": "25%", "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": {"app": name}, "annotations": {"v": "1"}},
                    "spec": {"containers": [{
                        "name": "web", "image": "a:1", "ports": [{"containerPort": 8080}], "env": env,
                        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
                    }]},
                },
            },
        })
    }

    /// Gives every one of them a new revision.
    pub(crate) async fn update(&self, revision: u32) -> Result<()> {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {"v": revision.to_string()}}}}});
        stream::iter(self.names().map(|name| {
            let patch = &patch;
            async move {
                self.api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
                anyhow::Ok(())
            }
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
    }

    /// Waits until all are Healthy at `revision`.
    pub(crate) async fn wait_healthy(&self, revision: u32) -> Result<()> {
        let start = Instant::now();
        let mut left = Vec::new();
        while start.elapsed() < Duration::from_secs(1200) {
            left.clear();
            for object in self.api.list(&ListParams::default().match_any()).await? {
                let object = serde_json::to_value(object)?;
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                if name.starts_with(&self.prefix)
                    && name[self.prefix.len()..].parse::<usize>().is_ok_and(|index| index < self.count)
                    && !is_healthy(&object, revision)
                {
                    left.push(name.to_owned());
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(GLANCE).await;
        }
        bail!("{} rollouts did not converge, among them {:?}", left.len(), left.first())
    }
}

fn is_healthy(object: &Value, revision: u32) -> bool {
    let status = &object["status"];
    status["phase"] == "Healthy"
        && status["observedGeneration"].as_str() == Some(&object["metadata"]["generation"].to_string())
        && status["stableRS"] == status["currentPodHash"]
        && status["updatedReplicas"] == object["spec"]["replicas"]
        && object["spec"]["template"]["metadata"]["annotations"]["v"].as_str() == Some(&revision.to_string())
}
