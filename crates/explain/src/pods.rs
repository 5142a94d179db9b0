//! Pods that are not ready and why, pods that cannot even be created, and the deadline that runs meanwhile.

use std::collections::BTreeMap;

use glidepath_api::cluster::ReplicaSet;
use glidepath_api::{Pod, rollout_condition as kinds};
use glidepath_core::plan::{BlockerOwner, PODS_NOT_READY};
use serde_json::Value;

use crate::cause::{Cause, Command};
use crate::explanation::View;
use crate::render::span;

/// Why one pod is not ready.
struct Complaint {
    name: &'static str,
    /// For all pods of the same kind, after "N of M pods of ReplicaSet X".
    summary: String,
    detail: String,
}

/// Causes in the pods of sets that should be available and are not.
pub(crate) fn causes(view: &View<'_>) -> Vec<Cause> {
    let sets = &view.scene.snapshot.replica_sets;
    let lacking = sets.iter().filter(|set| set.replicas() > set.status.available_replicas);
    let mut causes: Vec<Cause> = lacking.flat_map(|set| set_causes(view, set)).collect();
    causes.truncate(4);
    causes
}

fn set_causes(view: &View<'_>, set: &ReplicaSet) -> Vec<Cause> {
    let mut causes: Vec<Cause> = not_created(view, set).into_iter().collect();
    let owned =
        view.scene.evidence.pods.iter().filter(|pod| pod.metadata.is_controlled_by(&set.metadata.uid));
    let mut groups: BTreeMap<(&'static str, String), Vec<(&Pod, String)>> = BTreeMap::new();
    for pod in owned.filter(|pod| !pod.is_ready() && !pod.metadata.is_deleting()) {
        let complaint = complaint(pod);
        let group = groups.entry((complaint.name, complaint.summary)).or_default();
        group.push((pod, complaint.detail));
    }
    for ((name, summary), pods) in groups {
        let subject = format!(
            "{} of {} pods of ReplicaSet {} ({})",
            pods.len(),
            set.replicas(),
            set.metadata.name,
            view.role(set)
        );
        let mut cause = Cause::new(name, format!("{subject} {summary}")).remedy(remedy(name));
        let (first, detail) = &pods[0];
        if !detail.is_empty() {
            cause = cause.detail(format!("{}: {detail}", first.metadata.name));
        }
        causes.push(cause.next(command(view, name, &first.metadata.name)));
    }
    causes
}

/// The API server refuses to create pods: a quota, a limit, a policy.
fn not_created(view: &View<'_>, set: &ReplicaSet) -> Option<Cause> {
    let failed = |condition: &&glidepath_api::cluster::Condition| {
        condition.type_ == kinds::REPLICA_FAILURE && condition.status == "True"
    };
    let failure = set.status.conditions.iter().find(failed)?;
    let missing = set.replicas() - set.status.replicas;
    let name = &set.metadata.name;
    let quota = failure.message.contains("exceeded quota");
    let (cause, remedy, command) = if quota {
        (
            "quota-exceeded",
            "raise the quota, free what uses it up, or ask for less (requests, maxSurge)",
            Command::kubectl(view.namespace(), "describe resourcequota", "see what is used and allowed"),
        )
    } else {
        (
            "pods-not-created",
            "make the pod template acceptable, or the policy that refuses it",
            Command::kubectl(view.namespace(), &format!("describe replicaset {name}"), "see the refusals"),
        )
    };
    let summary = format!(
        "{missing} of {} pods of ReplicaSet {name} ({}) cannot be created",
        set.replicas(),
        view.role(set)
    );
    Some(Cause::new(cause, summary).detail(failure.message.clone()).remedy(remedy).next(command))
}

fn complaint(pod: &Pod) -> Complaint {
    if let Some(condition) = pod.condition("PodScheduled").filter(|condition| condition.status == "False") {
        return Complaint {
            name: "pods-unschedulable",
            summary: "cannot be scheduled on any node".to_owned(),
            detail: condition.message,
        };
    }
    let containers = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|list| pod.status.get(list)?.as_array())
        .flatten();
    for container in containers {
        if let Some(complaint) = container_complaint(container) {
            return complaint;
        }
    }
    if pod.phase() == "Failed" {
        let reason = text(&pod.status, "/reason");
        return Complaint {
            name: "pods-failed",
            summary: "have failed".to_owned(),
            detail: format!("{reason} {}", text(&pod.status, "/message")).trim().to_owned(),
        };
    }
    if pod.phase() == "Running" {
        let condition = pod.condition("Ready").unwrap_or_default();
        return Complaint {
            name: PODS_NOT_READY,
            summary: "run but are not ready: the readiness probe does not pass".to_owned(),
            detail: condition.message,
        };
    }
    Complaint { name: "pods-starting", summary: "are being started".to_owned(), detail: String::new() }
}

fn container_complaint(container: &Value) -> Option<Complaint> {
    let name = text(container, "/name");
    let reason = text(container, "/state/waiting/reason");
    let message = text(container, "/state/waiting/message");
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => Some(Complaint {
            name: "image-not-pulled",
            summary: format!("cannot get the image {}", text(container, "/image")),
            detail: format!("container {name}: {reason}: {message}"),
        }),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Some(Complaint {
            name: "container-not-started",
            summary: format!("cannot start the container {name}"),
            detail: format!("{reason}: {message}"),
        }),
        _ => crash(container, name, reason),
    }
}

fn crash(container: &Value, name: &str, reason: &str) -> Option<Complaint> {
    let restarts = container.pointer("/restartCount").and_then(Value::as_i64).unwrap_or(0);
    let ended = ["/state/terminated", "/lastState/terminated"]
        .into_iter()
        .filter_map(|place| container.pointer(place))
        .find(|ended| ended.is_object())?;
    let code = ended.pointer("/exitCode").and_then(Value::as_i64).unwrap_or(0);
    if reason != "CrashLoopBackOff" && code == 0 && restarts == 0 {
        return None;
    }
    let why = text(ended, "/reason");
    if matches!(why, "StartError" | "ContainerCannotRun") {
        return Some(Complaint {
            name: "container-not-started",
            summary: format!("cannot start the container {name}"),
            detail: format!("{why}: {}", text(ended, "/message")),
        });
    }
    Some(Complaint {
        name: "container-crashes",
        summary: format!("crash: container {name} keeps ending"),
        detail: format!("container {name} ended with exit code {code} ({why}), {restarts} restarts"),
    })
}

fn remedy(name: &str) -> &'static str {
    match name {
        "image-not-pulled" => {
            "correct the image name or tag, push it, or give the pods the right pull secret"
        }
        "container-crashes" => "read what it said before it ended, and roll out a version that stays up",
        "container-not-started" => "correct the command, or the ConfigMap or Secret it needs",
        "pods-unschedulable" => {
            "make room: more nodes, smaller requests, or other node selectors and tolerations"
        }
        PODS_NOT_READY => "see what the readiness probe asks for, and what the container says",
        "pods-failed" => "see why they were stopped; they are replaced by new ones",
        _ => "",
    }
}

fn command(view: &View<'_>, name: &str, pod: &str) -> Command {
    match name {
        "container-crashes" => {
            Command::kubectl(view.namespace(), &format!("logs {pod} --previous"), "read its last words")
        }
        _ => Command::kubectl(view.namespace(), &format!("describe pod {pod}"), "see its events and probes"),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The progress deadline while the wait is on the cluster, or after it has passed.
pub(crate) fn deadline_cause(view: &View<'_>) -> Option<Cause> {
    let rollout = view.rollout();
    let seconds = i64::from(rollout.progress_deadline_seconds());
    let progressing = view.condition(kinds::PROGRESSING)?;
    if progressing.reason == "ProgressDeadlineExceeded" {
        return Some(
            Cause::new(
                "progress-deadline-exceeded",
                format!("no progress for more than {} (progressDeadlineSeconds)", span(seconds)),
            )
            .detail(progressing.message.clone())
            .remedy("the deadline is not the fault: remove what the pods wait for, or give the update up"),
        );
    }
    let blocker = view.plan.blocker.as_ref().filter(|blocker| blocker.owner == BlockerOwner::Cluster)?;
    let left = blocker.deadline?.duration_since(view.now()).as_secs();
    let last = progressing.last_update_time;
    Some(
        Cause::new(
            "progress-deadline",
            format!("the progress deadline passes in {}, unless something moves", span(left.max(0))),
        )
        .detail(format!("last progress at {last}; progressDeadlineSeconds is {seconds}")),
    )
}
