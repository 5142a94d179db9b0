//! What the rows call things, read off a Rollout where the resource types do not say it themselves.

use glidepath_api::{CanaryStep, ReplicaProgressThreshold, Rollout};

use super::replicas::Margins;

/// Reads a Rollout in the vocabulary of the rows.
pub(crate) trait SpecView {
    /// The canary's steps.
    fn steps(&self) -> &[CanaryStep];
    /// Number of steps as the status counts them.
    fn step_count(&self) -> i32;
    /// Surge and unavailability.
    fn margins(&self) -> Margins;
    /// `dynamicStableScale`, which only routing makes meaningful.
    fn dynamic_stable_scale(&self) -> bool;
    /// `replicaProgressThreshold`.
    fn progress_threshold(&self) -> Option<&ReplicaProgressThreshold>;
    /// Whether the update is complete: the stable hash is the current one (also when both are empty).
    fn is_fully_promoted(&self) -> bool;
    /// The index of the current step as stored; 0 when it was never stored, clamped to the number of steps (B-56).
    fn step_index(&self) -> Option<i32>;
    /// The current step; `None` past the last and without steps.
    fn current_step(&self) -> Option<&CanaryStep>;
}

impl SpecView for Rollout {
    fn steps(&self) -> &[CanaryStep] {
        self.canary().map_or(&[], |canary| &canary.steps)
    }

    fn step_count(&self) -> i32 {
        i32::try_from(self.steps().len()).unwrap_or(i32::MAX)
    }

    fn margins(&self) -> Margins {
        Margins { surge: self.max_surge(), unavailable: self.max_unavailable() }
    }

    fn dynamic_stable_scale(&self) -> bool {
        self.canary().is_some_and(|canary| canary.dynamic_stable_scale && canary.traffic_routing.is_some())
    }

    fn progress_threshold(&self) -> Option<&ReplicaProgressThreshold> {
        self.canary()?.replica_progress_threshold.as_ref()
    }

    fn is_fully_promoted(&self) -> bool {
        self.status.stable_rs == self.status.current_pod_hash
    }

    fn step_index(&self) -> Option<i32> {
        let count = self.step_count();
        (count > 0).then(|| self.status.current_step_index.unwrap_or(0).clamp(0, count))
    }

    fn current_step(&self) -> Option<&CanaryStep> {
        self.steps().get(usize::try_from(self.step_index()?).ok()?)
    }
}
