//! The plane over HTTPS: who may ask, what every answer carries, and logs; and the rows of the golden
//! table that need a running server.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{AsyncReadExt, StreamExt};
use glidepath_sandbox::{
    ExecRequest, ExecSession, ExecSource, LogError, LogRequest, LogSource, LogStream, Running,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, LogParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use support::{delete, get, merge, plane, post, send};

async fn config(running: &Running) -> kube::Config {
    let kubeconfig = Kubeconfig::from_yaml(&running.kubeconfig()).unwrap();
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

async fn status(config: kube::Config, path: &str) -> u16 {
    let client = kube::Client::try_from(config).unwrap();
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    match client.request_text(request).await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_kubeconfig_is_the_administrators_and_strangers_see_only_health() {
    let sandbox = plane();
    let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/kubeconfig");
    running.write_kubeconfig(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), running.kubeconfig());

    let admin = config(&running).await;
    let namespaces: Api<Namespace> = Api::all(kube::Client::try_from(admin.clone()).unwrap());
    assert_eq!(namespaces.list(&Default::default()).await.unwrap().items.len(), 4);

    let mut stranger = admin.clone();
    stranger.auth_info = Default::default();
    for (path, code) in [
        ("/version", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/api", 403),
        ("/openapi/v3", 403),
        ("/api/v1/pods", 403),
    ] {
        assert_eq!(status(stranger.clone(), path).await, code, "{path}");
    }
    let mut bad_token = stranger.clone();
    bad_token.auth_info.token = Some("nobody".to_owned().into());
    assert_eq!(status(bad_token, "/api").await, 401);

    post(&sandbox, "/api/v1/namespaces/default/serviceaccounts", &json!({ "metadata": { "name": "robot" } }))
        .await;
    let issued = post(
        &sandbox,
        "/api/v1/namespaces/default/serviceaccounts/robot/token",
        &json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} }),
    )
    .await;
    let token = issued.body["status"]["token"].as_str().unwrap().to_owned();
    let mut robot = stranger.clone();
    robot.auth_info.token = Some(token.into());
    assert_eq!(status(robot.clone(), "/api/v1/pods").await, 403, "nobody has bound it to a role yet");
    let binding = json!({
        "metadata": { "name": "robot" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
        "subjects": [{ "kind": "ServiceAccount", "namespace": "default", "name": "robot" }],
    });
    post(&sandbox, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    assert_eq!(status(robot.clone(), "/api/v1/pods").await, 200);
    delete(&sandbox, "/api/v1/namespaces/default/serviceaccounts/robot").await;
    assert_eq!(status(robot, "/api/v1/pods").await, 401, "a token does not outlive its account");

    let addr = running.addr();
    running.shutdown().await;
    sandbox.serve(addr).await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let sandbox = plane();
    let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let refused = sandbox.serve(running.addr()).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("cannot listen on {}", running.addr()));
}

#[tokio::test(start_paused = true)]
async fn every_answer_carries_an_audit_id_and_is_not_cached() {
    let sandbox = plane();
    for path in ["/api/v1/namespaces", "/api/v1/namespaces/nowhere"] {
        let answer = get(&sandbox, path).await;
        assert!(!answer.headers["audit-id"].is_empty());
        assert_eq!(answer.headers["cache-control"], "no-cache, private");
    }
    let groups = get(&sandbox, "/apis").await;
    assert!(!groups.headers.contains_key("vary"), "only the new form of the list varies");
    let tag = groups.headers["etag"].to_str().unwrap().to_owned();
    let request = http::Request::get("/apis").header("if-none-match", tag).body(String::new()).unwrap();
    assert_eq!(support::raw(&sandbox, request).await.status(), 304);
}

#[tokio::test(start_paused = true)]
async fn a_running_pod_is_deleted_with_grace_unless_it_is_none() {
    let sandbox = plane();
    let path = "/api/v1/namespaces/default/pods/p";
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
        "spec": { "nodeName": "n", "containers": [{ "name": "c", "image": "c:1" }] } });
    post(&sandbox, "/api/v1/namespaces/default/pods", &pod).await;
    let foreign = json!({ "preconditions": { "uid": "another" } }).to_string();
    let refused = send(&sandbox, "DELETE", path, "application/json", &foreign).await;
    assert_eq!((refused.code, &refused.body["reason"]), (409, &json!("Conflict")));
    let marked = delete(&sandbox, path).await.body;
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
    let gone = delete(&sandbox, &format!("{path}?gracePeriodSeconds=0")).await;
    assert_eq!(gone.body["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(get(&sandbox, path).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn propagation_leaves_a_finalizer_for_the_garbage_collector() {
    let sandbox = plane();
    let maps = "/api/v1/namespaces/default/configmaps";
    for (policy, finalizer) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")] {
        post(&sandbox, maps, &json!({ "metadata": { "name": "m" } })).await;
        let marked = delete(&sandbox, &format!("{maps}/m?propagationPolicy={policy}")).await.body;
        assert_eq!(marked["metadata"]["finalizers"], json!([finalizer]));
        merge(&sandbox, &format!("{maps}/m"), &json!({ "metadata": { "finalizers": [] } })).await;
        assert_eq!(get(&sandbox, &format!("{maps}/m")).await.code, 404);
    }
    post(&sandbox, maps, &json!({ "metadata": { "name": "m" } })).await;
    delete(&sandbox, &format!("{maps}/m?propagationPolicy=Background")).await;
    assert_eq!(get(&sandbox, &format!("{maps}/m")).await.code, 404);
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_a_budget_forbids_is_too_many_requests() {
    let sandbox = plane();
    let namespace = "/api/v1/namespaces/default";
    let pod = json!({ "metadata": { "name": "p", "labels": { "app": "web" } },
        "spec": { "nodeName": "n", "containers": [{ "name": "c", "image": "c:1" }] } });
    post(&sandbox, &format!("{namespace}/pods"), &pod).await;
    merge(&sandbox, &format!("{namespace}/pods/p/status"), &json!({ "status": { "phase": "Running" } }))
        .await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({ "metadata": { "name": "b" }, "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } } });
    post(&sandbox, budgets, &budget).await;
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "p" } });
    let refused = post(&sandbox, &format!("{namespace}/pods/p/eviction"), &eviction).await;
    assert_eq!((refused.code, &refused.body["reason"]), (429, &json!("TooManyRequests")));
    assert_eq!(refused.body["details"]["causes"][0]["reason"], "DisruptionBudget");
    merge(&sandbox, &format!("{budgets}/b/status"), &json!({ "status": { "disruptionsAllowed": 1 } })).await;
    assert_eq!(post(&sandbox, &format!("{namespace}/pods/p/eviction"), &eviction).await.code, 201);
    assert_eq!(get(&sandbox, &format!("{budgets}/b")).await.body["status"]["disruptionsAllowed"], 0);
}

/// Says who asked and which container it was.
struct Echo;

impl LogSource for Echo {
    fn open(&self, request: LogRequest) -> BoxFuture<'static, Result<LogStream, LogError>> {
        Box::pin(async move {
            if request.previous {
                return Err(LogError {
                    message: "previous terminated container \"c\" in pod \"p\" not found".into(),
                });
            }
            let lines = vec![format!("{}\n", request.container), format!("{:?}\n", request.tail_lines)];
            let lines = futures::stream::iter(lines).map(|line| Ok(line.into()));
            Ok(Box::pin(lines) as LogStream)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn logs_come_from_whoever_runs_the_kubelets() {
    let sandbox = plane();
    let pod =
        json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "c:1" }] } });
    post(&sandbox, "/api/v1/namespaces/default/pods", &pod).await;
    let path = "/api/v1/namespaces/default/pods/p/log";
    assert_eq!(get(&sandbox, path).await.code, 503, "nobody serves logs yet");
    sandbox.set_log_source(Arc::new(Echo));
    let pods: Api<Pod> = Api::default_namespaced(sandbox.client("reading", "default"));
    let mut log =
        pods.log_stream("p", &LogParams { tail_lines: Some(3), ..LogParams::default() }).await.unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "c\nSome(3)\n");
    let refused = get(&sandbox, &format!("{path}?container=other")).await;
    assert_eq!(
        (refused.code, refused.body["message"].as_str()),
        (400, Some("container other is not valid for pod p"))
    );
    assert_eq!(get(&sandbox, &format!("{path}?previous=true")).await.code, 400);
}

#[tokio::test]
async fn a_certificate_is_its_users_and_tokens_are_good_as_long_as_what_they_are_bound_to() {
    let sandbox = plane();
    let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&running.kubeconfig_for("jane", &["readers"]).unwrap()).unwrap();
    let options = KubeConfigOptions::default();
    let jane = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    assert_eq!(status(jane.clone(), "/api/v1/pods").await, 403, "no role is bound yet");
    let binding = json!({
        "metadata": { "name": "readers" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
        "subjects": [{ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "readers" }],
    });
    post(&sandbox, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    assert_eq!(status(jane.clone(), "/api/v1/pods").await, 200);
    assert_eq!(status(jane, "/api/v1/secrets").await, 403, "the role does not show secrets");

    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    post(&sandbox, accounts, &json!({ "metadata": { "name": "robot" } })).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    post(&sandbox, secrets, &json!({ "metadata": { "name": "held" } })).await;
    let request = |spec: serde_json::Value| json!({ "spec": spec });
    let bound = json!({ "boundObjectRef": { "apiVersion": "v1", "kind": "Secret", "name": "held" } });
    let token_of = |answer: support::Answer| {
        assert_eq!(answer.code, 201, "{}", answer.text);
        answer.body["status"]["token"].as_str().unwrap().to_owned()
    };
    let path = format!("{accounts}/robot/token");
    let bound = token_of(post(&sandbox, &path, &request(bound)).await);
    let foreign = token_of(post(&sandbox, &path, &request(json!({ "audiences": ["vault"] }))).await);
    let review = |token: &str, audiences: serde_json::Value| {
        let body = json!({ "spec": { "token": token, "audiences": audiences } });
        let sandbox = sandbox.clone();
        async move {
            post(&sandbox, "/apis/authentication.k8s.io/v1/tokenreviews", &body).await.body["status"].clone()
        }
    };
    let seen = review(&bound, json!([])).await;
    assert_eq!(seen["user"]["username"], "system:serviceaccount:default:robot");
    assert_eq!(seen["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    assert_eq!(review(&foreign, json!([])).await.get("authenticated"), None);
    assert_eq!(review(&foreign, json!(["vault", "other"])).await["audiences"], json!(["vault"]));
    delete(&sandbox, &format!("{secrets}/held")).await;
    assert_eq!(review(&bound, json!([])).await.get("authenticated"), None, "the secret is gone");
}

/// Runs commands on this machine.
struct Here;

impl ExecSource for Here {
    fn start(&self, request: ExecRequest) -> BoxFuture<'static, Result<ExecSession, LogError>> {
        assert_eq!((request.container.as_str(), request.stdin), ("c", true));
        let pipe = std::process::Stdio::piped;
        let mut command = tokio::process::Command::new(&request.command[0]);
        command.args(&request.command[1..]).stdin(pipe()).stdout(pipe()).stderr(pipe());
        let mut child = match command.kill_on_drop(true).spawn() {
            Ok(child) => child,
            Err(error) => {
                let message = format!("cannot start {}: {error}", request.command[0]);
                return Box::pin(async { Err(LogError { message }) });
            }
        };
        let session = ExecSession {
            stdin: Some(Box::new(child.stdin.take().unwrap())),
            stdout: Box::new(child.stdout.take().unwrap()),
            stderr: Box::new(child.stderr.take().unwrap()),
            exit: Box::pin(async move { child.wait().await.unwrap().code().unwrap() }),
        };
        Box::pin(async { Ok(session) })
    }
}

/// The pieces a server sends, by channel, until it closes.
async fn read_pieces(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<(u8, String)> {
    use tokio::io::AsyncReadExt;
    let mut pieces: Vec<(u8, String)> = Vec::new();
    loop {
        let kind = stream.read_u8().await.unwrap();
        let length = match stream.read_u8().await.unwrap() {
            126 => usize::from(stream.read_u16().await.unwrap()),
            short => usize::from(short),
        };
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        if kind == 0x88 {
            break;
        }
        pieces.push((bytes[0], String::from_utf8(bytes[1..].to_vec()).unwrap()));
    }
    pieces
}

#[tokio::test]
async fn commands_are_run_over_websocket_and_what_is_not_served_says_so() {
    use tokio::io::AsyncWriteExt;
    let sandbox = plane();
    let running = sandbox.serve(([127, 0, 0, 1], 0).into()).await.unwrap();
    let client = kube::Client::try_from(config(&running).await).unwrap();
    let pod =
        json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    post(&sandbox, "/api/v1/namespaces/default/pods", &pod).await;
    let ask = |path: &str, protocol: &str| {
        let request = http::Request::get(path)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", protocol.to_owned())
            .body(kube::client::Body::empty())
            .unwrap();
        let client = client.clone();
        async move { client.send(request).await.unwrap() }
    };
    let path = "/api/v1/namespaces/default/pods/p/exec?command=sh&command=-c&command=read+x%3Becho+got+%24x%3Becho+bad+%3E%262%3Bexit+3&stdin=true&stdout=true&stderr=true";
    assert_eq!(ask(path, "v5.channel.k8s.io").await.status(), 501, "nobody runs commands yet");
    sandbox.set_exec_source(Arc::new(Here));
    assert_eq!(ask(path, "v9.odd").await.status(), 400);
    assert_eq!(
        get(&sandbox, path).await.code,
        400,
        "a client in this process has no connection to take over"
    );
    assert_eq!(ask(&path.replace("/p/", "/q/"), "v5.channel.k8s.io").await.status(), 404);
    let forward = ask("/api/v1/namespaces/default/pods/p/portforward?ports=80", "v4.channel.k8s.io").await;
    assert_eq!(forward.status(), 501);

    let answer = ask(path, "odd, v5.channel.k8s.io").await;
    assert_eq!(answer.status(), 101);
    assert_eq!(
        answer.headers()["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "the example of the standard"
    );
    assert_eq!(answer.headers()["sec-websocket-protocol"], "v5.channel.k8s.io");
    let mut stream = hyper_util::rt::TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    // Masked with zeros: the channel of the input, a line, and then its end.
    stream.write_all(b"\x82\x86\0\0\0\0\0it!!\n\x82\x82\0\0\0\0\xff\0").await.unwrap();
    let pieces = read_pieces(&mut stream).await;
    let of = |channel: u8| {
        pieces.iter().filter(|(one, _)| *one == channel).map(|(_, text)| text.as_str()).collect::<String>()
    };
    assert_eq!((of(1).as_str(), of(2).as_str()), ("got it!!\n", "bad\n"));
    let missing = ask(&path.replace("command=sh&", "command=%2Fno%2Fsuch&"), "v5.channel.k8s.io").await;
    assert_eq!(missing.status(), 101, "refused connections would be tried again with another protocol");
    let mut stream = hyper_util::rt::TokioIo::new(hyper::upgrade::on(missing).await.unwrap());
    let refused = read_pieces(&mut stream).await;
    assert_eq!(refused[0].0, 3);
    assert!(refused[0].1.contains("cannot start /no/such"), "{refused:?}");
    let status: serde_json::Value = serde_json::from_str(&of(3)).unwrap();
    assert_eq!(status["details"]["causes"], json!([{ "reason": "ExitCode", "message": "3" }]));
}
