//! From objects to the tree of facts: who belongs to whom, in which order, playing which part.

use glidepath_api::{
    AnalysisRun, Experiment, IntOrString, ObjectMeta, PingPongType, Pod, ReplicaSet, Rollout, Time, names,
};
use serde_json::Value;

use crate::glyphs;
use crate::info::{
    AnalysisRunInfo, Cluster, ContainerInfo, ExperimentInfo, JobInfo, MeasurementInfo, MetricInfo, PodInfo,
    ReplicaSetInfo, RolloutInfo, SpecAndStatus,
};
use crate::phase::displayed_phase;
use crate::pods::pod_state;

impl RolloutInfo {
    /// Gathers what is shown of a Rollout. `workload` is the template's owner when a workloadRef names one.
    #[must_use]
    pub fn new(rollout: &Rollout, cluster: Cluster<'_>, workload_template: Option<&Value>) -> Self {
        let (status, message) = displayed_phase(rollout);
        let meta = &rollout.metadata;
        let uid = &meta.uid;
        let template = workload_template.unwrap_or(&rollout.spec.template);
        let mut info = Self {
            object_meta: ObjectMeta {
                labels: meta.labels.clone(),
                annotations: meta.annotations.clone(),
                generation: meta.generation,
                resource_version: meta.resource_version.clone(),
                ..short_meta(meta)
            },
            icon: glyphs::rollout_icon(&status),
            status,
            message,
            ready: rollout.status.ready_replicas,
            current: rollout.status.replicas,
            desired: rollout.replicas(),
            updated: rollout.status.updated_replicas,
            available: rollout.status.available_replicas,
            restarted_at: rollout.status.restarted_at.map_or_else(|| "Never".to_owned(), go_time),
            generation: rollout.status.observed_generation.clone(),
            replica_sets: replica_sets(uid, Some(rollout), cluster),
            experiments: experiments(uid, cluster),
            analysis_runs: analysis_runs(uid, cluster.analysis_runs),
            containers: containers(template, "containers"),
            init_containers: containers(template, "initContainers"),
            ..Self::default()
        };
        if let Some(canary) = rollout.canary() {
            info.strategy = "Canary";
            if let Some(step) = step_text(rollout) {
                info.step = step;
                let steps = serde_json::to_value(&canary.steps).unwrap_or_default();
                info.steps = steps.as_array().cloned().unwrap_or_default();
            }
            info.set_weight = set_weight(rollout).to_string();
            info.actual_weight = actual_weight(rollout, &info.replica_sets).to_string();
        } else if rollout.blue_green().is_some() {
            info.strategy = "BlueGreen";
        }
        info
    }
}

impl ExperimentInfo {
    /// Gathers what is shown of an Experiment.
    #[must_use]
    pub fn new(experiment: &Experiment, cluster: Cluster<'_>) -> Self {
        let uid = &experiment.metadata.uid;
        let phase = experiment.status.phase.map_or("", |phase| phase.as_str());
        Self {
            object_meta: short_meta(&experiment.metadata),
            icon: glyphs::analysis_icon(phase),
            revision: revision(&experiment.metadata),
            status: phase.to_owned(),
            message: experiment.status.message.clone(),
            replica_sets: replica_sets(uid, None, cluster),
            analysis_runs: analysis_runs(uid, cluster.analysis_runs),
        }
    }
}

/// `index/steps`; `None` when there are no steps or no position (O-020).
#[must_use]
pub fn step_text(rollout: &Rollout) -> Option<String> {
    let steps = rollout.canary()?.steps.len();
    let index = rollout.status.current_step_index?;
    (steps > 0).then(|| format!("{index}/{steps}"))
}

/// Position among the steps while there is one to do. A missing index means the first.
fn current_step(rollout: &Rollout) -> Option<usize> {
    let steps = rollout.canary()?.steps.len();
    let index = usize::try_from(rollout.status.current_step_index.unwrap_or(0)).unwrap_or(0);
    (index < steps).then_some(index)
}

/// Weight asked for (O-046).
#[must_use]
pub fn set_weight(rollout: &Rollout) -> i32 {
    if rollout.status.abort {
        return 0;
    }
    let Some(index) = current_step(rollout) else { return rollout.max_weight() };
    let steps = rollout.canary().map(|canary| &canary.steps[..=index]).unwrap_or_default();
    steps.iter().rev().find_map(|step| step.set_weight).unwrap_or(0)
}

/// Weight in force (O-047).
fn actual_weight(rollout: &Rollout, replica_sets: &[ReplicaSetInfo]) -> i32 {
    if current_step(rollout).is_none() {
        return rollout.max_weight();
    }
    let available = rollout.status.available_replicas;
    if available <= 0 {
        return 0;
    }
    if rollout.traffic_routing().is_some() {
        let weights = rollout.status.canary.weights.as_ref();
        return weights.map_or_else(|| set_weight(rollout), |weights| weights.canary.weight);
    }
    replica_sets
        .iter()
        .rfind(|set| set.canary)
        .map_or(0, |set| set.available.saturating_mul(rollout.max_weight()) / available)
}

fn owned_by(meta: &ObjectMeta, uid: &str) -> bool {
    meta.owner_references.iter().any(|owner| owner.uid == uid)
}

fn revision(meta: &ObjectMeta) -> i64 {
    meta.annotation(names::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn short_meta(meta: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        creation_timestamp: meta.creation_timestamp,
        ..ObjectMeta::default()
    }
}

/// As Go prints a time by default; the dashboard shows it as it is.
fn go_time(time: Time) -> String {
    time.timestamp().strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

fn containers(template: &Value, list: &str) -> Vec<ContainerInfo> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let containers = template["spec"][list].as_array();
    containers
        .into_iter()
        .flatten()
        .map(|container| ContainerInfo { name: text(&container["name"]), image: text(&container["image"]) })
        .collect()
}

fn images(template: &Value, list: &str) -> Vec<String> {
    containers(template, list).into_iter().map(|container| container.image).collect()
}

/// ReplicaSets of an owner, newest revision first, then by name (O-027, O-028).
fn replica_sets(uid: &str, rollout: Option<&Rollout>, cluster: Cluster<'_>) -> Vec<ReplicaSetInfo> {
    let mut sets: Vec<ReplicaSetInfo> = cluster
        .replica_sets
        .iter()
        .filter(|set| owned_by(&set.metadata, uid))
        .map(|set| replica_set(set, rollout, cluster.pods))
        .collect();
    sets.sort_by(|a, b| {
        b.revision.cmp(&a.revision).then_with(|| a.object_meta.name.cmp(&b.object_meta.name))
    });
    sets
}

fn replica_set(set: &ReplicaSet, rollout: Option<&Rollout>, pods: &[Pod]) -> ReplicaSetInfo {
    let status = replica_set_status(set);
    let annotation = |name: &str| set.metadata.annotation(name).unwrap_or_default().to_owned();
    let mut info = ReplicaSetInfo {
        object_meta: short_meta(&set.metadata),
        status,
        icon: glyphs::replica_set_icon(status),
        revision: revision(&set.metadata),
        replicas: set.status.replicas,
        available: set.status.available_replicas,
        template: annotation(names::EXPERIMENT_TEMPLATE_NAME),
        scale_down_deadline: annotation(names::SCALE_DOWN_DEADLINE),
        images: images(&set.spec.template, "containers"),
        init_container_images: images(&set.spec.template, "initContainers"),
        pods: pods_of(&set.metadata.uid, pods),
        ..ReplicaSetInfo::default()
    };
    if let Some(rollout) = rollout {
        tag(&mut info, rollout, set.pod_hash());
    }
    info
}

/// Which part the ReplicaSet plays (O-030).
fn tag(info: &mut ReplicaSetInfo, rollout: &Rollout, hash: &str) {
    let status = &rollout.status;
    if let Some(canary) = rollout.canary() {
        let ping_pong = canary.ping_pong.is_some();
        let stable_is_ping = status.canary.stable_ping_pong == Some(PingPongType::Ping);
        if status.stable_rs == hash {
            info.stable = true;
            info.ping = ping_pong && stable_is_ping;
            info.pong = ping_pong && !stable_is_ping;
        } else if status.current_pod_hash == hash {
            info.canary = true;
            info.ping = ping_pong && !stable_is_ping;
            info.pong = ping_pong && stable_is_ping;
        }
    }
    if rollout.blue_green().is_some() {
        info.stable = status.stable_rs == hash;
        info.active = status.blue_green.active_selector == hash;
        info.preview = !info.active && status.blue_green.preview_selector == hash;
    }
}

/// State of a ReplicaSet (O-048).
fn replica_set_status(set: &ReplicaSet) -> &'static str {
    if set.metadata.generation > set.status.observed_generation {
        return "Progressing";
    }
    let failing = |condition: &glidepath_api::Condition| {
        condition.type_ == "ReplicaFailure" && condition.status == "True"
    };
    if set.status.conditions.iter().any(failing) {
        return "ReplicaFailure";
    }
    match set.spec.replicas {
        Some(wanted) if set.status.available_replicas < wanted => "Progressing",
        Some(0) => "ScaledDown",
        _ => "Healthy",
    }
}

/// Pods by owner, oldest first, then by name (O-028, O-031).
fn pods_of(uid: &str, pods: &[Pod]) -> Vec<PodInfo> {
    let mut infos: Vec<PodInfo> = pods
        .iter()
        .filter(|pod| owned_by(&pod.metadata, uid))
        .map(|pod| {
            let state = pod_state(pod);
            PodInfo {
                object_meta: short_meta(&pod.metadata),
                icon: glyphs::pod_icon(&state.status),
                ready: format!("{}/{}", state.ready, state.total),
                restarts: state.restarts,
                status: state.status,
            }
        })
        .collect();
    infos.sort_by(|a, b| age_then_name(&a.object_meta, &b.object_meta));
    infos
}

fn age_then_name(a: &ObjectMeta, b: &ObjectMeta) -> std::cmp::Ordering {
    a.creation_timestamp.cmp(&b.creation_timestamp).then_with(|| a.name.cmp(&b.name))
}

fn experiments(uid: &str, cluster: Cluster<'_>) -> Vec<ExperimentInfo> {
    let mut infos: Vec<ExperimentInfo> = cluster
        .experiments
        .iter()
        .filter(|experiment| owned_by(&experiment.metadata, uid))
        .map(|experiment| ExperimentInfo::new(experiment, cluster))
        .collect();
    infos.sort_by(|a, b| {
        b.revision.cmp(&a.revision).then_with(|| age_then_name(&a.object_meta, &b.object_meta))
    });
    infos
}

/// AnalysisRuns of an owner: newest revision first, then oldest, then by name backwards (O-028).
fn analysis_runs(uid: &str, runs: &[AnalysisRun]) -> Vec<AnalysisRunInfo> {
    let mut infos: Vec<AnalysisRunInfo> =
        runs.iter().filter(|run| owned_by(&run.metadata, uid)).map(analysis_run).collect();
    infos.sort_by(|a, b| {
        let created = |info: &AnalysisRunInfo| info.object_meta.creation_timestamp;
        (b.revision.cmp(&a.revision))
            .then_with(|| created(a).cmp(&created(b)))
            .then_with(|| b.object_meta.name.cmp(&a.object_meta.name))
    });
    infos
}

fn analysis_run(run: &AnalysisRun) -> AnalysisRunInfo {
    let phase = run.status.phase.map_or("", |phase| phase.as_str());
    let number = |limit: &Option<IntOrString>| match limit {
        Some(IntOrString::Int(number)) => *number,
        _ => 0,
    };
    let mut info = AnalysisRunInfo {
        object_meta: short_meta(&run.metadata),
        icon: glyphs::analysis_icon(phase),
        revision: revision(&run.metadata),
        status: phase.to_owned(),
        successful: run.status.run_summary.successful,
        failed: run.status.run_summary.failed,
        inconclusive: run.status.run_summary.inconclusive,
        error: run.status.run_summary.error,
        metrics: run
            .spec
            .metrics
            .iter()
            .map(|metric| MetricInfo {
                name: metric.name.clone(),
                success_condition: metric.success_condition.clone(),
                count: number(&metric.count),
                inconclusive_limit: number(&metric.inconclusive_limit),
                failure_limit: number(&metric.failure_limit),
            })
            .collect(),
        spec_and_status: SpecAndStatus { spec: run.spec.clone(), status: run.status.clone() },
        ..AnalysisRunInfo::default()
    };
    for result in &run.status.metric_results {
        for measurement in &result.measurements {
            let status = measurement.phase.map_or("", |phase| phase.as_str());
            if let Some(job) = measurement.metadata.get("job-name") {
                let namespace = measurement.metadata.get("job-namespace");
                info.jobs.push(JobInfo {
                    object_meta: ObjectMeta {
                        creation_timestamp: measurement.started_at,
                        ..ObjectMeta::named(namespace.unwrap_or(&run.metadata.namespace), job)
                    },
                    status,
                    icon: glyphs::analysis_icon(status),
                    metric_name: result.name.clone(),
                    started_at: measurement.started_at,
                });
            } else if measurement.metadata.is_empty() {
                info.non_job_info.push(MeasurementInfo {
                    value: measurement.value.clone(),
                    status,
                    metric_name: result.name.clone(),
                    started_at: measurement.started_at,
                });
            }
        }
    }
    info
}
