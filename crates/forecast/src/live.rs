//! The live cluster's objects as far as a forecast needs them, and the change to make. Reads only.

use std::collections::BTreeSet;

use glidepath_api::Rollout;
use glidepath_clock::Clock;
use glidepath_kube::Looker;
use glidepath_kube::object::ObjectKey;
use glidepath_kube::references::{router_objects, service_names, workloads};
use glidepath_kube::resource::Kind;
use glidepath_kube::server::RequestError;
use jiff::Timestamp;
use serde_json::Value;

/// Objects of the live cluster, read once.
#[derive(Clone, Debug)]
pub struct Live {
    /// When they were read.
    pub now: Timestamp,
    /// The namespace.
    pub namespace: String,
    /// Name of the Rollout.
    pub name: String,
    /// The Rollout; `None` when it does not exist yet.
    pub rollout: Option<Value>,
    /// Its ReplicaSets.
    pub replica_sets: Vec<Value>,
    /// Services, templates, routers' objects and the referenced workload.
    pub others: Vec<Value>,
}

/// What is to be changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// What it is, in words: `apply rollout.yaml`.
    pub words: String,
    /// Whole objects to create, or whose spec, labels and annotations to take over.
    pub apply: Vec<Value>,
    /// A merge patch of the Rollout's status.
    pub status_patch: Option<Value>,
    /// A merge patch of the Rollout.
    pub patch: Option<Value>,
}

/// Reads what a forecast about a Rollout needs. `applied` are the objects that will be applied: what they refer to is
/// read too.
///
/// # Errors
/// What the API server answers.
pub async fn gather_live(
    client: &kube::Client,
    clock: Clock,
    namespace: &str,
    name: &str,
    applied: &[Value],
) -> Result<Live, RequestError> {
    let looker = Looker::new(client.clone(), clock);
    let path = Kind::Rollout.path(Kind::Rollout.default_version(), namespace, name);
    let rollout = looker.read(&path).await?;
    let mut live = Live {
        now: clock.now(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        rollout,
        replica_sets: Vec::new(),
        others: Vec::new(),
    };
    if let Some(uid) = live.rollout.as_ref().and_then(|rollout| rollout.pointer("/metadata/uid")) {
        let sets = fetch_list(&looker, Kind::ReplicaSet, namespace).await?;
        live.replica_sets = sets.into_iter().filter(|set| is_owned(set, uid)).collect();
    }
    for kind in [Kind::AnalysisTemplate, Kind::ClusterAnalysisTemplate] {
        live.others.extend(fetch_list(&looker, kind, namespace).await?);
    }
    let named = live.rollout.iter().chain(applied.iter().filter(|object| object["kind"] == "Rollout"));
    let rollouts: Vec<Rollout> =
        named.filter_map(|object| serde_json::from_value(object.clone()).ok()).collect();
    for path in referred(&looker, namespace, rollouts).await? {
        live.others.extend(looker.read(&path).await?);
    }
    Ok(live)
}

fn is_owned(object: &Value, uid: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("uid") == Some(uid))
}

async fn fetch_list(looker: &Looker, kind: Kind, namespace: &str) -> Result<Vec<Value>, RequestError> {
    let namespace = if kind.is_namespaced() { namespace } else { "" };
    let path = kind.collection(kind.default_version(), namespace);
    let mut list = match looker.read(&path).await {
        // Who may not see cluster-wide templates does without them.
        Err(RequestError::Refused { code: 403, .. }) if !kind.is_namespaced() => return Ok(Vec::new()),
        list => list?.unwrap_or_default(),
    };
    let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else { return Ok(Vec::new()) };
    let api_version = if kind.group().is_empty() {
        kind.default_version().to_owned()
    } else {
        format!("{}/{}", kind.group(), kind.default_version())
    };
    // Items of lists do not say what they are.
    let named = items.into_iter().map(|mut item| {
        item["apiVersion"] = api_version.clone().into();
        item["kind"] = kind.name().into();
        item
    });
    Ok(named.collect())
}

/// Paths of what Rollouts refer to by name.
async fn referred(
    looker: &Looker,
    namespace: &str,
    rollouts: Vec<Rollout>,
) -> Result<BTreeSet<String>, RequestError> {
    let mut paths = BTreeSet::new();
    for mut rollout in rollouts {
        // A manifest may leave its namespace to the command line.
        namespace.clone_into(&mut rollout.metadata.namespace);
        for service in service_names(&rollout) {
            paths.insert(Kind::Service.path("v1", namespace, &service));
        }
        for reference in router_objects(&rollout) {
            let key = ObjectKey::new(&reference.key.namespace, &reference.key.name);
            paths.extend(looker.locate(reference.kind, &key).await?);
        }
        for reference in workloads(&rollout) {
            paths.extend(looker.locate(reference.kind, &reference.key).await?);
        }
    }
    Ok(paths)
}
