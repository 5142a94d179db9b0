//! The canary pass: what happens in which order, the sizes of both sides, and the status.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{AnalysisPhase, PauseReason, RolloutStatus};

use super::pass::Pass;
use super::pause;
use super::replica_sets::{self, actual, asked, available};
use super::replicas::{
    BasicCanary, RoutedCanary, Split, meets_threshold, next_basic_sizes, pods_for_weight, routed_sizes,
    split_by_weight,
};
use super::spec::SpecView;
use super::steps::{self, StepKind};
use super::weights::Flow;
use crate::plan::BlockerOwner;
use crate::traffic::RouterObservation;

/// What a pass does after it has sized the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// Steps are judged: what makes a step complete may come before stable gives up its pods.
    Steps,
    /// Only sizes change.
    Nothing,
}

impl Pass<'_> {
    /// One pass of a canary.
    pub(crate) fn pass_canary(&mut self) {
        if self.identity.template_or_steps_changed(self.ro, self.sets.new) {
            self.reset_canary();
            return;
        }
        if self.restart_pods() {
            return;
        }
        self.sync_ephemeral_metadata();
        self.trim_history();
        self.reconcile_canary_services();
        let promotable = match self.reconcile_traffic() {
            Flow::Stop => return,
            Flow::StatusOnly => false,
            Flow::Continue => true,
        };
        self.reconcile_experiments();
        self.reconcile_analysis_runs();
        if promotable && !self.pause.adds_pause() && !self.size_canary(Follows::Steps) {
            self.reconcile_canary_pause();
            self.refuse_plugin_step();
        }
        self.finish_canary(promotable);
    }

    /// only sizes change, and the counts that autoscalers read.
    pub(crate) fn scale_only(&mut self) {
        let mut status = self.ro.status.clone();
        if self.ro.blue_green().is_some() {
            self.remove_scale_down_deadlines();
            self.size_blue_green();
            let active = self.sets.by_hash(&status.blue_green.active_selector);
            let counted = active.map_or_else(|| self.sets.all.clone(), |set| vec![set]);
            status.hpa_replicas = actual(&counted);
            status.available_replicas = available(&counted);
        } else {
            self.size_canary(Follows::Nothing);
            status.hpa_replicas = actual(&self.sets.all);
            status.available_replicas = available(&self.sets.all);
        }
        self.persist(status);
        // That a person resumed or retried is not dealt with in this pass, so it must not be forgotten.
        let stored = &self.ro.status;
        let resumed = stored.controller_pause && stored.pause_conditions.is_empty();
        if let Some(status) = self.out.status.as_mut().filter(|status| !status.abort) {
            status.controller_pause |= resumed;
            status.aborted_at = stored.aborted_at;
        }
    }

    /// Whether everything goes to the new set at once: a full promotion that was not overruled by an abort (B-12).
    pub(crate) fn promotes_fully(&self) -> bool {
        self.ro.status.promote_full && !self.is_aborted()
    }

    /// Size and weight the canary is to be brought to.
    fn canary_target(&self) -> (Option<i32>, i32) {
        let status = &self.ro.status;
        if self.promotes_fully() || status.stable_rs.is_empty() || self.ro.is_fully_promoted() {
            return (None, self.ro.max_weight());
        }
        if let Some(scale) = steps::canary_scale(self.ro) {
            if let Some(replicas) = scale.replicas {
                return (Some(replicas), 0);
            }
            if let Some(weight) = scale.weight {
                return (None, weight);
            }
        }
        let weight = match (self.sets.new, self.sets.stable) {
            (Some(new), Some(_)) if status.abort && self.ro.dynamic_stable_scale() => {
                self.dynamic_abort_step(new.status.available_replicas)
            }
            _ => steps::current_weight(self.ro),
        };
        (None, weight)
    }

    /// Sizes both sides may take, with routing for the recorded weights given.
    pub(crate) fn canary_sizes(&self, recorded: Option<(i32, i32)>) -> Split {
        let (fixed, weight) = self.canary_target();
        if self.ro.traffic_routing().is_some() {
            let sizes = routed_sizes(&RoutedCanary {
                replicas: self.replicas,
                max_weight: self.ro.max_weight(),
                min_pods: self.ro.canary().and_then(|canary| canary.min_pods_per_replica_set),
                dynamic_stable_scale: self.ro.dynamic_stable_scale(),
                fixed_canary: fixed,
                weight,
                recorded,
                aborted: self.ro.status.abort,
            });
            return Split { stable: sizes.stable.max(self.pods_for_stable_share()), ..sizes };
        }
        let margins = self.ro.margins();
        next_basic_sizes(&BasicCanary {
            replicas: self.replicas,
            margins,
            target: split_by_weight(self.replicas, weight, self.ro.max_weight(), margins.surge),
            new: self.sets.new.map(replica_sets::size),
            stable: self.sets.distinct_stable().map(replica_sets::size),
            old_spec: asked(&self.sets.others),
        })
    }

    /// Pods that stable needs to take what a step leaves to it, where the canary's size was set to another share: with
    /// dynamic scaling stable has the rest of the size, which may be too little for the rest of the traffic, and the
    /// step would wait for ever (R-346, R-424, B-47).
    fn pods_for_stable_share(&self) -> i32 {
        let by_hand = steps::canary_scale(self.ro).is_some_and(|scale| scale.weight.is_some());
        let applies = by_hand
            && self.ro.dynamic_stable_scale()
            && !self.ro.status.abort
            && !self.promotes_fully()
            && self.sets.distinct_stable().is_some();
        if applies { self.pods_to_take(self.ro.max_weight() - steps::current_weight(self.ro)) } else { 0 }
    }

    /// Recorded weights of the previous pass, or of this one.
    fn recorded(status: &RolloutStatus) -> Option<(i32, i32)> {
        status.canary.weights.as_ref().map(|weights| (weights.canary.weight, weights.stable.weight))
    }

    /// Recorded weights, raised to what the routers were read to carry: no side loses pods that a route still needs
    /// (invariant 4). A router that cannot be read may send everything to stable.
    fn weights_in_force(&self, status: &RolloutStatus) -> Option<(i32, i32)> {
        // Where nothing is recorded yet, as after a change of strategy, the routers alone count.
        let recorded = Self::recorded(status).or((!self.snap.routers.is_empty()).then_some((0, 0)))?;
        Some(self.snap.routers.iter().fold(recorded, |(canary, stable), router| match &router.weights {
            Some(carried) => (canary.max(carried.canary), stable.max(carried.stable)),
            None => (canary, self.ro.max_weight()),
        }))
    }

    /// The canary's share as far as any router was read to carry one.
    pub(crate) fn canary_weight_in_force(&self) -> i32 {
        let carried = self.snap.routers.iter().filter_map(|router| router.weights.as_ref());
        carried.map(|weights| weights.canary).max().unwrap_or(0)
    }

    /// Sizes the sets: stable, else the new one, else the others; returns whether a size changes.
    fn size_canary(&mut self, follows: Follows) -> bool {
        if let Some(reason) = pause::halt_reason(self.ro) {
            return self.rescale_while_halted(reason);
        }
        self.remove_scale_down_deadlines();
        if let Some(stable) = self.sets.distinct_stable() {
            // Stable follows the weights of the previous pass, the canary those of this one: stable never shrinks in
            // the pass that takes its traffic away.
            let size = self.canary_sizes(self.weights_in_force(&self.ro.status)).stable;
            let size = size.max(self.pods_in_use(stable));
            let waits =
                follows == Follows::Steps && size < stable.replicas() && self.completes_weight_first();
            if !waits && self.scale(stable, size, "scale-stable") {
                return true;
            }
        }
        let size = self.canary_sizes(self.weights_in_force(&self.status)).canary;
        let size = self.kept_after_abort().unwrap_or_else(|| size.max(self.canary_floor()));
        if self.scale_new(size, "scale-canary") {
            return true;
        }
        self.size_old_sets_of_canary()
    }

    /// With dynamic scaling the step is complete once its weight is carried; stable gives up its pods after that, in
    /// the next pass.
    fn completes_weight_first(&mut self) -> bool {
        self.ro.dynamic_stable_scale()
            && !self.is_aborted()
            && !self.promotes_fully()
            && self.ro.current_step().is_some_and(|step| steps::kind(step) == StepKind::SetWeight)
            && self.step_is_complete()
    }

    /// Pods the canary keeps for the share that routers still carry (invariant 4). A size set by hand says how many
    /// pods its share needs; traffic still needs one.
    fn canary_floor(&self) -> i32 {
        let (Some(new), Some(_)) = (self.sets.new, self.sets.distinct_stable()) else { return 0 };
        let by_hand = self.ro.steps().iter().any(|step| step.set_canary_scale.is_some());
        let pods = pods_for_weight(self.replicas, self.canary_weight_in_force(), self.ro.max_weight());
        let pods = if by_hand { pods.min(1) } else { pods };
        pods.max(self.pods_still_serving_stable(new)).min(new.replicas())
    }

    /// Pods of a set that routers were read to lead to, whichever part it played when the route was written: right
    /// after a promotion all traffic is still on the canary's side (invariant 4).
    pub(crate) fn pods_in_use(&self, set: &ReplicaSet) -> i32 {
        let Some(canary) = self.ro.canary() else { return 0 };
        let hash = set.pod_hash();
        let leads_to = |router: &RouterObservation, subset: &Option<String>, service: &str| {
            let seen = subset.as_deref().filter(|_| router.selects_by_hash).unwrap_or_default();
            let selected = self.service(service).map_or("", |service| service.selected_hash());
            hash == if seen.is_empty() { selected } else { seen }
        };
        let weight = self.snap.routers.iter().filter_map(|router| {
            let carried = router.weights.as_ref()?;
            let share = |leads: bool, weight: i32| if leads { weight } else { 0 };
            let on_canary =
                share(leads_to(router, &router.canary_hash, &canary.canary_service), carried.canary);
            let on_stable =
                share(leads_to(router, &router.stable_hash, &canary.stable_service), carried.stable);
            Some(on_canary.max(on_stable))
        });
        let weight = weight.max().unwrap_or(0);
        pods_for_weight(self.replicas, weight, self.ro.max_weight()).min(set.replicas())
    }

    /// Pods of the new set that the stable Service still leads to, because the set that is stable now never had one to
    /// take over (invariants 3 and 4).
    fn pods_still_serving_stable(&self, new: &ReplicaSet) -> i32 {
        let service = self.ro.canary().and_then(|canary| self.service(&canary.stable_service));
        if service.is_none_or(|service| service.selected_hash() != new.pod_hash()) {
            return 0;
        }
        let carried = self.snap.routers.iter().filter_map(|router| router.weights.as_ref());
        let weight = carried.map(|weights| weights.stable).max().unwrap_or(0);
        pods_for_weight(self.replicas, weight, self.ro.max_weight())
    }

    /// B-05: an abort delay of 0 keeps a routed canary at the size it has.
    fn kept_after_abort(&self) -> Option<i32> {
        let keeps = self.is_aborted()
            && self.ro.traffic_routing().is_some()
            && !self.ro.dynamic_stable_scale()
            && self.sets.distinct_stable().is_some()
            && self.ro.abort_scale_down_delay_seconds().is_none();
        if keeps { self.sets.new.map(|set| set.replicas()) } else { None }
    }

    /// B-04: a halted canary follows the wanted number of pods in proportion, without taking the update further.
    fn rescale_while_halted(&mut self, reason: &str) -> bool {
        self.block(
            "halted",
            BlockerOwner::Person,
            None,
            format!("a person to resume the update, because {reason}"),
        );
        let Some(new) = self.sets.new.filter(|set| set.replicas() > 0) else {
            return match self.sets.distinct_stable() {
                Some(stable)
                    if replica_sets::desired_replicas(stable)
                        .is_some_and(|desired| desired != self.replicas) =>
                {
                    let size = self.only_size_while_halted(stable);
                    self.scale(stable, size, "scale-stable-while-halted")
                }
                _ => false,
            };
        };
        let known = replica_sets::desired_replicas(new).unwrap_or(self.replicas);
        let Some(stable) = self.sets.distinct_stable() else {
            let size = self.only_size_while_halted(new);
            return known != self.replicas && self.scale(new, size, "scale-canary-while-halted");
        };
        let stable_known = replica_sets::desired_replicas(stable).unwrap_or(self.replicas);
        if known == self.replicas && stable_known == self.replicas {
            return false;
        }
        let sizes = if self.ro.traffic_routing().is_some() {
            // A route that does not move while the update is halted keeps the pods it leads to (invariant 4).
            let sizes = self.canary_sizes(self.weights_in_force(&self.ro.status));
            Split { canary: sizes.canary.max(self.canary_floor()), ..sizes }
        } else {
            let before = if known == self.replicas { stable_known } else { known };
            let share = |size: i32| {
                let exact = i64::from(size) * i64::from(self.replicas);
                i32::try_from((exact + i64::from(before) / 2) / i64::from(before.max(1))).unwrap_or(0)
            };
            let least = i32::from(self.replicas > 0);
            let canary = share(new.replicas()).max(least).min(self.replicas.max(0));
            let canary = if self.is_aborted() { canary.min(new.replicas()) } else { canary };
            let stable = if stable.replicas() == 0 { 0 } else { (self.replicas - canary).max(least) };
            Split { canary, stable }
        };
        // The set of an aborted update never grows (invariant 5).
        let sizes = if self.is_aborted() {
            Split { canary: sizes.canary.min(new.replicas()), ..sizes }
        } else {
            sizes
        };
        let sizes = if self.ro.traffic_routing().is_none() {
            self.keep_to_surge(new, stable, self.keep_available(new, stable, sizes))
        } else {
            sizes
        };
        let stable_scaled = self.scale(stable, sizes.stable, "scale-stable-while-halted");
        self.scale(new, sizes.canary, "scale-canary-while-halted") || stable_scaled
    }

    /// The size of the one set that counts in a halted canary: stable beside a new one without pods, or the new one
    /// where it is stable or there is none.
    fn only_size_while_halted(&self, set: &ReplicaSet) -> i32 {
        if self.ro.traffic_routing().is_some() {
            return self.replicas;
        }
        let room = self.replicas + self.ro.margins().surge - asked(&self.sets.others);
        self.replicas.min(room.max(set.replicas()))
    }

    /// Sizes for a halted canary that grow no further than the surge allows beside the pods of versions that came
    /// before: those stay until the update goes on.
    fn keep_to_surge(&self, new: &ReplicaSet, stable: &ReplicaSet, wanted: Split) -> Split {
        let kept = wanted.canary.min(new.replicas()) + wanted.stable.min(stable.replicas());
        let room = self.replicas + self.ro.margins().surge - asked(&self.sets.others) - kept;
        let grow = |set: &ReplicaSet, size: i32, room: i32| size.min(set.replicas().max(0) + room.max(0));
        let stable_size = grow(stable, wanted.stable, room);
        let room = room - (stable_size - stable.replicas()).max(0);
        Split { canary: grow(new, wanted.canary, room), stable: stable_size }
    }

    /// Sizes for a halted canary that leave as many pods available as the wanted number asks for: a share of pods that
    /// are not there yet, or that are broken, cannot stand in for one that serves.
    fn keep_available(&self, new: &ReplicaSet, stable: &ReplicaSet, wanted: Split) -> Split {
        let floor = self.replicas - self.ro.margins().unavailable;
        let serving = |set: &ReplicaSet, size: i32| size.min(set.status.available_replicas);
        let missing = |kept: Split| (floor - serving(new, kept.canary) - serving(stable, kept.stable)).max(0);
        let more =
            |set: &ReplicaSet, size: i32, by: i32| size.max((size + by).min(serving(set, set.replicas())));
        let kept = Split { canary: more(new, wanted.canary, missing(wanted)), ..wanted };
        Split { stable: more(stable, kept.stable, missing(kept)), ..kept }
    }

    /// Whether both sides have the sizes the current step asks for.
    pub(crate) fn at_desired_sizes(&self, recorded: Option<(i32, i32)>) -> bool {
        let sizes = self.canary_sizes(recorded);
        if !meets_threshold(self.ro.progress_threshold(), self.sets.new.map(replica_sets::size), sizes.canary)
        {
            return false;
        }
        if !self.ro.dynamic_stable_scale() {
            let created = self.sets.stable.is_some_and(|stable| {
                stable.replicas() == sizes.stable
                    && (stable.status.replicas == sizes.stable || cannot_create_pods(stable))
            });
            if !created {
                return false;
            }
        }
        self.ro.traffic_routing().is_some() || available(&self.sets.others) == 0
    }

    /// The pause step; nothing to do at other steps.
    fn reconcile_canary_pause(&mut self) {
        if self.ro.spec.paused || self.ro.status.promote_full {
            return;
        }
        let Some(step) = self.ro.current_step().filter(|step| step.pause.is_some()) else { return };
        match pause::find(self.ro, &PauseReason::CanaryPauseStep) {
            None => {
                if !self.ro.status.controller_pause && !self.is_aborted() {
                    self.pause.add(PauseReason::CanaryPauseStep);
                }
            }
            Some(condition) => {
                if let Some(seconds) = steps::pause_seconds(step) {
                    // The pause is over once its time has passed, not when it is reached.
                    let end = condition.start_time.plus_seconds(seconds).timestamp();
                    let after = end.saturating_add(jiff::SignedDuration::from_millis(1)).unwrap_or(end);
                    self.wake_by(after.max(self.snap.now));
                }
            }
        }
    }

    /// A plugin step waits for a person: no plugin is ever configured here.
    fn refuse_plugin_step(&mut self) {
        if self.ro.spec.paused || self.is_aborted() || self.ro.is_fully_promoted() || self.promotes_fully() {
            return;
        }
        let Some(step) = self.ro.current_step().filter(|step| steps::kind(step) == StepKind::Plugin) else {
            return;
        };
        let name = step.plugin.as_ref().map(|plugin| plugin.name.clone()).unwrap_or_default();
        let index = self.ro.step_index().unwrap_or(0);
        self.warn_while(
            "ReconciliationError",
            format!(
                "Reconciliation failed with error: could not create step plugin at index {index} : failed to get step \
                 plugin {name}: unable to start plugin system: unable to find plugin ({name}): plugin {name} not \
                 configured in configmap"
            ),
        );
        self.block(
            "plugin-not-configured",
            BlockerOwner::Person,
            None,
            format!("a person to skip the step: this controller runs no step plugins, so not {name}"),
        );
    }

    /// Whether the current step is complete.
    fn step_is_complete(&mut self) -> bool {
        if self.ro.spec.paused {
            return false;
        }
        let Some(step) = self.ro.current_step() else { return false };
        match steps::kind(step) {
            StepKind::Pause => self.pause_is_over(steps::pause_seconds(step)),
            StepKind::SetCanaryScale => self.at_desired_sizes(Self::recorded(&self.status)),
            StepKind::SetWeight => self.weight_is_set(step.set_weight.unwrap_or(0)),
            StepKind::Experiment => self.experiment_succeeded(),
            StepKind::Analysis => {
                self.runs.step.as_ref().is_some_and(|run| run.phase == Some(AnalysisPhase::Successful))
            }
            StepKind::SetHeaderRoute | StepKind::SetMirrorRoute => true,
            StepKind::Plugin | StepKind::Nothing => false,
        }
    }

    fn pause_is_over(&self, seconds: Option<i64>) -> bool {
        match (pause::find(self.ro, &PauseReason::CanaryPauseStep), seconds) {
            (None, _) => self.ro.status.controller_pause,
            (Some(condition), Some(seconds)) => {
                self.snap.now > condition.start_time.plus_seconds(seconds).timestamp()
            }
            (Some(_), None) => false,
        }
    }

    /// A weight is set when the pods are there and every router was read to carry it (R-410, B-47, invariant 6).
    fn weight_is_set(&mut self, weight: i32) -> bool {
        if !self.at_desired_sizes(Self::recorded(&self.status)) {
            return false;
        }
        if self.ro.traffic_routing().is_none() || self.snap.routers.is_empty() {
            return true;
        }
        // Without canary pods there is nothing to route to, and the step stands for its sizes alone.
        if self.canary_sizes(Self::recorded(&self.status)).canary == 0 {
            return true;
        }
        let recorded =
            self.status.canary.weights.as_ref().is_some_and(|weights| weights.canary.weight == weight);
        if recorded && self.weights_are_carried() {
            return true;
        }
        self.block_on_routers();
        false
    }

    /// The status of a canary before anything is decided about steps.
    fn canary_status(&mut self) -> RolloutStatus {
        let mut status = self.base_status();
        status.available_replicas = available(&self.sets.all);
        status.hpa_replicas = actual(&self.sets.all);
        status.selector =
            self.ro.spec.selector.as_ref().map(super::status::selector_text).unwrap_or_default();
        status.canary.stable_ping_pong.clone_from(&self.ro.status.canary.stable_ping_pong);
        status.canary.step_plugin_statuses.clone_from(&self.ro.status.canary.step_plugin_statuses);
        status.stable_rs.clone_from(&self.ro.status.stable_rs);
        status.current_step_hash.clone_from(&self.identity.step_hash);
        status
    }

    /// a new template or new steps start the update over.
    fn reset_canary(&mut self) {
        let mut status = self.canary_status();
        self.reset_status(&mut status);
        let count = self.ro.step_count();
        if let Some(new) = self.sets.new
            && count > 0
        {
            if self.ro.status.stable_rs == new.pod_hash() {
                self.event("SkipSteps", "Rollback to stable ReplicaSets".to_owned());
                status.current_step_index = Some(count);
            } else if self.is_rollback_within_window() && new.replicas() > 0 {
                self.event("SkipSteps", "Rollback to active ReplicaSets within RollbackWindow".to_owned());
                status.current_step_index = Some(count);
            }
        }
        self.persist(status);
    }

    /// promotion, abort, or the next step.
    fn finish_canary(&mut self, promotable: bool) {
        let mut status = self.canary_status();
        let count = self.ro.step_count();
        let mut index = self.ro.step_index();
        if self.is_aborted() {
            // An abort overrules a full promotion and a rollback (B-12).
            status.promote_full = false;
        } else if self.ro.status.promote_full || self.is_rollback_within_window() {
            self.pause.clear();
            self.pause.remove_abort();
            index = (count > 0).then_some(count);
        }
        if promotable && let Some(reason) = self.promotion_reason(&status, index) {
            self.promote(&mut status, &reason);
            self.persist(status);
            return;
        }
        if self.is_aborted() {
            status.current_step_index =
                (count > 0).then(|| if status.stable_rs == status.current_pod_hash { count } else { 0 });
            self.persist(status);
            return;
        }
        if promotable && index == self.ro.step_index() && self.step_is_complete() {
            let text = self.ro.current_step().map(steps::text).unwrap_or_default();
            let next = index.unwrap_or(0) + 1;
            status.canary.current_step_analysis_run_status = None;
            self.event("RolloutStepCompleted", format!("Rollout step {next}/{count} completed ({text})"));
            self.pause.remove(PauseReason::CanaryPauseStep);
            index = Some(next);
        }
        status.current_step_index = index;
        self.persist(status);
    }
}

/// B-46: a stable set that may not create its pods holds nothing up.
fn cannot_create_pods(set: &glidepath_api::cluster::ReplicaSet) -> bool {
    set.status
        .conditions
        .iter()
        .any(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")
}
