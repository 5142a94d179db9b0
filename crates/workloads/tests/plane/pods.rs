use std::time::Duration;

use glidepath_workloads::resource::{
    CONFIG_MAPS, ENDPOINT_SLICES, NODES, PODS, REPLICA_SETS, SERVICE_ACCOUNTS, SERVICES,
};
use serde_json::json;

use crate::world::{World, count, replica_set, template, waiting_reason};

async fn ready(world: &World, wanted: i64) -> bool {
    let set = world.get(&REPLICA_SETS, "web").await;
    count(set.as_ref(), "readyReplicas") == wanted && count(set.as_ref(), "replicas") == wanted
}

#[tokio::test(start_paused = true)]
async fn a_replica_set_grows_and_shrinks_and_says_so() {
    let world = World::new();
    world.create(&REPLICA_SETS, replica_set(3, template(json!({})))).await;
    world.until("three ready", || ready(&world, 3)).await;
    let set = world.get(&REPLICA_SETS, "web").await.unwrap();
    assert_eq!(count(Some(&set), "availableReplicas"), 3);
    assert_eq!(count(Some(&set), "fullyLabeledReplicas"), 3);
    assert_eq!(count(Some(&set), "observedGeneration"), 1);
    for pod in world.pods().await {
        assert!(pod.name().starts_with("web-") && pod.name().len() == "web-".len() + 5, "{}", pod.name());
        assert!(pod.text("/status/podIP").unwrap().starts_with("10.244."));
        assert_eq!(pod.text("/status/phase"), Some("Running"));
    }
    world.patch(&REPLICA_SETS, "web", json!({"spec": {"replicas": 1}})).await;
    world.until("one left", || ready(&world, 1)).await;
    world.until("the others gone", || async { world.pods().await.len() == 1 }).await;
    world.patch(&REPLICA_SETS, "web", json!({"spec": {"replicas": 0}})).await;
    world.until("none left", || async { ready(&world, 0).await && world.pods().await.is_empty() }).await;
}

#[tokio::test(start_paused = true)]
async fn pods_cost_few_writes_and_nothing_once_they_run() {
    let world = World::new();
    world.pass(1).await;
    world.sandbox.reset_audit();
    world.create(&REPLICA_SETS, replica_set(10, template(json!({})))).await;
    world.until("ten ready", || ready(&world, 10)).await;
    world.pass(60).await;
    // Per pod: create, bind, status. Per set: a few statuses.
    assert!(world.writes() <= 36, "{} writes: {:#?}", world.writes(), world.sandbox.audit());
    world.sandbox.reset_audit();
    world.pass(3600).await;
    assert_eq!(world.writes(), 0, "{:#?}", world.sandbox.audit());
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_ready_after_its_initial_delay_and_available_after_min_ready_seconds() {
    let world = World::new();
    world.pass(1).await;
    let mut body = replica_set(
        1,
        template(json!({"readinessProbe": {"initialDelaySeconds": 10, "httpGet": {"port": 80}}})),
    );
    body["spec"]["minReadySeconds"] = json!(20);
    let before = world.until("the start", || async { true }).await;
    world.create(&REPLICA_SETS, body).await;
    let status = |field: &'static str| {
        let world = &world;
        move || async move { count(world.get(&REPLICA_SETS, "web").await.as_ref(), field) == 1 }
    };
    let ready = world.until("ready", status("readyReplicas")).await - before;
    assert_eq!(ready.as_secs(), 10);
    let available = world.until("available", status("availableReplicas")).await - before;
    // Object times have whole seconds, so the wait may end up to a second early.
    assert!((29..=30).contains(&available.as_secs()), "{available:?}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_backs_off_and_a_missing_image_never_comes() {
    let world = World::new();
    world
        .create(&REPLICA_SETS, replica_set(1, template(json!({"command": ["sh", "-c", "sleep 1; exit 3"]}))))
        .await;
    let looping = |restarts: i64| {
        let world = &world;
        move || async move {
            world.pods().await.first().is_some_and(|pod| {
                waiting_reason(pod) == "CrashLoopBackOff"
                    && pod.integer("/status/containerStatuses/0/restartCount") == Some(restarts)
            })
        }
    };
    let first = world.until("first back-off", looping(1)).await;
    let second = world.until("second back-off", looping(2)).await;
    let third = world.until("third back-off", looping(3)).await;
    assert_eq!(((second - first).as_secs(), (third - second).as_secs()), (11, 21));
    let pod = &world.pods().await[0];
    assert_eq!(pod.integer("/status/containerStatuses/0/lastState/terminated/exitCode"), Some(3));
    assert_eq!(pod.text("/status/phase"), Some("Running"));

    world.patch(&REPLICA_SETS, "web", json!({"spec": {"replicas": 0}})).await;
    world.until("gone", || async { world.pods().await.is_empty() }).await;
    let bad = template(json!({"image": "argoproj/rollouts-demo:does-not-exist"}));
    world
        .create(
            &PODS,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": bad["spec"]}),
        )
        .await;
    let waits = |reason: &'static str| {
        let world = &world;
        move || async move { world.get(&PODS, "bad").await.is_some_and(|pod| waiting_reason(&pod) == reason) }
    };
    world.until("pull error", waits("ErrImagePull")).await;
    world.until("pull back-off", waits("ImagePullBackOff")).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_takes_its_pre_stop_time_and_an_annotation_makes_a_running_pod_crash() {
    let world = World::new();
    let hook = template(json!({"lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}}}));
    world
        .create(
            &PODS,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slow"}, "spec": hook["spec"]}),
        )
        .await;
    let ready = || async { world.get(&PODS, "slow").await.is_some_and(|pod| pod.condition_is_true("Ready")) };
    world.until("ready", ready).await;
    world
        .patch(
            &PODS,
            "slow",
            json!({"metadata": {"annotations": {"sandbox.glidepath.dev/crash-after": "30s"}}}),
        )
        .await;
    let crashed = || async {
        world
            .get(&PODS, "slow")
            .await
            .is_some_and(|pod| pod.integer("/status/containerStatuses/0/restartCount") > Some(0))
    };
    let at = world.until("crashed", crashed).await;
    assert_eq!(at.as_secs(), 30);
    let before = world.until("now", || async { true }).await;
    world.delete(&PODS, "slow", None).await;
    let gone = world.until("gone", || async { world.get(&PODS, "slow").await.is_none() }).await;
    let took = gone - before;
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_readiness_gate_holds_a_pod_back_until_somebody_sets_it() {
    let world = World::new();
    let mut spec = template(json!({}))["spec"].clone();
    spec["readinessGates"] = json!([{"conditionType": "example.com/lb"}]);
    world
        .create(
            &PODS,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gated"}, "spec": spec}),
        )
        .await;
    world
        .until("running", || async {
            world.get(&PODS, "gated").await.is_some_and(|pod| pod.condition_is_true("ContainersReady"))
        })
        .await;
    let pod = world.get(&PODS, "gated").await.unwrap();
    assert!(!pod.condition_is_true("Ready"));
    let mut conditions = pod.list("/status/conditions").to_vec();
    conditions.push(json!({"type": "example.com/lb", "status": "True"}));
    world
        .api
        .send_patch(&PODS, &pod.key(), Some("status"), &json!({"status": {"conditions": conditions}}))
        .await
        .unwrap();
    world
        .until("ready", || async {
            world.get(&PODS, "gated").await.is_some_and(|pod| pod.condition_is_true("Ready"))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_services_endpoints_follow_its_pods() {
    let world = World::new();
    let port = json!([{"name": "http", "port": 80, "targetPort": "web"}]);
    world
        .create(
            &SERVICES,
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": port}}),
        )
        .await;
    let slow = json!({"ports": [{"name": "web", "containerPort": 8080}], "readinessProbe": {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 5}});
    world.create(&REPLICA_SETS, replica_set(2, template(slow))).await;
    let endpoints = |ready: bool, wanted: usize| {
        let world = &world;
        move || async move {
            let slices = world.list(&ENDPOINT_SLICES).await;
            let all: Vec<_> = slices.iter().flat_map(|slice| slice.list("/endpoints")).collect();
            all.iter().filter(|endpoint| endpoint["conditions"]["ready"] == json!(ready)).count() == wanted
        }
    };
    world.until("two not ready", endpoints(false, 2)).await;
    let at = world.until("two ready", endpoints(true, 2)).await;
    assert!(at.as_secs() >= 5);
    let slices = world.list(&ENDPOINT_SLICES).await;
    assert_eq!(slices.len(), 1);
    assert_eq!(slices[0].list("/ports"), [json!({"name": "http", "port": 8080, "protocol": "TCP"})]);
    assert_eq!(
        slices[0].label("endpointslice.kubernetes.io/managed-by"),
        Some("endpointslice-controller.k8s.io")
    );
    world.patch(&REPLICA_SETS, "web", json!({"spec": {"replicas": 1}})).await;
    world.until("one ready", endpoints(true, 1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_cordoned_node_leaves_pods_pending_until_it_is_back() {
    let world = World::new();
    let node = || async { world.api.fetch_list(&NODES, None).await.unwrap().0.len() == 1 };
    world.until("the node", node).await;
    let cordon = |unschedulable: bool| {
        let key = glidepath_workloads::object::Key::new("", "node-a");
        let api = world.api.clone();
        async move {
            api.send_patch(&NODES, &key, None, &json!({"spec": {"unschedulable": unschedulable}}))
                .await
                .unwrap()
        }
    };
    cordon(true).await;
    world.create(&REPLICA_SETS, replica_set(1, template(json!({})))).await;
    let unschedulable = || async {
        world
            .pods()
            .await
            .first()
            .and_then(|pod| pod.condition("PodScheduled").cloned())
            .is_some_and(|condition| condition["reason"] == "Unschedulable")
    };
    world.until("unschedulable", unschedulable).await;
    assert_ne!(world.pods().await[0].text("/status/phase"), Some("Running"));
    cordon(false).await;
    world.until("ready", || ready(&world, 1)).await;
}

#[tokio::test(start_paused = true)]
async fn every_namespace_has_its_account_and_root_certificate() {
    let world = World::new();
    let furnished = || async {
        world.get(&SERVICE_ACCOUNTS, "default").await.is_some()
            && world.get(&CONFIG_MAPS, "kube-root-ca.crt").await.is_some()
    };
    world.until("furnished", furnished).await;
    world.delete(&CONFIG_MAPS, "kube-root-ca.crt", None).await;
    world.until("furnished again", furnished).await;
}
