//! Every story on the embedded plane, in virtual time.

use glidepath_scenarios::embedded::tell_in_virtual_time;
use glidepath_scenarios::stories;

mod canary {
    use super::*;

    #[test]
    fn the_first_deployment_skips_the_steps() {
        tell_in_virtual_time(&stories::canary::the_first_deployment_skips_the_steps());
    }

    #[test]
    fn a_canary_waits_at_its_pause_and_is_promoted() {
        tell_in_virtual_time(&stories::canary::a_canary_waits_at_its_pause_and_is_promoted());
    }

    #[test]
    fn a_timed_pause_ends_by_itself() {
        tell_in_virtual_time(&stories::canary::a_timed_pause_ends_by_itself());
    }

    #[test]
    fn abort_retry_and_promote_leave_the_reference_trace() {
        tell_in_virtual_time(&stories::canary::abort_retry_and_promote_leave_the_reference_trace());
    }

    #[test]
    fn an_abort_restores_the_stable_set_and_stays() {
        tell_in_virtual_time(&stories::canary::an_abort_restores_the_stable_set_and_stays());
    }

    #[test]
    fn a_full_promotion_skips_everything() {
        tell_in_virtual_time(&stories::canary::a_full_promotion_skips_everything());
    }

    #[test]
    fn going_back_to_stable_midway_takes_no_steps() {
        tell_in_virtual_time(&stories::canary::going_back_to_stable_midway_takes_no_steps());
    }

    #[test]
    fn undo_runs_the_strategy_with_the_old_template() {
        tell_in_virtual_time(&stories::canary::undo_runs_the_strategy_with_the_old_template());
    }

    #[test]
    fn set_image_begins_an_update() {
        tell_in_virtual_time(&stories::canary::set_image_begins_an_update());
    }

    #[test]
    fn without_steps_it_is_a_rolling_update() {
        tell_in_virtual_time(&stories::canary::without_steps_it_is_a_rolling_update());
    }

    #[test]
    fn max_unavailable_zero_keeps_every_pod_available() {
        tell_in_virtual_time(&stories::canary::max_unavailable_zero_keeps_every_pod_available());
    }

    #[test]
    fn a_new_version_in_the_middle_starts_over() {
        tell_in_virtual_time(&stories::canary::a_new_version_in_the_middle_starts_over());
    }

    #[test]
    fn a_canary_that_never_becomes_ready_is_reported() {
        tell_in_virtual_time(&stories::canary::a_canary_that_never_becomes_ready_is_reported());
    }

    #[test]
    fn a_deadline_can_abort() {
        tell_in_virtual_time(&stories::canary::a_deadline_can_abort());
    }

    #[test]
    fn a_paused_rollout_prepares_but_does_not_scale() {
        tell_in_virtual_time(&stories::canary::a_paused_rollout_prepares_but_does_not_scale());
    }

    #[test]
    fn scaling_takes_effect_during_a_pause() {
        tell_in_virtual_time(&stories::canary::scaling_takes_effect_during_a_pause());
    }

    #[test]
    fn history_is_kept_to_its_limit() {
        tell_in_virtual_time(&stories::canary::history_is_kept_to_its_limit());
    }

    #[test]
    fn a_restart_replaces_the_pods() {
        tell_in_virtual_time(&stories::canary::a_restart_replaces_the_pods());
    }
}

mod bluegreen {
    use super::*;

    #[test]
    fn the_first_deployment_switches_both_services() {
        tell_in_virtual_time(&stories::bluegreen::the_first_deployment_switches_both_services());
    }

    #[test]
    fn an_update_switches_and_keeps_the_old_set_for_a_while() {
        tell_in_virtual_time(&stories::bluegreen::an_update_switches_and_keeps_the_old_set_for_a_while());
    }

    #[test]
    fn it_waits_for_a_person_when_told_to() {
        tell_in_virtual_time(&stories::bluegreen::it_waits_for_a_person_when_told_to());
    }

    #[test]
    fn a_timed_promotion_comes_by_itself() {
        tell_in_virtual_time(&stories::bluegreen::a_timed_promotion_comes_by_itself());
    }

    #[test]
    fn an_abort_before_the_switch_leaves_users_alone() {
        tell_in_virtual_time(&stories::bluegreen::an_abort_before_the_switch_leaves_users_alone());
    }

    #[test]
    fn a_retry_after_an_abort_can_be_promoted() {
        tell_in_virtual_time(&stories::bluegreen::a_retry_after_an_abort_can_be_promoted());
    }

    #[test]
    fn going_back_within_the_delay_switches_at_once() {
        tell_in_virtual_time(&stories::bluegreen::going_back_within_the_delay_switches_at_once());
    }

    #[test]
    fn the_preview_is_checked_before_users_see_it() {
        tell_in_virtual_time(&stories::bluegreen::the_preview_is_checked_before_users_see_it());
    }

    #[test]
    fn a_failed_preview_check_keeps_users_on_the_old_version() {
        tell_in_virtual_time(&stories::bluegreen::a_failed_preview_check_keeps_users_on_the_old_version());
    }

    #[test]
    fn a_failed_check_after_the_switch_takes_users_back() {
        tell_in_virtual_time(&stories::bluegreen::a_failed_check_after_the_switch_takes_users_back());
    }
}

mod traffic {
    use super::*;

    #[test]
    fn a_virtual_service_follows_the_weights() {
        tell_in_virtual_time(&stories::traffic::a_virtual_service_follows_the_weights());
    }

    #[test]
    fn an_http_route_follows_the_weights() {
        tell_in_virtual_time(&stories::traffic::an_http_route_follows_the_weights());
    }

    #[test]
    fn an_http_route_says_that_a_canary_is_under_way() {
        tell_in_virtual_time(&stories::traffic::an_http_route_says_that_a_canary_is_under_way());
    }

    #[test]
    fn a_destination_rule_follows_the_hashes() {
        tell_in_virtual_time(&stories::traffic::a_destination_rule_follows_the_hashes());
    }

    #[test]
    fn a_canary_ingress_follows_the_weights() {
        tell_in_virtual_time(&stories::traffic::a_canary_ingress_follows_the_weights());
    }

    #[test]
    fn an_alb_annotation_follows_the_weights() {
        tell_in_virtual_time(&stories::traffic::an_alb_annotation_follows_the_weights());
    }

    #[test]
    fn an_abort_takes_the_traffic_away() {
        tell_in_virtual_time(&stories::traffic::an_abort_takes_the_traffic_away());
    }

    #[test]
    fn no_weight_without_ready_pods() {
        tell_in_virtual_time(&stories::traffic::no_weight_without_ready_pods());
    }

    #[test]
    fn drift_is_mended() {
        tell_in_virtual_time(&stories::traffic::drift_is_mended());
    }

    #[test]
    fn a_failed_gate_takes_the_weight_back() {
        tell_in_virtual_time(&stories::traffic::a_failed_gate_takes_the_weight_back());
    }
}

mod analysis {
    use super::*;

    #[test]
    fn a_gate_that_succeeds_lets_the_canary_pass() {
        tell_in_virtual_time(&stories::analysis::a_gate_that_succeeds_lets_the_canary_pass());
    }

    #[test]
    fn a_gate_that_fails_pulls_the_canary_back() {
        tell_in_virtual_time(&stories::analysis::a_gate_that_fails_pulls_the_canary_back());
    }

    #[test]
    fn an_unreachable_metric_is_an_error_not_a_success() {
        tell_in_virtual_time(&stories::analysis::an_unreachable_metric_is_an_error_not_a_success());
    }

    #[test]
    fn an_inconclusive_gate_waits_for_a_person() {
        tell_in_virtual_time(&stories::analysis::an_inconclusive_gate_waits_for_a_person());
    }

    #[test]
    fn a_background_analysis_watches_the_whole_release() {
        tell_in_virtual_time(&stories::analysis::a_background_analysis_watches_the_whole_release());
    }

    #[test]
    fn a_background_failure_pulls_back_from_a_pause() {
        tell_in_virtual_time(&stories::analysis::a_background_failure_pulls_back_from_a_pause());
    }

    #[test]
    fn arguments_reach_the_metric() {
        tell_in_virtual_time(&stories::analysis::arguments_reach_the_metric());
    }

    #[test]
    fn an_hour_of_measurements_takes_an_hour() {
        tell_in_virtual_time(&stories::analysis::an_hour_of_measurements_takes_an_hour());
    }

    #[test]
    fn five_minutes_of_measurements_take_five_minutes() {
        tell_in_virtual_time(&stories::analysis::five_minutes_of_measurements_take_five_minutes());
    }

    #[test]
    fn an_initial_delay_is_waited_for() {
        tell_in_virtual_time(&stories::analysis::an_initial_delay_is_waited_for());
    }

    #[test]
    fn a_run_of_its_own_is_judged() {
        tell_in_virtual_time(&stories::analysis::a_run_of_its_own_is_judged());
    }
}

mod faults {
    use super::*;

    #[test]
    fn a_missing_service_is_named_and_its_creation_goes_on() {
        tell_in_virtual_time(&stories::faults::a_missing_service_is_named_and_its_creation_goes_on());
    }

    #[test]
    fn a_missing_template_is_named() {
        tell_in_virtual_time(&stories::faults::a_missing_template_is_named());
    }

    #[test]
    fn a_wrong_step_is_refused_and_mended() {
        tell_in_virtual_time(&stories::faults::a_wrong_step_is_refused_and_mended());
    }

    #[test]
    fn a_missing_virtual_service_is_named() {
        tell_in_virtual_time(&stories::faults::a_missing_virtual_service_is_named());
    }

    #[test]
    fn an_update_that_becomes_invalid_midway_loses_nothing() {
        tell_in_virtual_time(&stories::faults::an_update_that_becomes_invalid_midway_loses_nothing());
    }

    #[test]
    fn verbs_on_what_does_not_exist_say_so() {
        tell_in_virtual_time(&stories::faults::verbs_on_what_does_not_exist_say_so());
    }

    #[test]
    fn deleting_a_rollout_takes_its_sets_along() {
        tell_in_virtual_time(&stories::faults::deleting_a_rollout_takes_its_sets_along());
    }
}

mod workload {
    use super::*;

    #[test]
    fn a_missing_workload_is_named_and_its_creation_goes_on() {
        tell_in_virtual_time(&stories::workload::a_missing_workload_is_named_and_its_creation_goes_on());
    }

    #[test]
    fn a_deployment_is_taken_over_once_the_rollout_is_healthy() {
        tell_in_virtual_time(&stories::workload::a_deployment_is_taken_over_once_the_rollout_is_healthy());
    }

    #[test]
    fn a_deployment_is_taken_over_pod_by_pod() {
        tell_in_virtual_time(&stories::workload::a_deployment_is_taken_over_pod_by_pod());
    }

    #[test]
    fn a_pod_template_and_a_replica_set_are_followed_too() {
        tell_in_virtual_time(&stories::workload::a_pod_template_and_a_replica_set_are_followed_too());
    }

    #[test]
    fn a_workload_that_cannot_be_used_is_refused() {
        tell_in_virtual_time(&stories::workload::a_workload_that_cannot_be_used_is_refused());
    }
}

mod metadata {
    use super::*;

    #[test]
    fn pods_carry_the_metadata_of_their_role() {
        tell_in_virtual_time(&stories::metadata::pods_carry_the_metadata_of_their_role());
    }

    #[test]
    fn preview_and_active_pods_carry_theirs() {
        tell_in_virtual_time(&stories::metadata::preview_and_active_pods_carry_theirs());
    }

    #[test]
    fn metadata_that_is_no_longer_wanted_is_taken_away() {
        tell_in_virtual_time(&stories::metadata::metadata_that_is_no_longer_wanted_is_taken_away());
    }
}

mod runs {
    use super::*;

    #[test]
    fn a_job_that_succeeds_lets_the_canary_pass() {
        tell_in_virtual_time(&stories::runs::a_job_that_succeeds_lets_the_canary_pass());
    }

    #[test]
    fn a_job_that_fails_pulls_the_canary_back() {
        tell_in_virtual_time(&stories::runs::a_job_that_fails_pulls_the_canary_back());
    }

    #[test]
    fn an_abort_takes_a_running_job_away() {
        tell_in_virtual_time(&stories::runs::an_abort_takes_a_running_job_away());
    }

    #[test]
    fn a_secret_reaches_the_metric() {
        tell_in_virtual_time(&stories::runs::a_secret_reaches_the_metric());
    }

    #[test]
    fn a_cluster_wide_template_is_found() {
        tell_in_virtual_time(&stories::runs::a_cluster_wide_template_is_found());
    }

    #[test]
    fn an_experiment_step_compares_two_versions() {
        tell_in_virtual_time(&stories::runs::an_experiment_step_compares_two_versions());
    }

    #[test]
    fn runs_are_kept_to_their_limit() {
        tell_in_virtual_time(&stories::runs::runs_are_kept_to_their_limit());
    }

    #[test]
    fn an_experiment_of_its_own_ends_when_told() {
        tell_in_virtual_time(&stories::runs::an_experiment_of_its_own_ends_when_told());
    }
}

mod edits {
    use super::*;

    #[test]
    fn a_canary_becomes_blue_green_midway_and_a_canary_again() {
        tell_in_virtual_time(&stories::edits::a_canary_becomes_blue_green_midway_and_a_canary_again());
    }

    #[test]
    fn a_blue_green_becomes_a_canary_midway() {
        tell_in_virtual_time(&stories::edits::a_blue_green_becomes_a_canary_midway());
    }

    #[test]
    fn steps_shortened_below_the_index_start_over() {
        tell_in_virtual_time(&stories::edits::steps_shortened_below_the_index_start_over());
    }

    #[test]
    fn a_selector_cannot_change_midway() {
        tell_in_virtual_time(&stories::edits::a_selector_cannot_change_midway());
    }

    #[test]
    fn replicas_go_to_zero_midway_and_come_back() {
        tell_in_virtual_time(&stories::edits::replicas_go_to_zero_midway_and_come_back());
    }
}

mod sharing {
    use super::*;

    #[test]
    fn a_service_that_is_named_no_longer_gets_its_selector_back() {
        tell_in_virtual_time(&stories::sharing::a_service_that_is_named_no_longer_gets_its_selector_back());
    }

    #[test]
    fn a_service_belongs_to_the_first_rollout_that_took_it() {
        tell_in_virtual_time(&stories::sharing::a_service_belongs_to_the_first_rollout_that_took_it());
    }

    #[test]
    fn overlapping_selectors_share_nothing() {
        tell_in_virtual_time(&stories::sharing::overlapping_selectors_share_nothing());
    }

    #[test]
    fn pods_of_an_experiment_are_not_counted() {
        tell_in_virtual_time(&stories::sharing::pods_of_an_experiment_are_not_counted());
    }

    #[test]
    fn an_abort_ends_the_experiment() {
        tell_in_virtual_time(&stories::sharing::an_abort_ends_the_experiment());
    }
}
