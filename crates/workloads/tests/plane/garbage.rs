use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt as _;
use glidepath_sandbox::{Answering, ApiService, Body, Intercept, Intercepted, is_watch};
use glidepath_workloads::api::{DeleteOptions, Propagation};
use glidepath_workloads::object::Key;
use glidepath_workloads::resource::{CONFIG_MAPS, CRDS, NAMESPACES, REPLICA_SETS, Resource, SECRETS};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::Service;
use tower::layer::layer_fn;

use crate::world::{World, replica_set, template};

async fn with_two_pods() -> World {
    let world = World::new();
    world.create(&REPLICA_SETS, replica_set(2, template(json!({})))).await;
    let ready =
        || async { world.pods().await.iter().filter(|pod| pod.condition_is_true("Ready")).count() == 2 };
    world.until("two ready", ready).await;
    world
}

#[tokio::test(start_paused = true)]
async fn in_the_background_the_owner_goes_first_and_its_pods_follow() {
    let world = with_two_pods().await;
    world.delete(&REPLICA_SETS, "web", Some(Propagation::Background)).await;
    assert!(world.get(&REPLICA_SETS, "web").await.is_none());
    world.until("pods gone", || async { world.pods().await.is_empty() }).await;
}

#[tokio::test(start_paused = true)]
async fn in_the_foreground_the_owner_waits_for_its_pods() {
    let world = World::new();
    let slow = template(json!({"lifecycle": {"preStop": {"sleep": {"seconds": 8}}}}));
    world.create(&REPLICA_SETS, replica_set(2, slow)).await;
    world
        .until("two ready", || async {
            world.pods().await.iter().filter(|pod| pod.condition_is_true("Ready")).count() == 2
        })
        .await;
    world.delete(&REPLICA_SETS, "web", Some(Propagation::Foreground)).await;
    world.pass(5).await;
    assert!(world.get(&REPLICA_SETS, "web").await.is_some_and(|set| set.is_deleting()));
    assert_eq!(world.pods().await.len(), 2);
    world.until("all gone", || async { world.get(&REPLICA_SETS, "web").await.is_none() }).await;
    assert!(world.pods().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn orphaned_pods_stay_and_the_next_replica_set_adopts_them() {
    let world = with_two_pods().await;
    world.delete(&REPLICA_SETS, "web", Some(Propagation::Orphan)).await;
    world.until("owner gone", || async { world.get(&REPLICA_SETS, "web").await.is_none() }).await;
    world.pass(5).await;
    let pods = world.pods().await;
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod.owners().next().is_none()));
    world.create(&REPLICA_SETS, replica_set(2, template(json!({})))).await;
    let adopted =
        || async { world.pods().await.iter().filter(|pod| pod.controller().is_some()).count() == 2 };
    world.until("adopted", adopted).await;
    assert_eq!(world.pods().await.len(), 2);
}

/// Holds back what the watch of Secrets has to say.
#[derive(Clone)]
struct SlowSecrets;

impl Intercept for SlowSecrets {
    fn answer<S, B>(&self, inner: &mut S, request: Request<B>) -> Answering
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Send + 'static,
    {
        let held = is_watch(&request) && request.uri().path() == "/api/v1/secrets";
        let answer = inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(if held { response.map(hold_back) } else { response })
        })
    }
}

fn hold_back(body: Body) -> Body {
    Body::stream(Box::pin(body.into_data_stream().then(|piece| async {
        sleep(Duration::from_secs(2)).await;
        piece.map_err(std::io::Error::other)
    })))
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_hears_late_of_an_orphan_leaves_it_alone() {
    let world = World::with_client(&[], |sandbox| {
        let slow = layer_fn(|service: ApiService| Intercepted::new(service, SlowSecrets));
        sandbox.client_with_layer("workloads", "default", &slow)
    });
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}});
    let owner = world.create(&CONFIG_MAPS, owner).await;
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid()});
    let metadata = json!({"name": "owned", "ownerReferences": [reference]});
    world.create(&SECRETS, json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).await;
    world.pass(60).await;
    world.delete(&CONFIG_MAPS, "owner", Some(Propagation::Orphan)).await;
    world.until("owner gone", || async { world.get(&CONFIG_MAPS, "owner").await.is_none() }).await;
    world.pass(60).await;
    assert!(world.get(&SECRETS, "owned").await.is_some_and(|owned| owned.owners().next().is_none()));
}

#[tokio::test(start_paused = true)]
async fn custom_resources_own_too_and_an_owner_that_never_was_owns_nothing() {
    let world = World::new();
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]},
    });
    world.api.send_create(&CRDS, "", &crd).await.unwrap();
    world.pass(1).await;
    let widgets = Resource::discovered("example.com", "v1", "widgets", "Widget", true);
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "default"}});
    let owner = world.create(&widgets, widget).await;
    let config_map = |name: &str, uid: &str| -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default",
            "ownerReferences": [{"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": uid}]}})
    };
    world.create(&CONFIG_MAPS, config_map("kept", owner.uid())).await;
    world.create(&CONFIG_MAPS, config_map("stray", "00000000-0000-0000-0000-000000000000")).await;
    world.until("stray gone", || async { world.get(&CONFIG_MAPS, "stray").await.is_none() }).await;
    world.pass(10).await;
    assert!(world.get(&CONFIG_MAPS, "kept").await.is_some());
    world.delete(&widgets, "w", Some(Propagation::Background)).await;
    world.until("dependent gone", || async { world.get(&CONFIG_MAPS, "kept").await.is_none() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_namespace_is_emptied_first() {
    let world = World::new();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short"}});
    world.api.send_create(&NAMESPACES, "", &namespace).await.unwrap();
    let mut set = replica_set(2, template(json!({})));
    set["metadata"]["namespace"] = json!("short");
    world.create(&REPLICA_SETS, set).await;
    world.pass(2).await;
    let key = Key::new("", "short");
    world.api.send_delete(&NAMESPACES, &key, &DeleteOptions::default()).await.unwrap();
    let gone = || async { world.api.fetch(&NAMESPACES, &key).await.is_err() };
    let at = world.until("namespace gone", gone).await;
    assert!(at < Duration::from_secs(60), "{at:?}");
    assert!(world.api.fetch_list(&REPLICA_SETS, Some("short")).await.unwrap().0.is_empty());
}
