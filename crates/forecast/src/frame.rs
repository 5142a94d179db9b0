//! What one decision of the controllers showed: the raw material of a timeline.

use glidepath_api::{Rollout, names};
use glidepath_core::plan::{Action, Blocker, Plan};
use glidepath_core::snapshot::RolloutSnapshot;
use jiff::Timestamp;

/// A Rollout at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at: Timestamp,
    pub(crate) rollout: Rollout,
    /// Pods by ReplicaSet.
    pub(crate) sets: Vec<Pods>,
    /// Weight the routers were read to carry for the canary, and the maximum.
    pub(crate) weight: Option<(i32, i32)>,
    /// Hash the active Service of a blue-green Rollout selects.
    pub(crate) active: String,
    pub(crate) blocker: Option<Blocker>,
    /// The decision asks for nothing.
    pub(crate) idle: bool,
    /// AnalysisRuns the decision starts.
    pub(crate) starts: Vec<String>,
}

/// Pods of one ReplicaSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pods {
    pub(crate) hash: String,
    /// Wanted.
    pub(crate) wanted: i32,
    /// There.
    pub(crate) there: i32,
    /// Taking requests.
    pub(crate) available: i32,
}

impl Frame {
    pub(crate) fn of(snapshot: &RolloutSnapshot, plan: &Plan) -> Self {
        let pods = |set: &glidepath_api::ReplicaSet| Pods {
            hash: set.pod_hash().to_owned(),
            wanted: set.replicas(),
            there: set.status.replicas,
            available: set.status.available_replicas,
        };
        let rollout = snapshot.rollout.clone();
        let carried = snapshot.routers.iter().find_map(|router| router.weights.as_ref());
        let active = rollout.blue_green().map(|strategy| strategy.active_service.as_str());
        let service = active.and_then(|name| snapshot.services.get(name)?.as_ref());
        let starts = plan.actions().filter_map(|action| match action {
            Action::CreateAnalysisRun { name, .. } => Some(name.clone()),
            _ => None,
        });
        Self {
            at: snapshot.now,
            sets: snapshot.replica_sets.iter().map(pods).collect(),
            weight: carried.map(|weights| (weights.canary, rollout.max_weight())),
            active: service.map(|service| service.selected_hash().to_owned()).unwrap_or_default(),
            blocker: plan.blocker.clone(),
            idle: plan.steps.is_empty(),
            starts: starts.collect(),
            rollout,
        }
    }

    /// Version of the Rollout that was decided about.
    pub(crate) fn version(&self) -> u64 {
        self.rollout.metadata.resource_version.parse().unwrap_or(u64::MAX)
    }

    /// Pods of all sets, those that are wanted but not there yet included.
    pub(crate) fn pods(&self) -> i32 {
        self.sets.iter().map(|set| set.wanted.max(set.there)).sum()
    }

    pub(crate) fn available(&self, hash: &str) -> i32 {
        self.sets.iter().filter(|set| set.hash == hash).map(|set| set.available).sum()
    }

    pub(crate) fn available_all(&self) -> i32 {
        self.sets.iter().map(|set| set.available).sum()
    }

    /// Pods of the version the spec asks for, as far as the status knows it.
    pub(crate) fn new_pods(&self) -> i32 {
        let hash = &self.rollout.status.current_pod_hash;
        self.sets.iter().filter(|set| set.hash == *hash).map(|set| set.wanted).sum()
    }

    pub(crate) fn old_pods(&self) -> i32 {
        self.sets.iter().map(|set| set.wanted).sum::<i32>() - self.new_pods()
    }

    /// Whether the status speaks of the spec as it is.
    pub(crate) fn is_observed(&self) -> bool {
        self.rollout.status.observed_generation == self.rollout.metadata.generation.to_string()
    }

    /// Whether the version the spec asks for is the stable one.
    pub(crate) fn is_promoted(&self) -> bool {
        let status = &self.rollout.status;
        !status.stable_rs.is_empty() && status.stable_rs == status.current_pod_hash
    }

    /// Share of the traffic that the new version gets, in percent.
    pub(crate) fn new_share(&self) -> i32 {
        let status = &self.rollout.status;
        if self.is_promoted() {
            return 100;
        }
        if self.rollout.blue_green().is_some() {
            return if self.active == status.current_pod_hash { 100 } else { 0 };
        }
        if let Some((weight, maximum)) = self.weight.filter(|_| self.rollout.traffic_routing().is_some()) {
            return 100 * weight / maximum.max(1);
        }
        match self.available_all() {
            0 => 0,
            all => 100 * self.available(&status.current_pod_hash) / all,
        }
    }

    pub(crate) fn revision(&self) -> &str {
        self.rollout.metadata.annotation(names::REVISION).unwrap_or_default()
    }
}
