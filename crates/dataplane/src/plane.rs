//! Wiring: watches, listeners, the admin address and the status writer, started and stopped as one.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use glidepath_clock::Clock;
use http::{Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kube::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::follow::{Follower, publish};
use crate::proxy::{Body, Proxy, plain};
use crate::recent::parse_question;
use crate::report::Report;
use crate::routes::RoutingTable;
use crate::status::{apply_status, plan_status};

/// How long a shutdown waits for requests that are under way.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// How long to wait before a status is tried again that could not be written.
const STATUS_RETRY: Duration = Duration::from_secs(5);

/// Where to listen.
#[derive(Clone, Copy, Debug)]
pub enum Listen {
    /// One address that stands for every listener of every Gateway; port 0 takes a free one.
    Fixed(SocketAddr),
    /// One socket per listener port, on this address.
    PerListener(IpAddr),
}

/// How a data plane runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where requests come in.
    pub listen: Listen,
    /// Where `/metrics`, `/stats`, `/stats/recent` and `/healthz` are served.
    pub admin: SocketAddr,
    /// Only Gateways of this class; all when `None`.
    pub gateway_class: Option<String>,
    /// Time limit for rules that state none.
    pub request_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: Listen::Fixed(loopback),
            admin: loopback,
            gateway_class: None,
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a data plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("listening on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
}

/// A running data plane. Dropping it stops it at once; [`DataPlane::shutdown`] lets requests finish.
#[derive(Debug)]
pub struct DataPlane {
    addr: Option<SocketAddr>,
    admin: SocketAddr,
    report: Arc<Report>,
    table: watch::Receiver<Arc<RoutingTable>>,
    ready: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
}

impl DataPlane {
    /// Starts following the API and serving. Routes take effect as they are seen; see [`DataPlane::ready`].
    ///
    /// # Errors
    /// If the fixed or the admin address cannot be listened on.
    pub async fn spawn(client: Client, clock: Clock, options: Options) -> Result<Self, Error> {
        let (tables, table) = watch::channel(Arc::new(RoutingTable::default()));
        let (stop, stopping) = watch::channel(false);
        let (readiness, ready) = watch::channel(false);
        let (bound_ports, unbound) = watch::channel(BTreeSet::new());
        let report = Arc::new(Report::default());
        let proxy = Arc::new(Proxy::new(table.clone(), Arc::clone(&report), options.request_timeout));
        let admin_socket = bind(options.admin).await?;
        let admin = admin_socket.local_addr().unwrap_or(options.admin);
        let mut tasks = Vec::new();
        let (addr, ip) = match options.listen {
            Listen::Fixed(address) => {
                let socket = bind(address).await?;
                let bound = socket.local_addr().unwrap_or(address);
                let (proxy, stopping) = (Arc::clone(&proxy), stopping.clone());
                tasks.push(tokio::spawn(serve_proxy(socket, None, proxy, stopping)));
                (Some(bound), bound.ip())
            }
            Listen::PerListener(ip) => {
                let work =
                    serve_listeners(ip, Arc::clone(&proxy), table.clone(), bound_ports, stopping.clone());
                tasks.push(tokio::spawn(work));
                (None, ip)
            }
        };
        let mut background =
            vec![tokio::spawn(serve_admin(admin_socket, Arc::clone(&report), proxy, stopping))];
        let (follower, watches) = Follower::new(&client, options.gateway_class);
        background.extend(watches.into_iter().map(tokio::spawn));
        background.push(tokio::spawn(keep_current(follower, tables, client, clock, ip, unbound, readiness)));
        Ok(Self { addr, admin, report, table, ready, stop, tasks, background })
    }

    /// Where requests are taken, if that is one fixed address.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Where `/metrics` and `/stats` are.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The counts so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The table in force.
    #[must_use]
    pub fn table(&self) -> Arc<RoutingTable> {
        Arc::clone(&self.table.borrow())
    }

    /// Follows the tables as they come into force.
    #[must_use]
    pub fn tables(&self) -> watch::Receiver<Arc<RoutingTable>> {
        self.table.clone()
    }

    /// Resolves once every kind was listed and the first table is in force.
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        // The sender lives as long as the data plane.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// Takes no new connections, lets requests under way finish (10 s at most), then stops.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            let _ = task.await;
        }
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        for task in self.tasks.iter().chain(&self.background) {
            task.abort();
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}

/// Rebuilds the table and writes statuses whenever something changed.
async fn keep_current(
    follower: Follower,
    tables: watch::Sender<Arc<RoutingTable>>,
    client: Client,
    clock: Clock,
    ip: IpAddr,
    mut unbound: watch::Receiver<BTreeSet<u16>>,
    readiness: watch::Sender<bool>,
) {
    let addresses = [ip.to_string()];
    follower.ready().await;
    loop {
        let world = follower.world();
        let table = publish(&world, &tables);
        readiness.send_replace(true);
        let ports = unbound.borrow_and_update().clone();
        let patches = plan_status(&world, &table, &addresses, &ports, clock.now());
        let mut all_written = true;
        if !patches.is_empty() {
            // A slow status write must not delay the next table, so both go on side by side.
            let mut seen_meanwhile = false;
            all_written = tokio::select! {
                written = apply_status(&client, patches) => written,
                () = follow_meanwhile(&follower, &tables, &mut seen_meanwhile) => false,
            };
            if seen_meanwhile && all_written {
                continue;
            }
        }
        tokio::select! {
            () = follower.changed() => {}
            Ok(()) = unbound.changed() => {}
            () = tokio::time::sleep(STATUS_RETRY), if !all_written => {}
        }
    }
}

/// Publishes tables while statuses are being written. Never ends on its own.
async fn follow_meanwhile(follower: &Follower, tables: &watch::Sender<Arc<RoutingTable>>, seen: &mut bool) {
    loop {
        follower.changed().await;
        *seen = true;
        publish(&follower.world(), tables);
    }
}

/// Keeps one socket per listener port of the table.
async fn serve_listeners(
    ip: IpAddr,
    proxy: Arc<Proxy>,
    mut table: watch::Receiver<Arc<RoutingTable>>,
    unbound: watch::Sender<BTreeSet<u16>>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut serving: BTreeMap<u16, (watch::Sender<bool>, JoinHandle<()>)> = BTreeMap::new();
    let mut draining = JoinSet::new();
    loop {
        let wanted = table.borrow_and_update().ports.clone();
        let gone: Vec<u16> = serving.keys().filter(|port| !wanted.contains(port)).copied().collect();
        for port in gone {
            if let Some((stop, task)) = serving.remove(&port) {
                stop.send_replace(true);
                draining.spawn(task);
            }
        }
        let mut refused = BTreeSet::new();
        for port in wanted.into_iter().filter(|port| !serving.contains_key(port)).collect::<Vec<_>>() {
            match bind(SocketAddr::new(ip, port)).await {
                Ok(socket) => {
                    let (stop, told) = watch::channel(false);
                    let task = tokio::spawn(serve_proxy(socket, Some(port), Arc::clone(&proxy), told));
                    serving.insert(port, (stop, task));
                }
                Err(error) => {
                    warn!(port, %error, "cannot serve a listener");
                    refused.insert(port);
                }
            }
        }
        unbound.send_if_modified(|known| {
            let changed = *known != refused;
            *known = refused;
            changed
        });
        tokio::select! {
            changed = table.changed() => if changed.is_err() { break },
            () = stopped(&mut stopping) => break,
        }
    }
    for (stop, task) in serving.into_values() {
        stop.send_replace(true);
        draining.spawn(task);
    }
    while draining.join_next().await.is_some() {}
}

async fn serve_proxy(
    socket: TcpListener,
    port: Option<u16>,
    proxy: Arc<Proxy>,
    stopping: watch::Receiver<bool>,
) {
    accept_loop(socket, stopping, move |peer, request| {
        let proxy = Arc::clone(&proxy);
        async move { proxy.answer(port, peer, request).await }
    })
    .await;
}

async fn serve_admin(
    socket: TcpListener,
    report: Arc<Report>,
    proxy: Arc<Proxy>,
    stopping: watch::Receiver<bool>,
) {
    accept_loop(socket, stopping, move |_, request| {
        let response = answer_admin(&report, &proxy, &request);
        async move { response }
    })
    .await;
}

fn answer_admin(report: &Report, proxy: &Proxy, request: &Request<Incoming>) -> Response<Body> {
    let (kind, text) = match request.uri().path() {
        "/metrics" => ("text/plain; version=0.0.4", report.render_metrics()),
        "/stats" => ("application/json", report.render_stats(&proxy.table()).to_string()),
        "/stats/recent" => match parse_question(request.uri().query().unwrap_or_default()) {
            Ok(question) => ("application/json", report.render_recent(&question).to_string()),
            Err(complaint) => return plain(StatusCode::BAD_REQUEST, &complaint),
        },
        "/healthz" => ("text/plain", "ok".to_owned()),
        _ => return plain(StatusCode::NOT_FOUND, "try /metrics, /stats, /stats/recent or /healthz"),
    };
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(text))));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// Accepts connections until told to stop, then lets open requests finish.
pub(crate) async fn accept_loop<F, R, B>(socket: TcpListener, mut stopping: watch::Receiver<bool>, answer: F)
where
    F: Fn(SocketAddr, Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    let for_connections = stopping.clone();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve_connection(stream, peer, for_connections.clone(), answer.clone()));
                }
                Err(error) => {
                    debug!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped(&mut stopping) => break,
        }
    }
    drop(socket);
    let drained = timeout(DRAIN_LIMIT, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        warn!("requests were still under way after {DRAIN_LIMIT:?}");
    }
}

/// Resolves when told to stop, or when nobody is left to tell.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn serve_connection<F, R, B>(
    stream: TcpStream,
    peer: SocketAddr,
    mut stopping: watch::Receiver<bool>,
    answer: F,
) where
    F: Fn(SocketAddr, Request<Incoming>) -> R,
    R: Future<Output = Response<B>>,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let answered = answer(peer, request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "connection broke off");
    }
}
