//! Nodes that fall silent or disappear, in virtual time.

use glidepath_workloads::object::{Key, Object};
use glidepath_workloads::resource::{NODES, PODS, REPLICA_SETS};
use serde_json::{Value, json};

use crate::world::{World, count, replica_set, template};

async fn node(world: &World, name: &str) -> Object {
    world.api.fetch(&NODES, &Key::new("", name)).await.unwrap()
}

async fn set_lost(world: &World, name: &str, lost: Value) {
    let patch = json!({"metadata": {"annotations": {"sandbox.glidepath.dev/lost": lost}}});
    world.api.send_patch(&NODES, &Key::new("", name), None, &patch).await.unwrap();
}

fn taints(node: &Object) -> Vec<String> {
    let taint =
        |taint: &Value| format!("{}:{}", taint["key"].as_str().unwrap(), taint["effect"].as_str().unwrap());
    node.list("/spec/taints").iter().map(taint).collect()
}

/// A pod bound to `node` by name.
async fn bound(world: &World, name: &str, node: &str, tolerations: Value) {
    let mut spec = template(json!({}))["spec"].clone();
    spec["nodeName"] = json!(node);
    spec["tolerations"] = tolerations;
    world
        .create(&PODS, json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}))
        .await;
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_lost_node_are_unready_after_50_seconds_and_replaced_after_300_more() {
    let world = World::with_nodes(&["node-a", "node-b"]);
    world.pass(1).await;
    world.create(&REPLICA_SETS, replica_set(2, template(json!({})))).await;
    let ready = |wanted: i64| {
        let world = &world;
        move || async move { count(world.get(&REPLICA_SETS, "web").await.as_ref(), "readyReplicas") == wanted }
    };
    world.until("one ready on each node", ready(2)).await;
    let forever = json!([{"operator": "Exists"}]);
    bound(&world, "loyal", "node-a", forever).await;
    let brief = json!([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}]);
    bound(&world, "brief", "node-a", brief).await;
    world.pass(5).await;
    let start = world.until("now", || async { true }).await;
    set_lost(&world, "node-a", json!("true")).await;

    let lost = world.until("one ready pod left", ready(1)).await - start;
    assert_eq!(lost.as_secs(), 50);
    world.pass(1).await;
    let unheard = node(&world, "node-a").await;
    assert_eq!(
        taints(&unheard),
        ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]
    );
    let condition = unheard.condition("Ready").unwrap();
    assert_eq!(
        (condition["status"].as_str(), condition["reason"].as_str(), condition["message"].as_str()),
        (Some("Unknown"), Some("NodeStatusUnknown"), Some("Kubelet stopped posting node status."))
    );
    let deleting = |name: &'static str| {
        let world = &world;
        move || async move { world.get(&PODS, name).await.is_some_and(|pod| pod.is_deleting()) }
    };
    let brief = world.until("the impatient pod goes", deleting("brief")).await - start;
    assert!((69..=71).contains(&brief.as_secs()), "{brief:?}");
    let replaced = world.until("a new pod on the other node", ready(2)).await - start;
    assert!((349..=351).contains(&replaced.as_secs()), "{replaced:?}");

    let sent_off = world.get(&PODS, "brief").await.unwrap();
    let why = sent_off.condition("DisruptionTarget").unwrap();
    assert_eq!(
        (why["reason"].as_str(), why["message"].as_str()),
        (Some("DeletionByTaintManager"), Some("Taint manager: deleting due to NoExecute taint"))
    );
    assert!(!world.get(&PODS, "loyal").await.unwrap().is_deleting());
    world.pass(600).await;
    assert!(world.get(&PODS, "brief").await.is_some(), "nobody is there to tell that it has ended");

    set_lost(&world, "node-a", Value::Null).await;
    world.until("its pods end", || async { world.pods().await.iter().all(|pod| !pod.is_deleting()) }).await;
    world.until("the node is back", || async { taints(&node(&world, "node-a").await).is_empty() }).await;
    assert!(node(&world, "node-a").await.condition_is_true("Ready"));
    let loyal = || async { world.get(&PODS, "loyal").await.unwrap().condition_is_true("Ready") };
    world.until("the loyal pod is ready again", loyal).await;
    world.pass(120).await;
    assert!(node(&world, "node-a").await.condition_is_true("Ready"));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_off_when_every_node_is_lost() {
    let world = World::new();
    world.pass(1).await;
    world.create(&REPLICA_SETS, replica_set(1, template(json!({})))).await;
    world.pass(5).await;
    set_lost(&world, "node-a", json!("true")).await;
    world.pass(600).await;
    assert_eq!(taints(&node(&world, "node-a").await), ["node.kubernetes.io/unreachable:NoSchedule"]);
    let pods = world.pods().await;
    assert_eq!(pods.len(), 1);
    assert!(!pods[0].is_deleting() && !pods[0].condition_is_true("Ready"));
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_node_that_no_longer_exists_are_removed_after_40_seconds() {
    let world = World::with_nodes(&["node-a", "node-b"]);
    world.pass(1).await;
    bound(&world, "left", "elsewhere", json!([])).await;
    let start = world.until("now", || async { true }).await;
    let gone = world.until("it is gone", || async { world.get(&PODS, "left").await.is_none() }).await - start;
    assert_eq!(gone.as_secs(), 40);
}
