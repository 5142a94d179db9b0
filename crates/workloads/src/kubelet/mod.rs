//! Two kubelets: [`model`] only tells what would happen to a pod, [`process`] runs it as local processes.

pub mod backoff;
mod container_run;
pub mod model;
pub mod node;
pub mod pod_run;
pub mod process;
pub mod report;
pub mod script;
pub mod status;
