//! Job metrics: a Job per measurement, whose end is the measurement's.
//!
//! The Job is looked at whenever it changes. `resumeAt` keeps the moment of creation, as the reference first sets
//! it, and is not moved with each look: that would be one status write per look for nothing (A-404, B-28).

use glidepath_api::cluster::{Job, Pod};
use glidepath_api::{
    AnalysisPhase, AnalysisRun, Measurement, Metric, MetricResult, OwnerReference, Time, names,
};
use glidepath_gocompat::fnv;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::schedule::after;
use crate::plan::Action;
use crate::snapshot::Failure;

const JOB_NAME: &str = "job-name";
const JOB_NAMESPACE: &str = "job-namespace";

/// The longest name a Job may have, because its pods carry it in a label.
const NAME_LIMIT: usize = 63;

/// How long a Job that was just created may be missing from what we see, before it counts as gone (B-28).
const SETTLING: SignedDuration = SignedDuration::from_secs(10);

/// Reasons for which a container never starts by itself.
const STUCK: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

/// Name of the next Job of a metric: `<run uid>.<metric>.<n>`.
///
/// A metric whose name has to be cut gets a short hash of the whole name, so that metrics with a long common
/// beginning do not share a Job (B-12).
#[must_use]
pub fn job_name(run_uid: &str, metric: &str, result: Option<&MetricResult>) -> String {
    let number = result.map_or(1, |result| result.count.saturating_add(result.error).saturating_add(1));
    let whole = format!("{run_uid}.{metric}.{number}");
    if whole.len() <= NAME_LIMIT {
        return whole;
    }
    let hash = format!("{:06x}", fnv::fnv1a_32(metric.as_bytes()) & 0x00ff_ffff);
    let fixed = run_uid.len() + number.to_string().len() + hash.len() + 3;
    let end = metric.floor_char_boundary(NAME_LIMIT.saturating_sub(fixed).min(metric.len()));
    let start = metric.get(..end).unwrap_or_default().trim_end_matches(['.', '-', '_']);
    format!("{run_uid}.{start}-{hash}.{number}")
}

/// The Job of a measurement.
#[must_use]
pub fn build_job(run: &AnalysisRun, metric: &Metric, name: &str) -> Value {
    let job = metric.provider.job.clone().unwrap_or_default();
    let mut labels = job.metadata.labels;
    let mut annotations = job.metadata.annotations;
    labels.insert(names::ANALYSIS_RUN_UID.to_owned(), run.metadata.uid.clone());
    annotations.insert(names::ANALYSIS_RUN_NAME.to_owned(), run.metadata.name.clone());
    annotations.insert(names::ANALYSIS_RUN_NAMESPACE.to_owned(), run.metadata.namespace.clone());
    annotations.insert(names::ANALYSIS_RUN_METRIC_NAME.to_owned(), metric.name.clone());
    let mut spec = job.spec;
    let pod_labels = member(member(member(&mut spec, "template"), "metadata"), "labels");
    *member(pod_labels, names::ANALYSIS_RUN_UID) = Value::from(run.metadata.uid.clone());
    let owner = OwnerReference::controller(
        names::API_VERSION,
        names::KIND_ANALYSIS_RUN,
        &run.metadata.name,
        &run.metadata.uid,
    );
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": run.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": spec,
    })
}

/// A field of an object; what is not an object becomes one, so that indexing cannot fail.
fn member<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = json!({});
    }
    &mut value[key]
}

/// What happens with a job metric in this round.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStep {
    /// What to do before the status is written.
    pub action: Option<Action>,
    /// The measurement as it now stands.
    pub measurement: Measurement,
}

/// Begins a measurement: creates the Job, adopts one that is ours already, or records why there is none (A-402,
///
#[must_use]
pub fn begin(
    run: &AnalysisRun,
    metric: &Metric,
    result: Option<&MetricResult>,
    jobs: &[Job],
    failures: &[Failure],
    now: Timestamp,
) -> JobStep {
    let name = job_name(&run.metadata.uid, &metric.name, result);
    let moment = Time::new(now);
    let running = Measurement {
        phase: Some(AnalysisPhase::Running),
        started_at: Some(moment),
        resume_at: Some(moment),
        metadata: [
            (JOB_NAME.to_owned(), name.clone()),
            (JOB_NAMESPACE.to_owned(), run.metadata.namespace.clone()),
        ]
        .into(),
        ..Measurement::default()
    };
    let is_ours = |job: &Job| job.metadata.is_controlled_by(&run.metadata.uid);
    if jobs.iter().any(|job| job.metadata.name == name && is_ours(job)) {
        return JobStep { action: None, measurement: running };
    }
    let Some(failure) = failures.iter().find(|failure| failure.verb == "createJob" && failure.object == name)
    else {
        let object = build_job(run, metric, &name);
        return JobStep { action: Some(Action::CreateJob { name, object }), measurement: running };
    };
    let existing = failure.existing.clone().and_then(|object| serde_json::from_value::<Job>(object).ok());
    if existing.is_some_and(|job| is_ours(&job)) {
        return JobStep { action: None, measurement: running };
    }
    let failed = Measurement { resume_at: None, metadata: [].into(), ..running };
    JobStep { action: None, measurement: end(failed, AnalysisPhase::Error, &failure.message, now) }
}

/// Looks at the Job of a measurement under way; `None` when there is nothing new.
#[must_use]
pub fn resume(measurement: &Measurement, jobs: &[Job], pods: &[Pod], now: Timestamp) -> Option<Measurement> {
    let Some(name) = measurement.metadata.get(JOB_NAME).filter(|name| !name.is_empty()) else {
        return Some(end(measurement.clone(), AnalysisPhase::Error, "job metadata reference missing", now));
    };
    let Some(job) = jobs.iter().find(|job| job.metadata.name == *name) else {
        let started = measurement.started_at.unwrap_or_default().timestamp();
        return (now > after(started, SETTLING)).then(|| {
            end(measurement.clone(), AnalysisPhase::Error, &format!("job.batch \"{name}\" not found"), now)
        });
    };
    let outcome = job.status.conditions.iter().rev().find_map(|condition| match condition.type_.as_str() {
        "Complete" => Some(AnalysisPhase::Successful),
        "Failed" => Some(AnalysisPhase::Failed),
        _ => None,
    });
    if let Some(phase) = outcome {
        return Some(end(measurement.clone(), phase, "", now));
    }
    let stuck = pods
        .iter()
        .filter(|pod| pod.metadata.is_controlled_by(&job.metadata.uid))
        .find_map(stuck_container)?;
    Some(end(measurement.clone(), AnalysisPhase::Inconclusive, &stuck, now))
}

/// When to look again without having been told: later and later, as the reference does.
#[must_use]
pub fn look_again(measurement: &Measurement, now: Timestamp) -> Timestamp {
    let started = measurement.started_at.unwrap_or_default().timestamp();
    let elapsed = now.duration_since(started).as_secs_f64().clamp(0.5, 1e9);
    after(now, SignedDuration::from_secs_f64((2.0 * elapsed).sqrt()))
}

/// Ends a measurement whose run is terminating: the Job is deleted.
#[must_use]
pub fn terminate(measurement: &Measurement, jobs: &[Job], failures: &[Failure], now: Timestamp) -> JobStep {
    let Some(name) = measurement.metadata.get(JOB_NAME).filter(|name| !name.is_empty()) else {
        let text = "job metadata reference missing";
        return JobStep {
            action: None,
            measurement: end(measurement.clone(), AnalysisPhase::Error, text, now),
        };
    };
    let refused = failures.iter().find(|failure| {
        failure.verb == "deleteJob"
            && failure.object == *name
            // A server that stumbles is asked again.
            && (400..500).contains(&failure.code)
            && !matches!(failure.code, 404 | 409)
    });
    if let Some(failure) = refused {
        return JobStep {
            action: None,
            measurement: end(measurement.clone(), AnalysisPhase::Error, &failure.message, now),
        };
    }
    let job = jobs.iter().find(|job| job.metadata.name == *name && !job.metadata.is_deleting());
    JobStep {
        action: job.map(|job| Action::DeleteJob { name: name.clone(), uid: job.metadata.uid.clone() }),
        measurement: end(measurement.clone(), AnalysisPhase::Inconclusive, "Metric Terminated", now),
    }
}

/// Jobs of one metric whose measurements are no longer kept. Jobs of other metrics do not count (A-407, B-29).
#[must_use]
pub fn surplus<'a>(result: &MetricResult, jobs: &'a [Job]) -> Vec<&'a Job> {
    let is_kept = |job: &Job| {
        let name = &job.metadata.name;
        result.measurements.iter().any(|measurement| measurement.metadata.get(JOB_NAME) == Some(name))
    };
    jobs.iter()
        .filter(|job| job.metadata.annotation(names::ANALYSIS_RUN_METRIC_NAME) == Some(&result.name))
        .filter(|job| !job.metadata.is_deleting() && !is_kept(job))
        .collect()
}

fn end(measurement: Measurement, phase: AnalysisPhase, message: &str, now: Timestamp) -> Measurement {
    Measurement {
        phase: Some(phase),
        message: message.to_owned(),
        finished_at: Some(Time::new(now)),
        ..measurement
    }
}

fn stuck_container(pod: &Pod) -> Option<String> {
    let statuses = |field: &str| pod.status[field].as_array().cloned().unwrap_or_default();
    let containers = statuses("initContainerStatuses").into_iter().chain(statuses("containerStatuses"));
    containers.into_iter().find_map(|status| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let waiting = &status["state"]["waiting"];
        let reason = text(&waiting["reason"]);
        STUCK.contains(&reason.as_str()).then(|| {
            format!(
                "Pod {}, container {} has terminal error ({reason}): {}",
                pod.metadata.name,
                text(&status["name"]),
                text(&waiting["message"])
            )
        })
    })
}
