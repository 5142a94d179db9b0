//! Which status changes may wait a moment: counts that are still moving.
//!
//! While pods come and go, every ReplicaSet event changes the counters of a Rollout's status. Writing
//! each of them costs the API server and every watcher, and none of them is news to a person. Such a
//! change is held back for a moment, in which the next one usually replaces it.

use std::time::Duration;

use glidepath_api::{Rollout, RolloutCondition};
use glidepath_core::plan::{Action, Plan};
use serde_json::Value;

/// How long moving counts are held back.
pub const HOLD: Duration = Duration::from_millis(400);

/// Status fields that merely count.
const COUNTERS: [&str; 6] =
    ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "HPAReplicas", "message"];

/// Whether all that a plan does to the status is to move counters.
#[must_use]
pub fn is_quiet(rollout: &Rollout, plan: &Plan) -> bool {
    let Some(patch) = status_patch(plan) else { return false };
    patch.iter().all(|(field, value)| {
        COUNTERS.contains(&field.as_str()) || (field == "conditions" && same_but_for_wording(rollout, value))
    })
}

/// Takes the status patch out of a plan.
pub fn hold_back(plan: &mut Plan) {
    plan.steps.retain(|step| !matches!(step.action, Action::PatchStatus { .. }));
}

fn status_patch(plan: &Plan) -> Option<&serde_json::Map<String, Value>> {
    plan.actions().find_map(|action| match action {
        Action::PatchStatus { patch } => patch.get("status")?.as_object(),
        _ => None,
    })
}

/// Whether conditions differ only in texts and times of update.
fn same_but_for_wording(rollout: &Rollout, conditions: &Value) -> bool {
    let Ok(wanted) = serde_json::from_value::<Vec<RolloutCondition>>(conditions.clone()) else {
        return false;
    };
    let known = &rollout.status.conditions;
    wanted.len() == known.len()
        && wanted.iter().all(|wanted| {
            known.iter().any(|known| {
                known.type_ == wanted.type_ && known.status == wanted.status && known.reason == wanted.reason
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rollout() -> Rollout {
        serde_json::from_value(json!({"status": {"phase": "Progressing", "conditions": [
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "a",
             "lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
        .unwrap()
    }

    fn plan(status: Value) -> Plan {
        let mut plan = Plan::default();
        plan.push("scale", Action::TerminateExperiment { name: "e".into() });
        plan.push("status", Action::PatchStatus { patch: json!({"status": status}) });
        plan
    }

    #[test]
    fn only_moving_counts_are_quiet() {
        let condition = |reason: &str, message: &str| {
            json!([{"type": "Progressing", "status": "True", "reason": reason, "message": message,
                "lastUpdateTime": "2026-01-01T00:00:09Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}])
        };
        for (status, quiet) in [
            (json!({"readyReplicas": 1, "availableReplicas": 2}), true),
            (json!({"conditions": condition("ReplicaSetUpdated", "b")}), true),
            (json!({"conditions": condition("NewReplicaSetAvailable", "b")}), false),
            (json!({"conditions": []}), false),
            (json!({"currentStepIndex": 1, "readyReplicas": 1}), false),
            (json!({"phase": "Healthy"}), false),
            (json!({"abort": null}), false),
        ] {
            assert_eq!(is_quiet(&rollout(), &plan(status.clone())), quiet, "{status}");
        }
    }

    #[test]
    fn holding_back_leaves_the_other_actions() {
        let mut plan = plan(json!({"readyReplicas": 1}));
        hold_back(&mut plan);
        assert_eq!(plan.actions().map(Action::verb).collect::<Vec<_>>(), ["terminateExperiment"]);
    }
}
