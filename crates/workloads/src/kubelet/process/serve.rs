//! What a kubelet serves to its API server: the logs of its containers, over HTTPS, so that `kubectl logs` works on a
//! real control plane too. Its certificate is its own, which API servers accept unless they are told of an authority.
//!
//! Anybody who reaches the address may read logs; it is a loopback one unless the pod range is local.
//!
//! Not done: `exec`, `attach` and `port-forward`.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use glidepath_clock::Clock;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::logs::{LogQuery, ProcessLogs};

/// A kubelet's listening socket, with its certificate.
#[derive(Clone)]
pub struct KubeletPort {
    listener: Arc<StdListener>,
    acceptor: TlsAcceptor,
    addr: SocketAddr,
}

impl KubeletPort {
    /// Listens on a free port of `address`.
    ///
    /// # Errors
    /// When the address is not ours, or no certificate can be made.
    pub fn bind(address: std::net::Ipv4Addr, node: &str) -> io::Result<Self> {
        let listener = StdListener::bind((address, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let acceptor = make_acceptor(addr, node).map_err(io::Error::other)?;
        Ok(Self { listener: Arc::new(listener), acceptor, addr })
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }
}

fn make_acceptor(
    addr: SocketAddr,
    node: &str,
) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let mut params = CertificateParams::new([addr.ip().to_string(), node.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, format!("system:node:{node}"));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until it is dropped.
pub async fn run(port: KubeletPort, logs: ProcessLogs, clock: Clock) {
    let listener = port.listener.try_clone().and_then(TcpListener::from_std);
    let Ok(listener) = listener else {
        tracing::warn!(address = %port.addr, "cannot serve logs");
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, port.acceptor.clone(), logs.clone(), clock));
            }
            Err(error) => tracing::debug!(%error, "cannot accept a connection"),
        }
    }
}

async fn serve_connection(stream: TcpStream, acceptor: TlsAcceptor, logs: ProcessLogs, clock: Clock) {
    let served = async {
        let stream = acceptor.accept(stream).await?;
        let service = service_fn(|request: Request<Incoming>| {
            let answer = answer(request.uri(), &logs, clock.now());
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "connection ended");
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

fn answer(uri: &http::Uri, logs: &ProcessLogs, now: Timestamp) -> Response<Body> {
    let say = |status: StatusCode, words: String| {
        let mut response =
            Response::new(Full::new(Bytes::from(words)).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        response
    };
    if uri.path() == "/healthz" {
        return say(StatusCode::OK, "ok".to_owned());
    }
    let Some(query) = parse_log_query(uri, now) else {
        return say(StatusCode::NOT_FOUND, "404 page not found\n".to_owned());
    };
    match logs.open(&query) {
        Err(message) => say(StatusCode::BAD_REQUEST, message),
        Ok(lines) => {
            let lines: BoxStream<'static, io::Result<Bytes>> = lines;
            Response::new(BodyExt::boxed_unsync(StreamBody::new(lines.map(|piece| piece.map(Frame::data)))))
        }
    }
}

/// Reads `/containerLogs/NAMESPACE/POD/CONTAINER?…`.
fn parse_log_query(uri: &http::Uri, now: Timestamp) -> Option<LogQuery> {
    let mut parts = uri.path().strip_prefix("/containerLogs/")?.split('/');
    let (namespace, pod, container) = (parts.next()?, parts.next()?, parts.next()?);
    let mut query = LogQuery {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        ..LogQuery::default()
    };
    for pair in uri.query().unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace("%3A", ":").replace("%2B", "+");
        match name {
            "follow" => query.follow = value == "true",
            "previous" => query.previous = value == "true",
            "timestamps" => query.timestamps = value == "true",
            "tailLines" => query.tail_lines = value.parse().ok(),
            "limitBytes" => query.limit_bytes = value.parse().ok(),
            "sinceTime" => query.since = value.parse().ok(),
            "sinceSeconds" => {
                let ago = value.parse().map(SignedDuration::from_secs).unwrap_or_default();
                query.since = now.checked_sub(ago).ok();
            }
            _ => {}
        }
    }
    Some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_request_is_read_as_api_servers_write_it() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let parse = |uri: &str| parse_log_query(&uri.parse().unwrap(), now);
        let query = parse(
            "/containerLogs/n/p/c?follow=true&previous=true&tailLines=5&limitBytes=9&sinceSeconds=60&timestamps=true",
        );
        let expected = LogQuery {
            namespace: "n".to_owned(),
            pod: "p".to_owned(),
            container: "c".to_owned(),
            follow: true,
            previous: true,
            timestamps: true,
            tail_lines: Some(5),
            limit_bytes: Some(9),
            since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        };
        assert_eq!(query, Some(expected));
        let since = parse("/containerLogs/n/p/c?sinceTime=2026-01-01T00%3A00%3A30Z").unwrap().since;
        assert_eq!(since, Some("2026-01-01T00:00:30Z".parse().unwrap()));
        assert_eq!(parse("/containerLogs/n/p"), None);
        assert_eq!(parse("/pods"), None);
    }
}
