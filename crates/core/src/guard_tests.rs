use std::collections::BTreeMap;

use glidepath_api::AnalysisPhase;
use serde_json::{Value, json};

use super::*;
use crate::plan::{Event, EventType};
use crate::traffic::RouterKind;
use crate::world::World;

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}})
}

fn spec(strategy: Value) -> Value {
    json!({
        "replicas": 4,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template("web:1"),
        "strategy": strategy,
    })
}

/// A routed canary that pauses at weight 50, version 2 on its way.
fn routed() -> World {
    let strategy = json!({"canary": {
        "canaryService": "canary", "stableService": "stable",
        "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        "steps": [{"setWeight": 50}, {"pause": {}}, {"analysis": {"templates": []}}],
    }});
    let mut world = World::new(spec(strategy), &["canary", "stable"], 1);
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(5);
    world
}

fn blue_green() -> World {
    let strategy = json!({"blueGreen": {"activeService": "active", "autoPromotionEnabled": false}});
    let mut world = World::new(spec(strategy), &["active"], 0);
    world.run_for(5);
    world.set_image("web:2");
    world.run_for(5);
    world
}

fn name_of(world: &World, image: &str) -> String {
    world.set_of(image).unwrap().metadata.name.clone()
}

fn hash_of(world: &World, image: &str) -> String {
    world.set_of(image).unwrap().pod_hash().to_owned()
}

fn traffic(world: &World, canary_weight: i32, stable_weight: i32) -> Action {
    Action::SetTraffic {
        router: RouterKind::Istio,
        wanted: WantedTraffic {
            max_weight: 100,
            canary_weight,
            stable_weight,
            additional: Vec::new(),
            canary_service: "canary".to_owned(),
            stable_service: "stable".to_owned(),
            canary_hash: hash_of(world, "web:2"),
            stable_hash: hash_of(world, "web:1"),
            routes: Vec::new(),
            managed_route_names: Vec::new(),
            routes_off: false,
        },
    }
}

fn scale(name: &str, from: i32, to: i32) -> Action {
    Action::ScaleReplicaSet { name: name.to_owned(), from, to, annotations: BTreeMap::new() }
}

fn status(patch: Value) -> Action {
    Action::PatchStatus { patch: json!({"status": patch}) }
}

fn tell(reason: &str) -> Action {
    Action::Emit(Event { event_type: EventType::Normal, reason: reason.to_owned(), message: String::new() })
}

fn plan(actions: Vec<Action>) -> Plan {
    let mut plan = Plan {
        blocker: Some(Blocker {
            name: "x".to_owned(),
            waiting_for: "something".to_owned(),
            owner: BlockerOwner::Person,
            deadline: None,
        }),
        ..Plan::default()
    };
    for action in actions {
        plan.push("test", action);
    }
    plan
}

/// Guards the actions and expects exactly this veto and these actions left.
#[track_caller]
fn vetoes(world: &World, actions: Vec<Action>, invariant: Invariant, left: usize) {
    let guarded = guard(&world.snapshot, plan(actions));
    let named: Vec<Invariant> = guarded.vetoes.iter().map(|veto| veto.invariant).collect();
    assert_eq!(named, [invariant], "{:?}", guarded.vetoes);
    assert_eq!(guarded.steps.len(), left, "{:?}", guarded.steps);
    let blocker = guarded.blocker.unwrap();
    assert_eq!(blocker.name, "guard-veto");
    assert!(blocker.waiting_for.contains(invariant.name()), "{}", blocker.waiting_for);
    assert!(guarded.wake_at.is_some());
}

#[track_caller]
fn passes(world: &World, actions: Vec<Action>) {
    let wanted = plan(actions);
    let guarded = guard(&world.snapshot, wanted.clone());
    assert!(guarded.vetoes.is_empty(), "{:?}", guarded.vetoes);
    assert_eq!(guarded.steps, wanted.steps);
}

#[test]
fn invariant_1_weight_needs_ready_endpoints() {
    let mut world = routed();
    passes(&world, vec![traffic(&world, 60, 40)]);
    for set in &mut world.snapshot.replica_sets {
        if set.revision() == Some(2) {
            set.status.available_replicas = 0;
        }
    }
    let claim = status(json!({"canary": {"weights": {"canary": {"weight": 60}}}}));
    vetoes(
        &world,
        vec![traffic(&world, 60, 40), tell("TrafficWeightUpdated"), claim],
        Invariant::WeightNeedsReadyEndpoints,
        0,
    );
    passes(&world, vec![traffic(&world, 0, 100)]);
}

#[test]
fn invariant_2_weights_sum_to_maximum() {
    let world = routed();
    vetoes(&world, vec![traffic(&world, 60, 50)], Invariant::WeightsSumToMaximum, 0);
    vetoes(&world, vec![traffic(&world, 110, -10)], Invariant::WeightsSumToMaximum, 0);
}

#[test]
fn invariant_3_service_needs_available_pods() {
    let mut world = blue_green();
    let switch = Action::SwitchService {
        name: "active".to_owned(),
        from: hash_of(&world, "web:1"),
        to: hash_of(&world, "web:2"),
        adopt: false,
    };
    passes(&world, vec![switch.clone()]);
    for set in &mut world.snapshot.replica_sets {
        if set.revision() == Some(2) {
            set.status.available_replicas = 0;
        }
    }
    let claim = status(json!({"stableRS": hash_of(&world, "web:2")}));
    vetoes(&world, vec![switch, tell("SwitchService"), claim], Invariant::ServiceNeedsAvailablePods, 0);
    let nowhere = Action::SwitchService {
        name: "active".to_owned(),
        from: hash_of(&world, "web:1"),
        to: "gone".to_owned(),
        adopt: false,
    };
    vetoes(&world, vec![nowhere], Invariant::ServiceNeedsAvailablePods, 0);
}

#[test]
fn invariant_4_scale_covers_observed_weight() {
    let world = routed();
    let (old, new) = (name_of(&world, "web:1"), name_of(&world, "web:2"));
    // The routers carry 50/50 of 4 pods.
    vetoes(&world, vec![scale(&old, 4, 1)], Invariant::ScaleCoversObservedWeight, 0);
    vetoes(&world, vec![scale(&new, 2, 0)], Invariant::ScaleCoversObservedWeight, 0);
    passes(&world, vec![scale(&old, 4, 2)]);
    // What only adds pods goes on beside a veto.
    vetoes(&world, vec![scale(&new, 2, 1), scale(&old, 4, 5)], Invariant::ScaleCoversObservedWeight, 1);
    let world = blue_green();
    vetoes(&world, vec![scale(&name_of(&world, "web:1"), 4, 0)], Invariant::ScaleCoversObservedWeight, 0);
}

#[test]
fn invariant_5_an_aborted_set_never_grows_and_abort_beats_promote() {
    let mut world = routed();
    world.snapshot.rollout.status.abort = true;
    let (new, hash) = (name_of(&world, "web:2"), hash_of(&world, "web:2"));
    vetoes(&world, vec![scale(&new, 2, 3)], Invariant::AbortedSetNeverGrows, 0);
    vetoes(&world, vec![status(json!({"stableRS": hash}))], Invariant::AbortedSetNeverGrows, 0);
    vetoes(&world, vec![status(json!({"abort": null}))], Invariant::AbortedSetNeverGrows, 0);
    passes(&world, vec![scale(&name_of(&world, "web:1"), 4, 5)]);
    passes(&world, vec![status(json!({"abort": null, "currentPodHash": "another"}))]);
}

#[test]
fn invariant_6_a_step_needs_evidence() {
    let mut world = routed();
    let done = |index: i32| vec![tell("RolloutStepCompleted"), status(json!({"currentStepIndex": index}))];
    world.snapshot.rollout.status.current_step_index = Some(0);
    passes(&world, done(1));
    world.snapshot.routers[0].weights.as_mut().unwrap().canary = 10;
    vetoes(&world, done(1), Invariant::StepNeedsEvidence, 0);
    world.snapshot.rollout.status.current_step_index = Some(2);
    vetoes(&world, done(3), Invariant::StepNeedsEvidence, 0);
    let run = json!({"metadata": {"name": "r"}, "spec": {}, "status": {"phase": "Successful"}});
    world.snapshot.analysis_runs.push(serde_json::from_value(run).unwrap());
    let current = json!({"name": "r", "status": "Running"});
    world.snapshot.rollout.status.canary.current_step_analysis_run_status =
        serde_json::from_value(current).unwrap();
    passes(&world, done(3));
    world.snapshot.analysis_runs[0].status.phase = Some(AnalysisPhase::Running);
    vetoes(&world, done(3), Invariant::StepNeedsEvidence, 0);
}

#[test]
fn invariant_7_a_wait_has_a_blocker() {
    let world = routed();
    let mut nameless = plan(Vec::new());
    nameless.blocker = None;
    let guarded = guard(&world.snapshot, nameless);
    assert_eq!(guarded.vetoes[0].invariant, Invariant::WaitHasBlocker);
    let mut timeless = plan(Vec::new());
    timeless.blocker.as_mut().unwrap().owner = BlockerOwner::Clock;
    let guarded = guard(&world.snapshot, timeless);
    assert_eq!(guarded.vetoes[0].invariant, Invariant::WaitHasBlocker);
    passes(&world, Vec::new());
}

#[test]
fn runs_and_experiments_name_their_waits_too_invariant_7() {
    let run = |phase: &str| -> AnalysisSnapshot {
        let snapshot = json!({
            "now": "2026-01-01T00:00:00Z",
            "settings": {},
            "run": {"metadata": {"name": "r"}, "spec": {}, "status": {"phase": phase}},
            "secrets": {}, "answers": [], "inFlight": [],
        });
        serde_json::from_value(snapshot).unwrap()
    };
    assert_eq!(guard_run(&run("Running"), Plan::default()).vetoes.len(), 1);
    assert!(guard_run(&run("Failed"), Plan::default()).vetoes.is_empty());
    let mut ending = Plan::default();
    ending.push("end", status(json!({"phase": "Successful"})));
    assert!(guard_run(&run("Running"), ending).vetoes.is_empty());
}
