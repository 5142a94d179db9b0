//! Analysis: from templates to runs, and the life of a run from its first question to its last phase.
//!
//! [`templates`], [`arguments`] and [`creation`] serve whoever starts runs (Rollouts and Experiments alike).
//! The rest decides about a run that exists.

pub mod arguments;
pub mod creation;
pub mod references;
pub mod substitution;
pub mod templates;
