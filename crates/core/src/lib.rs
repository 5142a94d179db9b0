//! The decisions: snapshot to plan to guard. No clock, no client, no runtime.
//!
//! ```text
//!  Snapshot ──> plan ──> Plan ──> guard ──> Plan
//!   (data)     (pure)   (data)   (pure)    (data)
//! ```
//!
//! Everything a decision may look at arrives in a snapshot, `now` included; everything it wants done
//! leaves in a [`plan::Plan`]. The same snapshot gives the same plan, every time, which is what makes
//! previews, explanations and replays possible. `rollout::decide`, `analysis::decide` and
//! `experiment::decide` are the three entrances; each plans and then passes the [`guard`].

pub mod analysis;
pub mod experiment;
pub mod guard;
pub mod plan;
pub mod rollout;
pub mod snapshot;
pub mod traffic;
#[cfg(any(test, feature = "testing"))]
pub mod world;
