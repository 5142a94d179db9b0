//! The stories themselves, by what they are about.

pub mod analysis;
pub mod bluegreen;
pub mod canary;
pub mod edits;
pub mod faults;
pub mod metadata;
pub mod runs;
pub mod sharing;
pub mod traffic;
pub mod workload;

use serde_json::{Value, json};

use crate::story::{Story, Target, object};

/// Events of the first deployment of a canary.
pub const FIRST_CANARY: [&str; 6] = [
    "RolloutAddedToInformer",
    "RolloutUpdated",
    "NewReplicaSetCreated",
    "RolloutNotCompleted",
    "ScalingReplicaSet",
    "RolloutCompleted",
];

/// The Rollout every story is about.
#[must_use]
pub fn web() -> Target {
    object("Rollout", "web")
}

/// A patch that gives the Rollout another image.
#[must_use]
pub fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "image": image, "ports": [{"containerPort": 8080}]},
    ]}}}})
}

/// [`FIRST_CANARY`] and then these.
#[must_use]
pub fn after_first(events: &[&'static str]) -> Vec<&'static str> {
    FIRST_CANARY.iter().chain(events).copied().collect()
}

/// Every story.
#[must_use]
pub fn all() -> Vec<Story> {
    vec![
        canary::the_first_deployment_skips_the_steps(),
        canary::a_canary_waits_at_its_pause_and_is_promoted(),
        canary::a_timed_pause_ends_by_itself(),
        canary::abort_retry_and_promote_leave_the_reference_trace(),
        canary::an_abort_restores_the_stable_set_and_stays(),
        canary::a_full_promotion_skips_everything(),
        canary::going_back_to_stable_midway_takes_no_steps(),
        canary::undo_runs_the_strategy_with_the_old_template(),
        canary::set_image_begins_an_update(),
        canary::without_steps_it_is_a_rolling_update(),
        canary::max_unavailable_zero_keeps_every_pod_available(),
        canary::a_new_version_in_the_middle_starts_over(),
        canary::a_canary_that_never_becomes_ready_is_reported(),
        canary::a_deadline_can_abort(),
        canary::a_paused_rollout_prepares_but_does_not_scale(),
        canary::scaling_takes_effect_during_a_pause(),
        canary::history_is_kept_to_its_limit(),
        canary::a_restart_replaces_the_pods(),
        bluegreen::the_first_deployment_switches_both_services(),
        bluegreen::an_update_switches_and_keeps_the_old_set_for_a_while(),
        bluegreen::it_waits_for_a_person_when_told_to(),
        bluegreen::a_timed_promotion_comes_by_itself(),
        bluegreen::an_abort_before_the_switch_leaves_users_alone(),
        bluegreen::a_retry_after_an_abort_can_be_promoted(),
        bluegreen::going_back_within_the_delay_switches_at_once(),
        bluegreen::the_preview_is_checked_before_users_see_it(),
        bluegreen::a_failed_preview_check_keeps_users_on_the_old_version(),
        bluegreen::a_failed_check_after_the_switch_takes_users_back(),
        traffic::a_virtual_service_follows_the_weights(),
        traffic::an_http_route_follows_the_weights(),
        traffic::an_http_route_says_that_a_canary_is_under_way(),
        traffic::a_destination_rule_follows_the_hashes(),
        traffic::a_canary_ingress_follows_the_weights(),
        traffic::an_alb_annotation_follows_the_weights(),
        traffic::an_abort_takes_the_traffic_away(),
        traffic::no_weight_without_ready_pods(),
        traffic::drift_is_mended(),
        traffic::a_failed_gate_takes_the_weight_back(),
        analysis::a_gate_that_succeeds_lets_the_canary_pass(),
        analysis::a_gate_that_fails_pulls_the_canary_back(),
        analysis::an_unreachable_metric_is_an_error_not_a_success(),
        analysis::an_inconclusive_gate_waits_for_a_person(),
        analysis::a_background_analysis_watches_the_whole_release(),
        analysis::a_background_failure_pulls_back_from_a_pause(),
        analysis::arguments_reach_the_metric(),
        analysis::an_hour_of_measurements_takes_an_hour(),
        analysis::five_minutes_of_measurements_take_five_minutes(),
        analysis::an_initial_delay_is_waited_for(),
        analysis::a_run_of_its_own_is_judged(),
        runs::a_job_that_succeeds_lets_the_canary_pass(),
        runs::a_job_that_fails_pulls_the_canary_back(),
        runs::an_abort_takes_a_running_job_away(),
        runs::a_secret_reaches_the_metric(),
        runs::a_cluster_wide_template_is_found(),
        runs::an_experiment_step_compares_two_versions(),
        runs::runs_are_kept_to_their_limit(),
        runs::an_experiment_of_its_own_ends_when_told(),
        faults::a_missing_service_is_named_and_its_creation_goes_on(),
        faults::a_missing_template_is_named(),
        faults::a_wrong_step_is_refused_and_mended(),
        faults::a_missing_virtual_service_is_named(),
        faults::an_update_that_becomes_invalid_midway_loses_nothing(),
        faults::verbs_on_what_does_not_exist_say_so(),
        faults::deleting_a_rollout_takes_its_sets_along(),
        metadata::pods_carry_the_metadata_of_their_role(),
        metadata::preview_and_active_pods_carry_theirs(),
        metadata::metadata_that_is_no_longer_wanted_is_taken_away(),
        workload::a_missing_workload_is_named_and_its_creation_goes_on(),
        workload::a_deployment_is_taken_over_once_the_rollout_is_healthy(),
        workload::a_deployment_is_taken_over_pod_by_pod(),
        workload::a_pod_template_and_a_replica_set_are_followed_too(),
        workload::a_workload_that_cannot_be_used_is_refused(),
        edits::a_canary_becomes_blue_green_midway_and_a_canary_again(),
        edits::a_blue_green_becomes_a_canary_midway(),
        edits::steps_shortened_below_the_index_start_over(),
        edits::a_selector_cannot_change_midway(),
        edits::replicas_go_to_zero_midway_and_come_back(),
        sharing::a_service_that_is_named_no_longer_gets_its_selector_back(),
        sharing::a_service_belongs_to_the_first_rollout_that_took_it(),
        sharing::overlapping_selectors_share_nothing(),
        sharing::pods_of_an_experiment_are_not_counted(),
        sharing::an_abort_ends_the_experiment(),
    ]
}
