//! A Prometheus server of the demo's own: found, configured to scrape the data plane, started, and ended with it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long it may take until the first scrape is in. Debian's 2.42 waits for its discovery interval of 5 s first.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The name the data plane goes by in its configuration.
const JOB: &str = "dataplane";

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Prometheus {
    child: Child,
    url: String,
    log: PathBuf,
}

/// The program to use: the one asked for, or `prometheus` where it is on PATH.
///
/// # Errors
/// If one was asked for and cannot be found.
pub(crate) fn find_program(asked: Option<&Path>) -> Result<Option<PathBuf>> {
    let wanted = asked.unwrap_or_else(|| Path::new("prometheus"));
    let found = if wanted.components().count() > 1 {
        wanted.is_file().then(|| wanted.to_path_buf())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(wanted)).find(|candidate| candidate.is_file())
    };
    match (found, asked) {
        (None, Some(asked)) => bail!("cannot find the program {}", asked.display()),
        (found, _) => Ok(found),
    }
}

fn render_config(target: SocketAddr) -> String {
    format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n- job_name: {JOB}\n  static_configs:\n  - targets: [\"{target}\"]\n"
    )
}

impl Prometheus {
    /// Starts the program with its files in `folder`, scraping `target`'s `/metrics`.
    ///
    /// # Errors
    /// If its files cannot be written or it cannot be started.
    pub(crate) fn start(program: &Path, folder: &Path, target: SocketAddr) -> Result<Self> {
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, render_config(target))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let log = folder.join("prometheus.log");
        let output =
            std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let port = free_port().context("no free port for Prometheus")?;
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--storage.tsdb.retention.time=1h")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, url: format!("http://127.0.0.1:{port}"), log })
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it has scraped the data plane, so that a first query finds something.
    ///
    /// # Errors
    /// If it ends, or takes too long.
    pub(crate) async fn wait_scraped(&mut self) -> Result<()> {
        let query = format!("{}/api/v1/query?query=up%7Bjob%3D%22{JOB}%22%7D", self.url);
        let log = self.log.clone();
        let scraped = timeout(READY_WITHIN, async {
            loop {
                if let Some(status) = self.child.try_wait().context("cannot look after Prometheus")? {
                    bail!("Prometheus ended with {status}; its log: {}", log.display());
                }
                if fetch_json(&query).await.is_some_and(|answer| is_up(&answer)) {
                    return Ok(());
                }
                sleep(Duration::from_millis(250)).await;
            }
        });
        scraped.await.unwrap_or_else(|_| {
            bail!(
                "Prometheus scraped nothing within {} s; its log: {}",
                READY_WITHIN.as_secs(),
                log.display()
            )
        })
    }

    /// Ends it and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

fn is_up(answer: &Value) -> bool {
    answer["data"]["result"][0]["value"][1] == "1"
}

async fn fetch_json(url: &str) -> Option<Value> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = timeout(Duration::from_secs(2), client.get(url.parse().ok()?)).await.ok()?.ok()?;
    let body = Limited::new(response.into_body(), 1 << 20).collect().await.ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}

/// A port nobody listens on just now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_that_was_asked_for_must_be_there() {
        let missing = Path::new("/no/such/prometheus");
        assert_eq!(
            find_program(Some(missing)).unwrap_err().to_string(),
            "cannot find the program /no/such/prometheus"
        );
        let here = std::env::current_exe().unwrap();
        assert_eq!(find_program(Some(&here)).unwrap(), Some(here));
    }

    #[test]
    fn the_configuration_scrapes_the_data_plane_every_second() {
        let config = render_config("127.0.0.1:1234".parse().unwrap());
        let config: Value = glidepath_gocompat::yaml::parse_document(&config).unwrap();
        assert_eq!(config["global"]["scrape_interval"], "1s");
        assert_eq!(config["scrape_configs"][0]["static_configs"][0]["targets"], json!(["127.0.0.1:1234"]));
    }

    #[test]
    fn a_target_is_up_when_the_newest_scrape_worked() {
        let answer = |value: &str| json!({"data": {"result": [{"value": [1.5, value]}]}});
        assert!(is_up(&answer("1")));
        assert!(!is_up(&answer("0")));
        assert!(!is_up(&json!({"data": {"result": []}})));
    }
}
