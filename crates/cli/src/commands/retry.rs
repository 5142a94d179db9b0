//! `retry`: take up an aborted Rollout or a finished Experiment again (O-067, O-068).

use glidepath_api::Rollout;
use serde_json::{Value, json};

use super::remarks::remark_on_retry;
use super::{some_names, status_patch::apply_status_patch};
use crate::failure::Failure;
use crate::objects::{EXPERIMENTS, ROLLOUTS, apply_merge_patch, fetch};
use crate::session::Session;

/// The status patch of a Rollout.
#[must_use]
pub fn plan_rollout_patch() -> Value {
    json!({"status": {"abort": false}})
}

/// The patch of an Experiment: it begins from nothing.
#[must_use]
pub fn plan_experiment_patch() -> Value {
    json!({"status": null})
}

/// Retries Rollouts in order; stops at the first that fails.
///
/// # Errors
/// Without a name, or what the API server answers.
pub async fn retry_rollouts(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    for name in some_names(names)? {
        // Read only for the remark; what is wrong with it will be said of the write.
        let before: Option<Rollout> =
            fetch(&session.client, ROLLOUTS, Some(&session.namespace), name).await.ok();
        apply_status_patch(session, name, &plan_rollout_patch()).await?;
        session.output.line(&format!("rollout '{name}' retried"));
        if let Some(remark) = before.as_ref().and_then(remark_on_retry) {
            session.output.note(&remark);
        }
    }
    Ok(())
}

/// Retries Experiments in order; stops at the first that fails.
///
/// # Errors
/// Without a name, or what the API server answers.
pub async fn retry_experiments(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    for name in some_names(names)? {
        let patch = plan_experiment_patch();
        apply_merge_patch(&session.client, EXPERIMENTS, &session.namespace, name, None, &patch).await?;
        session.output.line(&format!("experiment '{name}' retried"));
    }
    Ok(())
}
