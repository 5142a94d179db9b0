//! The controller from start to end: elect, follow, decide, and leave in order.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use glidepath_clock::Clock;
use glidepath_core::plan::Plan;
use glidepath_core::snapshot::{AnalysisSnapshot, ExperimentSnapshot, RolloutSnapshot, Settings};
use glidepath_metrics::Sender;
use http::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cache::Caches;
use crate::dispatch::Dispatcher;
use crate::endpoints;
use crate::events::Recorder;
use crate::gather::Gatherer;
use crate::lease::{Elector, LeaseOptions};
use crate::measure::Measurer;
use crate::metrics::Metrics;
use crate::queue::{Controller, Queue};
use crate::record::DecisionRecord;
use crate::references::ReferenceIndex;
use crate::release::follow_marked;
use crate::resource::Kind;
use crate::server::{ApiServer, Fence, RequestError};
use crate::shell::Shell;
use crate::watch::{Followed, watch_kind};

/// How many keys are processed at once.
const AT_ONCE: usize = 32;
/// How long work in progress may take to end after the signal to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// Between two looks whether a router that a Rollout needs has been installed.
pub(crate) const PROBE: Duration = Duration::from_secs(15);

/// Sees every decision before it is applied.
pub type Observer = dyn Fn(&DecisionRecord<'_>) + Send + Sync;

/// The decisions, as pure functions.
#[derive(Clone)]
pub struct Decisions {
    /// About Rollouts.
    pub rollout: Arc<dyn Fn(&RolloutSnapshot) -> Plan + Send + Sync>,
    /// About AnalysisRuns.
    pub analysis: Arc<dyn Fn(&AnalysisSnapshot) -> Plan + Send + Sync>,
    /// About Experiments.
    pub experiment: Arc<dyn Fn(&ExperimentSnapshot) -> Plan + Send + Sync>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self {
            rollout: Arc::new(glidepath_core::rollout::decide),
            analysis: Arc::new(glidepath_core::analysis::decide),
            experiment: Arc::new(glidepath_core::experiment::decide),
        }
    }
}

/// Settings of one controller process.
#[derive(Clone)]
pub struct Options {
    /// The only namespace to look at; every namespace when empty (O-460).
    pub namespace: String,
    /// What decisions depend on, the instance id included.
    pub settings: Settings,
    /// How the lease is held.
    pub lease: LeaseOptions,
    /// Requests per second; 0 sends without pause.
    pub qps: f64,
    /// Requests that may go out at once before `qps` applies.
    pub burst: u32,
    /// Where `/metrics` is served, if at all.
    pub metrics_address: Option<SocketAddr>,
    /// Where `/healthz` is served, if at all.
    pub health_address: Option<SocketAddr>,
    /// Version of Istio's kinds to prefer (O-477); the server's choice when empty.
    pub istio_version: String,
    /// The decisions.
    pub decisions: Decisions,
    /// The only controller to run, if not all (O-482).
    pub only: Option<Controller>,
    /// Sees every decision.
    pub on_decision: Option<Arc<Observer>>,
}

/// Why the controller ended other than by request.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An endpoint could not be served.
    #[error(transparent)]
    Endpoint(#[from] std::io::Error),
    /// Another process leads now; whoever started this one should start it again.
    #[error("lost the lease {0}")]
    LeaseLost(String),
}

/// Runs the controllers until `shutdown` resolves.
///
/// Only one process per lease decides; others stand by with their endpoints served. Works under
/// tokio's paused clock, and several times in one process.
///
/// # Errors
/// When an endpoint cannot be served, or the lease was lost.
pub async fn run(
    client: kube::Client,
    clock: Clock,
    options: Options,
    sender: Arc<dyn Sender>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::default());
    let fence = Fence::default();
    let server = ApiServer::new(client, Arc::clone(&metrics), options.qps, options.burst, fence.clone());
    let lease_name = options.lease.name.clone();
    let mut elector = Elector::new(server.clone(), clock, options.lease.clone(), fence);
    // The endpoints are up from the start; the shell behind them only once this process leads.
    let leading: Arc<OnceLock<Arc<Shell>>> = Arc::default();
    let mut tasks = JoinSet::new();
    serve_endpoints(&mut tasks, &options, &metrics, &leading).await?;
    tokio::pin!(shutdown);
    tokio::select! {
        biased;
        () = elector.acquire() => {}
        () = &mut shutdown => return Ok(()),
    }
    let shell = Arc::new(build_shell(server, clock, &options, &metrics, sender));
    // Set once: this is the only place, reached once.
    let _ = leading.set(Arc::clone(&shell));
    let lost = tokio::select! {
        biased;
        () = elector.keep() => true,
        () = lead(&shell, &options, &mut shutdown) => false,
    };
    drop(tasks);
    if lost {
        return Err(RunError::LeaseLost(lease_name));
    }
    elector.release().await;
    Ok(())
}

fn build_shell(
    server: ApiServer,
    clock: Clock,
    options: &Options,
    metrics: &Arc<Metrics>,
    sender: Arc<dyn Sender>,
) -> Shell {
    let caches = Arc::new(Caches::default());
    let queue = Arc::new(Queue::new(Arc::clone(metrics)));
    let measurer = Arc::new(Measurer::new(sender, options.settings.clone(), clock, Arc::clone(&queue)));
    let dispatcher = Arc::new(Dispatcher {
        caches: Arc::clone(&caches),
        queue: Arc::clone(&queue),
        metrics: Arc::clone(metrics),
        measurer: Arc::clone(&measurer),
        references: Arc::new(ReferenceIndex::default()),
        deleted: Mutex::default(),
        progress: tokio::sync::Notify::new(),
    });
    let gatherer = Gatherer::new(server.clone(), Arc::clone(&caches), clock, options.settings.clone());
    Shell {
        server,
        caches,
        queue,
        metrics: Arc::clone(metrics),
        measurer,
        dispatcher,
        gatherer,
        recorder: Recorder::default(),
        clock,
        decisions: options.decisions.clone(),
        only: options.only,
        on_decision: options.on_decision.clone(),
        memories: Mutex::default(),
        waiting: Mutex::default(),
    }
}

async fn serve_endpoints(
    tasks: &mut JoinSet<()>,
    options: &Options,
    metrics: &Arc<Metrics>,
    leading: &Arc<OnceLock<Arc<Shell>>>,
) -> Result<(), RunError> {
    if let Some(address) = options.health_address {
        let listener = endpoints::bind(address, "/healthz").await?;
        let leading = Arc::clone(leading);
        tasks.spawn(endpoints::serve(
            listener,
            Arc::new(move |path| match path {
                "/healthz" | "/livez" => (StatusCode::OK, "ok".to_owned()),
                // A standby is ready to take over; a leader is once its caches are.
                "/readyz" if leading.get().is_none_or(|shell| is_synced(&shell.caches)) => {
                    (StatusCode::OK, "ok".to_owned())
                }
                "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "waiting for the caches".to_owned()),
                _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
            }),
        ));
    }
    if let Some(address) = options.metrics_address {
        let listener = endpoints::bind(address, "/metrics").await?;
        let (metrics, leading) = (Arc::clone(metrics), Arc::clone(leading));
        tasks.spawn(endpoints::serve(
            listener,
            Arc::new(move |path| match (path, leading.get()) {
                ("/metrics", Some(shell)) => (
                    StatusCode::OK,
                    metrics.render(Some(&shell.caches), |controller| shell.queue.depth(controller)),
                ),
                ("/metrics", None) => (StatusCode::OK, metrics.render(None, |_| 0)),
                _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
            }),
        ));
    }
    Ok(())
}

fn is_synced(caches: &Caches) -> bool {
    Kind::ALL.into_iter().filter(|kind| kind.is_required()).all(|kind| caches.is_synced(kind))
}

/// Follows, decides and applies until `shutdown` resolves; then finishes what is in progress.
async fn lead(shell: &Arc<Shell>, options: &Options, mut shutdown: impl Future<Output = ()> + Unpin) {
    let mut tasks = JoinSet::new();
    follow_required(&mut tasks, shell, options);
    tasks.spawn(follow_on_demand(Arc::clone(shell), options.clone()));
    tasks.spawn(follow_marked(Arc::clone(shell), options.clone()));
    let storyteller = Arc::clone(shell);
    tasks.spawn(async move { storyteller.recorder.write_all(&storyteller.server, &storyteller.queue).await });
    tokio::select! {
        biased;
        () = wait_for_caches(shell) => {}
        () = &mut shutdown => return,
    }
    shell.dispatcher.review_released();
    tracing::info!("caches synced, deciding");
    let mut in_progress = FuturesUnordered::new();
    loop {
        // In a fixed order, so that a simulation takes the same course every time.
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(()) = in_progress.next(), if !in_progress.is_empty() => {}
            taken = shell.queue.next(), if in_progress.len() < AT_ONCE => in_progress.push(shell.process(taken)),
        }
    }
    tracing::info!(in_progress = in_progress.len(), "stopping");
    let drained = async {
        while in_progress.next().await.is_some() {}
        shell.recorder.written().await;
    };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("gave up waiting for work in progress");
    }
}

async fn wait_for_caches(shell: &Shell) {
    while !is_synced(&shell.caches) {
        // A signal may be taken by the router task; the interval makes up for it.
        let _ = tokio::time::timeout(Duration::from_millis(50), shell.dispatcher.progress.notified()).await;
    }
}

fn follow_required(tasks: &mut JoinSet<()>, shell: &Arc<Shell>, options: &Options) {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_required()) {
        if !options.namespace.is_empty() && !kind.is_namespaced() {
            // A namespaced controller has no right to cluster-wide templates (O-460).
            shell.caches.set_synced(kind);
            continue;
        }
        follow(tasks, shell, options, kind, kind.default_version().to_owned());
    }
}

fn follow(tasks: &mut JoinSet<()>, shell: &Arc<Shell>, options: &Options, kind: Kind, version: String) {
    let followed = Followed {
        kind,
        version,
        namespace: options.namespace.clone(),
        instance_id: options.settings.instance_id.clone(),
    };
    let sink = Arc::clone(&shell.dispatcher) as Arc<dyn crate::watch::Sink>;
    tasks.spawn(watch_kind(shell.server.clone(), Arc::clone(&shell.caches), sink, followed));
}

/// Starts to follow kinds of workloads and routers once a Rollout needs them and the server offers them (O-879, R-570).
async fn follow_on_demand(shell: Arc<Shell>, options: Options) {
    let mut tasks = JoinSet::new();
    let mut started = HashSet::new();
    let mut complained = HashSet::new();
    loop {
        let mut missing = false;
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_required()) {
            if started.contains(&kind) || !shell.dispatcher.references.mentions(kind) {
                continue;
            }
            if kind.is_workload() {
                started.insert(kind);
                follow(&mut tasks, &shell, &options, kind, kind.default_version().to_owned());
                continue;
            }
            match discover(&shell.server, kind, &options.istio_version).await {
                Ok(Some(version)) => {
                    started.insert(kind);
                    shell
                        .gatherer
                        .versions
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(kind, version.clone());
                    follow(&mut tasks, &shell, &options, kind, version);
                }
                Ok(None) => {
                    missing = true;
                    // Without the kind there are no such objects; decisions say so by name.
                    shell.caches.set_synced(kind);
                    if complained.insert(kind) {
                        let (plural, group) = (kind.plural(), kind.group());
                        tracing::error!(
                            "a Rollout routes through {plural}.{group}, which the API server does not know: \
                             install its custom resource definitions; trying again"
                        );
                    }
                }
                Err(error) => {
                    missing = true;
                    tracing::warn!(resource = kind.plural(), error = %error, "cannot discover; trying again");
                }
            }
        }
        if missing {
            let _ = tokio::time::timeout(PROBE, shell.dispatcher.progress.notified()).await;
        } else {
            shell.dispatcher.progress.notified().await;
        }
    }
}

/// The version in which the server offers a kind: the preferred one if it has it. `None` when the kind
/// is not installed.
pub(crate) async fn discover(
    server: &ApiServer,
    kind: Kind,
    preferred: &str,
) -> Result<Option<String>, RequestError> {
    let group = match server.get(&format!("/apis/{}", kind.group())).await {
        Ok(group) => group,
        Err(RequestError::Refused { code: 404, .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    for version in candidate_versions(&group, kind, preferred) {
        match server.get(&format!("/apis/{}/{version}", kind.group())).await {
            Ok(resources) if serves(&resources, kind) => return Ok(Some(version)),
            Ok(_) | Err(RequestError::Refused { code: 404, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The versions of a group in the order in which to try them.
fn candidate_versions(group: &Value, kind: Kind, preferred: &str) -> Vec<String> {
    let versions = group.get("versions").and_then(Value::as_array);
    let served: Vec<&str> =
        versions.into_iter().flatten().filter_map(|version| version.get("version")?.as_str()).collect();
    let server_choice =
        group.pointer("/preferredVersion/version").and_then(Value::as_str).unwrap_or_default();
    let preferred = if kind.group() == "networking.istio.io" { preferred } else { "" };
    let mut ordered: Vec<String> = Vec::new();
    for version in
        [preferred, kind.default_version(), server_choice].into_iter().chain(served.iter().copied())
    {
        if served.contains(&version) && !ordered.iter().any(|known| known == version) {
            ordered.push(version.to_owned());
        }
    }
    ordered
}

fn serves(resources: &Value, kind: Kind) -> bool {
    let resources = resources.get("resources").and_then(Value::as_array);
    resources
        .into_iter()
        .flatten()
        .any(|resource| resource.get("name").and_then(Value::as_str) == Some(kind.plural()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_wished_version_comes_first_if_it_is_served_then_ours_then_the_servers() {
        let group = json!({"versions": [{"version": "v1"}, {"version": "v1beta1"}, {"version": "v1alpha3"}],
            "preferredVersion": {"version": "v1beta1"}});
        for (kind, wished, want) in [
            (Kind::VirtualService, "v1alpha3", vec!["v1alpha3", "v1", "v1beta1"]),
            (Kind::VirtualService, "v9", vec!["v1", "v1beta1", "v1alpha3"]),
            (Kind::HttpRoute, "v1alpha3", vec!["v1", "v1beta1", "v1alpha3"]),
            (Kind::TcpRoute, "", vec!["v1beta1", "v1", "v1alpha3"]),
        ] {
            assert_eq!(candidate_versions(&group, kind, wished), want);
        }
    }
}
