//! The controller under measurement: a child process, its memory, its processor time, its API calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// A running controller.
pub(crate) struct Controller {
    words: Vec<String>,
    kubeconfig: PathBuf,
    metrics_port: u16,
    child: Child,
}

/// API calls by resource and verb.
#[derive(Clone, Default)]
pub(crate) struct Calls(BTreeMap<(String, String), f64>);

impl Controller {
    /// Starts `command`, by default the `glidepath controller` that was built beside this program.
    pub(crate) fn start(command: Option<&str>, kubeconfig: &Path) -> Result<Self> {
        let words = match command {
            Some(command) => command.split_whitespace().map(str::to_owned).collect(),
            None => {
                let beside = std::env::current_exe()?.with_file_name("glidepath");
                vec![beside.to_string_lossy().into_owned(), "controller".to_owned()]
            }
        };
        let metrics_port = free_port()?;
        let child = spawn(&words, kubeconfig, metrics_port)?;
        Ok(Self { words, kubeconfig: kubeconfig.to_path_buf(), metrics_port, child })
    }

    /// Stops it and starts it anew.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.child = spawn(&self.words, &self.kubeconfig, self.metrics_port)?;
        Ok(())
    }

    /// Asks it to end, and waits.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            let status = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
            if status.success()
                && tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await.is_ok()
            {
                return Ok(());
            }
        }
        self.child.kill().await?;
        Ok(())
    }

    fn id(&self) -> Result<u32> {
        self.child.id().context("the controller has ended; see target/bench-controller.log")
    }

    /// Resident memory in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Processor time so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()?))?;
        let after_name = stat.rsplit(')').next().context("unreadable stat")?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: f64 = fields.get(11).context("no utime")?.parse::<f64>()?
            + fields.get(12).context("no stime")?.parse::<f64>()?;
        // Linux counts in hundredths of a second on every architecture it is built for here.
        Ok(ticks / 100.0)
    }

    /// API calls so far, leases left out.
    pub(crate) async fn calls(&self) -> Result<Calls> {
        for _ in 0..50 {
            if let Ok(text) = scrape(self.metrics_port).await {
                return Ok(Calls::parse(&text));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("the controller's /metrics on port {} does not answer", self.metrics_port)
    }
}

impl Calls {
    fn parse(text: &str) -> Self {
        let mut calls = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("controller_clientset_k8s_request_total{")) {
            let label = |name: &str| {
                let start = line.find(&format!("{name}=\""))? + name.len() + 2;
                Some(line[start..].split('"').next()?.to_owned())
            };
            let (Some(kind), Some(verb)) = (label("kind"), label("verb")) else { continue };
            let count: f64 = line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0);
            if kind != "leases" {
                *calls.entry((kind, verb)).or_default() += count;
            }
        }
        Self(calls)
    }

    /// What was added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let added = self
            .0
            .iter()
            .map(|(key, count)| (key.clone(), count - earlier.0.get(key).copied().unwrap_or(0.0)));
        Self(added.filter(|(_, count)| *count > 0.0).collect())
    }

    fn sum(&self, wanted: impl Fn(&str, &str) -> bool) -> f64 {
        self.0.iter().filter(|((kind, verb), _)| wanted(kind, verb)).map(|(_, count)| count).sum()
    }

    /// Creates, updates, patches and deletes.
    pub(crate) fn writes(&self) -> f64 {
        self.sum(|_, verb| matches!(verb, "Create" | "Update" | "Patch" | "Delete"))
    }

    /// Gets and lists.
    pub(crate) fn reads(&self) -> f64 {
        self.sum(|_, verb| matches!(verb, "Get" | "List"))
    }

    /// Every call about a resource.
    pub(crate) fn of(&self, resource: &str) -> f64 {
        self.sum(|kind, _| kind == resource)
    }

    /// Calls divided by `count`, as `Verb resource`.
    pub(crate) fn per(&self, count: f64) -> BTreeMap<String, f64> {
        self.0.iter().map(|((kind, verb), calls)| (format!("{verb} {kind}"), calls / count)).collect()
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn spawn(words: &[String], kubeconfig: &Path, metrics_port: u16) -> Result<Child> {
    let (program, args) = words.split_first().context("--controller-cmd is empty")?;
    std::fs::create_dir_all("target")?;
    let log = std::fs::File::options().create(true).append(true).open("target/bench-controller.log")?;
    Command::new(program)
        .args(args)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--metricsPort", &metrics_port.to_string(), "--healthzPort", &free_port()?.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not start {program}"))
}

async fn scrape(port: u16) -> Result<String> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
