//! `terminate`: end an AnalysisRun or an Experiment now (O-071, O-072).

use serde_json::{Value, json};

use super::some_names;
use crate::failure::Failure;
use crate::objects::{ANALYSIS_RUNS, EXPERIMENTS, Resource, apply_merge_patch};
use crate::session::Session;

/// The patch of either kind.
#[must_use]
pub fn plan_patch() -> Value {
    json!({"spec": {"terminate": true}})
}

/// Terminates AnalysisRuns in order; stops at the first that fails.
///
/// # Errors
/// Without a name, or what the API server answers.
pub async fn terminate_analysis_runs(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    terminate(session, ANALYSIS_RUNS, "analysisRun", names).await
}

/// Terminates Experiments in order; stops at the first that fails.
///
/// # Errors
/// Without a name, or what the API server answers.
pub async fn terminate_experiments(session: &mut Session<'_>, names: &[String]) -> Result<(), Failure> {
    terminate(session, EXPERIMENTS, "experiment", names).await
}

async fn terminate(
    session: &mut Session<'_>,
    resource: Resource,
    word: &str,
    names: &[String],
) -> Result<(), Failure> {
    for name in some_names(names)? {
        apply_merge_patch(&session.client, resource, &session.namespace, name, None, &plan_patch()).await?;
        session.output.line(&format!("{word} '{name}' terminated"));
    }
    Ok(())
}
