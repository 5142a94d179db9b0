//! The kubectl plugin: kubectl argo rollouts.
//!
//! [`run()`] takes words and runs one command. Each command is a file under [`commands`]: pure `plan_` functions
//! say what to send, a thin rest sends it. Printing is done by [`output`] only.

pub mod arguments;
pub mod commands;
pub mod connect;
pub mod failure;
pub mod follow;
pub mod gather;
pub mod help;
pub mod objects;
pub mod output;
mod run;
pub mod session;

pub use failure::Failure;
pub use output::Output;
pub use run::{Cluster, run};
pub use session::Session;
