//! Series about objects, computed from the caches when somebody scrapes (O-550 to O-566).

use std::collections::BTreeMap;

use glidepath_api::{
    AnalysisPhase, AnalysisRunStatus, AnalysisTemplateSpec, Condition, DryRun, Metric, MetricProvider,
    RolloutStrategy,
};
use serde::Deserialize;

use super::exposition::Text;
use crate::cache::Caches;
use crate::object::ObjectKey;
use crate::resource::Kind;

/// Writes every series about objects.
pub(super) fn write(text: &mut Text, caches: &Caches) {
    write_rollouts(text, caches);
    write_runs(text, caches);
    write_templates(text, caches);
    write_experiments(text, caches);
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RolloutView {
    spec: RolloutSpecView,
    status: RolloutStatusView,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RolloutSpecView {
    replicas: Option<i32>,
    strategy: RolloutStrategy,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RolloutStatusView {
    replicas: i32,
    available_replicas: i32,
    updated_replicas: i32,
    conditions: Vec<Condition>,
}

struct RolloutRow {
    key: ObjectKey,
    strategy: &'static str,
    router: &'static str,
    phase: &'static str,
    available: i32,
    unavailable: i32,
    desired: i32,
    updated: i32,
}

fn write_rollouts(text: &mut Text, caches: &Caches) {
    let mut rows = Vec::new();
    caches.each(Kind::Rollout, |key, stored| {
        // An object that does not fit the types is reported where it is reconciled.
        let view: RolloutView = stored.decode().unwrap_or_default();
        let status = &view.status;
        rows.push(RolloutRow {
            key: key.clone(),
            strategy: strategy_name(&view.spec.strategy),
            router: router_name(&view.spec.strategy),
            phase: phase_name(&status.conditions),
            available: status.available_replicas,
            unavailable: status.replicas - status.available_replicas,
            desired: view.spec.replicas.unwrap_or(1),
            updated: status.updated_replicas,
        });
    });
    text.head("rollout_info", "gauge", "Information about the Rollout.");
    for row in &rows {
        let labels = [
            ("namespace", &*row.key.namespace),
            ("name", &*row.key.name),
            ("strategy", row.strategy),
            ("traffic_router", row.router),
            ("phase", row.phase),
        ];
        text.count("rollout_info", &labels, 1);
    }
    let figures: [(&str, fn(&RolloutRow) -> i32); 4] = [
        ("rollout_info_replicas_available", |row| row.available),
        ("rollout_info_replicas_unavailable", |row| row.unavailable),
        ("rollout_info_replicas_desired", |row| row.desired),
        ("rollout_info_replicas_updated", |row| row.updated),
    ];
    for (name, figure) in figures {
        text.head(name, "gauge", "Replicas of the Rollout.");
        for row in &rows {
            let labels = [("namespace", &*row.key.namespace), ("name", &*row.key.name)];
            text.sample(name, &labels, f64::from(figure(row)));
        }
    }
    text.head("rollout_phase", "gauge", "Deprecated: the phase of the Rollout.");
    for row in &rows {
        for phase in ["Completed", "Progressing", "Paused", "Timeout", "Error", "Abort", "InvalidSpec"] {
            let labels = [
                ("namespace", &*row.key.namespace),
                ("name", &*row.key.name),
                ("strategy", row.strategy),
                ("phase", phase),
            ];
            text.count("rollout_phase", &labels, u64::from(phase == row.phase));
        }
    }
}

fn strategy_name(strategy: &RolloutStrategy) -> &'static str {
    match strategy {
        RolloutStrategy { blue_green: Some(_), .. } => "blueGreen",
        RolloutStrategy { canary: Some(_), .. } => "canary",
        _ => "none",
    }
}

/// The last of the reference's order wins (O-550); routers it leaves out are named too (O-874).
fn router_name(strategy: &RolloutStrategy) -> &'static str {
    let Some(routing) = strategy.canary.as_ref().and_then(|canary| canary.traffic_routing.as_ref()) else {
        return "";
    };
    let known = [
        (routing.app_mesh.is_some(), "AppMesh"),
        (routing.smi.is_some(), "SMI"),
        (routing.nginx.is_some(), "Nginx"),
        (routing.istio.is_some(), "Istio"),
        (routing.ambassador.is_some(), "Ambassador"),
        (routing.alb.is_some(), "ALB"),
        (routing.traefik.is_some(), "Traefik"),
        (routing.apisix.is_some(), "Apisix"),
        (!routing.plugins.is_empty(), "Plugin"),
    ];
    known.into_iter().find(|(is_set, _)| *is_set).map_or("", |(_, name)| name)
}

/// The phase from the Progressing condition's reason, not from `status.phase` (O-574).
fn phase_name(conditions: &[Condition]) -> &'static str {
    if conditions.iter().any(|condition| condition.type_ == "InvalidSpec") {
        return "InvalidSpec";
    }
    let progressing = conditions.iter().find(|condition| condition.type_ == "Progressing");
    match progressing.map(|condition| condition.reason.as_str()) {
        Some("NewReplicaSetAvailable") => "Completed",
        Some("RolloutPaused") => "Paused",
        Some("ReplicaSetCreateError") => "Error",
        Some("ProgressDeadlineExceeded") => "Timeout",
        Some("RolloutAborted") => "Abort",
        _ => "Progressing",
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RunView {
    spec: RunSpecView,
    status: AnalysisRunStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunSpecView {
    metrics: Vec<Metric>,
    dry_run: Vec<DryRun>,
}

const PHASES: [&str; 6] = ["Pending", "Error", "Failed", "Successful", "Running", "Inconclusive"];

fn analysis_phase_name(phase: Option<AnalysisPhase>) -> &'static str {
    match phase {
        None => "",
        Some(AnalysisPhase::Pending) => "Pending",
        Some(AnalysisPhase::Running) => "Running",
        Some(AnalysisPhase::Successful) => "Successful",
        Some(AnalysisPhase::Failed) => "Failed",
        Some(AnalysisPhase::Error) => "Error",
        Some(AnalysisPhase::Inconclusive) => "Inconclusive",
    }
}

fn write_runs(text: &mut Text, caches: &Caches) {
    let mut rows: BTreeMap<ObjectKey, RunView> = BTreeMap::new();
    caches.each(Kind::AnalysisRun, |key, stored| {
        rows.insert(key.clone(), stored.decode().unwrap_or_default());
    });
    text.head("analysis_run_info", "gauge", "Information about the AnalysisRun.");
    for (key, run) in &rows {
        let phase = analysis_phase_name(run.status.phase);
        text.count(
            "analysis_run_info",
            &[("namespace", &key.namespace), ("name", &key.name), ("phase", phase)],
            1,
        );
    }
    write_phases(
        text,
        "analysis_run_phase",
        &PHASES,
        rows.iter().map(|(key, run)| (key, analysis_phase_name(run.status.phase))),
    );
    text.head("analysis_run_metric_type", "gauge", "The provider of a metric.");
    for (key, metric) in
        rows.iter().flat_map(|(key, run)| run.spec.metrics.iter().map(move |metric| (key, metric)))
    {
        let labels = [
            ("namespace", &*key.namespace),
            ("name", &*key.name),
            ("metric", &*metric.name),
            ("type", provider_name(&metric.provider)),
        ];
        text.count("analysis_run_metric_type", &labels, 1);
    }
    text.head("analysis_run_metric_phase", "gauge", "The phase of a metric.");
    for (key, run) in &rows {
        for result in &run.status.metric_results {
            let metric = run.spec.metrics.iter().find(|metric| metric.name == result.name);
            let type_ = metric.map_or("Unknown Provider", |metric| provider_name(&metric.provider));
            let dry_run = run.spec.dry_run.iter().any(|dry_run| dry_run.metric_name == result.name);
            let now = analysis_phase_name(result.phase);
            for phase in PHASES {
                let labels = [
                    ("namespace", &*key.namespace),
                    ("name", &*key.name),
                    ("metric", &*result.name),
                    ("type", type_),
                    ("dry_run", if dry_run { "true" } else { "false" }),
                    ("phase", phase),
                ];
                text.count("analysis_run_metric_phase", &labels, u64::from(is_phase(now, phase)));
            }
        }
    }
}

/// Whether an object in phase `now` counts for `phase`: none counts as pending.
fn is_phase(now: &str, phase: &str) -> bool {
    now == phase || (now.is_empty() && phase == "Pending")
}

fn write_phases<'a>(
    text: &mut Text,
    name: &str,
    phases: &[&str],
    rows: impl Iterator<Item = (&'a ObjectKey, &'static str)>,
) {
    text.head(name, "gauge", "Deprecated: the phase.");
    for (key, now) in rows {
        for phase in phases {
            let labels = [("namespace", &*key.namespace), ("name", &*key.name), ("phase", *phase)];
            text.count(name, &labels, u64::from(is_phase(now, phase)));
        }
    }
}

/// Provider names as the reference spells them (O-575).
fn provider_name(provider: &MetricProvider) -> &'static str {
    let known = [
        (provider.prometheus.is_some(), "Prometheus"),
        (provider.job.is_some(), "Job"),
        (provider.kayenta.is_some(), "Kayenta"),
        (provider.web.is_some(), "Web"),
        (provider.datadog.is_some(), "Datadog"),
        (provider.wavefront.is_some(), "Wavefront"),
        (provider.new_relic.is_some(), "NewRelic"),
        (provider.cloud_watch.is_some(), "CloudWatch"),
        (provider.graphite.is_some(), "Graphite"),
        (provider.influxdb.is_some(), "Influxdb"),
        (provider.skywalking.is_some(), "skywalking"),
        (!provider.plugin.is_empty(), "RPCPlugin"),
    ];
    known.into_iter().find(|(is_set, _)| *is_set).map_or("Unknown Provider", |(_, name)| name)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateView {
    spec: AnalysisTemplateSpec,
}

fn write_templates(text: &mut Text, caches: &Caches) {
    let mut rows: Vec<(ObjectKey, TemplateView)> = Vec::new();
    for kind in [Kind::AnalysisTemplate, Kind::ClusterAnalysisTemplate] {
        caches.each(kind, |key, stored| rows.push((key.clone(), stored.decode().unwrap_or_default())));
    }
    text.head("analysis_template_info", "gauge", "Information about the template.");
    for (key, _) in &rows {
        text.count("analysis_template_info", &[("namespace", &key.namespace), ("name", &key.name)], 1);
    }
    text.head("analysis_template_metric_info", "gauge", "The metrics of a template.");
    for (key, template) in &rows {
        for metric in &template.spec.metrics {
            let labels = [
                ("namespace", &*key.namespace),
                ("name", &*key.name),
                ("type", provider_name(&metric.provider)),
                ("metric", &*metric.name),
            ];
            text.count("analysis_template_metric_info", &labels, 1);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ExperimentView {
    status: PhaseView,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PhaseView {
    phase: Option<AnalysisPhase>,
}

fn write_experiments(text: &mut Text, caches: &Caches) {
    let mut rows = Vec::new();
    caches.each(Kind::Experiment, |key, stored| {
        let view: ExperimentView = stored.decode().unwrap_or_default();
        rows.push((key.clone(), analysis_phase_name(view.status.phase)));
    });
    text.head("experiment_info", "gauge", "Information about the Experiment.");
    for (key, phase) in &rows {
        text.count(
            "experiment_info",
            &[("namespace", &key.namespace), ("name", &key.name), ("phase", phase)],
            1,
        );
    }
    write_phases(text, "experiment_phase", &PHASES, rows.iter().map(|(key, phase)| (key, *phase)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Stored;
    use serde_json::{Value, json};

    fn page(kind: Kind, document: Value) -> String {
        let caches = Caches::default();
        let (key, stored) = Stored::new(kind, document).unwrap();
        caches.apply(kind, key, stored);
        let mut text = Text::default();
        write(&mut text, &caches);
        text.finish()
    }

    #[test]
    fn rollout_info_takes_its_phase_from_the_progressing_reason_o_574() {
        for (conditions, phase) in [
            (json!([]), "Progressing"),
            (json!([{"type": "Progressing", "reason": "NewReplicaSetAvailable"}]), "Completed"),
            (json!([{"type": "Progressing", "reason": "RolloutAborted"}]), "Abort"),
            (
                json!([{"type": "Progressing", "reason": "RolloutPaused"}, {"type": "InvalidSpec"}]),
                "InvalidSpec",
            ),
        ] {
            let page = page(
                Kind::Rollout,
                json!({"metadata": {"name": "web", "namespace": "n"}, "spec": {"strategy": {"canary": {"trafficRouting": {"istio": {}}}}},
                    "status": {"conditions": conditions, "replicas": 3, "availableReplicas": 1}}),
            );
            let want = format!(
                "rollout_info{{namespace=\"n\",name=\"web\",strategy=\"canary\",traffic_router=\"Istio\",phase=\"{phase}\"}} 1\n"
            );
            assert!(page.contains(&want), "{page}");
            assert!(page.contains("rollout_info_replicas_unavailable{namespace=\"n\",name=\"web\"} 2\n"));
        }
    }

    #[test]
    fn a_run_without_phase_counts_as_pending_o_560() {
        let page = page(
            Kind::AnalysisRun,
            json!({"metadata": {"name": "r", "namespace": "n"}, "spec": {"metrics": [{"name": "m", "provider": {"web": {"url": "u"}}}]}}),
        );
        assert!(
            page.contains("analysis_run_phase{namespace=\"n\",name=\"r\",phase=\"Pending\"} 1\n"),
            "{page}"
        );
        assert!(
            page.contains(
                "analysis_run_metric_type{namespace=\"n\",name=\"r\",metric=\"m\",type=\"Web\"} 1\n"
            )
        );
    }
}
