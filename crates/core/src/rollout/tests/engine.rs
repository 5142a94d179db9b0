//! The step engine and the rules it rests on: weights, kinds, completion, resets, pauses, progress (R-240 to R-242,
//!

use glidepath_api::{CanaryStep, PauseCondition, PauseReason, Rollout, RolloutStatus, Time};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{SERVICES, blue_green, canary, deployed, phase, resume, size};
use crate::plan::{Action, BlockerOwner};
use crate::rollout::pause::PauseChanges;
use crate::rollout::steps::{self, StepKind};
use crate::world::{Fate, World};

fn rollout(spec: Value, status: Value) -> Rollout {
    serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec, "status": status})).unwrap()
}

fn routed(replicas: i32, steps: Value) -> Value {
    super::routed(replicas, json!({"steps": steps}))
}

#[test]
fn the_current_weight_is_that_of_the_nearest_step_at_or_before_the_index_r331() {
    let steps = json!([{"pause": {}}, {"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]);
    let maximum = json!({"trafficRouting": {"maxTrafficWeight": 1000}});
    for (strategy, index, abort, want) in [
        (json!({"steps": steps}), 0, false, 0),
        (json!({"steps": steps}), 1, false, 20),
        (json!({"steps": steps}), 2, false, 20),
        (json!({"steps": steps}), 3, false, 60),
        (json!({"steps": steps}), 4, false, 100),
        (json!({"steps": steps}), 9, false, 100),
        (json!({"steps": steps}), 3, true, 0),
        (json!({}), 0, false, 100),
        (maximum, 0, false, 1000),
    ] {
        let status = json!({"currentStepIndex": index, "abort": abort});
        let got = steps::current_weight(&rollout(json!({"strategy": {"canary": strategy}}), status));
        assert_eq!(got, want, "index {index}, aborted {abort}");
    }
}

#[test]
fn a_step_of_several_kinds_is_its_first_one_r401() {
    let all = [
        ("pause", json!({}), StepKind::Pause),
        ("setCanaryScale", json!({"replicas": 1}), StepKind::SetCanaryScale),
        ("setWeight", json!(10), StepKind::SetWeight),
        ("experiment", json!({"templates": []}), StepKind::Experiment),
        ("analysis", json!({"templates": []}), StepKind::Analysis),
        ("setHeaderRoute", json!({"name": "h"}), StepKind::SetHeaderRoute),
        ("setMirrorRoute", json!({"name": "m"}), StepKind::SetMirrorRoute),
        ("plugin", json!({"name": "a/b"}), StepKind::Plugin),
    ];
    for first in 0..all.len() {
        let fields: serde_json::Map<String, Value> =
            all[first..].iter().map(|(key, value, _)| ((*key).to_owned(), value.clone())).collect();
        let step: CanaryStep = serde_json::from_value(Value::Object(fields)).unwrap();
        assert_eq!(steps::kind(&step), all[first].2, "from {} on", all[first].0);
    }
    assert_eq!(steps::kind(&CanaryStep::default()), StepKind::Nothing);
}

#[test]
fn steps_are_called_what_the_reference_calls_them_r418() {
    for (step, want) in [
        (json!({"setWeight": 20}), "setWeight: 20"),
        (json!({"pause": {}}), "pause"),
        (json!({"pause": {"duration": "1h"}}), "pause: 1h"),
        (json!({"pause": {"duration": 30}}), "pause: 30"),
        (json!({"experiment": {"templates": []}}), "experiment"),
        (json!({"analysis": {"templates": []}}), "analysis"),
        (json!({"setCanaryScale": {"weight": 5}}), "setCanaryScale{weight: 5}"),
        (json!({"setCanaryScale": {"matchTrafficWeight": true}}), "setCanaryScale{matchTrafficWeight: true}"),
        (json!({"setCanaryScale": {"replicas": 3}}), "setCanaryScale{replicas: 3}"),
        (json!({"plugin": {"name": "x"}}), "plugin: x"),
        (json!({"setHeaderRoute": {"name": "x"}}), "setHeaderRoute: x"),
        (json!({"setMirrorRoute": {"name": "x"}}), "setMirrorRoute: x"),
        (json!({}), "invalid"),
        (json!({"setCanaryScale": {}}), "invalid"),
    ] {
        let parsed: CanaryStep = serde_json::from_value(step.clone()).unwrap();
        assert_eq!(steps::text(&parsed), want, "{step}");
    }
}

#[test]
fn nothing_completes_while_paused_by_hand_and_everything_after_r401_r500() {
    for step in [
        json!({"setWeight": 50}),
        json!({"pause": {"duration": 1}}),
        json!({"setHeaderRoute": {"name": "h", "match": [{"headerName": "a", "headerValue": {"exact": "b"}}]}}),
    ] {
        let mut spec = routed(2, json!([step, {"pause": {}}]));
        spec["strategy"]["canary"]["trafficRouting"]["managedRoutes"] = json!([{"name": "h"}]);
        let mut world = deployed(spec, &SERVICES, 1);
        world.edit(|rollout| rollout.spec.paused = true);
        world.set_image("web:2");
        world.run_for(60);
        assert_eq!(world.snapshot.rollout.status.current_step_index, Some(0), "{step}");
        world.edit(|rollout| rollout.spec.paused = false);
        world.run_for(60);
        assert_eq!(world.snapshot.rollout.status.current_step_index, Some(1), "{step}");
    }
}

#[test]
fn what_a_step_asks_for_begins_after_the_step_before_it_is_done_r403_r402() {
    let mut world =
        deployed(canary(10, json!({"steps": [{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(size(&world, "web:2"), 1);
    resume(&mut world);
    world.step();
    let position = |wanted: &dyn Fn(&Action) -> bool| world.last.actions().position(wanted);
    let completed = position(
        &|action| matches!(action, Action::Emit(event) if event.message == "Rollout step 2/3 completed (pause)"),
    );
    let scaled = position(&|action| matches!(action, Action::ScaleReplicaSet { .. }));
    assert!(completed.is_some() && completed < scaled, "{:#?}", world.last.steps);
}

#[test]
fn an_abort_puts_the_index_at_the_start_and_a_full_promotion_at_the_end_r404() {
    let spec = || canary(4, json!({"steps": [{"setWeight": 25}, {"setWeight": 50}, {"pause": {}}]}));
    let mut world = deployed(spec(), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(2));
    world.snapshot.rollout.status.abort = true;
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(0));

    let mut world = deployed(spec(), &[], 0);
    world.fates.insert("web:2".to_owned(), Fate::After(30));
    world.set_image("web:2");
    world.run_for(5);
    world.snapshot.rollout.status.promote_full = true;
    world.step();
    let status = &world.snapshot.rollout.status;
    assert_eq!((status.current_step_index, status.pause_conditions.len()), (Some(3), 0));
    world.run_for(120);
    assert_eq!(phase(&world).0, "Healthy");

    // Aborted, and the version is the stable one: the abort is dropped and the index stays at the end.
    world.snapshot.rollout.status.abort = true;
    world.run_for(10);
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(3));
}

#[test]
fn a_reset_forgets_everything_of_the_update_before_r242_r405() {
    let mut world = deployed(canary(2, json!({"steps": [{"setWeight": 50}, {"pause": {}}]})), &[], 0);
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(phase(&world).1, "CanaryPauseStep");
    let unchanged = world.snapshot.rollout.status.current_step_hash.clone();
    // An empty step hash, as an object without status has it, counts as a change; so does another one.
    for hash in ["", "another"] {
        world.snapshot.rollout.status.current_step_hash = hash.to_owned();
        world.step();
        let status = &world.snapshot.rollout.status;
        assert_eq!(status.current_step_hash, unchanged);
        world.run_for(10);
        assert_eq!(phase(&world).1, "CanaryPauseStep");
    }
    // On a complete release it changes nothing that anybody notices.
    resume(&mut world);
    world.run_for(10);
    assert_eq!(phase(&world).0, "Healthy");
    world.forget();
    world.snapshot.rollout.status.current_step_hash = "another".to_owned();
    world.run_for(10);
    assert_eq!((phase(&world).0.as_str(), size(&world, "web:2")), ("Healthy", 2));
    assert_eq!(world.snapshot.rollout.status.current_step_index, Some(2));
    assert!(world.sizes.is_empty());
}

#[test]
fn an_empty_current_hash_is_no_change_of_template_r240() {
    for strategy in [blue_green(1, json!({})), canary(1, json!({}))] {
        let mut world = deployed(strategy, &["active", "preview"], 0);
        world.snapshot.rollout.status.current_pod_hash = String::new();
        world.run_for(10);
        assert_eq!(phase(&world).0, "Healthy");
        assert_eq!(world.snapshot.replica_sets.len(), 1);
        assert!(!world.events.iter().any(|reason| reason == "RolloutUpdated"), "{:?}", world.events);
    }
}

#[test]
fn header_and_mirror_routes_are_set_at_their_step_and_never_for_the_first_version_r415_r416() {
    let steps = json!([
        {"setHeaderRoute": {"name": "h", "match": [{"headerName": "a", "headerValue": {"exact": "b"}}]}},
        {"setMirrorRoute": {"name": "m", "percentage": 10, "match": [{"method": {"exact": "GET"}}]}},
        {"setWeight": 50}, {"pause": {}},
    ]);
    let mut spec = routed(2, steps);
    spec["strategy"]["canary"]["trafficRouting"]["managedRoutes"] = json!([{"name": "h"}, {"name": "m"}]);
    let mut world = deployed(spec, &SERVICES, 1);
    assert!(world.snapshot.routers[0].managed_routes.is_empty());
    world.set_image("web:2");
    world.run_for(10);
    assert_eq!(world.snapshot.routers[0].managed_routes, ["h", "m"]);
    let completed: Vec<&str> =
        world.messages.iter().filter_map(|message| message.strip_prefix("Rollout step ")).collect();
    assert_eq!(
        completed,
        [
            "1/4 completed (setHeaderRoute: h)",
            "2/4 completed (setMirrorRoute: m)",
            "3/4 completed (setWeight: 50)"
        ]
    );
    resume(&mut world);
    world.run_for(60);
    assert_eq!(phase(&world).0, "Healthy");
    assert!(world.snapshot.routers[0].managed_routes.is_empty(), "a complete release has none (R-421)");
}

#[test]
fn pauses_at_the_end_of_a_pass_r521() {
    let (earlier, now) =
        (Time::new(Timestamp::from_second(100).unwrap()), Time::new(Timestamp::from_second(200).unwrap()));
    let stored = |reasons: &[PauseReason], controller_pause: bool| {
        let mut rollout = rollout(json!({}), json!({}));
        rollout.status.controller_pause = controller_pause;
        rollout.status.pause_conditions = reasons
            .iter()
            .map(|reason| PauseCondition { reason: reason.clone(), start_time: earlier })
            .collect();
        rollout
    };
    type Change = fn(&mut PauseChanges);
    let step = PauseReason::CanaryPauseStep;
    let inconclusive = PauseReason::InconclusiveAnalysis;
    let rows: [(&str, Rollout, Change, Vec<(PauseReason, Time)>, bool); 8] = [
        ("nothing", stored(&[], false), |_| (), vec![], false),
        (
            "added",
            stored(&[], false),
            |c| c.add(PauseReason::CanaryPauseStep),
            vec![(step.clone(), now)],
            true,
        ),
        (
            "added twice keeps its time",
            stored(std::slice::from_ref(&step), true),
            |c| c.add(PauseReason::CanaryPauseStep),
            vec![(step.clone(), earlier)],
            true,
        ),
        (
            "a second reason",
            stored(std::slice::from_ref(&step), true),
            |c| c.add(PauseReason::InconclusiveAnalysis),
            vec![(step.clone(), earlier), (inconclusive.clone(), now)],
            true,
        ),
        (
            "removed",
            stored(std::slice::from_ref(&step), true),
            |c| c.remove(PauseReason::CanaryPauseStep),
            vec![],
            false,
        ),
        (
            "kept as it was",
            stored(std::slice::from_ref(&step), false),
            |_| (),
            vec![(step.clone(), earlier)],
            false,
        ),
        ("resumed by hand", stored(&[], true), |_| (), vec![], false),
        ("cleared", stored(&[step.clone(), inconclusive], true), PauseChanges::clear, vec![], false),
    ];
    for (what, rollout, change, want, controller_pause) in rows {
        let mut changes = PauseChanges::default();
        change(&mut changes);
        let mut status = RolloutStatus::default();
        changes.apply(&rollout, &mut status, now);
        let got: Vec<(PauseReason, Time)> = status
            .pause_conditions
            .iter()
            .map(|condition| (condition.reason.clone(), condition.start_time))
            .collect();
        assert_eq!((got, status.controller_pause), (want, controller_pause), "{what}");
    }
    let mut changes = PauseChanges::default();
    changes.add(PauseReason::CanaryPauseStep);
    changes.abort("why".to_owned());
    let mut status = RolloutStatus::default();
    changes.apply(&stored(&[step], true), &mut status, now);
    assert!(status.abort && status.pause_conditions.is_empty() && !status.controller_pause, "aborted");
}

#[test]
fn progress_is_what_the_rows_call_progress_and_nothing_else_r550() {
    let progress_at = |world: &World| {
        let conditions = &world.snapshot.rollout.status.conditions;
        conditions.iter().find(|condition| condition.type_ == "Progressing").unwrap().last_update_time
    };
    let stuck = || {
        let mut world = deployed(canary(4, json!({"steps": [{"setWeight": 25}, {"setWeight": 50}]})), &[], 0);
        world.fates.insert("web:2".to_owned(), Fate::Never);
        world.set_image("web:2");
        world.run_for(5);
        world.snapshot.now += SignedDuration::from_secs(60);
        let at = progress_at(&world);
        (world, at)
    };
    // A look alone is no progress, and neither is a pod that is lost.
    let (mut world, at) = stuck();
    world.step();
    assert_eq!(progress_at(&world), at);
    world.crash("web:1");
    world.settle();
    world.step();
    assert_eq!(progress_at(&world), at, "fewer ready pods");
    // More ready pods, and a step that moves on, are.
    let (mut world, at) = stuck();
    world.heal();
    world.settle();
    world.step();
    assert!(progress_at(&world) > at, "more ready pods");
    let (mut world, at) = stuck();
    world.snapshot.rollout.status.current_step_index = Some(1);
    world.snapshot.rollout.status.current_step_hash = String::new();
    world.step();
    assert!(progress_at(&world) > at, "another step index and step hash");
    let mut world = deployed(blue_green(1, json!({})), &["active", "preview"], 0);
    world.set_image("web:2");
    world.run_for(5);
    let at = progress_at(&world);
    world.snapshot.now += SignedDuration::from_secs(60);
    world.set_image("web:3");
    world.run_for(5);
    assert!(progress_at(&world) > at, "Services lead elsewhere");
}

#[test]
fn an_update_without_progress_is_looked_at_when_its_deadline_passes_r553() {
    let mut world = deployed(canary(2, json!({})), &[], 0);
    world.edit(|rollout| rollout.spec.progress_deadline_seconds = Some(300));
    world.fates.insert("web:2".to_owned(), Fate::Never);
    world.set_image("web:2");
    world.run_for(10);
    let seen = &world.snapshot.rollout.status.conditions;
    let progressing = seen.iter().find(|condition| condition.type_ == "Progressing").unwrap();
    assert_eq!(world.last.wake_at, Some(progressing.last_update_time.plus_seconds(301).timestamp()));
    assert_ne!(world.last.blocker.clone().unwrap().owner, BlockerOwner::Person);
    world.run_for(400);
    assert_eq!(phase(&world).0, "Degraded");
    assert_eq!(world.last.wake_at, None, "told once, nothing more is to be seen by the clock");
    // Paused, aborted and complete ones are not looked at.
    for halt in [
        |world: &mut World| world.edit(|rollout| rollout.spec.paused = true),
        |world: &mut World| world.snapshot.rollout.status.abort = true,
        |world: &mut World| world.heal(),
    ] {
        let mut world = deployed(canary(2, json!({})), &[], 0);
        world.fates.insert("web:2".to_owned(), Fate::Never);
        world.set_image("web:2");
        world.run_for(10);
        halt(&mut world);
        world.run_for(60);
        assert_eq!(world.last.wake_at, None, "{:?}", phase(&world));
    }
}
