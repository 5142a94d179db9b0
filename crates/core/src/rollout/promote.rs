//! When the new version becomes the stable one, and what follows.

use glidepath_api::{AnalysisPhase, PingPongType, RolloutStatus, names};

use super::pass::Pass;
use super::replica_sets;
use super::replicas::meets_threshold;
use super::spec::SpecView;

impl Pass<'_> {
    /// the new set is older than stable, with fewer sets created between them than the window allows.
    pub(crate) fn is_rollback_within_window(&self) -> bool {
        let (Some(new), Some(stable)) = (self.sets.new, self.sets.stable) else { return false };
        let window = self.ro.rollback_window_revisions();
        if window <= 0 || !new.is_older_than(stable) {
            return false;
        }
        let between = self
            .sets
            .all
            .iter()
            .filter(|set| set.metadata.annotation(names::EXPERIMENT_NAME).is_none_or(str::is_empty))
            .filter(|set| set.is_older_than(stable) && new.is_older_than(set))
            .count();
        between < usize::try_from(window).unwrap_or(0)
    }

    /// going back, so that steps, pauses and analyses are skipped. Always true while fully promoted.
    pub(crate) fn is_fast_rollback(&self) -> bool {
        let (Some(new), Some(stable)) = (self.sets.new, self.sets.stable) else { return false };
        let to_stable = self.ro.status.stable_rs == new.pod_hash();
        if !to_stable && !new.is_older_than(stable) {
            return false;
        }
        to_stable
            || self.is_rollback_within_window()
            || (self.new_within_delay && self.ro.blue_green().is_some())
    }

    fn rollback_reason(&self) -> Option<String> {
        if !self.is_fast_rollback() {
            None
        } else if self.is_rollback_within_window() {
            Some("Rollback within window".to_owned())
        } else {
            Some("Fast rollback".to_owned())
        }
    }

    /// Why the new version becomes stable in this pass, if it does. `index` is the step index as this
    /// pass leaves it.
    pub(crate) fn promotion_reason(&mut self, status: &RolloutStatus, index: Option<i32>) -> Option<String> {
        if self.sets.stable.is_none() {
            return Some("Initial deploy".to_owned());
        }
        if self.ro.blue_green().is_some() {
            return self.blue_green_promotion_reason(status);
        }
        if self.is_aborted() {
            return None;
        }
        let new = self.sets.new?;
        if new.status.available_replicas < self.replicas
            && !meets_threshold(self.ro.progress_threshold(), Some(replica_sets::size(new)), self.replicas)
        {
            return None;
        }
        let count = self.ro.step_count();
        let reason = if self.ro.status.promote_full {
            "Full promotion requested".to_owned()
        } else if let Some(reason) = self.rollback_reason() {
            reason
        } else if count == 0 || index == Some(count) {
            format!("Completed all {count} canary steps")
        } else {
            return None;
        };
        // What is promoted has the traffic it was promoted for, as the routers were read to say (invariant 6).
        if status.stable_rs != status.current_pod_hash && !self.weights_are_carried() {
            self.block_on_routers();
            return None;
        }
        Some(reason)
    }

    fn blue_green_promotion_reason(&self, status: &RolloutStatus) -> Option<String> {
        let active = &status.blue_green.active_selector;
        // Without any active selector there is nothing to protect yet, unless a stable version exists (B-23).
        if active.is_empty() {
            let nothing_to_protect =
                status.stable_rs.is_empty() || status.stable_rs == status.current_pod_hash;
            return nothing_to_protect.then(|| "Initial deploy".to_owned());
        }
        if *active != status.current_pod_hash || self.is_aborted() {
            return None;
        }
        if self.ro.status.promote_full {
            return Some("Full promotion requested".to_owned());
        }
        if let Some(reason) = self.rollback_reason() {
            return Some(reason);
        }
        let waits = self.ro.blue_green().is_some_and(|strategy| {
            strategy.post_promotion_analysis.is_some()
                && self.runs.post.as_ref().is_none_or(|run| run.phase != Some(AnalysisPhase::Successful))
        });
        (!waits).then(|| "Completed blue-green update".to_owned())
    }

    /// the effects of promotion. It happens again in every pass while fully promoted, silently.
    pub(crate) fn promote(&mut self, status: &mut RolloutStatus, reason: &str) {
        self.pause.clear();
        self.pause.remove_abort();
        status.promote_full = false;
        status.blue_green.scale_up_preview_check_point = false;
        if self.ro.canary().is_some() {
            let count = self.ro.step_count();
            status.current_step_index = (count > 0).then_some(count);
        }
        self.hand_over_on_success();
        if status.stable_rs == status.current_pod_hash {
            return;
        }
        if self.ro.canary().is_some_and(|canary| canary.ping_pong.is_some()) {
            let was_ping = self.ro.status.canary.stable_ping_pong == Some(PingPongType::Ping);
            status.canary.stable_ping_pong =
                Some(if was_ping { PingPongType::Pong } else { PingPongType::Ping });
        }
        status.stable_rs.clone_from(&status.current_pod_hash);
        self.event(
            "RolloutCompleted",
            format!(
                "Rollout completed update to revision {} ({}): {reason}",
                self.revision, status.current_pod_hash
            ),
        );
    }
}
