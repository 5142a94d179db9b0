//! Workload controllers and kubelets that know a cluster only through the Kubernetes API.
//!
//! [`Workloads`] runs them: on the embedded plane all of them, on a real one only the kubelets, because
//! the real controllers are there already.
//!
//! ```no_run
//! # async fn run(client: kube::Client) {
//! use glidepath_workloads::{Controller, Workloads, kubelet::node::NodeConfig};
//!
//! let workloads = Workloads::builder(client)
//!     .controllers(Controller::ALL)
//!     .model_nodes([NodeConfig::new("sandbox")])
//!     .spawn();
//! workloads.shutdown().await;
//! # }
//! ```

pub mod api;
pub mod cache;
pub mod controllers;
pub mod kubelet;
pub mod object;
pub mod queue;
pub mod resource;
pub mod selector;
mod shelf;

use std::collections::BTreeSet;
use std::sync::Arc;

use glidepath_clock::Clock;
use kube::Client;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::cache::Hub;
use crate::controllers::{
    Context, autoscaler, deployment, disruption, endpoint_slice, garbage, job, namespace, node_lifecycle,
    pod_gc, replica_set, scheduler, service_account, taint_eviction,
};
use crate::kubelet::node::NodeConfig;
use crate::kubelet::process::{ProcessConfig, Registry};
use crate::kubelet::{model, node, process};

/// The controllers that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// ReplicaSets make pods.
    ReplicaSet,
    /// Autoscalers size what they target.
    Autoscaler,
    /// Disruption budgets say what may be evicted.
    Disruption,
    /// Deployments roll ReplicaSets.
    Deployment,
    /// Jobs run pods to completion.
    Job,
    /// Services get endpoints.
    EndpointSlice,
    /// What has lost its owners is deleted.
    Garbage,
    /// Namespaces being deleted are emptied.
    Namespace,
    /// Nodes whose kubelet is silent are marked.
    NodeLifecycle,
    /// Pods leave nodes with `NoExecute` taints.
    TaintEviction,
    /// Pods of nodes that no longer exist are removed.
    PodGarbage,
    /// Pods are bound to nodes.
    Scheduler,
    /// Namespaces get their service account and root certificate.
    ServiceAccount,
}

impl Controller {
    /// Every controller.
    pub const ALL: [Self; 13] = [
        Self::ReplicaSet,
        Self::Deployment,
        Self::Autoscaler,
        Self::Disruption,
        Self::Job,
        Self::EndpointSlice,
        Self::Garbage,
        Self::Namespace,
        Self::NodeLifecycle,
        Self::TaintEviction,
        Self::PodGarbage,
        Self::Scheduler,
        Self::ServiceAccount,
    ];
}

/// What to run. See [`Workloads::builder`].
pub struct Builder {
    client: Client,
    clock: Option<Clock>,
    controllers: BTreeSet<Controller>,
    model_nodes: Vec<NodeConfig>,
    process_node: Option<ProcessConfig>,
    root_ca: String,
    events: bool,
}

impl Builder {
    /// The clock; the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The controllers to run; none by default.
    #[must_use]
    pub fn controllers(mut self, controllers: impl IntoIterator<Item = Controller>) -> Self {
        self.controllers = controllers.into_iter().collect();
        self
    }

    /// The nodes whose pods the model kubelet serves; none by default.
    #[must_use]
    pub fn model_nodes(mut self, nodes: impl IntoIterator<Item = NodeConfig>) -> Self {
        self.model_nodes = nodes.into_iter().collect();
        self
    }

    /// The node whose pods the process kubelet runs; none by default.
    #[must_use]
    pub fn process_node(mut self, config: ProcessConfig) -> Self {
        self.process_node = Some(config);
        self
    }

    /// The PEM text published in every namespace's `kube-root-ca.crt`; empty by default.
    #[must_use]
    pub fn root_ca(mut self, pem: impl Into<String>) -> Self {
        self.root_ca = pem.into();
        self
    }

    /// Whether controllers record events about pods created, deleted and scheduled; off by default, because
    /// each is a write.
    #[must_use]
    pub fn events(mut self, events: bool) -> Self {
        self.events = events;
        self
    }

    /// Starts everything. Must be called within a tokio runtime.
    #[must_use]
    pub fn spawn(self) -> Workloads {
        let api = Api::new(self.client);
        let hub = Hub::new(api.clone());
        let clock = self.clock.unwrap_or_else(Clock::system);
        let context = Context { api, hub: Arc::clone(&hub), clock, events: self.events };
        let mut tasks = JoinSet::new();
        for controller in self.controllers {
            let context = context.clone();
            match controller {
                Controller::ReplicaSet => tasks.spawn(replica_set::run(context)),
                Controller::Autoscaler => tasks.spawn(autoscaler::run(context)),
                Controller::Disruption => tasks.spawn(disruption::run(context)),
                Controller::Deployment => tasks.spawn(deployment::run(context)),
                Controller::Job => tasks.spawn(job::run(context)),
                Controller::EndpointSlice => tasks.spawn(endpoint_slice::run(context)),
                Controller::Garbage => tasks.spawn(garbage::run(context)),
                Controller::Namespace => tasks.spawn(namespace::run(context)),
                Controller::NodeLifecycle => tasks.spawn(node_lifecycle::run(context)),
                Controller::TaintEviction => tasks.spawn(taint_eviction::run(context)),
                Controller::PodGarbage => tasks.spawn(pod_gc::run(context)),
                Controller::Scheduler => tasks.spawn(scheduler::run(context)),
                Controller::ServiceAccount => {
                    tasks.spawn(service_account::run(context, self.root_ca.clone()))
                }
            };
        }
        for config in &self.model_nodes {
            tasks.spawn(node::run(context.clone(), config.clone()));
        }
        if !self.model_nodes.is_empty() {
            tasks.spawn(model::run(context.clone(), self.model_nodes));
        }
        let processes = self.process_node.as_ref().map(|config| config.registry.clone()).unwrap_or_default();
        if let Some(config) = self.process_node {
            tasks.spawn(node::run(context.clone(), config.node.clone()));
            tasks.spawn(process::run(context, config));
        }
        Workloads { tasks, hub, processes }
    }
}

/// Controllers and kubelets that run. Dropping it stops them at once.
pub struct Workloads {
    tasks: JoinSet<()>,
    hub: Arc<Hub>,
    processes: Registry,
}

impl Workloads {
    /// Starts describing what to run against the API server behind `client`.
    #[must_use]
    pub fn builder(client: Client) -> Builder {
        Builder {
            client,
            clock: None,
            controllers: BTreeSet::new(),
            model_nodes: Vec::new(),
            process_node: None,
            root_ca: String::new(),
            events: false,
        }
    }

    /// Stops everything, processes of pods included, and waits until it has stopped. Objects stay.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
        self.hub.stop();
        self.processes.kill_all();
    }
}

impl Drop for Workloads {
    fn drop(&mut self) {
        self.hub.stop();
        self.processes.kill_all();
    }
}
