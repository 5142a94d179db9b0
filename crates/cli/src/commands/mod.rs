//! One file per command. Each decides with pure `plan_` functions and applies what they say.

pub mod abort;
pub mod completion;
pub mod create;
pub mod get;
pub mod list;
pub mod pause;
pub mod plan;
pub mod promote;
pub mod remarks;
pub mod restart;
pub mod retry;
pub mod set_image;
pub mod status;
mod status_patch;
pub mod terminate;
pub mod undo;
pub mod version;
pub mod why;

use crate::failure::Failure;

/// The only name; anything else is a question of usage (O-013).
fn only_name(names: &[String]) -> Result<&str, Failure> {
    match names {
        [name] => Ok(name),
        _ => Err(Failure::Usage),
    }
}

/// One or more names; none is a question of usage (O-013).
fn some_names(names: &[String]) -> Result<&[String], Failure> {
    if names.is_empty() { Err(Failure::Usage) } else { Ok(names) }
}
