//! A small HTTP proxy that follows Gateway API routes, Services and EndpointSlices and splits real requests.
//!
//! It knows a cluster only through the Kubernetes API. [`routes::plan_table`] is pure: objects in, a routing
//! table out; [`proxy`] forwards by that table, [`follow`] keeps it current, and [`report`] counts what went
//! where. It is meant for demos, tests and laptops; production traffic belongs to a real gateway.

pub mod crds;
pub mod demo_web;
pub mod filters;
pub mod follow;
pub mod matching;
mod plane;
pub mod proxy;
pub mod recent;
pub mod report;
pub mod resources;
pub mod routes;
pub mod split;
pub mod status;

pub use crds::crds;
pub use plane::{DataPlane, Error, Listen, Options};
