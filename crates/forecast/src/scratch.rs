//! The scratch plane: an API server of its own with copies of the live objects, the workload controllers and a model
//! kubelet.

use std::collections::BTreeSet;
use std::time::Duration;

use glidepath_api::names;
use glidepath_clock::Clock;
use glidepath_kube::resource::Kind;
use glidepath_sandbox::Sandbox;
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::{Controller, Workloads};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::{Map, Value, json};

use crate::forecast::ForecastError;
use crate::live::Live;

/// How long before the live moment the scratch plane begins, so that pods that run live have time to become ready.
const LEAD: SignedDuration = SignedDuration::from_mins(30);
/// Controllers that shape a rollout's pods; autoscalers and disruption budgets have no load to go by here.
const CONTROLLERS: [Controller; 6] = [
    Controller::ReplicaSet,
    Controller::Deployment,
    Controller::EndpointSlice,
    Controller::Garbage,
    Controller::Scheduler,
    Controller::Job,
];

/// A scratch plane at work.
pub(crate) struct Scratch {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) namespace: String,
    _workloads: Workloads,
}

impl Scratch {
    /// Copies the live objects and waits, in virtual time, for their pods.
    pub(crate) async fn of(live: &Live) -> Result<Self, ForecastError> {
        let clock = Clock::starting_at(live.now.saturating_sub(LEAD).unwrap_or(live.now));
        let sandbox = Sandbox::builder().clock(clock).seed(1).build().map_err(broken)?;
        sandbox.install_crds(glidepath_api::crd::all()).await.map_err(broken)?;
        sandbox.install_crds(&router_definitions()).await.map_err(broken)?;
        let client = sandbox.client("forecast", &live.namespace);
        let workloads = Workloads::builder(sandbox.client("workloads", &live.namespace))
            .clock(clock)
            .controllers(CONTROLLERS)
            .model_nodes([node(live)])
            .spawn();
        let namespace = live.namespace.clone();
        let scratch = Self { sandbox, client, clock, namespace, _workloads: workloads };
        scratch.seed(live).await?;
        clock.sleep_until(live.now).await;
        Ok(scratch)
    }

    async fn seed(&self, live: &Live) -> Result<(), ForecastError> {
        self.ensure_namespace(&self.namespace).await?;
        for object in &live.others {
            self.create(object).await?;
        }
        let Some(rollout) = &live.rollout else { return Ok(()) };
        let created = self.create(rollout).await?;
        self.seed_status(rollout, &created).await?;
        let mut sets: Vec<&Value> = live.replica_sets.iter().collect();
        sets.sort_by_key(|set| text(set, "/metadata/creationTimestamp"));
        for set in sets {
            // Age decides between sets, and times have whole seconds.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut copy = set.clone();
            for owner in copy["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
                owner["uid"] = created["metadata"]["uid"].clone();
            }
            self.create(&copy).await?;
        }
        Ok(())
    }

    /// The live status, told of the generation this plane counts.
    async fn seed_status(&self, live: &Value, created: &Value) -> Result<(), ForecastError> {
        let Some(mut status) = live.get("status").filter(|status| status.is_object()).cloned() else {
            return Ok(());
        };
        let generation = live["metadata"]["generation"].as_i64().unwrap_or_default().to_string();
        if status["observedGeneration"].as_str() == Some(generation.as_str()) {
            let generation = created["metadata"]["generation"].as_i64().unwrap_or(1);
            status["observedGeneration"] = generation.to_string().into();
        }
        let (name, patch) = (text(live, "/metadata/name"), json!({ "status": status }));
        self.patch(Kind::Rollout, &name, Some("status"), &patch).await.map(drop)
    }

    async fn ensure_namespace(&self, name: &str) -> Result<(), ForecastError> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        match self.send(Method::POST, "/api/v1/namespaces", "application/json", &namespace).await {
            Err(ForecastError::Refused { code: 409, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Creates a copy of an object without what belongs to its life elsewhere.
    pub(crate) async fn create(&self, object: &Value) -> Result<Value, ForecastError> {
        let mut copy = plain_copy(object);
        let namespace = match text(&copy, "/metadata/namespace") {
            namespace if namespace.is_empty() => self.namespace.clone(),
            namespace => namespace,
        };
        if namespace != self.namespace {
            self.ensure_namespace(&namespace).await?;
        }
        copy["metadata"]["namespace"] = namespace.clone().into();
        let path = collection_path(&copy, &namespace)?;
        self.send(Method::POST, &path, "application/json", &copy).await
    }

    /// Takes over spec, labels and annotations of a manifest, or creates it; returns the object.
    pub(crate) async fn apply(&self, manifest: &Value) -> Result<Value, ForecastError> {
        let namespace = match text(manifest, "/metadata/namespace") {
            namespace if namespace.is_empty() => self.namespace.clone(),
            namespace => namespace,
        };
        let path = format!("{}/{}", collection_path(manifest, &namespace)?, text(manifest, "/metadata/name"));
        let mut stored = match self.send(Method::GET, &path, "application/json", &Value::Null).await {
            Ok(stored) => stored,
            Err(ForecastError::Refused { code: 404, .. }) => return self.create(manifest).await,
            Err(error) => return Err(error),
        };
        let plain = plain_copy(manifest);
        // A manifest without a number of pods leaves it to who scales it.
        let replicas = stored.pointer("/spec/replicas").cloned();
        if let Some(spec) = plain.get("spec") {
            stored["spec"] = spec.clone();
        }
        if let (Some(replicas), Some(Value::Object(spec))) = (replicas, stored.get_mut("spec")) {
            spec.entry("replicas").or_insert(replicas);
        }
        for field in ["labels", "annotations"] {
            for (key, value) in plain["metadata"][field].as_object().into_iter().flatten() {
                stored["metadata"][field][key] = value.clone();
            }
        }
        self.send(Method::PUT, &path, "application/json", &stored).await
    }

    /// Sends a merge patch; returns the object.
    pub(crate) async fn patch(
        &self,
        kind: Kind,
        name: &str,
        subresource: Option<&str>,
        patch: &Value,
    ) -> Result<Value, ForecastError> {
        let mut path = kind.path(kind.default_version(), &self.namespace, name);
        if let Some(subresource) = subresource {
            path = format!("{path}/{subresource}");
        }
        self.send(Method::PATCH, &path, "application/merge-patch+json", patch).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, ForecastError> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, content)
            .header(http::header::ACCEPT, "application/json")
            .body(body)
            .map_err(|error| ForecastError::Broken(error.to_string()))?;
        self.client.request(request).await.map_err(|error| match error {
            kube::Error::Api(status) => {
                ForecastError::Refused { code: status.code, message: status.message.clone() }
            }
            other => ForecastError::Broken(other.to_string()),
        })
    }
}

fn broken(error: impl std::error::Error) -> ForecastError {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    ForecastError::Broken(format!("{error}{cause}"))
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The node every pod fits on: it has every label that pods of these objects select nodes by.
fn node(live: &Live) -> NodeConfig {
    let mut config = NodeConfig::new("forecast");
    let mut seen = BTreeSet::new();
    let templates = live.rollout.iter().chain(&live.replica_sets).chain(&live.others);
    for selector in
        templates.filter_map(|object| object.pointer("/spec/template/spec/nodeSelector")?.as_object())
    {
        for (key, value) in selector {
            if let Some(value) = value.as_str().filter(|_| seen.insert(key.clone())) {
                config.labels.push((key.clone(), value.to_owned()));
            }
        }
    }
    config
}

/// An object without uid, versions, owners elsewhere, and what the server fills in.
fn plain_copy(object: &Value) -> Value {
    let mut copy = object.clone();
    if let Some(fields) = copy.as_object_mut() {
        fields.remove("status");
    }
    let is_set = copy["kind"] == "ReplicaSet";
    if let Some(metadata) = copy.get_mut("metadata").and_then(Value::as_object_mut) {
        let kept = ["name", "namespace", "labels", "annotations"];
        metadata.retain(|field, _| kept.contains(&field.as_str()) || (is_set && field == "ownerReferences"));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(names::LAST_APPLIED);
        }
    }
    // The routers' kinds are served in one version here, whatever the live cluster offers.
    let router = copy["kind"].as_str().and_then(Kind::from_name).filter(|kind| kind.is_optional());
    if let Some(kind) = router {
        copy["apiVersion"] = format!("{}/{}", kind.group(), kind.default_version()).into();
    }
    if copy["kind"] == "Service" {
        let spec =
            copy.get_mut("spec").and_then(Value::as_object_mut).map(std::mem::take).unwrap_or_default();
        copy["spec"] = plain_service(spec);
    }
    copy
}

/// A Service's selector and ports: addresses and node ports belong to the cluster it came from.
fn plain_service(spec: Map<String, Value>) -> Value {
    let ports = spec.get("ports").and_then(Value::as_array).into_iter().flatten().map(|port| {
        let mut port = port.clone();
        if let Some(fields) = port.as_object_mut() {
            fields.remove("nodePort");
        }
        port
    });
    let ports: Vec<Value> = ports.collect();
    let ports = if ports.is_empty() { vec![json!({"port": 80})] } else { ports };
    json!({"selector": spec.get("selector"), "ports": ports})
}

fn collection_path(object: &Value, namespace: &str) -> Result<String, ForecastError> {
    let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let known = Kind::from_name(&kind).filter(|known| known.group() == group);
    let (plural, namespaced) = match known {
        Some(known) => (known.plural(), known.is_namespaced()),
        None => return Err(ForecastError::UnknownKind(format!("{api_version} {kind}").trim().to_owned())),
    };
    let version = known.filter(|known| known.is_optional()).map_or(version, |known| known.default_version());
    let namespace = if namespaced { namespace } else { "" };
    Ok(glidepath_kube::resource::collection(group, version, plural, namespace))
}

/// Definitions of the routers' kinds, without schemas: what the live cluster accepted is accepted here.
fn router_definitions() -> Vec<Value> {
    let routers = Kind::ALL.into_iter().filter(|kind| kind.is_optional());
    let definition = |kind: Kind| {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{}.{}", kind.plural(), kind.group()),
                // The Gateway API's group asks for a word of approval.
                "annotations": {"api-approved.kubernetes.io": "unapproved, forecast only"}},
            "spec": {
                "group": kind.group(), "scope": "Namespaced",
                "names": {"kind": kind.name(), "plural": kind.plural(), "singular": kind.name().to_lowercase(),
                    "listKind": format!("{}List", kind.name())},
                "versions": [{"name": kind.default_version(), "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object",
                        "x-kubernetes-preserve-unknown-fields": true}}}],
            },
        })
    };
    routers.map(definition).collect()
}

/// The moment of the live cluster, again: what virtual time is counted from.
pub(crate) fn since(start: Timestamp, at: Timestamp) -> i64 {
    // A decision comes a few milliseconds after what caused it.
    at.duration_since(start).as_millis().max(0).saturating_add(500).try_into().map_or(0, |ms: i64| ms / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_keep_what_a_user_wrote_and_nothing_of_their_life() {
        let live = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "managedFields": [],
                "annotations": {"a": "b", names::LAST_APPLIED: "{}"}, "ownerReferences": [{"uid": "x"}]},
            "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "type": "NodePort", "selector": {"app": "web"},
                "ports": [{"port": 80, "nodePort": 30000}]},
            "status": {"loadBalancer": {}}});
        assert_eq!(
            plain_copy(&live),
            json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "web", "namespace": "shop", "annotations": {"a": "b"}},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
        );
    }

    #[test]
    fn objects_find_their_place_and_strange_kinds_are_named() {
        for (object, want) in [
            (
                json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}),
                "/apis/argoproj.io/v1alpha1/namespaces/n/rollouts",
            ),
            (json!({"apiVersion": "v1", "kind": "Service"}), "/api/v1/namespaces/n/services"),
            (
                json!({"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService"}),
                "/apis/networking.istio.io/v1/namespaces/n/virtualservices",
            ),
            (
                json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ClusterAnalysisTemplate"}),
                "/apis/argoproj.io/v1alpha1/clusteranalysistemplates",
            ),
        ] {
            assert_eq!(collection_path(&object, "n").unwrap(), want);
        }
        let error = collection_path(&json!({"apiVersion": "v1", "kind": "Pod"}), "n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot foresee what v1 Pod will do: apply it first, or leave it out of the file"
        );
    }
}
