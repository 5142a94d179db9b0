//! The five resource kinds, their names, defaults, validation and schemas. No I/O.
//!
//! Fields carry the JSON names in snake case. A pointer of the reference's types is an `Option`, a plain value
//! that it leaves out when zero is a plain value left out when zero, so that what is written is what it writes.

pub mod analysis;
pub mod cluster;
pub mod crd;
pub mod defaults;
pub mod experiment;
pub mod meta;
pub mod names;
pub mod rollout;
#[cfg(test)]
mod round_trip;
pub mod selector;
pub mod time;
pub mod validation;
mod wire;

pub use analysis::*;
pub use cluster::{
    Condition, Job, JobStatus, Pod, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus, Service, ServicePort,
    ServiceSpec,
};
pub use experiment::*;
pub use meta::{
    IntOrString, LabelSelector, LabelSelectorRequirement, List, ListMeta, ObjectMeta, OwnerReference,
};
pub use rollout::*;
pub use time::Time;
pub use validation::{FieldError, FieldErrorKind, validate_rollout};

/// A list of rollouts.
pub type RolloutList = List<Rollout>;
/// A list of experiments.
pub type ExperimentList = List<Experiment>;
/// A list of analysis runs.
pub type AnalysisRunList = List<AnalysisRun>;
/// A list of analysis templates.
pub type AnalysisTemplateList = List<AnalysisTemplate>;
/// A list of cluster-wide analysis templates.
pub type ClusterAnalysisTemplateList = List<ClusterAnalysisTemplate>;
