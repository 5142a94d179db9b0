//! The process kubelet: a pod is one process group per container on this machine, with real ports, logs,
//! probes and exit codes. It needs neither root nor containers, and works on Linux and macOS.
//!
//! Images are names for local commands ([`ImageMap`]); one that is not mapped cannot be pulled. Every
//! container finds `HOST` and `PORT` (and `PORT_<containerPort>`) in its environment and must listen there:
//!
//! - [`Addressing::Loopback`]: pods share 127.0.0.1 and each container port gets a free port of its own,
//!   published as the annotation `sandbox.glidepath.dev/port.<containerPort>`, from which EndpointSlices
//!   take it. A real API server refuses endpoints on loopback addresses.
//! - [`Addressing::PodRange`]: pods get addresses of 10.244.0.0/16 and their declared ports. That range must
//!   be local (`ip route add local 10.244.0.0/16 dev lo`).
//!
//! Not done: volumes, resource limits, users, network isolation, container images as such.

mod command;
mod container;
mod env;
mod group;
mod image;
mod logs;
mod pod;
mod probe;
mod serve;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use command::{Commands, RunningCommand};
pub use group::Registry;
pub use image::{ImageMap, LocalImage};
pub use logs::{LogQuery, ProcessLogs, RunLog};
pub use serve::KubeletPort;

use super::node::{NodeConfig, PodAddresses, is_on};
use super::report::apply_removal;
use crate::cache::Cache;
use crate::controllers::pod_set::is_finished;
use crate::controllers::{Context, queue_own_keys};
use crate::object::{Key, Object};
use crate::queue::{Again, Queue};
use crate::resource::PODS;

/// How pods get addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// 127.0.0.1 and a free port for each container port.
    Loopback,
    /// An address of 10.244.0.0/16 for each pod, with its own ports.
    PodRange,
}

impl Addressing {
    /// The pod range where this machine can bind it, loopback otherwise.
    #[must_use]
    pub fn detect() -> Self {
        let bindable = TcpListener::bind((Ipv4Addr::new(10, 244, 255, 1), 0)).is_ok();
        if bindable { Self::PodRange } else { Self::Loopback }
    }
}

/// Settings of a process kubelet.
#[derive(Clone)]
pub struct ProcessConfig {
    /// The node it registers as.
    pub node: NodeConfig,
    /// What images stand for.
    pub images: ImageMap,
    /// How pods get addresses.
    pub addressing: Addressing,
    /// Where logs are kept; keep a clone to read them.
    pub logs: ProcessLogs,
    /// The processes that run; keep a clone to be able to end them all.
    pub registry: Registry,
    /// Where logs are served to an API server that asks its kubelets for them; nowhere by default.
    pub port: Option<KubeletPort>,
    /// Runs commands beside containers; keep a clone to start some.
    pub commands: Commands,
}

impl ProcessConfig {
    /// A kubelet on loopback.
    #[must_use]
    pub fn new(node: NodeConfig, images: ImageMap) -> Self {
        let registry = Registry::default();
        Self {
            node,
            images,
            addressing: Addressing::Loopback,
            logs: ProcessLogs::default(),
            port: None,
            commands: Commands::new(registry.clone()),
            registry,
        }
    }

    /// The same with logs served on a free port of the node's address, which the node then announces.
    ///
    /// # Errors
    /// When the node's address is not one of this machine's.
    pub fn serving(mut self) -> io::Result<Self> {
        let port = KubeletPort::bind(self.node.address, &self.node.name)?;
        self.node.kubelet_port = Some(port.port());
        self.port = Some(port);
        Ok(self)
    }

    /// The same with another way to give addresses.
    #[must_use]
    pub fn with_addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = addressing;
        self
    }
}

#[derive(Default)]
struct Pods {
    by_key: HashMap<Key, Actor>,
    addresses: PodAddresses,
    tasks: JoinSet<()>,
}

struct Actor {
    uid: String,
    updates: watch::Sender<Object>,
    ports: BTreeSet<u16>,
}

struct Kubelet {
    context: Context,
    config: Arc<ProcessConfig>,
    cache: Arc<Cache>,
    pods: Mutex<Pods>,
}

/// Runs the kubelet until it is dropped; then every process it started is killed.
pub async fn run(context: Context, config: ProcessConfig) {
    let queue = Queue::new();
    let cache = context.hub.cache(&PODS);
    queue_own_keys(&cache, &queue);
    cache.wait_synced().await;
    let port = config.port.clone();
    let (logs, clock) = (config.logs.clone(), context.clock);
    let kubelet = Kubelet { context, config: Arc::new(config), cache, pods: Mutex::default() };
    kubelet.lock().addresses.learn(&kubelet.cache);
    let work = queue.drive(16, |key| kubelet.reconcile(key));
    match port {
        Some(port) => {
            tokio::select! {
                () = work => {}
                () = serve::run(port, logs, clock) => {}
            }
        }
        None => work.await,
    }
}

impl Kubelet {
    fn lock(&self) -> MutexGuard<'_, Pods> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, key: Key) -> kube::Result<Again> {
        let nodes = std::slice::from_ref(&self.config.node);
        let Some(pod) = self.cache.get(&key).filter(|pod| is_on(pod, nodes)) else {
            self.forget(&key);
            return Ok(None);
        };
        if self.pass_on(&pod) {
            return Ok(None);
        }
        if pod.is_deleting() {
            if pod.finalizers().next().is_none() {
                apply_removal(&self.context, &pod).await?;
            }
        } else if !is_finished(&pod) {
            self.take_up(&pod);
        }
        Ok(None)
    }

    /// Gives a pod's task its newest state; false if there is no task.
    fn pass_on(&self, pod: &Object) -> bool {
        let key = pod.key();
        let known = self.lock().by_key.get(&key).map(|actor| actor.uid == pod.uid());
        match known {
            Some(true) => {
                self.lock().by_key.get(&key).is_some_and(|actor| actor.updates.send(pod.clone()).is_ok())
            }
            Some(false) => {
                self.forget(&key);
                false
            }
            None => false,
        }
    }

    fn forget(&self, key: &Key) {
        let mut pods = self.lock();
        // Dropping the sender ends the pod's task, and with it whatever still runs.
        if let Some(actor) = pods.by_key.remove(key) {
            pods.addresses.release(&actor.uid);
            self.config.logs.forget(&key.namespace, &key.name);
        }
    }

    fn take_up(&self, pod: &Object) {
        let pods = &mut *self.lock();
        let declared = pod::container_ports(pod).into_keys();
        let (address, ports) = match self.config.addressing {
            Addressing::Loopback => {
                let taken: BTreeSet<u16> =
                    pods.by_key.values().flat_map(|actor| &actor.ports).copied().collect();
                (Ipv4Addr::LOCALHOST, choose_ports(declared, taken))
            }
            Addressing::PodRange => {
                let Some(address) = pods.addresses.assign(pod.uid()) else { return };
                (address, declared.map(|port| (port, port)).collect())
            }
        };
        let (updates, receiver) = watch::channel(pod.clone());
        let actor = Actor { uid: pod.uid().to_owned(), updates, ports: ports.values().copied().collect() };
        let scope = pod::PodScope::new(
            self.context.clone(),
            Arc::clone(&self.config),
            Arc::clone(&self.cache),
            pod,
            address,
            ports,
        );
        while pods.tasks.try_join_next().is_some() {}
        pods.tasks.spawn(pod::run(scope, receiver));
        pods.by_key.insert(pod.key(), actor);
    }
}

/// A free port of 127.0.0.1 for each declared one, other than those taken.
fn choose_ports(declared: impl Iterator<Item = u16>, mut taken: BTreeSet<u16>) -> BTreeMap<u16, u16> {
    let mut ports = BTreeMap::new();
    for port in declared {
        let free = (0..64).find_map(|_| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let port = listener.local_addr().ok()?.port();
            taken.insert(port).then_some(port)
        });
        // Without a free port the declared one is as good as any.
        ports.insert(port, free.unwrap_or(port));
    }
    ports
}
