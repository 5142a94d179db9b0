//! Probes and hooks of real processes: HTTP, TCP and commands.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::group::{Launch, ProcessGroup, Registry};
use crate::object::text;

/// Where a pod's ports really are, and the environment of one of its containers.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Container port number to real port.
    pub ports: BTreeMap<u16, u16>,
    /// Port name to container port number.
    pub port_names: BTreeMap<String, u16>,
    /// The container's environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory, if it has one.
    pub working_dir: Option<String>,
    /// Where the processes of commands are registered.
    pub registry: Registry,
}

impl Surroundings {
    fn port(&self, value: Option<&Value>) -> Option<u16> {
        let container_port = match value? {
            Value::String(name) => self.port_names.get(name).copied().or_else(|| name.parse().ok())?,
            number => u16::try_from(number.as_u64()?).ok()?,
        };
        Some(self.ports.get(&container_port).copied().unwrap_or(container_port))
    }
}

/// The timing of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    initial_delay: Duration,
    period: Duration,
    patience: Duration,
    successes: u64,
    failures: u64,
}

impl Rhythm {
    /// Reads the timing of a probe, with the API's defaults.
    #[must_use]
    pub fn parse(probe: &Value) -> Self {
        let number = |field: &str, default: u64| probe.get(field).and_then(Value::as_u64).unwrap_or(default);
        Self {
            initial_delay: Duration::from_secs(number("initialDelaySeconds", 0)),
            period: Duration::from_secs(number("periodSeconds", 10).max(1)),
            patience: Duration::from_secs(number("timeoutSeconds", 1).max(1)),
            successes: number("successThreshold", 1).max(1),
            failures: number("failureThreshold", 3).max(1),
        }
    }
}

/// Performs one probe or hook action; an error says what went wrong.
///
/// # Errors
/// A sentence about the failure.
pub async fn send_action(action: &Value, surroundings: &Surroundings) -> Result<(), String> {
    if let Some(http) = action.get("httpGet") {
        return send_http(http, surroundings).await;
    }
    if let Some(socket) = action.get("tcpSocket").or_else(|| action.get("grpc")) {
        let port = surroundings.port(socket.get("port")).ok_or("no such port")?;
        return TcpStream::connect((surroundings.address, port))
            .await
            .map(|_| ())
            .map_err(|error| error.to_string());
    }
    if let Some(exec) = action.get("exec") {
        let words = exec.get("command").and_then(Value::as_array).into_iter().flatten();
        let command: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
        return run_command(command, surroundings).await;
    }
    if let Some(seconds) = action.pointer("/sleep/seconds").and_then(Value::as_u64) {
        sleep(Duration::from_secs(seconds)).await;
    }
    Ok(())
}

async fn run_command(command: Vec<String>, surroundings: &Surroundings) -> Result<(), String> {
    let launch = Launch {
        command,
        env: surroundings.env.clone(),
        working_dir: surroundings.working_dir.clone(),
        piped: false,
        stdin: false,
    };
    let mut group =
        ProcessGroup::start(&surroundings.registry, &launch).map_err(|error| error.to_string())?;
    match group.wait().await {
        0 => Ok(()),
        code => Err(format!("command exited with {code}")),
    }
}

async fn send_http(http: &Value, surroundings: &Surroundings) -> Result<(), String> {
    let port = surroundings.port(http.get("port")).ok_or("no such port")?;
    if text(http, "scheme") == "HTTPS" {
        // Certificates of pods are not verified by kubelets either; that something answers is all this asks.
        return TcpStream::connect((surroundings.address, port))
            .await
            .map(|_| ())
            .map_err(|error| error.to_string());
    }
    let path = match text(http, "path") {
        "" => "/",
        path => path,
    };
    let mut request = Request::get(path)
        .header("host", format!("{}:{port}", surroundings.address))
        .header("user-agent", "kube-probe/1.36");
    for header in http.get("httpHeaders").and_then(Value::as_array).into_iter().flatten() {
        request = request.header(text(header, "name"), text(header, "value"));
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect((surroundings.address, port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200..=399 => Ok(()),
            code => Err(format!("HTTP probe failed with statuscode: {code}")),
        }
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Probes for ever, starting from `passing`, and calls `changed` whenever the thresholds say that the
/// verdict has changed. Returns when `changed` answers false.
pub async fn watch_probe(
    probe: &Value,
    surroundings: &Surroundings,
    mut passing: bool,
    mut changed: impl FnMut(bool) -> bool,
) {
    let rhythm = Rhythm::parse(probe);
    sleep(rhythm.initial_delay).await;
    let mut in_a_row = 0;
    loop {
        let success = matches!(timeout(rhythm.patience, send_action(probe, surroundings)).await, Ok(Ok(())));
        in_a_row = if success == passing { 0 } else { in_a_row + 1 };
        let threshold = if success { rhythm.successes } else { rhythm.failures };
        if success != passing && in_a_row >= threshold {
            passing = success;
            in_a_row = 0;
            if !changed(passing) {
                return;
            }
        }
        sleep(rhythm.period).await;
    }
}

/// Waits until a start-up probe passes (true) or has failed as often as it may (false).
pub async fn wait_for_startup(probe: &Value, surroundings: &Surroundings) -> bool {
    let rhythm = Rhythm::parse(probe);
    sleep(rhythm.initial_delay).await;
    for _ in 0..rhythm.failures {
        if matches!(timeout(rhythm.patience, send_action(probe, surroundings)).await, Ok(Ok(()))) {
            return true;
        }
        sleep(rhythm.period).await;
    }
    false
}
