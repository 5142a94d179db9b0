//! What is kept of the past: old ReplicaSets, AnalysisRuns and Experiments.

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{AnalysisPhase, AnalysisRun, Experiment, ObjectMeta, Rollout, names};

use super::pass::Pass;
use crate::plan::Action;

/// An object with a phase whose number is limited.
trait Finished {
    fn meta(&self) -> &ObjectMeta;
    fn phase(&self) -> Option<AnalysisPhase>;
}

impl Finished for AnalysisRun {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn phase(&self) -> Option<AnalysisPhase> {
        self.status.phase
    }
}

impl Finished for Experiment {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn phase(&self) -> Option<AnalysisPhase> {
        self.status.phase
    }
}

/// Runs that are not current and no longer kept.
pub(crate) fn runs_to_delete<'r>(
    rollout: &Rollout,
    others: &[&'r AnalysisRun],
    sets: &[&ReplicaSet],
) -> Vec<&'r AnalysisRun> {
    to_delete(rollout, others, sets)
}

/// Experiments that are not current and no longer kept.
pub(crate) fn experiments_to_delete<'r>(
    rollout: &Rollout,
    others: &[&'r Experiment],
    sets: &[&ReplicaSet],
) -> Vec<&'r Experiment> {
    to_delete(rollout, others, sets)
}

fn to_delete<'r, T: Finished>(rollout: &Rollout, others: &[&'r T], sets: &[&ReplicaSet]) -> Vec<&'r T> {
    let successful = rollout.successful_run_history_limit();
    let unsuccessful = rollout.unsuccessful_run_history_limit();
    let mut newest_first: Vec<&T> =
        others.iter().copied().filter(|item| !item.meta().is_deleting()).collect();
    newest_first.sort_by(|a, b| {
        (b.meta().creation_timestamp, &b.meta().name).cmp(&(a.meta().creation_timestamp, &a.meta().name))
    });
    let (mut good, mut bad) = (0, 0);
    newest_first
        .into_iter()
        .filter(|item| {
            let hash = item.meta().label(names::POD_TEMPLATE_HASH);
            let alive = hash.is_some_and(|hash| {
                sets.iter().any(|set| set.pod_hash() == hash && !set.metadata.is_deleting())
            });
            if !alive {
                return true;
            }
            match item.phase() {
                Some(AnalysisPhase::Successful) => {
                    good += 1;
                    good > successful
                }
                Some(AnalysisPhase::Failed | AnalysisPhase::Error | AnalysisPhase::Inconclusive) => {
                    bad += 1;
                    bad > unsuccessful
                }
                _ => false,
            }
        })
        .collect()
}

impl Pass<'_> {
    /// the oldest sets beyond the history limit go, once nothing is left of them.
    pub(crate) fn trim_history(&mut self) {
        let mut candidates: Vec<&ReplicaSet> =
            self.sets.others.iter().copied().filter(|set| !set.metadata.is_deleting()).collect();
        // Sets of the same second go in the order of their revisions.
        candidates.sort_by_key(|set| (set.metadata.creation_timestamp, set.revision()));
        let limit = usize::try_from(self.ro.revision_history_limit()).unwrap_or(0);
        let surplus = candidates.len().saturating_sub(limit);
        for set in candidates.into_iter().take(surplus) {
            let observed = set.metadata.generation <= set.status.observed_generation;
            if set.replicas() != 0 || set.status.replicas != 0 || !observed {
                continue;
            }
            let (name, uid) = (set.metadata.name.clone(), set.metadata.uid.clone());
            self.act("trim-history", Action::DeleteReplicaSet { name, uid });
            self.delete_of_hash(set.pod_hash());
        }
    }

    /// Runs and experiments of a deleted set go with it, current ones excepted.
    fn delete_of_hash(&mut self, hash: &str) {
        let status = &self.ro.status;
        let current = [
            self.runs.step.as_ref(),
            self.runs.background.as_ref(),
            self.runs.pre.as_ref(),
            self.runs.post.as_ref(),
        ];
        let is_current = |name: &str| current.iter().flatten().any(|run| run.name == name);
        let mine = |meta: &ObjectMeta| {
            meta.is_controlled_by(&self.ro.metadata.uid)
                && !meta.is_deleting()
                && meta.label(names::POD_TEMPLATE_HASH) == Some(hash)
        };
        let runs = self.snap.analysis_runs.iter().map(|run| &run.metadata);
        let mut actions: Vec<Action> = runs
            .filter(|meta| mine(meta) && !is_current(&meta.name))
            .map(|meta| Action::DeleteAnalysisRun { name: meta.name.clone(), uid: meta.uid.clone() })
            .collect();
        let experiments = self.snap.experiments.iter().map(|experiment| &experiment.metadata);
        actions.extend(
            experiments
                .filter(|meta| mine(meta) && meta.name != status.canary.current_experiment)
                .map(|meta| Action::DeleteExperiment { name: meta.name.clone(), uid: meta.uid.clone() }),
        );
        for action in actions {
            self.act("trim-history", action);
        }
    }
}
