//! Caches, gather, apply, queue, lease and events: the only code that talks to an API server for the controllers.

pub mod cache;
pub mod events;
pub mod lease;
pub mod metrics;
pub mod object;
pub mod queue;
pub mod resource;
pub mod server;
pub mod watch;
