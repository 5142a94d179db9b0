//! Requests to the API server: one door for every call, which counts it, paces it and reads its refusals.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::object::Version;

/// Who writes, as `managedFields` and audit logs show it; the reference's name (O-400).
pub const FIELD_MANAGER: &str = "rollouts-controller";
/// The longest a request other than a watch may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How a body is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A whole object.
    Json,
    /// RFC 7396.
    MergePatch,
}

impl Content {
    const fn mime(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MergePatch => "application/merge-patch+json",
        }
    }
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server answered with a refusal.
    #[error("{message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// Machine-readable reason; may be empty.
        reason: String,
        /// The server's message.
        message: String,
    },
    /// No answer: the server could not be reached, or not in time.
    #[error("no answer from the API server: {0}")]
    Unreachable(String),
    /// An answer that is not what the API promises.
    #[error("unreadable answer from the API server: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// This process no longer holds the lease, so it must not write.
    #[error("no longer the leader")]
    NotLeading,
}

impl RequestError {
    /// HTTP status code of the answer; 0 when there was none.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Refused { code, .. } => *code,
            _ => 0,
        }
    }

    /// Whether another try may help: there was no answer, or the server was busy or stumbled.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Self::NotLeading) && (self.code() == 0 || self.code() >= 429)
    }

    /// Machine-readable reason of the answer; may be empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused { reason, .. } => reason,
            _ => "",
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    reason: String,
    message: String,
}

/// What the server stored, as it answered. Most callers only want its version, so the rest stays unread.
#[derive(Clone, Debug)]
pub struct Written(Bytes);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identity {
    metadata: IdentityMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IdentityMetadata {
    name: String,
    resource_version: String,
}

impl Written {
    /// Name and version of the stored object.
    #[must_use]
    pub fn identity(&self) -> (String, Version) {
        let Identity { metadata } = serde_json::from_slice(&self.0).unwrap_or_default();
        (metadata.name, Version::parse(&metadata.resource_version))
    }

    /// The stored object.
    ///
    /// # Errors
    /// When it does not fit the type.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }
}

/// Whether and until when this process may write.
#[derive(Clone, Default)]
pub struct Fence(Arc<Mutex<Option<Instant>>>);

impl Fence {
    /// Lets writes through until `until`.
    pub fn open_until(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Lets nothing through from now on.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether a write may start now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

/// The API server, as seen from one controller.
#[derive(Clone)]
pub struct ApiServer {
    client: kube::Client,
    metrics: Arc<Metrics>,
    pace: Arc<Pace>,
    fence: Fence,
}

impl ApiServer {
    /// A server behind a client. `qps` ≤ 0 sends without pause.
    #[must_use]
    pub fn new(client: kube::Client, metrics: Arc<Metrics>, qps: f64, burst: u32, fence: Fence) -> Self {
        Self { client, metrics, pace: Arc::new(Pace::new(qps, burst)), fence }
    }

    /// The namespace of the connection's context.
    #[must_use]
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// Waits for the client-side rate limit (O-466). User verbs do not call this.
    pub async fn wait_for_turn(&self) {
        if let Some(turn) = self.pace.next_turn() {
            tokio::time::sleep_until(turn).await;
        }
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn get(&self, path: &str) -> Result<Value, RequestError> {
        Ok(serde_json::from_slice(&self.call(Method::GET, path, None).await?)?)
    }

    /// Reads `path` without interpreting the answer.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn get_bytes(&self, path: &str) -> Result<Bytes, RequestError> {
        self.call(Method::GET, path, None).await
    }

    /// Creates an object in the collection at `path`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn create(&self, path: &str, object: &Value) -> Result<Written, RequestError> {
        self.write(Method::POST, path, Content::Json, object).await
    }

    /// Replaces the object at `path`, which must carry the resourceVersion it is based on.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn replace(&self, path: &str, object: &Value) -> Result<Written, RequestError> {
        self.write(Method::PUT, path, Content::Json, object).await
    }

    /// Applies a JSON merge patch to the object at `path`.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn merge(&self, path: &str, patch: &Value) -> Result<Written, RequestError> {
        self.write(Method::PATCH, path, Content::MergePatch, patch).await
    }

    /// Deletes the object at `path` if it is the one with that uid.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn delete(&self, path: &str, uid: &str, propagation: &str) -> Result<(), RequestError> {
        let options = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": {"uid": uid}, "propagationPolicy": propagation,
        });
        self.check_fence()?;
        self.call(Method::DELETE, path, Some((Content::Json, options.to_string().into()))).await.map(drop)
    }

    async fn write(
        &self,
        method: Method,
        path: &str,
        content: Content,
        body: &Value,
    ) -> Result<Written, RequestError> {
        self.check_fence()?;
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        let answer = self.call(method, &path, Some((content, body.to_string().into()))).await?;
        Ok(Written(answer))
    }

    fn check_fence(&self) -> Result<(), RequestError> {
        if self.fence.is_open() { Ok(()) } else { Err(RequestError::NotLeading) }
    }

    /// A write that elects the leader, and so cannot wait for leadership.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub(crate) async fn write_unfenced(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, RequestError> {
        let answer = self.call(method, path, Some((Content::Json, body.to_string().into()))).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(Content, Bytes)>,
    ) -> Result<Bytes, RequestError> {
        let answer = async {
            let response = self.send(method, path, body).await?;
            let body = response.into_body().collect().await;
            Ok(body.map_err(|error| RequestError::Unreachable(causes(&error)))?.to_bytes())
        };
        tokio::time::timeout(REQUEST_TIMEOUT, answer)
            .await
            .unwrap_or_else(|_| Err(RequestError::Unreachable("timed out".to_owned())))
    }

    /// Opens a watch; the body goes on for as long as the server keeps it open.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub(crate) async fn watch(&self, path: &str) -> Result<Body, RequestError> {
        tokio::time::timeout(REQUEST_TIMEOUT, self.send(Method::GET, path, None))
            .await
            .unwrap_or_else(|_| Err(RequestError::Unreachable("timed out".to_owned())))
            .map(http::Response::into_body)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(Content, Bytes)>,
    ) -> Result<http::Response<Body>, RequestError> {
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(http::header::ACCEPT, Content::Json.mime())
            .header(http::header::USER_AGENT, user_agent());
        let body = match body {
            Some((content, bytes)) => {
                request = request.header(http::header::CONTENT_TYPE, content.mime());
                Body::from(bytes)
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| RequestError::Unreachable(error.to_string()))?;
        let result = self.client.send(request).await;
        let status = result.as_ref().map_or(0, |response| response.status().as_u16());
        self.metrics.count_request(&method, path, status);
        let response = result.map_err(|error| RequestError::Unreachable(causes(&error)))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await;
        Err(refusal(status, &body.map(http_body_util::Collected::to_bytes).unwrap_or_default()))
    }
}

fn user_agent() -> &'static str {
    concat!("rollouts-controller/v", env!("CARGO_PKG_VERSION"), " (glidepath)")
}

fn refusal(status: StatusCode, body: &[u8]) -> RequestError {
    let Refusal { reason, mut message } = serde_json::from_slice(body).unwrap_or_default();
    if message.is_empty() {
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
        message = format!("{status}: {}", text.trim());
    }
    RequestError::Refused { code: status.as_u16(), reason, message }
}

/// An error with everything that led to it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A token bucket for requests.
struct Pace {
    interval: Option<Duration>,
    burst: u32,
    /// When the bucket would be full again; each turn moves it one interval on.
    full_at: Mutex<Option<Instant>>,
}

impl Pace {
    fn new(qps: f64, burst: u32) -> Self {
        let interval = (qps > 0.0).then(|| Duration::from_secs_f64(1.0 / qps));
        Self { interval, burst: burst.max(1), full_at: Mutex::default() }
    }

    /// Takes a token; `Some` is when its turn comes, if not now.
    fn next_turn(&self) -> Option<Instant> {
        let interval = self.interval?;
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = full_at.unwrap_or(now).max(now) + interval;
        *full_at = Some(due);
        let turn = due.checked_sub(interval * self.burst)?;
        (turn > now).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_beyond_the_burst_take_turns_o_466() {
        let pace = Pace::new(40.0, 80);
        assert!((0..80).all(|_| pace.next_turn().is_none()));
        assert_eq!(pace.next_turn().unwrap() - Instant::now(), Duration::from_millis(25));
        assert_eq!(pace.next_turn().unwrap() - Instant::now(), Duration::from_millis(50));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!((0..80).all(|_| pace.next_turn().is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let pace = Pace::new(0.0, 80);
        assert!((0..1000).all(|_| pace.next_turn().is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_fence_closes_by_itself_when_the_lease_is_not_renewed() {
        let fence = Fence::default();
        assert!(!fence.is_open());
        fence.open_until(Instant::now() + Duration::from_secs(10));
        assert!(fence.is_open());
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(!fence.is_open());
    }

    #[test]
    fn a_refusal_carries_the_servers_own_words() {
        let error = refusal(StatusCode::CONFLICT, br#"{"reason":"Conflict","message":"modified"}"#);
        assert_eq!((error.code(), error.reason(), error.to_string().as_str()), (409, "Conflict", "modified"));
        let plain = refusal(StatusCode::NOT_FOUND, b"404 page not found\n");
        assert_eq!(plain.to_string(), "404 Not Found: 404 page not found");
    }
}
