//! Runs that ask other things than a web address, and experiments.

use serde_json::{Value, json};

use super::{image, web};
use crate::manifests::{analysis_template, canary, with};
use crate::story::{Beat, Expectation, Story, Target, all, contains, degraded, healthy, object, pods};

/// A template whose metric is a Job that runs this shell sentence.
fn job_template(sentence: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "check"},
        "spec": {"metrics": [{"name": "check", "provider": {"job": {"spec": {
            "backoffLimit": 0,
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "check", "image": "busybox:1", "command": ["sh", "-c", sentence]}],
            }},
        }}}}]},
    })
}

fn gated_by(template: Value) -> Value {
    canary(2, json!([{"setWeight": 50}, {"analysis": {"templates": [template]}}]))
}

/// A-400: a Job that succeeds lets the canary pass.
#[must_use]
pub fn a_job_that_succeeds_lets_the_canary_pass() -> Story {
    Story::named("a job that succeeds lets the canary pass", &["A-400", "A-401", "A-403"])
        .given([job_template("sleep 2; exit 0"), gated_by(json!({"templateName": "check"}))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 2)]))
        .finally(pods("web:1", 0))
}

/// A-400: a Job that fails pulls it back.
#[must_use]
pub fn a_job_that_fails_pulls_the_canary_back() -> Story {
    Story::named("a job that fails pulls the canary back", &["A-400", "A-332"])
        .given([job_template("sleep 1; exit 3"), gated_by(json!({"templateName": "check"}))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(degraded("web", "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: Metric \"check\" assessed Failed"))
        .finally(pods("web:1", 2))
}

/// A-223: a Job that is still running when the release is aborted is taken away.
#[must_use]
pub fn an_abort_takes_a_running_job_away() -> Story {
    Story::named("an abort takes a running job away", &["A-223"])
        .given([job_template("sleep 6000"), gated_by(json!({"templateName": "check"}))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(contains(
            "Rollout",
            "web",
            json!({"status": {"canary": {"currentStepAnalysisRunStatus": {
                "status": "Running",
            }}}}),
        ))
        // A Job that could not be made is tried again after ten seconds (A-162).
        .pass(15)
        .plugin("abort web")
        .until(degraded("web", "RolloutAborted: Rollout aborted update to revision 2"))
        .finally(Expectation::None("Job"))
        .finally(pods("web:1", 2))
}

/// A-140: an argument comes from a Secret.
#[must_use]
pub fn a_secret_reaches_the_metric() -> Story {
    let template = with(
        analysis_template("health", "/{{args.token}}", "result > 0.9", &json!({})),
        &json!({"spec": {"args": [
            {"name": "token", "valueFrom": {"secretKeyRef": {"name": "metrics", "key": "token"}}},
        ]}}),
    );
    Story::named("a secret reaches the metric", &["A-051", "A-140"])
        .metric("/hidden", &[(200, r#"{"value": 0.95}"#)])
        .given([
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "metrics"}, "stringData": {"token": "hidden"}}),
            template,
            gated_by(json!({"templateName": "health"})),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 2)]))
}

/// A-101: a template of the whole cluster is found.
#[must_use]
pub fn a_cluster_wide_template_is_found() -> Story {
    let mut template = analysis_template("told-by-a-story", "/health", "result > 0.9", &json!({}));
    template["kind"] = json!("ClusterAnalysisTemplate");
    // It lives outside the story's namespace, so it names no address of the story's own.
    template["spec"]["metrics"][0]["provider"] = json!({"job": {"spec": {"template": {"spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "check", "image": "busybox:1", "command": ["true"]}],
    }}}}});
    template["spec"]["metrics"][0].as_object_mut().and_then(|metric| metric.remove("successCondition"));
    Story::named("a cluster-wide template is found", &["A-101"])
        .given([template, gated_by(json!({"templateName": "told-by-a-story", "clusterScope": true}))])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 2)]))
        .beat(Beat::Delete(Target { kind: "ClusterAnalysisTemplate", name: "told-by-a-story".to_owned() }))
}

/// R-414: a step compares the old version with the new one, and lets the canary pass.
#[must_use]
pub fn an_experiment_step_compares_two_versions() -> Story {
    Story::named("an experiment step compares two versions", &["R-414"])
        .metric("/health", &[(200, r#"{"value": 0.95}"#)])
        .given([
            analysis_template("health", "/health", "result > 0.9", &json!({"interval": "3s", "count": 3})),
            with(
                canary(
                    2,
                    json!([{"experiment": {
                        "duration": "10s",
                        "templates": [
                            {"name": "baseline", "specRef": "stable"},
                            {"name": "canary", "specRef": "canary"},
                        ],
                        "analyses": [{"name": "health", "templateName": "health"}],
                    }}, {"setWeight": 50}]),
                ),
                &json!({"spec": {"analysis": {"successfulRunHistoryLimit": 0}}}),
            ),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 2)]))
        // The experiment of a release that is over is not kept.
        .patch(web(), image("web:3"))
        .until(all([healthy("web"), pods("web:3", 2)]))
        .pass(35)
        .finally(pods("web:1", 0))
}

/// A-196: runs of releases that are over are kept to their limit.
#[must_use]
pub fn runs_are_kept_to_their_limit() -> Story {
    Story::named("runs are kept to their limit", &["A-196", "R-031"])
        .metric("/health", &[(200, r#"{"value": 0.95}"#)])
        .given([
            analysis_template("health", "/health", "result > 0.9", &json!({})),
            with(
                gated_by(json!({"templateName": "health"})),
                &json!({"spec": {"analysis": {"successfulRunHistoryLimit": 0}}}),
            ),
        ])
        .until(healthy("web"))
        .patch(web(), image("web:2"))
        .until(all([healthy("web"), pods("web:2", 2)]))
        .patch(web(), image("web:3"))
        .until(all([healthy("web"), pods("web:3", 2)]))
}

/// O-072: an experiment of its own with a Service, ended by a person.
#[must_use]
pub fn an_experiment_of_its_own_ends_when_told() -> Story {
    let template = |name: &str| {
        json!({
            "name": name, "replicas": 1, "service": {"name": format!("{name}-service")},
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "web", "image": format!("web:{name}"), "ports": [{"containerPort": 8080}],
                }]},
            },
        })
    };
    Story::named("an experiment of its own ends when told", &["O-072"])
        .given([json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "trial"},
            "spec": {"templates": [template("one"), template("two")]},
        })])
        .until(contains("Experiment", "trial", json!({"status": {"phase": "Running"}})))
        .pass(5)
        .plugin("terminate experiment trial")
        .until(contains("Experiment", "trial", json!({"status": {"phase": "Successful"}})))
        .pass(35)
        .finally(contains("Experiment", "trial", json!({"spec": {"terminate": true}})))
        .finally(Expectation::Absent(object("Service", "one-service")))
}
