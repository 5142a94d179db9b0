//! One round of an Experiment, and what its parts share.

use glidepath_api::{
    AnalysisPhase, Experiment, ExperimentAnalysisRunStatus, ExperimentStatus, TemplateStatus,
    TemplateStatusCode, Time,
};
use glidepath_gocompat::duration;
use jiff::{SignedDuration, Timestamp};

use super::{conditions, validation};
use crate::analysis::{after, status_patch};
use crate::guard::guard_experiment;
use crate::plan::{Action, Blocker, BlockerOwner, Event, EventType, PODS_NOT_READY, Plan};
use crate::snapshot::{ExperimentSnapshot, Failure};

/// Deadlines pass strictly after their moment; this much later they have.
pub(super) const JUST_AFTER: SignedDuration = SignedDuration::from_millis(1);

/// Decides about one Experiment.
#[must_use]
pub fn decide(snapshot: &ExperimentSnapshot) -> Plan {
    guard_experiment(snapshot, plan_round(snapshot))
}

fn plan_round(snapshot: &ExperimentSnapshot) -> Plan {
    if snapshot.experiment.metadata.is_deleting() {
        return Plan::default();
    }
    let mut round = Round::new(snapshot);
    if let Err(message) = validation::validate(&snapshot.experiment) {
        conditions::set_invalid(&mut round.status, &message, snapshot.now);
        round.block(
            "invalid-spec",
            format!("a person to correct the spec: {message}"),
            BlockerOwner::Person,
            None,
        );
        return round.close();
    }
    if let Some(template) = round.ambiguous_template() {
        let text = format!("a person to remove all but one ReplicaSet of template '{template}'");
        round.block("ambiguous-replica-sets", text, BlockerOwner::Person, None);
        return round.close();
    }
    for template in &snapshot.experiment.spec.templates {
        round.reconcile_template(template);
    }
    for analysis in &snapshot.experiment.spec.analyses {
        round.reconcile_analysis(analysis);
    }
    round.assess();
    round.schedule();
    round.close()
}

/// What a round knows and builds.
pub(super) struct Round<'a> {
    pub(super) snapshot: &'a ExperimentSnapshot,
    pub(super) status: ExperimentStatus,
    pub(super) terminating: bool,
    pub(super) plan: Plan,
}

impl<'a> Round<'a> {
    fn new(snapshot: &'a ExperimentSnapshot) -> Self {
        Self {
            snapshot,
            status: snapshot.experiment.status.clone(),
            terminating: is_terminating(&snapshot.experiment, &snapshot.experiment.status),
            plan: Plan::default(),
        }
    }

    pub(super) fn experiment(&self) -> &'a Experiment {
        &self.snapshot.experiment
    }

    pub(super) fn now(&self) -> Timestamp {
        self.snapshot.now
    }

    pub(super) fn moment(&self) -> Time {
        Time::new(self.snapshot.now)
    }

    pub(super) fn emit(&mut self, event_type: EventType, reason: &str, message: String) {
        let event = Event { event_type, reason: reason.to_owned(), message };
        self.plan.push("report", Action::Emit(event));
    }

    /// Names what is waited for; the first name given in a round stays.
    pub(super) fn block(
        &mut self,
        name: &str,
        waiting_for: String,
        owner: BlockerOwner,
        deadline: Option<Timestamp>,
    ) {
        let blocker = Blocker { name: name.to_owned(), waiting_for, owner, deadline };
        self.plan.blocker.get_or_insert(blocker);
    }

    /// A write of the last round that was refused for good: conflicts and hiccups are simply tried again.
    pub(super) fn refusal(&self, verb: &str, object: &str) -> Option<&'a Failure> {
        let is_final = |failure: &&Failure| !matches!(failure.code, 0 | 429 | 500..);
        self.snapshot
            .failures
            .iter()
            .filter(|failure| failure.verb == verb && failure.object == object)
            .find(|failure| is_final(failure) && (failure.code != 409 || failure.reason == "AlreadyExists"))
    }

    /// When the time of the Experiment is over, if it has begun and is limited.
    pub(super) fn ends_at(&self, status: &ExperimentStatus) -> Option<Timestamp> {
        let spec = &self.experiment().spec;
        let nanoseconds = duration::parse(&spec.duration).ok().filter(|_| !spec.duration.is_empty())?;
        let available = status.available_at?.timestamp();
        Some(after(available, SignedDuration::from_nanos(nanoseconds)))
    }

    /// Whether the time is over, by the stored status.
    pub(super) fn has_passed(&self) -> bool {
        self.ends_at(&self.experiment().status).is_some_and(|end| self.now() > end)
    }

    /// When a template that still lacks pods will have failed.
    pub(super) fn deadline_of(&self, status: &TemplateStatus) -> Timestamp {
        let since = status.last_transition_time.unwrap_or_else(|| self.moment()).timestamp();
        let seconds = i64::from(self.experiment().progress_deadline_seconds());
        after(since, SignedDuration::from_secs(seconds))
    }

    /// Arms the timer and names the wait.
    fn schedule(&mut self) {
        let completed = self.status.phase.is_some_and(AnalysisPhase::completed);
        if is_terminating(self.experiment(), &self.status) {
            if !self.terminating {
                // The next round begins to take things down; the write of this one's status brings it about as well.
                self.plan.wake_by(self.now());
            }
            if !completed {
                self.name_running_analysis();
                let text = "the versions and analyses to be ended".to_owned();
                self.block("ending", text, BlockerOwner::Controller, None);
            }
            return;
        }
        let end = self.ends_at(&self.status).map(|end| after(end, JUST_AFTER));
        if let Some(end) = end {
            self.plan.wake_by(end.max(self.now()));
        }
        self.schedule_templates();
        if self.status.phase == Some(AnalysisPhase::Pending) && self.experiment().status.phase.is_none() {
            self.plan.wake_by(self.now());
        }
        if let Some(end) = end {
            self.block(
                "experiment-duration",
                "the duration to pass".to_owned(),
                BlockerOwner::Clock,
                Some(end),
            );
        }
        self.name_running_analysis();
        let text = "somebody to terminate it: it has neither a duration nor a required analysis".to_owned();
        self.block("no-end", text, BlockerOwner::Person, None);
    }

    fn schedule_templates(&mut self) {
        let statuses = self.status.template_statuses.clone();
        for template in &self.experiment().spec.templates {
            let Some(status) = statuses.iter().find(|status| status.name == template.name) else { continue };
            let is_open =
                matches!(status.status, Some(TemplateStatusCode::Progressing | TemplateStatusCode::Running));
            if !is_open || status.available_replicas == template.replicas() {
                continue;
            }
            let deadline = after(self.deadline_of(status), JUST_AFTER);
            self.plan.wake_by(deadline);
            let text = format!(
                "template '{}' to have {} available pods (it has {})",
                template.name,
                template.replicas(),
                status.available_replicas
            );
            self.block(PODS_NOT_READY, text, BlockerOwner::Cluster, Some(deadline));
        }
    }

    fn name_running_analysis(&mut self) {
        let is_open = |run: &&ExperimentAnalysisRunStatus| !run.phase.is_some_and(AnalysisPhase::completed);
        if let Some(name) = self.status.analysis_runs.iter().find(is_open).map(|run| run.name.clone()) {
            let text = format!("analysis '{name}' to complete");
            self.block("analysis-running", text, BlockerOwner::Analysis, None);
        }
    }

    fn close(mut self) -> Plan {
        if self.status.phase.is_some_and(AnalysisPhase::completed) {
            self.plan.blocker = None;
        }
        if let Some(patch) = status_patch(&self.experiment().status, &self.status) {
            self.plan.push("update-status", Action::PatchStatus { patch });
        }
        self.plan
    }
}

/// Whether an Experiment is on its way to its end (§9.4).
pub(super) fn is_terminating(experiment: &Experiment, status: &ExperimentStatus) -> bool {
    let template_failed = |template: &TemplateStatus| {
        matches!(template.status, Some(TemplateStatusCode::Failed | TemplateStatusCode::Error))
    };
    let analysis_failed = |run: &ExperimentAnalysisRunStatus| {
        run.phase.is_some_and(|phase| phase.completed() && phase != AnalysisPhase::Successful)
    };
    experiment.spec.terminate
        || status.phase.is_some_and(AnalysisPhase::completed)
        || status.template_statuses.iter().any(template_failed)
        || status.analysis_runs.iter().any(analysis_failed)
        || required_succeeded(experiment, status)
}

/// Whether there are required analyses and all of them succeeded.
pub(super) fn required_succeeded(experiment: &Experiment, status: &ExperimentStatus) -> bool {
    let mut required =
        experiment.spec.analyses.iter().filter(|analysis| analysis.required_for_completion).peekable();
    let succeeded = |name: &str| {
        let run = status.analysis_runs.iter().find(|run| run.name == name);
        run.is_some_and(|run| run.phase == Some(AnalysisPhase::Successful))
    };
    required.peek().is_some() && required.all(|analysis| succeeded(&analysis.name))
}
