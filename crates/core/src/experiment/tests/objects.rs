//! What an Experiment creates, and what it says when it cannot: analysis §9.1 and §9.3.

use glidepath_api::AnalysisPhase;
use glidepath_api::cluster::{ReplicaSet, Service};
use serde_json::{Value, json};

use super::super::service_name;
use super::{Drive, template};
use crate::plan::Action;

#[test]
fn an_invalid_spec_is_named_and_nothing_is_done_a547_b11() {
    let with = |fields: Value| {
        let mut template = template("a");
        template.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"templates": [template]})
    };
    for (spec, want) in [
        (with(json!({"selector": null})), "Rollout has missing field '.Spec.Templates[0].Selector'"),
        (
            with(json!({"selector": {}})),
            "This experiment is selecting all pods at index 0. A non-empty selector is required.",
        ),
        (
            with(json!({"minReadySeconds": 601})),
            "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 0",
        ),
        (with(json!({"name": ""})), "Experiment ex has empty template name at index 0"),
        (
            json!({"templates": [template("a"), template("a")]}),
            "Experiment ex has repeated template name 'a' in templates",
        ),
        (
            json!({"templates": [template("a")], "duration": "5"}),
            "Experiment ex has an invalid duration: time: missing unit in duration \"5\"",
        ),
    ] {
        let mut drive = Drive::new(spec);
        drive.round();
        let status = drive.status();
        assert_eq!(status["conditions"][0]["type"], "InvalidSpec", "{want}");
        assert_eq!(status["conditions"][0]["message"], want);
        assert_eq!((drive.phase(), drive.sizes()), (None, vec![]), "phase untouched");
        assert_eq!(drive.last.blocker.as_ref().unwrap().name, "invalid-spec");
        assert!(drive.round().is_idle(), "the same complaint is not written again");
        drive.snapshot.experiment.spec =
            serde_json::from_value(json!({"templates": [template("a")]})).unwrap();
        drive.round();
        let conditions = drive.status()["conditions"].to_string();
        assert!(!conditions.contains("InvalidSpec"), "removed once valid: {conditions}");
    }
}

#[test]
fn the_replica_set_is_the_references_a560() {
    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    drive.snapshot.experiment.spec.templates[0].min_ready_seconds = 5;
    drive.snapshot.experiment.spec.templates[0].template["metadata"]["labels"]["rollouts-pod-template-hash"] =
        json!("old");
    let plan = super::decide(&drive.snapshot);
    let Some(Action::CreateReplicaSet { object, .. }) = plan.actions().next() else { panic!("{plan:?}") };
    insta::assert_json_snapshot!(object, @r#"
    {
      "apiVersion": "apps/v1",
      "kind": "ReplicaSet",
      "metadata": {
        "annotations": {
          "experiment.argoproj.io/name": "ex",
          "experiment.argoproj.io/template-name": "a"
        },
        "labels": {
          "app": "a",
          "rollouts-pod-template-hash": "7447f89b5d"
        },
        "name": "ex-a",
        "namespace": "ns",
        "ownerReferences": [
          {
            "apiVersion": "argoproj.io/v1alpha1",
            "blockOwnerDeletion": true,
            "controller": true,
            "kind": "Experiment",
            "name": "ex",
            "uid": "u1"
          }
        ]
      },
      "spec": {
        "minReadySeconds": 5,
        "replicas": 0,
        "selector": {
          "matchLabels": {
            "app": "a",
            "rollouts-pod-template-hash": "7447f89b5d"
          }
        },
        "template": {
          "metadata": {
            "labels": {
              "app": "a",
              "rollouts-pod-template-hash": "7447f89b5d"
            }
          },
          "spec": {
            "containers": [
              {
                "image": "i:1",
                "name": "c",
                "ports": [
                  {
                    "containerPort": 8080,
                    "name": "http",
                    "protocol": "TCP"
                  }
                ]
              }
            ]
          }
        }
      }
    }
    "#);
}

#[test]
fn a_replica_set_in_the_way_is_adopted_or_waited_for_a562() {
    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    drive.round();
    let mut ours = serde_json::to_value(drive.snapshot.replica_sets.remove(0)).unwrap();
    // The API server fills in its defaults.
    ours["spec"]["template"] = glidepath_gocompat::pod_template::defaulted(&ours["spec"]["template"]);
    drive.refuse("createReplicaSet", "ex-a", Some(ours.clone()));
    let plan = super::decide(&drive.snapshot);
    assert!(plan.actions().any(|action| matches!(action, Action::ScaleReplicaSet { to: 2, .. })), "{plan:?}");

    let mut foreign = ours;
    foreign["metadata"]["ownerReferences"][0]["uid"] = json!("other");
    drive.snapshot.failures.clear();
    drive.refuse("createReplicaSet", "ex-a", Some(foreign));
    drive.round();
    assert_eq!(drive.status()["templateStatuses"][0]["collisionCount"], 1);
    assert_eq!(drive.last.blocker.as_ref().unwrap().name, "replica-set-in-the-way");
}

#[test]
fn two_replica_sets_of_one_template_stop_everything_a562() {
    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    drive.settle();
    let mut twin: ReplicaSet = drive.snapshot.replica_sets[0].clone();
    twin.metadata.name = "twin".into();
    drive.snapshot.replica_sets.push(twin);
    assert!(drive.round().is_idle());
    assert_eq!(drive.last.blocker.as_ref().unwrap().name, "ambiguous-replica-sets");
}

#[test]
fn refused_writes_are_errors_of_the_template_a571() {
    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    drive.refuse("createReplicaSet", "ex-a", None);
    drive.round();
    let text = "Failed to create ReplicaSet for template 'a': refused";
    assert_eq!(drive.status()["templateStatuses"][0]["message"], text);
    assert!(drive.events.contains(
        &"Normal ReplicaSetCreateError Failed to create new replica set \"ex-a\": refused".to_owned()
    ));
    drive.settle();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Error), "A-583");

    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    drive.round();
    drive.refuse("scaleReplicaSet", "ex-a", None);
    drive.round();
    let text = "Unable to scale ReplicaSet for template 'a' to desired replica count '2': refused";
    assert_eq!(drive.status()["templateStatuses"][0]["message"], text);
    assert!(
        drive.events.contains(&"Warning ReplicaSetUpdateError Failed to scale ex-a up: refused".to_owned())
    );
}

#[test]
fn a_hiccup_of_the_api_server_is_tried_again() {
    let mut drive = Drive::new(json!({"templates": [template("a")]}));
    for code in [0, 429, 500, 503] {
        drive.refuse("createReplicaSet", "ex-a", None);
        drive.snapshot.failures.last_mut().unwrap().code = code;
    }
    drive.settle();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Running));
}

fn with_service(service: Value) -> Drive {
    let mut spec = template("a");
    spec["service"] = service;
    Drive::new(json!({"templates": [spec], "scaleDownDelaySeconds": 0}))
}

#[test]
fn a_template_with_a_service_has_one_while_it_runs_a563_a564() {
    let mut drive = with_service(json!({}));
    drive.settle();
    let service = serde_json::to_value(drive.snapshot.services["ex-a"].as_ref().unwrap()).unwrap();
    assert_eq!(
        service["spec"]["ports"],
        json!([{"name": "http", "protocol": "TCP", "port": 8080, "targetPort": 8080}])
    );
    let labels = serde_json::to_value(&drive.snapshot.replica_sets[0].metadata.labels).unwrap();
    assert_eq!(service["spec"]["selector"], labels, "all labels of the ReplicaSet");
    let status = drive.status()["templateStatuses"][0].clone();
    assert_eq!(status["serviceName"], "ex-a");
    assert_eq!(status["podTemplateHash"], labels["rollouts-pod-template-hash"]);
    drive.snapshot.experiment.spec.terminate = true;
    drive.settle();
    assert!(drive.snapshot.services["ex-a"].is_none(), "A-564");
    let status = drive.status()["templateStatuses"][0].clone();
    assert_eq!((&status["serviceName"], &status["podTemplateHash"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_service_that_cannot_be_is_an_error_of_the_template_a563_b15() {
    let mut foreign = with_service(json!({"name": "shared"}));
    foreign.snapshot.services.insert("shared".into(), Some(Service::default()));
    let mut portless = with_service(json!({}));
    portless.snapshot.experiment.spec.templates[0].template["spec"]["containers"][0]["ports"] = json!([]);
    for (mut drive, want) in [
        (
            foreign,
            "Failed to create Service shared for template 'a': service shared already exists and is not owned by experiment template a",
        ),
        (
            portless,
            "Failed to create Service ex-a for template 'a': its pod template declares no container ports",
        ),
    ] {
        drive.settle();
        assert_eq!(drive.phase(), Some(AnalysisPhase::Error), "{want}");
        assert_eq!(drive.status()["templateStatuses"][0]["message"], want);
    }
    let mut refused = with_service(json!({}));
    refused.round();
    refused.refuse("createService", "ex-a", None);
    refused.round();
    assert_eq!(
        refused.status()["templateStatuses"][0]["message"],
        "Failed to create Service ex-a for template 'a': refused"
    );
}

#[test]
fn a_service_of_an_earlier_experiment_is_waited_for_b15() {
    let mut drive = with_service(json!({"name": "shared"}));
    let earlier: Service = serde_json::from_value(json!({"metadata": {"name": "shared", "ownerReferences": [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "name": "old", "uid": "u0", "controller": true}]}}))
    .unwrap();
    drive.snapshot.services.insert("shared".into(), Some(earlier));
    drive.settle();
    assert_eq!((drive.phase(), drive.sizes()), (Some(AnalysisPhase::Pending), vec![0]));
    assert_eq!(drive.last.blocker.as_ref().unwrap().name, "service-in-the-way");
    drive.snapshot.services.insert("shared".into(), None);
    drive.settle();
    assert_eq!((drive.phase(), drive.sizes()), (Some(AnalysisPhase::Running), vec![2]));
}

#[test]
fn long_service_names_are_cut_and_told_apart_b15() {
    let name = |template: &str| {
        let mut drive = with_service(json!({}));
        drive.snapshot.experiment.spec.templates[0].name = format!("{}-{template}", "x".repeat(70));
        service_name(&drive.snapshot.experiment, &drive.snapshot.experiment.spec.templates[0])
    };
    assert!(name("one").len() <= 63);
    assert_ne!(name("one"), name("two"));
}

#[test]
fn arguments_of_analyses_name_versions_and_times_a143_a193() {
    let analysis =
        |value: &str| json!({"name": "q", "templateName": "t", "args": [{"name": "hash", "value": value}]});
    let run = |value: &str, duration: &str| {
        let mut drive = Drive::new(
            json!({"templates": [template("a")], "duration": duration, "analyses": [analysis(value)],
            "analysisRunMetadata": {"labels": {"l": "1"}, "annotations": {"n": "2"}}}),
        );
        drive.settle();
        drive
    };
    let hash =
        |drive: &Drive| drive.snapshot.replica_sets[0].metadata.labels["rollouts-pod-template-hash"].clone();
    for (value, want) in [
        ("plain", None),
        ("{{ templates.a.replicaset.name }}", Some("ex-a")),
        ("{{experiment.availableAt}}", Some("2026-01-01T12:00:00Z")),
        ("{{experiment.finishedAt}}", Some("2026-01-01T13:00:00Z")),
    ] {
        let drive = run(value, "1h");
        assert_eq!(
            drive.snapshot.analysis_runs[0].spec.args[0].value.as_deref(),
            Some(want.unwrap_or(value))
        );
    }
    let drive = run("{{templates.a.podTemplateHash}}", "1h");
    let created = serde_json::to_value(&drive.snapshot.analysis_runs[0]).unwrap();
    assert_eq!(created["spec"]["args"][0]["value"], hash(&drive));
    assert_eq!(created["metadata"]["name"], "ex-q");
    assert_eq!(
        created["metadata"]["labels"],
        json!({"argo-rollouts.argoproj.io/controller-instance-id": "blue", "l": "1"})
    );
    assert_eq!(created["metadata"]["annotations"], json!({"n": "2"}));
    assert_eq!(created["metadata"]["ownerReferences"][0]["kind"], "Experiment");
    let unlimited = run("{{experiment.finishedAt}}", "");
    assert_eq!(
        unlimited.snapshot.experiment.status.message,
        "Failed to create AnalysisRun for analysis 'q': failed to resolve {{experiment.finishedAt}}"
    );
}
