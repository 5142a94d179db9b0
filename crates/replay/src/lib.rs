//! Recorded decisions: a bounded ring of files, and the same decision made again from one of them.
//!
//! ```text
//!  controller ──> Recorder ──> 00000042-Rollouts-shop-web.json ──> replay ──> the same, bit for bit?
//! ```
//!
//! A file holds what the decision looked at, what it wanted and what the guard vetoed. Because decisions are pure,
//! deciding again from the file must give the same plan; a file of an older program that gives another one shows
//! what a change of the program changes. Values of secrets are never recorded.

mod record;
mod ring;

pub use record::{Recorded, ReplayError, Verdict, replay};
pub use ring::{Recorder, RingError};
