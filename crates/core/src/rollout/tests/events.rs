//! Events: reasons, types and texts, word for word.

use glidepath_api::AnalysisPhase;
use serde_json::{Value, json};

use super::{blue_green, canary, deployed, resume, with_check};
use crate::plan::{Action, EventType};
use crate::rollout::decide;
use crate::snapshot::Failure;
use crate::world::World;

/// What the next decisions tell, until nothing more happens: type, reason and message, with the hashes of versions
/// written `{1}`, `{2}` and so on.
fn told(world: &mut World) -> Vec<(EventType, String, String)> {
    let mut told = Vec::new();
    for _ in 0..20 {
        let acted = world.step();
        for action in world.last.actions() {
            if let Action::Emit(event) = action {
                told.push((event.event_type, event.reason.clone(), masked(world, &event.message)));
            }
        }
        if !world.settle() && !acted {
            break;
        }
    }
    told
}

fn masked(world: &World, text: &str) -> String {
    (1..5).fold(text.to_owned(), |text, number| match world.set_of(&format!("web:{number}")) {
        Some(set) => text.replace(set.pod_hash(), &format!("{{{number}}}")),
        None => text,
    })
}

/// Checks that events with these texts are among what was told, in this order.
fn expect(world: &mut World, when: &str, wanted: &[(EventType, &str, &str)]) {
    let told = told(world);
    let mut rest = told.iter();
    for (kind, reason, message) in wanted {
        assert!(
            rest.any(|told| told == &(*kind, (*reason).to_owned(), (*message).to_owned())),
            "{when}: {reason} {message:?} is not among, or not in this order: {told:#?}"
        );
    }
}

const NORMAL: EventType = EventType::Normal;
const WARNING: EventType = EventType::Warning;

#[test]
fn a_routed_canary_tells_each_change_in_the_words_of_the_reference_r771_r772_r774_to_r783() {
    let strategy = json!({
        "canaryService": "canary", "stableService": "stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        "steps": [{"setWeight": 50}, {"pause": {}}],
    });
    let mut world = World::new(canary(2, strategy), &["canary", "stable"], 1);
    expect(
        &mut world,
        "first version",
        &[
            (NORMAL, "NewReplicaSetCreated", "Created ReplicaSet web-{1} (revision 1)"),
            (NORMAL, "ScalingReplicaSet", "Scaled up ReplicaSet web-{1} (revision 1) from 0 to 2"),
            (NORMAL, "RolloutCompleted", "Rollout completed update to revision 1 ({1}): Initial deploy"),
            (NORMAL, "SwitchService", "Switched selector for service 'stable' from '' to '{1}'"),
        ],
    );
    world.set_image("web:2");
    expect(
        &mut world,
        "update",
        &[
            (NORMAL, "RolloutUpdated", "Rollout updated to revision 2"),
            (NORMAL, "NewReplicaSetCreated", "Created ReplicaSet web-{2} (revision 2)"),
            (NORMAL, "RolloutNotCompleted", "Rollout not completed, started update to revision 2 ({2})"),
            (NORMAL, "ScalingReplicaSet", "Scaled up ReplicaSet web-{2} (revision 2) from 0 to 1"),
            (NORMAL, "SwitchService", "Switched selector for service 'canary' from '{1}' to '{2}'"),
            (NORMAL, "TrafficWeightUpdated", "Traffic weight updated from 0 to 50"),
            (NORMAL, "RolloutStepCompleted", "Rollout step 1/2 completed (setWeight: 50)"),
            (NORMAL, "RolloutPaused", "Rollout is paused (CanaryPauseStep)"),
        ],
    );
    resume(&mut world);
    expect(
        &mut world,
        "promote",
        &[
            (NORMAL, "RolloutStepCompleted", "Rollout step 2/2 completed (pause)"),
            (NORMAL, "ScalingReplicaSet", "Scaled up ReplicaSet web-{2} (revision 2) from 1 to 2"),
            (NORMAL, "TrafficWeightUpdated", "Traffic weight updated from 50 to 100"),
            (
                NORMAL,
                "RolloutCompleted",
                "Rollout completed update to revision 2 ({2}): Completed all 2 canary steps",
            ),
        ],
    );
    world.set_image("web:3");
    told(&mut world);
    world.snapshot.rollout.status.abort = true;
    expect(&mut world, "abort", &[(WARNING, "RolloutAborted", "Rollout aborted update to revision 3")]);
    let told_resumed = world.events.iter().filter(|reason| *reason == "RolloutResumed").count();
    assert_eq!(told_resumed, 0, "R-779: neither a step's end nor an abort resumes");
}

#[test]
fn a_pause_that_vanishes_is_told_unless_it_was_an_abort_r313_r778_r779() {
    let mut world =
        deployed(blue_green(1, json!({"autoPromotionEnabled": false})), &["active", "preview"], 0);
    world.set_image("web:2");
    expect(&mut world, "preview", &[(NORMAL, "RolloutPaused", "Rollout is paused (BlueGreenPause)")]);
    // A pause that only the spec asks for is not told.
    world.edit(|rollout| rollout.spec.paused = true);
    assert_eq!(told(&mut world), []);
    world.edit(|rollout| rollout.spec.paused = false);
    told(&mut world);
    world.snapshot.rollout.status.abort = true;
    let after: Vec<String> = told(&mut world).into_iter().map(|(_, reason, _)| reason).collect();
    assert_eq!(after, ["RolloutAborted"]);
    // And where a timed pause runs out, it is.
    let mut world =
        deployed(canary(1, json!({"steps": [{"pause": {"duration": 5}}, {"setWeight": 100}]})), &[], 0);
    world.set_image("web:2");
    told(&mut world);
    world.snapshot.now += jiff::SignedDuration::from_secs(6);
    expect(&mut world, "time is up", &[(NORMAL, "RolloutResumed", "Rollout is resumed")]);
}

#[test]
fn an_event_about_the_status_comes_with_its_write_r311_r313() {
    let mut world = deployed(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    for _ in 0..10 {
        world.step();
        let actions: Vec<&Action> = world.last.actions().collect();
        let tells = |reason: &str| {
            actions.iter().any(|action| matches!(action, Action::Emit(event) if event.reason == reason))
        };
        let last_is_status = matches!(actions.last(), Some(Action::PatchStatus { .. }));
        for reason in ["RolloutPaused", "RolloutStepCompleted", "RolloutNotCompleted"] {
            assert!(!tells(reason) || last_is_status, "{reason} without a status: {actions:#?}");
        }
        let statuses = actions.iter().filter(|action| matches!(action, Action::PatchStatus { .. })).count();
        assert!(statuses <= 1 && (statuses == 0 || last_is_status), "the status is written once, last");
        world.settle();
    }
    assert_eq!(world.events.iter().filter(|reason| *reason == "RolloutPaused").count(), 1);
}

#[test]
fn a_set_that_cannot_be_created_is_a_warning_r773() {
    let mut world = World::new(canary(1, json!({})), &[], 0);
    let plan = decide(&world.snapshot);
    let name = plan
        .actions()
        .find_map(|action| match action {
            Action::CreateReplicaSet { name, .. } => Some(name.clone()),
            _ => None,
        })
        .unwrap();
    world.snapshot.failures.push(Failure {
        verb: "createReplicaSet".to_owned(),
        object: name,
        reason: "Forbidden".to_owned(),
        code: 403,
        at: world.snapshot.now,
        message: "exceeded quota".to_owned(),
        existing: None,
    });
    let plan = decide(&world.snapshot);
    let event = plan
        .actions()
        .find_map(|action| match action {
            Action::Emit(event) => Some(event.clone()),
            _ => None,
        })
        .unwrap();
    assert_eq!((event.event_type, event.reason.as_str()), (WARNING, "ReplicaSetCreateError"));
    assert!(event.message.contains("exceeded quota"), "{}", event.message);
}

#[test]
fn runs_tell_each_phase_and_what_it_was_before_r708_r784() {
    let check = json!({"templates": [{"templateName": "check"}]});
    for (end, kind) in [(AnalysisPhase::Successful, NORMAL), (AnalysisPhase::Failed, WARNING)] {
        let steps = json!({"steps": [{"setWeight": 50}, {"analysis": check}, {"pause": {}}]});
        let mut world = with_check(canary(2, steps), &[], 0);
        world.set_image("web:2");
        expect(
            &mut world,
            "started",
            &[(
                NORMAL,
                "AnalysisRunRunning",
                "Step Analysis Run 'web-{2}-2-1' Status New: 'Running' Previous: ''",
            )],
        );
        let name = world.snapshot.analysis_runs[0].metadata.name.clone();
        world.end_run(&name, end, "");
        let (reason, message) = (
            format!("AnalysisRun{end}"),
            format!("Step Analysis Run 'web-{{2}}-2-1' Status New: '{end}' Previous: 'Running'"),
        );
        expect(&mut world, "ended", &[(kind, reason.as_str(), message.as_str())]);
    }
}

#[test]
fn weights_of_further_destinations_are_part_of_the_text_r783() {
    let rows: [(Value, &str); 2] =
        [(json!({"setWeight": 30}), "from 0 to 30"), (json!({"setWeight": 0}), "")];
    for (step, text) in rows {
        let strategy = json!({
            "canaryService": "canary", "stableService": "stable",
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}}, "steps": [step, {"pause": {}}],
        });
        let mut world = deployed(canary(10, strategy), &["canary", "stable"], 1);
        world.set_image("web:2");
        let told = told(&mut world);
        let updates: Vec<&str> = told
            .iter()
            .filter(|(_, reason, _)| reason == "TrafficWeightUpdated")
            .map(|(_, _, message)| message.trim_start_matches("Traffic weight updated").trim())
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(updates, if text.is_empty() { vec![] } else { vec![text] });
    }
}
