//! What observers see of a decision: for the log of decisions, for explanations and for replays.

use glidepath_core::plan::{Ask, Plan};
use glidepath_core::snapshot::{AnalysisSnapshot, ExperimentSnapshot, RolloutSnapshot};
use serde_json::Value;

use crate::object::ObjectKey;
use crate::queue::Controller;

/// What a decision looked at.
#[derive(Clone, Copy, Debug)]
pub enum SnapshotRef<'a> {
    /// Of a Rollout.
    Rollout(&'a RolloutSnapshot),
    /// Of an AnalysisRun.
    Analysis(&'a AnalysisSnapshot),
    /// Of an Experiment.
    Experiment(&'a ExperimentSnapshot),
}

/// One decision, as it was made and before it is applied.
#[derive(Clone, Copy, Debug)]
pub struct DecisionRecord<'a> {
    /// Which controller decided.
    pub controller: Controller,
    /// About which object.
    pub key: &'a ObjectKey,
    /// What it looked at.
    pub snapshot: SnapshotRef<'a>,
    /// What it wants.
    pub plan: &'a Plan,
}

const REDACTED: &str = "*****";

impl DecisionRecord<'_> {
    /// The snapshot as JSON, without the values of secrets.
    #[must_use]
    pub fn snapshot_json(&self) -> Value {
        let json = match self.snapshot {
            SnapshotRef::Rollout(snapshot) => serde_json::to_value(snapshot),
            SnapshotRef::Experiment(snapshot) => serde_json::to_value(snapshot),
            SnapshotRef::Analysis(snapshot) => {
                let mut snapshot = snapshot.clone();
                for value in snapshot.secrets.values_mut().flatten() {
                    REDACTED.clone_into(value);
                }
                serde_json::to_value(snapshot)
            }
        };
        json.unwrap_or_default()
    }

    /// The plan as JSON, as [`plan_json`] gives it.
    #[must_use]
    pub fn plan_json(&self) -> Value {
        plan_json(self.plan)
    }
}

/// A plan as JSON; of questions only the metrics' names, because the rest may hold secrets.
#[must_use]
pub fn plan_json(plan: &Plan) -> Value {
    let mut plan = plan.clone();
    for ask in &mut plan.asks {
        let name = std::mem::take(&mut ask.metric.name);
        *ask = Ask { metric: glidepath_api::Metric { name, ..Default::default() }, secrets: Vec::new() };
    }
    serde_json::to_value(plan).unwrap_or_default()
}
