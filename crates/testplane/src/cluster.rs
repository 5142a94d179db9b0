//! What is done to a plane through its API before anybody uses it: our definitions, the permissions we ship, and a
//! token of the account that has them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use glidepath_scenarios::permissions::{ACCOUNT, apply};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// How long a plane may take to come up.
const PATIENCE: Duration = Duration::from_secs(120);
const GLANCE: Duration = Duration::from_millis(100);
/// How long a controller's token is good for: as long as the plane's certificates are likely to be wanted.
const TOKEN_SECONDS: u32 = 30 * 24 * 3600;

/// Looks until something is so; `still_possible` ends the wait early when it no longer can be.
pub(crate) async fn wait_until<F: Future<Output = bool>>(
    what: &str,
    is_so: impl Fn() -> F,
    still_possible: impl Fn() -> Result<()>,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        still_possible().with_context(|| format!("wait until {what}"))?;
        if Instant::now() > deadline {
            bail!("not within {} s: {what}", PATIENCE.as_secs());
        }
        sleep(GLANCE).await;
    }
    Ok(())
}

/// Whether the API server says that it is ready.
pub(crate) async fn is_ready(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok_and(|text| text == "ok")
}

/// Installs the definitions of our kinds and of the traffic kinds that stories use.
pub(crate) async fn apply_definitions(client: &Client) -> Result<()> {
    let mut definitions = glidepath_api::crd::all().to_vec();
    definitions.extend(glidepath_dataplane::crds());
    definitions.extend(glidepath_scenarios::manifests::istio_definitions());
    for definition in &definitions {
        apply(client, definition).await?;
    }
    let names: Vec<&str> =
        definitions.iter().filter_map(|definition| definition["metadata"]["name"].as_str()).collect();
    wait_until("the definitions are established", async || are_established(client, &names).await, || Ok(()))
        .await
}

async fn are_established(client: &Client, names: &[&str]) -> bool {
    let api = api(client, "apiextensions.k8s.io", "v1", "CustomResourceDefinition", None);
    let Ok(found) = api.list(&ListParams::default()).await else { return false };
    let established = |name: &str| {
        found.items.iter().any(|definition| {
            let conditions = definition.data.pointer("/status/conditions").and_then(Value::as_array);
            definition.metadata.name.as_deref() == Some(name)
                && conditions.is_some_and(|all| {
                    all.iter()
                        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
                })
        })
    };
    names.iter().all(|name| established(name))
}

/// A token of the controller's account.
pub(crate) async fn fetch_token(client: &Client) -> Result<String> {
    let accounts = api(client, "", "v1", "ServiceAccount", Some(ACCOUNT.0));
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": TOKEN_SECONDS},
    });
    let answer: Value = accounts
        .create_subresource("token", ACCOUNT.1, &PostParams::default(), &body)
        .await
        .context("ask for a token of the controller's account")?;
    let token = answer["status"]["token"].as_str().context("the answer holds no token")?;
    Ok(token.to_owned())
}

/// How many nodes are ready.
pub(crate) async fn count_ready_nodes(client: &Client) -> usize {
    let Ok(nodes) = api(client, "", "v1", "Node", None).list(&ListParams::default()).await else { return 0 };
    let is_ready = |node: &&DynamicObject| {
        let conditions = node.data.pointer("/status/conditions").and_then(Value::as_array);
        conditions.is_some_and(|all| {
            all.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        })
    };
    nodes.items.iter().filter(is_ready).count()
}

fn api(
    client: &Client,
    group: &str,
    version: &str,
    kind: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}
