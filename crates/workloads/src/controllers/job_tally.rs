//! Counting a Job's pods so that each finished one counts exactly once, however late it is seen and
//! whoever deletes it: pods carry a finalizer until they are counted, and the Job's status names those that
//! are about to be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::job_policy::{Failure, judge_failure};
use super::pod_set::is_ready;
use crate::object::Object;

/// The finalizer of pods that are not counted yet.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// When pods failed, by their UIDs.
pub type Failures = BTreeMap<String, Timestamp>;

/// The failures to be remembered of `pods`, besides those of `past`: those that a rule ignores too, as they delay the
/// next pod as much. A later success makes them forgotten.
#[must_use]
pub fn plan_memory(job: &Object, pods: &[Object], past: &Failures) -> Failures {
    let mut failures = past.clone();
    for pod in pods {
        let failed = pod.text("/status/phase") == Some("Failed")
            || (pod.is_deleting() && is_tracked(pod) && pod.text("/status/phase") != Some("Succeeded"));
        if failed && !job.flag("/spec/suspend") {
            failures.entry(pod.uid().to_owned()).or_insert(finish_time(pod).unwrap_or(Timestamp::UNIX_EPOCH));
        }
    }
    let successes = pods.iter().filter(|pod| pod.text("/status/phase") == Some("Succeeded"));
    if let Some(success) = successes.filter_map(finish_time).max() {
        failures.retain(|_, at| *at > success);
    }
    failures
}

/// A Job's pods, counted.
#[derive(Default)]
pub struct Tally<'a> {
    /// Pods that neither finished nor are being deleted.
    pub active: Vec<&'a Object>,
    /// Active pods that are ready.
    pub ready: i64,
    /// Pods that succeeded, all told.
    pub succeeded: i64,
    /// Pods that failed or were deleted, all told.
    pub failed: i64,
    /// Pods being deleted that have not ended yet.
    pub terminating: i64,
    /// Restarts of active pods' containers.
    pub restarts: i64,
    /// When the last pod failed, if no later one succeeded.
    pub last_failure: Option<Timestamp>,
    /// How many pods failed since the last that succeeded.
    pub failures_in_a_row: u32,
    /// Pods named in the status whose finalizer is to be taken away.
    pub release: Vec<&'a Object>,
    /// Why a failed pod fails the whole Job, if one does.
    pub fatal: Option<String>,
    /// UIDs that succeeded and still carry the finalizer.
    pub uncounted_succeeded: BTreeSet<String>,
    /// UIDs that failed and still carry the finalizer.
    pub uncounted_failed: BTreeSet<String>,
}

impl<'a> Tally<'a> {
    /// Counts the pods of `job`; `past` are failures of pods that may be gone by now.
    #[must_use]
    pub fn of(job: &Object, pods: &'a [Object], past: &Failures) -> Self {
        let mut tally = Self::default();
        let is_there = |uid: &str| pods.iter().any(|pod| pod.uid() == uid);
        let mut endings: Vec<(Timestamp, bool)> =
            past.iter().filter(|(uid, _)| !is_there(uid)).map(|(_, at)| (*at, false)).collect();
        let named = |list: &str| -> BTreeSet<String> {
            let uids = job.list(&format!("/status/uncountedTerminatedPods/{list}"));
            uids.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (named_succeeded, named_failed) = (named("succeeded"), named("failed"));
        for pod in pods {
            let phase = pod.text("/status/phase");
            let failure = if phase == Some("Failed") { judge_failure(job, pod) } else { Failure::Counted };
            match phase {
                Some("Succeeded") => endings.extend(finish_time(pod).map(|at| (at, true))),
                Some("Failed") => endings.extend(finish_time(pod).map(|at| (at, false))),
                _ if pod.is_deleting() => {
                    tally.terminating += 1;
                    if is_tracked(pod) && !job.flag("/spec/suspend") {
                        endings.extend(finish_time(pod).map(|at| (at, false)));
                    }
                }
                _ => {
                    tally.ready += i64::from(is_ready(pod));
                    tally.restarts += restarts(pod);
                    tally.active.push(pod);
                }
            }
            if !is_tracked(pod) {
                continue;
            }
            let uid = pod.uid().to_owned();
            if let Failure::Fatal(why) = &failure {
                tally.fatal.get_or_insert_with(|| why.clone());
            }
            if failure == Failure::Ignored {
                tally.release.push(pod);
                continue;
            }
            if named_succeeded.contains(&uid) || named_failed.contains(&uid) {
                tally.release.push(pod);
            }
            if named_succeeded.contains(&uid) || (phase == Some("Succeeded") && !named_failed.contains(&uid))
            {
                tally.uncounted_succeeded.insert(uid);
            } else if named_failed.contains(&uid) || phase == Some("Failed") {
                tally.uncounted_failed.insert(uid);
            } else if pod.is_deleting() {
                // A pod that somebody deletes has failed, unless the Job itself is suspended.
                if job.flag("/spec/suspend") {
                    tally.release.push(pod);
                } else {
                    tally.uncounted_failed.insert(uid);
                }
            }
        }
        endings.sort_unstable();
        for (at, success) in endings {
            tally.failures_in_a_row = if success { 0 } else { tally.failures_in_a_row + 1 };
            tally.last_failure = (!success).then_some(at);
        }
        let total = |field: &str, named: BTreeSet<String>, uncounted: &BTreeSet<String>| {
            let counted = job.integer(&format!("/status/{field}")).unwrap_or(0);
            counted + size(named.union(uncounted).count())
        };
        tally.succeeded = total("succeeded", named_succeeded, &tally.uncounted_succeeded);
        tally.failed = total("failed", named_failed, &tally.uncounted_failed);
        tally
    }

    /// Whether every finished pod is in the counters.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.uncounted_succeeded.is_empty() && self.uncounted_failed.is_empty()
    }

    /// The counters and lists of the status: (succeeded, failed, uncountedTerminatedPods).
    #[must_use]
    pub fn counters(&self) -> (i64, i64, Value) {
        let mut uncounted = json!({"succeeded": null, "failed": null});
        for (field, uids) in [("succeeded", &self.uncounted_succeeded), ("failed", &self.uncounted_failed)] {
            if !uids.is_empty() {
                uncounted[field] = json!(uids);
            }
        }
        (
            self.succeeded - size(self.uncounted_succeeded.len()),
            self.failed - size(self.uncounted_failed.len()),
            uncounted,
        )
    }
}

/// Whether a pod still carries the finalizer.
#[must_use]
pub fn is_tracked(pod: &Object) -> bool {
    pod.finalizers().any(|name| name == TRACKING)
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn finish_time(pod: &Object) -> Option<Timestamp> {
    let statuses = pod.list("/status/containerStatuses").iter();
    let times =
        statuses.filter_map(|status| status.pointer("/state/terminated/finishedAt").and_then(Value::as_str));
    times.filter_map(|time| time.parse().ok()).max().or_else(|| deleted_at(pod)).or_else(|| pod.created())
}

/// When a pod was asked to go.
fn deleted_at(pod: &Object) -> Option<Timestamp> {
    let grace = pod.integer("/metadata/deletionGracePeriodSeconds").unwrap_or(0);
    pod.deletion_time()?.checked_sub(SignedDuration::from_secs(grace)).ok()
}

fn restarts(pod: &Object) -> i64 {
    let all = pod.list("/status/initContainerStatuses").iter().chain(pod.list("/status/containerStatuses"));
    all.filter_map(|status| status.get("restartCount").and_then(Value::as_i64)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, phase: &str, tracked: bool, deleting: bool) -> Object {
        let mut pod = json!({"metadata": {"name": uid, "uid": uid, "finalizers": if tracked { vec![TRACKING] } else { vec![] }},
            "status": {"phase": phase}});
        if deleting {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        pod.into()
    }

    #[test]
    fn each_finished_pod_counts_once_from_first_sight_to_the_loss_of_its_finalizer() {
        let done = |tracked| vec![pod("a", "Succeeded", tracked, false)];
        let named = json!({"uncountedTerminatedPods": {"succeeded": ["a"]}});
        let counted = json!({"succeeded": 1});
        let table = [
            ("first seen", json!({}), done(true), (1, 0, 0)),
            ("named in the status", named.clone(), done(true), (1, 0, 1)),
            ("finalizer gone", named.clone(), done(false), (1, 1, 0)),
            ("pod gone", named, vec![], (1, 1, 0)),
            ("counted", counted, done(false), (1, 1, 0)),
        ];
        for (case, status, pods, expected) in table {
            let job: Object = json!({"status": status}).into();
            let tally = Tally::of(&job, &pods, &Failures::new());
            assert_eq!((tally.succeeded, tally.counters().0, tally.release.len()), expected, "{case}");
        }
    }

    #[test]
    fn a_deleted_pod_has_failed_unless_the_job_is_suspended() {
        let pods = [pod("a", "Running", true, true)];
        let running = Tally::of(&Object::from(json!({})), &pods, &Failures::new());
        assert_eq!((running.failed, running.terminating, running.release.len()), (1, 1, 0));
        let suspended = Object::from(json!({"spec": {"suspend": true}}));
        let suspended = Tally::of(&suspended, &pods, &Failures::new());
        assert_eq!((suspended.failed, suspended.release.len()), (0, 1));
    }
}
