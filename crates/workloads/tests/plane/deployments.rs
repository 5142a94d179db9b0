use glidepath_workloads::resource::{DEPLOYMENTS, REPLICA_SETS};
use serde_json::{Value, json};

use crate::world::{World, count, template};

fn deployment(strategy: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy,
            "template": template(json!({"image": "web:1", "readinessProbe": {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 3}}))},
    })
}

async fn complete(world: &World, revision: &str) -> bool {
    let deployment = world.get(&DEPLOYMENTS, "web").await;
    let progressed = deployment.as_ref().and_then(|deployment| deployment.condition("Progressing").cloned());
    count(deployment.as_ref(), "updatedReplicas") == 4
        && deployment
            .as_ref()
            .and_then(|deployment| deployment.annotation("deployment.kubernetes.io/revision"))
            == Some(revision)
        && progressed.is_some_and(|condition| condition["reason"] == "NewReplicaSetAvailable")
}

#[tokio::test(start_paused = true)]
async fn a_new_template_rolls_out_and_an_old_one_comes_back_as_a_new_revision() {
    for strategy in [
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        json!({"type": "Recreate"}),
    ] {
        let world = World::new();
        world.create(&DEPLOYMENTS, deployment(strategy)).await;
        world.until("first revision", || complete(&world, "1")).await;
        let image = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image, "readinessProbe": {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 3}}]}}}});
        world.patch(&DEPLOYMENTS, "web", image("web:2")).await;
        world.until("second revision", || complete(&world, "2")).await;
        let sets = world.list(&REPLICA_SETS).await;
        assert_eq!(sets.len(), 2);
        assert_eq!(sets.iter().filter(|set| set.integer("/spec/replicas") == Some(4)).count(), 1);
        assert!(world.pods().await.iter().all(|pod| pod.text("/spec/containers/0/image") == Some("web:2")));
        world.patch(&DEPLOYMENTS, "web", image("web:1")).await;
        world.until("third revision", || complete(&world, "3")).await;
        assert_eq!(world.list(&REPLICA_SETS).await.len(), 2);
        world.patch(&DEPLOYMENTS, "web", json!({"spec": {"replicas": 2}})).await;
        world.until("two pods", || async { world.pods().await.len() == 2 }).await;
    }
}
