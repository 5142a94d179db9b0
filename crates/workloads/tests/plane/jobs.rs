use glidepath_workloads::api::Propagation;
use glidepath_workloads::object::Object;
use glidepath_workloads::resource::{JOBS, PODS};
use serde_json::{Value, json};

use crate::world::World;

fn job(name: &str, spec: Value, container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("main");
    if container.get("image").is_none() {
        container["image"] = json!("alpine:3.8");
    }
    let mut body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "default"}, "spec": spec});
    body["spec"]["template"] = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
    body
}

async fn ended(world: &World, name: &str) -> Option<String> {
    let job: Object = world.get(&JOBS, name).await?;
    ["Complete", "Failed"].into_iter().find(|kind| job.condition_is_true(kind)).map(|kind| {
        let reason =
            job.condition(kind).and_then(|condition| condition["reason"].as_str()).unwrap_or_default();
        format!("{kind} {reason}")
    })
}

#[tokio::test(start_paused = true)]
async fn jobs_end_as_their_commands_and_limits_say() {
    let sh = |script: &str| json!({"command": ["sh", "-c", script]});
    let table = [
        ("ok", json!({}), sh("sleep 5 && exit 0"), "Complete CompletionsReached", 5..=7),
        ("fails", json!({"backoffLimit": 0}), sh("sleep 5 && exit 1"), "Failed BackoffLimitExceeded", 5..=7),
        ("retries", json!({"backoffLimit": 1}), sh("exit 1"), "Failed BackoffLimitExceeded", 9..=12),
        ("hangs", json!({"activeDeadlineSeconds": 20}), sh("sleep 6000"), "Failed DeadlineExceeded", 19..=22),
        (
            "no-image",
            json!({"activeDeadlineSeconds": 30}),
            json!({"image": "nonexistent-image"}),
            "Failed DeadlineExceeded",
            29..=32,
        ),
        (
            "bad-command",
            json!({"backoffLimit": 0}),
            json!({"command": ["/bad-command"]}),
            "Failed BackoffLimitExceeded",
            0..=2,
        ),
        (
            "three",
            json!({"completions": 3, "parallelism": 2}),
            sh("sleep 4"),
            "Complete CompletionsReached",
            8..=11,
        ),
    ];
    for (name, spec, container, expected, seconds) in table {
        let world = World::new();
        world.create(&JOBS, job(name, spec, container)).await;
        let took = world.until(name, || async { ended(&world, name).await.is_some() }).await;
        assert_eq!(ended(&world, name).await.as_deref(), Some(expected), "{name}");
        assert!(seconds.contains(&took.as_secs()), "{name} took {took:?}");
        let job = world.get(&JOBS, name).await.unwrap();
        let first = job.text("/status/conditions/0/type");
        assert!(matches!(first, Some("SuccessCriteriaMet" | "FailureTarget")), "{name}: {first:?}");
        assert_eq!(job.at("/status/active"), None, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_job_has_no_pods_until_it_is_resumed() {
    let world = World::new();
    world.create(&JOBS, job("later", json!({"suspend": true}), json!({"command": ["true"]}))).await;
    world
        .until("suspended", || async {
            world.get(&JOBS, "later").await.is_some_and(|job| job.condition_is_true("Suspended"))
        })
        .await;
    world.pass(60).await;
    assert!(world.pods().await.is_empty());
    world.patch(&JOBS, "later", json!({"spec": {"suspend": false}})).await;
    world.until("complete", || async { ended(&world, "later").await.is_some() }).await;
}

#[tokio::test(start_paused = true)]
async fn the_pods_of_a_deleted_job_go_although_nobody_will_count_them() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let world = World::new();
        world
            .create(&JOBS, job("busy", json!({"parallelism": 2}), json!({"command": ["sleep", "6000"]})))
            .await;
        world
            .until("running", || async {
                world.pods().await.iter().filter(|pod| pod.condition_is_true("Ready")).count() == 2
            })
            .await;
        world.delete(&JOBS, "busy", Some(propagation)).await;
        world
            .until("all gone", || async {
                world.pods().await.is_empty() && world.get(&JOBS, "busy").await.is_none()
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_somebody_deletes_counts_as_failed_and_is_replaced() {
    let world = World::new();
    world.create(&JOBS, job("poked", json!({}), json!({"command": ["sleep", "60"]}))).await;
    let running = || async { world.pods().await.iter().any(|pod| pod.condition_is_true("Ready")) };
    world.until("running", running).await;
    let first = world.pods().await[0].name().to_owned();
    world.delete(&PODS, &first, None).await;
    world.until("complete", || async { ended(&world, "poked").await.is_some() }).await;
    let job = world.get(&JOBS, "poked").await.unwrap();
    assert_eq!((job.integer("/status/succeeded"), job.integer("/status/failed")), (Some(1), Some(1)));
}
