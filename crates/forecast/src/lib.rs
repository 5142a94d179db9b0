//! What a change of a rollout will do, before anything is applied.
//!
//! ```text
//!  live cluster ──> gather_live ──> Live ──> foresee ──> Forecast ──> render_text, JSON
//!                   (reads only)            scratch plane, virtual time
//! ```
//!
//! [`foresee`] copies the objects onto an embedded control plane of its own, starts the real controllers there with a
//! model kubelet, makes the change, and lets virtual time run until nothing moves any more. Hours of pauses take
//! milliseconds, and the live cluster is only read.
//!
//! What it assumes, because nobody can know it, is said in [`Forecast::assumptions`].

mod driver;
mod forecast;
mod frame;
mod live;
mod metrics;
mod outcome;
mod render;
mod scratch;
mod timeline;

pub use forecast::{Analysis, Forecast, ForecastError, Person, WhatIf, foresee};
pub use live::{Change, Live, gather_live};
pub use outcome::Outcome;
pub use render::render_text;
pub use timeline::Stage;
