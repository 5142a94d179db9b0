//! The users: steady requests to the proxy at a bounded rate, each noted with its outcome.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ledger::{Outcome, Sample, Service};
use super::witness::Witness;

/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Users that wait at the same time; beyond that no new one comes.
const AT_ONCE: usize = 64;
/// The longest answer that is read.
const ANSWER_LIMIT: usize = 4096;

/// A crowd that sends requests until it is dropped or sent home.
#[derive(Debug)]
pub(crate) struct Users {
    task: JoinHandle<()>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Users {
    /// Sends `per_second` requests to `service` through the proxy. Only loopback addresses are ever asked.
    pub(crate) fn start(proxy: SocketAddr, service: Service, per_second: u32, witness: Arc<Witness>) -> Self {
        let (stop, told) = tokio::sync::watch::channel(false);
        let task = tokio::spawn(send_steadily(proxy, service, per_second.max(1), witness, told));
        Self { task, stop }
    }

    /// Sends no more requests and waits for those under way.
    pub(crate) async fn go_home(mut self) {
        self.stop.send_replace(true);
        // It ends by itself; had it panicked there would be nothing to wait for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Http = Client<HttpConnector, Empty<Bytes>>;

async fn send_steadily(
    proxy: SocketAddr,
    service: Service,
    per_second: u32,
    witness: Arc<Witness>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Http = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if under_way.len() < AT_ONCE {
                    under_way.spawn(send_one(client.clone(), proxy, service, Arc::clone(&witness)));
                }
            }
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    while under_way.join_next().await.is_some() {}
}

async fn send_one(client: Http, proxy: SocketAddr, service: Service, witness: Arc<Witness>) {
    let host = match service {
        Service::Web => "web.demo",
        Service::Shop => "shop.demo",
    };
    let request = Request::get(format!("http://{proxy}/")).header(HOST, host).body(Empty::new());
    // An address always makes a valid URI.
    let Ok(request) = request else { return };
    let sent = witness.elapsed();
    let outcome = match timeout(PATIENCE, fetch(client, request)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Lost { why: format!("no answer within {} s", PATIENCE.as_secs()) },
    };
    witness.request(Sample { service, sent, answered: witness.elapsed(), outcome });
}

async fn fetch(client: Http, request: Request<Empty<Bytes>>) -> Outcome {
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => return Outcome::Lost { why: error.to_string() },
    };
    let code = response.status();
    match Limited::new(response.into_body(), ANSWER_LIMIT).collect().await {
        Ok(body) => parse_outcome(code, &body.to_bytes()),
        Err(error) => Outcome::Lost { why: format!("the answer broke off: {error}") },
    }
}

/// What an answer means: the web service says its version, whoever else answers does not.
fn parse_outcome(code: StatusCode, body: &[u8]) -> Outcome {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    match answer["version"].as_str() {
        Some(version) if code.is_success() => Outcome::Good { version: version.to_owned() },
        Some(version) => Outcome::Failed { version: version.to_owned(), code: code.as_u16() },
        None => {
            let said: String = String::from_utf8_lossy(body).trim().chars().take(120).collect();
            Outcome::Lost { why: format!("{} {said}", code.as_u16()).trim().to_owned() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_version_is_a_lost_request() {
        let version = |version: &str| version.to_owned();
        let cases: [(u16, &str, Outcome); 5] = [
            (200, "{\"version\":\"2\"}\n", Outcome::Good { version: version("2") }),
            (
                500,
                "{\"version\":\"3\",\"error\":\"x\"}\n",
                Outcome::Failed { version: version("3"), code: 500 },
            ),
            (
                503,
                "the backend has no ready endpoint\n",
                Outcome::Lost { why: "503 the backend has no ready endpoint".to_owned() },
            ),
            (200, "{}", Outcome::Lost { why: "200 {}".to_owned() }),
            (502, "", Outcome::Lost { why: "502".to_owned() }),
        ];
        for (code, body, expected) in cases {
            assert_eq!(parse_outcome(StatusCode::from_u16(code).unwrap(), body.as_bytes()), expected);
        }
    }
}
