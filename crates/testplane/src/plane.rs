//! One control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, model nodes and our controller,
//! each a process on loopback, with everything they write in one folder.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use glidepath_scenarios::permissions::{apply_permissions, shipped};
use glidepath_scenarios::real::connect;

use crate::cluster::{apply_definitions, count_ready_nodes, fetch_token, is_ready, wait_until};
use crate::keys::{Authority, write_private};
use crate::node::NODES;
use crate::processes::Processes;
use crate::programs::Programs;

/// Ports are looked for here: below those that the system gives to outgoing connections, so that none is taken
/// between being found free and being used.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// What is written about requests when an audit log is wanted.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: [\"/*\"]
- level: Metadata
";

/// What a plane has besides a control plane and nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Leave our controller out.
    pub(crate) no_controller: bool,
    /// Nothing but a control plane.
    pub(crate) bare: bool,
    /// Write every request to `log/audit.log`.
    pub(crate) audit: bool,
}

/// A plane by the folder it lives in.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    folder: PathBuf,
}

/// The ports of one plane.
struct Ports {
    etcd: u16,
    etcd_peer: u16,
    api: u16,
    controller_manager: u16,
    scheduler: u16,
    metrics: u16,
    health: u16,
}

impl Plane {
    /// The plane of this name, running or not.
    ///
    /// # Errors
    /// When the name cannot be a folder's.
    pub(crate) fn named(home: &Path, name: &str) -> Result<Self> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if name.is_empty() || !name.chars().all(fits) {
            bail!("{name:?} cannot be the name of a plane; use letters, digits and dashes");
        }
        Ok(Self { folder: home.join(name) })
    }

    /// Where everything of it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the administrator's kubeconfig is.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Where the logs are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Whether any of its processes runs.
    pub(crate) fn is_up(&self) -> Result<bool> {
        Ok(Processes::remembered(&self.folder)?.any_alive())
    }

    /// Fails when one of its processes has ended.
    pub(crate) fn check(&self) -> Result<()> {
        Processes::remembered(&self.folder)?.check()
    }

    /// Brings it up from nothing; ready for work when this returns.
    ///
    /// # Errors
    /// When it is up already, or something does not start; what did start is stopped again.
    pub(crate) async fn start(&self, programs: &Programs, wishes: &Wishes) -> Result<()> {
        if self.is_up()? {
            bail!("the plane in {} is up already", self.folder.display());
        }
        self.remove()?;
        fs::create_dir_all(&self.folder).with_context(|| format!("create {}", self.folder.display()))?;
        let mut processes = Processes::remembered(&self.folder)?;
        let started = self.start_all(programs, wishes, &mut processes).await;
        if started.is_err() {
            processes.stop().await?;
        }
        started
    }

    async fn start_all(&self, programs: &Programs, wishes: &Wishes, processes: &mut Processes) -> Result<()> {
        let ports = Ports::find()?;
        let keys = Authority::create(&self.folder.join("pki"))?;
        let server = format!("https://127.0.0.1:{}", ports.api);
        keys.issue_server()?;
        for (name, user, group) in [
            ("admin", "admin", Some("system:masters")),
            ("controller-manager", "system:kube-controller-manager", None),
            ("scheduler", "system:kube-scheduler", None),
        ] {
            keys.issue_client(name, user, group)?;
            let file = if name == "admin" { "kubeconfig".to_owned() } else { format!("{name}.kubeconfig") };
            write_private(&self.folder.join(file), &keys.kubeconfig_with_certificate(&server, name))?;
        }

        processes.start("etcd", &mut etcd(programs, &ports))?;
        processes.start("kube-apiserver", &mut self.api_server(programs, &ports, &keys, wishes)?)?;
        let client = connect(&self.kubeconfig()).await?;
        wait_until("the API server is ready", async || is_ready(&client).await, || processes.check()).await?;
        // Definitions come before the garbage collector, which looks for new kinds only every half minute.
        if !wishes.bare {
            apply_definitions(&client).await?;
            apply_permissions(&client, &shipped()?).await?;
        }
        processes.start("kube-controller-manager", &mut controller_manager(programs, &ports, &keys))?;
        processes.start("kube-scheduler", &mut scheduler(programs, &ports))?;
        let nodes = if wishes.bare { 0 } else { NODES };
        if !wishes.bare {
            let mut command = Command::new(std::env::current_exe()?);
            processes.start("nodes", command.arg("nodes").arg(self.kubeconfig()))?;
            let token = fetch_token(&client).await?;
            write_private(&self.controller_kubeconfig(), &keys.kubeconfig_with_token(&server, &token))?;
        }
        if !wishes.no_controller {
            self.start_controller(&ports, processes).await?;
        }
        let ready = async || count_ready_nodes(&client).await == nodes;
        wait_until("the nodes are ready", ready, || processes.check()).await?;
        processes.check()
    }

    /// The kubeconfig with a token of the account we ship.
    fn controller_kubeconfig(&self) -> PathBuf {
        self.folder.join("controller.kubeconfig")
    }

    /// Starts the `glidepath` that was built beside this program, with a token of the account we ship.
    async fn start_controller(&self, ports: &Ports, processes: &mut Processes) -> Result<()> {
        let mut controller = Command::new(std::env::current_exe()?.with_file_name("glidepath"));
        controller.arg("controller").arg("--kubeconfig").arg(self.controller_kubeconfig()).args([
            "--metricsPort".to_owned(),
            ports.metrics.to_string(),
            "--healthzPort".to_owned(),
            ports.health.to_string(),
        ]);
        processes.start("glidepath", &mut controller)?;
        let listens = async || TcpStream::connect((Ipv4Addr::LOCALHOST, ports.health)).is_ok();
        wait_until("our controller answers", listens, || processes.check()).await
    }

    /// Stops it. Its logs stay if they are wanted, everything else goes.
    pub(crate) async fn stop(&self, keep_logs: bool) -> Result<()> {
        Processes::remembered(&self.folder)?.stop().await?;
        if !keep_logs {
            return self.remove();
        }
        for entry in fs::read_dir(&self.folder).with_context(|| format!("read {}", self.folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && path != self.logs() {
                fs::remove_dir_all(&path)?;
            } else if path.is_file() {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    fn api_server(
        &self,
        programs: &Programs,
        ports: &Ports,
        keys: &Authority,
        wishes: &Wishes,
    ) -> Result<Command> {
        let file = |name: &str| keys.path(name).display().to_string();
        let mut command = Command::new(programs.path("kube-apiserver"));
        command.args([
            format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", ports.api),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            "--authorization-mode=Node,RBAC".to_owned(),
            // Stricter than the default, as some distributions have it: our role must do there as well.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
            "--max-requests-inflight=2000".to_owned(),
            "--max-mutating-requests-inflight=1000".to_owned(),
            // As installers set it: our nodes have names that no resolver knows.
            "--kubelet-preferred-address-types=InternalIP,Hostname".to_owned(),
        ]);
        if wishes.audit {
            let policy = self.folder.join("audit.yaml");
            fs::write(&policy, AUDIT_POLICY).with_context(|| format!("write {}", policy.display()))?;
            command.arg(format!("--audit-policy-file={}", policy.display()));
            command.arg(format!("--audit-log-path={}", self.logs().join("audit.log").display()));
            command.arg("--audit-log-maxsize=10000");
        }
        Ok(command)
    }
}

impl Ports {
    /// Ports of loopback that nobody listens on.
    fn find() -> Result<Self> {
        // All are held until the last is found, so that none is found twice.
        let mut held = Vec::new();
        let first = fastrand::u16(PORTS);
        for port in (first..PORTS.end).chain(PORTS.start..first) {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                held.push((port, listener));
            }
            if let [etcd, etcd_peer, api, controller_manager, scheduler, metrics, health] = held.as_slice() {
                return Ok(Self {
                    etcd: etcd.0,
                    etcd_peer: etcd_peer.0,
                    api: api.0,
                    controller_manager: controller_manager.0,
                    scheduler: scheduler.0,
                    metrics: metrics.0,
                    health: health.0,
                });
            }
        }
        bail!("fewer than 7 ports from {} to {} are free", PORTS.start, PORTS.end)
    }
}

fn etcd(programs: &Programs, ports: &Ports) -> Command {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let mut command = Command::new(programs.path("etcd"));
    command.args([
        "--data-dir=etcd".to_owned(),
        // Nothing on a plane like this is worth a flush to the disk.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
    ]);
    command
}

fn controller_manager(programs: &Programs, ports: &Ports, keys: &Authority) -> Command {
    let file = |name: &str| keys.path(name).display().to_string();
    let mut command = Command::new(programs.path("kube-controller-manager"));
    command.args([
        "--kubeconfig=controller-manager.kubeconfig".to_owned(),
        format!("--service-account-private-key-file={}", file("accounts.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        format!("--cluster-signing-cert-file={}", file("ca.crt")),
        format!("--cluster-signing-key-file={}", file("ca.key")),
        "--use-service-account-credentials".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.controller_manager),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]);
    command
}

fn scheduler(programs: &Programs, ports: &Ports) -> Command {
    let mut command = Command::new(programs.path("kube-scheduler"));
    command.args([
        "--kubeconfig=scheduler.kubeconfig".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.scheduler),
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_the_folder_are_refused() {
        for name in ["", ".", "..", "a/b", "a b", "/"] {
            assert!(Plane::named(Path::new("planes"), name).is_err(), "{name:?}");
        }
        assert_eq!(
            Plane::named(Path::new("planes"), "a-1").unwrap().kubeconfig(),
            Path::new("planes/a-1/kubeconfig")
        );
    }

    #[test]
    fn the_ports_of_a_plane_differ() {
        let ports = Ports::find().unwrap();
        let mut all = [
            ports.etcd,
            ports.etcd_peer,
            ports.api,
            ports.controller_manager,
            ports.scheduler,
            ports.metrics,
            ports.health,
        ];
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
        assert!(all.iter().all(|port| PORTS.contains(port)), "{all:?}");
    }
}
