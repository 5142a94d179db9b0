//! Sends random requests to the embedded plane and to a real one and prints where they answer differently, as
//! rows for `tests/requests/`:
//! `cargo run -p glidepath-sandbox --example compare -- KUBECONFIG [SEED [SEQUENCES]]`.
//!
//! The real plane should be an API server alone: controllers would write between two requests.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for the terminal of a developer")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

use fastrand::Rng;
use glidepath_sandbox::Sandbox;
use serde_json::{Value, json};
use support::exchange::{Names, ask, connect, furnish};

/// Requests in a sequence.
const LENGTH: usize = 12;

/// A request; `NS` in the line and the body stands for the namespace.
#[derive(Clone)]
struct Step {
    line: String,
    body: String,
}

/// A kind, where it is served, and an object that is accepted.
struct Kind {
    path: &'static str,
    object: Value,
    status: bool,
    scale: bool,
}

fn template() -> Value {
    json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "i:1",
        "ports": [{ "containerPort": 80, "name": "http" }],
        "env": [{ "name": "E", "value": "v" }],
        "resources": { "requests": { "cpu": "100m" }, "limits": { "cpu": "1", "memory": "64Mi" } },
        "readinessProbe": { "httpGet": { "port": "http" }, "periodSeconds": 5 },
        "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }],
        "volumes": [{ "name": "v", "emptyDir": {} }] } })
}

fn kinds() -> Vec<Kind> {
    let kind = |path, object, status, scale| Kind { path, object, status, scale };
    let selector = json!({ "matchLabels": { "a": "b" } });
    let mut pod = template();
    pod["spec"]["nodeSelector"] = json!({ "no": "where" });
    let mut once = template();
    once["spec"]["restartPolicy"] = json!("Never");
    vec![
        kind("/api/v1/namespaces/NS/configmaps", json!({ "data": { "k": "v" } }), false, false),
        kind(
            "/api/v1/namespaces/NS/secrets",
            json!({ "stringData": { "k": "v" }, "type": "Opaque" }),
            false,
            false,
        ),
        kind(
            "/api/v1/namespaces/NS/services",
            json!({ "spec": { "selector": { "a": "b" }, "ports": [{ "port": 80, "name": "http" }] } }),
            true,
            false,
        ),
        kind("/api/v1/namespaces/NS/pods", pod, true, false),
        kind("/api/v1/namespaces/NS/serviceaccounts", json!({ "secrets": [{ "name": "s" }] }), false, false),
        kind(
            "/api/v1/namespaces/NS/events",
            json!({ "involvedObject": { "kind": "Pod", "name": "p", "namespace": "NS" }, "reason": "R", "message": "m", "type": "Normal" }),
            false,
            false,
        ),
        kind(
            "/apis/apps/v1/namespaces/NS/replicasets",
            json!({ "spec": { "replicas": 0, "selector": selector, "template": template() } }),
            true,
            true,
        ),
        kind(
            "/apis/apps/v1/namespaces/NS/deployments",
            json!({ "spec": { "replicas": 0, "selector": selector, "template": template(), "strategy": { "rollingUpdate": { "maxSurge": "30%" } } } }),
            true,
            true,
        ),
        kind(
            "/apis/apps/v1/namespaces/NS/statefulsets",
            json!({ "spec": { "replicas": 0, "serviceName": "s", "selector": selector, "template": template() } }),
            true,
            true,
        ),
        kind(
            "/apis/apps/v1/namespaces/NS/daemonsets",
            json!({ "spec": { "selector": selector, "template": template() } }),
            true,
            false,
        ),
        kind(
            "/apis/batch/v1/namespaces/NS/jobs",
            json!({ "spec": { "template": once, "backoffLimit": 2 } }),
            true,
            false,
        ),
        kind(
            "/apis/networking.k8s.io/v1/namespaces/NS/ingresses",
            json!({ "spec": { "ingressClassName": "c", "rules": [{ "host": "a.example.com", "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "s", "port": { "number": 80 } } } }] } }], "tls": [{ "hosts": ["a.example.com"], "secretName": "s" }] } }),
            true,
            false,
        ),
        kind(
            "/apis/discovery.k8s.io/v1/namespaces/NS/endpointslices",
            json!({ "addressType": "IPv4", "endpoints": [{ "addresses": ["10.1.1.1"], "conditions": { "ready": true } }], "ports": [{ "port": 80, "name": "http" }] }),
            false,
            false,
        ),
        kind(
            "/apis/coordination.k8s.io/v1/namespaces/NS/leases",
            json!({ "spec": { "holderIdentity": "me", "leaseDurationSeconds": 15 } }),
            false,
            false,
        ),
        kind(
            "/apis/policy/v1/namespaces/NS/poddisruptionbudgets",
            json!({ "spec": { "minAvailable": 1, "selector": selector } }),
            true,
            false,
        ),
        kind(
            "/apis/autoscaling/v2/namespaces/NS/horizontalpodautoscalers",
            json!({ "spec": { "maxReplicas": 3, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "d" }, "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } } }], "behavior": { "scaleDown": { "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 60 }] } } } }),
            true,
            false,
        ),
        kind(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles",
            json!({ "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }] }),
            false,
            false,
        ),
        kind(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
            json!({ "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" }, "subjects": [{ "kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io" }] }),
            false,
            false,
        ),
        kind(
            "/apis/example.com/v1/namespaces/NS/widgets",
            json!({ "apiVersion": "example.com/v1", "kind": "Widget", "spec": { "replicas": 1, "port": 80, "name": "abc", "items": [{ "key": "a", "value": "b" }], "tags": ["x"], "free": { "any": 1 } } }),
            true,
            true,
        ),
    ]
}

/// Every place in an object, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            places(inner, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| places(inner, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

fn odd_value(random: &mut Rng) -> Value {
    let pool = [
        json!(null),
        json!(-1),
        json!(0),
        json!(1),
        json!(2),
        json!(70000),
        json!(""),
        json!("x"),
        json!("A_b"),
        json!("10%"),
        json!("150%"),
        json!("1.5"),
        json!([]),
        json!({}),
        json!(true),
        json!(false),
        json!(["x", "x"]),
        json!({ "x": "y" }),
        json!("a.b.c"),
        json!("-bad-"),
        json!("2026-01-01T00:00:00Z"),
        json!("10.0.0.1"),
        json!("x".repeat(70)),
        json!([{}]),
    ];
    pool[random.usize(..pool.len())].clone()
}

/// Changes a few places of an object: sets something odd, adds a field, or takes a field away.
fn mutate(random: &mut Rng, object: &mut Value) {
    for _ in 0..random.usize(0..3) {
        let mut all = Vec::new();
        places(object, "", &mut all);
        let at = all[random.usize(..all.len())].clone();
        let Some(place) = object.pointer_mut(&at) else { continue };
        match (random.usize(..4), place) {
            (0, Value::Object(map)) if !map.is_empty() => {
                let key = map.keys().nth(random.usize(..map.len())).cloned().unwrap();
                map.remove(&key);
            }
            (1, Value::Object(map)) => {
                let names = [
                    "bogus",
                    "replicas",
                    "name",
                    "labels",
                    "suspend",
                    "type",
                    "minReadySeconds",
                    "selector",
                    "paused",
                    "ports",
                ];
                map.insert(names[random.usize(..names.len())].to_owned(), odd_value(random));
            }
            (2, Value::Array(list)) if !list.is_empty() => {
                let again = list[0].clone();
                list.push(again);
            }
            (_, place) if !at.is_empty() => *place = odd_value(random),
            _ => {}
        }
    }
}

fn metadata(random: &mut Rng, name: &str) -> Value {
    let mut metadata = json!({ "name": name });
    match random.usize(..12) {
        0 => metadata["labels"] = json!({ "app": "x", "tier": "t" }),
        1 => metadata["labels"] = json!({ "bad key": "x" }),
        2 => metadata["annotations"] = json!({ "note": "n" }),
        3 => metadata["finalizers"] = json!(["example.com/hold"]),
        4 => metadata["finalizers"] = json!(["hold", "hold"]),
        5 => {
            metadata["ownerReferences"] =
                json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u" }]);
        }
        6 => metadata["resourceVersion"] = json!("1"),
        7 => metadata["name"] = json!("Bad_Name"),
        8 => metadata["generateName"] = json!("gen-"),
        _ => {}
    }
    metadata
}

fn one_of<'a>(random: &mut Rng, pool: &[&'a str]) -> &'a str {
    pool[random.usize(..pool.len())]
}

const WRITE_OPTIONS: &[&str] = &[
    "",
    "",
    "",
    "",
    "?fieldManager=one",
    "?fieldManager=two",
    "?dryRun=All",
    "?dryRun=Some",
    "?fieldValidation=Strict",
    "?fieldValidation=Ignore",
    "?fieldValidation=Odd",
    "?fieldManager=",
];
const LIST_OPTIONS: &[&str] = &[
    "",
    "?limit=1",
    "?limit=-1",
    "?limit=x",
    "?labelSelector=app%3Dx",
    "?labelSelector=app%20in%20(x",
    "?labelSelector=a%3D%3D%3Db",
    "?labelSelector=!app",
    "?labelSelector=app%20notin%20(y)",
    "?fieldSelector=metadata.name%3Da",
    "?fieldSelector=metadata.name!%3Da",
    "?fieldSelector=spec.odd%3Da",
    "?fieldSelector=x",
    "?continue=garbage",
    "?continue=%25%25",
    "?limit=1&continue=$continue",
    "?resourceVersion=0",
    "?resourceVersion=abc",
    "?resourceVersionMatch=Exact",
    "?resourceVersion=0&resourceVersionMatch=Exact",
    "?resourceVersion=0&limit=1",
    "?resourceVersionMatch=Odd&resourceVersion=1",
    "?sendInitialEvents=true",
    "?watch=1&timeoutSeconds=1&resourceVersion=0",
    "?watch=1&timeoutSeconds=1&resourceVersion=abc",
    "?watch=1&timeoutSeconds=1&sendInitialEvents=true",
    "?watch=1&timeoutSeconds=1&labelSelector=a%3D%3D%3Db",
    "?timeoutSeconds=x",
    "?watch=maybe",
];
const DELETE_OPTIONS: &[&str] = &[
    "",
    "",
    "",
    r#"{"propagationPolicy":"Foreground"}"#,
    r#"{"propagationPolicy":"Orphan"}"#,
    r#"{"propagationPolicy":"Odd"}"#,
    r#"{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}"#,
    r#"{"preconditions":{"resourceVersion":"1"}}"#,
    r#"{"gracePeriodSeconds":0}"#,
    r#"{"gracePeriodSeconds":-1}"#,
    r#"{"dryRun":["All"]}"#,
    r#"{"dryRun":["None"]}"#,
    r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#,
    r#"{"kind":"DeleteOptions","apiVersion":"v1"}"#,
    r#"{"bogus":1}"#,
    "{",
    "[]",
];

fn step(random: &mut Rng, kind: &Kind) -> Step {
    let name = one_of(random, &["a", "a", "b"]);
    let mut object = kind.object.clone();
    object["metadata"] = metadata(random, name);
    mutate(random, &mut object);
    let options = one_of(random, WRITE_OPTIONS);
    let part = match random.usize(..8) {
        0 if kind.status => "/status",
        1 if kind.scale => "/scale",
        2 => one_of(random, &["/status", "/scale", "/odd"]),
        _ => "",
    };
    let path = kind.path;
    let one = format!("{path}/{name}{part}");
    let (line, body) = match random.usize(..20) {
        0..=5 => (format!("POST {path}{options}"), object.to_string()),
        6 | 7 => (format!("PUT {one}{options}"), object.to_string()),
        8..=10 => {
            let mut change = kind.object.clone();
            mutate(random, &mut change);
            let all: Vec<String> =
                change.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
            let patch = if random.bool() || all.is_empty() {
                json!({ "metadata": metadata(random, name) })
            } else {
                let key = &all[random.usize(..all.len())];
                json!({ key: change[key] })
            };
            let media = one_of(random, &["merge", "merge", "strategic"]);
            (format!("PATCH {one}{options} {media}"), patch.to_string())
        }
        11 | 12 => {
            let mut all = Vec::new();
            places(&kind.object, "", &mut all);
            let at = &all[random.usize(..all.len())];
            let op = one_of(random, &["replace", "remove", "add", "test", "copy", "odd"]);
            let patch =
                json!([{ "op": op, "path": at, "value": odd_value(random), "from": "/metadata/name" }]);
            (format!("PATCH {one}{options} json"), patch.to_string())
        }
        13 | 14 => {
            let group = path.trim_start_matches("/apis/").trim_start_matches("/api/");
            let group = group.split("/namespaces").next().unwrap_or_default();
            let kinds = [
                ("configmaps", "ConfigMap"),
                ("secrets", "Secret"),
                ("services", "Service"),
                ("pods", "Pod"),
                ("serviceaccounts", "ServiceAccount"),
                ("events", "Event"),
                ("replicasets", "ReplicaSet"),
                ("deployments", "Deployment"),
                ("statefulsets", "StatefulSet"),
                ("daemonsets", "DaemonSet"),
                ("jobs", "Job"),
                ("ingresses", "Ingress"),
                ("endpointslices", "EndpointSlice"),
                ("leases", "Lease"),
                ("poddisruptionbudgets", "PodDisruptionBudget"),
                ("horizontalpodautoscalers", "HorizontalPodAutoscaler"),
                ("roles", "Role"),
                ("rolebindings", "RoleBinding"),
                ("widgets", "Widget"),
            ];
            let plural = path.rsplit('/').next().unwrap_or_default();
            object["apiVersion"] = json!(group);
            object["kind"] = json!(kinds.iter().find(|(one, _)| *one == plural).unwrap().1);
            let options = one_of(
                random,
                &[
                    "?fieldManager=one",
                    "?fieldManager=two",
                    "?fieldManager=two&force=true",
                    "",
                    "?fieldManager=one&dryRun=All",
                ],
            );
            (format!("PATCH {one}{options} apply"), object.to_string())
        }
        15 => (format!("DELETE {path}/{name}"), one_of(random, DELETE_OPTIONS).to_owned()),
        16 => (format!("GET {one}"), String::new()),
        17 => (format!("GET {path}{}", one_of(random, LIST_OPTIONS)), String::new()),
        18 => {
            let text = object.to_string();
            let body = match random.usize(..6) {
                0 => text[..random.usize(1..text.len())].to_owned(),
                1 => format!("{text}{text}"),
                2 => "null".to_owned(),
                3 => "[]".to_owned(),
                4 => text.replacen('{', "{\"kind\":\"Odd\",", 1),
                _ => text.replacen('{', "{\"apiVersion\":\"odd/v9\",", 1),
            };
            (
                format!(
                    "{} {}",
                    one_of(random, &["POST", "POST", "PUT"]),
                    if random.bool() { path } else { &one }
                ),
                body,
            )
        }
        _ => {
            let media = one_of(
                random,
                &["text/plain", "application/yaml", "application/cbor-odd", "application/json;charset=utf-8"],
            );
            (format!("POST {path} {media}"), object.to_string())
        }
    };
    Step { line, body }
}

/// Plays a sequence on one plane in a namespace of its own.
async fn play(client: &kube::Client, steps: &[Step], namespace: &str) -> Vec<Vec<String>> {
    furnish(client, namespace).await;
    let mut names = Names { counted: true, ..Names::default() };
    let mut answers = Vec::new();
    for step in steps {
        let line = step.line.replace("/NS/", &format!("/{namespace}/"));
        let body = step.body.replace("\"NS\"", &format!("\"{namespace}\""));
        let answer = ask(client, &line, &body, &mut names).await;
        answers.push(answer.into_iter().map(|line| line.replace(namespace, "NS")).collect());
    }
    answers
}

/// The first step that is answered differently, with both answers.
async fn differ(
    real: &kube::Client,
    steps: &[Step],
    count: &mut usize,
) -> Option<(usize, Vec<String>, Vec<String>)> {
    *count += 1;
    let namespace = format!("compare-{}-{count}", std::process::id());
    let expected = play(real, steps, &namespace).await;
    let ours =
        play(&Sandbox::builder().build().unwrap().client("requests", "default"), steps, &namespace).await;
    let at = (0..steps.len()).find(|at| expected[*at] != ours[*at])?;
    Some((at, expected[at].clone(), ours[at].clone()))
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let kubeconfig = PathBuf::from(args.next().unwrap());
    let seed: u64 = args.next().map_or(1, |seed| seed.parse().unwrap());
    let sequences: u64 = args.next().map_or(20, |count| count.parse().unwrap());
    let real = connect(&kubeconfig).await;
    let kinds = kinds();
    let (mut found, mut count) = (0, 0);
    for sequence in 0..sequences {
        let mut random = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(sequence));
        let kind = &kinds[random.usize(..kinds.len())];
        let mut steps: Vec<Step> = (0..LENGTH).map(|_| step(&mut random, kind)).collect();
        while let Some((at, mut expected, mut ours)) = differ(&real, &steps, &mut count).await {
            found += 1;
            // What comes after does not matter; of what came before only what is needed for the difference.
            let mut needed = steps[..=at].to_vec();
            for drop in (0..at).rev() {
                let mut fewer = needed.clone();
                fewer.remove(drop);
                if let Some((last, real_answer, our_answer)) = differ(&real, &fewer, &mut count).await
                    && last == fewer.len() - 1
                {
                    (needed, expected, ours) = (fewer, real_answer, our_answer);
                }
            }
            println!("# sequence {sequence}");
            for one in &needed {
                println!("{}\n{}", one.line, one.body);
            }
            expected.iter().filter(|line| !ours.contains(line)).for_each(|line| println!("- {line}"));
            ours.iter().filter(|line| !expected.contains(line)).for_each(|line| println!("+ {line}"));
            steps.remove(at);
        }
    }
    println!("{found} differences in {sequences} sequences of {LENGTH} requests (seed {seed})");
}
