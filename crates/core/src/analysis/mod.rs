//! Analysis: from templates to runs, and the life of a run from its first question to its last phase.
//!
//! [`templates`], [`arguments`], [`references`] and [`creation`] serve whoever starts runs (Rollouts and
//! Experiments alike). The rest is behind [`decide`], which plans one round of a run that exists: it takes
//! answers in, assesses, asks anew and writes what changed.

pub mod arguments;
mod conditions;
pub mod creation;
mod expiry;
mod job;
mod measurement;
mod patch;
mod phases;
mod redaction;
pub mod references;
mod run;
mod schedule;
pub mod substitution;
pub mod templates;
mod validation;

pub(crate) use patch::status_patch;
pub use redaction::redact;
pub use run::decide;
pub(crate) use schedule::after;
pub use validation::provider_names;

#[cfg(test)]
mod run_tests;
