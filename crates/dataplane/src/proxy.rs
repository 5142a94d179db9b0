//! Forwards requests by the routing table: one backend by turn, one endpoint by turn, once more elsewhere on failure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::filters::apply_changes;
use crate::matching::RequestHead;
use crate::report::{Report, Target};
use crate::routes::{Backend, RoutingTable, Rule};

/// A body made here or passed on from elsewhere.
pub type Body = Either<Full<Bytes>, Incoming>;

/// Request bodies up to this size are held, so that a failed connection does not lose them.
const MAX_HELD_BODY: u64 = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Shorter than what servers commonly keep, so that a connection is rarely reused as its server closes it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Headers that concern one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Forwards requests; shared by all listeners.
#[derive(Debug)]
pub struct Proxy {
    table: watch::Receiver<Arc<RoutingTable>>,
    client: Client<HttpConnector, Body>,
    report: Arc<Report>,
    request_timeout: Duration,
}

impl Proxy {
    /// A proxy that follows `table`. `request_timeout` holds for rules without a limit of their own.
    #[must_use]
    pub fn new(
        table: watch::Receiver<Arc<RoutingTable>>,
        report: Arc<Report>,
        request_timeout: Duration,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { table, client, report, request_timeout }
    }

    /// The table in force.
    #[must_use]
    pub fn table(&self) -> Arc<RoutingTable> {
        Arc::clone(&self.table.borrow())
    }

    /// Answers one request. Failures become 4xx and 5xx answers.
    pub async fn answer(
        &self,
        port: Option<u16>,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let started = Instant::now();
        let mut target = Target::default();
        let response = self.forward(port, peer, request, &mut target).await;
        self.report.record(&target, response.status().as_u16(), started.elapsed());
        response
    }

    async fn forward(
        &self,
        port: Option<u16>,
        peer: SocketAddr,
        request: Request<Incoming>,
        target: &mut Target,
    ) -> Response<Body> {
        let table = self.table();
        let Some(rule) = pick(&table, port, &request) else {
            return plain(StatusCode::NOT_FOUND, "no route matches this request");
        };
        target.route.clone_from(&rule.route);
        target.rule = rule.index;
        if let Some(reason) = &rule.unsupported {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, reason);
        }
        let Some(backend) = rule.next_backend() else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "no backend of this rule has a weight");
        };
        target.backend.clone_from(&backend.service);
        if let Some((_, reason)) = &backend.unresolved {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, reason);
        }
        let limit = rule.request_timeout.unwrap_or(self.request_timeout);
        let sent = timeout(limit, self.send(rule, backend, peer, request, target)).await;
        let mut response =
            sent.unwrap_or_else(|_| plain(StatusCode::GATEWAY_TIMEOUT, "the backend did not answer in time"));
        apply_changes(&rule.changes.response, response.headers_mut());
        apply_changes(&backend.changes.response, response.headers_mut());
        response
    }

    /// Sends to an endpoint of the backend and, if that fails before an answer and it is safe, to another.
    async fn send(
        &self,
        rule: &Rule,
        backend: &Backend,
        peer: SocketAddr,
        request: Request<Incoming>,
        target: &Target,
    ) -> Response<Body> {
        let Some(first) = backend.next_endpoint() else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the backend has no ready endpoint");
        };
        let (mut parts, body) = request.into_parts();
        // Not for the way on: what concerned only the caller's connection.
        remove_hop_by_hop(&mut parts.headers);
        if let Ok(value) = peer.ip().to_string().parse() {
            parts.headers.append(HeaderName::from_static("x-forwarded-for"), value);
        }
        apply_changes(&rule.changes.request, &mut parts.headers);
        apply_changes(&backend.changes.request, &mut parts.headers);
        let held = match hold(&parts.headers, body).await {
            Ok(held) => held,
            Err(()) => return plain(StatusCode::BAD_REQUEST, "the request's body broke off"),
        };
        let again = held.copy();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let build = |endpoint: SocketAddr, body: Body| -> Option<Request<Body>> {
            let mut request = Request::new(body);
            *request.uri_mut() = Uri::try_from(format!("http://{endpoint}{path}")).ok()?;
            *request.method_mut() = parts.method.clone();
            *request.headers_mut() = parts.headers.clone();
            Some(request)
        };
        let Some(attempt) = build(first, held.into_body()) else {
            return plain(StatusCode::BAD_REQUEST, "the request's target cannot be forwarded");
        };
        let mut outcome = self.attempt(rule, attempt).await;
        if let (Err(failure), Some(body)) = (&outcome, again) {
            let safe = failure.never_sent || (!failure.timed_out && is_idempotent(&parts.method));
            let second = if safe { backend.endpoint_instead_of(first) } else { None };
            if let Some(attempt) = second.and_then(|endpoint| build(endpoint, body.into_body())) {
                self.report.record_retry(target);
                outcome = self.attempt(rule, attempt).await;
            }
        }
        match outcome {
            Ok(response) => {
                let (mut parts, body) = response.into_parts();
                remove_hop_by_hop(&mut parts.headers);
                Response::from_parts(parts, Either::Right(body))
            }
            Err(failure) if failure.timed_out => {
                plain(StatusCode::GATEWAY_TIMEOUT, "the backend did not answer in time")
            }
            Err(failure) if failure.never_sent => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "the backend's endpoints refuse connections")
            }
            Err(_) => plain(StatusCode::BAD_GATEWAY, "the backend broke off"),
        }
    }

    async fn attempt(&self, rule: &Rule, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let sending = self.client.request(request);
        let sent = match rule.attempt_timeout {
            Some(limit) => {
                timeout(limit, sending).await.map_err(|_| Failure { never_sent: false, timed_out: true })?
            }
            None => sending.await,
        };
        sent.map_err(|error| Failure { never_sent: error.is_connect(), timed_out: false })
    }
}

/// How an attempt failed.
struct Failure {
    never_sent: bool,
    timed_out: bool,
}

/// A request body that may be sent twice, or only passed through.
enum Held {
    Whole(Bytes),
    Passing(Incoming),
}

impl Held {
    fn copy(&self) -> Option<Self> {
        match self {
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Passing(_) => None,
        }
    }

    fn into_body(self) -> Body {
        match self {
            Self::Whole(bytes) => Either::Left(Full::new(bytes)),
            Self::Passing(body) => Either::Right(body),
        }
    }
}

async fn hold(headers: &HeaderMap, body: Incoming) -> Result<Held, ()> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if body.is_end_stream() {
        return Ok(Held::Whole(Bytes::new()));
    }
    if length.is_some_and(|length| length <= MAX_HELD_BODY) {
        return Ok(Held::Whole(body.collect().await.map_err(|_| ())?.to_bytes()));
    }
    Ok(Held::Passing(body))
}

fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}

fn pick<'a>(
    table: &'a RoutingTable,
    port: Option<u16>,
    request: &Request<Incoming>,
) -> Option<&'a Arc<Rule>> {
    let authority = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = authority.or_else(|| request.uri().host()).unwrap_or_default();
    table.pick(&RequestHead {
        port,
        host: without_port(host),
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
    })
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    for name in named.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// A plain text answer.
#[must_use]
pub fn plain(code: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(format!("{text}\n")))));
    *response.status_mut() = code;
    response
}
