//! Release stories: given, when, then. A story names no control plane; the same one runs on the embedded
//! plane in virtual time and on a real one.
//!
//! A story is data: objects to create, a list of beats (something is done, or something is waited for), and
//! what must be true at the end, the objects' state *and* the ordered events of the Rollout.

pub mod embedded;
pub mod manifests;
pub mod metric_host;
pub mod permissions;
pub mod plane;
pub mod real;
pub mod record;
pub mod run;
pub mod stories;
pub mod story;
pub mod walk;
