//! The plane as its users hold it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use glidepath_clock::Clock;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use kube::api::{Api, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tower::{Layer, Service, ServiceExt};

use crate::access;
use crate::audit::{AuditEntry, AuditRecord};
use crate::body::Body;
use crate::call::{Target, User};
use crate::exec::ExecSource;
use crate::logs::LogSource;
use crate::plane::Plane;
use crate::service::ApiService;
use crate::store::{JournalError, Key, Store};
use crate::write::{create_object, internal_options};

/// Why a plane could not be set up or an object not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data folder cannot be used.
    #[error("cannot open the data folder")]
    Journal(#[from] JournalError),
    /// The plane refused one of its own first objects.
    #[error("cannot set up the plane: {0}")]
    Setup(String),
    /// The API server refused an object.
    #[error("cannot install {name}")]
    Install {
        /// Kind and name.
        name: String,
        /// Its answer.
        source: Box<kube::Error>,
    },
}

/// Settings of a plane.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    clock: Option<Clock>,
    data_dir: Option<PathBuf>,
    seed: u64,
    allow_loopback_endpoints: bool,
}

impl Builder {
    /// Where objects' times come from; the system clock unless told otherwise.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keeps all objects in this folder too. A plane built on it later holds every acknowledged write.
    #[must_use]
    pub fn data_dir(mut self, folder: Option<PathBuf>) -> Self {
        self.data_dir = folder;
        self
    }

    /// Seeds uids and generated names.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Accepts EndpointSlices with 127.x addresses, which a real server refuses: where pods are
    /// local processes they have no others.
    #[must_use]
    pub fn allow_loopback_endpoints(mut self, allow: bool) -> Self {
        self.allow_loopback_endpoints = allow;
        self
    }

    /// Sets the plane up with the namespaces every cluster has. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the data folder cannot be used.
    pub fn build(self) -> Result<Sandbox, Error> {
        let clock = self.clock.unwrap_or_else(Clock::system);
        let store = match &self.data_dir {
            Some(folder) => Store::open(folder)?,
            None => Store::in_memory(),
        };
        // A kept plane must not give out the uids of its earlier runs again.
        let seed = self.seed.wrapping_add(store.lock().resource_version());
        let plane = Arc::new(Plane::new(store, clock, seed, self.allow_loopback_endpoints));
        crate::crd::follow_all(&plane);
        set_up(&plane)?;
        Ok(Sandbox { plane })
    }
}

/// The namespaces, priority classes and services that a fresh cluster comes with.
fn set_up(plane: &Plane) -> Result<(), Error> {
    let class = |value: i64, description: &str| json!({ "value": value, "description": description });
    let first: [(&str, &str, &str, &str, Value); 7] = [
        ("", "namespaces", "", "default", json!({})),
        ("", "namespaces", "", "kube-system", json!({})),
        ("", "namespaces", "", "kube-public", json!({})),
        ("", "namespaces", "", "kube-node-lease", json!({})),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            "",
            "system-cluster-critical",
            class(
                2_000_000_000,
                "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
            ),
        ),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            "",
            "system-node-critical",
            class(
                2_000_001_000,
                "Used for system critical pods that must not be moved from their current node.",
            ),
        ),
        (
            "",
            "services",
            "default",
            "kubernetes",
            json!({
                "metadata": { "labels": { "component": "apiserver", "provider": "kubernetes" } },
                "spec": { "clusterIP": "10.96.0.1", "ports": [{ "name": "https", "port": 443, "targetPort": 6443 }] },
            }),
        ),
    ];
    for (group, plural, namespace, name, object) in first {
        set_up_one(plane, (group, plural), namespace, name, object)?;
    }
    // Any seed will do, as long as later uids do not depend on how many roles there are.
    plane.with_own_random(0x0072_6f6c_6573, || -> Result<(), Error> {
        for (plural, object) in access::bootstrap::objects() {
            let name = crate::document::name(&object).to_owned();
            set_up_one(plane, (access::GROUP, plural), "", &name, object)?;
        }
        Ok(())
    })?;
    plane.store.lock().compact();
    Ok(())
}

/// Creates one object, unless a kept plane has it already.
fn set_up_one(
    plane: &Plane,
    (group, plural): (&str, &str),
    namespace: &str,
    name: &str,
    mut object: Value,
) -> Result<(), Error> {
    let mut contents = plane.store.lock();
    let Some((resource, version)) = plane.registry.find(group, "v1", plural) else { return Ok(()) };
    if contents.get(&resource.table, &Key::new(namespace, name)).is_some() {
        return Ok(());
    }
    crate::document::metadata(&mut object).insert("name".into(), json!(name));
    let target = Target {
        resource,
        version,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: String::new(),
    };
    create_object(plane, &mut contents, &target, object, &internal_options(), &mut Vec::new())
        .map_err(|refusal| Error::Setup(refusal.to_string()))?;
    Ok(())
}

/// A running plane. Cloning is cheap; it lives as long as any clone or client of it.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) plane: Arc<Plane>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts with the defaults: in memory, system clock, seed 0.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The API as a service. Requests without credentials of their own are the administrator's.
    #[must_use]
    pub fn service(&self) -> ApiService {
        ApiService::new(Arc::clone(&self.plane), User::admin())
    }

    /// An in-process client that needs no sockets. `label` is its `User-Agent`, by which the audit
    /// tells clients apart; `namespace` is its default namespace.
    #[must_use]
    pub fn client(&self, label: &str, namespace: &str) -> kube::Client {
        kube::Client::new(Labelled::new(self.service(), label), namespace)
    }

    /// An in-process client that may do only what roles and bindings allow a ServiceAccount to do.
    #[must_use]
    pub fn client_of_service_account(&self, label: &str, namespace: &str, account: &str) -> kube::Client {
        let user = User::service_account(namespace, account);
        let service = ApiService::new(Arc::clone(&self.plane), user);
        kube::Client::new(Labelled::new(service, label), namespace)
    }

    /// An in-process client behind a layer, for instance [`crate::Faults`].
    #[must_use]
    pub fn client_with_layer<L, S>(&self, label: &str, namespace: &str, layer: &L) -> kube::Client
    where
        L: Layer<ApiService, Service = S>,
        S: Service<Request<kube::client::Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        kube::Client::new(Labelled::new(layer.layer(self.service()), label), namespace)
    }

    /// The clock that objects' times come from.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.plane.clock
    }

    /// Forgets the history: watches and pages that lag behind are answered 410 from now on.
    pub fn compact(&self) {
        self.plane.store.lock().compact();
    }

    /// The number of the last write.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.plane.store.lock().resource_version()
    }

    /// How often each kind of request was answered, since the start or the last [`Self::reset_audit`].
    #[must_use]
    pub fn audit(&self) -> BTreeMap<AuditEntry, u64> {
        self.plane.audit.counts()
    }

    /// Starts counting anew.
    pub fn reset_audit(&self) {
        self.plane.audit.reset();
    }

    /// Every request from now on, as it is answered.
    #[must_use]
    pub fn subscribe_audit(&self) -> broadcast::Receiver<AuditRecord> {
        self.plane.audit.subscribe()
    }

    /// Registers who serves pod logs.
    pub fn set_log_source(&self, source: Arc<dyn LogSource>) {
        *self.plane.logs.write().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// Registers who runs commands in containers.
    pub fn set_exec_source(&self, source: Arc<dyn ExecSource>) {
        *self.plane.execs.write().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// Puts objects into the store as they were recorded elsewhere, with their uids, times and status: what is not part
    /// of any request. Only their versions are this plane's.
    ///
    /// # Errors
    /// When the plane does not serve the kind of one of them.
    pub fn restore(&self, objects: impl IntoIterator<Item = Value>) -> Result<(), Error> {
        let served = self.plane.registry.all();
        let mut contents = self.plane.store.lock();
        for object in objects {
            let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
            let resource = served.iter().find(|resource| resource.group == group && resource.kind == kind);
            let Some(resource) = resource else {
                return Err(Error::Setup(format!("no kind {kind} in {api_version}")));
            };
            contents.put(&resource.table, object);
        }
        Ok(())
    }

    /// Installs CustomResourceDefinitions through the API; those that exist already are left as they are.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub async fn install_crds(&self, definitions: &[Value]) -> Result<(), Error> {
        let client = self.client("sandbox-setup", "default");
        let resource = kube::core::ApiResource {
            group: "apiextensions.k8s.io".into(),
            version: "v1".into(),
            api_version: "apiextensions.k8s.io/v1".into(),
            kind: "CustomResourceDefinition".into(),
            plural: "customresourcedefinitions".into(),
        };
        let api: Api<DynamicObject> = Api::all_with(client, &resource);
        for definition in definitions {
            let name = crate::document::name(definition).to_owned();
            let install = |source: kube::Error| Error::Install {
                name: format!("CustomResourceDefinition {name}"),
                source: Box::new(source),
            };
            let object: DynamicObject = serde_json::from_value(definition.clone())
                .map_err(|error| install(kube::Error::SerdeError(error)))?;
            match api.create(&PostParams::default(), &object).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(install(error)),
            }
        }
        Ok(())
    }
}

/// Puts a `User-Agent` on every request.
#[derive(Clone)]
struct Labelled<S> {
    inner: S,
    label: HeaderValue,
}

impl<S> Labelled<S> {
    fn new(inner: S, label: &str) -> Self {
        let label = HeaderValue::from_str(label).unwrap_or(HeaderValue::from_static("unnamed"));
        Self { inner, label }
    }
}

impl<S, B> Service<Request<B>> for Labelled<S>
where
    S: Service<Request<B>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = tower::util::Oneshot<S, Request<B>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.headers_mut().insert(USER_AGENT, self.label.clone());
        self.inner.clone().oneshot(request)
    }
}
