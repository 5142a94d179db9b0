//! The edge to the API server: plain requests over a `kube::Client`, and what its errors mean.

use futures::stream::BoxStream;
use http::{Method, Request};
use kube::Client;
use kube::core::WatchEvent;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::object::{Key, Object};
use crate::resource::Resource;

/// How many seconds one watch request lasts before it is renewed.
pub(crate) const WATCH_SECONDS: u64 = 1800;

/// How much of each object a list or watch carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// The whole object.
    Whole,
    /// Its metadata only.
    Metadata,
}

impl Depth {
    fn list_accept(self) -> &'static str {
        match self {
            Self::Whole => PLAIN,
            Self::Metadata => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        }
    }

    fn watch_accept(self) -> &'static str {
        match self {
            Self::Whole => PLAIN,
            Self::Metadata => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
    }
}

const PLAIN: &str = "application/json";
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What became of dependents when an owner is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Dependents go after the owner is gone.
    Background,
    /// The owner stays until its blocking dependents are gone.
    Foreground,
    /// Dependents stay and lose their reference.
    Orphan,
}

impl Propagation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

/// How to delete one object. The default deletes unconditionally, as the kind defaults say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds of grace; zero removes at once.
    pub grace_seconds: Option<i64>,
    /// What happens to dependents.
    pub propagation: Option<Propagation>,
    /// Refuse if the object has another UID.
    pub uid: Option<String>,
    /// Refuse if the object has another resource version.
    pub resource_version: Option<String>,
}

impl DeleteOptions {
    fn body(&self) -> Value {
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = self.grace_seconds {
            body["gracePeriodSeconds"] = json!(seconds);
        }
        if let Some(propagation) = self.propagation {
            body["propagationPolicy"] = json!(propagation.as_str());
        }
        if let Some(uid) = &self.uid {
            body["preconditions"]["uid"] = json!(uid);
        }
        if let Some(version) = &self.resource_version {
            body["preconditions"]["resourceVersion"] = json!(version);
        }
        body
    }
}

/// A client that speaks in untyped objects.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

impl Api {
    /// Wraps a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads one object.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn fetch(&self, resource: &Resource, key: &Key) -> kube::Result<Object> {
        self.send(Method::GET, object_path(resource, key, None), None, Vec::new()).await.map(Object::from)
    }

    /// Reads a subresource of an object.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn fetch_subresource(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: &str,
    ) -> kube::Result<Object> {
        let path = object_path(resource, key, Some(subresource));
        self.send(Method::GET, path, None, Vec::new()).await.map(Object::from)
    }

    /// Reads the aggregated discovery document of `/api` or `/apis`.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn fetch_discovery(&self, path: &str) -> kube::Result<Value> {
        let request = build(Method::GET, path.to_owned(), DISCOVERY, None, Vec::new())?;
        self.client.request::<Value>(request).await
    }

    /// Reads a collection of whole objects; see [`Self::fetch_list_at`].
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn fetch_list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
    ) -> kube::Result<(Vec<Object>, String)> {
        self.fetch_list_at(resource, namespace, Depth::Whole).await
    }

    /// Reads a whole collection page by page; also returns the resource version it stands for.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn fetch_list_at(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        depth: Depth,
    ) -> kube::Result<(Vec<Object>, String)> {
        let mut objects = Vec::new();
        let mut next = String::new();
        loop {
            let mut path = format!("{}?limit=500", resource.collection_path(namespace));
            if !next.is_empty() {
                path = format!("{path}&continue={}", percent_encode(&next));
            }
            let page: List =
                self.client.request(build(Method::GET, path, depth.list_accept(), None, Vec::new())?).await?;
            objects.extend(page.items.into_iter().flatten().map(prune));
            next = page.metadata.next;
            if next.is_empty() {
                return Ok((objects, page.metadata.resource_version));
            }
        }
    }

    /// Opens a watch on a collection from a resource version on.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn watch(
        &self,
        resource: &Resource,
        depth: Depth,
        resource_version: &str,
    ) -> kube::Result<BoxStream<'static, kube::Result<WatchEvent<Value>>>> {
        let path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={resource_version}",
            resource.collection_path(None)
        );
        let request = build(Method::GET, path, depth.watch_accept(), None, Vec::new())?;
        Ok(Box::pin(self.client.request_events::<Value>(request).await?))
    }

    /// Creates an object (or posts to a subresource such as `binding`).
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn send_create(
        &self,
        resource: &Resource,
        namespace: &str,
        body: &Value,
    ) -> kube::Result<Object> {
        let path = resource.collection_path(Some(namespace));
        self.send(Method::POST, path, Some("application/json"), encode(body)?).await.map(Object::from)
    }

    /// Posts to a subresource of an object.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn send_post(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: &str,
        body: &Value,
    ) -> kube::Result<Value> {
        let path = object_path(resource, key, Some(subresource));
        self.send(Method::POST, path, Some("application/json"), encode(body)?).await
    }

    /// Replaces an object or a subresource of it.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn send_replace(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: Option<&str>,
        body: &Value,
    ) -> kube::Result<Object> {
        let path = object_path(resource, key, subresource);
        self.send(Method::PUT, path, Some("application/json"), encode(body)?).await.map(Object::from)
    }

    /// Sends a JSON merge patch to an object or a subresource of it.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn send_patch(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: Option<&str>,
        patch: &Value,
    ) -> kube::Result<Object> {
        let path = object_path(resource, key, subresource);
        let media = Some("application/merge-patch+json");
        self.send(Method::PATCH, path, media, encode(patch)?).await.map(Object::from)
    }

    /// Deletes an object. The answer is the object (still there, or its last state) or a Status.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn send_delete(
        &self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> kube::Result<Value> {
        let path = object_path(resource, key, None);
        self.send(Method::DELETE, path, Some("application/json"), encode(&options.body())?).await
    }

    /// Deletes every object of a collection in one namespace.
    ///
    /// # Errors
    /// What the server or the transport answered.
    pub async fn send_delete_collection(&self, resource: &Resource, namespace: &str) -> kube::Result<Value> {
        let path = resource.collection_path(Some(namespace));
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        self.send(Method::DELETE, path, Some("application/json"), encode(&options.body())?).await
    }

    async fn send(
        &self,
        method: Method,
        path: String,
        media: Option<&str>,
        body: Vec<u8>,
    ) -> kube::Result<Value> {
        self.client.request::<Value>(build(method, path, PLAIN, media, body)?).await
    }
}

fn build(
    method: Method,
    path: String,
    accept: &str,
    media: Option<&str>,
    body: Vec<u8>,
) -> kube::Result<Request<Vec<u8>>> {
    let mut request = Request::builder().method(method).uri(path).header(http::header::ACCEPT, accept);
    if let Some(media) = media {
        request = request.header(http::header::CONTENT_TYPE, media);
    }
    request.body(body).map_err(kube::Error::HttpError)
}

fn encode(body: &Value) -> kube::Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(kube::Error::SerdeError)
}

fn object_path(resource: &Resource, key: &Key, subresource: Option<&str>) -> String {
    let collection = resource.collection_path(Some(&key.namespace));
    match subresource {
        Some(subresource) => format!("{collection}/{}/{subresource}", key.name),
        None => format!("{collection}/{}", key.name),
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Drops what no controller reads, so that caches stay small.
pub(crate) fn prune(mut value: Value) -> Object {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    // Of a pod these are a third, and no kubelet here mounts anything.
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut)
        && spec.contains_key("containers")
    {
        spec.remove("volumes");
        for kind in ["containers", "initContainers"] {
            for container in spec.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.remove("volumeMounts");
                }
            }
        }
    }
    Object::from(value)
}

/// Whether the object (or its namespace) is not there.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the write lost against another one, or its precondition no longer holds.
#[must_use]
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.reason != "AlreadyExists")
}

/// Whether an object of that name is already there.
#[must_use]
pub fn is_already_exists(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.reason == "AlreadyExists")
}

/// Whether the namespace is being deleted and takes no new objects.
#[must_use]
pub fn is_namespace_terminating(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.code == 403 && (status.message.contains("being terminated")
            || status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == "NamespaceTerminating")))
}

/// The sentence a server gave, or the transport's error.
#[must_use]
pub fn message_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
