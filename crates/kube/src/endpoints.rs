//! `/metrics` and `/healthz` (O-487), and what probes may ask besides (O-878).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Answers a path with a status and a text.
pub type Respond = dyn Fn(&str) -> (StatusCode, String) + Send + Sync;

/// Opens a listener.
///
/// # Errors
/// When the address is taken or not allowed.
pub async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, std::io::Error> {
    TcpListener::bind(address).await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot serve {what} on {address}: {error}"))
    })
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, respond: Arc<Respond>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // A failed accept concerns one client only.
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let respond = Arc::clone(&respond);
        connections.spawn(async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let (status, text) = respond(request.uri().path());
                let mut response = Response::new(Full::new(Bytes::from(text)));
                *response.status_mut() = status;
                let type_ = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(http::header::CONTENT_TYPE, type_);
                async move { Ok::<_, Infallible>(response) }
            });
            // Whoever hangs up early misses the answer; nobody else does.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
