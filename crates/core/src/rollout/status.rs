//! The status: what a pass starts from, what is filled in at the end, and the patch that writes it.

use glidepath_api::meta::LabelSelector;
use glidepath_api::{PauseReason, RolloutStatus, rollout_condition as kinds};
use serde_json::{Value, json};

use super::conditions;
use super::pass::Pass;
use super::phase::phase;
use super::project::diff;
use super::replica_sets::{actual, ready};
use super::spec::SpecView;

/// A selector as the status writes it.
pub(crate) fn selector_text(selector: &LabelSelector) -> String {
    if selector.is_empty() {
        "<none>".to_owned()
    } else {
        selector.to_text().unwrap_or_else(|_| "<error>".to_owned())
    }
}

impl Pass<'_> {
    /// The fields every strategy fills alike.
    pub(crate) fn base_status(&self) -> RolloutStatus {
        let mut status = self.status.clone();
        let stored = &self.ro.status;
        status.current_pod_hash = self.identity.current_hash(self.sets.new).to_owned();
        status.replicas = actual(&self.sets.all);
        status.updated_replicas = self.sets.new.map_or(0, |set| set.status.replicas);
        status.ready_replicas = ready(&self.sets.all);
        status.collision_count = stored.collision_count;
        status.conditions.clone_from(&stored.conditions);
        conditions::remove(&mut status, kinds::INVALID_SPEC);
        status.promote_full = stored.promote_full;
        status
    }

    /// the status of an update that starts over.
    pub(crate) fn reset_status(&mut self, status: &mut RolloutStatus) {
        self.pause.clear();
        self.pause.remove_abort();
        status.promote_full = false;
        status.blue_green.pre_promotion_analysis_run_status = None;
        status.blue_green.post_promotion_analysis_run_status = None;
        status.blue_green.scale_up_preview_check_point = false;
        status.canary.current_step_analysis_run_status = None;
        status.canary.current_background_analysis_run_status = None;
        status.canary.step_plugin_statuses = Vec::new();
        status.current_step_index = (self.ro.step_count() > 0).then_some(0);
    }

    /// Fills in what follows from the rest, in the order of R-311, and ends the pass with this status.
    pub(crate) fn persist(&mut self, mut status: RolloutStatus) {
        status.observed_generation = self.ro.metadata.generation.to_string();
        status.workload_observed_generation = self.observed_workload_generation();
        self.abort_after_deadline(&status);
        let pause = self.pause.clone();
        pause.apply(self.ro, &mut status, self.now);
        self.fill_conditions(&mut status);
        (status.phase, status.message) = {
            let (phase, message) = phase(self.ro, &status);
            (Some(phase), message)
        };
        super::duration::track(self, &mut status);
        if let Some(deadline) = self.progress_deadline(&status) {
            self.wake_by(deadline.max(self.snap.now));
        }
        self.tell_pauses(&status);
        self.out.status = Some(status);
    }

    /// Ends the pass with changed conditions only; generation and phase follow.
    pub(crate) fn persist_conditions(&mut self, mut status: RolloutStatus) {
        status.observed_generation = self.ro.metadata.generation.to_string();
        let (phase, message) = phase(self.ro, &status);
        status.phase = Some(phase);
        status.message = message;
        if conditions::find(&status, kinds::INVALID_SPEC).is_none() {
            // A retry shows in the conditions alone; an invalid spec stops the clock of nothing.
            super::duration::track(self, &mut status);
        }
        self.out.status = Some(status);
    }

    fn observed_workload_generation(&self) -> String {
        let spec = &self.ro.spec;
        let workload = self.snap.workload.as_ref().and_then(|workload| workload.object.as_ref());
        match workload {
            Some(workload) if spec.template_resolved_from_ref => workload.generation.to_string(),
            _ => String::new(),
        }
    }

    /// pauses that came or went.
    fn tell_pauses(&mut self, status: &RolloutStatus) {
        let before = !self.ro.status.pause_conditions.is_empty();
        match status.pause_conditions.first() {
            Some(pause) if !before => {
                let message = format!("Rollout is paused ({})", pause.reason);
                self.event("RolloutPaused", message);
            }
            None if before && status.aborted_at.is_none() => {
                self.event("RolloutResumed", "Rollout is resumed".to_owned());
            }
            _ => {}
        }
    }

    /// Drops a pause of blue-green.
    pub(crate) fn drop_blue_green_pause(&mut self) {
        self.pause.remove(PauseReason::BlueGreenPause);
    }
}

/// The status as JSON. Once an update has been recorded both strategies have their object, empty or not, as clients
/// of the reference find it; before that, neither.
pub(crate) fn to_json(status: &RolloutStatus) -> Value {
    let mut json = serde_json::to_value(status).unwrap_or_default();
    let Some(fields) = json.as_object_mut() else { return json };
    for strategy in ["blueGreen", "canary"] {
        let is_empty = fields.get(strategy).is_none_or(|part| *part == json!({}));
        if is_empty && status.current_pod_hash.is_empty() {
            fields.remove(strategy);
        } else if is_empty {
            fields.insert(strategy.to_owned(), json!({}));
        }
    }
    json
}

/// The smallest merge patch from one status to another; `None` when they are equal.
#[must_use]
pub fn status_patch(from: &RolloutStatus, to: &RolloutStatus) -> Option<Value> {
    if from == to {
        return None;
    }
    diff(&to_json(from), &to_json(to)).map(|patch| json!({"status": patch}))
}

/// Whether two statuses differ in nothing but counts of pods and when progress was last seen. Such a change can wait
/// a moment while more of the same is on its way.
#[must_use]
pub fn differ_in_counts_only(from: &RolloutStatus, to: &RolloutStatus) -> bool {
    let plain = |status: &RolloutStatus| {
        let mut status = status.clone();
        status.replicas = 0;
        status.updated_replicas = 0;
        status.ready_replicas = 0;
        status.available_replicas = 0;
        status.hpa_replicas = 0;
        status.message = String::new();
        for condition in &mut status.conditions {
            if condition.type_ == kinds::PROGRESSING {
                condition.last_update_time = glidepath_api::Time::default();
            }
        }
        // The order of conditions is that of their last change, which progress alone moves.
        status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        status
    };
    plain(from) == plain(to)
}
