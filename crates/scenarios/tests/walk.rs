//! A fixed sample of the walk; `cargo xtask soak` does all of it.

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
