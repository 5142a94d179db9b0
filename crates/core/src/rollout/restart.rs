//! Restarting pods at a given time.

use glidepath_api::Pod;

use super::pass::Pass;
use super::replica_sets::{self, asked};
use super::spec::SpecView;
use crate::plan::{Action, BlockerOwner};
use crate::snapshot::Failure;

/// Seconds until a restart that is not complete is looked at again.
const RETRY_SECONDS: i64 = 30;

/// Pods that may be evicted now.
#[must_use]
pub fn evictable(replicas: i32, asked: i32, available: i32, unavailable: i32) -> i32 {
    available - (replicas.max(asked) - unavailable.max(1))
}

impl<'a> Pass<'a> {
    /// Evicts old pods as far as availability permits; returns whether any is evicted in this pass.
    pub(crate) fn restart_pods(&mut self) -> bool {
        let Some(at) = self.ro.spec.restart_at else { return false };
        if self.ro.status.restarted_at == Some(at) {
            return false;
        }
        if self.snap.now <= at.timestamp() {
            let after = at.timestamp().saturating_add(jiff::SignedDuration::from_millis(1));
            self.wake_by(after.unwrap_or(at.timestamp()));
            return false;
        }
        let pods = self.pods_by_priority();
        let minimum = self.ro.spec.min_ready_seconds;
        let available = pods
            .iter()
            .filter(|pod| !pod.metadata.is_deleting() && pod.is_available(minimum, self.now))
            .count();
        let mut room = evictable(
            self.replicas,
            asked(&self.sets.all),
            i32::try_from(available).unwrap_or(i32::MAX),
            self.ro.margins().unavailable,
        );
        let old: Vec<&Pod> = pods
            .into_iter()
            .filter(|pod| pod.metadata.creation_timestamp.is_some_and(|created| created < at))
            .collect();
        let mut evicted = 0;
        // What a disruption budget has just forbidden is tried again later; those behind it have their turn.
        let tried = old.iter().rposition(|pod| self.was_refused(pod)).map_or(0, |position| position + 1);
        for pod in old[tried..].iter().filter(|pod| !pod.metadata.is_deleting()) {
            if room <= 0 {
                break;
            }
            room -= 1;
            evicted += 1;
            let (name, uid) = (pod.metadata.name.clone(), pod.metadata.uid.clone());
            self.act("restart-pod", Action::EvictPod { name, uid });
        }
        if evicted > 0 {
            self.out.must_observe = true;
        }
        // A pod counts as restarted once it is gone: an eviction may be refused, and takes its time.
        if old.is_empty() {
            self.status.restarted_at = Some(at);
        } else {
            let left = old.len();
            self.wake_in(RETRY_SECONDS);
            self.block(
                "pods-restarting",
                BlockerOwner::Cluster,
                None,
                format!("{left} pods from before the restart time to be replaced"),
            );
        }
        evicted > 0
    }

    /// Whether a disruption budget has just forbidden to evict the pod.
    fn was_refused(&self, pod: &Pod) -> bool {
        let is_refusal =
            |failure: &Failure| failure.verb == "evictPod" && failure.object == pod.metadata.name;
        self.snap.failures.iter().any(is_refusal)
    }

    /// The Rollout's pods: those of stable first, then of the new set, then the rest, oldest set first (R-561, B-19).
    fn pods_by_priority(&self) -> Vec<&'a Pod> {
        let rank = |pod: &Pod| {
            let owner = pod.metadata.controller_of().map(|owner| owner.uid.as_str())?;
            let position = self.sets.all.iter().position(|set| set.metadata.uid == owner)?;
            let name = &self.sets.all[position].metadata.name;
            let part = if *name == replica_sets::name(self.sets.stable) {
                0
            } else if *name == replica_sets::name(self.sets.new) {
                1
            } else {
                2
            };
            Some((part, position))
        };
        let mut pods: Vec<(&'a Pod, (i32, usize))> =
            self.snap.pods.iter().filter_map(|pod| Some((pod, rank(pod)?))).collect();
        pods.sort_by(|a, b| (a.1, &a.0.metadata.name).cmp(&(b.1, &b.0.metadata.name)));
        pods.into_iter().map(|(pod, _)| pod).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::evictable;

    #[test]
    fn pods_that_may_be_evicted_e74_to_e78() {
        for (row, replicas, asked, available, unavailable, want) in [
            ("E-74", 5, 5, 5, 1, 1),
            ("E-75", 5, 5, 5, 0, 1),
            ("E-76", 10, 11, 11, 2, 2),
            ("E-77", 10, 11, 9, 2, 0),
            ("E-78", 4, 8, 8, 1, 1),
        ] {
            assert_eq!(evictable(replicas, asked, available, unavailable), want, "{row}");
        }
    }
}
