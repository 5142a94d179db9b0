//! Patches of a Rollout's status, also where the CRD has no status subresource (O-014).

use glidepath_api::Rollout;
use serde_json::Value;

use crate::failure::{Failure, is_not_found};
use crate::objects::{ROLLOUTS, apply_merge_patch};
use crate::session::Session;

/// Patches the status subresource; on 404 once more the resource itself. Returns the Rollout as it is then; `None` if it
/// cannot be read, which is no reason to fail after the write.
///
/// # Errors
/// What the API server answers to the last attempt.
pub async fn apply_status_patch(
    session: &Session<'_>,
    name: &str,
    patch: &Value,
) -> Result<Option<Rollout>, Failure> {
    let (client, namespace) = (&session.client, session.namespace.as_str());
    let patched = match apply_merge_patch(client, ROLLOUTS, namespace, name, Some("status"), patch).await {
        Err(error) if is_not_found(&error) => {
            apply_merge_patch(client, ROLLOUTS, namespace, name, None, patch).await?
        }
        other => other?,
    };
    Ok(serde_json::from_value(patched).ok())
}
