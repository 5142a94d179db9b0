//! A fixed sample of the walk; `cargo xtask soak` does all of it.

use glidepath_sandbox::Fault;
use glidepath_scenarios::stories;
use glidepath_scenarios::story::Story;
use glidepath_scenarios::walk::{Mishap, mishaps, tell_with, walk};

/// Walks a story with every `every`-th mishap, the first ones included.
fn sample(story: &Story, every: usize) {
    let calm = tell_with(story, Mishap::None).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(calm.broken, Vec::<String>::new(), "on a calm day");
    for mishap in mishaps(&calm).into_iter().step_by(every) {
        walk(story, &calm, mishap).unwrap_or_else(|error| panic!("{error:#}"));
    }
}

#[test]
fn a_canary_is_walked() {
    sample(&stories::canary::a_canary_waits_at_its_pause_and_is_promoted(), 23);
}

#[test]
fn an_aborted_canary_is_walked() {
    sample(&stories::canary::abort_retry_and_promote_leave_the_reference_trace(), 29);
}

#[test]
fn a_routed_canary_is_walked() {
    sample(&stories::traffic::a_virtual_service_follows_the_weights(), 29);
}

#[test]
fn a_blue_green_switch_is_walked() {
    sample(&stories::bluegreen::an_update_switches_and_keeps_the_old_set_for_a_while(), 23);
}

#[test]
fn a_gate_is_walked() {
    sample(&stories::analysis::a_gate_that_fails_pulls_the_canary_back(), 23);
}

/// Walks a story with those mishaps that `chosen` takes, given how many writes there are on a calm day.
fn chosen(story: &Story, chosen: impl Fn(Mishap, u64) -> bool) {
    let calm = tell_with(story, Mishap::None).unwrap_or_else(|error| panic!("{error:#}"));
    let mut told = 0;
    for mishap in mishaps(&calm).into_iter().filter(|mishap| chosen(*mishap, calm.writes)) {
        walk(story, &calm, mishap).unwrap_or_else(|error| panic!("{error:#}"));
        told += 1;
    }
    assert!(told > 0, "no mishap was chosen");
}

/// The Rollout was deleted while nobody looked, and no other made the controller follow such objects.
#[test]
fn what_a_rollout_leaves_on_routers_is_found_after_a_restart_t246_t340() {
    for story in [
        stories::traffic::a_destination_rule_follows_the_hashes(),
        stories::traffic::an_alb_annotation_follows_the_weights(),
    ] {
        chosen(&story, |mishap, writes| matches!(mishap, Mishap::KilledAfter(n) if n + 3 > writes));
    }
}

/// A conflict on the Job's deletion counted as a sign that it was gone.
#[test]
fn a_job_whose_deletion_met_a_conflict_goes_a223() {
    let story = stories::runs::an_abort_takes_a_running_job_away();
    chosen(
        &story,
        |mishap, writes| matches!(mishap, Mishap::Answered(n, Fault::Conflict) if n + 15 > writes),
    );
}

/// The note of the role went with the template, before the pods were reached.
#[test]
fn a_pod_that_was_not_reached_is_still_rid_of_a_role_b14() {
    let story = stories::metadata::metadata_that_is_no_longer_wanted_is_taken_away();
    chosen(&story, |mishap, _| matches!(mishap, Mishap::Answered(_, Fault::ServerError | Fault::Conflict)));
}

/// A direct read was forgotten with the next write, and what the caches still held of before decided how many pods
/// could go.
#[test]
fn a_controller_whose_caches_are_far_behind_keeps_what_it_read_itself() {
    for story in [
        stories::canary::an_abort_restores_the_stable_set_and_stays(),
        stories::canary::going_back_to_stable_midway_takes_no_steps(),
        stories::bluegreen::going_back_within_the_delay_switches_at_once(),
    ] {
        chosen(&story, |mishap, _| matches!(mishap, Mishap::Behind(_)));
    }
}

/// What had been read directly outlived the object: it was taken for one that the watch had not reached yet.
#[test]
fn an_object_deleted_while_its_last_write_was_on_the_way_is_made_again_t411() {
    let story = stories::traffic::a_canary_ingress_follows_the_weights();
    chosen(&story, |mishap, _| matches!(mishap, Mishap::EventLate(25..=40)));
}
