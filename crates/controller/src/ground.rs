//! The ground that `sandbox` and `demo` stand on: the embedded plane over HTTPS, workload controllers, a kubelet,
//! our resource definitions and, if wanted, our controller; started and stopped as one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use glidepath_clock::Clock;
use glidepath_kube::lease::LeaseOptions;
use glidepath_kube::{Decisions, Observer, Options};
use glidepath_metrics::HttpSender;
use glidepath_sandbox::{
    ExecRequest, ExecSession, ExecSource, LogError, LogRequest, LogSource, LogStream, Running, Sandbox,
};
use glidepath_workloads::kubelet::node::NodeConfig;
use glidepath_workloads::kubelet::process::{
    Commands, ImageMap, LocalImage, LogQuery, ProcessConfig, ProcessLogs,
};
use glidepath_workloads::object::Key;
use glidepath_workloads::{Controller, Workloads};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The node every pod runs on.
const NODE: &str = "sandbox";
/// The namespace that controllers of rollouts use by custom.
const CONTROLLER_NAMESPACE: &str = "argo-rollouts";

/// What lets pods run.
#[derive(Clone, Debug)]
pub(crate) enum Kubelet {
    /// Nothing runs; pods live as their specs say.
    Model,
    /// Pods are local processes, by image.
    Process(ImageMap),
}

/// What to start.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Where the API is served; port 0 takes a free one.
    pub address: SocketAddr,
    /// Where objects are kept; in memory only without.
    pub data_dir: Option<PathBuf>,
    /// What lets pods run.
    pub kubelet: Kubelet,
    /// Definitions besides ours and those of the Gateway API.
    pub definitions: Vec<Value>,
    /// Whether our controller runs too.
    pub controller: bool,
    /// Sees its decisions.
    pub on_decision: Option<Arc<Observer>>,
}

/// Everything that was started. Dropping it ends it at once; [`Ground::stop`] lets the controller finish first.
pub(crate) struct Ground {
    sandbox: Sandbox,
    running: Running,
    workloads: Workloads,
    controller: Option<ControllerTask>,
    clock: Clock,
}

struct ControllerTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), glidepath_kube::RunError>>,
}

impl Ground {
    /// Starts everything. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the data folder cannot be used, the address cannot be listened on, or a definition is refused.
    pub(crate) async fn start(settings: Settings) -> Result<Self> {
        let clock = Clock::system();
        let sandbox = Sandbox::builder()
            .clock(clock)
            .data_dir(settings.data_dir.clone())
            // Names need to differ from run to run, so that objects of different runs can be told apart.
            .seed(fastrand::u64(..))
            .allow_loopback_endpoints(true)
            .build()?;
        let running = sandbox.serve(settings.address).await?;
        let mut definitions = glidepath_api::crd::all().to_vec();
        definitions.extend(glidepath_dataplane::crds());
        definitions.extend(settings.definitions);
        sandbox.install_crds(&definitions).await?;
        let workloads = start_workloads(&sandbox, &running, clock, &settings.kubelet);
        let mut ground = Self { sandbox, running, workloads, controller: None, clock };
        if settings.controller {
            ground.ensure_namespace(CONTROLLER_NAMESPACE).await?;
            ground.start_controller(settings.on_decision)?;
        }
        Ok(ground)
    }

    /// A client in this process, known to the audit by `label`.
    pub(crate) fn client(&self, label: &str, namespace: &str) -> kube::Client {
        self.sandbox.client(label, namespace)
    }

    /// The clock of everything here.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The served API, with its kubeconfig.
    pub(crate) fn served(&self) -> &Running {
        &self.running
    }

    /// Stops everything in order: the controller, the pods, the API.
    pub(crate) async fn stop(self) {
        if let Some(ControllerTask { stop, task }) = self.controller {
            // If nobody is listening it has ended already, and why was logged.
            let _ = stop.send(());
            let _ = task.await;
        }
        self.workloads.shutdown().await;
        self.running.shutdown().await;
    }

    async fn ensure_namespace(&self, name: &str) -> Result<()> {
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
            kube::Api::all(self.client("sandbox-setup", ""));
        let wanted = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        match namespaces.create(&kube::api::PostParams::default(), &wanted).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot create the namespace {name}")),
        }
    }

    fn start_controller(&mut self, on_decision: Option<Arc<Observer>>) -> Result<()> {
        let sender =
            HttpSender::new().map_err(|error| anyhow::anyhow!("cannot set up metric requests: {error}"))?;
        let mut lease = LeaseOptions::new(CONTROLLER_NAMESPACE, "", NODE);
        // It is the only one here, and a kept lease of an earlier run must not make it wait.
        lease.elect = false;
        let options = Options {
            namespace: String::new(),
            settings: glidepath_core::snapshot::Settings::default(),
            lease,
            qps: 0.0,
            burst: 0,
            metrics_address: None,
            health_address: None,
            istio_version: "v1alpha3".to_owned(),
            decisions: Decisions::default(),
            only: None,
            on_decision,
        };
        let client = self.client("glidepath-controller", "default");
        let (stop, stopped) = oneshot::channel::<()>();
        let run =
            glidepath_kube::run(client, self.clock, options, Arc::new(sender), async { drop(stopped.await) });
        self.controller = Some(ControllerTask { stop, task: tokio::spawn(run) });
        Ok(())
    }
}

fn start_workloads(sandbox: &Sandbox, running: &Running, clock: Clock, kubelet: &Kubelet) -> Workloads {
    let builder = Workloads::builder(sandbox.client("workloads", "default"))
        .clock(clock)
        .controllers(Controller::ALL)
        .root_ca(running.authority_pem())
        .events(true);
    let node = NodeConfig::new(NODE);
    match kubelet {
        Kubelet::Model => {
            sandbox.set_log_source(Arc::new(ModelLogs));
            sandbox.set_exec_source(Arc::new(ModelLogs));
            builder.model_nodes([node]).spawn()
        }
        Kubelet::Process(images) => {
            let config = ProcessConfig::new(node, images.clone());
            sandbox.set_log_source(Arc::new(LocalLogs { logs: config.logs.clone(), clock }));
            sandbox.set_exec_source(Arc::new(LocalCommands(config.commands.clone())));
            builder.process_node(config).spawn()
        }
    }
}

/// The images that need nothing but this program and the host: the demo's web service in every version, and the
/// host's own tools in place of the usual small images.
///
/// # Errors
/// If this program does not know where it is.
pub(crate) fn local_images() -> Result<ImageMap> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let program = program.to_str().context("the path of this program is not UTF-8")?.to_owned();
    let web = |version: &str, fail_percent: &str| {
        LocalImage::running([program.clone(), "demo-web".to_owned()])
            .with_env("VERSION", version)
            .with_env("FAIL_PERCENT", fail_percent)
    };
    // Version 3 is the bad one of the story.
    let versions = ["1", "2", "4", "5"]
        .iter()
        .fold(ImageMap::new(), |map, version| map.with(format!("demo-web:{version}"), web(version, "0")));
    let tools = ["busybox*", "alpine*", "debian*"];
    let images = versions.with("demo-web:3", web("3", "5"));
    Ok(tools.iter().fold(images, |map, pattern| map.with(*pattern, LocalImage::default())))
}

/// An image and its command as `--image NAME=COMMAND ARGS` gives them.
///
/// # Errors
/// If there is no command.
pub(crate) fn parse_image(text: &str) -> Result<(String, LocalImage), String> {
    let (name, command) =
        text.split_once('=').ok_or_else(|| format!("{text:?} is not of the form NAME=COMMAND"))?;
    let words: Vec<&str> = command.split_whitespace().collect();
    if name.is_empty() || words.is_empty() {
        return Err(format!("{text:?} is not of the form NAME=COMMAND"));
    }
    Ok((name.to_owned(), LocalImage::running(words)))
}

/// Definitions from files and folders of YAML.
///
/// # Errors
/// If one cannot be read or holds something else.
pub(crate) fn read_definitions(paths: &[PathBuf]) -> Result<Vec<Value>> {
    let mut files = Vec::new();
    for path in paths {
        let reading = || format!("cannot read {}", path.display());
        if path.is_dir() {
            for entry in std::fs::read_dir(path).with_context(reading)? {
                let file = entry.with_context(reading)?.path();
                if file.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json") {
                    files.push(file);
                }
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    let mut definitions = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let documents = crate::demo::parse_documents(&text)
            .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        for document in documents {
            if document["kind"] != "CustomResourceDefinition" {
                let kind = document["kind"].as_str().unwrap_or("a document without a kind");
                bail!("{} holds {kind}, not a CustomResourceDefinition", file.display());
            }
            definitions.push(document);
        }
    }
    Ok(definitions)
}

/// Resolves at Ctrl-C and at SIGTERM.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without signals the process can only be killed.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// The logs of local processes.
struct LocalLogs {
    logs: ProcessLogs,
    clock: Clock,
}

impl LogSource for LocalLogs {
    fn open(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, LogError>> {
        let ago = request.since_seconds.map(|seconds| {
            self.clock
                .now()
                .saturating_sub(SignedDuration::from_secs(seconds))
                .unwrap_or(jiff::Timestamp::MIN)
        });
        let since = request.since_time.as_deref().and_then(|text| text.parse().ok()).or(ago);
        let bounded = |number: Option<i64>| number.map(|number| usize::try_from(number).unwrap_or(0));
        let opened = self.logs.open(&LogQuery {
            tail_lines: bounded(request.tail_lines),
            limit_bytes: bounded(request.limit_bytes),
            namespace: request.namespace,
            pod: request.pod,
            container: request.container,
            follow: request.follow,
            previous: request.previous,
            timestamps: request.timestamps,
            since,
        });
        let opened = opened.map(|stream| stream.boxed()).map_err(|message| LogError { message });
        std::future::ready(opened).boxed()
    }
}

/// Commands beside local processes.
struct LocalCommands(Commands);

impl ExecSource for LocalCommands {
    fn start(&self, request: ExecRequest) -> BoxFuture<'static, Result<ExecSession, LogError>> {
        let key = Key::new(request.namespace, request.pod);
        let started = self.0.start(&key, &request.container, request.command, request.stdin);
        let session = started.map_err(|message| LogError { message }).and_then(|mut running| {
            let gone = || LogError { message: "the command has no output".to_owned() };
            Ok(ExecSession {
                stdin: running.stdin.take().map(|pipe| Box::new(pipe) as _),
                stdout: Box::new(running.stdout.take().ok_or_else(gone)?),
                stderr: Box::new(running.stderr.take().ok_or_else(gone)?),
                exit: running.wait().boxed(),
            })
        });
        std::future::ready(session).boxed()
    }
}

/// Says why there are no logs and no commands where nothing runs.
struct ModelLogs;

impl ExecSource for ModelLogs {
    fn start(&self, request: ExecRequest) -> BoxFuture<'static, Result<ExecSession, LogError>> {
        let message = format!(
            "container {:?} in pod {:?} runs no commands: no process runs under the model kubelet (glidepath sandbox --kubelet process runs them)",
            request.container, request.pod
        );
        std::future::ready(Err(LogError { message })).boxed()
    }
}

impl LogSource for ModelLogs {
    fn open(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, LogError>> {
        let message = format!(
            "container {:?} in pod {:?} has no log: no process runs under the model kubelet (glidepath sandbox --kubelet process runs them)",
            request.container, request.pod
        );
        std::future::ready(Err(LogError { message })).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_given_as_name_and_command() {
        let (name, image) = parse_image("shop:*=/usr/bin/env python3 -m http.server").unwrap();
        assert_eq!(name, "shop:*");
        assert_eq!(image.entrypoint, ["/usr/bin/env", "python3", "-m", "http.server"]);
        for wrong in ["shop", "shop=", "=sleep"] {
            assert_eq!(parse_image(wrong).unwrap_err(), format!("{wrong:?} is not of the form NAME=COMMAND"));
        }
    }

    #[test]
    fn only_definitions_are_installed_before_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file(
            "a.yaml",
            "kind: CustomResourceDefinition\nmetadata: {name: a}\n---\n---\nkind: CustomResourceDefinition\n",
        );
        file("notes.txt", "not read");
        assert_eq!(read_definitions(&[folder.path().to_path_buf()]).unwrap().len(), 2);
        file("b.yaml", "kind: Service\n");
        let error = read_definitions(&[folder.path().to_path_buf()]).unwrap_err().to_string();
        assert!(error.ends_with("b.yaml holds Service, not a CustomResourceDefinition"), "{error}");
        let error = format!("{:#}", read_definitions(&["/no/such/file".into()]).unwrap_err());
        assert!(error.starts_with("cannot read /no/such/file: "), "{error}");
    }
}
