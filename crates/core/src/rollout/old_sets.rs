//! ReplicaSets that are neither new nor stable: when they go, and how fast.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{AnalysisPhase, PauseReason};

use super::pass::Pass;
use super::pause;
use super::replica_sets::{available, by_revision_descending, has_deadline};
use super::spec::SpecView;

impl<'a> Pass<'a> {
    fn active_others(&self) -> Vec<&'a ReplicaSet> {
        self.sets.others.iter().copied().filter(|set| set.replicas() > 0).collect()
    }

    /// Old sets of a canary; returns whether a size changes.
    pub(crate) fn size_old_sets_of_canary(&mut self) -> bool {
        let mut sets = self.active_others();
        // A set that has more pods than it should is still shrinking; its numbers cannot be trusted yet.
        if sets.is_empty() || sets.iter().any(|set| set.status.available_replicas > set.replicas()) {
            return false;
        }
        let routed = self.ro.traffic_routing().is_some();
        let mut scaled = false;
        let mut budget = available(&self.sets.all) - (self.replicas - self.ro.margins().unavailable);
        by_revision_descending(&mut sets);
        let mut counted = 0;
        for set in sets {
            let healthy = set.status.available_replicas;
            // Pods that serve nobody go first and cost nothing (R-356 i).
            let cleaned = healthy.min(set.replicas());
            let mut size = cleaned;
            if routed && self.is_referenced(set) {
                let in_use = self.carries_traffic(set) || self.pods_in_use(set) > cleaned;
                if cleaned != set.replicas() && !in_use {
                    scaled |= self.scale(set, cleaned, "drop-unavailable-pods");
                }
                continue;
            }
            if budget > 0 {
                size = if !routed {
                    (cleaned - budget).max(0)
                } else if self.ro.is_fully_promoted() || has_deadline(set) {
                    if self.ro.dynamic_stable_scale() {
                        0
                    } else {
                        self.delayed_size(set, &mut counted, cleaned).min(cleaned)
                    }
                } else {
                    0
                };
                budget -= cleaned - size;
            }
            scaled |= self.scale(set, size, "scale-down-old-set");
        }
        scaled
    }

    /// Whether the recorded weights give a set a share.
    fn carries_traffic(&self, set: &ReplicaSet) -> bool {
        let hash = set.pod_hash();
        self.ro.status.canary.weights.as_ref().is_some_and(|weights| {
            (weights.canary.pod_template_hash == hash && weights.canary.weight > 0)
                || (weights.stable.pod_template_hash == hash && weights.stable.weight > 0)
        })
    }

    /// Old sets of blue-green; returns whether a size changes.
    pub(crate) fn size_old_sets_of_blue_green(&mut self) -> bool {
        if pause::find(self.ro, &PauseReason::InconclusiveAnalysis).is_some()
            || self.waits_for_post_promotion()
        {
            return false;
        }
        let mut sets = self.active_others();
        by_revision_descending(&mut sets);
        let (mut counted, mut scaled) = (0, false);
        for set in sets {
            if self.is_referenced(set) {
                continue;
            }
            let size = self.delayed_size(set, &mut counted, self.replicas);
            scaled |= self.scale(set, size, "scale-down-old-set");
        }
        scaled
    }

    /// Without a delay of its own, the old version stays until post-promotion analysis is through.
    fn waits_for_post_promotion(&self) -> bool {
        let Some(strategy) = self.ro.blue_green() else { return false };
        strategy.post_promotion_analysis.is_some()
            && strategy.scale_down_delay_seconds.is_none()
            && self.post_promotion_applies()
            && self.runs.post.as_ref().is_none_or(|run| run.phase != Some(AnalysisPhase::Successful))
    }
}
