//! What must hold whatever happens to a Rollout.

use glidepath_api::RolloutPhase;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{blue_green, canary};
use crate::plan::{Action, BlockerOwner};
use crate::world::{Fate, World};

/// Something that happens to a Rollout.
#[derive(Clone, Debug)]
enum Happening {
    Image(u8),
    Replicas(i32),
    Abort,
    Retry,
    Promote,
    PromoteFull,
    Pause(bool),
    Wait(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (1..5_u8).prop_map(Happening::Image),
        2 => (0..9_i32).prop_map(Happening::Replicas),
        1 => Just(Happening::Abort),
        1 => Just(Happening::Retry),
        2 => Just(Happening::Promote),
        1 => Just(Happening::PromoteFull),
        1 => any::<bool>().prop_map(Happening::Pause),
        2 => (0..90_i64).prop_map(Happening::Wait),
    ]
}

fn step() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0..101_i32).prop_map(|weight| json!({"setWeight": weight})),
        1 => Just(json!({"pause": {}})),
        2 => (0..20_i32).prop_map(|seconds| json!({"pause": {"duration": seconds}})),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![4 => Just(Fate::AtOnce), 2 => (1..15_i64).prop_map(Fate::After), 1 => Just(Fate::Never)]
}

fn basic() -> impl Strategy<Value = Value> {
    let margins = (0..4_i32, 0..4_i32)
        .prop_filter("both zero is invalid", |(surge, unavailable)| surge + unavailable > 0);
    (margins, prop::collection::vec(step(), 0..5), 0..9_i32).prop_map(
        |((surge, unavailable), steps, replicas)| {
            canary(replicas, json!({"maxSurge": surge, "maxUnavailable": unavailable, "steps": steps}))
        },
    )
}

fn routed() -> impl Strategy<Value = Value> {
    (any::<bool>(), prop::collection::vec(step(), 1..5), 0..9_i32, prop::option::of(0..3_i32)).prop_map(
        |(dynamic, steps, replicas, delay)| {
            let mut strategy = json!({
                "canaryService": "canary", "stableService": "stable", "steps": steps,
                "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
                "dynamicStableScale": dynamic,
            });
            if let Some(delay) = delay {
                strategy["abortScaleDownDelaySeconds"] = json!(delay * 10);
            }
            canary(replicas, strategy)
        },
    )
}

fn two_sets() -> impl Strategy<Value = Value> {
    (0..6_i32, prop::option::of(0..20_i32), prop::option::of(any::<bool>()), prop::option::of(0..3_i32)).prop_map(
        |(replicas, seconds, auto, preview)| {
            blue_green(
                replicas,
                json!({"autoPromotionSeconds": seconds, "autoPromotionEnabled": auto, "previewReplicaCount": preview}),
            )
        },
    )
}

fn happen(world: &mut World, happening: &Happening) {
    match happening {
        Happening::Image(number) => world.set_image(&format!("web:{number}")),
        Happening::Replicas(replicas) => world.edit(|rollout| rollout.spec.replicas = Some(*replicas)),
        Happening::Abort => world.snapshot.rollout.status.abort = true,
        Happening::Retry => world.snapshot.rollout.status.abort = false,
        Happening::Promote => super::resume(world),
        Happening::PromoteFull => {
            let status = &mut world.snapshot.rollout.status;
            status.promote_full = status.stable_rs != status.current_pod_hash;
        }
        Happening::Pause(paused) => world.edit(|rollout| rollout.spec.paused = *paused),
        Happening::Wait(seconds) => watch(world, *seconds),
    }
}

/// Pods that are there to stay: a set that is to shrink counts as what will be left.
fn usable(world: &World) -> i32 {
    world.snapshot.replica_sets.iter().map(|set| set.replicas().min(set.status.available_replicas)).sum()
}

fn asked(world: &World) -> i32 {
    world.snapshot.replica_sets.iter().map(glidepath_api::ReplicaSet::replicas).sum()
}

/// Lets the world go on for a while, looking at every plan.
fn watch(world: &mut World, seconds: i64) {
    let end = world.snapshot.now + jiff::SignedDuration::from_secs(seconds);
    for _ in 0..5_000 {
        let (usable_before, asked_before) = (usable(world), asked(world));
        let acted = world.step();
        check(world, usable_before, asked_before);
        if world.settle() || acted {
            continue;
        }
        let Some(next) = world.next_change().filter(|at| *at <= end) else {
            world.snapshot.now = world.snapshot.now.max(end);
            return;
        };
        world.snapshot.now = next.max(world.snapshot.now + jiff::SignedDuration::from_millis(1));
        world.settle();
    }
    panic!("never at rest: {:?}", world.last);
}

fn check(world: &World, usable_before: i32, asked_before: i32) {
    let rollout = &world.snapshot.rollout;
    let replicas = rollout.replicas();
    let is_basic = rollout.canary().is_some() && rollout.traffic_routing().is_none();
    if is_basic {
        let floor = replicas - rollout.max_unavailable();
        assert!(
            usable(world) >= floor.min(usable_before),
            "below the floor {floor}: {} of {usable_before} left after {:?}",
            usable(world),
            world.last.steps
        );
        let cap = replicas + rollout.max_surge();
        assert!(
            asked(world) <= cap.max(asked_before),
            "above the cap {cap}: {} after {:?}",
            asked(world),
            world.last.steps
        );
    }
    for action in world.last.actions() {
        if let Action::SetTraffic { wanted, .. } = action {
            assert_eq!(wanted.canary_weight + wanted.stable_weight, wanted.max_weight);
            assert!(wanted.canary_weight >= 0 && wanted.stable_weight >= 0);
        }
    }
    if rollout.status.phase != Some(RolloutPhase::Healthy) {
        let blocker = world.last.blocker.as_ref().expect("every wait has a blocker");
        assert!(blocker.owner != BlockerOwner::Clock || blocker.deadline.is_some(), "{blocker:?}");
    }
}

fn story(spec: Value, services: &[&str], routers: usize, fates: &[Fate], happenings: &[Happening]) {
    let mut world = World::new(spec, services, routers);
    for (number, fate) in fates.iter().enumerate() {
        world.fates.insert(format!("web:{}", number + 2), *fate);
    }
    watch(&mut world, 5);
    for happening in happenings {
        happen(&mut world, happening);
        world.step();
        world.settle();
    }
    watch(&mut world, 2_000);
    assert!(!world.step(), "a second look changes nothing: {:?}", world.last);
    // In the end a good version gets through whatever was before.
    world.heal();
    world.snapshot.rollout.status.abort = false;
    world.edit(|rollout| {
        rollout.spec.paused = false;
        rollout.spec.replicas = Some(3);
    });
    world.set_image("web:1");
    for _ in 0..12 {
        super::resume(&mut world);
        watch(&mut world, 700);
    }
    assert_eq!(world.snapshot.rollout.status.phase, Some(RolloutPhase::Healthy), "{:?}", world.last);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_basic_canary_keeps_floor_and_cap_and_comes_to_rest(
        spec in basic(),
        fates in prop::collection::vec(fate(), 3),
        happenings in prop::collection::vec(happening(), 0..12),
    ) {
        story(spec, &[], 0, &fates, &happenings);
    }

    #[test]
    fn a_routed_canary_keeps_its_invariants_and_comes_to_rest(
        spec in routed(),
        fates in prop::collection::vec(fate(), 3),
        happenings in prop::collection::vec(happening(), 0..12),
    ) {
        story(spec, &["canary", "stable"], 1, &fates, &happenings);
    }

    #[test]
    fn blue_green_keeps_its_invariants_and_comes_to_rest(
        spec in two_sets(),
        fates in prop::collection::vec(fate(), 3),
        happenings in prop::collection::vec(happening(), 0..12),
    ) {
        story(spec, &["active", "preview"], 0, &fates, &happenings);
    }
}
