//! The `tower` service: looks up what a request is about, lets a handler answer, frames the answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::json;

use crate::access::{self, Question, impersonation};
use crate::audit::{AuditEntry, AuditRecord};
use crate::body::Body;
use crate::call::{Answer, Call, Target, User};
use crate::plane::Plane;
use crate::refusal::{Refusal, Reply};
use crate::request::{Query, RequestPath, ResourcePath, parse_view};
use crate::{delete, discovery, exec, openapi, patch, pods, read, reviews, scale, tokens, watch, write};

/// The largest request body, as in the real server.
const BODY_LIMIT: usize = 3 << 20;

/// Answers Kubernetes API requests. Cloning is cheap.
#[derive(Clone)]
pub struct ApiService {
    plane: Arc<Plane>,
    /// Requests that carry no identity of their own are this user's.
    user: User,
}

impl ApiService {
    pub(crate) fn new(plane: Arc<Plane>, user: User) -> Self {
        Self { plane, user }
    }
}

impl std::fmt::Debug for ApiService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiService").field("user", &self.user.name).finish_non_exhaustive()
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (plane, user) = (Arc::clone(&self.plane), self.user.clone());
        Box::pin(async move { Ok(serve(plane, user, request).await) })
    }
}

async fn serve<B>(plane: Arc<Plane>, user: User, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let path = RequestPath::parse(parts.uri.path());
    let mut call = Call {
        method: parts.method,
        query: Query::parse(parts.uri.query()),
        view: crate::request::View::Object,
        body: Bytes::new(),
        user,
        headers: parts.headers,
        upgrade: parts.extensions.remove(),
    };
    let writes = call.method != Method::GET;
    let answer = match (read_body(body).await, plane.store.failure().filter(|_| writes)) {
        (_, Some(why)) => Err(Refusal::internal(format!("the data folder takes no more writes: {why}"))),
        (Ok(bytes), None) => {
            call.body = bytes;
            let answer = route(&plane, &mut call, &path).await;
            // Reads wait for nothing.
            let durable = if writes { plane.store.until_durable().await } else { Ok(()) };
            match durable {
                Err(why) => Err(Refusal::internal(format!("the write is not on disk: {why}"))),
                Ok(()) => answer,
            }
        }
        (Err(refusal), None) => Err(refusal),
    };
    let answer = answer.unwrap_or_else(|refusal| Answer::refused(&refusal));
    note(&plane, &call, &path, answer.code);
    frame(&plane, answer)
}

async fn read_body<B>(body: B) -> Reply<Bytes>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::new(
            413,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {BODY_LIMIT}"),
        )),
        Err(error) => Err(Refusal::bad_request(format!("cannot read the body of the request: {error}"))),
    }
}

/// Who asks: a bearer token says so itself, otherwise whoever the connection belongs to.
fn authenticate(plane: &Plane, call: &mut Call) -> Reply<()> {
    let Some(header) = call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
        return Ok(());
    };
    let Some(token) = header.strip_prefix("Bearer ") else { return Ok(()) };
    let known = plane.static_tokens.iter().find(|(known, _)| known == token).map(|(_, user)| user.clone());
    call.user = known
        .or_else(|| tokens::user_of(plane, token))
        .ok_or_else(|| Refusal::new(401, "Unauthorized", "Unauthorized"))?;
    Ok(())
}

/// Turns down what no role allows; then who asks may turn into somebody else.
fn authorize(plane: &Plane, call: &mut Call, path: &RequestPath) -> Reply<()> {
    let mut contents = plane.store.lock();
    if let Some(user) = impersonation::acting_as(&mut contents, call)? {
        call.user = user;
    }
    let question = Question::of(call, path);
    let decision = access::decide(&mut contents, &call.user, &question);
    if decision.allowed { Ok(()) } else { Err(question.refuse(&call.user, &decision.reason)) }
}

async fn route(plane: &Arc<Plane>, call: &mut Call, path: &RequestPath) -> Reply<Answer> {
    authenticate(plane, call)?;
    authorize(plane, call, path)?;
    match path {
        RequestPath::Other(parts) => {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            other(plane, call, &parts)
        }
        RequestPath::Resource(path) => {
            let (resource, version) = plane
                .registry
                .find(&path.group, &path.version, &path.plural)
                .ok_or_else(Refusal::no_such_path)?;
            if resource.namespaced && path.namespace.is_empty() && !path.name.is_empty()
                || !resource.namespaced && !path.namespace.is_empty()
            {
                return Err(Refusal::no_such_path());
            }
            let target = Target {
                resource,
                version,
                namespace: path.namespace.clone(),
                name: path.name.clone(),
                subresource: path.subresource.clone(),
            };
            if !matches!(path.subresource.as_str(), "log" | "exec" | "attach" | "portforward") {
                call.view = parse_view(&call.headers)?;
            }
            on_resource(plane, call, &target).await
        }
    }
}

fn other(plane: &Arc<Plane>, call: &Call, parts: &[&str]) -> Reply<Answer> {
    match parts {
        ["version"] => Ok(Answer::value(200, &version())),
        ["healthz" | "livez" | "readyz", ..] => Ok(Answer::text(200, "ok")),
        ["api" | "apis", ..] => discovery::serve(plane, call, parts),
        ["openapi", ..] => openapi::serve(plane, call, parts),
        [] => Ok(Answer::value(200, &root(plane))),
        _ => Err(Refusal::no_such_path()),
    }
}

fn root(plane: &Plane) -> serde_json::Value {
    let mut paths: Vec<String> = vec!["/api".into(), "/api/v1".into(), "/apis".into()];
    for resource in plane.registry.all() {
        for version in &resource.versions {
            if !resource.group.is_empty() && version.served {
                paths.push(format!("/apis/{}", resource.group));
                paths.push(format!("/apis/{}/{}", resource.group, version.name));
            }
        }
    }
    paths.extend(["/healthz", "/livez", "/openapi/v3", "/readyz", "/version"].map(str::to_owned));
    paths.sort();
    paths.dedup();
    json!({ "paths": paths })
}

/// The Kubernetes version whose behaviour is followed.
fn version() -> serde_json::Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": format!("v1.36.2+glidepath-sandbox-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

async fn on_resource(plane: &Arc<Plane>, call: &Call, target: &Target) -> Reply<Answer> {
    if target.resource.is_review() {
        return match (&call.method, target.name.is_empty()) {
            (&Method::POST, true) => reviews::answer(plane, call, target),
            _ => Err(Refusal::method_not_allowed()),
        };
    }
    match (target.name.is_empty(), target.subresource.as_str()) {
        (true, _) => on_collection(plane, call, target),
        (false, "") => on_object(plane, call, target),
        (false, "status") if target.resource.versions[target.version].status => on_part(plane, call, target),
        (false, "finalize") if target.resource.is("", "namespaces") => on_part(plane, call, target),
        (false, "scale") => match call.method {
            Method::GET | Method::PUT | Method::PATCH => scale::serve(plane, call, target),
            _ => Err(Refusal::method_not_allowed()),
        },
        (false, sub) => on_special(plane, call, target, sub).await,
    }
}

async fn on_special(plane: &Arc<Plane>, call: &Call, target: &Target, sub: &str) -> Reply<Answer> {
    let pod = target.resource.is("", "pods");
    match (sub, &call.method) {
        ("binding", &Method::POST) if pod => pods::bind(plane, call, target),
        ("eviction", &Method::POST) if pod => pods::evict(plane, call, target),
        ("log", &Method::GET) if pod => pods::log(plane, call, target).await,
        ("token", &Method::POST) if target.resource.is("", "serviceaccounts") => {
            tokens::issue(plane, call, target)
        }
        ("exec", &Method::GET | &Method::POST) if pod => exec::serve(plane, call, target).await,
        ("attach" | "portforward", &Method::GET | &Method::POST) if pod => Err(exec::refuse(target)),
        ("binding" | "eviction" | "log" | "exec" | "attach" | "portforward", _) if pod => {
            Err(Refusal::method_not_allowed())
        }
        _ if target.resource.is_custom() => Err(target.not_found()),
        _ => Err(Refusal::no_such_part()),
    }
}

fn on_collection(plane: &Arc<Plane>, call: &Call, target: &Target) -> Reply<Answer> {
    let scoped_nowhere = target.resource.namespaced && target.namespace.is_empty();
    match call.method {
        Method::GET if call.query.flag("watch") => watch::open(plane, call, target),
        Method::GET => read::list(plane, call, target),
        Method::POST | Method::PUT if scoped_nowhere && target.resource.is_custom() => {
            Err(Refusal::no_such_path())
        }
        Method::POST if !scoped_nowhere => write::create(plane, call, target),
        Method::PUT if target.resource.is_custom() => Err(Refusal::bad_request("name must be provided")),
        Method::DELETE if !scoped_nowhere => delete::delete_collection(plane, call, target),
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn on_object(plane: &Arc<Plane>, call: &Call, target: &Target) -> Reply<Answer> {
    match call.method {
        Method::GET => read::get(plane, call, target),
        Method::PUT => write::update(plane, call, target),
        Method::PATCH => patch::patch(plane, call, target),
        Method::DELETE => delete::delete(plane, call, target),
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn on_part(plane: &Arc<Plane>, call: &Call, target: &Target) -> Reply<Answer> {
    match call.method {
        Method::GET => read::get(plane, call, target),
        Method::PUT => write::update(plane, call, target),
        Method::PATCH => patch::patch(plane, call, target),
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// The Kubernetes verb of a request.
fn verb(call: &Call, path: &ResourcePath) -> &'static str {
    let one = !path.name.is_empty();
    match call.method {
        Method::GET if one => "get",
        Method::GET if call.query.flag("watch") => "watch",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH if call.content_type() == "application/apply-patch+yaml" => "apply",
        Method::PATCH => "patch",
        Method::DELETE if one => "delete",
        Method::DELETE => "deletecollection",
        _ => "other",
    }
}

fn note(plane: &Plane, call: &Call, path: &RequestPath, code: u16) {
    let RequestPath::Resource(path) = path else { return };
    let resource =
        if path.group.is_empty() { path.plural.clone() } else { format!("{}.{}", path.plural, path.group) };
    plane.audit.note(AuditRecord {
        entry: AuditEntry {
            user_agent: call.header(USER_AGENT.as_str()).to_owned(),
            verb: verb(call, path).to_owned(),
            resource,
            subresource: path.subresource.clone(),
            code,
        },
        namespace: path.namespace.clone(),
        name: path.name.clone(),
    });
}

fn frame(plane: &Plane, answer: Answer) -> Response<Body> {
    let mut response = Response::new(answer.body);
    *response.status_mut() = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert("cache-control", HeaderValue::from_static("no-cache, private"));
    if let Ok(id) = HeaderValue::from_str(&plane.new_uid()) {
        headers.insert("audit-id", id);
    }
    for name in ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"] {
        // There is one queue for everybody.
        headers.insert(name, HeaderValue::from_static("00000000-0000-4000-8000-000000000001"));
    }
    if answer.content_type.starts_with("text/plain") {
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    }
    for (name, value) in answer.headers {
        let Ok(value) = HeaderValue::from_str(&value) else { continue };
        if name == "cache-control" {
            headers.insert(name, value);
        } else {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    for warning in answer.warnings {
        let quoted: String = warning
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] })
            .collect();
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append("warning", value);
        }
    }
    response
}
