//! The data plane on an embedded control plane: its definitions install, its statuses are stored, routes it reads
//! are the ones users write.
#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use glidepath_clock::Clock;
use glidepath_dataplane::demo_web::{self, Settings};
use glidepath_dataplane::{DataPlane, Options, crds};
use glidepath_sandbox::Sandbox;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::watch;

fn api(client: &kube::Client, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
    Api::namespaced_with(client.clone(), "default", &resource)
}

async fn create(api: &Api<DynamicObject>, object: Value) {
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

async fn pod(version: &str) -> (SocketAddr, watch::Sender<bool>) {
    let (stop, stopping) = watch::channel(false);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings { address, version: version.to_owned(), fail_percent: 0 };
    let (address, work) = demo_web::serve(settings, stopping).await.unwrap();
    tokio::spawn(work);
    (address, stop)
}

async fn versions(address: SocketAddr, requests: usize) -> Vec<String> {
    let client: HttpClient<_, Empty<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let mut versions = Vec::new();
    for _ in 0..requests {
        let response = client.get(format!("http://{address}/version").parse().unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        versions.push(String::from_utf8_lossy(&body).trim().to_owned());
    }
    versions
}

/// Waits until the object's status has what is asked for.
async fn until(api: &Api<DynamicObject>, name: &str, pointer: &str, wanted: &Value) {
    for _ in 0..200 {
        let object = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
        if object.pointer(pointer) == Some(wanted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let object = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
    panic!("{pointer} of {name} never became {wanted}: {:#}", object["status"]);
}

#[tokio::test]
async fn weights_written_to_a_route_move_requests_and_the_status_says_so() {
    let clock = Clock::system();
    let sandbox = Sandbox::builder().clock(clock).seed(1).allow_loopback_endpoints(true).build().unwrap();
    let client = sandbox.client("test", "default");
    let plane =
        DataPlane::spawn(sandbox.client("dataplane", "default"), clock, Options::default()).await.unwrap();
    // The definitions may come after the data plane: it goes on trying.
    sandbox.install_crds(&crds()).await.unwrap();

    const GATEWAY: &str = "gateway.networking.k8s.io";
    let gateways = api(&client, GATEWAY, "Gateway", "gateways");
    let routes = api(&client, GATEWAY, "HTTPRoute", "httproutes");
    let services = api(&client, "", "Service", "services");
    let slices = api(&client, "discovery.k8s.io", "EndpointSlice", "endpointslices");
    create(
        &gateways,
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "web"},
               "spec": {"gatewayClassName": "x", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}}),
    )
    .await;
    let mut pods = Vec::new();
    for (name, version) in [("stable", "1"), ("canary", "2")] {
        let (address, stop) = pod(version).await;
        pods.push(stop);
        let labels = json!({"kubernetes.io/service-name": name});
        create(
            &services,
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                   "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]}}),
        )
        .await;
        create(
            &slices,
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                   "metadata": {"name": name, "labels": labels}, "addressType": "IPv4",
                   "endpoints": [{"addresses": [address.ip().to_string()], "conditions": {"ready": true}}],
                   "ports": [{"name": "http", "port": address.port(), "protocol": "TCP"}]}),
        )
        .await;
    }
    create(
        &routes,
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "web"},
               "spec": {"parentRefs": [{"name": "web"}], "rules": [{"backendRefs": [
                   {"name": "stable", "port": 80, "weight": 100}, {"name": "canary", "port": 80, "weight": 0}]}]}}),
    )
    .await;

    until(&gateways, "web", "/status/conditions/1/status", &json!("True")).await;
    until(&gateways, "web", "/status/listeners/0/attachedRoutes", &json!(1)).await;
    until(&routes, "web", "/status/parents/0/conditions/0/status", &json!("True")).await;
    until(&routes, "web", "/status/parents/0/conditions/1/status", &json!("True")).await;
    let address = plane.addr().unwrap();
    assert_eq!(versions(address, 10).await, ["1"; 10]);

    let mut tables = plane.tables();
    tables.mark_unchanged();
    let weights = json!({"spec": {"rules": [{"backendRefs": [
        {"name": "stable", "port": 80, "weight": 80}, {"name": "canary", "port": 80, "weight": 20}]}]}});
    routes.patch("web", &PatchParams::default(), &Patch::Merge(weights)).await.unwrap();
    tables.wait_for(|table| table.rules[0].backends[1].weight == 20).await.unwrap();
    let canary = versions(address, 100).await.iter().filter(|version| *version == "2").count();
    assert_eq!(canary, 20);

    let settled = sandbox.resource_version();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let later = sandbox.resource_version();
    assert!(later - settled <= 1, "statuses settle: {settled} to {later}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sandbox.resource_version(), later, "and nothing is written twice");
    plane.shutdown().await;
}
