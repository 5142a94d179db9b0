//! Object trees as rows: what both the terminal and a page show.
//!
//! [`tree`] turns objects into a tree of facts ([`info`]), [`rows`] turns the tree into rows, [`screen`] turns rows into
//! text. [`list`] holds the one-line-per-object tables. Everything is pure; `now` is handed in.

pub mod glyphs;
pub mod info;
pub mod list;
pub mod paint;
pub mod phase;
pub mod pods;
pub mod rows;
pub mod screen;
mod table;
pub mod tree;

pub use info::{Cluster, ExperimentInfo, RolloutInfo};
pub use paint::Paint;
pub use phase::displayed_phase;
pub use screen::{render_experiment, render_rollout};
