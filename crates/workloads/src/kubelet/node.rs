//! Nodes as the kubelets register them: a Node object with its conditions and, where a real control plane
//! watches for it, a lease that is renewed.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::time::Duration;

use glidepath_clock::Clock;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::api::{Api, DeleteOptions, is_already_exists, is_not_found};
use crate::cache::Cache;
use crate::controllers::Context;
use crate::object::{Key, Object, api_time};
use crate::resource::{LEASES, NODES};

/// Where nodes keep their leases.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";

/// A node to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// Its address; also the pods' `hostIP`.
    pub address: Ipv4Addr,
    /// Labels besides the usual ones.
    pub labels: Vec<(String, String)>,
    /// How many pods it takes.
    pub pods: u32,
    /// CPUs it claims to have.
    pub cpus: u32,
    /// Memory it claims to have, as a quantity.
    pub memory: String,
    /// How often its lease is renewed. A real control plane needs about 10 s; without a node life-cycle
    /// controller `None` saves the writes.
    pub heartbeat: Option<Duration>,
    /// Where its kubelet serves logs, if it does.
    pub kubelet_port: Option<u16>,
}

impl NodeConfig {
    /// A roomy node without heartbeat.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: Ipv4Addr::new(10, 0, 0, 10),
            labels: Vec::new(),
            pods: 20_000,
            cpus: 1024,
            memory: "4Ti".to_owned(),
            heartbeat: None,
            kubelet_port: None,
        }
    }

    /// The same node with a lease renewed every `period`.
    #[must_use]
    pub fn with_heartbeat(mut self, period: Duration) -> Self {
        self.heartbeat = Some(period);
        self
    }
}

/// The Node object of a kubelet that is ready.
#[must_use]
pub fn render_node(config: &NodeConfig, now: Timestamp) -> Value {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut labels = json!({
        "kubernetes.io/hostname": config.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": arch,
    });
    for (name, value) in &config.labels {
        labels[name] = json!(value);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": config.name, "labels": labels},
        "spec": {},
        "status": render_node_status(config, arch, now),
    })
}

fn render_node_status(config: &NodeConfig, arch: &str, now: Timestamp) -> Value {
    let now = api_time(now);
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let amounts = json!({"cpu": config.cpus.to_string(), "memory": config.memory, "pods": config.pods.to_string(), "ephemeral-storage": "1Ti"});
    let mut status = json!({
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": [
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ],
        "addresses": [{"type": "InternalIP", "address": config.address}, {"type": "Hostname", "address": config.name}],
        "nodeInfo": {
            "architecture": arch, "operatingSystem": "linux", "osImage": "Glidepath sandbox", "kernelVersion": "",
            "machineID": "", "systemUUID": "", "bootID": "", "kubeProxyVersion": "",
            "containerRuntimeVersion": concat!("glidepath://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": concat!("v1.36.2-glidepath.", env!("CARGO_PKG_VERSION")),
        },
    });
    if let Some(port) = config.kubelet_port {
        status["daemonEndpoints"] = json!({"kubeletEndpoint": {"Port": port}});
    }
    status
}

/// Creates the Node, or makes one that is already there ready.
///
/// # Errors
/// What the server or the transport answered.
pub async fn apply_registration(api: &Api, clock: &Clock, config: &NodeConfig) -> kube::Result<()> {
    let node = render_node(config, clock.now());
    let ready = match api.send_create(&NODES, "", &node).await {
        Ok(created) => created.condition_is_true("Ready"),
        Err(error) if is_already_exists(&error) => false,
        Err(error) => return Err(error),
    };
    if !ready {
        let patch = json!({"status": node["status"]});
        api.send_patch(&NODES, &Key::new("", config.name.as_str()), Some("status"), &patch).await?;
    }
    Ok(())
}

/// The annotation of a Node that makes its kubelet fall silent: no lease is renewed, no pod's status written, none
/// removed, until it is taken away again. What runs goes on.
pub const LOST: &str = "sandbox.glidepath.dev/lost";

/// Whether a Node's kubelet is to be silent.
#[must_use]
pub fn is_lost(node: &Object) -> bool {
    node.annotation(LOST).is_some_and(|value| value != "false")
}

/// Whether the node of that name has a kubelet that is to be silent.
#[must_use]
pub fn is_lost_by_name(nodes: &Cache, name: &str) -> bool {
    nodes.get(&Key::new("", name)).is_some_and(|node| is_lost(&node))
}

/// What a kubelet sees of its own Node.
#[derive(Clone, Copy)]
struct Sight {
    lost: bool,
    ready: bool,
}

/// Registers a node, trying until it works, and then renews its lease if it has a heartbeat.
pub async fn run(context: Context, config: NodeConfig) {
    let (sender, mut seen) = watch::channel(Sight { lost: false, ready: true });
    let nodes = context.hub.cache(&NODES);
    let name = config.name.clone();
    nodes.subscribe(move |change| {
        if let Some(node) = change.new.as_ref().filter(|node| node.name() == name) {
            sender.send_replace(Sight { lost: is_lost(node), ready: node.condition_is_true("Ready") });
        }
    });
    // The sender lives as long as the cache, so every wait below ends with a value.
    loop {
        apply_registration_at_last(&context, &config).await;
        match config.heartbeat {
            Some(period) => beat_while_heard(&context, &config, period, &mut seen).await,
            None => {
                let _ = seen.wait_for(|seen| seen.lost || !seen.ready).await;
                if !seen.borrow().lost {
                    // Somebody took it for lost a moment too long.
                    sleep(Duration::from_secs(1)).await;
                    continue;
                }
                // From now on the silence counts.
                beat(&context, &config).await;
            }
        }
        let _ = seen.wait_for(|seen| !seen.lost).await;
        match config.heartbeat {
            Some(_) => beat(&context, &config).await,
            None => forget_lease(&context, &config).await,
        }
    }
}

async fn apply_registration_at_last(context: &Context, config: &NodeConfig) {
    while let Err(error) = apply_registration(&context.api, &context.clock, config).await {
        tracing::debug!(node = config.name, %error, "cannot register, trying again");
        sleep(Duration::from_millis(500)).await;
    }
}

async fn beat_while_heard(
    context: &Context,
    config: &NodeConfig,
    period: Duration,
    seen: &mut watch::Receiver<Sight>,
) {
    while !seen.borrow().lost {
        beat(context, config).await;
        if !seen.borrow().ready {
            apply_registration_at_last(context, config).await;
        }
        tokio::select! {
            () = sleep(period) => {}
            _ = seen.wait_for(|seen| seen.lost) => {}
        }
    }
}

async fn beat(context: &Context, config: &NodeConfig) {
    if let Err(error) = apply_heartbeat(&context.api, &context.clock, &config.name).await {
        tracing::debug!(node = config.name, %error, "cannot renew the lease");
    }
}

/// A node without heartbeat has no lease that could run out.
async fn forget_lease(context: &Context, config: &NodeConfig) {
    let key = Key::new(LEASE_NAMESPACE, config.name.as_str());
    if let Err(error) = context.api.send_delete(&LEASES, &key, &DeleteOptions::default()).await {
        tracing::debug!(node = config.name, %error, "cannot delete the lease");
    }
}

async fn apply_heartbeat(api: &Api, clock: &Clock, node: &str) -> kube::Result<()> {
    let renewed = clock.now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let spec = json!({"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": renewed});
    let key = Key::new(LEASE_NAMESPACE, node);
    match api.send_patch(&LEASES, &key, None, &json!({"spec": spec})).await {
        Err(error) if is_not_found(&error) => {
            let metadata = json!({"name": node, "namespace": LEASE_NAMESPACE});
            let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec});
            api.send_create(&LEASES, LEASE_NAMESPACE, &lease).await.map(|_| ())
        }
        other => other.map(|_| ()),
    }
}

/// Hands out pod addresses from 10.244.0.0/16, the same one to the same pod.
#[derive(Debug, Default)]
pub struct PodAddresses {
    taken: BTreeSet<u16>,
    by_pod: HashMap<String, u16>,
    next: u16,
}

impl PodAddresses {
    /// Marks the addresses that pods already have.
    pub fn learn(&mut self, pods: &Cache) {
        for pod in pods.list(None) {
            let known =
                pod.text("/status/podIP").and_then(|ip| ip.parse::<Ipv4Addr>().ok()).map(|ip| ip.octets());
            if let Some([10, 244, high, low]) = known {
                let number = u16::from_be_bytes([high, low]);
                self.taken.insert(number);
                self.by_pod.insert(pod.uid().to_owned(), number);
            }
        }
    }

    /// The address of the pod with `uid`; a new one if it has none. `None` if all are taken.
    pub fn assign(&mut self, uid: &str) -> Option<Ipv4Addr> {
        let number = match self.by_pod.get(uid) {
            Some(number) => *number,
            None => {
                // .0.0 and .0.1 are the network's own; addresses are reused as late as possible.
                let free = (0..=u16::MAX)
                    .map(|step| self.next.wrapping_add(step))
                    .find(|number| *number > 1 && *number < u16::MAX && !self.taken.contains(number))?;
                self.next = free.wrapping_add(1);
                self.taken.insert(free);
                self.by_pod.insert(uid.to_owned(), free);
                free
            }
        };
        let [high, low] = number.to_be_bytes();
        Some(Ipv4Addr::new(10, 244, high, low))
    }

    /// Takes an address back.
    pub fn release(&mut self, uid: &str) {
        if let Some(number) = self.by_pod.remove(uid) {
            self.taken.remove(&number);
        }
    }
}

/// Whether `pod` is bound to one of `nodes`.
#[must_use]
pub fn is_on(pod: &Object, nodes: &[NodeConfig]) -> bool {
    pod.text("/spec/nodeName").is_some_and(|name| nodes.iter().any(|node| node.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_keeps_its_address_and_a_freed_one_is_reused_last() {
        let mut addresses = PodAddresses::default();
        assert_eq!(addresses.assign("a").unwrap().to_string(), "10.244.0.2");
        assert_eq!(addresses.assign("b").unwrap().to_string(), "10.244.0.3");
        assert_eq!(addresses.assign("a").unwrap().to_string(), "10.244.0.2");
        addresses.release("a");
        assert_eq!(addresses.assign("c").unwrap().to_string(), "10.244.0.4");
    }

    #[test]
    fn a_registered_node_is_ready_and_has_room() {
        let node: Object =
            render_node(&NodeConfig::new("n1"), "2026-01-01T00:00:00Z".parse().unwrap()).into();
        assert!(node.condition_is_true("Ready"));
        assert_eq!(node.text("/status/allocatable/pods"), Some("20000"));
        assert_eq!(node.label("kubernetes.io/hostname"), Some("n1"));
    }
}
