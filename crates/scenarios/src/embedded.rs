//! The embedded plane with our controller on it: in one thread and virtual time for stories, or over HTTPS
//! for programs that want a cluster.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use glidepath_clock::Clock;
use glidepath_core::snapshot::Settings;
use glidepath_kube::lease::LeaseOptions;
use glidepath_kube::{Decisions, Options};
use glidepath_metrics::{HttpRequest, HttpResponse, SendError, Sender};
use glidepath_sandbox::{ApiService, Faults, Intercepted, Sandbox};
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::{Controller, Workloads};
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::task::JoinHandle;
use tower::Layer as _;

use crate::manifests::istio_definitions;
use crate::metric_host::Script;
use crate::permissions::{ACCOUNT, apply_permissions, shipped};
use crate::plane::Plane;
use crate::run::tell;
use crate::story::Story;
use crate::walk::{Inspection, Inspector, Lateness};

/// Where metrics are asked in virtual time; nothing resolves this name.
const METRIC_HOST: &str = "http://metrics.test";
/// What our controller calls itself in the plane's audit.
pub const CONTROLLER: &str = "glidepath";
/// How long a killed controller stays away.
const RESTART: Duration = Duration::from_secs(1);
/// When every story in virtual time begins.
const BEGINNING: &str = "2026-01-01T00:00:00Z";

/// Tells a story on a plane of its own, in virtual time and one thread; panics if it does not hold.
///
/// # Panics
/// With what went wrong.
pub fn tell_in_virtual_time(story: &Story) {
    let told = in_virtual_time(async |plane| tell(story, plane, "story").await);
    if let Err(error) = told {
        panic!("{error:#}");
    }
}

/// Runs something on a plane of its own, in virtual time and one thread.
///
/// # Errors
/// When the plane cannot be set up, or what was run fails.
pub fn in_virtual_time<T>(play: impl AsyncFnOnce(&EmbeddedPlane) -> Result<T>) -> Result<T> {
    in_virtual_time_with(Terms::usual()?, play)
}

/// The same on other terms.
///
/// # Errors
/// When the plane cannot be set up, or what was run fails.
pub fn in_virtual_time_with<T>(
    terms: Terms,
    play: impl AsyncFnOnce(&EmbeddedPlane) -> Result<T>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let plane = EmbeddedPlane::start_with(terms).await?;
        play(&plane).await
    })
}

/// What stands between the controller and the plane.
pub(crate) type Layers = (Faults, Lateness, Arc<Inspector>);

/// As [`in_virtual_time`], with layers between the controller and the plane.
pub(crate) fn in_virtual_time_behind<T>(
    layers: Layers,
    play: impl AsyncFnOnce(&EmbeddedPlane) -> Result<T>,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let plane = EmbeddedPlane::start_behind(Terms::usual()?, Some(layers)).await?;
        play(&plane).await
    })
}

/// On which terms our controller works, and how long a story waits for it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What is applied so that it may do its work.
    pub permissions: Vec<Value>,
    /// Whether it competes for the lease.
    pub elects: bool,
    /// How long a story waits for anything.
    pub patience: Duration,
    /// How often it looks.
    pub glance: Duration,
    /// When the plane begins.
    pub beginning: Timestamp,
    /// Objects that are there from the beginning, as they were recorded elsewhere.
    pub found: Vec<Value>,
}

impl Terms {
    /// The permissions we ship and a lone controller.
    ///
    /// # Errors
    /// When what we ship cannot be read.
    pub fn usual() -> Result<Self> {
        Ok(Self {
            permissions: shipped()?,
            elects: false,
            patience: Duration::from_secs(600),
            glance: Duration::from_millis(250),
            beginning: BEGINNING.parse().context("the beginning of time")?,
            found: Vec::new(),
        })
    }
}

/// The embedded plane with workload controllers, a model node and our controller.
pub struct EmbeddedPlane {
    sandbox: Sandbox,
    script: Script,
    _workloads: Workloads,
    controller: Mutex<JoinHandle<()>>,
    patience: Duration,
    glance: Duration,
}

impl EmbeddedPlane {
    /// Starts everything on tokio's current clock; our controller works as the account we ship.
    ///
    /// # Errors
    /// When the definitions cannot be installed.
    pub async fn start() -> Result<Self> {
        Self::start_with(Terms::usual()?).await
    }

    /// The same on other terms.
    ///
    /// # Errors
    /// When the definitions or permissions cannot be installed.
    pub async fn start_with(terms: Terms) -> Result<Self> {
        Self::start_behind(terms, None).await
    }

    async fn start_behind(terms: Terms, layers: Option<Layers>) -> Result<Self> {
        let clock = Clock::starting_at(terms.beginning);
        let sandbox = Sandbox::builder().clock(clock).seed(1).build()?;
        install_definitions(&sandbox).await?;
        apply_permissions(&sandbox.client("administrator", "default"), &terms.permissions).await?;
        sandbox.restore(terms.found)?;
        let workloads = start_workloads(&sandbox, clock);
        let script = Script::default();
        let client = match layers {
            Some((faults, lateness, inspector)) => {
                inspector.look_through(sandbox.client("inspector", "default"));
                let layer = tower::layer::layer_fn(move |service: ApiService| {
                    let inspected = Intercepted::new(service, Inspection(Arc::clone(&inspector)));
                    faults.layer(Intercepted::new(inspected, lateness.clone()))
                });
                sandbox.client_with_layer(CONTROLLER, "default", &layer)
            }
            None => sandbox.client_of_service_account(CONTROLLER, ACCOUNT.0, ACCOUNT.1),
        };
        let controller = Mutex::new(start_controller(client, clock, &script, options(terms.elects)));
        let (patience, glance) = (terms.patience, terms.glance);
        Ok(Self { sandbox, script, _workloads: workloads, controller, patience, glance })
    }

    /// Kills the controller once `doom` comes true and starts another, which meets no mishap any more.
    pub(crate) async fn restart_when(&self, doom: impl Future<Output = ()>) {
        doom.await;
        self.controller.lock().unwrap_or_else(PoisonError::into_inner).abort();
        tokio::time::sleep(RESTART).await;
        let client = self.sandbox.client_of_service_account(CONTROLLER, ACCOUNT.0, ACCOUNT.1);
        *self.controller.lock().unwrap_or_else(PoisonError::into_inner) =
            start_controller(client, self.sandbox.clock(), &self.script, options(false));
    }

    /// The plane's API server.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Drop for EmbeddedPlane {
    fn drop(&mut self) {
        self.controller.lock().unwrap_or_else(PoisonError::into_inner).abort();
    }
}

fn start_controller(client: Client, clock: Clock, script: &Script, options: Options) -> JoinHandle<()> {
    let sender = Arc::new(Scripted(script.clone()));
    tokio::spawn(async move {
        // Ends only with the runtime; an error would show in the story as nothing happening.
        let _ = glidepath_kube::run(client, clock, options, sender, std::future::pending()).await;
    })
}

fn options(elects: bool) -> Options {
    let mut lease = LeaseOptions::new(ACCOUNT.0, "", "stories");
    // A lone controller need not renew anything every two virtual seconds.
    lease.elect = elects;
    Options {
        namespace: String::new(),
        settings: Settings::default(),
        lease,
        qps: 0.0,
        burst: 0,
        metrics_address: None,
        health_address: None,
        istio_version: String::new(),
        decisions: Decisions::default(),
        only: None,
        on_decision: None,
    }
}

async fn install_definitions(sandbox: &Sandbox) -> Result<()> {
    let mut definitions = glidepath_api::crd::all().to_vec();
    definitions.extend(glidepath_dataplane::crds());
    definitions.extend(istio_definitions());
    sandbox.install_crds(&definitions).await?;
    Ok(())
}

fn start_workloads(sandbox: &Sandbox, clock: Clock) -> Workloads {
    Workloads::builder(sandbox.client("workloads", "default"))
        .clock(clock)
        .controllers(Controller::ALL)
        .model_nodes([NodeConfig::new("model")])
        .spawn()
}

#[async_trait(?Send)]
impl Plane for EmbeddedPlane {
    fn client(&self) -> Client {
        self.sandbox.client("story", "default")
    }

    fn metric_host(&self) -> String {
        METRIC_HOST.to_owned()
    }

    fn script_metric(&self, path: &str, answers: Vec<(u16, String)>) {
        self.script.set(path, answers);
    }

    async fn plugin(&self, namespace: &str, words: &[String]) -> Result<String> {
        let (out, err) = (Sink::default(), Sink::default());
        let mut output = glidepath_cli::Output::new(Box::new(out.clone()), Box::new(err.clone()), false);
        let client = self.sandbox.client("plugin", namespace);
        let cluster = glidepath_cli::Cluster::Given(client, namespace.to_owned(), self.sandbox.clock());
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let code = glidepath_cli::run(words, &mut output, cluster, stopped).await;
        if code == std::process::ExitCode::SUCCESS {
            Ok(out.text())
        } else {
            Err(anyhow!("{}{}", out.text(), err.text()))
        }
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn glance(&self) -> Duration {
        self.glance
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Answers metric requests from the script, without a socket.
struct Scripted(Script);

#[async_trait]
impl Sender for Scripted {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let path = request.url.strip_prefix(METRIC_HOST).unwrap_or(&request.url);
        let path = path.split('?').next().unwrap_or_default();
        let (status, body) = self.0.next(path);
        Ok(HttpResponse { status, body: body.into_bytes() })
    }
}

/// The embedded plane over HTTPS, without a controller of ours.
pub struct Served {
    /// The administrator's client.
    pub client: Client,
    /// Where the kubeconfig was written.
    pub kubeconfig: PathBuf,
    _sandbox: Sandbox,
    _workloads: Workloads,
    _running: glidepath_sandbox::Running,
}

/// Serves the embedded plane with its workload controllers and a model node on loopback.
///
/// # Errors
/// When it cannot be set up or the kubeconfig cannot be written.
pub async fn serve(clock: Clock, folder: &Path) -> Result<Served> {
    let sandbox = Sandbox::builder().clock(clock).seed(1).build()?;
    install_definitions(&sandbox).await?;
    let workloads = start_workloads(&sandbox, clock);
    let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await?;
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, running.kubeconfig())?;
    let client = sandbox.client("bench", "default");
    Ok(Served { client, kubeconfig, _sandbox: sandbox, _workloads: workloads, _running: running })
}
