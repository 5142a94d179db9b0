//! Why a rollout stands where it stands.
//!
//! ```text
//!  cluster ──> gather_scene ──> Scene ──> explain ──> Explanation ──> render_text, JSON
//!              (reads only)    (data)     (pure)       (data)
//! ```
//!
//! A [`Scene`] is the snapshot the controllers would decide on right now, gathered by their own code, plus what only
//! an explanation needs: pods, measurements, autoscalers, events, and who else wrote the objects. [`explain`] makes
//! the controllers' own decision from that snapshot, so it cannot disagree with them, and names what is being waited
//! for, since when, who can end it, until when and what happens then, with every cause it finds and the next command
//! to run.

mod analysis;
mod autoscaler;
mod cause;
mod explanation;
mod gather;
mod pods;
mod render;
mod scene;
mod services;
mod traffic;
mod waiting;

pub use cause::{Cause, Command};
pub use explanation::{Explanation, Step, explain};
pub use gather::gather_scene;
pub use render::render_text;
pub use scene::{Autoscaler, Evidence, Scene, SeenEvent, Writer};
pub use waiting::Waiting;
