//! Caches, gather, apply, queue, lease and events: the only code that talks to an API server for the controllers.
//!
//! ```text
//!  watch event ──> cache ──> key ──> gather ──> decide ──> apply ──> API server
//!   watch.rs     cache.rs  dispatch  gather.rs  (core)    apply.rs
//!                          queue.rs
//! ```
//!
//! [`run()`] joins the parts and is all that a program needs.

pub mod apply;
pub mod cache;
mod correlator;
mod dispatch;
mod document;
pub mod endpoints;
pub mod events;
pub mod gather;
pub mod lease;
pub mod look;
pub mod measure;
pub mod metrics;
pub mod object;
pub mod queue;
pub mod record;
pub mod references;
mod release;
pub mod resource;
pub mod routers;
mod run;
pub mod server;
mod shell;
pub mod watch;
mod workload;

pub use glidepath_metrics::Sender;
pub use look::Looker;
pub use record::{DecisionRecord, SnapshotRef};
pub use run::{Decisions, Observer, Options, RunError, run};
