//! `abort`: stop the update and go back to the stable version (O-066).

use serde_json::{Value, json};

use super::remarks::remark_on_abort;
use super::{some_names, status_patch::apply_status_patch};
use crate::failure::Failure;
use crate::session::Session;

/// The status patch.
#[must_use]
pub fn plan_patch() -> Value {
    json!({"status": {"abort": true}})
}

/// Aborts Rollouts in order; stops at the first that fails.
///
/// # Errors
/// Without a name, or what the API server answers.
pub async fn abort(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    for name in some_names(names)? {
        let rollout = apply_status_patch(session, name, &plan_patch()).await?;
        session.output.line(&format!("rollout '{name}' aborted"));
        if let Some(remark) = rollout.as_ref().and_then(remark_on_abort) {
            session.output.note(&remark);
        }
    }
    Ok(())
}
