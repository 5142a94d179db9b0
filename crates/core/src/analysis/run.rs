//! One round of an AnalysisRun: fold in answers, look after Jobs, assess, ask what is due, write what changed.

use std::collections::{BTreeMap, BTreeSet};

use glidepath_api::{AnalysisPhase, AnalysisRunStatus, Argument, Metric, Time};
use jiff::Timestamp;

use super::expiry::expires_at;
use super::job::{self, JobStep};
use super::measurement::{is_recorded, measurement_of, record};
use super::patch::status_patch;
use super::phases::{assess_run, completion_event, is_terminating, result_of};
use super::redaction::stored_text;
use super::schedule::{Due, due};
use super::substitution::resolve_metric;
use super::validation::{dry_run_metrics, retained_measurements, validate_metrics};
use crate::guard::guard_run;
use crate::plan::{Action, Ask, Blocker, BlockerOwner, Plan};
use crate::snapshot::{AnalysisSnapshot, Answer};

/// Measurements kept per metric unless a rule says otherwise.
const DEFAULT_RETENTION: usize = 10;

/// What a secret is replaced by where its value must not matter.
const SECRET_STAND_IN: &str = "temp-for-secret";

/// Decides about one AnalysisRun.
///
/// The first status is written once the first answer is there, so that a run of one measurement costs one write;
/// a run that waits for an initial delay shows itself at once.
#[must_use]
pub fn decide(snapshot: &AnalysisSnapshot) -> Plan {
    guard_run(snapshot, plan_round(snapshot))
}

fn plan_round(snapshot: &AnalysisSnapshot) -> Plan {
    let run = &snapshot.run;
    if run.metadata.is_deleting() {
        return Plan::default();
    }
    if run.status.phase.is_some_and(AnalysisPhase::completed) {
        return plan_expiry(snapshot);
    }
    match Round::open(snapshot) {
        Ok(mut round) => {
            round.fold_answers();
            round.look_after_jobs();
            round.assess();
            round.trim();
            round.schedule();
            round.close()
        }
        Err(message) => plan_error(snapshot, message),
    }
}

fn plan_expiry(snapshot: &AnalysisSnapshot) -> Plan {
    let mut plan = Plan::default();
    let metadata = &snapshot.run.metadata;
    match expires_at(&snapshot.run) {
        Some(at) if at <= snapshot.now => plan.push(
            "delete-expired-run",
            Action::DeleteAnalysisRun { name: metadata.name.clone(), uid: metadata.uid.clone() },
        ),
        Some(at) => plan.wake_by(at),
        None => {}
    }
    plan
}

/// The run ends before it is assessed. Unlike the reference it is stamped as completed, so that it can expire (B-24).
fn plan_error(snapshot: &AnalysisSnapshot, message: String) -> Plan {
    let phase = AnalysisPhase::Error;
    let status = AnalysisRunStatus {
        phase: Some(phase),
        message,
        completed_at: Some(Time::new(snapshot.now)),
        ..snapshot.run.status.clone()
    };
    let mut plan = Plan::default();
    plan.push(
        "report-run-completed",
        Action::Emit(completion_event("AnalysisRun", "Analysis Completed", phase)),
    );
    push_status(&mut plan, &snapshot.run.status, &status);
    plan
}

fn push_status(plan: &mut Plan, stored: &AnalysisRunStatus, wanted: &AnalysisRunStatus) {
    if let Some(patch) = status_patch(stored, wanted) {
        plan.push("update-status", Action::PatchStatus { patch });
    }
}

/// What a round knows and builds.
struct Round<'a> {
    snapshot: &'a AnalysisSnapshot,
    /// Metrics with arguments filled in and stand-ins for secrets: what is validated, scheduled and named.
    metrics: Vec<Metric>,
    /// The same metrics with secrets: what is measured.
    filled: Vec<Metric>,
    secrets: Vec<String>,
    dry_run: BTreeSet<String>,
    kept: BTreeMap<String, i32>,
    /// Whether the run was on its way to its end before this round.
    terminating: bool,
    status: AnalysisRunStatus,
    completed: bool,
    plan: Plan,
}

impl<'a> Round<'a> {
    /// Resolves and validates in the order of the reference; the first complaint ends the run.
    fn open(snapshot: &'a AnalysisSnapshot) -> Result<Self, String> {
        let spec = &snapshot.run.spec;
        let unresolved = |error: String| format!("Unable to resolve metric arguments: {error}");
        let invalid = |error: String| format!("Analysis spec invalid: {error}");
        let stand_ins: Vec<Argument> = spec
            .args
            .iter()
            .map(|arg| with_secret(arg, || Ok(SECRET_STAND_IN.to_owned())))
            .collect::<Result<_, _>>()?;
        let resolve = |args: &[Argument]| -> Result<Vec<Metric>, String> {
            spec.metrics.iter().map(|metric| resolve_metric(metric, args)).collect()
        };
        let metrics = resolve(&stand_ins).map_err(unresolved)?;
        validate_metrics(&metrics).map_err(invalid)?;
        let dry_run = dry_run_metrics(&spec.dry_run, &metrics).map_err(invalid)?;
        let kept = retained_measurements(&spec.measurement_retention, &metrics).map_err(invalid)?;
        let args: Vec<Argument> = spec
            .args
            .iter()
            .map(|arg| with_secret(arg, || read_secret(snapshot, &arg.name)))
            .collect::<Result<_, _>>()
            .map_err(unresolved)?;
        let secrets: Vec<String> = snapshot.secrets.values().filter_map(|value| value.clone().ok()).collect();
        let mut filled = resolve(&args).map_err(|error| unresolved(stored_text(&error, &secrets)))?;
        for (filled, metric) in filled.iter_mut().zip(&metrics) {
            filled.name.clone_from(&metric.name);
        }
        Ok(Self {
            snapshot,
            metrics,
            filled,
            secrets,
            dry_run,
            kept,
            terminating: is_terminating(spec.terminate, &snapshot.run.status),
            status: snapshot.run.status.clone(),
            completed: false,
            plan: Plan::default(),
        })
    }

    fn now(&self) -> Timestamp {
        self.snapshot.now
    }

    fn due(&self, metric: &Metric, terminating: bool) -> Due {
        let started = self.status.started_at.unwrap_or_else(|| Time::new(self.now()));
        due(metric, result_of(&self.status, &metric.name), started, terminating, self.now())
    }

    fn fold_answers(&mut self) {
        let mut answers: Vec<&Answer> = self.snapshot.answers.iter().collect();
        answers
            .sort_by(|left, right| (left.finished_at, &left.metric).cmp(&(right.finished_at, &right.metric)));
        for answer in answers {
            let Some(metric) = self.filled.iter().find(|metric| metric.name == answer.metric) else {
                continue;
            };
            let ended = result_of(&self.status, &metric.name)
                .is_some_and(|result| result.phase.is_some_and(AnalysisPhase::completed));
            if ended || is_recorded(&self.status, &metric.name, Time::new(answer.started_at)) {
                continue;
            }
            let measurement = measurement_of(answer, metric, &self.secrets);
            let dry = self.dry_run.contains(&metric.name);
            record(&mut self.status, metric, dry, &self.secrets, measurement);
        }
    }

    /// Jobs are begun, looked at and ended here; all else is asked of providers.
    fn look_after_jobs(&mut self) {
        for index in 0..self.filled.len() {
            let metric = &self.filled[index];
            if metric.provider.job.is_none() {
                continue;
            }
            let due = self.due(&self.metrics[index], self.terminating);
            let Some(step) = self.job_step(metric, due) else { continue };
            if let Some(action) = step.action {
                let reason =
                    if matches!(action, Action::CreateJob { .. }) { "measure-by-job" } else { "end-job" };
                self.plan.push(reason, action);
            }
            let mut measurement = step.measurement;
            measurement.message = stored_text(&measurement.message, &self.secrets);
            let dry = self.dry_run.contains(&metric.name);
            record(&mut self.status, metric, dry, &self.secrets, measurement);
        }
    }

    fn job_step(&self, metric: &Metric, due: Due) -> Option<JobStep> {
        let AnalysisSnapshot { run, jobs, job_pods, failures, now, .. } = self.snapshot;
        let result = result_of(&self.status, &metric.name);
        let last = result.and_then(|result| result.measurements.last());
        match (due, last) {
            (Due::Measure, _) => Some(job::begin(run, metric, result, jobs, failures, *now)),
            (Due::Resume, Some(last)) if self.terminating => Some(job::terminate(last, jobs, failures, *now)),
            // A Job that is finished is taken note of at once, whatever resumeAt says (B-28).
            (Due::Resume | Due::Later(_), Some(last)) if last.finished_at.is_none() => {
                job::resume(last, jobs, job_pods, *now)
                    .map(|measurement| JobStep { action: None, measurement })
            }
            _ => None,
        }
    }

    fn assess(&mut self) {
        let requested = self.snapshot.run.spec.terminate;
        self.status.started_at.get_or_insert(Time::new(self.snapshot.now));
        let assessment = assess_run(requested, &self.metrics, &self.dry_run, &mut self.status);
        for event in assessment.events {
            self.plan.push("report-metric-completed", Action::Emit(event));
        }
        self.completed = assessment.phase.completed();
        if self.status.phase == Some(assessment.phase) {
            return;
        }
        self.status.phase = Some(assessment.phase);
        self.status.message = assessment.message;
        if self.completed {
            self.status.completed_at.get_or_insert(Time::new(self.snapshot.now));
            let event = completion_event("AnalysisRun", "Analysis Completed", assessment.phase);
            self.plan.push("report-run-completed", Action::Emit(event));
        }
    }

    /// Keeps the newest measurements; Jobs of those that go, go too.
    fn trim(&mut self) {
        for result in &mut self.status.metric_results {
            let Some(metric) = self.metrics.iter().find(|metric| metric.name == result.name) else {
                continue;
            };
            let rule = self.kept.get(&result.name).and_then(|limit| usize::try_from(*limit).ok());
            let limit = rule.filter(|limit| *limit > 0).unwrap_or(DEFAULT_RETENTION);
            if result.measurements.len() <= limit {
                continue;
            }
            result.measurements.drain(..result.measurements.len() - limit);
            if metric.provider.job.is_some() {
                for job in job::surplus(result, &self.snapshot.jobs) {
                    let (name, uid) = (job.metadata.name.clone(), job.metadata.uid.clone());
                    self.plan.push("delete-job-of-trimmed-measurement", Action::DeleteJob { name, uid });
                }
            }
        }
    }

    /// Asks what is due, arms the timer for what will be, and names what the run waits for.
    fn schedule(&mut self) {
        if self.completed {
            return;
        }
        let terminating = is_terminating(self.snapshot.run.spec.terminate, &self.status);
        let mut waits: Vec<Wait> = Vec::new();
        for index in 0..self.metrics.len() {
            let metric = &self.metrics[index];
            let due = self.due(metric, terminating);
            let name = metric.name.clone();
            if self.filled[index].provider.job.is_some() {
                waits.extend(self.wait_for_job(&name, due));
            } else if self.snapshot.in_flight.contains(&name) {
                waits.push(Wait::Answer(name));
            } else if due == Due::Measure || (due == Due::Resume && !terminating) {
                self.plan
                    .asks
                    .push(Ask { metric: self.filled[index].clone(), secrets: self.secrets.clone() });
                waits.push(Wait::Answer(name));
            } else if let Due::Later(at) = due {
                self.plan.wake_by(at);
                waits.push(Wait::Moment(name, at));
            }
        }
        if terminating {
            // The next round ends what is left; the write of this one's status brings it about as well.
            self.plan.wake_by(self.now());
            waits.clear();
        }
        self.plan.blocker = Some(blocker(waits));
    }

    fn wait_for_job(&mut self, name: &str, due: Due) -> Option<Wait> {
        let last = result_of(&self.status, name).and_then(|result| result.measurements.last());
        if let Some(last) = last.filter(|last| last.finished_at.is_none()) {
            let at = job::look_again(last, self.now());
            self.plan.wake_by(at);
            return Some(Wait::Job(name.to_owned(), at));
        }
        match due {
            Due::Later(at) => {
                self.plan.wake_by(at);
                Some(Wait::Moment(name.to_owned(), at))
            }
            _ => None,
        }
    }

    fn close(mut self) -> Plan {
        let stored = &self.snapshot.run.status;
        let everything_asked = !self.completed
            && stored.started_at.is_none()
            && self.status.metric_results.is_empty()
            && self.plan.wake_at.is_none()
            && (!self.plan.asks.is_empty() || !self.snapshot.in_flight.is_empty());
        if !everything_asked {
            push_status(&mut self.plan, stored, &self.status);
        }
        if self.completed {
            let done = glidepath_api::AnalysisRun { status: self.status, ..self.snapshot.run.clone() };
            if let Some(at) = expires_at(&done) {
                self.plan.wake_by(at);
            }
        }
        self.plan
    }
}

/// What one metric waits for.
enum Wait {
    Answer(String),
    Job(String, Timestamp),
    Moment(String, Timestamp),
}

/// The blocker of the run: the wait that others can do something about comes first.
fn blocker(waits: Vec<Wait>) -> Blocker {
    let rank = |wait: &Wait| match wait {
        Wait::Answer(_) => (0, Timestamp::MIN),
        Wait::Job(_, at) => (1, *at),
        Wait::Moment(_, at) => (2, *at),
    };
    let (name, waiting_for, owner, deadline) = match waits.into_iter().min_by_key(rank) {
        Some(Wait::Answer(metric)) => (
            "measurement-in-flight",
            format!("the provider of metric '{metric}' to answer"),
            BlockerOwner::Analysis,
            None,
        ),
        Some(Wait::Job(metric, at)) => (
            "job-running",
            format!("the Job of metric '{metric}' to finish"),
            BlockerOwner::Cluster,
            Some(at),
        ),
        Some(Wait::Moment(metric, at)) => (
            "next-measurement",
            format!("the next measurement of metric '{metric}'"),
            BlockerOwner::Clock,
            Some(at),
        ),
        None => (
            "ending-metrics",
            "the remaining metrics to be ended in the next round".to_owned(),
            BlockerOwner::Controller,
            None,
        ),
    };
    Blocker { name: name.to_owned(), waiting_for, owner, deadline }
}

/// An argument with its secret, if it refers to one, in the place of its value.
fn with_secret(arg: &Argument, read: impl FnOnce() -> Result<String, String>) -> Result<Argument, String> {
    let is_secret = arg.value_from.as_ref().is_some_and(|from| from.secret_key_ref.is_some());
    if !is_secret {
        return Ok(arg.clone());
    }
    Ok(Argument { name: arg.name.clone(), value: Some(read()?), value_from: None })
}

fn read_secret(snapshot: &AnalysisSnapshot, arg: &str) -> Result<String, String> {
    let missing = || Err(format!("argument \"{arg}\" was not supplied"));
    snapshot.secrets.get(arg).cloned().unwrap_or_else(missing)
}
