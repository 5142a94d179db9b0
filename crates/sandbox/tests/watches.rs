//! Watches: where they start, what selectors do to them, how they expire, and kube's own watcher on top.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step fails the test")]

mod support;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use glidepath_sandbox::{Fault, Faults, Sandbox};
use http::Request;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use serde_json::{Value, json};
use support::{delete, get, merge, plane, post, put, raw};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, label: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "l": label } } })
}

/// Everything a watch says until it ends.
async fn watch(sandbox: &Sandbox, query: &str) -> Vec<(String, Value)> {
    let request = Request::builder().uri(format!("{MAPS}?watch=1&{query}")).body(String::new()).unwrap();
    let response = raw(sandbox, request).await;
    assert_eq!(response.status(), 200);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(text.to_vec())
        .unwrap()
        .lines()
        .map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
        })
        .collect()
}

fn told(events: &[(String, Value)]) -> Vec<String> {
    events
        .iter()
        .map(|(kind, object)| format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or("-")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_a_version_or_from_zero_starts_with_what_is_there() {
    let sandbox = plane();
    post(&sandbox, MAPS, &map("a", "x")).await;
    for query in ["timeoutSeconds=1", "resourceVersion=0&timeoutSeconds=1"] {
        assert_eq!(told(&watch(&sandbox, query).await), ["ADDED a"], "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_version_shows_what_came_after_in_order() {
    let sandbox = plane();
    let first = post(&sandbox, MAPS, &map("a", "x")).await.body;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    merge(&sandbox, &format!("{MAPS}/a"), &json!({ "data": { "k": "v" } })).await;
    post(&sandbox, MAPS, &map("b", "x")).await;
    delete(&sandbox, &format!("{MAPS}/a")).await;
    let events = watch(&sandbox, &format!("resourceVersion={version}&timeoutSeconds=1")).await;
    assert_eq!(told(&events), ["MODIFIED a", "ADDED b", "DELETED a"]);
    let (_, gone) = &events[2];
    assert_eq!(gone["data"]["k"], "v", "the last state");
    let numbers: Vec<u64> = events
        .iter()
        .map(|(_, object)| object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted() && numbers[2] > numbers[1], "{numbers:?}");
}

#[tokio::test(start_paused = true)]
async fn entering_and_leaving_a_selector_adds_and_deletes() {
    let sandbox = plane();
    let version = post(&sandbox, MAPS, &map("a", "no")).await.body["metadata"]["resourceVersion"].clone();
    for label in ["yes", "yes", "no"] {
        let patch =
            json!({ "metadata": { "labels": { "l": label } }, "data": { "n": label.len().to_string() } });
        merge(&sandbox, &format!("{MAPS}/a"), &patch).await;
        merge(&sandbox, &format!("{MAPS}/a"), &json!({ "data": { "again": label } })).await;
    }
    let query =
        format!("resourceVersion={}&labelSelector=l%3Dyes&timeoutSeconds=1", version.as_str().unwrap());
    let events = watch(&sandbox, &query).await;
    assert_eq!(told(&events), ["ADDED a", "MODIFIED a", "DELETED a"]);
    assert_eq!(events[2].1["metadata"]["labels"]["l"], "yes", "the last state that was selected");
}

#[tokio::test(start_paused = true)]
async fn an_old_version_gets_an_error_event_and_a_future_one_a_timeout() {
    let sandbox = plane();
    let events = watch(&sandbox, "resourceVersion=1&timeoutSeconds=1").await;
    assert_eq!(events.len(), 1);
    let (kind, status) = &events[0];
    assert_eq!(
        (kind.as_str(), &status["code"], &status["reason"]),
        ("ERROR", &json!(410), &json!("Expired"))
    );
    assert!(status["message"].as_str().unwrap().starts_with("too old resource version: 1 ("));
    let future = get(&sandbox, &format!("{MAPS}?resourceVersion=99999")).await;
    assert_eq!(future.code, 504);
    assert_eq!(future.body["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(future.headers["retry-after"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_ends_its_first_part_with_a_marked_bookmark() {
    let sandbox = plane();
    post(&sandbox, MAPS, &map("a", "x")).await;
    let query =
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1";
    let events = watch(&sandbox, query).await;
    assert_eq!(told(&events)[0], "ADDED a");
    assert_eq!(events[1].0, "BOOKMARK");
    assert_eq!(events[1].1["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let refused = get(&sandbox, &format!("{MAPS}?watch=1&sendInitialEvents=true")).await;
    assert_eq!(refused.code, 422);
}

#[tokio::test(start_paused = true)]
async fn kubes_watcher_survives_expiry_and_dropped_watches_in_both_modes() {
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let sandbox = plane();
        let faults = Faults::new();
        let client = sandbox.client_with_layer("watching", "default", &faults);
        let writer: Api<ConfigMap> = Api::default_namespaced(sandbox.client("writing", "default"));
        let watched: Api<ConfigMap> = Api::default_namespaced(client);
        let mut events = Box::pin(
            watcher::watcher(watched, config).filter_map(|event| async move { event.ok() }).filter_map(
                |event| async move {
                    match event {
                        watcher::Event::Apply(map) | watcher::Event::InitApply(map) => map.metadata.name,
                        _ => None,
                    }
                },
            ),
        );
        for round in 0..4 {
            let name = format!("m{round}");
            let map = ConfigMap {
                metadata: kube::core::ObjectMeta { name: Some(name.clone()), ..Default::default() },
                ..Default::default()
            };
            writer.create(&PostParams::default(), &map).await.unwrap();
            let seen = async {
                loop {
                    if events.next().await.as_deref() == Some(name.as_str()) {
                        break;
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(120), seen).await.expect(&name);
            match round {
                0 => faults.drop_watches(),
                1 => {
                    // A change the watcher cannot have seen, then the history is gone.
                    faults.drop_watches();
                    sandbox.compact();
                }
                _ => faults.on_read(1, Fault::ServerError),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_virtual_hour_with_a_watch_costs_milliseconds() {
    let sandbox = plane();
    let clock = sandbox.clock();
    let before = clock.now();
    let api: Api<ConfigMap> = Api::default_namespaced(sandbox.client("watching", "default"));
    let seen = tokio::spawn(async move {
        let stream = watcher::watcher(api, watcher::Config::default());
        stream.try_fold(0, |count, _| async move { Ok(count + 1) }).await.ok()
    });
    post(&sandbox, MAPS, &map("a", "x")).await;
    let api: Api<ConfigMap> = Api::default_namespaced(sandbox.client("writing", "default"));
    let started = std::time::Instant::now();
    for minute in 0..60 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let patch = json!({ "data": { "minute": minute.to_string() } });
        api.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(clock.now().duration_since(before).as_secs() >= 3600);
    let stored = get(&sandbox, &format!("{MAPS}/a")).await.body;
    assert_eq!(stored["data"]["minute"], "59");
    seen.abort();
}

#[tokio::test(start_paused = true)]
async fn faults_meet_the_write_they_were_planned_for() {
    let sandbox = plane();
    let faults = Faults::new();
    let api: Api<ConfigMap> =
        Api::default_namespaced(sandbox.client_with_layer("faulty", "default", &faults));
    let map = |name: &str| ConfigMap {
        metadata: kube::core::ObjectMeta { name: Some(name.into()), ..Default::default() },
        ..Default::default()
    };
    faults.on_write(1, Fault::Conflict);
    faults.on_write(2, Fault::AppliedButTimedOut);
    let refused = api.create(&PostParams::default(), &map("a")).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 409));
    let unsure = api.create(&PostParams::default(), &map("b")).await.unwrap_err();
    assert!(matches!(unsure, kube::Error::Api(status) if status.code == 504));
    assert_eq!(get(&sandbox, &format!("{MAPS}/a")).await.code, 404);
    assert_eq!(get(&sandbox, &format!("{MAPS}/b")).await.code, 200, "the write took effect");
    faults.halt_after_writes(0);
    let (params, map) = (PostParams::default(), map("c"));
    let dead = api.create(&params, &map);
    assert!(tokio::time::timeout(Duration::from_secs(3600), dead).await.is_err());
    let audit = sandbox.audit();
    let writes: u64 = audit
        .iter()
        .filter(|(entry, _)| entry.user_agent == "faulty" && entry.is_write())
        .map(|(_, count)| count)
        .sum();
    assert_eq!(writes, 1, "only the applied one reached the plane: {audit:?}");
}

#[tokio::test(start_paused = true)]
async fn a_put_of_the_same_object_tells_nobody() {
    let sandbox = plane();
    let stored = post(&sandbox, MAPS, &map("a", "x")).await.body;
    let version = stored["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    assert_eq!(put(&sandbox, &format!("{MAPS}/a"), &stored).await.body, stored);
    assert!(watch(&sandbox, &format!("resourceVersion={version}&timeoutSeconds=1")).await.is_empty());
}
