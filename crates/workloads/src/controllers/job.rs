//! Jobs: pods until enough have succeeded, or too many have failed, or the time is up.
//!
//! Not done: indexed completion, success policies.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::job_tally::{Failures, TRACKING, Tally, is_tracked, plan_memory};
use super::pod_set::{
    Claims, adopters_of, apply_claims, apply_creates, apply_deletes, gather_candidates, is_active,
    plan_claims, render_pod,
};
use super::replica_set::rank_for_deletion;
use super::{Context, Note, queue_controllers, queue_spec_changes, render_merge};
use crate::api::{DeleteOptions, Propagation, is_not_found};
use crate::cache::Cache;
use crate::object::{Key, Object, api_time, text};
use crate::queue::{Again, Queue};
use crate::resource::{JOBS, PODS};
use crate::selector::Selector;

const SOURCE: &str = "job-controller";
/// The key, within a namespace, of pods that lost their Job. No Job can have this name.
const ORPHANS: &str = "";
const FIRST_BACK_OFF: SignedDuration = SignedDuration::from_secs(10);
const LAST_BACK_OFF: SignedDuration = SignedDuration::from_secs(600);

/// What a Job needs done.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// How many pods to create now.
    pub create: usize,
    /// The pods to delete.
    pub delete: Vec<Object>,
    /// Whether the pods to delete count as failed: those of a Job that failed do, superfluous ones do not.
    pub deletes_fail: bool,
    /// The pods that are counted and may lose their finalizer.
    pub release: Vec<Object>,
    /// The status it should show; `null` stands for an absent field.
    pub status: Value,
    /// When something changes by the passing of time alone.
    pub next: Option<Timestamp>,
    /// Whether the Job itself has outlived its `ttlSecondsAfterFinished`.
    pub expired: bool,
}

/// How a Job ends: condition type, reason, message.
type Verdict = (&'static str, &'static str, Cow<'static, str>);

/// Decides what `job` needs, given the pods it owns and the failures of those it owned.
#[must_use]
pub fn plan_job(job: &Object, pods: &[Object], past: &Failures, now: Timestamp) -> Plan {
    let tally = Tally::of(job, pods, past);
    if let Some(finished) = finish_of(job) {
        return plan_finished(job, finished, now);
    }
    let suspended = job.flag("/spec/suspend");
    let started = job.time("/status/startTime").filter(|_| !suspended).or((!suspended).then_some(now));
    let verdict = decide_end(job, &tally, started, now);
    let release = tally.release.iter().map(|pod| (*pod).clone()).collect();
    let mut plan = Plan {
        create: 0,
        delete: Vec::new(),
        deletes_fail: false,
        release,
        status: Value::Null,
        next: None,
        expired: false,
    };
    if verdict.is_some() || suspended || job.is_deleting() {
        plan.deletes_fail = verdict.is_some();
        if !job.is_deleting() {
            plan.delete = tally.active.iter().map(|pod| (*pod).clone()).collect();
        }
    } else {
        plan_pods(job, &tally, now, &mut plan);
        let deadline = deadline(job, started);
        plan.next = [plan.next, deadline].into_iter().flatten().min();
    }
    plan.status = plan_status(job, &tally, verdict, started, now);
    plan
}

fn finish_of(job: &Object) -> Option<Timestamp> {
    let condition = job.list("/status/conditions").iter().find(|condition| {
        matches!(text(condition, "type"), "Complete" | "Failed") && text(condition, "status") == "True"
    })?;
    Some(text(condition, "lastTransitionTime").parse().unwrap_or(Timestamp::UNIX_EPOCH))
}

fn plan_finished(job: &Object, finished: Timestamp, now: Timestamp) -> Plan {
    let expiry = job
        .integer("/spec/ttlSecondsAfterFinished")
        .and_then(|seconds| finished.checked_add(SignedDuration::from_secs(seconds)).ok());
    let expired = expiry.is_some_and(|at| at <= now) && !job.is_deleting();
    Plan {
        create: 0,
        delete: Vec::new(),
        deletes_fail: false,
        release: Vec::new(),
        status: json!({}),
        next: expiry.filter(|at| *at > now),
        expired,
    }
}

fn deadline(job: &Object, started: Option<Timestamp>) -> Option<Timestamp> {
    let seconds = job.integer("/spec/activeDeadlineSeconds")?;
    started?.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn decide_end(
    job: &Object,
    tally: &Tally<'_>,
    started: Option<Timestamp>,
    now: Timestamp,
) -> Option<Verdict> {
    // A verdict once shown stands.
    for (shown, end) in [("FailureTarget", "Failed"), ("SuccessCriteriaMet", "Complete")] {
        if let Some(condition) = job.condition(shown) {
            let known = [BACK_OFF, DEADLINE, COMPLETED, POLICY];
            let reason = known.into_iter().find(|reason| *reason == text(condition, "reason"));
            return Some((end, reason.unwrap_or("Unknown"), text(condition, "message").to_owned().into()));
        }
    }
    let limit = job.integer("/spec/backoffLimit").unwrap_or(6);
    let on_failure = job.text("/spec/template/spec/restartPolicy") == Some("OnFailure");
    let restarted_out = on_failure && tally.restarts > 0 && tally.restarts >= limit;
    if let Some(why) = &tally.fatal {
        return Some(("Failed", POLICY, why.clone().into()));
    }
    if tally.failed > limit || restarted_out {
        return Some(("Failed", BACK_OFF, "Job has reached the specified backoff limit".into()));
    }
    if deadline(job, started).is_some_and(|at| at <= now) {
        return Some(("Failed", DEADLINE, "Job was active longer than specified deadline".into()));
    }
    let done = match job.integer("/spec/completions") {
        Some(completions) => tally.succeeded >= completions,
        None => tally.succeeded > 0 && tally.active.is_empty(),
    };
    (done && !job.flag("/spec/suspend"))
        .then(|| ("Complete", COMPLETED, "Reached expected number of succeeded pods".into()))
}

const BACK_OFF: &str = "BackoffLimitExceeded";
const DEADLINE: &str = "DeadlineExceeded";
const COMPLETED: &str = "CompletionsReached";
const POLICY: &str = "PodFailurePolicy";

fn plan_pods(job: &Object, tally: &Tally<'_>, now: Timestamp, plan: &mut Plan) {
    let parallelism = job.integer("/spec/parallelism").unwrap_or(1);
    let active = i64::try_from(tally.active.len()).unwrap_or(i64::MAX);
    let wanted = match job.integer("/spec/completions") {
        Some(completions) => parallelism.min(completions - tally.succeeded),
        None if tally.succeeded > 0 => active.min(parallelism),
        None => parallelism,
    };
    let surplus = usize::try_from(active - wanted).unwrap_or(0);
    plan.delete = rank_for_deletion(&tally.active).into_iter().take(surplus).cloned().collect();
    let replaced_late = match job.text("/spec/podReplacementPolicy") {
        Some(policy) => policy == "Failed",
        None => job.at("/spec/podFailurePolicy").is_some(),
    };
    let occupied = active + if replaced_late { tally.terminating } else { 0 };
    let missing = usize::try_from(wanted - occupied).unwrap_or(0);
    if missing == 0 {
        return;
    }
    match tally
        .last_failure
        .map(|at| at.saturating_add(back_off(tally.failures_in_a_row)).unwrap_or(Timestamp::MAX))
    {
        Some(at) if at > now => plan.next = Some(at),
        _ => plan.create = missing,
    }
}

fn back_off(failures: u32) -> SignedDuration {
    let factor = 1i32 << failures.saturating_sub(1).min(6);
    FIRST_BACK_OFF.saturating_mul(factor).min(LAST_BACK_OFF)
}

fn plan_status(
    job: &Object,
    tally: &Tally<'_>,
    verdict: Option<Verdict>,
    started: Option<Timestamp>,
    now: Timestamp,
) -> Value {
    let counted = |count: i64| if count == 0 { Value::Null } else { json!(count) };
    let active = i64::try_from(tally.active.len()).unwrap_or(i64::MAX);
    let over = verdict.clone().filter(|_| active == 0 && tally.terminating == 0 && tally.is_settled());
    let (succeeded, failed, uncounted) = tally.counters();
    let mut conditions = job.list("/status/conditions").to_vec();
    let mut add = |kind: &str, status: &str, reason: &str, message: &str| {
        let shown = conditions
            .iter()
            .any(|condition| text(condition, "type") == kind && text(condition, "status") == status);
        if !shown {
            conditions.retain(|condition| text(condition, "type") != kind);
            let now = api_time(now);
            conditions.push(json!({"type": kind, "status": status, "lastProbeTime": now, "lastTransitionTime": now, "reason": reason, "message": message}));
        }
    };
    if let Some((kind, reason, message)) = verdict {
        add(if kind == "Failed" { "FailureTarget" } else { "SuccessCriteriaMet" }, "True", reason, &message);
    }
    if let Some((kind, reason, message)) = &over {
        add(kind, "True", reason, message);
    }
    if job.flag("/spec/suspend") {
        add("Suspended", "True", "JobSuspended", "Job suspended");
    } else if job.condition("Suspended").is_some() {
        add("Suspended", "False", "JobResumed", "Job resumed");
    }
    json!({
        "active": counted(active),
        "ready": tally.ready,
        "terminating": tally.terminating,
        "succeeded": counted(succeeded),
        "failed": counted(failed),
        "startTime": started.map(api_time),
        "completionTime": over.filter(|(kind, ..)| *kind == "Complete").map(|_| api_time(now)),
        "conditions": if conditions.is_empty() { Value::Null } else { json!(conditions) },
        "uncountedTerminatedPods": uncounted,
    })
}

/// The pod a Job creates: its template with the labels by which Jobs find their pods.
fn render_job_pod(job: &Object) -> Value {
    let template = job.at("/spec/template").cloned().unwrap_or_default();
    let mut pod = render_pod(&JOBS, job, &template);
    pod["metadata"]["finalizers"] = json!([TRACKING]);
    for prefix in ["batch.kubernetes.io/", ""] {
        pod["metadata"]["labels"][format!("{prefix}controller-uid")] = json!(job.uid());
        pod["metadata"]["labels"][format!("{prefix}job-name")] = json!(job.name());
    }
    pod
}

fn selector_of(job: &Object) -> Option<Selector> {
    let own = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": job.uid()}});
    Selector::from_label_selector(job.at("/spec/selector"))
        .or_else(|| Selector::from_label_selector(Some(&own)))
}

/// What the controller remembers between looks.
#[derive(Default)]
struct Memory {
    lost: LostJobs,
    failures: Mutex<HashMap<String, Failures>>,
}

impl Memory {
    /// Notes the failures seen now and tells all that matter.
    fn recall(&self, job: &Object, pods: &[Object]) -> Failures {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.remove(job.uid()).unwrap_or_default();
        let failures = plan_memory(job, pods, &known);
        if !failures.is_empty() {
            all.insert(job.uid().to_owned(), failures.clone());
        }
        failures
    }

    fn forget(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// UIDs of Jobs that are gone while pods may still wait to be counted.
type LostJobs = Mutex<HashMap<Key, BTreeSet<String>>>;

/// Runs the controller until it is dropped.
pub async fn run(context: Context) {
    let queue = Queue::new();
    let jobs = context.hub.cache(&JOBS);
    let pods = context.hub.cache(&PODS);
    let memory: Arc<Memory> = Arc::default();
    let (losses, again) = (Arc::clone(&memory), Arc::clone(&queue));
    jobs.subscribe(move |change| {
        if let Some(old) =
            change.old.as_ref().filter(|old| change.new.as_ref().is_none_or(|new| new.uid() != old.uid()))
        {
            losses.forget(old.uid());
            again.add(Key::new(old.namespace(), ORPHANS));
            losses
                .lost
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(old.key())
                .or_default()
                .insert(old.uid().to_owned());
        }
    });
    queue_spec_changes(&jobs, &queue);
    queue_controllers(&pods, "Job", &queue);
    let orphans = (Arc::clone(&queue), Arc::clone(&jobs));
    pods.subscribe(move |change| {
        let Some(pod) = change.new.as_ref().filter(|pod| pod.controller().is_none()) else { return };
        let adopters = if is_active(pod) { adopters_of(&orphans.1, pod) } else { Vec::new() };
        if adopters.is_empty() && is_tracked(pod) {
            // Nobody will ever count it.
            orphans.0.add(Key::new(pod.namespace(), ORPHANS));
        }
        adopters.into_iter().for_each(|key| orphans.0.add(key));
    });
    jobs.wait_synced().await;
    pods.wait_synced().await;
    // Jobs may have gone while nobody looked.
    for pod in pods.list(None).iter().filter(|pod| is_tracked(pod)) {
        if let Some(owner) = pod.controller().filter(|owner| owner.kind == "Job") {
            let key = Key::new(pod.namespace(), owner.name);
            if jobs.get(&key).is_none_or(|job| job.uid() != owner.uid) {
                memory
                    .lost
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(key)
                    .or_default()
                    .insert(owner.uid.to_owned());
            }
        }
    }
    queue.drive(8, |key| reconcile(&context, &jobs, &pods, &memory, key)).await;
}

async fn reconcile(
    context: &Context,
    jobs: &Cache,
    pods: &Cache,
    memory: &Memory,
    key: Key,
) -> kube::Result<Again> {
    if key.name == ORPHANS {
        let orphans: Vec<Object> = pods.controlled_by("");
        let is_orphan = |pod: &Object| {
            pod.namespace() == key.namespace && is_tracked(pod) && adopters_of(jobs, pod).is_empty()
        };
        let orphans: Vec<Object> = orphans.into_iter().filter(is_orphan).collect();
        return apply_releases(context, pods, &orphans).await.map(|()| None);
    }
    let lost = &memory.lost;
    let uids = lost.lock().unwrap_or_else(PoisonError::into_inner).remove(&key).unwrap_or_default();
    let orphans: Vec<Object> =
        uids.iter().flat_map(|uid| pods.controlled_by(uid)).filter(is_tracked).collect();
    if let Err(error) = apply_releases(context, pods, &orphans).await {
        lost.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().extend(uids);
        return Err(error);
    }
    let Some(job) = jobs.get(&key) else { return Ok(None) };
    let claims = selector_of(&job).map_or_else(Claims::default, |selector| {
        plan_claims(&job, &selector, &gather_candidates(pods, &job))
    });
    apply_claims(context, pods, &JOBS, &job, &claims).await?;
    let past = memory.recall(&job, &claims.owned);
    let plan = plan_job(&job, &claims.owned, &past, context.clock.now());
    if plan.expired {
        return apply_expiry(context, &job).await.map(|()| None);
    }
    if !plan.deletes_fail {
        apply_releases(context, pods, &plan.delete).await?;
    }
    apply_deletes(context, pods, &JOBS, &job, &plan.delete, SOURCE).await?;
    if plan.create > 0 {
        apply_creates(context, pods, &JOBS, &job, &render_job_pod(&job), plan.create, SOURCE).await?;
    }
    // What was just done shows in the status at once.
    let seen = plan_job(&job, &pods.controlled_by(job.uid()), &past, context.clock.now());
    let written = apply_status(context, jobs, &job, &seen.status).await?;
    // A pod loses its finalizer only once the status names it.
    let job = written.unwrap_or(job);
    let seen = plan_job(&job, &pods.controlled_by(job.uid()), &past, context.clock.now());
    apply_releases(context, pods, &seen.release).await?;
    let again = if seen.release.is_empty() { context.again_at(seen.next) } else { Some(Duration::ZERO) };
    Ok(again)
}

async fn apply_releases(context: &Context, pods: &Cache, release: &[Object]) -> kube::Result<()> {
    let mut last = None;
    for pod in release {
        let kept: Vec<&str> = pod.finalizers().filter(|name| *name != TRACKING).collect();
        let patch = json!({"metadata": {"uid": pod.uid(), "resourceVersion": pod.resource_version(), "finalizers": kept}});
        match context.api.send_patch(&PODS, &pod.key(), None, &patch).await {
            Err(error) if is_not_found(&error) => {}
            written => last = Some(written?),
        }
    }
    if let Some(last) = last {
        pods.wait_for_echo(&last).await;
    }
    Ok(())
}

async fn apply_expiry(context: &Context, job: &Object) -> kube::Result<()> {
    let options = DeleteOptions {
        propagation: Some(Propagation::Foreground),
        uid: Some(job.uid().to_owned()),
        ..DeleteOptions::default()
    };
    match context.api.send_delete(&JOBS, &job.key(), &options).await {
        Err(error) if !is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Writes the status if it differs; returns the Job as it is then.
async fn apply_status(
    context: &Context,
    jobs: &Cache,
    job: &Object,
    wanted: &Value,
) -> kube::Result<Option<Object>> {
    let Some(patch) = render_merge(job.at("/status"), wanted) else { return Ok(None) };
    match context.api.send_patch(&JOBS, &job.key(), Some("status"), &json!({"status": patch})).await {
        Ok(written) => {
            if let Some(note) = end_note(job, &written) {
                context.send_event(&JOBS, job, SOURCE, &note).await;
            }
            jobs.wait_for_echo(&written).await;
            Ok(Some(written))
        }
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn end_note(before: &Object, after: &Object) -> Option<Note> {
    let ended = |kind| after.condition_is_true(kind) && !before.condition_is_true(kind);
    if ended("Suspended") {
        return Some(Note::normal("Suspended", "Job suspended".to_owned()));
    }
    if ended("Complete") {
        return Some(Note::normal("Completed", "Job completed".to_owned()));
    }
    let failed = after.condition("Failed").filter(|_| ended("Failed"))?;
    let known = [DEADLINE, POLICY].into_iter().find(|reason| *reason == text(failed, "reason"));
    let reason = known.unwrap_or(BACK_OFF);
    Some(Note::warning(reason, text(failed, "message").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(job: &Object, pods: &[Object]) -> Plan {
        plan_job(job, pods, &Failures::new(), now())
    }

    fn now() -> Timestamp {
        "2026-01-01T00:01:00Z".parse().unwrap()
    }

    fn job(spec: Value, status: Value) -> Object {
        json!({"metadata": {"name": "j", "namespace": "n", "uid": "job"}, "spec": spec, "status": status})
            .into()
    }

    fn pod(name: &str, phase: &str, finished: &str) -> Object {
        json!({
            "metadata": {"name": name, "uid": name, "finalizers": [TRACKING], "ownerReferences": [{"uid": "job", "controller": true}]},
            "spec": {"nodeName": "node"},
            "status": {"phase": phase, "containerStatuses": [{"state": {"terminated": {"finishedAt": finished}}}]},
        })
        .into()
    }

    const LONG_AGO: &str = "2026-01-01T00:00:01Z";

    fn conditions(plan: &Plan) -> Vec<String> {
        let all = plan.status["conditions"].as_array().into_iter().flatten();
        all.map(|condition| {
            format!("{}={} {}", text(condition, "type"), text(condition, "status"), text(condition, "reason"))
        })
        .collect()
    }

    #[test]
    fn pods_are_made_until_enough_have_succeeded() {
        let one = json!({"completions": 1, "parallelism": 1});
        let three = json!({"completions": 3, "parallelism": 2});
        let queue = json!({"parallelism": 2});
        let done = |name| pod(name, "Succeeded", LONG_AGO);
        let busy = |name| pod(name, "Running", "");
        let table = [
            ("fresh", one.clone(), vec![], 1, 0, ""),
            ("running", one.clone(), vec![busy("a")], 0, 0, ""),
            ("done", one, vec![done("a")], 0, 0, "SuccessCriteriaMet=True CompletionsReached"),
            ("two at a time", three.clone(), vec![], 2, 0, ""),
            ("one to go", three.clone(), vec![done("a"), done("b")], 1, 0, ""),
            ("too many", three, vec![busy("a"), busy("b"), busy("c")], 0, 1, ""),
            ("work queue winding down", queue.clone(), vec![done("a"), busy("b")], 0, 0, ""),
            ("work queue done", queue, vec![done("a")], 0, 0, "SuccessCriteriaMet=True CompletionsReached"),
            (
                "suspended",
                json!({"completions": 1, "suspend": true}),
                vec![busy("a")],
                0,
                1,
                "Suspended=True JobSuspended",
            ),
        ];
        for (case, spec, pods, create, delete, expected) in table {
            let plan = planned(&job(spec, json!({})), &pods);
            assert_eq!(
                (plan.create, plan.delete.len(), conditions(&plan).join(",").as_str()),
                (create, delete, expected),
                "{case}"
            );
        }
    }

    #[test]
    fn a_job_fails_by_its_back_off_limit_or_its_deadline_and_only_once_its_pods_are_gone() {
        let failed = |name| pod(name, "Failed", LONG_AGO);
        let limit = json!({"completions": 1, "backoffLimit": 1});
        let retry = planned(&job(limit.clone(), json!({})), &[failed("a")]);
        assert_eq!((retry.create, conditions(&retry)), (1, vec![]));
        let over = planned(&job(limit, json!({})), &[failed("a"), failed("b")]);
        assert_eq!(
            conditions(&over),
            ["FailureTarget=True BackoffLimitExceeded"],
            "the failed pods are not counted yet"
        );
        assert_eq!(over.create, 0);

        let deadline = json!({"completions": 1, "activeDeadlineSeconds": 30});
        let started = json!({"startTime": "2026-01-01T00:00:31Z"});
        let waiting = planned(&job(deadline.clone(), started), &[pod("a", "Running", "")]);
        assert_eq!((waiting.next, waiting.delete.len()), (Some("2026-01-01T00:01:01Z".parse().unwrap()), 0));
        let late = job(deadline.clone(), json!({"startTime": "2026-01-01T00:00:30Z"}));
        let expired = planned(&late, &[pod("a", "Running", "")]);
        assert_eq!(
            (expired.delete.len(), conditions(&expired)),
            (1, vec!["FailureTarget=True DeadlineExceeded".to_owned()])
        );
        let shown = job(deadline, expired.status);
        assert_eq!(
            conditions(&planned(&shown, &[])),
            ["FailureTarget=True DeadlineExceeded", "Failed=True DeadlineExceeded"]
        );
    }

    #[test]
    fn a_failed_pod_is_replaced_after_a_growing_back_off() {
        let spec = json!({"completions": 1, "backoffLimit": 6});
        let failed_at = |times: &[&str]| {
            times
                .iter()
                .enumerate()
                .map(|(index, at)| pod(&format!("p{index}"), "Failed", at))
                .collect::<Vec<_>>()
        };
        let table = [
            (vec!["2026-01-01T00:00:55Z"], 0, Some("2026-01-01T00:01:05Z")),
            (vec!["2026-01-01T00:00:50Z"], 1, None),
            (vec!["2026-01-01T00:00:20Z", "2026-01-01T00:00:50Z"], 0, Some("2026-01-01T00:01:10Z")),
            (
                vec!["2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z", "2026-01-01T00:00:50Z"],
                0,
                Some("2026-01-01T00:01:30Z"),
            ),
        ];
        for (times, create, next) in table {
            let plan = planned(&job(spec.clone(), json!({})), &failed_at(&times));
            assert_eq!(
                (plan.create, plan.next.map(|at| at.to_string()).as_deref()),
                (create, next),
                "{times:?}"
            );
        }
    }

    #[test]
    fn a_finished_job_is_left_alone_until_its_time_to_live_is_over() {
        let status = json!({"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:50Z"}]});
        let plan = planned(&job(json!({"ttlSecondsAfterFinished": 20}), status.clone()), &[]);
        assert_eq!((plan.expired, plan.next), (false, Some("2026-01-01T00:01:10Z".parse().unwrap())));
        assert!(planned(&job(json!({"ttlSecondsAfterFinished": 10}), status.clone()), &[]).expired);
        assert!(!planned(&job(json!({}), status), &[]).expired);
    }
}
