//! Reading and patching objects, by kind. Every request of the program is made here.

use std::fmt::Debug;

use futures::Stream;
use glidepath_api::{AnalysisRun, Experiment, List, ObjectMeta, Pod, ReplicaSet, Rollout};
use kube::Client;
use kube::api::{GetParams, ListParams, Patch, PatchParams, PostParams, Request, WatchEvent, WatchParams};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A kind that is read into a type.
pub trait Kind: DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    /// Where the kind is served.
    const RESOURCE: Resource;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;
}

/// Where a kind is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `/api/v1` or `/apis/group/version`.
    pub api: &'static str,
    /// Plural name.
    pub plural: &'static str,
}

const ARGO: &str = "/apis/argoproj.io/v1alpha1";
const APPS: &str = "/apis/apps/v1";

/// Rollouts.
pub const ROLLOUTS: Resource = Resource { api: ARGO, plural: "rollouts" };
/// Experiments.
pub const EXPERIMENTS: Resource = Resource { api: ARGO, plural: "experiments" };
/// AnalysisRuns.
pub const ANALYSIS_RUNS: Resource = Resource { api: ARGO, plural: "analysisruns" };
/// AnalysisTemplates.
pub const ANALYSIS_TEMPLATES: Resource = Resource { api: ARGO, plural: "analysistemplates" };
/// ClusterAnalysisTemplates.
pub const CLUSTER_ANALYSIS_TEMPLATES: Resource = Resource { api: ARGO, plural: "clusteranalysistemplates" };
/// Deployments.
pub const DEPLOYMENTS: Resource = Resource { api: APPS, plural: "deployments" };
/// ReplicaSets.
pub const REPLICA_SETS: Resource = Resource { api: APPS, plural: "replicasets" };
/// PodTemplates.
pub const POD_TEMPLATES: Resource = Resource { api: "/api/v1", plural: "podtemplates" };
const PODS: Resource = Resource { api: "/api/v1", plural: "pods" };

macro_rules! kinds {
    ($($kind:ty => $resource:ident),+ $(,)?) => {
        $(impl Kind for $kind {
            const RESOURCE: Resource = $resource;

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
        })+
    };
}

kinds! {
    Rollout => ROLLOUTS,
    Experiment => EXPERIMENTS,
    AnalysisRun => ANALYSIS_RUNS,
    ReplicaSet => REPLICA_SETS,
    Pod => PODS,
}

impl Resource {
    /// Requests for the resource in a namespace; in all of them, or for a cluster-wide kind, when `None`.
    fn requests(self, namespace: Option<&str>) -> Request {
        let Self { api, plural } = self;
        Request::new(match namespace {
            Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
            None => format!("{api}/{plural}"),
        })
    }
}

/// Reads one object into a type, or as it is into a [`Value`].
///
/// # Errors
/// What the API server answers.
pub async fn fetch<T: DeserializeOwned>(
    client: &Client,
    resource: Resource,
    namespace: Option<&str>,
    name: &str,
) -> Result<T, kube::Error> {
    let request = resource.requests(namespace).get(name, &GetParams::default());
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

/// Which objects a list is about.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Label selector; all when `None`.
    pub labels: Option<String>,
    /// Field selector; all when `None`.
    pub fields: Option<String>,
}

/// Reads all objects of a kind.
///
/// # Errors
/// What the API server answers.
pub async fn fetch_list<T: Kind>(
    client: &Client,
    namespace: Option<&str>,
    selection: &Selection,
) -> Result<List<T>, kube::Error> {
    let params = ListParams {
        label_selector: selection.labels.clone(),
        field_selector: selection.fields.clone(),
        ..ListParams::default()
    };
    let request = T::RESOURCE.requests(namespace).list(&params);
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

/// Follows a kind from a version on.
///
/// # Errors
/// What the API server answers.
pub async fn watch<T: Kind>(
    client: &Client,
    namespace: Option<&str>,
    selection: &Selection,
    version: &str,
) -> Result<impl Stream<Item = Result<WatchEvent<T>, kube::Error>> + use<T>, kube::Error> {
    let mut params = WatchParams::default();
    params.label_selector.clone_from(&selection.labels);
    params.field_selector.clone_from(&selection.fields);
    let request = T::RESOURCE.requests(namespace).watch(&params, version);
    client.request_events(request.map_err(kube::Error::BuildRequest)?).await
}

/// Sends a merge patch to the object or one of its subresources and returns the object.
///
/// # Errors
/// What the API server answers.
pub async fn apply_merge_patch(
    client: &Client,
    resource: Resource,
    namespace: &str,
    name: &str,
    subresource: Option<&str>,
    patch: &Value,
) -> Result<Value, kube::Error> {
    let requests = resource.requests(Some(namespace));
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let request = match subresource {
        Some(subresource) => requests.patch_subresource(subresource, name, &params, &patch),
        None => requests.patch(name, &params, &patch),
    };
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

/// Sends a JSON patch to the object and returns the object.
///
/// # Errors
/// What the API server answers.
pub async fn apply_json_patch(
    client: &Client,
    resource: Resource,
    namespace: &str,
    name: &str,
    patch: &Value,
) -> Result<Value, kube::Error> {
    let body = serde_json::to_vec(patch).map_err(kube::Error::SerdeError)?;
    let Resource { api, plural } = resource;
    let request = http::Request::patch(format!("{api}/namespaces/{namespace}/{plural}/{name}"))
        .header(http::header::CONTENT_TYPE, "application/json-patch+json")
        .header(http::header::ACCEPT, "application/json")
        .body(body)
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// Replaces an object as a whole and returns it.
///
/// # Errors
/// What the API server answers; a conflict when the object was changed meanwhile.
pub async fn apply_replacement(
    client: &Client,
    resource: Resource,
    namespace: &str,
    name: &str,
    object: &Value,
) -> Result<Value, kube::Error> {
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let request = resource.requests(Some(namespace)).replace(name, &PostParams::default(), body);
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}

/// Creates an object and returns it.
///
/// # Errors
/// What the API server answers.
pub async fn apply_creation(
    client: &Client,
    resource: Resource,
    namespace: Option<&str>,
    object: &Value,
) -> Result<Value, kube::Error> {
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let request = resource.requests(namespace).create(&PostParams::default(), body);
    client.request(request.map_err(kube::Error::BuildRequest)?).await
}
