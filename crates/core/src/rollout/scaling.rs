//! Scaling a ReplicaSet and saying so, and the deadlines after which old and aborted sets go (R-257, R-258, R-350,
//!

use std::collections::BTreeMap;

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::names;
use jiff::Timestamp;

use super::pass::Pass;
use super::replica_sets::{self, Deadline};
use super::spec::SpecView;
use crate::plan::{Action, BlockerOwner};

impl Pass<'_> {
    /// Brings a set to a size and its annotation to R; returns whether its size changes.
    pub(crate) fn scale(&mut self, set: &ReplicaSet, to: i32, reason: &str) -> bool {
        let from = set.replicas();
        let mut annotations = BTreeMap::new();
        let wanted = self.replicas.to_string();
        if set.metadata.annotation(names::DESIRED_REPLICAS) != Some(wanted.as_str()) {
            annotations.insert(names::DESIRED_REPLICAS.to_owned(), Some(wanted));
        }
        if to == 0
            && (from != 0 || self.replicas == 0)
            && self.has_deadline(set)
            && !self.delays_abort_scale_down()
        {
            annotations.insert(names::SCALE_DOWN_DEADLINE.to_owned(), None);
        }
        let name = set.metadata.name.clone();
        if from == to {
            if !annotations.is_empty() {
                let patch = replica_sets::annotation_patch(&annotations);
                self.act("note-desired-replicas", Action::PatchReplicaSet { name, patch });
            }
            return false;
        }
        annotations
            .entry(names::DESIRED_REPLICAS.to_owned())
            .or_insert_with(|| Some(self.replicas.to_string()));
        self.act(reason, Action::ScaleReplicaSet { name: name.clone(), from, to, annotations });
        let direction = if to > from { "up" } else { "down" };
        let revision = set.revision().unwrap_or(0);
        // What else may be sized depends on what becomes of these pods.
        self.out.must_observe = true;
        self.event(
            "ScalingReplicaSet",
            format!("Scaled {direction} ReplicaSet {name} (revision {revision}) from {from} to {to}"),
        );
        true
    }

    /// Whether an aborted new set is kept for a while before it goes.
    pub(crate) fn delays_abort_scale_down(&self) -> bool {
        if !self.is_aborted() || self.sets.stable.is_none() {
            return false;
        }
        if self.ro.canary().is_some() && self.ro.traffic_routing().is_none() {
            return false;
        }
        self.ro.abort_scale_down_delay_seconds().is_some()
            && (!self.ro.dynamic_stable_scale() || self.ro.has_explicit_abort_scale_down_delay())
    }

    /// Takes the deadline off sets that are wanted again.
    pub(crate) fn remove_scale_down_deadlines(&mut self) {
        if let Some(new) = self.sets.new
            && !self.delays_abort_scale_down()
        {
            self.remove_deadline(new);
        }
        if let Some(stable) = self.sets.stable
            && (self.sets.distinct_stable().is_some() || !self.delays_abort_scale_down())
        {
            self.remove_deadline(stable);
        }
    }

    /// Brings the new set to `size`, unless an abort keeps it for now; returns whether its size changes.
    pub(crate) fn scale_new(&mut self, size: i32, reason: &str) -> bool {
        let Some(new) = self.sets.new else { return false };
        let mut size = size;
        // The set of an aborted update never grows (invariant 5).
        if self.is_aborted() && self.sets.distinct_stable().is_some() {
            size = size.min(new.replicas());
        }
        if self.delays_abort_scale_down() {
            match self.aborted_set_size(new) {
                Some(kept) => size = kept,
                None => {
                    self.scale(new, new.replicas(), "note-desired-replicas");
                    return false;
                }
            }
        }
        let scaled = self.scale(new, size, reason);
        self.hand_over_progressively(new, size < new.replicas());
        scaled
    }

    /// The size an aborted set should take now; `None` to keep it as it is.
    fn aborted_set_size(&mut self, new: &ReplicaSet) -> Option<i32> {
        let delay = self.ro.abort_scale_down_delay_seconds().unwrap_or(0);
        match replica_sets::deadline(new) {
            Deadline::At(deadline) if deadline > self.snap.now => {
                self.wait_for_deadline(new, deadline);
                None
            }
            Deadline::At(_) if self.is_active_target(new) => None,
            Deadline::At(_) if self.canary_weight_in_force() > 0 => {
                self.block_on_routers();
                None
            }
            Deadline::At(_) => Some(0),
            // A text that is no time is written anew (B-55); without one, nothing is promised until stable serves.
            Deadline::None | Deadline::Unreadable => {
                let stable = self.sets.stable.map_or(0, |set| set.status.available_replicas);
                if stable >= self.replicas {
                    if new.replicas() > 0 {
                        self.set_deadline(new, delay);
                    }
                } else {
                    self.block(
                        "stable-not-available",
                        BlockerOwner::Cluster,
                        None,
                        format!(
                            "the stable ReplicaSet to have {} available pods (it has {stable}) before the aborted one goes",
                            self.replicas
                        ),
                    );
                }
                None
            }
        }
    }

    /// Whether the active Service of a blue-green Rollout selects the set right now (B-08).
    fn is_active_target(&self, set: &ReplicaSet) -> bool {
        self.ro
            .blue_green()
            .and_then(|blue_green| self.service(&blue_green.active_service))
            .is_some_and(|service| service.selected_hash() == set.pod_hash())
    }

    fn set_deadline(&mut self, set: &ReplicaSet, seconds: i32) {
        let deadline = glidepath_api::Time::new(self.in_seconds(i64::from(seconds)));
        self.annotate(set, "set-scale-down-deadline", names::SCALE_DOWN_DEADLINE, Some(deadline.to_string()));
        self.wait_for_deadline(set, deadline.timestamp());
    }

    fn wait_for_deadline(&mut self, set: &ReplicaSet, deadline: Timestamp) {
        self.wake_by(deadline);
        if self.is_aborted() {
            let name = &set.metadata.name;
            self.block(
                "abort-scale-down-delay",
                BlockerOwner::Clock,
                Some(deadline),
                format!("the delay after the abort to pass before ReplicaSet {name} is scaled down; retry or apply another template to go on"),
            );
        }
    }

    /// The size an old set may have during its delay. `counted` is how many sets are in their delay so far.
    pub(crate) fn delayed_size(&mut self, set: &ReplicaSet, counted: &mut i32, keep: i32) -> i32 {
        let limit = self.ro.scale_down_delay_revision_limit();
        match replica_sets::deadline(set) {
            Deadline::At(deadline) => {
                *counted += 1;
                if *counted > limit || deadline <= self.snap.now {
                    return 0;
                }
                self.wake_by(deadline);
                keep
            }
            Deadline::None | Deadline::Unreadable => {
                let seconds = self.ro.scale_down_delay_seconds();
                // 0 means at once (B-03).
                if seconds <= 0 || *counted >= limit {
                    return 0;
                }
                *counted += 1;
                self.set_deadline(set, seconds);
                set.replicas()
            }
        }
    }

    /// Whether anything still points at a set, so that it must keep its pods.
    pub(crate) fn is_referenced(&self, set: &ReplicaSet) -> bool {
        let hash = set.pod_hash();
        if hash.is_empty() {
            return false;
        }
        let status = &self.ro.status;
        let recorded = status.canary.weights.as_ref();
        let in_status = [
            status.stable_rs.as_str(),
            status.current_pod_hash.as_str(),
            status.blue_green.active_selector.as_str(),
            status.blue_green.preview_selector.as_str(),
            recorded.map_or("", |weights| weights.canary.pod_template_hash.as_str()),
            recorded.map_or("", |weights| weights.stable.pod_template_hash.as_str()),
        ];
        in_status.contains(&hash)
            || self.role_services().any(|service| service.selected_hash() == hash)
            || self
                .snap
                .routers
                .iter()
                .any(|router| router.referenced_hashes.iter().any(|known| known == hash))
    }
}
