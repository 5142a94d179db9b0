//! The blue-green pass: preview, pause, switch, promotion.

use glidepath_api::{AnalysisPhase, PauseReason, RolloutStatus, Service};

use super::pass::Pass;
use super::pause;
use super::replica_sets::{self, actual, available, is_saturated};
use crate::plan::BlockerOwner;

impl<'a> Pass<'a> {
    /// One pass of a blue-green Rollout.
    pub(crate) fn pass_blue_green(&mut self) {
        let Some(strategy) = self.ro.blue_green() else { return };
        let (Some(new), Some(active)) = (self.sets.new, self.service(&strategy.active_service)) else {
            // Validation has named a missing Service already; there is nothing to be done without one.
            return;
        };
        let halted = pause::halt_reason(self.ro);
        if let (Some(preview), None) = (self.service(&strategy.preview_service), halted) {
            self.switch_service(preview, new.pod_hash(), "point-preview-service");
        }
        if self.identity.template_changed(self.ro, self.sets.new) {
            self.finish_blue_green(true);
            return;
        }
        self.restart_pods();
        if halted.is_some() || !self.goes_back_now(active) {
            self.remove_scale_down_deadlines();
        }
        self.size_blue_green();
        self.trim_history();
        if let Some(reason) = halted {
            self.block(
                "halted",
                BlockerOwner::Person,
                None,
                format!("a person to resume the update, because {reason}"),
            );
            // The clock of a timed promotion goes on; what it releases is recorded on time.
            self.wake_at_pause_end();
        } else {
            self.reconcile_blue_green_pause(active);
        }
        // A paused update does not go on, but an aborted one goes back.
        if halted.is_none() || self.is_aborted() {
            self.reconcile_active_service(active);
        }
        self.remove_scale_down_deadlines();
        self.reconcile_analysis_runs();
        self.sync_ephemeral_metadata();
        self.finish_blue_green(false);
    }

    /// Whether this pass switches back to a set within its scale-down delay. The deadline is what tells that
    /// no pause is needed, so it goes after the switch: a pass that stops half-way must find it again.
    fn goes_back_now(&self, active: &Service) -> bool {
        let goes_back = self.new_within_delay && self.is_fast_rollback() && !self.is_aborted();
        goes_back
            && active.selected_hash() != self.new_hash()
            && self.is_preview_ready()
            && self.sets.new.is_some_and(|new| is_saturated(new, self.replicas))
    }

    /// Sizes of all sets.
    pub(crate) fn size_blue_green(&mut self) {
        // The stable set is the new one once promoted; it is scaled once then (B-28).
        if let Some(stable) = self.sets.distinct_stable() {
            self.scale(stable, self.replicas, "scale-stable");
        }
        let size = self.preview_size();
        self.scale_new(size, "scale-preview");
        self.size_old_sets_of_blue_green();
    }

    /// the size of the new set.
    fn preview_size(&self) -> i32 {
        let Some(count) = self.ro.blue_green().and_then(|strategy| strategy.preview_replica_count) else {
            return self.replicas;
        };
        let status = &self.ro.status;
        let active = self.sets.by_hash(&status.blue_green.active_selector);
        let is_past_promotion = active.is_none_or(|active| active.pod_hash() == self.new_hash());
        let is_new_update = self.new_hash() != status.current_pod_hash;
        let is_released = !self.ro.spec.paused
            && status.pause_conditions.is_empty()
            && status.blue_green.scale_up_preview_check_point;
        // Going back to the stable version: it is held at full size in every pass.
        let is_stable = self.sets.distinct_stable().is_none() && !status.stable_rs.is_empty();
        if is_past_promotion || is_stable || self.promotes_fully() || (!is_new_update && is_released) {
            self.replicas
        } else {
            count
        }
    }

    /// the new set has its size and all its pods.
    fn is_preview_ready(&self) -> bool {
        let size = self.preview_size();
        self.sets.new.is_some_and(|new| new.replicas() == size && new.status.available_replicas == size)
    }

    /// no pause, no analysis.
    fn is_fast_tracked(&self, active: &Service) -> bool {
        self.is_fast_rollback()
            || self.promotes_fully()
            || active.selected_hash().is_empty()
            || active.selected_hash() == self.new_hash()
    }

    fn wants_pause(&self) -> bool {
        self.ro.blue_green().is_some_and(|strategy| {
            strategy.auto_promotion_enabled == Some(false) || strategy.auto_promotion_seconds > 0
        })
    }

    /// R-444, first hit.
    fn reconcile_blue_green_pause(&mut self, active: &Service) {
        if self.ro.status.abort || !self.is_preview_ready() {
            return;
        }
        let passed = self.ro.status.blue_green.scale_up_preview_check_point;
        if self.is_fast_tracked(active) || passed || !self.wants_pause() {
            self.drop_blue_green_pause();
            return;
        }
        if !self.is_pre_promotion_done() {
            return;
        }
        match pause::find(self.ro, &PauseReason::BlueGreenPause) {
            Some(_) => {
                if self.is_pause_complete() {
                    self.drop_blue_green_pause();
                } else {
                    self.wake_at_pause_end();
                }
            }
            None if !self.ro.status.controller_pause => self.pause.add(PauseReason::BlueGreenPause),
            None => {}
        }
    }

    /// Asks to look again when a timed pause ends.
    fn wake_at_pause_end(&mut self) {
        let condition = pause::find(self.ro, &PauseReason::BlueGreenPause);
        if let (Some(condition), Some(seconds)) = (condition, self.auto_promotion_seconds()) {
            let end = condition.start_time.plus_seconds(seconds).timestamp();
            let after = end.saturating_add(jiff::SignedDuration::from_millis(1)).unwrap_or(end);
            if after > self.snap.now || !self.is_pause_complete() {
                self.wake_by(after.max(self.snap.now));
            }
        }
    }

    /// Seconds until promotion by itself, where that is wanted.
    fn auto_promotion_seconds(&self) -> Option<i64> {
        let strategy = self.ro.blue_green()?;
        (strategy.auto_promotion_enabled != Some(false)).then_some(i64::from(strategy.auto_promotion_seconds))
    }

    /// A person who resumed a timed pause has ended it (B-09).
    fn is_pause_complete(&self) -> bool {
        if self.pause.adds_pause() {
            return false;
        }
        if self.ro.status.blue_green.scale_up_preview_check_point {
            return true;
        }
        let condition = pause::find(self.ro, &PauseReason::BlueGreenPause);
        let resumed = self.ro.status.controller_pause && condition.is_none();
        match self.auto_promotion_seconds() {
            Some(seconds) if seconds <= 0 => true,
            Some(seconds) => {
                resumed
                    || condition.is_some_and(|condition| {
                        self.snap.now > condition.start_time.plus_seconds(seconds).timestamp()
                    })
            }
            None => resumed,
        }
    }

    fn is_pre_promotion_done(&self) -> bool {
        self.ro.blue_green().is_none_or(|strategy| strategy.pre_promotion_analysis.is_none())
            || self.runs.pre.as_ref().is_some_and(|run| run.phase == Some(AnalysisPhase::Successful))
    }

    /// An abort goes back as soon as the stable set can serve, however the new one fares (B-08); and a stable
    /// version that existed before the Service was managed is not skipped (B-23).
    fn reconcile_active_service(&mut self, active: &'a Service) {
        let stable = self.sets.distinct_stable();
        if self.is_aborted()
            && let Some(stable) = stable
        {
            if active.selected_hash() == stable.pod_hash() {
                return;
            }
            if stable.status.available_replicas > 0 || self.replicas == 0 {
                self.switch_service(active, stable.pod_hash(), "point-active-service-back");
            } else {
                let name = &stable.metadata.name;
                self.block(
                    "service-target-not-available",
                    BlockerOwner::Cluster,
                    None,
                    format!("the stable ReplicaSet {name} to have an available pod before Service {} goes back to it", active.metadata.name),
                );
            }
            return;
        }
        if active.selected_hash().is_empty()
            && let Some(stable) = stable.filter(|stable| stable.status.available_replicas > 0)
        {
            self.switch_service(active, stable.pod_hash(), "adopt-active-service");
            return;
        }
        let Some(new) = self.sets.new else { return };
        if !self.is_preview_ready() || !is_saturated(new, self.replicas) {
            self.block_on_preview();
            return;
        }
        let target =
            if self.is_fast_tracked(active) || (self.is_pause_complete() && self.is_pre_promotion_done()) {
                new.pod_hash()
            } else {
                active.selected_hash()
            };
        if !target.is_empty() {
            self.switch_service(active, target, "switch-active-service");
        }
    }

    fn block_on_preview(&mut self) {
        let Some(new) = self.sets.new else { return };
        let (name, available) = (&new.metadata.name, new.status.available_replicas);
        let wanted = self.preview_size();
        if available < wanted {
            self.block(
                "pods-not-available",
                BlockerOwner::Cluster,
                None,
                format!("ReplicaSet {name} to have {wanted} available pods (it has {available})"),
            );
        }
    }

    /// The status of a blue-green pass.
    fn finish_blue_green(&mut self, reset: bool) {
        let Some(strategy) = self.ro.blue_green() else { return };
        let mut status = self.base_status();
        status.stable_rs.clone_from(&self.ro.status.stable_rs);
        let active = self.service(&strategy.active_service).map(|service| self.selected_hash(service));
        let preview = self.service(&strategy.preview_service).map(|service| self.selected_hash(service));
        status.blue_green.active_selector = active.unwrap_or_default();
        status.blue_green.preview_selector = preview.unwrap_or_default();
        if reset {
            self.reset_status(&mut status);
        } else if self.is_aborted() {
            status.promote_full = false;
        } else if self.ro.status.promote_full || self.is_rollback_within_window() {
            self.pause.clear();
            self.pause.remove_abort();
        }
        match self.promotion_reason(&status, None) {
            // A fresh template is never promoted in the pass that discovers it.
            Some(reason) if !reset || self.sets.stable.is_none() => self.promote(&mut status, &reason),
            _ if !reset => {
                status.blue_green.scale_up_preview_check_point = self.is_preview_released();
            }
            // What the previous template reached is no release for this one (B-10).
            _ => {}
        }
        self.count_active(&mut status);
        self.persist(status);
    }

    /// the preview may grow to full size.
    fn is_preview_released(&self) -> bool {
        let Some(count) = self.ro.blue_green().and_then(|strategy| strategy.preview_replica_count) else {
            return false;
        };
        if self.is_aborted() {
            return false;
        }
        self.ro.status.blue_green.scale_up_preview_check_point
            || (self.is_pre_promotion_done()
                && self.is_pause_complete()
                && self.sets.new.is_some_and(|new| new.status.available_replicas == count))
    }

    /// counts and selector follow the active set.
    fn count_active(&self, status: &mut RolloutStatus) {
        let active = self.sets.by_hash(&status.blue_green.active_selector);
        let counted = active.map_or_else(|| self.sets.all.clone(), |set| vec![set]);
        status.hpa_replicas = actual(&counted);
        status.available_replicas = available(&counted);
        if active.is_some() {
            status.ready_replicas = replica_sets::ready(&counted);
        }
        let selector = active.and_then(|set| set.spec.selector.as_ref()).or(self.ro.spec.selector.as_ref());
        status.selector = selector.map(super::status::selector_text).unwrap_or_default();
    }
}
