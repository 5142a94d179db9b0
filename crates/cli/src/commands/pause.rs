//! `pause`: hold the Rollout where it is (O-069).

use serde_json::{Value, json};

use super::some_names;
use crate::failure::Failure;
use crate::objects::{ROLLOUTS, apply_merge_patch};
use crate::session::Session;

/// The patch.
#[must_use]
pub fn plan_patch() -> Value {
    json!({"spec": {"paused": true}})
}

/// Pauses Rollouts in order; stops at the first that fails.
///
/// # Errors
/// Without a name, or what the API server answers.
pub async fn pause(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    for name in some_names(names)? {
        let patch = plan_patch();
        apply_merge_patch(&session.client, ROLLOUTS, &session.namespace, name, None, &patch).await?;
        session.output.line(&format!("rollout '{name}' paused"));
    }
    Ok(())
}
