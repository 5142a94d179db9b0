//! Real requests through a data plane to real servers; the API is scripted.
//!
//! The script knows lists and watches and takes status patches. It has no storage and checks nothing.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use glidepath_clock::Clock;
use glidepath_dataplane::demo_web::{self, Settings};
use glidepath_dataplane::{DataPlane, Listen, Options};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

type Answer = UnsyncBoxBody<Bytes, std::io::Error>;

fn whole(answer: &Value) -> Answer {
    Full::new(Bytes::from(answer.to_string())).map_err(std::io::Error::other).boxed_unsync()
}

/// A scripted API: what lists hold, what watches will say, what statuses were written.
#[derive(Default)]
struct Script {
    lists: Mutex<BTreeMap<String, Vec<Value>>>,
    events: Mutex<BTreeMap<String, VecDeque<Value>>>,
    statuses: Mutex<Vec<(String, Value)>>,
    more: Notify,
}

impl Script {
    fn hold(&self, plural: &str, objects: Vec<Value>) {
        self.lists.lock().unwrap().insert(plural.to_owned(), objects);
    }

    fn say(&self, plural: &str, object: Value) {
        let event = json!({"type": "MODIFIED", "object": object});
        self.events.lock().unwrap().entry(plural.to_owned()).or_default().push_back(event);
        self.more.notify_waiters();
    }

    fn client(self: &Arc<Self>) -> kube::Client {
        let script = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let script = Arc::clone(&script);
            async move { Ok::<_, std::convert::Infallible>(script.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Answer> {
        let path = request.uri().path().to_owned();
        if request.method() == Method::PATCH {
            let body: Value =
                serde_json::from_slice(&request.into_body().collect().await.unwrap().to_bytes()).unwrap();
            self.statuses.lock().unwrap().push((path, body));
            return Response::new(whole(&json!({"metadata": {"name": "x"}})));
        }
        let plural = path.rsplit('/').next().unwrap().to_owned();
        if request.uri().query().unwrap_or_default().contains("watch=true") {
            return Response::new(self.watch(plural));
        }
        let items = self.lists.lock().unwrap().get(&plural).cloned().unwrap_or_default();
        let list =
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items});
        Response::new(whole(&list))
    }

    fn watch(self: Arc<Self>, plural: String) -> Answer {
        let events = futures::stream::unfold((self, plural), |(script, plural)| async move {
            loop {
                let next = script.events.lock().unwrap().get_mut(&plural).and_then(VecDeque::pop_front);
                if let Some(event) = next {
                    let line = Bytes::from(format!("{event}\n"));
                    return Some((Ok::<_, std::io::Error>(Frame::data(line)), (script, plural)));
                }
                tokio::time::timeout(Duration::from_millis(5), script.more.notified()).await.ok();
            }
        });
        StreamBody::new(events.boxed()).boxed_unsync()
    }
}

fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": "shop", "resourceVersion": "2", "generation": 1})
}

fn route(stable: u64, canary: u64) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta("web"),
           "spec": {"parentRefs": [{"name": "web"}], "rules": [{"backendRefs": [
               {"name": "stable", "port": 80, "weight": stable},
               {"name": "canary", "port": 80, "weight": canary}]}]}})
}

fn slice(service: &str, pod: SocketAddr, ready: bool) -> Value {
    let mut metadata = meta(&format!("{service}-{}", pod.port()));
    metadata["labels"] = json!({"kubernetes.io/service-name": service});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
           "endpoints": [{"addresses": [pod.ip().to_string()], "conditions": {"ready": ready}}],
           "ports": [{"name": "", "port": pod.port()}]})
}

/// Starts a web service; it stops when the sender is dropped or turns true.
async fn pod(version: &str, fail_percent: u64) -> (SocketAddr, watch::Sender<bool>) {
    let (stop, stopping) = watch::channel(false);
    let settings = Settings {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        version: version.to_owned(),
        fail_percent,
    };
    let (address, work) = demo_web::serve(settings, stopping).await.unwrap();
    tokio::spawn(work);
    (address, stop)
}

async fn started(slices: Vec<Value>, route: Value, listen: Listen) -> (Arc<Script>, DataPlane) {
    let script = Arc::new(Script::default());
    let port = match listen {
        Listen::Fixed(_) => 80,
        Listen::PerListener(_) => free_port().await,
    };
    script.hold(
        "gateways",
        vec![
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": meta("web"),
                    "spec": {"gatewayClassName": "x", "listeners": [
                        {"name": "http", "port": port, "protocol": "HTTP"}]}}),
        ],
    );
    script.hold("httproutes", vec![route]);
    let service = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(name),
                                      "spec": {"ports": [{"port": 80}]}})
    };
    script.hold("services", vec![service("stable"), service("canary")]);
    script.hold("endpointslices", slices);
    let options = Options { listen, ..Options::default() };
    let plane = DataPlane::spawn(script.client(), Clock::system(), options).await.unwrap();
    plane.ready().await;
    (script, plane)
}

async fn free_port() -> u16 {
    let socket = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    socket.local_addr().unwrap().port()
}

/// Sends requests one after the other and counts what came back, as `code body`.
async fn ask(address: SocketAddr, path: &str, times: usize) -> BTreeMap<String, usize> {
    let client: HttpClient<_, Empty<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let mut answers = BTreeMap::new();
    for _ in 0..times {
        let uri = format!("http://{address}{path}").parse().unwrap();
        let response = client.get(uri).await.unwrap();
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).trim().to_owned();
        *answers.entry(format!("{code} {text}")).or_default() += 1;
    }
    answers
}

fn counted(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(answer, count)| ((*answer).to_owned(), *count)).collect()
}

const FIXED: Listen =
    Listen::Fixed(SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0)));

#[tokio::test]
async fn two_hundred_requests_are_split_exactly_and_reported() {
    let (stable, _a) = pod("1", 0).await;
    let (canary, _b) = pod("2", 0).await;
    let slices = vec![slice("stable", stable, true), slice("canary", canary, true)];
    let (script, plane) = started(slices, route(80, 20), FIXED).await;
    let answers = ask(plane.addr().unwrap(), "/version", 200).await;
    assert_eq!(answers, counted(&[("200 1", 160), ("200 2", 40)]));

    let metrics = ask(plane.admin_addr(), "/metrics", 1).await.into_keys().next().unwrap();
    let line = "dataplane_requests_total{route=\"shop/web\",rule=\"0\",backend=\"canary\",code=\"200\"} 40";
    assert!(metrics.contains(line), "{metrics}");
    let stats = ask(plane.admin_addr(), "/stats", 1).await.into_keys().next().unwrap();
    let stats: Value = serde_json::from_str(stats.trim_start_matches("200 ")).unwrap();
    assert_eq!(stats["rules"][0]["backends"][1]["weight"], 20);

    let statuses = script.statuses.lock().unwrap().clone();
    let paths: Vec<&str> = statuses.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        // The script never shows what was written, so the same may be written again.
        paths[..2],
        [
            "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways/web/status",
            "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/web/status"
        ]
    );
    plane.shutdown().await;
}

#[tokio::test]
async fn new_weights_take_effect_and_an_unready_endpoint_gets_nothing_more() {
    let (stable, _a) = pod("1", 0).await;
    let (canary, _b) = pod("2", 0).await;
    let slices = vec![slice("stable", stable, true), slice("canary", canary, true)];
    let (script, plane) = started(slices, route(100, 0), FIXED).await;
    let address = plane.addr().unwrap();
    assert_eq!(ask(address, "/version", 10).await, counted(&[("200 1", 10)]));

    let mut tables = plane.tables();
    tables.mark_unchanged();
    script.say("httproutes", route(0, 100));
    tables.changed().await.unwrap();
    assert_eq!(ask(address, "/version", 10).await, counted(&[("200 2", 10)]));

    tables.mark_unchanged();
    script.say("endpointslices", slice("canary", canary, false));
    tables.changed().await.unwrap();
    assert_eq!(ask(address, "/version", 1).await, counted(&[("503 the backend has no ready endpoint", 1)]));
}

#[tokio::test]
async fn a_dead_endpoint_costs_no_request_while_another_lives() {
    let (alive, _a) = pod("1", 0).await;
    let dead = SocketAddr::from(([127, 0, 0, 1], free_port().await));
    let slices = vec![slice("stable", alive, true), slice("stable", dead, true)];
    let (_script, plane) = started(slices, route(1, 0), FIXED).await;
    assert_eq!(ask(plane.addr().unwrap(), "/version", 20).await, counted(&[("200 1", 20)]));
    let stats = plane.report().render_stats(&plane.table());
    assert_eq!(stats["retries"], 10);
}

#[tokio::test]
async fn a_pod_that_drains_loses_no_request() {
    let (first, stop_first) = pod("1", 0).await;
    let (second, _b) = pod("1", 0).await;
    let slices = vec![slice("stable", first, true), slice("stable", second, true)];
    let (script, plane) = started(slices, route(1, 0), FIXED).await;
    let address = plane.addr().unwrap();
    let asking = tokio::spawn(async move { ask(address, "/version", 400).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    script.say("endpointslices", slice("stable", first, false));
    stop_first.send_replace(true);
    assert_eq!(asking.await.unwrap(), counted(&[("200 1", 400)]));
}

#[tokio::test]
async fn a_gateway_port_is_opened_and_unknown_paths_answer_404() {
    let (stable, _a) = pod("1", 0).await;
    let mut routed = route(1, 0);
    routed["spec"]["rules"][0]["matches"] = json!([{"path": {"type": "PathPrefix", "value": "/version"}}]);
    let listen = Listen::PerListener([127, 0, 0, 1].into());
    let (_script, plane) = started(vec![slice("stable", stable, true)], routed, listen).await;
    let port = *plane.table().ports.first().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ask(address, "/version", 1).await, counted(&[("200 1", 1)]));
    assert_eq!(ask(address, "/", 1).await, counted(&[("404 no route matches this request", 1)]));
}

#[tokio::test]
async fn a_backend_that_never_answers_is_a_504() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut routed = route(1, 0);
    routed["spec"]["rules"][0]["timeouts"] = json!({"request": "100ms"});
    let slices = vec![slice("stable", silent.local_addr().unwrap(), true)];
    let (_script, plane) = started(slices, routed, FIXED).await;
    let answers = ask(plane.addr().unwrap(), "/", 1).await;
    assert_eq!(answers, counted(&[("504 the backend did not answer in time", 1)]));
}

#[tokio::test]
async fn a_post_with_a_body_survives_a_refused_connection() {
    let (alive, _a) = pod("1", 0).await;
    let dead = SocketAddr::from(([127, 0, 0, 1], free_port().await));
    let slices = vec![slice("stable", alive, true), slice("stable", dead, true)];
    let (_script, plane) = started(slices, route(1, 0), FIXED).await;
    let client: HttpClient<_, Full<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    for _ in 0..4 {
        let request =
            Request::post(format!("http://{}/", plane.addr().unwrap())).body("hello".into()).unwrap();
        assert_eq!(client.request(request).await.unwrap().status(), 200);
    }
}
