//! Sending over the network.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};

use crate::exchange::{HttpRequest, HttpResponse, SendError, SendErrorKind, Sender};

/// The largest body that is read, in bytes (B-08).
pub const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A request that took too long, in the words of Go's client.
const LATE: &str = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// Sends requests with reqwest: proxies from the environment, certificates of the platform, connections kept.
#[derive(Clone, Debug)]
pub struct HttpSender {
    verifying: Client,
    trusting: Client,
}

impl HttpSender {
    /// A sender. Installs the process's TLS provider if none is installed yet.
    ///
    /// # Errors
    /// When TLS cannot be set up, e.g. because the platform has no certificates.
    pub fn new() -> Result<Self, SendError> {
        // An error means that a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let build = |insecure: bool| {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(Policy::limited(REDIRECTS))
                .tls_danger_accept_invalid_certs(insecure)
                .build()
                .map_err(|error| SendError {
                    kind: SendErrorKind::Transport,
                    text: format!("cannot set up the HTTP client: {}", causes(&error)),
                })
        };
        Ok(Self { verifying: build(false)?, trusting: build(true)? })
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, SendError> {
        let attempted = format!("{} \"{}\"", title(&request.method), shown(&request.url));
        let fail = |kind, text: String| SendError { kind, text: format!("{attempted}: {text}") };
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| fail(SendErrorKind::Invalid, "invalid method".to_owned()))?;
        let url: Url =
            request.url.parse().map_err(|error| fail(SendErrorKind::Invalid, format!("{error}")))?;
        if request.timeout.is_zero() {
            return Err(fail(SendErrorKind::Timeout, LATE.to_owned()));
        }
        let client = if request.insecure { &self.trusting } else { &self.verifying };
        let mut builder = client.request(method, url).timeout(request.timeout).body(request.body);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let failed = |error: reqwest::Error| match kind_of(&error) {
            SendErrorKind::Timeout => fail(SendErrorKind::Timeout, LATE.to_owned()),
            kind => fail(kind, causes(&error)),
        };
        let mut response = match builder.send().await {
            Ok(response) => response,
            Err(error) => match refused_by(&error).await {
                Some(text) => return Err(fail(SendErrorKind::Connect, text)),
                None => return Err(failed(error)),
            },
        };
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(&failed)? {
            if body.len() + chunk.len() > BODY_LIMIT {
                let text = format!("the answer is larger than {BODY_LIMIT} bytes");
                return Err(fail(SendErrorKind::TooLarge, text));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, body })
    }
}

fn kind_of(error: &reqwest::Error) -> SendErrorKind {
    if error.is_timeout() {
        SendErrorKind::Timeout
    } else if error.is_builder() {
        SendErrorKind::Invalid
    } else if error.is_connect() {
        SendErrorKind::Connect
    } else {
        SendErrorKind::Transport
    }
}

/// A connection that was refused, or a name that is unknown, in the words of Go's client: they end up in messages of
/// runs and Rollouts, where people look for them.
async fn refused_by(error: &reqwest::Error) -> Option<String> {
    let url = error.url()?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            let mut found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await.ok()?;
            return Some(format!("dial tcp {}: connect: connection refused", found.next()?));
        }
        if cause.to_string().contains("dns error") {
            return Some(format!("dial tcp: lookup {host}: no such host"));
        }
        next = cause.source();
    }
    None
}

/// `GET` as Go's client writes it in errors: `Get`.
fn title(method: &str) -> String {
    let mut letters = method.chars();
    let first = letters.next().unwrap_or('?');
    format!("{first}{}", letters.as_str().to_ascii_lowercase())
}

/// The address without the user information it may hold.
fn shown(url: &str) -> String {
    let Ok(mut parsed) = url.parse::<Url>() else { return url.to_owned() };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        // Both fail only for addresses that cannot hold user information, and this one does.
        let _ = parsed.set_password(None);
        let _ = parsed.set_username("");
    }
    parsed.to_string()
}

/// The causes from the second on, joined: the first repeats the address.
fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}
