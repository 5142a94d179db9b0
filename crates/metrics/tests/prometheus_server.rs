//! Questions to a Prometheus server, if the program is on PATH; otherwise a line says that they were skipped.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what went wrong by panicking")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::process::Stdio;
use std::time::Duration;

use glidepath_core::plan::Ask;
use glidepath_core::snapshot::{Answer, ReadingValue, Settings};
use glidepath_metrics::{HttpRequest, HttpSender, Sender, answer};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

struct Server {
    _process: Child,
    _folder: tempfile::TempDir,
    address: String,
    sender: HttpSender,
}

impl Server {
    async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 1s}\n").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={listen}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let sender = HttpSender::new().unwrap();
        let address = format!("http://{listen}");
        for _ in 0..600 {
            let request = HttpRequest {
                method: "GET".to_owned(),
                url: format!("{address}/-/ready"),
                timeout: Duration::from_secs(1),
                ..HttpRequest::default()
            };
            if sender.send(request).await.is_ok_and(|response| response.status == 200) {
                return Some(Self { _process: process, _folder: folder, address, sender });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("prometheus does not become ready");
    }

    async fn ask(&self, fields: Value) -> Answer {
        let mut prometheus = json!({"address": self.address});
        prometheus.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let metric =
            serde_json::from_value(json!({"name": "m", "provider": {"prometheus": prometheus}})).unwrap();
        let ask = Ask { metric, secrets: Vec::new() };
        answer(&self.sender, &ask, &Settings::default(), Timestamp::now).await
    }
}

#[tokio::test]
async fn a_prometheus_server_is_understood_a351_to_a355() {
    let Some(server) = Server::start().await else {
        eprintln!("skipped: no prometheus on PATH");
        return;
    };
    for (query, value, result) in [
        ("scalar(vector(0.97))", "0.97", ReadingValue::Float(0.97)),
        ("1 + 1", "2", ReadingValue::Float(2.0)),
        ("vector(1) / 0", "[+Inf]", ReadingValue::Floats(vec![f64::INFINITY])),
        (
            "label_replace(vector(1), \"a\", \"b\", \"\", \"\") or vector(2)",
            "[1,2]",
            ReadingValue::Floats(vec![1.0, 2.0]),
        ),
        ("up{job=\"nothing\"}", "[]", ReadingValue::Floats(vec![])),
    ] {
        let reading = server.ask(json!({"query": query})).await.outcome.unwrap();
        assert_eq!((reading.value.as_str(), reading.result), (value, result), "{query}");
    }
    let range = json!({"start": "now() - duration(\"2m\")", "end": "now()", "step": "1m"});
    let reading = server.ask(json!({"query": "vector(3)", "rangeQuery": range})).await.outcome.unwrap();
    assert_eq!(reading.value, "[3,3,3]");
    for (query, want) in [("sum(", "bad_data: "), ("\"text\"", "unexpected value type \"string\"")] {
        let error = server.ask(json!({"query": query})).await.outcome.unwrap_err();
        assert!(error.starts_with(want), "{error}");
    }
    let lost = server.ask(json!({"query": "1", "address": format!("{}/elsewhere", server.address)})).await;
    assert_eq!(lost.outcome.unwrap_err(), "client_error: client error: 404");
}
