//! `promote`: past a pause, past a step, or to the end (O-060 to O-065).

use glidepath_api::{AnalysisPhase, Rollout};
use serde_json::{Map, Value, json};

use super::only_name;
use super::remarks::remark_on_promote;
use crate::arguments::Promote;
use crate::failure::{Failure, is_not_found};
use crate::objects::{ROLLOUTS, apply_merge_patch, fetch};
use crate::session::Session;

/// How far to promote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Past what it waits for.
    Next,
    /// Past the current step, the old way.
    SkipStep,
    /// Past all steps, the old way.
    SkipSteps,
    /// To the end.
    Full,
}

/// What to send: the status part first, then the spec part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    /// For the status subresource.
    pub status: Option<Value>,
    /// For the Rollout itself.
    pub spec: Option<Value>,
    /// For the Rollout itself instead of both, where there is no status subresource (O-065).
    pub combined: Option<Value>,
}

/// The flags as one extent.
///
/// # Errors
/// If two old flags are given at once (O-064).
pub fn decide_extent(full: bool, skip_step: bool, skip_steps: bool) -> Result<Extent, Failure> {
    match (skip_step, skip_steps, full) {
        (true, true, _) => {
            Err(Failure::message("Cannot use skip-current-step and skip-all-steps flags at the same time"))
        }
        (true, ..) => Ok(Extent::SkipStep),
        (_, true, _) => Ok(Extent::SkipSteps),
        (.., true) => Ok(Extent::Full),
        _ => Ok(Extent::Next),
    }
}

/// What promotes the Rollout that far (O-061 to O-064).
///
/// # Errors
/// If steps are to be skipped of a Rollout that has none.
pub fn plan_patches(rollout: &Rollout, extent: Extent) -> Result<Patches, Failure> {
    let unpause = rollout.spec.paused.then(|| json!({"spec": {"paused": false}}));
    let step = |index: usize| json!({"status": {"currentStepIndex": index}});
    match extent {
        Extent::SkipStep | Extent::SkipSteps => {
            if rollout.blue_green().is_some() {
                return Err(Failure::message(
                    "Cannot skip steps of a bluegreen rollout. Run without a flags",
                ));
            }
            let steps = rollout.canary().map_or(0, |canary| canary.steps.len());
            if steps == 0 {
                return Err(Failure::message("Cannot skip steps of a rollout without steps"));
            }
            let index = if extent == Extent::SkipSteps { steps } else { next_step(rollout).unwrap_or(steps) };
            Ok(Patches { status: Some(step(index)), spec: None, combined: Some(step(index)) })
        }
        Extent::Full => {
            let unfinished = rollout.status.current_pod_hash != rollout.status.stable_rs;
            Ok(Patches {
                status: unfinished.then(|| json!({"status": {"promoteFull": true}})),
                spec: unpause,
                combined: Some(json!({"spec": {"paused": false}, "status": {"promoteFull": true}})),
            })
        }
        Extent::Next => {
            let status = next_status(rollout);
            let combined = match &status {
                Some(status) => json!({"spec": {"paused": false}, "status": status}),
                None => json!({"spec": {"paused": false}, "status": {"pauseConditions": null}}),
            };
            let status = status.map(|status| json!({"status": status}));
            Ok(Patches { status, spec: unpause, combined: Some(combined) })
        }
    }
}

/// The status members that go past what the Rollout waits for; the first that fits (O-061).
fn next_status(rollout: &Rollout) -> Option<Map<String, Value>> {
    let status = &rollout.status;
    let paused = !status.pause_conditions.is_empty();
    let mut members = Map::new();
    members.insert("pauseConditions".to_owned(), Value::Null);
    if is_inconclusive(rollout) && paused && status.controller_pause {
        let index = next_step(rollout)?;
        members.insert("controllerPause".to_owned(), json!(false));
        members.insert("currentStepIndex".to_owned(), json!(index));
        return Some(members);
    }
    if paused {
        return Some(members);
    }
    let index = next_step(rollout)?;
    members.insert("currentStepIndex".to_owned(), json!(index));
    Some(members)
}

fn is_inconclusive(rollout: &Rollout) -> bool {
    let run = rollout.status.canary.current_step_analysis_run_status.as_ref();
    rollout.canary().is_some() && run.and_then(|run| run.status) == Some(AnalysisPhase::Inconclusive)
}

/// The position after the current one, at most the end; `None` without steps.
fn next_step(rollout: &Rollout) -> Option<usize> {
    let steps = rollout.canary()?.steps.len();
    if steps == 0 {
        return None;
    }
    let index = usize::try_from(rollout.status.current_step_index.unwrap_or(0)).unwrap_or(0);
    Some(if index < steps { index + 1 } else { index })
}

/// Promotes a Rollout.
///
/// # Errors
/// On a wrong number of names, flags that do not fit, or what the API server answers.
pub async fn promote(session: &mut Session<'_>, arguments: &Promote) -> Result<(), Failure> {
    for notice in deprecation_notices(arguments) {
        session.output.note(&notice);
    }
    let name = only_name(&arguments.names)?;
    let extent = decide_extent(arguments.full, arguments.skip_current_step, arguments.skip_all_steps)?;
    let (client, namespace) = (&session.client, session.namespace.as_str());
    let rollout: Rollout = fetch(client, ROLLOUTS, Some(namespace), name).await?;
    let mut patches = plan_patches(&rollout, extent)?;
    if let Some(status) = &patches.status {
        match apply_merge_patch(client, ROLLOUTS, namespace, name, Some("status"), status).await {
            Err(error) if is_not_found(&error) => patches.spec = patches.combined.take(),
            other => {
                other?;
            }
        }
    }
    if let Some(spec) = &patches.spec {
        apply_merge_patch(client, ROLLOUTS, namespace, name, None, spec).await?;
    }
    let how = if extent == Extent::Full { "fully promoted" } else { "promoted" };
    session.output.line(&format!("rollout '{name}' {how}"));
    if let Some(remark) = remark_on_promote(&rollout) {
        session.output.note(&remark);
    }
    Ok(())
}

/// What is said about flags that are on their way out (O-064).
fn deprecation_notices(arguments: &Promote) -> Vec<String> {
    let mut notices = Vec::new();
    if arguments.skip_current_step {
        let instead = "use without the flag instead ex: promote ROLLOUT_NAME";
        notices.push(format!("Flag --skip-current-step has been deprecated, {instead}"));
    }
    if arguments.skip_all_steps {
        notices.push("Flag --skip-all-steps has been deprecated, use --full instead".to_owned());
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(status: Value) -> Rollout {
        serde_json::from_value(json!({
            "spec": {"strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}, {"analysis": {}}]}}},
            "status": status,
        }))
        .unwrap()
    }

    fn paused() -> Value {
        json!([{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}])
    }

    #[test]
    fn the_next_thing_in_the_way_is_removed_o_061() {
        let inconclusive = json!({"currentStepAnalysisRunStatus": {"name": "r", "status": "Inconclusive"}});
        let cases = [
            (
                "(a) inconclusive and paused for it",
                json!({"currentStepIndex": 2, "pauseConditions": paused(), "controllerPause": true,
                       "canary": inconclusive}),
                Some(
                    json!({"status": {"pauseConditions": null, "controllerPause": false, "currentStepIndex": 3}}),
                ),
            ),
            (
                "(b) paused",
                json!({"currentStepIndex": 1, "pauseConditions": paused(), "controllerPause": true}),
                Some(json!({"status": {"pauseConditions": null}})),
            ),
            (
                "(c) busy in a step (O-062)",
                json!({"currentStepIndex": 2}),
                Some(json!({"status": {"pauseConditions": null, "currentStepIndex": 3}})),
            ),
            (
                "(c) no index counts as 0",
                json!({}),
                Some(json!({"status": {"pauseConditions": null, "currentStepIndex": 1}})),
            ),
            (
                "(c) capped at the end",
                json!({"currentStepIndex": 3}),
                Some(json!({"status": {"pauseConditions": null, "currentStepIndex": 3}})),
            ),
            (
                "inconclusive but not paused is a busy step",
                json!({"currentStepIndex": 2, "canary": inconclusive}),
                Some(json!({"status": {"pauseConditions": null, "currentStepIndex": 3}})),
            ),
        ];
        for (row, status, expected) in cases {
            let patches = plan_patches(&canary(status), Extent::Next).unwrap();
            assert_eq!((patches.status, patches.spec), (expected, None), "{row}");
        }
    }

    #[test]
    fn a_manual_pause_is_lifted_in_the_spec_and_blue_green_has_no_steps_o_061() {
        let mut rollout: Rollout = serde_json::from_value(json!({
            "spec": {"paused": true, "strategy": {"blueGreen": {"activeService": "a"}}}}))
        .unwrap();
        let patches = plan_patches(&rollout, Extent::Next).unwrap();
        assert_eq!((patches.status, patches.spec), (None, Some(json!({"spec": {"paused": false}}))));
        rollout.spec.paused = false;
        rollout.status.pause_conditions = serde_json::from_value(paused()).unwrap();
        let patches = plan_patches(&rollout, Extent::Next).unwrap();
        assert_eq!(
            (patches.status, patches.spec),
            (Some(json!({"status": {"pauseConditions": null}})), None)
        );
    }

    #[test]
    fn full_promotion_needs_a_patch_only_in_an_update_o_063() {
        let updating = canary(json!({"currentPodHash": "b", "stableRS": "a"}));
        let patches = plan_patches(&updating, Extent::Full).unwrap();
        assert_eq!((patches.status, patches.spec), (Some(json!({"status": {"promoteFull": true}})), None));
        let mut done = canary(json!({"currentPodHash": "b", "stableRS": "b"}));
        assert_eq!(plan_patches(&done, Extent::Full).unwrap().status, None);
        done.spec.paused = true;
        let patches = plan_patches(&done, Extent::Full).unwrap();
        assert_eq!((patches.status, patches.spec), (None, Some(json!({"spec": {"paused": false}}))));
    }

    #[test]
    fn old_flags_set_the_index_only_o_064() {
        let at = |index: i32| canary(json!({"currentStepIndex": index, "pauseConditions": paused()}));
        let index = |rollout: &Rollout, extent| {
            plan_patches(rollout, extent).unwrap().status.unwrap()["status"]["currentStepIndex"].clone()
        };
        assert_eq!(index(&at(1), Extent::SkipStep), 2);
        assert_eq!(index(&at(3), Extent::SkipStep), 3);
        assert_eq!(index(&at(0), Extent::SkipSteps), 3);
        let message = |spec: Value, extent| {
            let rollout: Rollout = serde_json::from_value(json!({"spec": {"strategy": spec}})).unwrap();
            plan_patches(&rollout, extent).unwrap_err().to_string()
        };
        assert_eq!(
            message(json!({"blueGreen": {}}), Extent::SkipStep),
            "Cannot skip steps of a bluegreen rollout. Run without a flags"
        );
        assert_eq!(
            message(json!({"canary": {}}), Extent::SkipSteps),
            "Cannot skip steps of a rollout without steps"
        );
        assert_eq!(
            decide_extent(false, true, true).unwrap_err().to_string(),
            "Cannot use skip-current-step and skip-all-steps flags at the same time"
        );
    }

    #[test]
    fn without_a_status_subresource_both_parts_go_in_one_patch_o_065() {
        let busy = plan_patches(&canary(json!({"currentStepIndex": 0})), Extent::Next).unwrap();
        let expected =
            json!({"spec": {"paused": false}, "status": {"pauseConditions": null, "currentStepIndex": 1}});
        assert_eq!(busy.combined, Some(expected));
    }
}
