//! Workload controllers and kubelets that know a cluster only through the Kubernetes API.

pub mod api;
pub mod cache;
pub mod controllers;
pub mod kubelet;
pub mod object;
pub mod queue;
pub mod resource;
pub mod selector;
