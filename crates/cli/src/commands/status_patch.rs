//! Patches of a Rollout's status, also where the CRD has no status subresource (O-014).

use serde_json::Value;

use crate::failure::{Failure, is_not_found};
use crate::objects::{ROLLOUTS, apply_merge_patch};
use crate::session::Session;

/// Patches the status subresource; on 404 once more the resource itself.
///
/// # Errors
/// What the API server answers to the last attempt.
pub async fn apply_status_patch(session: &Session<'_>, name: &str, patch: &Value) -> Result<(), Failure> {
    let (client, namespace) = (&session.client, session.namespace.as_str());
    match apply_merge_patch(client, ROLLOUTS, namespace, name, Some("status"), patch).await {
        Err(error) if is_not_found(&error) => {
            apply_merge_patch(client, ROLLOUTS, namespace, name, None, patch).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}
