//! AnalysisRuns of a Rollout: when one is due, what its phase means, and which ones go.

use std::collections::BTreeSet;

use glidepath_api::{
    AnalysisPhase, AnalysisRun, PauseReason, RolloutAnalysis, RolloutAnalysisRunStatus, names,
};

use super::pass::Pass;
use super::pause;
use super::replica_sets;
use super::spec::SpecView;
use super::steps;
use crate::analysis::arguments::PodHashes;
use crate::analysis::creation::{Placement, RunRole, build_rollout_run, place_run};
use crate::analysis::templates::Catalog;
use crate::plan::{Action, BlockerOwner, EventType};
use crate::snapshot::RolloutSnapshot;

/// Seconds within which a run that no status names may still come to be named.
const JUST_STARTED_SECONDS: i64 = 10;
/// Seconds until a run that could not be made is tried again.
const RETRY_SECONDS: i64 = 10;

/// A run as a Rollout looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunView {
    pub(crate) name: String,
    pub(crate) phase: Option<AnalysisPhase>,
    message: String,
    step_index: Option<String>,
    terminating: bool,
}

impl From<&AnalysisRun> for RunView {
    fn from(run: &AnalysisRun) -> Self {
        Self {
            name: run.metadata.name.clone(),
            phase: run.status.phase,
            message: run.status.message.clone(),
            step_index: run.metadata.label(names::STEP_INDEX).map(str::to_owned),
            terminating: run.spec.terminate,
        }
    }
}

impl RunView {
    fn is_completed(&self) -> bool {
        self.phase.is_some_and(AnalysisPhase::completed)
    }

    fn as_status(&self) -> RolloutAnalysisRunStatus {
        RolloutAnalysisRunStatus {
            name: self.name.clone(),
            status: self.phase,
            message: self.message.clone(),
        }
    }
}

/// The runs the status names; everything else the Rollout owns is "other".
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    pub(crate) step: Option<RunView>,
    pub(crate) background: Option<RunView>,
    pub(crate) pre: Option<RunView>,
    pub(crate) post: Option<RunView>,
}

impl Runs {
    /// The current runs by the names in the status.
    pub(crate) fn of(snapshot: &RolloutSnapshot) -> Self {
        let find = |status: &Option<RolloutAnalysisRunStatus>| {
            let name = &status.as_ref()?.name;
            snapshot.analysis_runs.iter().find(|run| run.metadata.name == *name).map(RunView::from)
        };
        let status = &snapshot.rollout.status;
        Self {
            step: find(&status.canary.current_step_analysis_run_status),
            background: find(&status.canary.current_background_analysis_run_status),
            pre: find(&status.blue_green.pre_promotion_analysis_run_status),
            post: find(&status.blue_green.post_promotion_analysis_run_status),
        }
    }

    fn all(&self) -> impl Iterator<Item = &RunView> {
        [&self.step, &self.background, &self.pre, &self.post].into_iter().flatten()
    }
}

impl Pass<'_> {
    /// The analysis stage of a pass.
    pub(crate) fn reconcile_analysis_runs(&mut self) {
        let skip = self.ro.is_fully_promoted()
            || self.is_aborted()
            || self.ro.status.promote_full
            || self.is_fast_rollback()
            || self.ro.status.stable_rs.is_empty();
        if skip {
            for run in self.runs.clone().all() {
                self.cancel_run(run);
            }
            self.runs.step = None;
            self.runs.background = None;
        } else if self.ro.blue_green().is_some() {
            self.runs.pre = self.reconcile_pre_promotion();
            self.judge(self.runs.pre.clone().as_ref(), "Blue/green pre-promotion analysis");
            self.runs.post = self.reconcile_post_promotion();
            self.judge(self.runs.post.clone().as_ref(), "Blue/green post-promotion analysis");
        } else {
            self.runs.step = self.reconcile_step_run();
            self.runs.background = self.reconcile_background_run();
        }
        self.record_runs();
        self.clean_up_runs();
        self.tell_runs();
    }

    fn record_runs(&mut self) {
        let status = |run: &Option<RunView>| run.as_ref().map(RunView::as_status);
        if self.ro.blue_green().is_some() {
            self.status.blue_green.pre_promotion_analysis_run_status = status(&self.runs.pre);
            self.status.blue_green.post_promotion_analysis_run_status = status(&self.runs.post);
        } else {
            self.status.canary.current_step_analysis_run_status = status(&self.runs.step);
            self.status.canary.current_background_analysis_run_status = status(&self.runs.background);
        }
    }

    /// asks a run to stop unless it has ended or was asked already.
    fn cancel_run(&mut self, run: &RunView) {
        if !run.terminating && !run.is_completed() {
            self.act("terminate-analysis-run", Action::TerminateAnalysisRun { name: run.name.clone() });
        }
    }

    fn cancel(&mut self, run: Option<&RunView>) {
        if let Some(run) = run {
            self.cancel_run(run);
        }
    }

    /// What the phase of a current run means for the update.
    fn judge(&mut self, run: Option<&RunView>, what: &str) {
        let Some(run) = run else { return };
        match run.phase {
            Some(AnalysisPhase::Inconclusive) => self.pause.add(PauseReason::InconclusiveAnalysis),
            Some(AnalysisPhase::Error | AnalysisPhase::Failed) => {
                let mut cause = format!("{what} phase error/failed");
                if !run.message.is_empty() {
                    cause = format!("{cause}: {}", run.message);
                }
                self.pause.abort(cause);
            }
            Some(AnalysisPhase::Successful) => {}
            None | Some(AnalysisPhase::Pending | AnalysisPhase::Running) => self.block_on_run(run, what),
        }
    }

    fn block_on_run(&mut self, run: &RunView, what: &str) {
        self.block(
            "analysis-running",
            BlockerOwner::Analysis,
            None,
            format!("{what}: AnalysisRun {} to end", run.name),
        );
    }

    fn is_paused_inconclusive(&self) -> bool {
        pause::find(self.ro, &PauseReason::InconclusiveAnalysis).is_some()
    }

    /// whether a due analysis starts a run although it may have one.
    fn needs_new_run(&self, current: Option<&RunView>) -> bool {
        let Some(current) = current else { return true };
        let status = &self.ro.status;
        if status.controller_pause
            && pause::find(self.ro, &PauseReason::CanaryPauseStep).is_none()
            && pause::find(self.ro, &PauseReason::BlueGreenPause).is_none()
        {
            return current.phase == Some(AnalysisPhase::Inconclusive);
        }
        status.aborted_at.is_some()
    }

    /// The run of the current analysis step.
    fn reconcile_step_run(&mut self) -> Option<RunView> {
        let current = self.runs.step.clone();
        if !self.ro.status.pause_conditions.is_empty() || self.ro.status.abort {
            return current;
        }
        let index = self.ro.step_index();
        let analysis = self
            .ro
            .current_step()
            .and_then(|step| step.analysis.as_ref())
            .filter(|analysis| !analysis.templates.is_empty());
        let (Some(analysis), Some(index)) = (analysis, index) else {
            self.cancel(current.as_ref());
            return None;
        };
        let of_another_step =
            current.as_ref().is_some_and(|run| run.step_index.as_deref() != Some(index.to_string().as_str()));
        if of_another_step {
            self.cancel(current.as_ref());
            return None;
        }
        if self.needs_new_run(current.as_ref()) {
            return self.start_run(analysis, RunRole::Step(index)).or(current);
        }
        self.judge(current.as_ref(), "Step-based analysis");
        current
    }

    /// The run beside the steps.
    fn reconcile_background_run(&mut self) -> Option<RunView> {
        let current = self.runs.background.clone();
        let analysis = self
            .ro
            .canary()
            .and_then(|canary| canary.analysis.as_ref())
            .map(|background| &background.analysis)
            .filter(|analysis| !analysis.templates.is_empty());
        let Some(analysis) = analysis else {
            self.cancel(current.as_ref());
            return None;
        };
        if self.ro.status.current_pod_hash.is_empty() || steps::is_before_starting_step(self.ro) {
            return None;
        }
        if self.is_paused_inconclusive() {
            return current;
        }
        if self.needs_new_run(current.as_ref()) {
            return self.start_run(analysis, RunRole::Background).or(current);
        }
        if let Some(run) = &current
            && run.is_completed()
        {
            self.judge(Some(run), "Background analysis");
        }
        current
    }

    /// The run before the active Service is switched.
    fn reconcile_pre_promotion(&mut self) -> Option<RunView> {
        let current = self.runs.pre.clone();
        let analysis = self.ro.blue_green().and_then(|strategy| strategy.pre_promotion_analysis.as_ref());
        let Some(analysis) = analysis.filter(|analysis| !analysis.templates.is_empty()) else {
            self.cancel(current.as_ref());
            return None;
        };
        let hash = self.new_hash();
        let active = self.ro.status.blue_green.active_selector.as_str();
        if self.ro.status.stable_rs == hash || active.is_empty() || active == hash || hash.is_empty() {
            self.cancel(current.as_ref());
            return current;
        }
        let needed = self.needs_new_run(current.as_ref());
        // A retry waits for the preview like the first attempt did (B-11); what the last run found no longer counts.
        if needed && !self.is_preview_at_size() {
            return None;
        }
        if self.is_paused_inconclusive() || !needed {
            return current;
        }
        self.start_run(analysis, RunRole::PrePromotion).or(current)
    }

    /// the preview has the size pre-promotion analysis starts at.
    fn is_preview_at_size(&self) -> bool {
        let Some(new) = self.sets.new else { return false };
        match self.ro.blue_green().and_then(|strategy| strategy.preview_replica_count) {
            Some(count) if !self.ro.status.blue_green.scale_up_preview_check_point => {
                new.replicas() == count && new.status.available_replicas == count
            }
            _ => replica_sets::is_saturated(new, self.replicas),
        }
    }

    /// Whether post-promotion analysis applies now.
    pub(crate) fn post_promotion_applies(&self) -> bool {
        let hash = self.new_hash();
        let status = &self.ro.status;
        if status.stable_rs == hash || status.blue_green.active_selector != hash || hash.is_empty() {
            return false;
        }
        self.runs.post.is_some()
            || self.sets.new.is_some_and(|new| replica_sets::is_saturated(new, self.replicas))
    }

    /// The run after the active Service was switched.
    fn reconcile_post_promotion(&mut self) -> Option<RunView> {
        let current = self.runs.post.clone();
        let analysis = self.ro.blue_green().and_then(|strategy| strategy.post_promotion_analysis.as_ref());
        let Some(analysis) = analysis.filter(|analysis| !analysis.templates.is_empty()) else {
            self.cancel(current.as_ref());
            return None;
        };
        if !self.post_promotion_applies() {
            self.cancel(current.as_ref());
            // What failed before a retry does not fail it again (analysis B-22).
            return current.filter(|_| self.ro.status.aborted_at.is_none());
        }
        if self.is_paused_inconclusive() || !self.needs_new_run(current.as_ref()) {
            return current;
        }
        self.start_run(analysis, RunRole::PostPromotion).or(current)
    }

    /// Starts a run, or finds the equal one that is under way. What cannot be started is named.
    fn start_run(&mut self, analysis: &RolloutAnalysis, role: RunRole) -> Option<RunView> {
        let rollout_json = serde_json::to_value(self.ro).unwrap_or_default();
        let hashes = PodHashes {
            latest: replica_sets::hash(self.sets.new),
            stable: self.sets.stable.map(|set| set.pod_hash()),
        };
        let catalog = Catalog {
            namespaced: &self.snap.analysis_templates,
            cluster: &self.snap.cluster_analysis_templates,
        };
        let mut rollout = self.ro.clone();
        rollout.metadata.annotations.insert(names::REVISION.to_owned(), self.revision.to_string());
        let placed =
            build_rollout_run(&rollout, &rollout_json, analysis, role, hashes, catalog).and_then(|run| {
                let placement = place_run(run, &self.snap.analysis_runs, &self.snap.failures);
                let view = match &placement {
                    Placement::Adopt(name) => self
                        .snap
                        .analysis_runs
                        .iter()
                        .find(|run| run.metadata.name == *name)
                        .map(RunView::from),
                    Placement::Create(run) => Some(RunView::from(run)),
                };
                Ok((view, placement.into_action()?))
            });
        match placed {
            Ok((view, action)) => {
                if let Some(action) = action {
                    self.act("start-analysis-run", action);
                }
                if let Some(view) = &view {
                    self.block_on_run(view, role.label());
                }
                view
            }
            Err(error) => {
                let retry = self.in_seconds(RETRY_SECONDS);
                self.wake_by(retry);
                self.warn_while(
                    "ReconciliationError",
                    format!(
                        "Reconciliation failed with error: {} Analysis Run cannot be started: {error}",
                        role.label()
                    ),
                );
                self.block(
                    "analysis-not-startable",
                    BlockerOwner::Person,
                    Some(retry),
                    format!("the {} analysis to be startable: {error}", role.label()),
                );
                None
            }
        }
    }

    /// other runs are stopped, and deleted once they are history.
    fn clean_up_runs(&mut self) {
        let current: BTreeSet<String> = self.runs.all().map(|run| run.name.clone()).collect();
        let others: Vec<&AnalysisRun> = self
            .snap
            .analysis_runs
            .iter()
            .filter(|run| !current.contains(&run.metadata.name))
            .filter(|run| run.metadata.is_controlled_by(&self.ro.metadata.uid))
            .collect();
        // A run that the status names and that is being cancelled above was dealt with.
        let named: BTreeSet<String> = Runs::of(self.snap).all().map(|run| run.name.clone()).collect();
        for run in &others {
            if named.contains(&run.metadata.name) {
                continue;
            }
            if self.was_just_started(run) {
                self.wake_in(JUST_STARTED_SECONDS);
            } else {
                self.cancel_run(&RunView::from(*run));
            }
        }
        for run in super::history::runs_to_delete(self.ro, &others, &self.sets.all) {
            let (name, uid) = (run.metadata.name.clone(), run.metadata.uid.clone());
            self.act("delete-analysis-run", Action::DeleteAnalysisRun { name, uid });
        }
    }

    /// Whether a run of this update was made a moment ago: the write that would name it may have been refused, and the
    /// step it belongs to is taken up again before long.
    fn was_just_started(&self, run: &AnalysisRun) -> bool {
        let goes_on = !self.is_aborted() && !self.promotes_fully() && !self.ro.is_fully_promoted();
        let created = run.metadata.creation_timestamp;
        goes_on
            && run.metadata.label(names::POD_TEMPLATE_HASH) == Some(self.new_hash())
            && created.is_some_and(|created| created.plus_seconds(JUST_STARTED_SECONDS) > self.now)
    }

    /// an event for each phase change of a current run.
    fn tell_runs(&mut self) {
        let stored = self.ro.status.clone();
        let runs = self.runs.clone();
        for (before, now, what) in [
            (
                &stored.blue_green.post_promotion_analysis_run_status,
                &runs.post,
                names::ROLLOUT_TYPE_POST_PROMOTION,
            ),
            (
                &stored.blue_green.pre_promotion_analysis_run_status,
                &runs.pre,
                names::ROLLOUT_TYPE_PRE_PROMOTION,
            ),
            (&stored.canary.current_step_analysis_run_status, &runs.step, names::ROLLOUT_TYPE_STEP),
            (
                &stored.canary.current_background_analysis_run_status,
                &runs.background,
                names::ROLLOUT_TYPE_BACKGROUND,
            ),
        ] {
            let Some(run) = now else { continue };
            let Some(phase) = run.phase else { continue };
            let previous = match before {
                None => "NoPreviousStatus",
                Some(known) if known.name == run.name && known.status != Some(phase) => {
                    known.status.map_or("", AnalysisPhase::as_str)
                }
                Some(_) => continue,
            };
            let bad = matches!(phase, AnalysisPhase::Failed | AnalysisPhase::Error);
            let message =
                format!("{what} Analysis Run '{}' Status New: '{phase}' Previous: '{previous}'", run.name);
            let event_type = if bad { EventType::Warning } else { EventType::Normal };
            self.emit(event_type, &format!("AnalysisRun{phase}"), message);
        }
    }
}
