use glidepath_workloads::object::Key;
use glidepath_workloads::resource::{AUTOSCALERS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS};
use serde_json::json;

use crate::world::{World, count, replica_set, template};

#[tokio::test(start_paused = true)]
async fn a_budget_lets_one_pod_be_evicted_at_a_time() {
    let world = World::new();
    world
        .create(
            &REPLICA_SETS,
            replica_set(
                3,
                template(json!({"readinessProbe": {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 5}})),
            ),
        )
        .await;
    world
        .create(
            &POD_DISRUPTION_BUDGETS,
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
        )
        .await;
    let allowed = |wanted: i64| {
        let world = &world;
        move || async move {
            count(world.get(&POD_DISRUPTION_BUDGETS, "web").await.as_ref(), "disruptionsAllowed") == wanted
        }
    };
    world.until("one eviction allowed", allowed(1)).await;
    let names: Vec<String> = world.pods().await.iter().map(|pod| pod.name().to_owned()).collect();
    let evict = |name: &str| {
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}});
        let (api, key) = (world.api.clone(), Key::new("default", name));
        async move { api.send_post(&PODS, &key, "eviction", &body).await.map(|_| ()) }
    };
    evict(&names[0]).await.unwrap();
    let refused = evict(&names[1]).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 429));
    world.until("none allowed", allowed(0)).await;
    world.until("one allowed again", allowed(1)).await;
    evict(&names[1]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_follows_the_load_its_pods_report() {
    let world = World::new();
    let mut busy = template(json!({"resources": {"requests": {"cpu": "100m"}}}));
    busy["metadata"]["annotations"] = json!({"sandbox.glidepath.dev/usage.cpu": "100m"});
    world.create(&REPLICA_SETS, replica_set(1, busy)).await;
    world.create(&AUTOSCALERS, json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {"minReplicas": 1, "maxReplicas": 4, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}})).await;
    world.until("the maximum", || async { world.pods().await.len() == 4 }).await;
    for pod in world.pods().await {
        world
            .patch(
                &PODS,
                pod.name(),
                json!({"metadata": {"annotations": {"sandbox.glidepath.dev/usage.cpu": "5m"}}}),
            )
            .await;
    }
    let before = world.until("now", || async { true }).await;
    let at = world.until("the minimum", || async { world.pods().await.len() == 1 }).await - before;
    assert!(at.as_secs() >= 270, "shrinks only after the stabilisation window: {at:?}");
}
