//! Job metrics: analysis §8.4 and the fixes B-12, B-28 and B-29.

use glidepath_api::AnalysisPhase;
use glidepath_api::cluster::{Job, Pod};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::super::job::job_name;
use super::{Drive, at};
use crate::snapshot::Failure;

fn job_metric(name: &str, fields: Value) -> Value {
    let mut metric = json!({"name": name, "provider": {"job": {
        "metadata": {"labels": {"l": "1"}, "annotations": {"a": "1"}},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "{{args.image}}"}]}}}}}});
    metric.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    metric
}

fn job_drive(fields: Value) -> Drive {
    Drive::new(json!({"metrics": [job_metric("j", fields)], "args": [{"name": "image", "value": "i:1"}]}))
}

const JOB: &str = "11111111-2222-3333-4444-555555555555.j.1";

fn finish(drive: &mut Drive, condition: &str) {
    let job = drive.snapshot.jobs.last_mut().unwrap();
    job.status =
        serde_json::from_value(json!({"conditions": [{"type": condition, "status": "True"}]})).unwrap();
}

#[test]
fn a_job_is_created_and_its_end_is_the_measurements_a400_to_a404() {
    for (condition, phase) in [("Complete", "Successful"), ("Failed", "Failed")] {
        let mut drive = job_drive(json!({}));
        let plan = drive.round();
        assert_eq!(plan.steps[0].reason, "measure-by-job");
        assert_eq!(plan.blocker.unwrap().name, "job-running");
        insta::allow_duplicates! {
        insta::assert_json_snapshot!(drive.created[0], @r#"
        {
          "apiVersion": "batch/v1",
          "kind": "Job",
          "metadata": {
            "annotations": {
              "a": "1",
              "analysisrun.argoproj.io/metric-name": "j",
              "analysisrun.argoproj.io/name": "run",
              "analysisrun.argoproj.io/namespace": "ns"
            },
            "labels": {
              "analysisrun.argoproj.io/uid": "11111111-2222-3333-4444-555555555555",
              "l": "1"
            },
            "name": "11111111-2222-3333-4444-555555555555.j.1",
            "namespace": "ns",
            "ownerReferences": [
              {
                "apiVersion": "argoproj.io/v1alpha1",
                "blockOwnerDeletion": true,
                "controller": true,
                "kind": "AnalysisRun",
                "name": "run",
                "uid": "11111111-2222-3333-4444-555555555555"
              }
            ]
          },
          "spec": {
            "backoffLimit": 0,
            "template": {
              "metadata": {
                "labels": {
                  "analysisrun.argoproj.io/uid": "11111111-2222-3333-4444-555555555555"
                }
              },
              "spec": {
                "containers": [
                  {
                    "image": "i:1",
                    "name": "c"
                  }
                ],
                "restartPolicy": "Never"
              }
            }
          }
        }
        "#);
        }
        let measurement = drive.result("j")["measurements"][0].clone();
        assert_eq!(measurement["metadata"], json!({"job-name": JOB, "job-namespace": "ns"}), "A-403");
        assert_eq!(measurement["phase"], "Running");
        assert!(drive.round().is_idle(), "a Job that runs costs no write");
        finish(&mut drive, condition);
        drive.round();
        assert_eq!(drive.phase().unwrap().as_str(), phase);
        assert_eq!(drive.result("j")["measurements"][0]["phase"], phase);
    }
}

#[test]
fn a_job_in_flight_is_deleted_when_the_run_ends_m40_a223_a406() {
    let mut drive = job_drive(json!({}));
    drive.round();
    drive.snapshot.run.spec.terminate = true;
    drive.round();
    assert_eq!(drive.deleted, [JOB]);
    assert_eq!(drive.phase(), Some(AnalysisPhase::Inconclusive), "M-40");
    let result = drive.result("j");
    assert_eq!(
        (&result["phase"], &result["measurements"][0]["message"]),
        (&json!("Inconclusive"), &json!("Metric Terminated"))
    );
    assert_eq!(
        drive.snapshot.run.status.message,
        "Metric \"j\" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0): \"Error Message: Metric Terminated\""
    );
}

fn refused(verb: &str, object: &str, existing: Option<Value>) -> Failure {
    Failure {
        verb: verb.into(),
        object: object.into(),
        code: if existing.is_some() { 409 } else { 403 },
        reason: if existing.is_some() { "AlreadyExists" } else { "Forbidden" }.into(),
        message: "refused".into(),
        existing,
        at: at("2026-01-01T12:00:00Z"),
    }
}

#[test]
fn a_job_that_is_in_the_way_is_adopted_if_it_is_ours_a402_a166() {
    let owned = |uid: &str| {
        json!({"metadata": {"name": JOB, "ownerReferences": [
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "name": "run", "uid": uid, "controller": true}]}})
    };
    let ours = owned("11111111-2222-3333-4444-555555555555");
    for (case, seen, failure, phase) in [
        ("the status was lost", Some(ours.clone()), None, "Running"),
        ("ours, seen by failing", None, Some(Some(ours)), "Running"),
        ("somebody else's", None, Some(Some(owned("other"))), "Error"),
        ("not allowed", None, Some(None), "Error"),
    ] {
        let mut drive = job_drive(json!({}));
        drive.snapshot.jobs.extend(seen.map(|job| serde_json::from_value::<Job>(job).unwrap()));
        drive.snapshot.failures.extend(failure.map(|existing| refused("createJob", JOB, existing)));
        drive.round();
        assert!(drive.created.is_empty(), "{case}");
        let measurement = drive.result("j")["measurements"][0].clone();
        assert_eq!(measurement["phase"], phase, "{case}");
        assert_eq!(measurement["message"].as_str(), (phase == "Error").then_some("refused"), "{case}");
    }
}

#[test]
fn a_job_missing_from_a_late_cache_is_not_an_error_yet_b28_a404() {
    let mut drive = job_drive(json!({}));
    drive.round();
    let jobs = std::mem::take(&mut drive.snapshot.jobs);
    drive.snapshot.now = at("2026-01-01T12:00:09Z");
    assert!(drive.round().is_idle(), "the cache may be late");
    drive.snapshot.jobs = jobs;
    assert!(drive.round().is_idle());
    drive.snapshot.jobs.clear();
    drive.snapshot.now = at("2026-01-01T12:00:10.5Z");
    drive.round();
    let result = drive.result("j");
    assert_eq!(
        (&result["error"], &result["measurements"][0]["message"]),
        (&json!(1), &json!(format!("job.batch \"{JOB}\" not found")))
    );
    drive.snapshot.now = at("2026-01-01T12:00:21Z");
    drive.round();
    assert!(drive.snapshot.jobs[0].metadata.name.ends_with(".j.2"), "A-402: n = count + error + 1");
}

#[test]
fn a_pod_that_cannot_pull_its_image_makes_it_inconclusive_a405() {
    let mut drive = job_drive(json!({}));
    drive.round();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p-1", "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": JOB, "uid": format!("uid-of-{JOB}"), "controller": true}]},
        "status": {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}
    }))
    .unwrap();
    drive.snapshot.job_pods.push(pod);
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Inconclusive));
    assert_eq!(
        drive.result("j")["message"],
        "Pod p-1, container c has terminal error (ImagePullBackOff): no such image"
    );
}

#[test]
fn a_job_that_cannot_be_deleted_is_an_error() {
    let mut drive = job_drive(json!({"consecutiveErrorLimit": 0}));
    drive.round();
    drive.snapshot.run.spec.terminate = true;
    drive.snapshot.failures.push(refused("deleteJob", JOB, None));
    drive.round();
    assert_eq!(drive.phase(), Some(AnalysisPhase::Error));
    assert!(drive.deleted.is_empty());
}

#[test]
fn trimmed_measurements_take_their_own_jobs_along_b29_a407() {
    let mut drive = Drive::new(json!({
        "metrics": [job_metric("j", json!({"interval": "1s", "count": 3})), job_metric("k", json!({}))],
        "args": [{"name": "image", "value": "i"}], "measurementRetention": [{"metricName": "j", "limit": 1}]
    }));
    for second in 0..40 {
        drive.snapshot.now =
            at("2026-01-01T12:00:00Z").checked_add(SignedDuration::from_secs(second)).unwrap();
        for job in drive.snapshot.jobs.iter_mut().filter(|job| job.metadata.name.contains(".j.")) {
            job.metadata.creation_timestamp.get_or_insert(drive.snapshot.now.into());
            job.status = serde_json::from_value(json!({"conditions": [{"type": "Complete"}]})).unwrap();
        }
        drive.round();
    }
    assert_eq!(drive.deleted, [JOB, &JOB.replace("j.1", "j.2")], "the newest of j and the one of k stay");
    assert_eq!(drive.result("j")["count"], 3);
}

#[test]
fn long_metric_names_do_not_share_a_job_b12() {
    let uid = "11111111-2222-3333-4444-555555555555";
    let [one, two] = ["a-rather-long-metric-name-for-checkout", "a-rather-long-metric-name-for-search"]
        .map(|metric| job_name(uid, metric, None));
    assert_ne!(one, two);
    for name in [&one, &two] {
        assert!(
            name.len() <= 63 && name.starts_with(&format!("{uid}.a-rather-long")) && name.ends_with(".1"),
            "{name}"
        );
    }
    assert_eq!(job_name(uid, "short", None), format!("{uid}.short.1"));
}
