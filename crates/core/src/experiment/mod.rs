//! Experiments: several versions side by side for a while, measured, and then gone again.
//!
//! [`decide`] plans one round: templates first (`templates`, `replica_set`, `service`), then analyses, then the
//! phase and the conditions. Whether the Experiment is terminating is judged on the stored status, once.

mod analyses;
mod conditions;
mod phase;
mod replica_set;
mod round;
mod service;
mod templates;
mod validation;

pub use round::decide;
pub use service::service_name;

#[cfg(test)]
mod tests;
