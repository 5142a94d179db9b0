//! The controller under measurement: a child process, its memory, its processor time, its API calls.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::audit::AuditLog;
use crate::calls::Calls;

/// A running controller.
pub(crate) struct Controller {
    words: Vec<String>,
    kubeconfig: PathBuf,
    metrics_port: u16,
    audit: Option<AuditLog>,
    child: Child,
}

impl Controller {
    /// Starts `command`, by default the `glidepath controller` that was built beside this program. Its calls are
    /// counted in the API server's audit log if there is one, else by itself.
    pub(crate) fn start(command: Option<&str>, kubeconfig: &Path, audit: Option<PathBuf>) -> Result<Self> {
        let words = match command {
            Some(command) => command.split_whitespace().map(str::to_owned).collect(),
            None => {
                let beside = std::env::current_exe()?.with_file_name("glidepath");
                vec![beside.to_string_lossy().into_owned(), "controller".to_owned()]
            }
        };
        let metrics_port = free_port()?;
        let child = spawn(&words, kubeconfig, metrics_port)?;
        let program = words.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
        let audit = audit.map(|path| AuditLog::new(path, &program.to_string_lossy()));
        Ok(Self { words, kubeconfig: kubeconfig.to_path_buf(), metrics_port, audit, child })
    }

    /// Stops it and starts it anew; the calls before the start, as [`Controller::calls`] counts them from now on.
    pub(crate) async fn restart(&mut self) -> Result<Calls> {
        self.stop().await?;
        // A process counts its own calls from nothing.
        let before = match &mut self.audit {
            Some(log) => log.calls()?,
            None => Calls::default(),
        };
        self.child = spawn(&self.words, &self.kubeconfig, self.metrics_port)?;
        Ok(before)
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
        resident_mib(self.id()?)
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
    pub(crate) async fn calls(&mut self) -> Result<Calls> {
        if let Some(log) = &mut self.audit {
            return log.calls();
        }
        for _ in 0..50 {
            if let Ok(text) = scrape(self.metrics_port).await {
                return Ok(Calls::parse(&text));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        bail!("the controller's /metrics on port {} does not answer", self.metrics_port)
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

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
