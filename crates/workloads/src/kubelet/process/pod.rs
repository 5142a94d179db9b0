//! One pod as local processes: its address and ports, the order of its containers, its reports, its end.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::ProcessConfig;
use super::container::Supervisor;
use super::image::LocalImage;
use super::probe::Surroundings;
use crate::api::{is_conflict, is_not_found};
use crate::cache::Cache;
use crate::controllers::Context;
use crate::controllers::endpoint_slice::PORT_ANNOTATION;
use crate::kubelet::node::is_lost_by_name;
use crate::kubelet::report::{apply_pod_status, apply_removal};
use crate::kubelet::status::{Ending, Observed, PodFacts, Role, State, parse_container, plan_pod_status};
use crate::object::{Key, Object, text};
use crate::resource::{NODES, PODS};

/// What is known of a pod's containers; supervisors write it, the pod's task reports it.
pub struct Board {
    containers: Mutex<Vec<Observed>>,
    changed: Notify,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Vec<Observed>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One container.
    #[must_use]
    pub fn get(&self, index: usize) -> Observed {
        self.lock()[index].clone()
    }

    /// Changes what is known of one container.
    pub fn update(&self, index: usize, change: impl FnOnce(&mut Observed)) {
        change(&mut self.lock()[index]);
        self.changed.notify_one();
    }
}

/// What the supervisors of one pod share.
pub struct PodScope {
    /// API, caches and clock.
    pub context: Context,
    /// The kubelet's settings.
    pub config: Arc<ProcessConfig>,
    /// Namespace and name.
    pub key: Key,
    /// UID.
    pub uid: String,
    /// `Always`, `OnFailure` or `Never`.
    pub restart_policy: String,
    /// What is known of the containers.
    pub board: Board,
    pods: Arc<Cache>,
    pod: Object,
    address: Ipv4Addr,
    ports: BTreeMap<u16, u16>,
    start_time: Timestamp,
    failed: Mutex<Option<(&'static str, String)>>,
}

fn containers_of(pod: &Object) -> Vec<(Role, Value)> {
    let init = pod.list("/spec/initContainers").iter().map(|container| {
        let role = if text(container, "restartPolicy") == "Always" { Role::Sidecar } else { Role::Init };
        (role, container.clone())
    });
    init.chain(pod.list("/spec/containers").iter().map(|container| (Role::Main, container.clone()))).collect()
}

/// The TCP ports a pod's containers declare.
#[must_use]
pub fn container_ports(pod: &Object) -> BTreeMap<u16, Option<String>> {
    let all = containers_of(pod);
    let ports = all
        .iter()
        .flat_map(|(_, container)| container.get("ports").and_then(Value::as_array).into_iter().flatten());
    ports
        .filter_map(|port| {
            let number = u16::try_from(port.get("containerPort")?.as_u64()?).ok()?;
            Some((number, port.get("name").and_then(Value::as_str).map(str::to_owned)))
        })
        .collect()
}

/// What was known of a container before this kubelet took over: a process it cannot know any more is lost.
fn take_over(pod: &Object, container: &Value, role: Role, policy: &str, now: Timestamp) -> Observed {
    let field =
        if role == Role::Main { "/status/containerStatuses" } else { "/status/initContainerStatuses" };
    let status = pod.list(field).iter().find(|status| text(status, "name") == text(container, "name"));
    let fresh = Observed {
        name: text(container, "name").to_owned(),
        image: text(container, "image").to_owned(),
        role,
        state: State::waiting(if pod.list("/spec/initContainers").is_empty() {
            "ContainerCreating"
        } else {
            "PodInitializing"
        }),
        last: None,
        restarts: 0,
        ready: false,
        started: false,
    };
    let Some(mut known) = status.and_then(|status| parse_container(status, role)) else { return fresh };
    (known.ready, known.started) = (false, false);
    known.image.clone_from(&fresh.image);
    if let State::Running { started } = known.state {
        let mut ending = Ending::exited(137, started, now);
        "ContainerStatusUnknown".clone_into(&mut ending.reason);
        if policy == "Never" && role != Role::Sidecar {
            known.state = State::Terminated(ending);
            return known;
        }
        known.last = Some(ending);
        known.restarts += 1;
        known.state = fresh.state;
    }
    known
}

impl PodScope {
    /// Takes up a pod at `address`, with its container ports at `ports`.
    #[must_use]
    pub fn new(
        context: Context,
        config: Arc<ProcessConfig>,
        pods: Arc<Cache>,
        pod: &Object,
        address: Ipv4Addr,
        ports: BTreeMap<u16, u16>,
    ) -> Arc<Self> {
        let now = context.clock.now();
        let policy = pod.text("/spec/restartPolicy").unwrap_or("Always").to_owned();
        let containers = containers_of(pod)
            .iter()
            .map(|(role, container)| take_over(pod, container, *role, &policy, now))
            .collect();
        Arc::new(Self {
            config,
            key: pod.key(),
            uid: pod.uid().to_owned(),
            restart_policy: policy,
            board: Board { containers: Mutex::new(containers), changed: Notify::new() },
            pods,
            pod: pod.clone(),
            address,
            ports,
            start_time: pod.time("/status/startTime").unwrap_or(now),
            failed: Mutex::default(),
            context,
        })
    }

    /// The pod as its containers may see it: with its address.
    #[must_use]
    pub fn seen(&self) -> Object {
        let mut pod = self.pod.value().clone();
        pod["status"]["podIP"] = json!(self.address);
        pod["status"]["hostIP"] = json!(self.config.node.address);
        pod.into()
    }

    /// The grace period of the pod's spec.
    #[must_use]
    pub fn grace(&self) -> Duration {
        let seconds = self.pod.at("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
        Duration::from_secs(seconds.unwrap_or(30))
    }

    /// What every container of the pod finds in its environment: where to listen (`HOST`, `PORT`, and
    /// `PORT_<containerPort>` for each), its host name, and what its image brings.
    #[must_use]
    pub fn base_env(&self, container: &Value, image: &LocalImage) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = image.env.iter().cloned().collect();
        env.insert("HOSTNAME".to_owned(), self.key.name.clone());
        env.insert("HOST".to_owned(), self.address.to_string());
        for (declared, real) in &self.ports {
            env.insert(format!("PORT_{declared}"), real.to_string());
        }
        let first = container
            .pointer("/ports/0/containerPort")
            .and_then(Value::as_u64)
            .and_then(|port| u16::try_from(port).ok());
        if let Some(real) = first.and_then(|port| self.ports.get(&port)) {
            env.insert("PORT".to_owned(), real.to_string());
        }
        env
    }

    /// What the probes of a container with this environment work with.
    #[must_use]
    pub fn surroundings(&self, env: BTreeMap<String, String>, working_dir: Option<String>) -> Surroundings {
        let names = container_ports(&self.pod).into_iter().filter_map(|(port, name)| Some((name?, port)));
        Surroundings {
            address: self.address,
            ports: self.ports.clone(),
            port_names: names.collect(),
            env,
            working_dir,
            registry: self.config.registry.clone(),
        }
    }

    /// Publishes the real ports on the pod, where they differ from the declared ones.
    async fn apply_ports(&self) -> kube::Result<()> {
        let moved = self.ports.iter().filter(|(declared, real)| declared != real);
        let annotations: serde_json::Map<String, Value> = moved
            .map(|(declared, real)| (format!("{PORT_ANNOTATION}{declared}"), json!(real.to_string())))
            .collect();
        if annotations.is_empty() {
            return Ok(());
        }
        let patch = json!({"metadata": {"uid": self.uid, "annotations": annotations}});
        match self.context.api.send_patch(&PODS, &self.key, None, &patch).await {
            Ok(written) => {
                self.pods.wait_for_echo(&written).await;
                Ok(())
            }
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn report(&self) -> kube::Result<()> {
        let Some(pod) = self.pods.get(&self.key).filter(|pod| pod.uid() == self.uid) else { return Ok(()) };
        let facts = PodFacts {
            containers: self.board.lock().clone(),
            start_time: self.start_time,
            pod_ip: Some(self.address.to_string()),
            host_ip: self.config.node.address.to_string(),
            failed: self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let status = plan_pod_status(&pod, &facts, self.context.clock.now());
        apply_pod_status(&self.context, &self.pods, &pod, &status).await
    }
}

type Running = FuturesUnordered<Pin<Box<dyn Future<Output = bool> + Send>>>;

/// Runs init containers in order, sidecars beside them, then the main containers; ends the sidecars when
/// those have ended.
async fn orchestrate(scope: Arc<PodScope>, stop: watch::Receiver<Option<Instant>>) {
    let mut sidecars: Running = FuturesUnordered::new();
    let mut mains: Running = FuturesUnordered::new();
    let (end_sidecars, sidecar_end) = watch::channel(None);
    for (index, (role, container)) in containers_of(&scope.pod).into_iter().enumerate() {
        let own_stop = if role == Role::Sidecar { sidecar_end.clone() } else { stop.clone() };
        let supervisor: Pin<Box<dyn Future<Output = bool> + Send>> =
            Box::pin(Supervisor::new(Arc::clone(&scope), index, role, container, own_stop).run());
        match role {
            Role::Main => mains.push(supervisor),
            Role::Sidecar => {
                sidecars.push(supervisor);
                run_until(&mut sidecars, wait_started(&scope, index, stop.clone())).await;
            }
            Role::Init => {
                if !run_until(&mut sidecars, supervisor).await {
                    break;
                }
            }
        }
    }
    run_until(&mut sidecars, async { while mains.next().await.is_some() {} }).await;
    let deadline = stop.borrow().unwrap_or_else(|| Instant::now() + scope.grace());
    end_sidecars.send_replace(Some(deadline));
    while sidecars.next().await.is_some() {}
}

/// Waits for `work` while the others go on.
async fn run_until<T>(others: &mut Running, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            Some(_) = others.next(), if !others.is_empty() => {}
        }
    }
}

async fn wait_started(scope: &PodScope, index: usize, mut stop: watch::Receiver<Option<Instant>>) {
    while !scope.board.get(index).started {
        tokio::select! {
            () = sleep(Duration::from_millis(20)) => {}
            _ = stop.wait_for(Option::is_some) => return,
        }
    }
}

/// Runs a pod until it is gone from the API. `updates` follows the pod; when it closes, everything is killed.
pub async fn run(scope: Arc<PodScope>, mut updates: watch::Receiver<Object>) {
    while let Err(error) = scope.apply_ports().await {
        tracing::debug!(pod = %scope.key, %error, "cannot publish ports, trying again");
        sleep(Duration::from_millis(200)).await;
    }
    let (stopper, stop) = watch::channel(None);
    let mut orchestra = Box::pin(orchestrate(Arc::clone(&scope), stop));
    let mut over = false;
    let mut deadline = active_deadline(&scope);
    loop {
        wait_until_heard(&scope).await;
        let pod = updates.borrow_and_update().clone();
        if pod.is_deleting() {
            let grace = pod
                .integer("/metadata/deletionGracePeriodSeconds")
                .and_then(|seconds| u64::try_from(seconds).ok());
            let by = Instant::now() + Duration::from_secs(grace.unwrap_or(0));
            stopper.send_if_modified(|stop| stop.replace(stop.map_or(by, |old| old.min(by))).is_none());
        }
        let reported = scope.report().await;
        let done = over && pod.is_deleting() && pod.finalizers().next().is_none();
        if done && reported.is_ok() && apply_removal(&scope.context, &pod).await.is_ok() {
            return;
        }
        let retry = reported.is_err() || done;
        tokio::select! {
            () = scope.board.changed.notified() => {}
            () = &mut orchestra, if !over => over = true,
            () = sleep(Duration::from_millis(50)), if retry => {}
            () = sleep_until(&scope, deadline), if deadline.is_some() && !over => {
                deadline = None;
                *scope.failed.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(("DeadlineExceeded", "Pod was active on the node longer than the specified deadline".to_owned()));
                stopper.send_replace(Some(Instant::now() + scope.grace()));
            }
            changed = updates.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits while the node is to be silent. Nothing is supervised meanwhile; processes go on.
async fn wait_until_heard(scope: &PodScope) {
    let nodes = scope.context.hub.cache(&NODES);
    let lost = || is_lost_by_name(&nodes, &scope.config.node.name);
    while lost() {
        nodes.wait_until(|| !lost()).await;
    }
}

fn active_deadline(scope: &PodScope) -> Option<Timestamp> {
    let seconds = scope.pod.integer("/spec/activeDeadlineSeconds")?;
    scope.start_time.checked_add(SignedDuration::from_secs(seconds)).ok()
}

async fn sleep_until(scope: &PodScope, at: Option<Timestamp>) {
    if let Some(at) = at {
        scope.context.clock.sleep_until(at).await;
    }
}
