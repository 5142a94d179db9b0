//! Requests to either plane, and their answers without what differs from run to run.

#![allow(dead_code, reason = "each user takes its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed request fails the test")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use http::Request;
use http_body_util::BodyExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::widget_crd;

/// Replaces what differs from run to run by numbers in order of first sight.
#[derive(Default)]
pub struct Names {
    pub seen: HashMap<String, String>,
    pub counts: HashMap<&'static str, usize>,
    /// Whether versions and uids get numbers: not where controllers write between two requests.
    pub counted: bool,
    /// Versions get no numbers, because controllers write between two requests.
    pub unversioned: bool,
    /// Whether who wrote which field is shown.
    pub shows_managers: bool,
    /// What a name with a number stands for.
    pub meant: HashMap<String, String>,
    /// The last continue token, as it was.
    pub token: String,
}

impl Names {
    fn of(&mut self, sort: &'static str, text: &str) -> String {
        if !self.counted || self.unversioned && sort == "RV" {
            return sort.to_owned();
        }
        let key = format!("{sort} {text}");
        if let Some(known) = self.seen.get(&key) {
            return known.clone();
        }
        let count = self.counts.entry(sort).or_default();
        *count += 1;
        let name = format!("{sort}{count}");
        self.seen.insert(key, name.clone());
        self.meant.insert(name.clone(), text.to_owned());
        name
    }

    /// The same text with what `UID1`, `RV2` and so on stand for.
    pub fn fill(&self, text: &str) -> String {
        static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(UID|RV)\d+\b").unwrap());
        let text = NAME.replace_all(text, |found: &Captures<'_>| {
            self.meant.get(&found[0]).cloned().unwrap_or_else(|| found[0].to_owned())
        });
        text.replace("$continue", &self.token)
    }

    /// Names for everything in a document.
    pub fn normalise(&mut self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                // Who wrote which field is shown where it is the matter.
                if !self.shows_managers {
                    map.remove("managedFields");
                }
                // Several causes come in the order of a Go map; the message repeats them.
                if let Some(Value::Array(causes)) = map.get_mut("causes")
                    && causes.len() > 1
                {
                    causes.sort_by_key(ToString::to_string);
                }
                // The version of a list is that of the whole store, which others write to as well.
                if !map.contains_key("uid")
                    && let Some(version) = map.get_mut("resourceVersion")
                    && version.as_str().is_some_and(|version| !version.is_empty())
                {
                    *version = json!("ANY");
                }
                for (key, value) in map.iter_mut() {
                    match value {
                        Value::String(text) => {
                            if let Some(new) = self.text(key, text) {
                                *text = new;
                            }
                        }
                        Value::Array(list) if key == "clusterIPs" => {
                            for value in list.iter_mut() {
                                let ip = value.as_str().unwrap_or_default().to_owned();
                                *value = self.text("clusterIP", &ip).map_or(json!(ip), Value::from);
                            }
                        }
                        value => self.normalise(value),
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.normalise(value)),
            _ => {}
        }
    }

    /// The lines of an answer: a watch answers with one document per line.
    pub fn lines(&mut self, text: &str) -> Vec<String> {
        let mut line = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(mut document) => {
                self.normalise(&mut document);
                document.to_string()
            }
            Err(_) => line.to_owned(),
        };
        text.lines().map(&mut line).collect()
    }

    fn text(&mut self, key: &str, text: &str) -> Option<String> {
        match key {
            "resourceVersion" if !matches!(text, "" | "0" | "ANY") => Some(self.of("RV", text)),
            "uid" | "batch.kubernetes.io/controller-uid" | "controller-uid" => Some(self.of("UID", text)),
            "continue" if !text.is_empty() => {
                text.clone_into(&mut self.token);
                Some("TOKEN".to_owned())
            }
            "creationTimestamp"
            | "deletionTimestamp"
            | "lastTransitionTime"
            | "expirationTimestamp"
            | "time"
                if !text.is_empty() =>
            {
                Some("TIME".to_owned())
            }
            "clusterIP" if text != "None" => Some(self.of("IP", text)),
            "serverAddress" => Some("ADDRESS".to_owned()),
            "token" => Some("JWT".to_owned()),
            "name" if text.starts_with("kube-api-access-") => Some("kube-api-access".to_owned()),
            "message" | "name" => Some(mask_numbers(text)),
            _ => None,
        }
    }
}

/// Version numbers and random endings in messages.
pub fn mask_numbers(text: &str) -> String {
    static MASKS: LazyLock<[(Regex, &str); 6]> = LazyLock::new(|| {
        [
            ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
            (r"(resource version: )\d+( \(\d+\)|, current: \d+)?", "${1}N"),
            // A whole object as it was at that moment, in whatever order.
            (r#"Invalid value: "\{.*\}": json"#, r#"Invalid value: "OBJECT": json"#),
            (r"in record \(\d+\)", "in record (N)"),
            (r"_[bcdfghjklmnpqrstvwxz2456789]{5}\b", "_xxxxx"),
            (r"\bgen-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "gen-xxxxx"),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).unwrap(), with))
    });
    // Several mistakes in an applied configuration come in the order of a Go map.
    if let Some((head, list)) = text.split_once("errors:\n") {
        let mut list: Vec<&str> = list.lines().collect();
        list.sort_unstable();
        return format!("{head}errors:\n{}", list.join("\n"));
    }
    let mut text = text.split_once(" is invalid: [").map_or(text, |(head, _)| head).to_owned();
    for (pattern, with) in MASKS.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    text
}

/// A request as a script writes it: method, path and media type in a line; `fill` puts in what is only known now.
pub fn begin_request(line: &str, fill: impl Fn(&str) -> String) -> http::request::Builder {
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let media = match words.next() {
        Some("merge") => "application/merge-patch+json",
        Some("json") => "application/json-patch+json",
        Some("strategic") => "application/strategic-merge-patch+json",
        Some("apply") => "application/apply-patch+yaml",
        Some(other) => other,
        None => "application/json",
    };
    Request::builder()
        .method(method)
        .uri(fill(path))
        .header("content-type", media)
        .header("user-agent", "requests")
}

/// Sends a request and reads the answer to its end.
pub async fn send(
    client: &kube::Client,
    request: http::request::Builder,
    body: String,
) -> (http::response::Parts, String) {
    let request = request.body(kube::client::Body::from(body.into_bytes())).unwrap();
    let (parts, body) = client.send(request).await.unwrap().into_parts();
    (parts, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

/// Asks what a line and a body say; the status, the headers that clients read, and the documents of the answer.
pub async fn ask(client: &kube::Client, line: &str, body: &str, names: &mut Names) -> Vec<String> {
    let request = begin_request(line, |path| path.replace("$continue", &names.token));
    let (parts, text) = send(client, request, body.to_owned()).await;
    let mut answer = vec![parts.status.as_u16().to_string()];
    for name in ["warning", "retry-after"] {
        for value in parts.headers.get_all(name) {
            answer.push(format!("{name}: {}", value.to_str().unwrap()));
        }
    }
    answer.extend(names.lines(&text));
    answer
}

/// What a cluster has before a script starts: a namespace with its account, and a custom kind.
pub async fn furnish(client: &kube::Client, namespace: &str) {
    let post = |path: String, body: Value| async move {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(kube::client::Body::from(body.to_string().into_bytes()))
            .unwrap();
        client.send(request).await.unwrap().status().as_u16()
    };
    post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions".into(), widget_crd()).await;
    post("/api/v1/namespaces".into(), json!({ "metadata": { "name": namespace } })).await;
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    post(path, json!({ "metadata": { "name": "default" } })).await;
    for _ in 0..100 {
        let path = format!("/apis/example.com/v1/namespaces/{namespace}/widgets");
        let ready = client.send(Request::get(path).body(kube::client::Body::empty()).unwrap()).await.unwrap();
        if ready.status() == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the custom kind is never served");
}

/// A client of the cluster that a kubeconfig leads to.
pub async fn connect(path: &Path) -> kube::Client {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    kube::Client::try_from(config).unwrap()
}
